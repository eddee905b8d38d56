from __future__ import annotations

import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mainspring.core.errors import Invalid
from mainspring.outbound.urls import parse_url


def test_a_url_is_taken_apart_once_into_what_is_dialled() -> None:
    target = parse_url("HTTPS://API.Example.com:8443/a/../b?x=%2f&y={z}#part")
    assert (target.scheme, target.host, target.port) == ("https", "api.example.com", 8443)
    assert target.target_path == "/a/../b?x=%2f&y={z}"
    assert target.origin == "https://api.example.com:8443"
    assert target.url == "https://api.example.com:8443/a/../b?x=%2f&y={z}"
    assert not target.literal


@pytest.mark.parametrize(
    ("given_url", "dialled", "path", "origin"),
    [
        ("http://example.com", "http://example.com", "/", "http://example.com:80"),
        ("https://example.com?q", "https://example.com?q", "/?q", "https://example.com:443"),
        ("https://example.com:443/", "https://example.com:443/", "/", "https://example.com:443"),
        ("http://example.com./", "http://example.com./", "/", "http://example.com:80"),
        ("http://my_service:8000/x", "http://my_service:8000/x", "/x", "http://my_service:8000"),
        ("http://[2606:4700:0::1111]:81/", "http://[2606:4700::1111]:81/", "/", "http://[2606:4700::1111]:81"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4", "/%C3%A4", None),
        ("http://例え.jp/任务?a=b", "http://xn--r8jz45g.jp/%E4%BB%BB%E5%8A%A1?a=b", "/%E4%BB%BB%E5%8A%A1?a=b", None),
        ("http://a.b/:c@d//e", "http://a.b/:c@d//e", "/:c@d//e", None),
        ("http://" + "a" * 63 + ".example", "http://" + "a" * 63 + ".example", "/", None),
    ],
)
def test_a_good_url_is_kept_as_given_but_for_its_normal_form(
    given_url: str, dialled: str, path: str, origin: str | None
) -> None:
    target = parse_url(given_url)
    assert target.url == dialled
    assert target.target_path == path
    assert origin is None or target.origin == origin


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1\\@evil.com/", "https://evil.com@127.0.0.1/", "http://user:pw@example.com/",
        "https://exa%6dple.com", "http://[fe80::1%25lo]/", "https://[::1]:99999/", "https://a:-1/", "https://a:0/",
        "https://a:/", "https://a:65536/", "https://a:80:80/", "https://a:٣/", "http://exa\tmple.com/",
        "http://exa\nmple.com/", "http://a/\r\nX: y", "http://a/b c", " http://a/", "http://a/ ", "http://a/\x00",
        "file:///etc/passwd", "gopher://a/", "ftp://a/", "//host", "host/path", "http:/a", "http:a", "http://",
        "http:///path", "http://?x", "http://:80/", "https://" + "a" * 300 + ".com/", "http://" + "a." * 127 + "aa/",
        "https://evil。com", "https://evil\uff0ecom", "https://evil｡com", "http://①②⑦.example/", "http://-a.com/",
        "http://a-.com/", "http://a..com/", "http://.a.com/", "http://a.com../", "http://[::1/", "http://::1/",
        "http://[]/", "http://[::g]/", "http://[1.2.3.4]/", "http://[::1]x/", "http://a,b/", "http://a;b/",
        "http://a.b*c/", "http://1.2.3.4.5/", "http://256.256.256.256/", "http://1.2.3.256/", "http://08.1/",
        "http://0x/", "http://a.0x1g.1/", "http://4294967296/", "http://1.16777216/", "http://a.1/",
        "http://\ud800/", "http://a/\ud800", "http://a\u202eb.com/", "", "x" * 3000, "http://a/" + "b" * 2040,
        "http://a/" + "é" * 800,
    ],
)  # fmt: skip
def test_what_parsers_could_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_url(url, "on_failure_webhook")
    assert refusal.value.field == "on_failure_webhook"
    assert refusal.value.hint


def test_a_url_with_credentials_says_where_they_belong() -> None:
    with pytest.raises(Invalid, match="user name") as refusal:
        parse_url("https://user:s3cret@example.com/")
    assert "Authorization" in refusal.value.hint
    assert "s3cret" not in refusal.value.message + refusal.value.hint


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "017700000001", "0x7f.1", "127.0.0.1.",
     "0x7F.0x0.0X0.0x1", "①②⑦.⓪.⓪.①", "\uff11\uff12\uff17.1", "127.0.1"],
)  # fmt: skip
def test_every_notation_of_an_address_is_read_as_that_address(host: str) -> None:
    target = parse_url(f"http://{host}:8080/x")
    assert target.host == "127.0.0.1"
    assert target.literal
    assert target.url == "http://127.0.0.1:8080/x"


part = st.one_of(
    st.integers(0, 300).map(str),
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 2**33).map(lambda number: f"0{number:o}"),
    st.sampled_from(["0", "00", "08", "0x", "0xg", "1e1", ""]),
)


@given(st.lists(part, min_size=1, max_size=5).map(".".join))
@example("0xffffffff")
@example("037777777777")
@example("1.2.65535")
@example("1.2.65536")
def test_numeric_hosts_are_read_as_the_c_library_reads_them(host: str) -> None:
    """inet_aton(3) is what getaddrinfo tries first, so no host it accepts may pass for a name."""
    try:
        expected: str | None = socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
    except OSError:
        expected = None
    try:
        target = parse_url(f"http://{host}/")
    except Invalid:
        assert expected is None
        return
    assert (target.host if target.literal else None) == expected


@given(st.text(max_size=80))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    for url in (text, "http://" + text, "http://example.com" + text):
        try:
            target = parse_url(url)
        except Invalid:
            continue
        assert target.url.isascii()
        again = parse_url(target.url)
        assert again == target
