"""A line through the fastest arrivals: delays are never negative, so no arrival lies below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from sync.bending_line import BendingLine, fit_bending_line

Float64 = npt.NDArray[np.float64]

_FEW_ARRIVALS: Final = 20
_WINDOWS: Final = 10
#: Parts into which a window is cut to see how its smallest delay grows; factors found by simulation, see ``_error_s``.
_PARTS: Final = 10
_FLOOR_FACTOR: Final = 8.0
_FLOOR_LIMIT: Final = 0.04
_REDUCTION_PASSES: Final = 64
#: A bend is looked for in windows of so many arrivals and seconds, if there are enough of them.
_BEND_ARRIVALS: Final = 50
_BEND_S: Final = 5.0
_BEND_WINDOWS: Final = 12
_MOST_BEND_WINDOWS: Final = 100
#: Rates of one device differ by no more than this in a recording, and no clock reading is finer than that.
_BEND_SLOPE: Final = 100e-6
_FINEST_S: Final = 2e-6
#: The median absolute deviation makes delays, which are skewed, look this much steadier than they are.
_SKEWED: Final = 1.5
#: An arrival that is this many times the median late has waited for something, and says nothing of the line.
_WAITED: Final = 20.0


@dataclass(frozen=True)
class LineBelow:
    """``arrival = base_s + slope * (x - centre)``, with the error of the line.

    ``slope`` is in seconds a unit of x. The standard error at x is
    ``error_s * hypot(right - x, x - left) / (right - left)``: that of a line held at two ends, each with
    ``error_s``; where the slope was given it is ``hypot(error_s, slope_error * (x - centre))``. ``left`` and ``right``
    are in units of x. ``spread_s`` is the p99 of the arrivals' delay beyond the line. ``discarded`` counts arrivals
    that were impossibly early. Where ``bend`` is set the line is not straight: it is added, over
    ``slope * (x - centre)`` in seconds, and its error is the line's.
    """

    centre: float
    base_s: float
    slope: float
    left: float
    right: float
    error_s: float
    spread_s: float
    discarded: int
    given_slope_error: float | None = None
    bend: BendingLine | None = None

    def at(self, x: npt.ArrayLike) -> Float64:
        """Return times in seconds at ``x``; shape is kept."""
        run_s = self.slope * (np.asarray(x, dtype=np.float64) - self.centre)
        return np.asarray(self.base_s + run_s + (0.0 if self.bend is None else self.bend.at(run_s)))

    def standard_error_s(self, x: npt.ArrayLike) -> Float64:
        """Return the standard error in seconds at ``x``; it grows outside the arrivals."""
        where = np.asarray(x, dtype=np.float64)
        if self.bend is not None:
            return self.bend.standard_error(self.slope * (where - self.centre))
        if self.given_slope_error is not None:
            return np.asarray(np.hypot(self.error_s, self.given_slope_error * (where - self.centre)))
        if not np.isfinite(self.error_s) or self.right <= self.left:
            return np.full(where.shape, self.error_s)
        return np.asarray(self.error_s * np.hypot(self.right - where, where - self.left) / (self.right - self.left))

    @property
    def slope_error(self) -> float:
        """The standard error of the slope, in seconds a unit of x."""
        if self.given_slope_error is not None:
            return self.given_slope_error
        return float(np.sqrt(2) * self.error_s / (self.right - self.left)) if self.right > self.left else float("inf")


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


def fit_line_below(
    x: npt.ArrayLike, arrival_s: npt.ArrayLike, slope: float | None = None, slope_error: float | None = None
) -> LineBelow:
    """Fit the line below all arrivals that makes their mean delay smallest.

    ``x`` (n,) is what the device counts (samples, or its own seconds), ``arrival_s`` (n,) host time in seconds; pairs
    that are not finite are left out. With ``slope`` given, only the line's height is fitted; ``slope_error`` is the
    standard error of a slope that was measured elsewhere. Raises ValueError without a usable pair.

    Maximise a + b mean(x) under a + b x_i <= y_i (Moon, Skelly & Towsley 1999, Estimation and removal of clock skew
    from network delay measurements, INFOCOM): the solution is the edge of the lower convex hull at mean(x).
    The line lies above the true floor of the delays by about what the fastest arrivals were delayed (for exponential
    delays by their mean, times two, over n). That is not corrected, since how much it is hangs on the delays' shape,
    which few arrivals do not tell; ``error_s`` covers it, see ``_error_s``. Where the fastest arrivals of many windows
    show clearly that the line bends, it follows them, see ``_bend``.
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
    held = 2 if slope is None else 1  # arrivals that the line goes through
    if slope is None:
        slope = _hull_slope(xs, ys, float(np.mean(xs)))
    height = float(np.min(ys - slope * xs))
    delay = ys - height - slope * xs
    bend = _bend(slope * xs, delay)
    late = delay if bend is None else delay - bend.at(slope * xs)
    return LineBelow(
        centre=centre,
        base_s=base + height,
        slope=slope,
        left=float(xs[0]) + centre,
        right=float(xs[-1]) + centre,
        error_s=_error_s(delay, held),
        spread_s=float(np.percentile(late, 99)),
        discarded=discarded,
        given_slope_error=slope_error,
        bend=bend,
    )


def shared_slope(pieces: Sequence[tuple[Float64, Float64]]) -> float:
    """Return the slope of the parallel lines below several pieces that make the mean delay of all smallest.

    Each piece is x and arrivals in seconds, (arrivals,) both, x strictly increasing, at least two of them. For a slope
    b the line below piece p has the height a_p(b) = min(y - b x), so that the sum of all delays is convex in b and
    smallest at the slope of an edge of one of the lower hulls.
    """
    hulls = []
    for x, y in pieces:
        xs, ys = x - x.mean(), y - y.mean()
        possible = _possible(xs, ys)
        xs, ys = xs[possible], ys[possible]
        corners = lower_hull(xs, ys)
        hulls.append((xs[corners], ys[corners], x.size))
    slopes = np.unique(np.concatenate([np.diff(ys) / np.diff(xs) for xs, ys, _ in hulls]))

    def below(slope: float) -> float:
        return sum(size * float(np.min(ys - slope * xs)) for xs, ys, size in hulls)

    low, high = 0, slopes.size - 1
    while low < high:  # concave: the higher of two neighbours shows the way
        middle = (low + high) // 2
        if below(float(slopes[middle])) < below(float(slopes[middle + 1])):
            low = middle + 1
        else:
            high = middle
    return float(slopes[low])


def _bend(run_s: Float64, delay: Float64) -> BendingLine | None:
    """Return how far the floor of the delays lies above the straight line, where it clearly does not follow it.

    ``run_s`` (arrivals,) is the time along the line, increasing. In each of up to 100 windows the smallest delay is
    taken; how far the second smallest lies above it, in the median over windows, is the mean and the standard deviation
    of what the smallest lies above the floor (exactly so for exponential delays). Through them goes a line whose slope
    wanders (``fit_bending_line``), which is taken if that is twenty times as probable as that it is straight. Windows
    in which everything waited are outliers to it.
    """
    count = min(run_s.size // _BEND_ARRIVALS, int((run_s[-1] - run_s[0]) / _BEND_S), _MOST_BEND_WINDOWS)
    if count < _BEND_WINDOWS:
        return None
    edges = np.searchsorted(run_s, np.linspace(run_s[0], run_s[-1], count + 1))
    edges[-1] = run_s.size
    places, apart = [], []
    for first, end in pairwise(edges.tolist()):
        if end - first >= _FEW_ARRIVALS:
            fastest, second = np.argpartition(delay[first:end], 1)[:2] + first
            places.append(fastest)
            apart.append(delay[second] - delay[fastest])
    if len(places) < _BEND_WINDOWS:
        return None
    noise_s = max(float(np.median(apart)), _FINEST_S)
    chosen = np.asarray(places)
    height, sigma = delay[chosen] - noise_s, np.full(chosen.size, noise_s)
    spacing = float(run_s[-1] - run_s[0]) / count
    line = fit_bending_line(run_s[chosen], height, sigma, _BEND_SLOPE, np.zeros(chosen.size), spacing, 0.0, _SKEWED)
    if not line.bends:
        return None
    return replace(line, error=np.hypot(line.error, noise_s))


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
    delay = _without_waits(delay)
    parts = min(_PARTS, delay.size // _WINDOWS)
    fastest = np.sort(_smallest(delay, _WINDOWS))[held:]
    near = float(np.median(fastest))
    error = max(float(np.sqrt(np.mean(fastest**2) / _WINDOWS)), near)
    curved = float(np.median(_smallest(delay, _WINDOWS * parts))) - 2 * near
    floor = _FLOOR_FACTOR * near**2 / curved if curved > 0 else float("inf")
    return max(error, min(floor, float(np.median(delay)), _FLOOR_LIMIT * parts**2 * error))


def _without_waits(delay: Float64) -> Float64:
    """Leave out arrivals that waited while everything stood still, if others came in time before and after."""
    late = delay > _WAITED * np.median(delay)
    prompt = np.flatnonzero(~late)
    late[: prompt[0]] = late[prompt[-1] :] = False
    return delay if prompt.size < max(_FEW_ARRIVALS, delay.size // 2) else delay[~late]


def _smallest(delay: Float64, windows: int) -> Float64:
    """Return the smallest delay of each of ``windows`` parts of about the same size."""
    starts = np.arange(windows) * delay.size // windows
    return np.asarray(np.minimum.reduceat(delay, starts))
