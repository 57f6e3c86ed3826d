"""Devices that can be unplugged: an amplifier on a serial port, a force plate on a socket. They log what they sent."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import threading
import time
import tty
from pathlib import Path

_PERIOD_S = 0.02
_RATE_HZ = 200.0


class _Sender:
    """Sends ``<count>,<value>`` lines while it is plugged in; ``sent`` are the lives of (count, time), host time."""

    def __init__(self) -> None:
        from pylsl import local_clock

        self._local_clock = local_clock
        self._unplugged = threading.Event()
        self._thread: threading.Thread | None = None
        self.sent: list[list[tuple[int, float]]] = []

    def _run(self, first: int) -> None:
        began_s, count, rest = time.monotonic(), first, b""
        log: list[tuple[int, float]] = []
        self.sent.append(log)
        while not self._unplugged.wait(_PERIOD_S):
            due = first + int((time.monotonic() - began_s) * _RATE_HZ)
            if not rest:  # what finds the line full is lost, but no line is torn
                rest = b"".join(b"%d,%.1f\n" % (number % 65536, number % 100) for number in range(count, due))
                log.extend((number, self._local_clock()) for number in range(count, due))
            count = due
            with contextlib.suppress(OSError):
                rest = rest[self._send(rest) :]

    def _send(self, data: bytes) -> int:
        raise NotImplementedError

    def _begin(self, first: int) -> None:
        self._unplugged.clear()
        self._thread = threading.Thread(target=self._run, args=(first,))
        self._thread.start()

    def _end(self) -> None:
        self._unplugged.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None


class Amplifier(_Sender):
    """On a serial port whose name stays the same; it begins to count at 0 each time it is plugged in."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.port = folder / "amplifier"
        self._ours: int | None = None

    def plug_in(self) -> None:
        self._ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(self._ours, False)
        self.port.symlink_to(os.ttyname(theirs))
        self._theirs = theirs
        self._begin(0)

    def unplug(self) -> None:
        self._end()
        if self._ours is not None:
            self.port.unlink()
            os.close(self._theirs)
            os.close(self._ours)
            self._ours = None

    def _send(self, data: bytes) -> int:
        assert self._ours is not None
        return os.write(self._ours, data)


class Plate(_Sender):
    """On a TCP port that stays the same; it has a battery and counts on, whether it is plugged in or not."""

    def __init__(self) -> None:
        super().__init__()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = server.getsockname()[1]
        self._began_s = time.monotonic()
        self._server: socket.socket | None = None
        self._connection: socket.socket | None = None

    def plug_in(self) -> None:
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._server.settimeout(0.0)
        self._begin(int((time.monotonic() - self._began_s) * _RATE_HZ))

    def unplug(self) -> None:
        self._end()
        for end in (self._connection, self._server):
            if end is not None:
                end.close()
        self._connection = self._server = None

    def _send(self, data: bytes) -> int:
        if self._connection is None:
            assert self._server is not None
            with contextlib.suppress(BlockingIOError):
                self._connection, _ = self._server.accept()
                self._connection.settimeout(0.0)
            return len(data)  # nobody listens yet
        return self._connection.send(data)
