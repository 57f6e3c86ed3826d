"""The Cyton's packets into samples: channels in microvolts, acceleration in g, the count and the board's time.

With a Daisy the board halves its rate: each packet of an even number holds channels 9 to 16, the packet after it
channels 1 to 8, each the board's mean of two conversions. Such two are one sample of 16 channels, as brainflow 5.23
has it too; the upper eight are one conversion, 4 ms, earlier than the lower eight, and nothing is interpolated. A
sample of which a half is lost is lost. So is the first of a stream: its upper half is made with what was before.

The accelerometer has a clock of its own and about 25 values a second; the board sends zeros until there is a new one,
or, in packets with a time, each axis in every tenth packet. A row of acceleration is therefore made of every packet,
under that packet's count, NaN where nothing new came: its time and its losses are known as well as those of the sEMG.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.openbci.cyton_codec import ACCEL, ACCEL_TIME, ACCEL_TIME_SET, CHANNELS, NUMBERS, Packets

#: The converter's reference in volt, and its largest count (ADS1299).
_REFERENCE_V: Final = 4.5
_FULL_SCALE: Final = 2**23 - 1

#: g of one count of the accelerometer at the +-4 g that the firmware sets: 2 mg a digit, left-justified by 4 bit.
G_PER_COUNT: Final = 0.002 / 16

_MS_MODULUS: Final = 2**32
#: Packets that the board sends in a second, and how much longer than it was silent its time may say that it was.
_PACKETS_HZ: Final = 250.0
_LATER_S: Final = 0.3
#: The number's last digit in packets with a time that hold the axes x, y, z.
_FIRST_AXIS: Final = 7
_AXES: Final = 3
#: Rows without a new acceleration that wait for one that has it.
_MOST_HELD: Final = 50


def microvolts_per_count(gain: int) -> float:
    """Return what one count of the converter is worth behind an amplifier with this gain, in microvolts."""
    return _REFERENCE_V * 1e6 / gain / _FULL_SCALE


@dataclass(frozen=True)
class Samples:
    """Values (n, channels), counts (n,), and the board's time of the last sample in seconds, NaN where not told."""

    values: npt.NDArray[np.float32]
    counters: npt.NDArray[np.int64]
    device_time_s: float


class SampleBuilder:
    """Builds samples of consecutive packets.

    ``gains`` are those of all 8 or 16 channels, ``used`` the places of those that are wanted.
    """

    def __init__(self, gains: Sequence[int], used: Sequence[int]) -> None:
        self._daisy = len(gains) > CHANNELS
        self._scale_uv = np.array([microvolts_per_count(gain) for gain in gains])[list(used)]
        self._used = list(used)
        self._last: int | None = None
        self._upper: tuple[int, npt.NDArray[np.int32]] | None = None
        self._last_ms = 0
        self._timed = False
        self._awake = False
        self._held: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]] = []
        self._held_rows = 0

    def forget_half(self) -> None:
        """Let a half sample go: after a silence the next half may be of another turn of the numbers."""
        self._upper = None

    def take_in(self, packets: Packets, silent_s: float = 0.0) -> tuple[Samples | None, Samples | None]:
        """Return the samples (microvolts) and the accelerations (g) that these packets complete, None where none.

        Counts step by the smallest step forward that the numbers tell. Whole turns are lost unseen, unless the packets
        have the board's time: of a silence of ``silent_s`` before them, in host time, it tells how many.
        """
        if not len(packets):
            return None, None
        counters = self._unwrapped(packets.number) + self._turns(packets, silent_s)
        self._last = int(counters[-1])
        time_s = self._board_time_s(packets)
        accelerations = self._accelerations(packets, counters, time_s)
        raw = packets.raw
        if self._daisy:
            counters, raw = self._paired(counters, raw)
            if not len(counters):
                return None, accelerations
        values = raw[:, self._used] * self._scale_uv
        return Samples(values.astype(np.float32), counters, time_s), accelerations

    def _accelerations(self, packets: Packets, counters: npt.NDArray[np.int64], time_s: float) -> Samples | None:
        """Return a row (x, y, z) a packet, NaN where the board sent nothing new, up to one with something new."""
        rows = np.full((len(packets), _AXES), np.nan, dtype=np.float32)
        fresh = bool(packets.aux.any())
        if fresh:
            words = packets.words
            plain = (packets.kind == ACCEL) & words.any(axis=1)
            rows[plain] = words[plain] * G_PER_COUNT
            axis = packets.number % 10 - np.int64(_FIRST_AXIS)
            timed = (packets.kind == ACCEL_TIME_SET) | (packets.kind == ACCEL_TIME)
            at = np.flatnonzero(timed & (axis >= 0) & ((words[:, 0] != 0) | self._awake))
            rows[at, axis[at]] = words[at, 0] * G_PER_COUNT
            fresh = bool(len(at)) or bool(plain.any())
            self._awake |= fresh
        self._held.append((rows, counters))
        self._held_rows += len(rows)
        if not fresh and self._held_rows < _MOST_HELD:
            return None
        held = Samples(
            np.concatenate([rows for rows, _ in self._held]),
            np.concatenate([counters for _, counters in self._held]),
            time_s,
        )
        self._held, self._held_rows = [], 0
        return held

    def _unwrapped(self, number: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
        if len(number) == 1 and self._last is not None:  # at the board's own pace, packets come one by one
            return np.array([self._last + (int(number[0]) - self._last - 1) % NUMBERS + 1], dtype=np.int64)
        numbers = number.astype(np.int64)
        before = numbers[0] - 1 if self._last is None else self._last
        steps = (np.diff(numbers, prepend=before) - 1) % NUMBERS + 1
        return np.asarray(before + np.cumsum(steps), dtype=np.int64)

    def _turns(self, packets: Packets, silent_s: float) -> int:
        """Return the counts of whole turns that went by before these packets, by the board's time; 0 if not told.

        The silence bounds them: a packet whose time was damaged on the way adds none.
        """
        if self._last is None or not self._timed or not packets.has_time[0]:
            return 0
        passed_s = ((int(packets.board_ms[0]) - self._last_ms) % _MS_MODULUS) / 1e3
        if not passed_s <= silent_s + _LATER_S:
            return 0
        step = (int(packets.number[0]) - self._last - 1) % NUMBERS + 1
        return NUMBERS * max(0, round((passed_s * _PACKETS_HZ - step) / NUMBERS))

    def _paired(
        self, counters: npt.NDArray[np.int64], raw: npt.NDArray[np.int32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        if self._upper is not None:
            counters = np.concatenate(([self._upper[0]], counters))
            raw = np.concatenate((self._upper[1][None], raw))
        self._upper = (int(counters[-1]), raw[-1]) if counters[-1] % 2 == 0 else None
        upper = np.flatnonzero((counters[:-1] % 2 == 0) & (np.diff(counters) == 1) & (counters[:-1] != 0))
        return counters[upper] // 2, np.hstack((raw[upper + 1], raw[upper]))

    def _board_time_s(self, packets: Packets) -> float:
        """Return the time of the last packet; within 24 days of the one before it the count goes on."""
        self._timed = bool(packets.has_time[-1])
        if not self._timed:
            return float("nan")
        ahead = (int(packets.board_ms[-1]) - self._last_ms) % _MS_MODULUS
        self._last_ms += ahead if ahead < _MS_MODULUS // 2 else ahead - _MS_MODULUS
        return self._last_ms / 1e3
