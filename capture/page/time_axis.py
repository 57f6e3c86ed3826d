"""The shared axis: seconds to places on the page, and round numbers to write beside an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TimeAxis:
    """``from_s`` to ``to_s`` (session time) across ``width`` units from ``left``; labels count from ``zero_s``."""

    from_s: float
    to_s: float
    zero_s: float
    left: float
    width: float

    @property
    def right(self) -> float:
        """Place of ``to_s``."""
        return self.left + self.width

    @property
    def columns(self) -> int:
        """Number of columns of about a pixel."""
        return max(1, int(self.width))

    def place(self, time_s: npt.ArrayLike) -> Float64:
        """Return the places of times, within and beyond the axis."""
        part = (np.asarray(time_s, dtype=np.float64) - self.from_s) / (self.to_s - self.from_s)
        return np.asarray(self.left + part * self.width)

    def at(self, time_s: float) -> float:
        """Return the place of one time, no farther than the ends of the axis."""
        return float(np.clip(self.place(time_s), self.left, self.right))

    def shows(self, from_s: float, to_s: float) -> bool:
        """Tell whether any of a span is on the axis."""
        return to_s >= self.from_s and from_s <= self.to_s


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """Return at most ``most`` + 1 multiples of 1, 2 or 5 times a power of ten from ``low`` to ``high``."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return []
    step = round_up((high - low) / max(most, 1))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def round_up(value: float) -> float:
    """Return the smallest 1, 2 or 5 times a power of ten that is not below a positive ``value``."""
    if not (math.isfinite(value) and value > 0):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in (1, 2, 5) if step * power >= value * (1 - 1e-9)), 10 * power)


def number_text(value: float, step: float) -> str:
    """Write a number of an axis whose numbers are ``step`` apart."""
    if not step > 0 or not 1e-6 <= step <= 1e7:
        return f"{value:.3g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value + 0.0:.{digits}f}".replace("-", "\u2212")
