"""The rate of a stream from a few seconds of it, whatever it says its rate is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

#: Arrivals compared with each other; more tell nothing new in a few seconds.
_MOST_COMPARED: Final = 400
_TOO_FEW: Final = 3
#: 1.4826 median absolute deviations are a standard deviation where errors are normal.
_MAD: Final = 1.4826


@dataclass(frozen=True)
class MeasuredRate:
    """Samples a second, and how far that may be off, as a part of it (0.01: 1 %)."""

    rate_hz: float
    uncertainty: float


def measure_rate(count: npt.ArrayLike, time_s: npt.ArrayLike) -> MeasuredRate | None:
    """Measure samples a second from arrivals: ``count`` of the last sample that came, ``time_s``, (arrivals,) each.

    The slope is Theil and Sen's, the median of those between pairs of arrivals (Sen 1968), here between those of the
    first and those of the second half, so that late chunks do not move it. None where there are too few arrivals, or
    their times do not pass.
    """
    x, y = np.asarray(count, dtype=np.float64), np.asarray(time_s, dtype=np.float64)
    usable = np.isfinite(x) & np.isfinite(y)
    x, y = x[usable], y[usable]
    if x.size < _TOO_FEW:
        return None
    if x.size > _MOST_COMPARED:
        chosen = np.linspace(0, x.size - 1, _MOST_COMPARED).astype(np.intp)
        x, y = x[chosen], y[chosen]
    half = x.size // 2
    passed_s = (y[None, -half:] - y[:half, None]).ravel()
    came = (x[None, -half:] - x[:half, None]).ravel()
    slopes = passed_s[came > 0] / came[came > 0]
    if slopes.size == 0 or not (slope := float(np.median(slopes))) > 0:
        return None
    residual_s = y - slope * x
    spread_s = _MAD * float(np.median(np.abs(residual_s - np.median(residual_s))))
    span_s = float(y.max() - y.min())
    return MeasuredRate(1 / slope, 2 * spread_s / span_s if span_s > 0 else math.inf)
