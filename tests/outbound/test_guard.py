from __future__ import annotations

import pytest

from mainspring.core.errors import Invalid
from mainspring.outbound.guard import Guard, TargetForbidden
from mainspring.outbound.names import Names

HOSTS = """
    127.0.0.1 127.1 2130706433 0x7f000001 0177.0.0.1 017700000001 0x7f.1 0 0.0.0.0 ①②⑦.⓪.⓪.① localhost localhost.
    LocalHost foo.localhost [::1] [::] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1]
    [64:ff9b:1::7f00:1] [2002:7f00:1::] [2001:0:4136:e378:8000:63bf:80ff:fffe] [fec0::1] [fd00:ec2::254] [3fff::1]
    [5f00::1] [ff02::1] 169.254.169.254 168.63.129.16 100.100.100.200 192.0.0.192 10.0.0.1 172.16.0.1 192.168.0.1
    100.64.0.1 198.18.0.1 192.88.99.1 224.0.0.1 240.0.0.1 255.255.255.255 metadata.google.internal
    Metadata.Google.Internal. metadata.goog instance-data ip6-localhost
    """


def unreachable(host: str) -> list[str]:
    raise AssertionError(f"{host} was resolved")


@pytest.mark.parametrize("host", HOSTS.split())
def test_a_denied_address_in_any_notation_is_refused_when_it_is_written(host: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Guard(names=Names(unreachable)).check(f"http://{host}:8080/hook", "task")
    assert refusal.value.code == "TARGET_FORBIDDEN"
    assert refusal.value.field == "task"


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        ("10.1.2.3", "10.1.2.3/32"),
        ("0x7f.1", "127.0.0.1/32"),
        ("[fd00::7]", "fd00::7/128"),
        ("[::ffff:10.1.2.3]", "10.1.2.3/32"),
        ("[64:ff9b::a01:203]", "64:ff9b::a01:203/128,10.1.2.3/32"),
        ("localhost", "localhost"),
        ("a.LOCALHOST.", "a.localhost"),
        ("metadata.google.internal", "metadata.google.internal"),
    ],
)
@pytest.mark.parametrize("existing", [[], ["192.168.7.0/24", "intranet.example"]])
def test_the_hint_prints_the_setting_that_allows_it_and_that_setting_does(
    host: str, entry: str, existing: list[str]
) -> None:
    url = f"http://{host}/hook"
    with pytest.raises(Invalid) as refusal:
        Guard(existing).check(url, "task")
    line = refusal.value.hint.split()[-1]
    assert line == "MAINSPRING_ALLOW_TARGETS=" + ",".join([*existing, entry])
    Guard(line.partition("=")[2].split(",")).check(url, "task")


@pytest.mark.parametrize(
    ("url", "dialled"),
    [
        ("HTTP://Example.COM/A", "http://example.com/A"),
        ("http://134744072/", "http://8.8.8.8/"),
        ("http://intranet.example/", "http://intranet.example/"),
        ("http://10.0.0.1.nip.example/", "http://10.0.0.1.nip.example/"),
    ],
)
def test_what_is_not_known_to_be_denied_passes_in_the_form_in_which_it_will_be_dialled(url: str, dialled: str) -> None:
    assert Guard(names=Names(unreachable)).check(url, "task") == dialled


def test_a_url_outside_the_grammar_is_invalid_and_not_forbidden() -> None:
    with pytest.raises(Invalid) as refusal:
        Guard().check("http://127.0.0.1\\@evil.com/", "url")
    assert refusal.value.code == "VALIDATION_FAILED"


def test_loopback_targets_pass_when_loopback_is_allowed() -> None:
    guard = Guard(["127.0.0.0/8", "::1/128"])
    for host in ("localhost", "127.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "app.localhost"):
        guard.check(f"http://{host}:3000/", "task")
    with pytest.raises(Invalid):
        guard.check("http://10.0.0.1/", "task")


@pytest.mark.parametrize("host", ["8.8.4.4", "[::ffff:8.8.4.4]", "[2606:4700::1111]", "134743044"])
def test_a_public_address_of_this_server_is_refused(host: str) -> None:
    own = frozenset({"8.8.4.4", "2606:4700::1111"})
    with pytest.raises(Invalid) as refusal:
        Guard(own=lambda: own).check(f"https://{host}/", "task")
    assert "this server" in refusal.value.message
    Guard(["8.8.4.4", "2606:4700::/32"], own=lambda: own).check(f"https://{host}/", "task")


async def test_an_address_that_this_server_got_later_is_refused_when_dialled() -> None:
    own: set[str] = set()
    guard = Guard(own=lambda: frozenset(own))
    own.add("8.8.4.4")
    with pytest.raises(TargetForbidden):
        guard.permit("8.8.4.4", "example.com")


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["93.184.216.34", "fd00::1"],
        ["93.184.216.34", "::ffff:10.0.0.1"],
        ["93.184.216.34", "2606:4700::1111", "169.254.169.254"],
        ["fe80::1%1"],
    ],
)
async def test_one_denied_address_among_the_answers_forbids_the_name(addresses: list[str]) -> None:
    guard = Guard(names=Names(lambda host: addresses))
    with pytest.raises(TargetForbidden) as refusal:
        await guard.resolve("mixed.example")
    assert "MAINSPRING_ALLOW_TARGETS=mixed.example" in refusal.value.reason
    assert not any(address in refusal.value.reason for address in addresses)


async def test_a_name_with_only_permitted_addresses_resolves_to_all_of_them() -> None:
    addresses = ["93.184.216.34", "2606:4700::1111", "10.0.0.7"]
    assert await Guard(["10.0.0.0/24"], names=Names(lambda host: addresses)).resolve("ok.example") == tuple(addresses)


async def test_an_allowed_host_may_resolve_to_anything_and_no_other_host_gains_by_it() -> None:
    guard = Guard(["intranet.example"], names=Names(lambda host: ["10.0.0.5"]))
    assert await guard.resolve("intranet.example.") == ("10.0.0.5",)
    guard.permit("10.0.0.5", "intranet.example")
    with pytest.raises(TargetForbidden):
        await guard.resolve("other.example")
    with pytest.raises(TargetForbidden):
        guard.permit("10.0.0.5", "10.0.0.5")
