"""Sockets and serial lines as drivers read them: nothing that came is lost with the end, and an end is one sentence."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from drivers.emulators.serial_end import SerialEnd
from drivers.host_clock import LslClock
from drivers.links.serial_link import SerialLink
from drivers.links.tcp_link import TcpLink
from drivers.links.udp_link import UdpLink
from lab.errors import DeviceError

posix = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals need Linux or macOS")
DATA = bytes(range(256)) * 40


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.settimeout(5)
        yield made


def read_to_the_end(receive: Callable[[], Any]) -> tuple[bytes, str]:
    """Return all that came, and the sentence that ended it."""
    got = b""
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        try:
            piece = receive()
        except DeviceError as error:
            (sentence,) = error.problems
            return got, sentence
        got += piece[0] if piece else b""
    raise AssertionError("it did not end")


def tcp(server: socket.socket) -> TcpLink:
    return TcpLink("127.0.0.1", server.getsockname()[1], "the plate", LslClock())


@pytest.mark.parametrize("reset", [False, True])
def test_what_came_with_the_end_of_a_connection_is_read_first(server: socket.socket, reset: bool) -> None:
    link = tcp(server)
    link.open()
    peer, _ = server.accept()
    peer.sendall(DATA)
    time.sleep(0.05)
    if reset:
        first = link.receive(2.0)
        assert first is not None
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset instead of an end
        peer.close()
        got, sentence = read_to_the_end(link.receive)
        assert first[0] + got == DATA
    else:
        peer.close()
        got, sentence = read_to_the_end(link.receive)
        assert got == DATA
    assert "the plate at 127.0.0.1:" in sentence
    link.close()
    link.close()


def test_arrival_is_when_the_bytes_were_there_and_silence_is_none(server: socket.socket) -> None:
    link = tcp(server)
    link.open()
    peer, _ = server.accept()
    assert link.receive(0.0) is None
    assert link.receive(0.05) is None
    before_s = LslClock().now_s()
    peer.sendall(b"x")
    piece = link.receive(2.0)
    assert piece is not None
    assert before_s <= piece[1] <= LslClock().now_s()
    link.open()  # again, while the peer believes in the old connection
    other, _ = server.accept()
    other.sendall(b"y")
    assert link.receive(2.0)[0] == b"y"
    for end in (peer, other):
        end.close()
    link.close()


def test_nobody_there_is_one_sentence(server: socket.socket) -> None:
    link = tcp(server)
    server.close()
    with pytest.raises(DeviceError, match="does not answer"):
        link.open()
    with pytest.raises(DeviceError, match="open it first"):
        link.receive()
    nowhere = TcpLink("no.such.host.invalid", 1, "the plate", LslClock())
    with pytest.raises(DeviceError, match="does not answer"):
        nowhere.open()


def test_a_peer_that_takes_nothing_holds_up_no_sender_for_ever(server: socket.socket) -> None:
    link = tcp(server)
    link.open()
    peer, _ = server.accept()
    with pytest.raises(DeviceError, match="broke off"):
        link.send(bytes(64 * 2**20))
    peer.close()
    link.close()


def test_datagrams_come_whole_with_their_sender() -> None:
    link = UdpLink("127.0.0.1", 0, "the tracker", LslClock())
    link.open()
    assert link.receive(0.0) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        for data in (DATA, b"", b"z"):
            sender.sendto(data, link.local_address)
        got = [link.receive(2.0) for _ in range(3)]
        assert [one.data for one in got if one is not None] == [DATA, b"", b"z"]
        assert got[0].sender == sender.getsockname()
    twin = UdpLink("127.0.0.1", link.local_address[1], "the tracker", LslClock())
    with pytest.raises(DeviceError, match="cannot be used"):
        twin.open()
    link.close()
    link.close()


def test_a_closed_port_at_the_other_end_is_no_failure() -> None:
    link = UdpLink("127.0.0.1", 0, "the tracker", LslClock())
    link.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    link.send(b"?", address)
    assert link.receive(0.1) is None
    assert link.receive(0.1) is None
    link.close()


LINES = [pytest.param(0, id="tcp"), pytest.param(None, id="pty", marks=posix)]


@pytest.mark.parametrize("where", LINES)
def test_a_line_that_is_pulled_gives_what_came_and_comes_back(where: int | None, tmp_path: Path) -> None:
    end = SerialEnd(tmp_path / "line" if where is None else where)
    end.open()
    link = SerialLink(end.url, 115_200, "the amplifier", LslClock())
    link.open()
    link.send(b"go")
    heard = b""
    while heard != b"go":
        heard += end.receive(1.0)
    end.send(DATA)
    got, deadline_s = b"", time.monotonic() + 5
    while len(got) < len(DATA) and time.monotonic() < deadline_s:
        piece = link.receive()
        got += piece[0] if piece else b""
    assert got == DATA[: len(DATA) - end.dropped]
    puller = threading.Timer(0.3, end.unplug)
    puller.start()
    rest, sentence = read_to_the_end(link.receive)
    puller.join()
    assert rest == b""
    assert "the amplifier" in sentence
    link.close()
    end.open()
    link.open()
    end.receive(0.2)
    end.send(b"again")
    assert link.receive()[0][:1] == b"a"
    link.close()
    end.close()
    assert list(tmp_path.iterdir()) == []


@posix
def test_why_a_port_cannot_be_opened_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    link = SerialLink("/dev/ttyUSB77", 9600, "the amplifier", LslClock())
    with pytest.raises(DeviceError, match=r"there is no serial port /dev/ttyUSB77 for the amplifier; plug it in"):
        link.open()
    for number, says in ((errno.EACCES, "dialout"), (errno.EBUSY, "another program"), (errno.EIO, "cannot be opened")):

        def refuse(*_: Any, number: int = number, **__: Any) -> Any:
            raise serial.SerialException(number, os.strerror(number))

        monkeypatch.setattr(serial, "serial_for_url", refuse)
        with pytest.raises(DeviceError, match=says) as caught:
            link.open()
        assert len(caught.value.problems) == 1


@posix
def test_a_name_that_another_emulator_has_taken_stays_its(tmp_path: Path) -> None:
    first, second = SerialEnd(tmp_path / "line"), SerialEnd(tmp_path / "line")
    first.open()
    second.open()
    first.close()
    link = SerialLink(str(tmp_path / "line"), 9600, "the amplifier", LslClock())
    link.open()
    second.send(b"here")
    assert link.receive() is not None
    link.close()
    second.close()
    assert list(tmp_path.iterdir()) == []
