"""A UDP socket on which a device's datagrams arrive."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from drivers.host_clock import HostClock
from drivers.links.tcp_link import said
from lab.errors import DeviceError

#: A burst of this much waits in the kernel while the reader is busy.
_BUFFER_BYTES: Final = 4 * 2**20
_LONGEST_DATAGRAM: Final = 65535
#: What Windows says on a socket whose last datagram met a closed port; it concerns nobody.
_PORT_UNREACHABLE: Final = 10054
#: What Windows says of an address that none of its cards has.
_NO_SUCH_ADDRESS: Final = 10049


class Datagram(NamedTuple):
    """A datagram, whole, who sent it, and its arrival in host time."""

    data: bytes
    sender: tuple[str, int]
    arrival_s: float


class UdpLink:
    """A socket bound to ``host``:``port`` (0: any), a member of ``group`` on ``interface`` where a group is given.

    ``what`` is what sentences call the device; with ``broadcast`` it may send to all of a network.
    """

    def __init__(
        self,
        host: str,
        port: int,
        what: str,
        clock: HostClock,
        group: str | None = None,
        interface: str = "0.0.0.0",  # noqa: S104 - the system chooses one
        *,
        broadcast: bool = False,
    ) -> None:
        self._address = (host, port)
        self._what = what
        self._clock = clock
        self._group = group
        self._interface = interface
        self._broadcast = broadcast
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Bind the socket and join the group. Raises DeviceError."""
        self.close()
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket = line
        where = f"UDP port {self._address[1]}"
        try:
            with contextlib.suppress(OSError):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            if self._broadcast:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if self._group is not None:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # others may listen to the group too
            line.bind(self._address)
            if self._group is not None:
                where = f"multicast group {self._group} on interface {self._interface}"
                member = struct.pack("4s4s", socket.inet_aton(self._group), socket.inet_aton(self._interface))
                line.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except (OSError, UnicodeError, OverflowError) as error:  # the last two: what can be no name, or no port
            self.close()
            if (
                getattr(error, "errno", None) in {errno.EADDRNOTAVAIL, errno.ENODEV}
                or getattr(error, "winerror", None) == _NO_SUCH_ADDRESS
            ):
                address = self._interface if self._group is not None else self._address[0]
                raise DeviceError(
                    f"this computer has no network card with the address {address}, which is to reach {self._what}; "
                    "check it, and the cable"
                ) from None
            raise DeviceError(f"{where} for {self._what} cannot be used ({said(error)}); is it in use?") from None

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        """Send one datagram. Raises DeviceError where the address cannot be reached."""
        try:
            self._opened().sendto(data, address)
        except (OSError, OverflowError) as error:
            raise DeviceError(
                f"{self._what} at {address[0]}:{address[1]} cannot be reached ({said(error)}); check its address"
            ) from None

    def receive(self, wait_s: float = 0.2) -> Datagram | None:
        """Return the next datagram, None after ``wait_s`` without one. Raises DeviceError where the socket failed."""
        line = self._opened()
        try:
            line.settimeout(wait_s)
            data, sender = line.recvfrom(_LONGEST_DATAGRAM)
        except (TimeoutError, BlockingIOError, ConnectionError):  # the last: nobody is there yet, on some systems
            return None
        except OSError as error:
            if getattr(error, "winerror", None) == _PORT_UNREACHABLE:
                return None
            raise DeviceError(f"{self._what} broke off ({said(error)}); check its cable") from None
        return Datagram(data, (str(sender[0]), int(sender[1])), self._clock.now_s())

    @property
    def local_address(self) -> tuple[str, int]:
        """Host and port of this end."""
        host, port = self._opened().getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Let go of the socket; any number of times."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
        self._socket = None

    def _opened(self) -> socket.socket:
        if self._socket is None:
            raise DeviceError(f"{self._what} is not open; open it first")
        return self._socket

    def fileno(self) -> int:
        """Return the socket's number, for ``select``. Raises DeviceError where it is not open."""
        return self._opened().fileno()


def receive_first(links: Sequence[UdpLink], wait_s: float = 0.2) -> tuple[UdpLink, Datagram] | None:
    """Return what any of several sockets gets next, and which; None after ``wait_s`` without anything.

    Where several have something, the first in ``links`` goes first. Raises DeviceError where one of them failed.
    """
    readable = select.select(links, (), (), wait_s)[0]
    for link in readable:
        datagram = link.receive(0)
        if datagram is not None:
            return link, datagram
    return None
