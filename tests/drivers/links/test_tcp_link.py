"""TCP connections to peers that are not there, leave, stand still or say all at once: bounded time, one sentence."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from drivers.host_clock import LslClock
from drivers.links.tcp_link import TcpLink
from lab.errors import DeviceError


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def link_to(listening: socket.socket) -> TcpLink:
    return TcpLink("127.0.0.1", listening.getsockname()[1], "the device", LslClock())


@pytest.fixture
def pair(listening: socket.socket) -> Iterator[tuple[TcpLink, socket.socket]]:
    """A link and the device's end."""
    link = link_to(listening)
    link.open()
    peer, _ = listening.accept()
    with peer:
        yield link, peer
    link.close()


def all_of(link: TcpLink) -> tuple[bytes, str]:
    """Return all that comes until the connection ends, and what is said then."""
    data = b""
    try:
        while True:
            piece = link.receive(1.0)
            assert piece is not None
            data += piece[0]
    except DeviceError as error:
        return data, str(error)


def sentence_of(problem: pytest.ExceptionInfo[DeviceError]) -> str:
    (sentence,) = problem.value.problems
    assert "\n" not in sentence
    return sentence


def test_bytes_and_their_arrival(pair: tuple[TcpLink, socket.socket]) -> None:
    link, peer = pair
    before_s = LslClock().now_s()
    peer.sendall(b"abc")
    piece = link.receive(2.0)
    assert piece is not None
    assert piece[0] == b"abc"
    assert before_s <= piece[1] <= LslClock().now_s()
    link.send(b"xyz")
    assert peer.recv(10) == b"xyz"


def test_waiting_is_bounded_and_zero_does_not_wait(pair: tuple[TcpLink, socket.socket]) -> None:
    link, peer = pair
    assert link.receive(0.0) is None
    assert link.receive(0.05) is None
    peer.sendall(b"z")
    select.select([link], [], [], 2.0)  # it can be waited for with others
    piece = link.receive(0.0)
    assert piece is not None
    assert piece[0] == b"z"
    assert link.receive(0.0) is None


@pytest.mark.parametrize("size", [1, 65536, 65537, 300_000])
def test_what_came_with_the_end_is_not_lost(pair: tuple[TcpLink, socket.socket], size: int) -> None:
    link, peer = pair
    data = os.urandom(size)
    thread = threading.Thread(target=lambda: (peer.sendall(data), peer.close()))
    thread.start()
    got, sentence = all_of(link)
    thread.join()
    assert got == data
    assert "closed the connection; check that it still runs" in sentence


def test_a_peer_that_only_stops_sending_ends_it_too(pair: tuple[TcpLink, socket.socket]) -> None:
    link, peer = pair
    peer.sendall(b"last")
    peer.shutdown(socket.SHUT_WR)
    assert all_of(link)[0] == b"last"
    link.send(b"it still hears us")
    assert peer.recv(100) == b"it still hears us"


def test_a_peer_that_resets_is_one_sentence(pair: tuple[TcpLink, socket.socket]) -> None:
    link, peer = pair
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    with pytest.raises(DeviceError, match=r"broke off \(connection reset by peer\)") as problem:
        link.receive(2.0)
    sentence_of(problem)


def test_a_peer_that_takes_nothing_is_one_sentence(pair: tuple[TcpLink, socket.socket]) -> None:
    link, _ = pair
    with pytest.raises(DeviceError, match=r"broke off \(timed out\)"):
        link.send(bytes(64 * 2**20))


def test_a_half_open_connection_is_silence(pair: tuple[TcpLink, socket.socket]) -> None:
    """A peer whose cable is out says nothing, and does not close either: the driver's stall_s tells."""
    link, _ = pair
    for _ in range(3):
        assert link.receive(0.02) is None


def test_nobody_listens(listening: socket.socket) -> None:
    link = link_to(listening)
    listening.close()
    with pytest.raises(DeviceError, match=r"the device at 127.0.0.1:\d+ does not answer \(connection refused\)"):
        link.open()


@pytest.mark.parametrize("host", ["192.168..1", "a" * 70 + ".example", "x\0y", "", "300.1.1.1", "no such host"])
def test_hosts_that_are_none_are_one_sentence(host: str) -> None:
    with pytest.raises(DeviceError, match="does not answer"):
        TcpLink(host, 9, "the device", LslClock()).open(0.5)


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_ports_that_are_none_are_one_sentence(port: int) -> None:
    with pytest.raises(DeviceError, match="does not answer"):
        TcpLink("127.0.0.1", port, "the device", LslClock()).open(0.5)


def test_a_server_that_never_accepts_is_given_up() -> None:
    """Its queue is full: the system answers nothing at all."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        try:
            for _ in range(8):
                line = socket.socket()
                line.settimeout(0)
                line.connect_ex(full.getsockname())
                waiting.append(line)
            began_s = time.monotonic()
            with pytest.raises(DeviceError, match=r"does not answer \(timed out\)"):
                link_to(full).open(0.3)
            assert time.monotonic() - began_s < 5.0
        finally:
            for line in waiting:
                line.close()


def test_opening_again_and_closing_any_number_of_times(listening: socket.socket) -> None:
    link = link_to(listening)
    link.close()
    with pytest.raises(DeviceError, match=r"the device at .* is not connected; open it first"):
        link.receive()
    for _ in range(2):
        link.open()
        first, _ = listening.accept()
        link.open()  # while the old connection is half-dead
        second, _ = listening.accept()
        assert first.recv(10) == b""
        link.send(b"here")
        assert second.recv(10) == b"here"
        assert link.local_address == second.getpeername()
        assert link.peer_address == listening.getsockname()
        link.close()
        link.close()
        first.close()
        second.close()
    for use in (lambda: link.send(b"x"), lambda: link.local_address, link.fileno):
        with pytest.raises(DeviceError, match="is not connected"):
            use()
