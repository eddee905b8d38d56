from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.core.errors import Invalid
from mainspring.outbound.addresses import AllowList, address_parts, denied
from mainspring.outbound.interfaces import own_addresses


def listed(text: str) -> list[str]:
    return text.split()


REFUSED = listed(
    """
    127.0.0.1 127.255.255.255 0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 100.127.255.255 168.63.129.16
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1
    192.168.0.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255
    ::1 :: ::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::8.8.8.8
    64:ff9b:1::7f00:1 2002:7f00:1:: 2002:808:808:: 2001:0:4136:e378:8000:63bf:80ff:fffe 2001:db8::1 2001:20::1
    2620:4f:8000::1 3fff::1 3fff:fff::1 5f00::1 100::1 fe80::1 fe80::1%lo fec0::1 fc00::1 fd00:ec2::254 ff02::1
    4000::1 1fff::1 8000::1 ::2
    """
)
OPEN = listed(
    """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 168.63.129.15
    168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 198.17.255.255 198.20.0.0
    223.255.255.255 ::ffff:8.8.8.8 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700::1111 2a00:1450::1 3ffe::1
    3fff:1000::1
    """
)


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_denied(address: str) -> None:
    assert denied(address)


@pytest.mark.parametrize("address", OPEN)
def test_a_public_address_is_open_up_to_the_edge_of_every_range(address: str) -> None:
    assert denied(address) is None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "1.2.3", "1.2.3.4.5", "[::1]", "::1 ", "é"])
def test_what_is_no_canonical_address_is_denied(text: str) -> None:
    assert denied(text) == "not an address"


# The table once more, read independently, as a set of networks.
V4 = [
    IPv4Network(cidr)
    for cidr in listed(
        """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24
    203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 255.255.255.255/32 168.63.129.16/32
    """
    )
]
V6_OPEN = IPv6Network("2000::/3")
V6_CUT = [IPv6Network(cidr) for cidr in listed("2001::/23 2001:db8::/32 2002::/16 3fff::/20 2620:4f:8000::/48")]


def denied_by_networks(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in network for network in V4)
    if address.ipv4_mapped is not None:
        return denied_by_networks(address.ipv4_mapped)
    return address not in V6_OPEN or any(address in network for network in V6_CUT)


v4_numbers = st.one_of(
    st.integers(0, 2**32 - 1),
    st.builds(
        lambda network, offset: min(max(int(network.network_address) + offset, 0), 2**32 - 1),
        st.sampled_from(V4),
        st.integers(-2, 2**16),
    ),
)
v6_edges = st.builds(
    lambda network, offset: max(int(network.network_address) + offset, 0),
    st.sampled_from([V6_OPEN, *V6_CUT, IPv6Network("::ffff:0:0/96"), IPv6Network("fc00::/7")]),
    st.one_of(st.integers(-2, 2), st.integers(0, 2**110)),
)


@given(v4_numbers)
def test_every_ipv4_address_is_judged_as_the_table_says(number: int) -> None:
    address = IPv4Address(number)
    assert (denied(str(address)) is not None) is denied_by_networks(address)


@given(st.one_of(st.integers(0, 2**128 - 1), v6_edges, st.integers(2**125, 2**126 - 1)))
def test_every_ipv6_address_is_judged_as_the_table_says(number: int) -> None:
    address = IPv6Address(number)
    assert (denied(str(address)) is not None) is denied_by_networks(address)


@given(v4_numbers)
def test_an_embedded_ipv4_address_is_never_less_denied_than_by_itself(number: int) -> None:
    inner = IPv4Address(number)
    inverted = number ^ 0xFFFFFFFF
    wrapped = [
        int(IPv6Address("::ffff:0:0")) | number,
        number,
        int(IPv6Address("::ffff:0:0:0")) | number,
        int(IPv6Address("64:ff9b::")) | number,
        int(IPv6Address("64:ff9b:1::")) | number,
        int(IPv6Address("2002::")) | number << 80,
        int(IPv6Address("2001::")) | number << 64 | inverted,
    ]
    for outer in wrapped:
        parts = address_parts(str(IPv6Address(outer)))
        assert outer <= 1 or number in [part.number for part in parts if part.version == 4]
        assert denied(str(inner)) is None or denied(str(IPv6Address(outer))) is not None


def test_a_network_on_the_allow_list_covers_its_addresses_in_every_wrapping() -> None:
    allow = AllowList(["127.0.0.0/8", " ::1/128 ", "", "10.1.2.3", "::ffff:172.16.0.0/108"])
    for address in ("127.0.0.1", "::ffff:127.9.9.9", "::1", "10.1.2.3", "172.16.5.5"):
        assert all(allow.part(part) for part in address_parts(address)), address
    for address in ("10.1.2.4", "::2", "2002:7f00:1::", "64:ff9b::7f00:1"):
        assert not all(allow.part(part) for part in address_parts(address)), address


def test_allowing_a_translator_does_not_allow_what_lies_behind_it() -> None:
    allow = AllowList(["64:ff9b::/96"])
    outer, inner = address_parts("64:ff9b::7f00:1")
    assert allow.part(outer)
    assert not allow.part(inner)


def test_host_names_on_the_allow_list_are_compared_without_case_and_final_dot() -> None:
    allow = AllowList(["Intranet.Example.", "my_service", "localhost"])
    assert allow.host("intranet.example")
    assert allow.host("intranet.example.")
    assert allow.host("my_service")
    assert not allow.host("a.intranet.example")


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/33", "http://a", "a:80", "a b", "-a", "*.example", "300.1.1.1", "[::1]", "a/8"]
)
def test_an_entry_that_is_neither_network_nor_host_is_refused_at_start(entry: str) -> None:
    with pytest.raises(Invalid) as refusal:
        AllowList([entry])
    assert refusal.value.field == "ALLOW_TARGETS"


def test_the_addresses_of_this_host_are_found() -> None:
    own = own_addresses()
    assert "127.0.0.1" in own
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", 9))
        assert probe.getsockname()[0] in own
    for address in own:
        address_parts(address)
