"""Counts and times of a device that wrap, made long; what comes twice or late left out."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: A datagram that was overtaken is this many records late at most; what is further back is a device that begins anew.
_MOST_LATE: Final = 64


class SampleCount:
    """Makes a device's count of records long: the smallest step forward, ``modulus`` 0 where the count never wraps.

    ``datagrams`` says that records may overtake each other. Whole turns of a short count that a loss hides are left to
    whoever has the times of all samples. A count that never wraps and goes back is that of a device that began anew,
    and is given as it is.
    """

    def __init__(self, modulus: int, *, datagrams: bool) -> None:
        self._modulus = modulus
        self._late = (min(_MOST_LATE, modulus // 4) if modulus else _MOST_LATE) if datagrams else 0
        self._last: int | None = None
        self.dropped = 0

    def next(self, raw: Int64) -> tuple[Int64, npt.NDArray[np.intp]]:
        """Return the counts of the records that are new, and which of ``raw`` (n,) they are."""
        if self._last is not None and len(raw) and self._all_follow(raw):  # nearly always
            counts = self._last + 1 + np.arange(len(raw), dtype=np.int64)
            self._last = int(counts[-1])
            return counts, np.arange(len(raw))
        counted, kept = [], []
        for place, value in enumerate(raw.tolist()):
            count = self._one(value)
            if count is None:
                self.dropped += 1
            else:
                counted.append(count)
                kept.append(place)
        return np.array(counted, dtype=np.int64), np.array(kept, dtype=np.intp)

    def _all_follow(self, raw: Int64) -> bool:
        assert self._last is not None
        expected = self._last + 1 + np.arange(len(raw), dtype=np.int64)
        return bool((raw == (expected % self._modulus if self._modulus else expected)).all())

    def _one(self, raw: int) -> int | None:
        last = self._last
        if last is None:
            count = raw
        elif self._modulus:
            step = (raw - last) % self._modulus
            if step == 0 or self._modulus - step <= self._late:
                return None
            count = last + step
        else:
            if raw == last or 0 < last - raw <= self._late:
                return None
            count = raw
        self._last = count
        return count


class DeviceTime:
    """Makes a device's time long, and seconds of it; ``modulus`` in its own unit, 0 where it never wraps."""

    def __init__(self, modulus: int, unit_s: float) -> None:
        self._modulus = float(modulus)
        self._unit_s = unit_s
        self._last = float("nan")

    def seconds(self, raw: float) -> float:
        """Return a time in seconds, NaN where there is none."""
        if not np.isfinite(raw):
            return float("nan")
        if self._modulus and np.isfinite(self._last):
            half = self._modulus / 2  # two threads of a device may stamp a little out of order
            raw = self._last + (raw - self._last + half) % self._modulus - half
        self._last = raw
        return raw * self._unit_s
