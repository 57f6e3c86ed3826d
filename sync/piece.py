"""The unbroken pieces of a stream: a line for each, and one rate for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.clock_map import CLOCK_LIMIT_S
from sync.line_below import LineBelow, fit_line_below, shared_slope

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_TOO_FEW_ARRIVALS: Final = 5
_FEW_ARRIVALS: Final = 20
#: A measured rate further than this from the nominal one is worth a word, or disbelief if arrivals are few.
_ABSURD_RATE: Final = 0.01
#: A rate that is so many times the nominal one, or so small a part of it, was not measured but made by wrong stamps.
_NO_RATE: Final = 1e6
#: What a nominal rate is worth where it must stand in for a measured one.
_NOMINAL_TRUST: Final = 500e-6
#: A device clock in seconds runs at the host's rate within this, or it is not in seconds.
_DEVICE_RATE_LIMIT: Final = 2e-3
#: A rate further from the expected one than this many of its standard errors was measured.
_MEASURED: Final = 5.0
#: Rates that differ by less than this are those of one device.
_SAME_RATE: Final = 20e-6


@dataclass(frozen=True)
class PieceArrivals:
    """The samples of one unbroken piece, and its arrivals.

    ``samples`` (samples,) are their unwrapped counts; ``count``, ``arrival_s`` and ``device_time_s`` are (arrivals,):
    count of the last sample that arrived, when, and the device's own time of that sample or NaN.
    """

    samples: Int64
    count: Float64
    arrival_s: Float64
    device_time_s: Float64

    def usable(self) -> PieceArrivals:
        """Return the piece without arrivals that are no numbers."""
        keep = np.isfinite(self.count) & np.isfinite(self.arrival_s)
        return replace(
            self, count=self.count[keep], arrival_s=self.arrival_s[keep], device_time_s=self.device_time_s[keep]
        )


@dataclass(frozen=True)
class PieceFit:
    """A piece's samples on its line: ``time_s`` and ``uncertainty_s`` are (samples,), on the clock of the arrivals.

    ``delay_s`` (arrivals,) is how much later than the line each arrival of the piece came.
    """

    time_s: Float64
    uncertainty_s: Float64
    rate_hz: float
    spread_s: float
    over_device_time: bool
    delay_s: Float64
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Line:
    """The line of a piece over ``x`` (arrivals,); ``doubt`` is what is uncertain of a slope that was not measured."""

    line: LineBelow
    x: Float64
    over_device_time: bool
    doubt: float = 0.0
    notes: tuple[str, ...] = ()


def fit_pieces(pieces: Sequence[PieceArrivals], rate_hz: float) -> list[PieceFit]:
    """Find the times of the samples of all pieces of one device from their arrivals.

    Each piece has a line of its own, but a device has one rate: a piece whose own arrivals tell the rate less well than
    all pieces together do takes theirs. A piece that clearly has another rate keeps it. ``rate_hz`` is nominal and
    above 0; it is used only where fewer than five arrivals, or more with an absurd rate, cannot tell the rate.
    """
    usable = [piece.usable() for piece in pieces]
    lines = [_line_of(piece, rate_hz) if piece.count.size else None for piece in usable]
    for over_device_time in (False, True):
        alike = [
            place for place, line in enumerate(lines) if line is not None and line.over_device_time == over_device_time
        ]
        if len(alike) > 1:
            _share_slope(lines, alike, usable)
    return [_on_line(piece, line, rate_hz) for piece, line in zip(usable, lines, strict=True)]


def _share_slope(lines: list[_Line | None], alike: list[int], pieces: list[PieceArrivals]) -> None:
    """Give the pieces ``alike`` the slope that all of them tell together, where it is better than their own."""
    own = {place: line for place in alike if (line := lines[place]) is not None}
    measured = [place for place, line in own.items() if not line.doubt and line.x.size >= _FEW_ARRIVALS]
    if not measured:
        return
    best = min(measured, key=lambda place: own[place].line.slope_error)
    reference = own[best].line
    agreeing = [place for place in measured if _agree(own[place].line, reference)]
    hulls = [(own[place].x, pieces[place].arrival_s) for place in agreeing if _rises(own[place].x)]
    slope = shared_slope(hulls) if len(hulls) > 1 else reference.slope
    error = float(1 / np.sqrt(np.sum([1 / max(own[place].line.slope_error, 1e-150) ** 2 for place in agreeing])))
    for place, line in own.items():
        unmeasured = line.doubt > 0 or line.x.size < _FEW_ARRIVALS
        if place == best or line.line.bend is not None or not (unmeasured or place in agreeing):
            continue
        fitted = fit_line_below(line.x, pieces[place].arrival_s, slope, error)
        notes = tuple(note for note in line.notes if "stands in" not in note)
        lines[place] = replace(line, line=fitted, doubt=0.0, notes=notes)


def _agree(one: LineBelow, other: LineBelow) -> bool:
    error = float(np.hypot(one.slope_error, other.slope_error))
    return abs(one.slope - other.slope) <= max(_MEASURED * error, _SAME_RATE * abs(other.slope))


def _rises(x: Float64) -> bool:
    return x.size > 1 and bool(np.all(np.diff(x) > 0))


def _line_of(piece: PieceArrivals, rate_hz: float) -> _Line:
    over_device_time = _line_over_device_time(piece.count, piece.arrival_s, piece.device_time_s)
    if over_device_time is not None:
        line, assumed = over_device_time
        said = ("arrivals do not tell its clock's rate: the host's stands in",) if assumed else ()
        return _Line(
            line, piece.device_time_s, over_device_time=True, doubt=_NOMINAL_TRUST if assumed else 0.0, notes=said
        )
    line, nominal, notes = _line_over_count(piece.count, piece.arrival_s, rate_hz)
    doubt = _NOMINAL_TRUST / rate_hz if nominal else 0.0
    return _Line(line, piece.count, over_device_time=False, doubt=doubt, notes=notes)


def _on_line(piece: PieceArrivals, found: _Line | None, rate_hz: float) -> PieceFit:
    wanted = piece.samples.astype(np.float64)
    if found is None:
        unknown = np.full(wanted.size, np.inf)
        notes = ("no arrival time is known",)
        return PieceFit(
            wanted / rate_hz, unknown, np.nan, np.nan, over_device_time=False, delay_s=np.empty(0), notes=notes
        )
    line = found.line
    at = _interpolated(wanted, piece.count, piece.device_time_s) if found.over_device_time else wanted
    time_s, uncertainty = line.at(at), line.standard_error_s(at)
    if found.doubt:
        uncertainty = np.hypot(uncertainty, found.doubt * np.abs(at - line.centre))
    measured = np.nan if found.doubt else 1 / line.slope
    if found.over_device_time:
        passed_s = float(time_s[-1] - time_s[0])
        measured = float(wanted[-1] - wanted[0]) / passed_s if passed_s > 0 else np.nan
    return PieceFit(
        time_s=time_s,
        uncertainty_s=uncertainty,
        rate_hz=measured,
        spread_s=line.spread_s,
        over_device_time=found.over_device_time,
        delay_s=piece.arrival_s - line.at(found.x),
        notes=(*found.notes, *_discarded(line)),
    )


def _discarded(line: LineBelow) -> tuple[str, ...]:
    return (f"{line.discarded} impossibly early arrivals ignored",) if line.discarded else ()


def _line_over_device_time(x: Float64, arrival: Float64, device: Float64) -> tuple[LineBelow, bool] | None:
    """Return the line and whether its slope is that of a perfect clock, or None without a clock in seconds.

    Delays that wander can bend the line far more than any clock is wrong. A slope that is less certain than clocks are
    is not taken; one that is certain, and no clock's, says that device time is not in seconds.
    """
    if x.size < _TOO_FEW_ARRIVALS or not bool(np.all(np.abs(device) < CLOCK_LIMIT_S)):
        return None
    if not bool(np.all(np.diff(device) > 0)) or not bool(np.all(np.diff(x) > 0)):
        return None
    line = fit_line_below(device, arrival)
    error = line.slope_error
    if abs(line.slope - 1) >= max(_DEVICE_RATE_LIMIT, _MEASURED * error):
        return None
    if error <= _NOMINAL_TRUST and abs(line.slope - 1) < _DEVICE_RATE_LIMIT:
        return line, False
    return fit_line_below(device, arrival, 1.0), True


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
    measured = abs(off) > _MEASURED * line.slope_error * rate_hz
    if arrivals < _FEW_ARRIVALS or not measured or not 1 / _NO_RATE < 1 + off < _NO_RATE:
        note = f"{arrivals} arrivals do not tell the rate: the nominal rate stands in"
        return fit_line_below(x, arrival, 1 / rate_hz), True, (note,)
    return line, False, (f"its rate is {abs(1 / (1 + off) - 1) * 100:.1f} % {'below' if off > 0 else 'above'} nominal",)
