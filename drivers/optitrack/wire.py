"""What all NatNet messages are made of: a header, little-endian numbers, and texts that end in a zero byte.

Everything here is bounded by the datagram: a count that its rest cannot hold is a ``BadPacketError``, never memory.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

#: Bytes of the header: message and length of what follows it, u16 each.
HEADER: Final = struct.Struct("<HH")
#: Longest text that is read; a name of Motive has 256 bytes at most.
_LONGEST_TEXT: Final = 1024

U32: Final = struct.Struct("<I")
COUNT_AND_SIZE: Final = struct.Struct("<II")


class Message(IntEnum):
    """What a datagram is."""

    CONNECT = 0
    SERVER_INFO = 1
    REQUEST = 2
    RESPONSE = 3
    REQUEST_MODELS = 4
    MODELS = 5
    REQUEST_FRAME = 6
    FRAME = 7
    TEXT = 8
    DISCONNECT = 9
    KEEP_ALIVE = 10
    ECHO_REQUEST = 12
    ECHO_RESPONSE = 13
    DISCOVERY = 14
    UNRECOGNIZED = 100


#: Seen for UNRECOGNIZED as well.
UNRECOGNIZED_TOO: Final = 0x100


class Version(NamedTuple):
    """A NatNet version; 2.10 is later than 2.9."""

    major: int
    minor: int

    def __str__(self) -> str:
        """Return it as Motive writes it."""
        return f"{self.major}.{self.minor}"


#: From here on each section of a frame and each model description says how many bytes it has.
SIZED: Final = Version(4, 1)
#: From here on there is a server clock in ticks, and echoes.
TICKING: Final = Version(3, 0)
#: From here on there are labelled markers.
LABELLED: Final = Version(2, 3)
#: From here on markers and rigid bodies carry flags.
FLAGGED: Final = Version(2, 6)
#: Versions whose frames are understood.
OLDEST: Final = Version(2, 1)
NEWEST: Final = Version(4, 2)


class BadPacketError(ValueError):
    """A datagram that is not what it should be; ``str`` says why in a word or two."""


class Cursor:
    """Reads a datagram from front to back. Every method raises BadPacketError rather than read beyond its end."""

    def __init__(self, data: bytes, offset: int = 0, end: int | None = None) -> None:
        self.data = data
        self.offset = offset
        self.end = len(data) if end is None else end

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return self.end - self.offset

    def take(self, layout: struct.Struct) -> tuple[Any, ...]:
        """Return the numbers of ``layout``."""
        after = self.offset + layout.size
        if after > self.end:
            raise BadPacketError("too short")
        numbers = layout.unpack_from(self.data, self.offset)
        self.offset = after
        return numbers

    def u32(self) -> int:
        """Return one number."""
        return int(self.take(U32)[0])

    def count(self, least_bytes: int) -> int:
        """Return how many items of at least so many bytes follow."""
        number = self.u32()
        if number * least_bytes > self.left:
            raise BadPacketError("a count beyond its end")
        return number

    def array(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        """Return ``count`` items as an array; it reads the datagram's own memory."""
        kind = np.dtype(dtype)
        size = kind.itemsize * count
        if size > self.left:
            raise BadPacketError("too short")
        items = np.frombuffer(self.data, kind, count, self.offset)
        self.offset += size
        return items

    def text(self) -> str:
        """Return a text that ends in a zero byte; what is no UTF-8 in it is replaced."""
        stop = self.data.find(b"\0", self.offset, min(self.end, self.offset + _LONGEST_TEXT))
        if stop < 0:
            raise BadPacketError("a text without an end")
        text = self.data[self.offset : stop].decode("utf-8", "replace")
        self.offset = stop + 1
        return text

    def fixed_text(self, size: int) -> str:
        """Return the text in a field of ``size`` bytes; what stands behind its zero byte is rubbish."""
        if size > self.left:
            raise BadPacketError("too short")
        field = self.data[self.offset : self.offset + size]
        self.offset += size
        return field.split(b"\0", 1)[0].decode("utf-8", "replace")
