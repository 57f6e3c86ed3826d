"""A TCP connection to a device."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from drivers.host_clock import HostClock
from lab.errors import DeviceError

_CONNECT_S: Final = 5.0
_SEND_S: Final = 2.0
_MOST_BYTES: Final = 65536


class TcpLink:
    """A connection to ``host``:``port``; ``what`` is what sentences call the device, such as "the Trigno server"."""

    def __init__(self, host: str, port: int, what: str, clock: HostClock) -> None:
        self._address = (host, port)
        self._what = f"{what} at {host}:{port}"
        self._clock = clock
        self._socket: socket.socket | None = None

    def open(self, wait_s: float = _CONNECT_S) -> None:
        """Connect within ``wait_s`` seconds. Raises DeviceError."""
        self.close()
        try:
            self._socket = socket.create_connection(self._address, timeout=wait_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except (OSError, UnicodeError, OverflowError) as error:  # the last two: what can be no name, or no port
            self.close()
            raise DeviceError(
                f"{self._what} does not answer ({said(error)}); check that it runs, and its address"
            ) from None

    def send(self, data: bytes) -> None:
        """Send all of ``data``. Raises DeviceError."""
        line = self._connected()
        try:
            line.settimeout(_SEND_S)
            line.sendall(data)
        except OSError as error:
            raise DeviceError(f"{self._what} broke off ({said(error)}); check its cable") from None

    def receive(self, wait_s: float = 0.2) -> tuple[bytes, float] | None:
        """Return what has come, 64 KiB at most, and its arrival in host time; None after ``wait_s`` without a byte.

        Raises DeviceError where the connection is closed or broken.
        """
        line = self._connected()
        try:
            line.settimeout(wait_s)
            data = line.recv(_MOST_BYTES)
        except (TimeoutError, BlockingIOError):  # the second where wait_s is 0
            return None
        except OSError as error:
            raise DeviceError(f"{self._what} broke off ({said(error)}); check its cable") from None
        arrival_s = self._clock.now_s()
        if not data:
            raise DeviceError(f"{self._what} closed the connection; check that it still runs")
        return data, arrival_s

    def fileno(self) -> int:
        """Return what a selector waits on, for a reader of several connections."""
        return self._connected().fileno()

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of this end."""
        host, port = self._connected().getsockname()[:2]
        return str(host), int(port)

    @property
    def peer_address(self) -> tuple[str, int]:
        """Address, resolved, and port of the device's end. Raises DeviceError where it has just gone."""
        try:
            host, port = self._connected().getpeername()[:2]
        except OSError as error:
            raise DeviceError(f"{self._what} broke off ({said(error)}); check its cable") from None
        return str(host), int(port)

    def close(self) -> None:
        """Disconnect; any number of times."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise DeviceError(f"{self._what} is not connected; open it first")
        return self._socket


def said(error: Exception) -> str:
    """Return what an error, mostly of the operating system, says, without its number."""
    told = error.strerror if isinstance(error, OSError) else None
    return (told or str(error) or type(error).__name__).lower()
