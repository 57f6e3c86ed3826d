"""Host clock to session clock: a robust line through the clock-offset probes, which bends where the drift does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.clock_map import CLOCK_LIMIT_S, ClockMap, ClockPiece
from sync.bending_line import LEAST_WANDER, fit_bending_line
from sync.clock_resets import find_resets, first_sample_after

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: Standard deviation of the drift between two computers' clocks before anything was measured. Crystals
#: are within about 100 ppm of their nominal rate; two of them, old and warm, stay within 500 ppm.
DRIFT_PRIOR: Final = 200e-6
DRIFT_LIMIT: Final = 500e-6

#: Half a round trip is assumed to be this where no probe carries its round trip.
_UNKNOWN_HALF_TRIP_S: Final = 0.5e-3
#: What a probe can resolve at best: two clock readings and the float64 spacing of Unix time.
_PROBE_FLOOR_S: Final = 5e-6
#: No recording goes on for so long (23 days): a probe that was made farther from most others is none.
_LONGEST_S: Final = 2e6
#: Where no more than this share of the probes agrees, the others may be right.
_OUTVOTED: Final = 0.6
_KNOT_SPACING_S: Final = 10.0
_MAX_PAIRWISE: Final = 400


@dataclass(frozen=True)
class FittedClock:
    """A clock map and, for each row of the probes it was fitted to, whether it was believed."""

    map: ClockMap
    believed: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Probes:
    """Usable probes in the order of session time; ``row`` is where they came from."""

    host_s: Float64
    offset_s: Float64
    half_trip_s: Float64
    row: npt.NDArray[np.intp]

    def part(self, chosen: slice | npt.NDArray[np.intp]) -> _Probes:
        return _Probes(self.host_s[chosen], self.offset_s[chosen], self.half_trip_s[chosen], self.row[chosen])


def fit_clock(probes: npt.ArrayLike, probe_after: npt.ArrayLike = (), stamps: npt.ArrayLike = ()) -> FittedClock:
    """Fit the map from host time to session time.

    ``probes`` is float64 (probes, 3) in any order: host time in seconds, offset to session time in seconds, round trip
    in seconds or NaN. ``stamps`` (samples,) are the samples' rough host times in the order of the file, ``probe_after``
    (probes,) how many of them lie before each probe, empty where unknown: they tell which samples came after a reset.
    Rows that cannot be a probe (not finite, absurd, negative round trip) are left out. The map has one piece, or
    several where the host's clock was reset or another host took over. Without a usable probe it is the identity with
    an infinite standard error; one or two probes give a constant. Raises ValueError for other shapes.

    Model: offset = f(t) + e. The true offset lies within half the round trip of the probe's (RFC 5905, section 8),
    taken as uniform, so e has a standard deviation of round trip / sqrt(12). f is a line whose slope wanders, see
    ``fit_bending_line``; it starts from a repeated-median line (Siegel 1982) with a drift of 0 +- 200 ppm: a slope
    that the probes do not support is not invented. The error contains the asymmetry of the path, which no number of
    probes can show: the shortest round trip / sqrt(12).
    """
    rows = _rows(probes)
    usable = _usable(rows)
    believed = np.zeros(len(rows), dtype=np.bool_)
    if usable.host_s.size == 0:
        return FittedClock(ClockMap.identity(np.inf), believed)
    after = np.asarray(probe_after, dtype=np.int64)
    known = after[usable.row] if after.size == len(rows) else None
    stamped = np.asarray(stamps, dtype=np.float64)
    bounds = [0, *_resets(rows, usable), usable.host_s.size]
    pieces = []
    for first, end in pairwise(bounds):
        start = 0
        if first:
            around = slice(first - 1, first + 1)
            start = first_sample_after(
                stamped, usable.host_s[around], usable.offset_s[around], None if known is None else known[around]
            )
        piece, weight = _fit_piece(usable.part(slice(first, end)), start)
        pieces.append(piece)
        believed[usable.row[first:end][weight > 0]] = True
    return FittedClock(ClockMap(tuple(pieces)), believed)


def _resets(rows: Float64, usable: _Probes) -> list[int]:
    half_trip_s = np.where(np.isfinite(rows[usable.row, 2]), usable.half_trip_s, np.inf)
    return find_resets(usable.host_s + usable.offset_s, usable.offset_s, half_trip_s)


def _rows(probes: npt.ArrayLike) -> Float64:
    rows = np.asarray(probes, dtype=np.float64)
    if rows.size == 0:
        return rows.reshape(0, 3)
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise ValueError(f"probes must have the shape (probes, 3), not {rows.shape}")
    return rows


def _usable(rows: Float64) -> _Probes:
    with np.errstate(invalid="ignore"):
        keep = np.all(np.isfinite(rows[:, :2]), axis=1) & np.all(np.abs(rows[:, :2]) < CLOCK_LIMIT_S, axis=1)
        keep &= ~(rows[:, 2] < 0) & ~(rows[:, 2] > CLOCK_LIMIT_S)
    # The recorder's clock is the one that goes on over everything that happens to a host.
    chosen = np.flatnonzero(keep)
    chosen = chosen[np.argsort(rows[chosen, 0] + rows[chosen, 1], kind="stable")]
    session_s = rows[chosen].T[:2].sum(axis=0)
    if session_s.size:
        near = np.abs(session_s - np.median(session_s)) < _LONGEST_S
        chosen = chosen[near] if np.mean(near) >= 0.5 else chosen[:0]  # no few of them can be told to be the right ones
    rows = rows[chosen]
    known = np.isfinite(rows[:, 2])
    typical = float(np.median(rows[known, 2]) / 2) if known.any() else _UNKNOWN_HALF_TRIP_S
    half_trip = np.where(known, rows[:, 2] / 2, typical)
    return _Probes(rows[:, 0], rows[:, 1], half_trip, chosen)


def _repeated_median(probes: _Probes) -> tuple[float, float]:
    """Return slope and offset at time 0 of ``probes``, which must be centred; half of them may be wrong."""
    time, offset = probes.host_s, probes.offset_s
    if time.size > _MAX_PAIRWISE:  # the quickest probe of each block: fewer and better
        blocks = np.array_split(np.arange(time.size), _MAX_PAIRWISE)
        best = np.array([block[np.argmin(probes.half_trip_s[block])] for block in blocks])
        time, offset = time[best], offset[best]
    difference = time[:, None] - time[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        slopes = (offset[:, None] - offset[None, :]) / difference
    slopes[difference == 0] = np.nan
    rows = ~np.all(np.isnan(slopes), axis=1)
    slope = float(np.median(np.nanmedian(slopes[rows], axis=1))) if rows.any() else 0.0
    slope = float(np.clip(slope, -DRIFT_LIMIT, DRIFT_LIMIT))
    return slope, float(np.median(offset - slope * time))


def _fit_piece(probes: _Probes, first_sample: int) -> tuple[ClockPiece, Float64]:
    """Fit one run of the clock; return it and the weight that each probe was given."""
    # Centred first: at 2e9 s a float64 resolves 0.24 us, and the products of a fit need more than that.
    centre_s, base_s = float(np.median(probes.host_s)), float(np.median(probes.offset_s))
    order = np.argsort(probes.host_s, kind="stable")
    local = probes.part(order)
    host, offset = local.host_s - centre_s, local.offset_s - base_s
    sigma = np.hypot(local.half_trip_s / np.sqrt(3.0), _PROBE_FLOOR_S)
    asymmetry_s = float(np.min(sigma))
    if host.size <= 2:
        piece, weight = _constant(host, offset, sigma, asymmetry_s)
    else:
        slope, height = _repeated_median(_Probes(host, offset, local.half_trip_s, local.row))
        # Too short to tell a drift from noise: start from none, or outliers are judged from an invented slope.
        if np.ptp(host) * DRIFT_LIMIT < 4 * float(np.median(sigma)):
            slope, height = 0.0, float(np.median(offset))
        line = fit_bending_line(host, offset, sigma, DRIFT_PRIOR, height + slope * host, _KNOT_SPACING_S)
        error = np.hypot(np.hypot(line.error, asymmetry_s), _disagreement(offset - line.at(host), line.weight))
        ends = (line.slope_before, line.slope_after, line.slope_error, line.wander)
        piece, weight = ClockPiece(line.knot, line.value, error, *ends), line.weight
    back = np.empty_like(weight)
    back[order] = weight
    moved = ClockPiece(
        piece.knot_s + centre_s,
        piece.offset_s + base_s,
        piece.error_s,
        piece.drift_before,
        piece.drift_after,
        piece.drift_error,
        piece.wander,
        first_sample,
    )
    return moved, back


def _disagreement(residual: Float64, weight: Float64) -> float:
    """Return by how much the probes disagree where so few of them are believed that it may be the wrong ones."""
    if np.count_nonzero(weight) > _OUTVOTED * weight.size:
        return 0.0
    return 1.4826 * float(np.median(np.abs(residual)))


def _constant(host: Float64, offset: Float64, sigma: Float64, asymmetry_s: float) -> tuple[ClockPiece, Float64]:
    """Return what one or two probes tell: an offset, and nothing of the drift."""
    middle, height = (float(np.average(what, weights=1 / sigma**2)) for what in (host, offset))
    error = float(np.hypot(asymmetry_s, np.ptp(offset) / 2))
    one = np.array([middle]), np.array([height]), np.array([error])
    return ClockPiece(*one, 0.0, 0.0, DRIFT_PRIOR, LEAST_WANDER), np.ones(host.size)
