"""NatNet's messages: datagrams in, packets out, without a socket.

A datagram is one message: u16 what it is, u16 length of what follows, little-endian. Sources: OptiTrack's public
documents of the remote requests, recorded packets and a capture of Motive 2.1 (NatNet 3.0), public clients. Frames and
descriptions of models have modules of their own, where it stands what is unconfirmed.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from dataclasses import dataclass
from typing import Final

from drivers.optitrack.frame_codec import MocapFrame, decode_frame
from drivers.optitrack.model_codec import Models, decode_models
from drivers.optitrack.wire import HEADER, NEWEST, TICKING, UNRECOGNIZED_TOO, BadPacketError, Cursor, Message, Version

_NAME_BYTES: Final = 256
_VERSIONS: Final = struct.Struct("<4B4B")
_CLOCK: Final = struct.Struct("<QHB4B")
_ECHO: Final = struct.Struct("<QQ")
_U64: Final = struct.Struct("<Q")
#: Reasons that are told apart among skipped datagrams; what hostile senders make up beyond is counted together.
_MOST_REASONS: Final = 50


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """Who streams. ``clock_hz`` is 0, ``data_port`` 0 and ``multicast`` None before version 3."""

    application: str
    application_version: str
    version: Version
    clock_hz: int = 0
    data_port: int = 0
    multicast: bool | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request: a float, an integer or a text, as the request has it."""

    payload: bytes

    def as_float(self) -> float | None:
        """Return it as a float, None where it is none."""
        return float(struct.unpack("<f", self.payload)[0]) if len(self.payload) == 4 else None

    def as_int(self) -> int | None:
        """Return it as an integer, None where it is none."""
        return int(struct.unpack("<i", self.payload)[0]) if len(self.payload) == 4 else None


@dataclass(frozen=True, slots=True)
class Unrecognized:
    """The server does not know a request."""


@dataclass(frozen=True, slots=True)
class Echo:
    """The server's clock, in ticks, when it answered the request that was stamped ``token``."""

    token: int
    ticks: int


Packet = ServerInfo | Response | Unrecognized | Echo | Models | MocapFrame


class NatNetCodec:
    """Decodes a server's datagrams. ``skipped`` counts those that failed their checks, by the reason.

    Frames and models are read as the version that the server named last, or as ``version`` where it has not.
    """

    def __init__(self, version: Version | None = None) -> None:
        self.version = version
        self.skipped: Counter[str] = Counter()

    def feed(self, datagram: bytes) -> Packet | None:
        """Return what the datagram says; None where it says nothing to a client, or failed its checks."""
        try:
            return self._decode(datagram)
        except BadPacketError as error:
            reason = str(error)
        if len(self.skipped) >= _MOST_REASONS and reason not in self.skipped:
            reason = "others"
        self.skipped[reason] += 1
        return None

    def _decode(self, datagram: bytes) -> Packet | None:
        cursor = Cursor(datagram)
        message, size = cursor.take(HEADER)
        if size != cursor.left:
            raise BadPacketError("another length than it says")
        if message in (Message.FRAME, Message.MODELS) and self.version is None:
            raise BadPacketError("before the server said its version")
        if message == Message.FRAME:
            assert self.version is not None
            return decode_frame(datagram, cursor.offset, self.version)
        if message == Message.MODELS:
            assert self.version is not None
            return decode_models(datagram, cursor.offset, self.version)
        if message == Message.SERVER_INFO:
            info = _server_info(cursor)
            self.version = info.version
            return info
        if message == Message.ECHO_RESPONSE:
            token, ticks = cursor.take(_ECHO)
            return Echo(int(token), int(ticks))
        if message == Message.RESPONSE:
            return Response(bytes(datagram[cursor.offset :]))
        return Unrecognized() if message in (Message.UNRECOGNIZED, UNRECOGNIZED_TOO) else None


def _server_info(cursor: Cursor) -> ServerInfo:
    application = cursor.fixed_text(_NAME_BYTES)
    numbers = cursor.take(_VERSIONS)
    version = Version(numbers[4], numbers[5])
    called = ".".join(str(number) for number in numbers[:4])
    if version < TICKING or cursor.left < _CLOCK.size:
        return ServerInfo(application, called, version)
    clock_hz, port, multicast, *group = cursor.take(_CLOCK)
    return ServerInfo(
        application, called, version, int(clock_hz), int(port), bool(multicast), socket.inet_ntoa(bytes(group))
    )


def message(kind: Message, payload: bytes = b"") -> bytes:
    """Return a datagram."""
    return HEADER.pack(kind, len(payload)) + payload


def hello(kind: Message = Message.CONNECT) -> bytes:
    """Return a request to connect, or to be found with ``Message.DISCOVERY``: who asks, and what it understands."""
    versions = _VERSIONS.pack(*NEWEST, 0, 0, *NEWEST, 0, 0)
    return message(kind, b"flex-capture".ljust(_NAME_BYTES, b"\0") + versions)


def request(text: str) -> bytes:
    """Return a remote request such as ``FrameRate``."""
    return message(Message.REQUEST, text.encode() + b"\0")


def echo_request(token: int) -> bytes:
    """Return a request for the server's clock; the answer carries ``token``, which is below 2**64."""
    return message(Message.ECHO_REQUEST, _U64.pack(token))
