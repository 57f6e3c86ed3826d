"""The conversation with a NatNet server: connect, ask, listen, keep alive, compare clocks."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from typing import Final, Literal, NamedTuple, TypeVar

from pydantic import Field, field_validator

from drivers.driver import DriverConfig
from drivers.host_clock import HostClock
from drivers.links.udp_link import UdpLink, receive_first
from drivers.optitrack.model_codec import Models
from drivers.optitrack.natnet_codec import (
    NatNetCodec,
    Packet,
    Response,
    ServerInfo,
    Unrecognized,
    hello,
    message,
    request,
)
from drivers.optitrack.server_clock import EchoClock
from drivers.optitrack.wire import NEWEST, OLDEST, TICKING, Message
from lab.errors import DeviceError

COMMAND_PORT: Final = 1510
DATA_PORT: Final = 1511
GROUP: Final = "239.255.42.99"

_ASK_AGAIN_S: Final = 0.5
_CONNECT_S: Final = 4.0
_ANSWER_S: Final = 1.5
_LATE_ANSWER_S: Final = 0.2
#: A server forgets a unicast client that has not said so for some seconds.
_KEEP_ALIVE_S: Final = 1.0
_WAIT_S: Final = 0.2

_Kind = TypeVar("_Kind", bound=Packet)


class NatNetConfig(DriverConfig):
    """A server of NatNet, such as Motive, and how its frames come here."""

    host: str = Field(min_length=1, max_length=255, description="Address of the computer that runs Motive.")
    interface: str = Field(
        "0.0.0.0",  # noqa: S104 - the system chooses one
        description="Address of this computer's network card towards Motive; name it where there are several.",
    )
    transport: Literal["auto", "unicast", "multicast"] = Field(
        "auto", description="How frames come: as Motive says it is set, or as it must be; Motive 1 does not say it."
    )
    command_port: int = Field(COMMAND_PORT, ge=1, le=65535, description="UDP port at which Motive takes requests.")
    data_port: int | None = Field(None, ge=1, le=65535, description="UDP port of multicast frames, if Motive is wrong.")
    group: str | None = Field(None, description="Multicast group of the frames, if Motive is wrong.")
    rate_hz: float | None = Field(None, gt=0, le=5000, description="Frames per second, where Motive does not say it.")
    echo_s: float = Field(1.0, ge=0.1, le=60, description="Seconds from one echo of Motive's clock to the next.")
    stall_s: float = Field(5.0, gt=0.5, le=600, description="Seconds without a frame after which it has failed.")

    @field_validator("interface", "group")
    @classmethod
    def _numbers(cls, address: str | None) -> str | None:
        if address is not None:
            try:
                ipaddress.IPv4Address(address)
            except ValueError:
                raise ValueError(f"'{address}' is no address of the form 192.168.0.2") from None
        return address

    @field_validator("group")
    @classmethod
    def _multicast(cls, address: str | None) -> str | None:
        if address is not None and not ipaddress.IPv4Address(address).is_multicast:
            raise ValueError(f"'{address}' is no multicast group; they go from 224.0.0.0 to 239.255.255.255")
        return address


class Received(NamedTuple):
    """A packet and its arrival in host time."""

    packet: Packet
    arrival_s: float


class NatNetSession:
    """One connection. ``echo`` compares clocks, where the server has one that can be asked."""

    def __init__(self, config: NatNetConfig, clock: HostClock) -> None:
        self.what = f"Motive at {config.host}"
        self.codec = NatNetCodec()
        self.echo: EchoClock | None = None
        self.strangers: set[str] = set()
        self._config = config
        self._host_clock = clock
        self._address = (config.host, config.command_port)
        self._command: UdpLink | None = None
        self._links: list[UdpLink] = []
        self._next_echo_s = self._next_keep_alive_s = 0.0
        self._info: ServerInfo | None = None

    @property
    def info(self) -> ServerInfo:
        """Who answered. Raises DeviceError before that."""
        if self._info is None:
            raise DeviceError(f"{self.what} is not open; open it first")
        return self._info

    @property
    def multicast(self) -> bool:
        """Whether frames come to a group."""
        return len(self._links) > 1

    def open(self) -> None:
        """Connect, and listen to where the server sends its frames. Raises DeviceError."""
        try:
            self._address = (socket.gethostbyname(self._config.host), self._config.command_port)
        except OSError:
            raise DeviceError(f"there is no computer called '{self._config.host}'; check Motive's address") from None
        self._command = UdpLink(self._config.interface, 0, self.what, self._host_clock)
        self._links = [self._command]
        self._command.open()
        info = self.ask(hello(), ServerInfo, _CONNECT_S)
        if info is None:
            raise DeviceError(
                f"{self.what} does not answer on UDP port {self._address[1]}; check that it runs with streaming on, "
                "its address, and the firewalls"
            )
        if not OLDEST <= info.version < (NEWEST.major + 1, 0):
            raise DeviceError(
                f"{self.what} speaks NatNet {info.version}; {OLDEST} to {NEWEST} are understood: update one of the two"
            )
        self._info = info
        self._listen(info)
        if info.version >= TICKING and info.clock_hz > 0:
            self.echo = EchoClock(info.clock_hz)

    def _listen(self, info: ServerInfo) -> None:
        wanted = self._config.transport
        told = info.multicast
        if told is not None and wanted != "auto" and told != (wanted == "multicast"):
            raise DeviceError(
                f"{self.what} sends by {'multicast' if told else 'unicast'}, but the rig says {wanted}; "
                "set 'Transmission Type' in Motive's streaming settings, or 'transport' in the rig"
            )
        if wanted == "unicast" or (wanted == "auto" and told is False):
            return
        data = UdpLink(
            "",
            self._config.data_port or info.data_port or DATA_PORT,
            self.what,
            self._host_clock,
            group=self._config.group or info.group or GROUP,
            interface=self._config.interface,
        )
        self._links.append(data)
        data.open()

    def ask(self, datagram: bytes, kind: type[_Kind], wait_s: float = _ANSWER_S) -> _Kind | None:
        """Send a request, several times if need be, and return its answer; None without one within ``wait_s``.

        Whatever else comes meanwhile is dropped. Raises DeviceError where the socket failed.
        """
        started_s = self._now_s()
        again_s, asked = started_s, 0
        while (now_s := self._now_s()) < started_s + wait_s:
            if now_s >= again_s:
                self.send(datagram)
                asked, again_s = asked + 1, now_s + _ASK_AGAIN_S
            received = self._receive(0.05)
            if received is None:
                continue
            if isinstance(received.packet, kind):
                if asked > 1:
                    self._let_pass(_LATE_ANSWER_S)  # answers carry no number: the other one must not be the next one's
                return received.packet
            if isinstance(received.packet, Unrecognized) and kind is Response:
                return None
        return None

    def ask_number(self, question: str) -> Response | None:
        """Return the answer to a remote request, None where the server does not know it or has none."""
        return self.ask(request(question), Response)

    def models(self) -> Models | None:
        """Return what the server tracks, None without an answer."""
        return self.ask(message(Message.REQUEST_MODELS), Models, _CONNECT_S)

    def request_models(self) -> None:
        """Ask for the models; they come among the other packets."""
        self.send(message(Message.REQUEST_MODELS))

    def receive(self, wait_s: float = _WAIT_S) -> Received | None:
        """Return the next packet, None after ``wait_s`` without one; keep alive and ask for echoes by the way."""
        now_s = self._now_s()
        if not self.multicast and now_s >= self._next_keep_alive_s:
            self._next_keep_alive_s = now_s + _KEEP_ALIVE_S
            self.send(message(Message.KEEP_ALIVE))
        if now_s >= self._next_echo_s:
            self._next_echo_s = now_s + self._config.echo_s
            self.compare_clocks()
        received = self._receive(wait_s)
        if received is not None and isinstance(received.packet, ServerInfo) and received.packet != self._info:
            raise DeviceError(f"{self.what} is another server than before; it is opened anew")
        return received

    def compare_clocks(self) -> None:
        """Ask for the server's clock, where it has one."""
        if self.echo is not None:
            self.send(self.echo.ask(self._now_s()))

    def send(self, datagram: bytes) -> None:
        """Send to the server's command port. Raises DeviceError where it cannot be reached."""
        if self._command is None:
            raise DeviceError(f"{self.what} is not open; open it first")
        self._command.send(datagram, self._address)

    def close(self) -> None:
        """Say goodbye and let go of the sockets; any number of times."""
        if self._command is not None and self._info is not None and not self.multicast:
            with contextlib.suppress(DeviceError):  # it is gone already
                self.send(message(Message.DISCONNECT))
        for link in self._links:
            link.close()
        self._links, self._command, self._info, self.echo = [], None, None, None

    def _receive(self, wait_s: float) -> Received | None:
        if not self._links:
            raise DeviceError(f"{self.what} is not open; open it first")
        found = receive_first(self._links, wait_s)
        if found is None:
            return None
        _, datagram = found
        if datagram.sender[0] != self._address[0]:
            if len(self.strangers) < 3:
                self.strangers.add(datagram.sender[0])
            return None
        packet = self.codec.feed(datagram.data)
        return None if packet is None else Received(packet, datagram.arrival_s)

    def _let_pass(self, wait_s: float) -> None:
        end_s = self._now_s() + wait_s
        while (left_s := end_s - self._now_s()) > 0:
            self._receive(left_s)

    def _now_s(self) -> float:
        return self._host_clock.now_s()
