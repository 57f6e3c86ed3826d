"""QTM's packets: bytes in, packets out, no socket.

A packet is ``<II`` size (with these eight bytes) and type, then its body. Sources: see rt_components. Types 5, 7 and 8
(files, discovery) are never asked for over TCP and are only known by their size. No hardware was seen.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from drivers.qualisys.rt_components import Component, Malformed, decode_component

#: Packet types.
ERROR, COMMAND, XML, DATA, NO_MORE_DATA, C3D_FILE, EVENT, DISCOVER, QTM_FILE = range(9)

_HEADER: Final = struct.Struct("<II")
_DATA: Final = struct.Struct("<QII")
#: Ten times what a thousand markers, ten skeletons and a second of 64 analogue channels at 2 kHz take.
LONGEST_PACKET: Final = 8 * 2**20
#: Where the beginning of a packet is looked for, nothing is waited for that is longer than this, or than twice the
#: longest packet so far: what only looks like a beginning holds up no more.
_LONGEST_FOUND: Final = 2**12
_LONGEST_TEXT: Final = 2**12
_MOST_COMPONENTS: Final = 64
_KINDS: Final = frozenset(range(9))
#: Kinds that tell of themselves whether they are whole, and are no files.
_SURE_KINDS: Final = frozenset({ERROR, COMMAND, XML, DATA, NO_MORE_DATA, EVENT})
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
#: What may be a header: a size of at least eight and a type that there is.
_MAYBE_HEADER: Final = re.compile(rb"(?!\x00\x00\x00|[\x00-\x07]\x00\x00\x00)...\x00[\x00-\x08]\x00\x00\x00", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """What answers a command: text, an error, or parameters as XML, which ``kind`` says."""

    kind: int
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened to QTM, or the answer to GetState."""

    number: int


@dataclass(frozen=True, slots=True)
class NoMoreData:
    """There is no measurement, or it is over."""


@dataclass(frozen=True, slots=True)
class Data:
    """Some or all components of one frame; ``timestamp_us`` counts from the start of the measurement."""

    timestamp_us: int
    frame: int
    components: tuple[Component, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """A packet that is of no use here."""

    kind: int


Packet = Reply | Event | NoMoreData | Data | Other


def decode_packet(packet: memoryview) -> Packet:
    """Return a whole packet, header and all. Raises Malformed where it is not what it says."""
    if len(packet) < _HEADER.size:
        raise Malformed
    size, kind = _HEADER.unpack_from(packet)
    if size != len(packet):
        raise Malformed
    body = packet[_HEADER.size :]
    if kind == DATA:
        return _data(body)
    if kind in {ERROR, COMMAND, XML}:
        return Reply(kind, _text(body, LONGEST_PACKET if kind == XML else _LONGEST_TEXT))
    if kind == EVENT and len(body) == 1:
        return Event(body[0])
    if kind == NO_MORE_DATA and not body:
        return NoMoreData()
    if kind in {C3D_FILE, DISCOVER, QTM_FILE}:
        return Other(kind)
    raise Malformed


def _data(body: memoryview) -> Data:
    if len(body) < _DATA.size:
        raise Malformed
    timestamp_us, frame, count = _DATA.unpack_from(body)
    if count > _MOST_COMPONENTS:
        raise Malformed
    at = _DATA.size
    found = []
    for _ in range(count):
        if len(body) - at < _HEADER.size:
            raise Malformed
        size, kind = _HEADER.unpack_from(body, at)
        if not _HEADER.size <= size <= len(body) - at:
            raise Malformed
        component = decode_component(kind, body[at + _HEADER.size : at + size])
        if component is not None:
            found.append(component)
        at += size
    if at != len(body):
        raise Malformed
    return Data(timestamp_us, frame, tuple(found))


def _text(body: memoryview, longest: int) -> str:
    """Return a text without the NUL at its end, which Qualisys promises; labels come in other alphabets than ASCII."""
    raw = bytes(body[:-1])
    if not raw or body[-1] or len(raw) > longest or _CONTROL.search(raw):
        raise Malformed
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


class RtCodec:
    """Packets of a TCP connection, whatever pieces it comes in.

    After something that is no packet, the next that is whole and right in itself is looked for. ``skipped_bytes`` is
    what was passed over, ``damaged`` how often. A wrong size is waited for up to ``longest_packet`` bytes at most.
    """

    def __init__(self, longest_packet: int = LONGEST_PACKET) -> None:
        self._longest_packet = longest_packet
        self._buffer = b""
        self._found = True
        self._longest = 0
        self._looked = 0
        self.skipped_bytes = 0
        self.damaged = 0

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that are whole now. Raises nothing; keeps 8 MiB and one feed at most."""
        buffer = self._buffer + data if self._buffer else data
        view = memoryview(buffer)
        packets: list[Packet] = []
        at = 0
        while True:
            if not self._found:
                at = self._next_header(buffer, at)
            if len(buffer) - at < _HEADER.size:
                break
            size, kind = _HEADER.unpack_from(buffer, at)
            longest = self._longest_packet if self._found else max(_LONGEST_FOUND, 2 * self._longest)
            kinds = _KINDS if self._found else _SURE_KINDS
            if not _HEADER.size <= size <= longest or kind not in kinds or self._absurd(buffer, at, size, kind):
                at = self._skip(at)
                continue
            if at + size > len(buffer):
                break
            try:
                packets.append(decode_packet(view[at : at + size]))
            except Malformed:
                at = self._skip(at)
                continue
            self._found = True
            self._longest = max(self._longest, size)
            at += size
            self._looked = 0
        self._buffer = buffer[at:]
        self._looked = max(0, self._looked - at)
        return packets

    def _skip(self, at: int) -> int:
        """Pass over a byte that begins no packet."""
        self.damaged += self._found
        self._found = False
        self.skipped_bytes += 1
        self._looked = 0
        return at + 1

    def _next_header(self, buffer: bytes, at: int) -> int:
        match = _MAYBE_HEADER.search(buffer, at)
        # the last seven bytes may be the beginning of one
        there = match.start() if match else max(at, len(buffer) - _HEADER.size + 1)
        self.skipped_bytes += there - at
        return there

    def _absurd(self, buffer: bytes, at: int, size: int, kind: int) -> bool:
        """Tell from what is there already that a packet can only be wrong: nobody waits for eight megabytes of it."""
        if kind in {ERROR, COMMAND}:
            return size > _HEADER.size + _LONGEST_TEXT + 1
        if kind in {EVENT, NO_MORE_DATA}:
            return size != _HEADER.size + (kind == EVENT)
        if kind == XML:
            begin = max(at + _HEADER.size, self._looked)  # each byte is looked at once
            self._looked = min(len(buffer), at + size - 1)
            return _CONTROL.search(buffer, begin, self._looked) is not None
        return kind == DATA and _absurd_frame(buffer, at, at + size)


def _absurd_frame(buffer: bytes, at: int, end: int) -> bool:
    """Tell whether the components that are there already do not lead to the packet's end."""
    place = at + _HEADER.size + _DATA.size
    if place > end:
        return True
    if place > len(buffer):
        return False
    (count,) = struct.unpack_from("<I", buffer, place - 4)
    if count > _MOST_COMPONENTS or place + count * _HEADER.size > end:
        return True
    for _ in range(count):
        if place + 4 > len(buffer):
            return False
        (size,) = struct.unpack_from("<I", buffer, place)
        place += size
        if size < _HEADER.size or place > end:
            return True
    return place != end
