"""A line through the fastest arrivals: delays are never negative, so no arrival lies below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

_FEW_ARRIVALS: Final = 20
_WINDOWS: Final = 10
#: Parts into which a window is cut to see how its smallest delay grows; factors found by simulation, see ``_error_s``.
_PARTS: Final = 10
_FLOOR_FACTOR: Final = 8.0
_FLOOR_LIMIT: Final = 0.04
_REDUCTION_PASSES: Final = 64


@dataclass(frozen=True)
class LineBelow:
    """``arrival = base_s + slope * (x - centre)``, with the error of the line.

    ``slope`` is in seconds a unit of x. The standard error at x is
    ``error_s * hypot(right - x, x - left) / (right - left)``: that of a line held at two ends, each with
    ``error_s``. ``left`` and ``right`` are in units of x. ``spread_s`` is the p99 of the arrivals' delay
    beyond the line. ``discarded`` counts arrivals that were impossibly early.
    """

    centre: float
    base_s: float
    slope: float
    left: float
    right: float
    error_s: float
    spread_s: float
    discarded: int

    def at(self, x: npt.ArrayLike) -> Float64:
        """Return times in seconds at ``x``; shape is kept."""
        return np.asarray(self.base_s + self.slope * (np.asarray(x, dtype=np.float64) - self.centre))

    def standard_error_s(self, x: npt.ArrayLike) -> Float64:
        """Return the standard error in seconds at ``x``; it grows outside the arrivals."""
        where = np.asarray(x, dtype=np.float64)
        if not np.isfinite(self.error_s) or self.right <= self.left:
            return np.full(where.shape, self.error_s)
        return np.asarray(self.error_s * np.hypot(self.right - where, where - self.left) / (self.right - self.left))


def lower_hull(x: Float64, y: Float64) -> npt.NDArray[np.intp]:
    """Return the indices of the lower convex hull's corners, from left to right.

    ``x`` must be strictly increasing. Points above the chord of their neighbours are removed all at once, pass by
    pass, and the few that remain go through Andrew's monotone chain (Andrew 1979); O(n log n) on noise.
    """
    kept = np.arange(x.size)
    for _ in range(_REDUCTION_PASSES):
        if kept.size < 64:
            break
        xs, ys = x[kept], y[kept]
        above = (ys[1:-1] - ys[:-2]) * (xs[2:] - xs[:-2]) >= (ys[2:] - ys[:-2]) * (xs[1:-1] - xs[:-2])
        if np.count_nonzero(above) < kept.size // 50:
            break
        kept = kept[np.concatenate(([True], ~above, [True]))]
    hull: list[int] = []
    for point in kept.tolist():
        while len(hull) >= 2:
            first, middle = hull[-2], hull[-1]
            rise = (y[middle] - y[first]) * (x[point] - x[first])
            if rise < (y[point] - y[first]) * (x[middle] - x[first]):
                break
            hull.pop()
        hull.append(point)
    return np.asarray(hull, dtype=np.intp)


def fit_line_below(x: npt.ArrayLike, arrival_s: npt.ArrayLike, slope: float | None = None) -> LineBelow:
    """Fit the line below all arrivals that makes their mean delay smallest.

    ``x`` (n,) is what the device counts (samples, or its own seconds), ``arrival_s`` (n,) host time in seconds; pairs
    that are not finite are left out. With ``slope`` given, only the line's height is fitted. Raises ValueError
    without a usable pair.

    Maximise a + b mean(x) under a + b x_i <= y_i (Moon, Skelly & Towsley 1999, Estimation and removal of clock skew
    from network delay measurements, INFOCOM): the solution is the edge of the lower convex hull at mean(x).
    The line lies above the true floor of the delays by about what the fastest arrivals were delayed (for exponential
    delays by their mean, times two, over n). That is not corrected, since how much it is hangs on the delays' shape,
    which few arrivals do not tell; ``error_s`` covers it, see ``_error_s``.
    """
    xs, ys = np.asarray(x, dtype=np.float64).ravel(), np.asarray(arrival_s, dtype=np.float64).ravel()
    usable = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[usable], ys[usable]
    if xs.size == 0:
        raise ValueError("no arrival is finite: there is nothing to fit")
    order = np.lexsort((ys, xs))
    xs, ys = xs[order], ys[order]
    first = np.concatenate(([True], np.diff(xs) > 0))  # of several arrivals of one count, the earliest
    xs, ys = xs[first], ys[first]
    centre, base = float(np.mean(xs)), float(np.median(ys))
    xs, ys = xs - centre, ys - base
    possible = _possible(xs, ys)
    discarded = int(xs.size - np.count_nonzero(possible))
    xs, ys = xs[possible], ys[possible]
    mean_x = float(np.mean(xs))
    held = 2 if slope is None else 1  # arrivals that the line goes through
    if slope is None:
        slope = _hull_slope(xs, ys, mean_x)
    height = float(np.min(ys - slope * xs))
    delay = ys - height - slope * xs
    return LineBelow(
        centre=centre,
        base_s=base + height,
        slope=slope,
        left=float(xs[0]) + centre,
        right=float(xs[-1]) + centre,
        error_s=_error_s(delay, held),
        spread_s=float(np.percentile(delay, 99)),
        discarded=discarded,
    )


def _hull_slope(xs: Float64, ys: Float64, mean_x: float) -> float:
    if xs.size < 2:
        return 0.0
    hull = lower_hull(xs, ys)
    right = int(np.clip(np.searchsorted(xs[hull], mean_x, side="left"), 1, hull.size - 1))
    start, end = hull[right - 1], hull[right]
    return float((ys[end] - ys[start]) / (xs[end] - xs[start]))


def _possible(xs: Float64, ys: Float64) -> npt.NDArray[np.bool_]:
    """Mark arrivals that are not absurdly early: a clock reading that went wrong must not hold the line down.

    The distance from the median delay down to the fastest is a small multiple of the median absolute deviation for
    every one-sided delay; ten of them and 20 ms below, and rare, is no delay.
    """
    if xs.size < 8:
        return np.ones(xs.size, dtype=np.bool_)
    half = xs.size // 2
    slope = float(np.median((ys[half:] - ys[: xs.size - half]) / (xs[half:] - xs[: xs.size - half])))
    delay = ys - slope * xs
    middle = float(np.median(delay))
    spread = float(np.median(np.abs(delay - middle)))
    early = delay < middle - 10 * spread - 0.02
    if np.count_nonzero(early) > max(1, xs.size // 50):
        return np.ones(xs.size, dtype=np.bool_)
    return np.asarray(~early)


def _error_s(delay: Float64, held: int) -> float:
    """Return the standard error at the ends of a line that goes through ``held`` of its arrivals.

    Arrivals are cut into W = 10 windows. In each, the smallest delay m_k is how far the fastest of a W-th of the
    arrivals lies above the line; the ``held`` smallest m_k are left out, since the line was laid through them. Of the
    others, max(rms(m) / sqrt(W), median(m)) says how well the line is known, and gives away one that bends.

    Where few delays are near the smallest one (gamma, or packets that wait for each other), the floor lies further
    below than windows show. Smallest delays of blocks of n arrivals lie n^-1/a above the floor, up to a factor (extreme
    values of Weibull type: Gnedenko 1943; a = 1 for exponential and uniform delays). With m = median(m_k) over windows
    and M the same over a tenth of a window each, Aitken's extrapolation gives the distance to the floor without
    knowing a: e = m^2 / (M - 2 m). 8 e is taken where it is larger, up to the median delay and to four times the first
    figure (less below a hundred arrivals, which tell M badly).

    Found by simulation (exponential, uniform, gamma 2 and bursty delays, 20 to 20,000 arrivals): the true error is
    within twice the standard error in 95 % of takes or more, and the standard error is two to eight, mostly four,
    times the median error. Delays that hardly ever come near their floor (gamma 5) are worse: 70 to 95 %.

    Below twenty arrivals it is the mean delay of those not held, and infinite where there are none.
    """
    if delay.size <= held:
        return float("inf")
    if delay.size < _FEW_ARRIVALS:
        return float(np.sum(delay) / (delay.size - held))
    parts = min(_PARTS, delay.size // _WINDOWS)
    fastest = np.sort(_smallest(delay, _WINDOWS))[held:]
    near = float(np.median(fastest))
    error = max(float(np.sqrt(np.mean(fastest**2) / _WINDOWS)), near)
    curved = float(np.median(_smallest(delay, _WINDOWS * parts))) - 2 * near
    floor = _FLOOR_FACTOR * near**2 / curved if curved > 0 else float("inf")
    return max(error, min(floor, float(np.median(delay)), _FLOOR_LIMIT * parts**2 * error))


def _smallest(delay: Float64, windows: int) -> Float64:
    """Return the smallest delay of each of ``windows`` parts of about the same size."""
    starts = np.arange(windows) * delay.size // windows
    return np.asarray(np.minimum.reduceat(delay, starts))
