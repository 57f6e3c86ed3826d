"""The bytes of a BioHarness: framing, stamps, and what each kind of packet holds.

A packet is ``02 id length payload crc end``: the CRC-8 (polynomial 0x8C, reflected, from 0) is of the payload alone,
the end is 03, or 06 and 15 where an order was accepted or refused. What the strap sends by itself begins with its count
(8 bit, one for each id), its calendar date and the milliseconds of its day: those of the packet's *first* sample, as
the arrivals in a recording of a real strap show.

Sources: that recording (jpaalasm/zephyr-bt, BSD: 150 s, a strap whose summaries are of version 2); the code of
zephyr-bt and of labstreaminglayer/App-Zephyr, read for facts; pages of the vendor's manuals. Confirmed on the
recording: framing, CRC, lengths, counts, stamps, ids 0x21, 0x22, 0x24, 0x25 and 0x2B, the rates and the confidence of
the heart's in version 2, a confidence of 255 for none, the acceleration's scale (1.0 g at rest), the answers 06 to
0x15, 0x16, 0x19, 0x1E and 0xBD. READ-CODE only: version 3, the ECG's 25 microvolts a count and its 0 for "no value",
the answer 15, the serial number's 0x0B, 0xFFFF for "no rate", the place of the breath's confidence.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

STX: Final = 0x02
ETX: Final = 0x03
ACK: Final = 0x06
NAK: Final = 0x15

BREATHING: Final = 0x21
ECG: Final = 0x22
LIFE_SIGN: Final = 0x23
RR: Final = 0x24
ACCEL: Final = 0x25
SUMMARY: Final = 0x2B

SERIAL_NUMBER: Final = 0x0B
SET_BREATHING: Final = 0x15
SET_ECG: Final = 0x16
SET_RR: Final = 0x19
SET_ACCEL: Final = 0x1E
SET_SUMMARY: Final = 0xBD

#: Payload bytes of what is read here; another length under these ids is no packet.
LENGTHS: Final = {BREATHING: 32, ECG: 88, LIFE_SIGN: 0, RR: 45, ACCEL: 84, SUMMARY: 71}

DAY_S: Final = 86400.0

_LONGEST_PAYLOAD: Final = 128
_ENDS: Final = frozenset((ETX, ACK, NAK))
_HEAD_BYTES: Final = 9
_EPOCH: Final = date(2000, 1, 1).toordinal()
_LAST_YEAR: Final = 2199

_NO_VALUE: Final = 0xFFFF
_NO_CONFIDENCE: Final = 0xFF
_ECG_UV: Final = 25.0
#: 83 counts a g in 14 bit, of which the upper ten are sent.
_COUNTS_A_G: Final = 20.75
_MIDDLE: Final = 512


class Packet(NamedTuple):
    """A packet whose checks held: ``end`` is ETX, ACK or NAK."""

    id: int
    payload: bytes
    end: int


class Stamp(NamedTuple):
    """Count and clock of a packet's first sample.

    ``time_s`` is in seconds since the year 2000 began by the strap's own calendar; of the day alone where its calendar
    was never set.
    """

    sequence: int
    time_s: float


class Rates(NamedTuple):
    """A summary's rates per minute and their confidences in percent; NaN where the strap has none."""

    heart: float
    breath: float
    heart_confidence: float
    breath_confidence: float


@dataclass(frozen=True)
class Waveform:
    """How samples of one kind lie in their packets: ``samples`` of ``channels`` values, ``period_s`` apart."""

    samples: int
    channels: int
    period_s: float

    @property
    def packet_s(self) -> float:
        """Seconds from one packet to the next."""
        return self.samples * self.period_s


WAVEFORMS: Final = {
    ECG: Waveform(63, 1, 0.004),
    BREATHING: Waveform(18, 1, 0.056),
    RR: Waveform(18, 1, 0.056),
    ACCEL: Waveform(20, 3, 0.020),
    SUMMARY: Waveform(1, 4, 1.0),
}


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ 0x8C if value & 1 else value >> 1
    return value


_CRC: Final = tuple(_crc_of_byte(value) for value in range(256))


def crc8(payload: bytes) -> int:
    """Return the CRC of a payload."""
    crc = 0
    for value in payload:
        crc = _CRC[crc ^ value]
    return crc


def encode(packet_id: int, payload: bytes = b"", end: int = ETX) -> bytes:
    """Return a packet's bytes."""
    return bytes((STX, packet_id, len(payload))) + payload + bytes((crc8(payload), end))


class PacketReader:
    """Bytes in, packets out; holds back no more than one packet's length.

    ``skipped`` counts the bytes that belonged to no packet.
    """

    def __init__(self) -> None:
        self._held = b""
        self.skipped = 0

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that ``data`` completes, in order.

        What looks like a beginning and waits for its end does not hold up what stands whole behind it: noise before a
        packet would make it arrive late.
        """
        held = self._held + data
        packets = []
        at = told = 0
        waiting: int | None = None
        while (at := held.find(STX, at)) >= 0:
            size = _size_at(held, at)
            if size is None:
                waiting = at if waiting is None else waiting
            elif size > 0 and (waiting is None or held[at + 1] in LENGTHS):
                packets.append(Packet(held[at + 1], held[at + 3 : at + size - 2], held[at + size - 1]))
                self.skipped += at - told
                at = told = at + size
                waiting = None
                continue
            at += 1
        rest = len(held) if waiting is None else waiting
        self.skipped += rest - told
        self._held = held[rest:]
        return packets


def _size_at(held: bytes, at: int) -> int | None:
    """Return the bytes of the whole packet at ``at``: 0 where there is none, None where it is not all there yet."""
    if at + 3 > len(held):
        return None
    packet_id, length = held[at + 1], held[at + 2]
    if length > _LONGEST_PAYLOAD or length != LENGTHS.get(packet_id, length):
        return 0
    end = at + 4 + length
    if end >= len(held):
        return None
    if held[end] != ETX and (packet_id in LENGTHS or held[end] not in _ENDS):
        return 0
    return length + 5 if crc8(held[at + 3 : end - 1]) == held[end - 1] else 0


def stamp_of(payload: bytes) -> Stamp | None:
    """Return the stamp of a packet that the strap sends by itself, None where its time of day is no such time."""
    sequence, year, month, day, day_ms = struct.unpack_from("<BHBBI", payload)
    if day_ms >= DAY_S * 1000:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH if year <= _LAST_YEAR else 0
    except ValueError:
        days = 0
    return Stamp(sequence, max(days, 0) * DAY_S + day_ms / 1000)


def samples_of(packet: Packet) -> npt.NDArray[np.float32] | None:
    """Return the samples (n, channels) of a packet of WAVEFORMS in the units of its stream, None of other packets.

    ECG in microvolts, breathing in counts around 0, R-R in milliseconds with the sign that changes at each beat,
    acceleration in g; a summary is one row of ``Rates``.
    """
    body = packet.payload[_HEAD_BYTES:]
    if packet.id == SUMMARY:
        rates = rates_of(packet.payload)
        return None if rates is None else np.array([rates], dtype=np.float32)
    if packet.id == RR:
        return np.frombuffer(body, dtype="<i2").astype(np.float32)[:, None]
    if packet.id == ECG:
        raw = ten_bit(body, WAVEFORMS[ECG].samples)
        return np.where(raw == 0, np.nan, (raw - _MIDDLE) * _ECG_UV).astype(np.float32)[:, None]
    if packet.id == BREATHING:
        return (ten_bit(body, WAVEFORMS[BREATHING].samples) - _MIDDLE).astype(np.float32)[:, None]
    if packet.id == ACCEL:
        form = WAVEFORMS[ACCEL]
        raw = ten_bit(body, form.samples * form.channels).reshape(form.samples, form.channels)
        return ((raw - _MIDDLE) / _COUNTS_A_G).astype(np.float32)
    return None


def ten_bit(body: bytes, values: int) -> npt.NDArray[np.int32]:
    """Return ``values`` numbers of ten bits, the first in the lowest bits of the first byte."""
    bits = np.unpackbits(np.frombuffer(body, dtype=np.uint8), bitorder="little")[: values * 10].reshape(values, 10)
    return np.asarray(bits @ (1 << np.arange(10)), dtype=np.int32)


def rates_of(payload: bytes) -> Rates | None:
    """Return the rates of a summary, None of one whose version is neither 2 nor 3.

    A rate of 0 is one that the strap has not found: of nobody who is being recorded is it true.
    """
    version, heart, breath = struct.unpack_from("<BHH", payload, _HEAD_BYTES)
    if version not in (2, 3):
        return None
    heart_confidence = payload[34 if version == 2 else 27]
    breath_confidence = payload[29] if version == 2 else _NO_CONFIDENCE
    return Rates(
        float(heart) if 0 < heart < _NO_VALUE else np.nan,
        breath / 10 if 0 < breath < _NO_VALUE else np.nan,
        float(heart_confidence) if heart_confidence != _NO_CONFIDENCE else np.nan,
        float(breath_confidence) if breath_confidence != _NO_CONFIDENCE else np.nan,
    )
