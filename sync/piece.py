"""One unbroken piece of a stream: its line, and where a stream without a counter of its own breaks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from sync.counters import Counted
from sync.line_below import LineBelow, fit_line_below

Float64 = npt.NDArray[np.float64]

_TOO_FEW_ARRIVALS: Final = 5
_FEW_ARRIVALS: Final = 20
#: A measured rate further than this from the nominal one is worth a word, or disbelief if arrivals are few.
_ABSURD_RATE: Final = 0.01
#: What a nominal rate is worth where it must stand in for a measured one.
_NOMINAL_TRUST: Final = 500e-6
#: A device clock in seconds runs at the host's rate within this, or it is not in seconds.
_DEVICE_RATE_LIMIT: Final = 2e-3
#: A rate further from the expected one than this many of its standard errors was measured.
_MEASURED: Final = 5.0
#: Arrivals looked at on both sides of what may be a gap, and how many at least.
_GAP_WINDOW: Final = 50
_GAP_MIN_ARRIVALS: Final = 3
_GAP_MIN_S: Final = 0.05


@dataclass(frozen=True)
class PieceFit:
    """A piece's samples on its line: ``host_s`` and ``uncertainty_s`` are (samples,)."""

    host_s: Float64
    uncertainty_s: Float64
    rate_hz: float
    spread_s: float
    over_device_time: bool
    notes: tuple[str, ...] = ()
    count_shift: int = 0


def fit_piece(
    samples: npt.ArrayLike,
    count: npt.ArrayLike,
    arrival_s: npt.ArrayLike,
    device_time_s: npt.ArrayLike,
    rate_hz: float,
) -> PieceFit:
    """Find the host times of ``samples``, unwrapped counts (samples,), from the arrivals of one piece.

    ``count``, ``arrival_s`` and ``device_time_s`` are (arrivals,): count of the last sample that arrived, host time of
    arrival, the device's own time of that sample or NaN. ``rate_hz`` is nominal and above 0; it is used only where
    fewer than five arrivals, or more with an absurd rate, cannot tell the rate.
    """
    wanted = np.asarray(samples, dtype=np.float64)
    x, arrival = np.asarray(count, dtype=np.float64), np.asarray(arrival_s, dtype=np.float64)
    device = np.asarray(device_time_s, dtype=np.float64)
    usable = np.isfinite(x) & np.isfinite(arrival)
    x, arrival, device = x[usable], arrival[usable], device[usable]
    if x.size == 0:
        unknown = np.full(wanted.size, np.inf)
        return PieceFit(
            wanted / rate_hz, unknown, np.nan, np.nan, over_device_time=False, notes=("no arrival time is known",)
        )
    over_device_time = _line_over_device_time(x, arrival, device)
    if over_device_time is not None:
        line, assumed = over_device_time
        at = _interpolated(wanted, x, device)
        host_s, uncertainty, notes = line.at(at), line.standard_error_s(at), _discarded(line)
        if assumed:
            uncertainty = np.hypot(uncertainty, _NOMINAL_TRUST * np.abs(at - line.centre))
            notes = ("arrivals do not tell its clock's rate: the host's stands in", *notes)
        passed_s = float(host_s[-1] - host_s[0])
        measured = float(wanted[-1] - wanted[0]) / passed_s if passed_s > 0 else np.nan
        return PieceFit(host_s, uncertainty, measured, line.spread_s, over_device_time=True, notes=notes)
    line, nominal, notes = _line_over_count(x, arrival, rate_hz)
    uncertainty = line.standard_error_s(wanted)
    if nominal:
        uncertainty = np.hypot(uncertainty, _NOMINAL_TRUST * np.abs(wanted - line.centre) / rate_hz)
    measured = np.nan if nominal else 1 / line.slope
    return PieceFit(
        line.at(wanted), uncertainty, measured, line.spread_s, over_device_time=False, notes=(*notes, *_discarded(line))
    )


def _discarded(line: LineBelow) -> tuple[str, ...]:
    return (f"{line.discarded} impossibly early arrivals ignored",) if line.discarded else ()


def _line_over_device_time(x: Float64, arrival: Float64, device: Float64) -> tuple[LineBelow, bool] | None:
    """Return the line and whether its slope is that of a perfect clock, or None without a clock in seconds.

    Delays that wander can bend the line far more than any clock is wrong. A slope that is less certain than clocks are
    is not taken; one that is certain, and no clock's, says that device time is not in seconds.
    """
    if x.size < _TOO_FEW_ARRIVALS or not bool(np.all(np.isfinite(device))):
        return None
    if not bool(np.all(np.diff(device) > 0)) or not bool(np.all(np.diff(x) > 0)):
        return None
    line = fit_line_below(device, arrival)
    error = _slope_error(line)
    if abs(line.slope - 1) >= max(_DEVICE_RATE_LIMIT, _MEASURED * error):
        return None
    if error <= _NOMINAL_TRUST and abs(line.slope - 1) < _DEVICE_RATE_LIMIT:
        return line, False
    return fit_line_below(device, arrival, 1.0), True


def _slope_error(line: LineBelow) -> float:
    """Return the standard error of a line's slope."""
    return float(np.sqrt(2) * line.error_s / (line.right - line.left)) if line.right > line.left else float("inf")


def _interpolated(wanted: Float64, count: Float64, device: Float64) -> Float64:
    """Return the device time at counts: linear between arrivals, at the mean rate outside them."""
    step = (device[-1] - device[0]) / (count[-1] - count[0])
    before = np.minimum(wanted - count[0], 0.0) * step
    after = np.maximum(wanted - count[-1], 0.0) * step
    return np.asarray(np.interp(wanted, count, device) + before + after)


def _line_over_count(x: Float64, arrival: Float64, rate_hz: float) -> tuple[LineBelow, bool, tuple[str, ...]]:
    """Return the line, whether its slope is the nominal one, and what must be said."""
    arrivals = int(np.unique(x).size)
    if arrivals < _TOO_FEW_ARRIVALS:
        note = f"only {arrivals} arrival{'s' if arrivals > 1 else ''}: the nominal rate stands in"
        return fit_line_below(x, arrival, 1 / rate_hz), True, (note,)
    line = fit_line_below(x, arrival)
    off = line.slope * rate_hz - 1
    if abs(off) <= _ABSURD_RATE:
        return line, False, ()
    measured = abs(off) > _MEASURED * _slope_error(line) * rate_hz
    if arrivals < _FEW_ARRIVALS or line.slope <= 0 or not measured:
        note = f"{arrivals} arrivals do not tell the rate: the nominal rate stands in"
        return fit_line_below(x, arrival, 1 / rate_hz), True, (note,)
    return line, False, (f"its rate is {abs(1 / (1 + off) - 1) * 100:.1f} % {'below' if off > 0 else 'above'} nominal",)


def split_at_gaps(counted: Counted, count: npt.ArrayLike, arrival_s: npt.ArrayLike, rate_hz: float) -> Counted:
    """Break a stream, whose count does not see the device's losses, where arrivals fall behind for good.

    ``count`` and ``arrival_s`` are (arrivals,) in order. A gap is a late arrival after which, unlike after a mere
    delay, no later one catches up: the fastest of the next fifty stays behind the fastest of the fifty before. The
    loss is then what the nominal rate says, and ambiguous. Counts stay as they are.
    """
    x, arrival = np.asarray(count, dtype=np.float64), np.asarray(arrival_s, dtype=np.float64)
    if x.size < 2 * _GAP_MIN_ARRIVALS:
        return counted
    behind = arrival - x / rate_hz
    least_s = max(_GAP_MIN_S, 1.5 / rate_hz)
    piece = counted.piece.copy()
    lost = gaps = 0
    for index in np.flatnonzero(np.diff(behind) > least_s) + 1:
        before, after = behind[max(0, index - _GAP_WINDOW) : index], behind[index : index + _GAP_WINDOW]
        if min(before.size, after.size) < _GAP_MIN_ARRIVALS:
            continue
        fell_s = float(np.min(after) - np.min(before))
        if fell_s < least_s or fell_s < 0.7 * (behind[index] - behind[index - 1]):
            continue
        from_here = counted.counter > x[index - 1]
        piece[from_here] += 1
        lost, gaps = lost + max(1, round(fell_s * rate_hz)), gaps + 1
    if not gaps:
        return counted
    return replace(counted, piece=piece, lost=counted.lost + lost, gaps=counted.gaps + gaps, ambiguous=True)
