"""The Cyton's packets: 33 bytes each, found again whatever happens to the line.

``0xA0``, sample number (u8), 8 x int24 big-endian, 6 bytes of aux, ``0xC0`` + kind of aux. The packet has no checksum:
whether bytes are a packet is told from their first and last byte, from what follows them, and from the numbers.

Sources: OpenBCI's "Cyton Data Format" and the firmware that sends it (OpenBCI/OpenBCI_Cyton_Library 3.1.5, MIT). There,
in the kinds with a time, the first two bytes of aux are one axis of the accelerometer: x in packets whose number ends
in 7, y in 8, z in 9. Unconfirmed, for want of a board: kinds 1, 2, 5 and 6, of which only the time is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

SIZE: Final = 33
CHANNELS: Final = 8
#: Sample numbers wrap here.
NUMBERS: Final = 256

#: Kinds of aux: what the six bytes before the stop byte are.
ACCEL: Final = 0
RAW_AUX: Final = 1
USER: Final = 2
ACCEL_TIME_SET: Final = 3
ACCEL_TIME: Final = 4
RAW_AUX_TIME_SET: Final = 5
RAW_AUX_TIME: Final = 6

_START: Final = 0xA0
_STOP: Final = 0xC0
_LAST: Final = SIZE - 1
_STOPS: Final = frozenset(range(_STOP, _STOP + RAW_AUX_TIME + 1))

#: After damage, numbers this far on still go with the last before it.
_NEAR: Final = 4

UInt8 = npt.NDArray[np.uint8]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Packets:
    """Whole packets in order: numbers (n,), counts of the converter (n, 8), aux bytes (n, 6), kinds of aux (n,)."""

    number: UInt8
    raw: Int32
    aux: UInt8
    kind: UInt8

    def __len__(self) -> int:
        """Return how many packets there are."""
        return len(self.number)

    @property
    def words(self) -> npt.NDArray[np.int16]:
        """The aux bytes as (n, 3) numbers: the axes x, y and z in packets of kind 0; in those with a time the first."""
        return np.asarray(np.ascontiguousarray(self.aux).view(">i2"), dtype=np.int16)

    @property
    def has_time(self) -> npt.NDArray[np.bool_]:
        """Which packets (n,) carry the board's time."""
        return np.asarray(self.kind >= ACCEL_TIME_SET)

    @property
    def board_ms(self) -> npt.NDArray[np.int64]:
        """The board's milliseconds (n,), modulo 2^32, where ``has_time``."""
        return np.asarray(np.ascontiguousarray(self.aux[:, 2:]).view(">u4")[:, 0], dtype=np.int64)


def packets_of(data: bytes) -> Packets:
    """Return what ``data``, whole packets one after the other, say. Nothing is checked here."""
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, SIZE)
    wide = np.zeros((len(rows), CHANNELS, 4), dtype=np.uint8)
    wide[:, :, :3] = rows[:, 2:26].reshape(-1, CHANNELS, 3)
    raw = wide.view(">i4")[:, :, 0] >> 8  # the sign comes along
    return Packets(rows[:, 1], raw.astype(np.int32, copy=False), rows[:, 26:_LAST], rows[:, _LAST] & np.uint8(0x0F))


def packet_bytes(number: int, raw: npt.ArrayLike, aux: bytes, kind: int) -> bytes:
    """Return one packet: ``raw`` are eight counts of the converter, ``aux`` six bytes."""
    counts = np.asarray(raw, dtype=np.int64) & 0xFFFFFF
    body = counts.astype(">u4").view(np.uint8).reshape(CHANNELS, 4)[:, 1:].tobytes()
    return bytes((_START, number % NUMBERS)) + body + aux + bytes((_STOP | kind,))


class PacketSplitter:
    """Finds packets in what comes from the line; keeps less than four packets' bytes between calls.

    A packet that was cut short or damaged costs that packet alone. Bytes that look like a packet, but hold the begin of
    the packet that follows, are a cut one: that is looked into where what comes after does not speak for them. Whole
    packets on a whole line wait for nothing.
    ``skipped`` counts the bytes that belonged to no packet, ``broken`` the places where there were such.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._aligned = True
        self._last = -1
        self.skipped = 0
        self.broken = 0

    def feed(self, data: bytes) -> Packets:
        """Return the packets that are whole now."""
        buffer = self._rest + data
        at, end = 0, len(buffer)
        found: list[bytes] = []
        while end - at >= SIZE:
            if buffer[at] == _START and buffer[at + _LAST] in _STOPS:
                whole = self._is_whole(buffer, at)
                if whole is None:
                    break
                if whole:
                    found.append(buffer[at : at + SIZE])
                    self._aligned, self._last = True, buffer[at + 1]
                    at += SIZE
                    continue
            at = self._skip_to(buffer, at, buffer.find(_START, at + 1))
        if at < end and buffer[at] != _START:
            at = self._skip_to(buffer, at, buffer.find(_START, at + 1))
        self._rest = buffer[at:]
        return packets_of(b"".join(found))

    def _skip_to(self, buffer: bytes, at: int, start: int) -> int:
        to = len(buffer) if start < 0 else start
        self.skipped += to - at
        self.broken += self._aligned
        self._aligned = False
        return to

    def _is_whole(self, buffer: bytes, at: int) -> bool | None:
        """Return whether what begins and ends as a packet is one; None where only what follows will tell."""
        after, end = at + SIZE, len(buffer)
        follows = (buffer[at + 1] + 1) % NUMBERS
        goes_on = after < end and buffer[after] == _START
        if goes_on and (self._aligned if after + 1 == end else buffer[after + 1] == follows):
            return True
        other = buffer.find(_START, at + 1, after)
        while other >= 0:
            next_one = buffer[other + 1] == follows
            if other + SIZE > end:
                if next_one or not self._aligned:
                    return None
            elif (
                buffer[other + _LAST] in _STOPS
                and (other + SIZE == end or buffer[other + SIZE] == _START)
                and (next_one or not goes_on)
            ):
                return False
            other = buffer.find(_START, other + 1, after)
        if not self._aligned and (self._last < 0 or not 0 < (buffer[at + 1] - self._last) % NUMBERS <= _NEAR):
            return None if after + 1 >= end else False  # neither goes with what was nor with what comes
        return True if after >= end or goes_on else self._is_whole_before_damage(buffer, after, follows)

    def _is_whole_before_damage(self, buffer: bytes, after: int, follows: int) -> bool | None:
        """Return whether a packet that ends at ``after``, where no other begins, is one.

        Where the next packet that is found is the one that should begin there, bytes were added: maybe within this
        packet. Where it is the one after that, the one that should begin there is damaged.
        """
        start = buffer.find(_START, after, after + 2 * SIZE)
        while start >= 0 and start + SIZE <= len(buffer):
            if buffer[start + _LAST] in _STOPS:
                if buffer[start + 1] == follows:
                    return False
                if buffer[start + 1] == (follows + 1) % NUMBERS:
                    return True
            start = buffer.find(_START, start + 1, after + 2 * SIZE)
        return True if start < 0 and len(buffer) >= after + 2 * SIZE else None
