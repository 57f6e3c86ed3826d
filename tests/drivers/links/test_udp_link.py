"""UDP sockets: datagrams whole, groups on loopback, addresses that are none, ports in use."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from drivers.host_clock import LslClock
from drivers.links.udp_link import UdpLink, receive_first
from lab.errors import DeviceError

GROUP = "239.255.42.98"


def link_at(host: str = "127.0.0.1", port: int = 0, group: str | None = None, interface: str = "127.0.0.1") -> UdpLink:
    return UdpLink(host, port, "the device", LslClock(), group, interface)


@pytest.fixture
def link() -> Iterator[UdpLink]:
    made = link_at()
    made.open()
    yield made
    made.close()


@pytest.fixture
def device() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(2.0)
        yield made


@pytest.mark.parametrize("size", [0, 1, 1472, 9000, 65507])
def test_a_datagram_is_whole_or_nothing(link: UdpLink, device: socket.socket, size: int) -> None:
    before_s = LslClock().now_s()
    device.sendto(bytes(size), link.local_address)
    got = link.receive(2.0)
    assert got is not None
    assert (got.data, got.sender) == (bytes(size), device.getsockname())
    assert before_s <= got.arrival_s <= LslClock().now_s()


def test_waiting_is_bounded_and_zero_does_not_wait(link: UdpLink, device: socket.socket) -> None:
    assert link.receive(0.0) is None
    assert link.receive(0.05) is None
    link.send(b"asked", device.getsockname())
    assert device.recvfrom(10) == (b"asked", link.local_address)


def test_a_port_that_nobody_listens_at_is_silence(link: UdpLink, device: socket.socket) -> None:
    nobody = device.getsockname()
    device.close()
    for _ in range(3):
        link.send(b"anybody", nobody)
        assert link.receive(0.02) is None


def test_a_port_in_use_is_one_sentence(link: UdpLink) -> None:
    other = link_at(port=link.local_address[1])
    with pytest.raises(DeviceError, match=r"UDP port \d+ for the device cannot be used \(address already in use\)"):
        other.open()
    with pytest.raises(DeviceError, match="the device is not open; open it first"):
        other.receive()


@pytest.mark.parametrize(
    ("host", "port", "group", "interface", "sentence"),
    [
        ("192.0.2.1", 0, None, "", "no network card with the address 192.0.2.1"),
        ("a..b", 0, None, "", "UDP port 0 for the device cannot be used"),
        ("127.0.0.1", 99999, None, "", "UDP port 99999 for the device cannot be used"),
        ("0.0.0.0", 0, GROUP, "192.0.2.1", "no network card with the address 192.0.2.1"),
        ("0.0.0.0", 0, "10.0.0.1", "127.0.0.1", "multicast group 10.0.0.1 on interface 127.0.0.1 .* cannot be used"),
        ("0.0.0.0", 0, "nonsense", "127.0.0.1", "multicast group nonsense .* cannot be used"),
    ],
)
def test_addresses_that_are_none(host: str, port: int, group: str | None, interface: str, sentence: str) -> None:
    link = link_at(host, port, group, interface)
    with pytest.raises(DeviceError, match=sentence) as problem:
        link.open()
    assert len(problem.value.problems) == 1
    link.close()


@pytest.mark.parametrize("address", [("a..b", 5), ("127.0.0.1", 99999)])
def test_sending_where_nothing_can_be(link: UdpLink, address: tuple[str, int]) -> None:
    with pytest.raises(DeviceError, match=r"cannot be reached .*; check its address"):
        link.send(b"x", address)


def test_a_datagram_that_is_too_long_is_one_sentence(link: UdpLink) -> None:
    with pytest.raises(DeviceError, match=r"cannot be reached \(message too long\)"):
        link.send(bytes(70_000), ("127.0.0.1", 9))


def test_two_members_of_a_group_on_loopback_get_each_datagram() -> None:
    first = link_at("", 0, GROUP)
    first.open()
    second = link_at("", first.local_address[1], GROUP)
    second.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        device.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        for number in range(20):
            device.sendto(bytes([number]), (GROUP, first.local_address[1]))
    for link in (first, second):
        assert [got.data[0] for got in iter(lambda link=link: link.receive(0.5), None)] == list(range(20))
        link.close()
        link.close()


def test_a_member_that_left_hears_nothing() -> None:
    link = link_at("", 0, GROUP)
    link.open()
    address = (GROUP, link.local_address[1])
    link.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        device.sendto(b"x", address)
    link.open()
    assert link.receive(0.1) is None
    link.close()


def test_the_first_of_several_goes_first(link: UdpLink, device: socket.socket) -> None:
    other = link_at()
    other.open()
    assert receive_first((link, other), 0.02) is None
    device.sendto(b"second", other.local_address)
    device.sendto(b"first", link.local_address)
    # both are there once the second of two reads finds something
    names = []
    while len(names) < 2:
        got = receive_first((link, other), 1.0)
        assert got is not None
        names.append((got[0] is link, got[1].data))
    assert sorted(names) == [(False, b"second"), (True, b"first")]
    other.close()
