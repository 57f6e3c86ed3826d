"""The device's end of a serial line: a pty where there are any, or a TCP port for socket:// URLs."""

from __future__ import annotations

import contextlib
import os
import select
import socket
from pathlib import Path
from typing import Final

from drivers.links.tcp_link import said
from lab.errors import DeviceError

_MOST_BYTES: Final = 4096


def end_of(port: str) -> int | str:
    """Return the TCP port or path of the line that a rig calls ``port``."""
    return int(port.rpartition(":")[2]) if port.startswith("socket://") else port


def line_at(port: int | str | None) -> SerialEnd:
    """Return the end at a TCP port or path; where none is said a nameless pty, or any TCP port on Windows."""
    if port is None and os.name != "posix":
        port = 0
    return SerialEnd(Path(port) if isinstance(port, str) else port)


class SerialEnd:
    """Where a device's line ends. ``where`` is a TCP port (0: any), a path to be called so, or None for a nameless pty.

    A pty needs Linux or macOS. Nothing here waits for the computer at the other end: what it does not take in time is
    lost, as on a real line, and counted in ``dropped`` bytes.
    """

    def __init__(self, where: int | Path | None) -> None:
        self._where = where
        self._server: socket.socket | None = None
        self._client: socket.socket | None = None
        self._device = self._computer = -1
        self._line = ""
        self.url = ""
        self.dropped = 0

    def open(self) -> None:
        """Make the line; ``url`` is then what a rig calls it. Raises DeviceError."""
        self.close()
        try:
            if isinstance(self._where, int):
                self._server = socket.create_server(("127.0.0.1", self._where))
                self._server.settimeout(0)
                self._where = int(self._server.getsockname()[1])  # plugged in again, it is the same
                self.url = f"socket://127.0.0.1:{self._where}"
            else:
                self._open_pty(self._where)
        except OSError as error:
            self.close()
            raise DeviceError(f"the emulated line {self._where} cannot be made ({said(error)})") from None

    def _open_pty(self, path: Path | None) -> None:
        if os.name != "posix":
            raise DeviceError("a line with a path needs Linux or macOS; give a TCP port instead")
        import tty

        self._device, self._computer = os.openpty()
        tty.setraw(self._computer)
        os.set_blocking(self._device, False)
        self.url = self._line = os.ttyname(self._computer)
        if path is not None:
            if path.is_symlink():
                path.unlink()
            path.symlink_to(self._line)
            self.url = str(path)

    def receive(self, wait_s: float) -> bytes:
        """Return what the computer has sent, b"" after ``wait_s`` without a byte."""
        if self._server is not None and self._client is None and not self._accept(wait_s):
            return b""
        end = self._client if self._client is not None else self._device
        if end == -1 or not select.select([end], [], [], wait_s)[0]:
            return b""
        try:
            data = self._client.recv(_MOST_BYTES) if self._client is not None else os.read(self._device, _MOST_BYTES)
        except OSError:
            data = b""
        if not data and self._client is not None:
            self._hang_up()
        return data

    def send(self, data: bytes) -> None:
        """Send what the line takes now; the rest is lost. Bytes of one call are lost from its end only."""
        if self._server is not None and self._client is None:
            return
        sent = 0
        try:
            sent = self._client.send(data) if self._client is not None else os.write(self._device, data)
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()
            return
        self.dropped += len(data) - sent

    def unplug(self) -> None:
        """Break the line off; ``open`` plugs it in again."""
        self.close()

    def close(self) -> None:
        """Let go of the line; any number of times."""
        self._hang_up()
        if self._server is not None:
            self._server.close()
        self._server = None
        for end in (self._device, self._computer):
            if end != -1:
                with contextlib.suppress(OSError):
                    os.close(end)
        self._device = self._computer = -1
        if self._line and isinstance(self._where, Path) and os.path.realpath(self._where) == self._line:
            self._where.unlink()  # and not that of another emulator, which has taken the name
        self._line = ""

    def _accept(self, wait_s: float) -> bool:
        assert self._server is not None
        if not select.select([self._server], [], [], wait_s)[0]:
            return False
        with contextlib.suppress(OSError):
            self._client, _ = self._server.accept()
            self._client.settimeout(0)
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._client is not None

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
