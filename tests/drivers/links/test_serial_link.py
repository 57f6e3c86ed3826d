"""Serial lines over ptys and socket:// URLs: bytes, arrivals, unplugging, and a sentence for each port that is none."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from drivers.host_clock import LslClock
from drivers.links.serial_link import SerialLink
from lab.errors import DeviceError

posix = pytest.mark.skipif(os.name != "posix", reason="ptys are of POSIX systems")


class Pty:
    """A line whose device end the test holds."""

    def __init__(self) -> None:
        import tty

        self.device, self._computer = os.openpty()
        tty.setraw(self._computer)
        self.url = os.ttyname(self._computer)

    def send(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.device, data[:1024]) :]

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += os.read(self.device, size - len(data))
        return data

    def unplug(self) -> None:
        for end in (self.device, self._computer):
            if end != -1:
                os.close(end)
        self.device = self._computer = -1


class Socket:
    """The same over TCP."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self._line: socket.socket | None = None

    @property
    def line(self) -> socket.socket:
        if self._line is None:
            self._line, _ = self._server.accept()
        return self._line

    def send(self, data: bytes) -> None:
        self.line.sendall(data)

    def receive(self, size: int) -> bytes:
        return self.line.recv(size, socket.MSG_WAITALL)

    def unplug(self) -> None:
        if self._line is not None:
            self._line.close()
        self._server.close()


KINDS: list[Any] = [pytest.param(Pty, marks=posix), Socket]


@pytest.fixture(params=KINDS)
def device(request: pytest.FixtureRequest) -> Iterator[Pty | Socket]:
    made = request.param()
    yield made
    made.unplug()


@pytest.fixture
def link(device: Pty | Socket) -> Iterator[SerialLink]:
    made = SerialLink(device.url, 115200, "the amplifier", LslClock())
    made.open()
    yield made
    made.close()


def received(link: SerialLink, size: int) -> bytes:
    data = b""
    for _ in range(1000):
        piece = link.receive()
        data += b"" if piece is None else piece[0]
        if len(data) >= size:
            break
    return data


def test_bytes_go_both_ways_and_arrive_in_host_time(device: Pty | Socket, link: SerialLink) -> None:
    before_s = LslClock().now_s()
    device.send(b"\x00\xff\x11\x13\r\n\x03")  # none of which a line may interpret
    piece = link.receive()
    assert piece is not None
    assert before_s <= piece[1] <= LslClock().now_s()
    assert (piece[0] + received(link, 7 - len(piece[0]))) == b"\x00\xff\x11\x13\r\n\x03"
    link.send(b"\x00\xffv\n")
    assert device.receive(4) == b"\x00\xffv\n"


def test_waiting_is_bounded(link: SerialLink) -> None:
    assert link.receive() is None


def test_many_bytes_come_in_order_and_few_at_a_time(device: Pty | Socket, link: SerialLink) -> None:
    data = os.urandom(100_000)
    thread = threading.Thread(target=device.send, args=(data,))
    thread.start()
    got = received(link, len(data))
    thread.join()
    assert got == data


def test_draining_throws_away_what_came_before(device: Pty | Socket, link: SerialLink) -> None:
    device.send(b"old")
    assert received(link, 3) == b"old"  # it is certainly there, and so is what follows
    device.send(b"older")
    while (piece := link.receive()) is None:
        pass
    device.send(b"stale" * 100)
    assert piece[0]
    for _ in range(50):
        link.drain()
    device.send(b"new")
    assert received(link, 3)[-3:] == b"new"


@pytest.mark.parametrize("use", ["receive", "drain", "send"])
def test_unplugged_is_one_sentence(device: Pty | Socket, link: SerialLink, use: str) -> None:
    device.send(b"x")
    assert received(link, 1) == b"x"
    if isinstance(device, Socket):
        device.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    device.unplug()
    act: Callable[[], object] = (lambda: link.send(b"hello")) if use == "send" else getattr(link, use)
    with pytest.raises(DeviceError, match=r"the amplifier .*(broke off|closed the connection).*; check") as problem:
        act()
    assert len(problem.value.problems) == 1
    link.close()
    link.close()


@posix
def test_a_line_that_takes_nothing_is_one_sentence() -> None:
    line = Pty()
    link = SerialLink(line.url, 115200, "the amplifier", LslClock())
    link.open()
    with pytest.raises(DeviceError, match=r"broke off \(it takes nothing that is sent to it\)"):
        link.send(bytes(200_000))
    link.close()
    line.unplug()


def test_what_came_with_the_end_of_a_connection_is_not_lost() -> None:
    device = Socket()
    link = SerialLink(device.url, 115200, "the amplifier", LslClock())
    link.open()
    device.send(b"0123456789" * 1000)
    device.unplug()
    assert received(link, 10_000) == b"0123456789" * 1000
    with pytest.raises(DeviceError, match="closed the connection"):
        link.receive()
    link.close()


@posix
def test_plugged_in_again_it_opens_again(tmp_path: Path) -> None:
    name = tmp_path / "amplifier"
    link = SerialLink(str(name), 115200, "the amplifier", LslClock())
    for number in range(3):
        line = Pty()
        name.unlink(missing_ok=True)
        name.symlink_to(line.url)
        link.open()
        line.send(bytes([number]))
        assert received(link, 1) == bytes([number])
        line.unplug()
        with pytest.raises(DeviceError, match="broke off"):
            link.receive()


@posix
def test_one_program_at_a_time(device: Pty | Socket, link: SerialLink) -> None:
    if isinstance(device, Pty):
        other = SerialLink(device.url, 115200, "the other", LslClock())
        with pytest.raises(DeviceError, match=f"another program has {device.url} open; close that, then try again"):
            other.open()


@pytest.mark.parametrize(
    ("port", "sentence"),
    [
        ("/dev/ttyNOPE7", "there is no serial port /dev/ttyNOPE7 for the amplifier; plug it in, and see `flex-capture"),
        ("socket://127.0.0.1", r"socket://127.0.0.1 names no TCP port; write socket://HOST:PORT"),
        ("socket://127.0.0.1:70000", "does not answer"),
        ("socket://a..b:5", "does not answer"),
        ("nonsense://x", "cannot be opened"),
        ("x\0y", "cannot be opened"),
        (str(Path(__file__).parent), "cannot be opened"),
        (__file__, "cannot be opened"),
    ],
)
def test_ports_that_are_none_are_one_sentence(port: str, sentence: str) -> None:
    link = SerialLink(port, 115200, "the amplifier", LslClock())
    with pytest.raises(DeviceError, match=sentence) as problem:
        link.open()
    assert len(problem.value.problems) == 1
    assert "\n" not in problem.value.problems[0]
    link.close()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (serial.SerialException(errno.EACCES, "could not open port"), "may not open COM9, or another program has it"),
        (serial.SerialException("could not open port 'COM9': PermissionError(13, 'Access is denied.')"), "dialout"),
        (serial.SerialException("could not open port 'COM9': FileNotFoundError(2, 'no')"), "there is no serial port"),
        (serial.SerialException(errno.EBUSY, "busy"), "another program has COM9 open"),
        (ValueError("Not a valid baudrate: -5"), "cannot be opened .Not a valid baudrate: -5"),
    ],
)  # fmt: skip
def test_why_a_port_cannot_be_opened(monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str) -> None:
    """As Linux and Windows say it; who runs tests may be allowed everything."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    with pytest.raises(DeviceError, match=sentence):
        SerialLink("COM9", 115200, "the amplifier", LslClock()).open()


def test_what_is_not_open_is_one_sentence() -> None:
    for port in ("COM9", "socket://127.0.0.1:9"):
        link = SerialLink(port, 115200, "the amplifier", LslClock())
        link.close()
        for use in (link.receive, link.drain, lambda link=link: link.send(b"x")):
            with pytest.raises(DeviceError, match=r"is not (open|connected); open it first"):
                use()
