"""Host clock to session clock: a robust line of offset and drift through the clock-offset probes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.clock_map import ClockMap, ClockPiece

Float64 = npt.NDArray[np.float64]

#: Standard deviation of the drift between two computers' clocks before anything was measured. Crystals
#: are within about 100 ppm of their nominal rate; two of them, old and warm, stay within 500 ppm.
DRIFT_PRIOR: Final = 200e-6
DRIFT_LIMIT: Final = 500e-6

#: Half a round trip is assumed to be this where no probe carries its round trip.
_UNKNOWN_HALF_TRIP_S: Final = 0.5e-3
#: What a probe can resolve at best: two clock readings and the float64 spacing of Unix time.
_PROBE_FLOOR_S: Final = 5e-6
#: Times and offsets beyond this (3,000 years) are no clock readings.
_CLOCK_LIMIT_S: Final = 1e11
#: An offset that steps by less than this is no reset.
_RESET_S: Final = 0.05
_RESET_WINDOW: Final = 10
_RESET_MIN_PROBES: Final = 4
_MAX_PAIRWISE: Final = 400


@dataclass(frozen=True)
class _Probes:
    host_s: Float64
    offset_s: Float64
    half_trip_s: Float64

    def part(self, chosen: slice | npt.NDArray[np.intp]) -> _Probes:
        return _Probes(self.host_s[chosen], self.offset_s[chosen], self.half_trip_s[chosen])


def fit_clock(probes: npt.ArrayLike, stamps: npt.ArrayLike = ()) -> ClockMap:
    """Fit the map from host time to session time.

    ``probes`` is float64 (probes, 3): host time in seconds, offset to session time in seconds, round trip in
    seconds or NaN. ``stamps`` (samples,) are the samples' rough host times.
    Rows that cannot be a probe (not finite, absurd, negative round trip) are left out. The
    result is one piece, or several where the host's clock was reset. Without a usable probe it is the identity
    with an infinite standard error; one or two probes give a constant. Raises ValueError for another shape.

    Model: offset = a + b (t - c) + e. The true offset lies within half the round trip of the probe's (RFC 5905,
    section 8), taken as uniform, so e has a standard deviation of round trip / sqrt(12). a and b maximise the
    posterior under Tukey's biweight (Beaton & Tukey 1974) from a repeated-median start (Siegel 1982), with
    b ~ N(0, 200 ppm): a slope that the probes do not support is not invented. c is the weighted mean time, where
    the errors of a and b are uncorrelated. The error of a contains the asymmetry of the path, which no number of
    probes can show: the shortest round trip / sqrt(12).
    """
    usable = _usable(probes)
    if usable.host_s.size == 0:
        return ClockMap.identity(np.inf)
    bounds = [0, *_resets(usable), usable.host_s.size]
    pieces = []
    for first, end in pairwise(bounds):
        border_s = -np.inf if first == 0 else float(usable.host_s[first - 1] + usable.host_s[first]) / 2
        first_sample = int(np.searchsorted(np.asarray(stamps, dtype=np.float64), border_s))
        pieces.append(_fit_piece(usable.part(slice(first, end)), first_sample))
    return ClockMap(tuple(pieces))


def _usable(probes: npt.ArrayLike) -> _Probes:
    rows = np.asarray(probes, dtype=np.float64)
    if rows.size == 0:
        rows = rows.reshape(0, 3)
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise ValueError(f"probes must have the shape (probes, 3), not {rows.shape}")
    with np.errstate(invalid="ignore"):
        keep = np.all(np.isfinite(rows[:, :2]), axis=1) & np.all(np.abs(rows[:, :2]) < _CLOCK_LIMIT_S, axis=1)
        keep &= ~(rows[:, 2] < 0) & ~(rows[:, 2] > _CLOCK_LIMIT_S)
    rows = rows[keep]
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    known = np.isfinite(rows[:, 2])
    typical = float(np.median(rows[known, 2]) / 2) if known.any() else _UNKNOWN_HALF_TRIP_S
    half_trip = np.where(known, rows[:, 2] / 2, typical)
    return _Probes(rows[:, 0], rows[:, 1], half_trip)


def _resets(probes: _Probes) -> list[int]:
    """Return indices of the first probe after each clock reset.

    A reset is a step of the offset that most of the (up to ten) probes on both sides agree on.
    """
    offset, host, count = probes.offset_s, probes.host_s, probes.host_s.size
    if count < 2 * _RESET_MIN_PROBES:
        return []
    steps = np.abs(np.diff(offset)) > _RESET_S + DRIFT_LIMIT * np.diff(host)
    found: list[tuple[int, float]] = []
    for index in np.flatnonzero(steps) + 1:
        left = offset[max(0, index - _RESET_WINDOW) : index]
        right = offset[index : index + _RESET_WINDOW]
        if min(left.size, right.size) < _RESET_MIN_PROBES:
            continue
        low, high = float(np.median(left)), float(np.median(right))
        step = abs(high - low)
        span_s = host[min(count - 1, index + _RESET_WINDOW - 1)] - host[max(0, index - _RESET_WINDOW)]
        if step <= _RESET_S + DRIFT_LIMIT * span_s:
            continue
        agree = min(np.mean(np.abs(left - low) < step / 10), np.mean(np.abs(right - high) < step / 10))
        if agree < 0.7:
            continue
        cost = float(np.sum(np.minimum(np.abs(left - low), step)) + np.sum(np.minimum(np.abs(right - high), step)))
        if found and index - found[-1][0] < _RESET_MIN_PROBES:
            if cost < found[-1][1]:
                found[-1] = (int(index), cost)
        else:
            found.append((int(index), cost))
    return [index for index, _ in found]


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


def _fit_piece(probes: _Probes, first_sample: int) -> ClockPiece:
    # Centred first: at 2e9 s a float64 resolves 0.24 us, and the products of a fit need more than that.
    centre_s, base_s = float(np.median(probes.host_s)), float(np.median(probes.offset_s))
    local = _Probes(probes.host_s - centre_s, probes.offset_s - base_s, probes.half_trip_s)
    sigma = np.hypot(local.half_trip_s / np.sqrt(3.0), _PROBE_FLOOR_S)
    asymmetry_s = float(np.min(sigma))
    count = local.host_s.size
    if count <= 2:
        weight = 1 / sigma**2
        middle = float(np.average(local.host_s, weights=weight))
        offset = float(np.average(local.offset_s, weights=weight))
        spread = float(np.ptp(local.offset_s)) / 2
        se = float(np.hypot(asymmetry_s, spread))
        return _straight(centre_s + middle, base_s + offset, se, 0.0, DRIFT_PRIOR, first_sample)
    slope, offset = _repeated_median(local)
    # Too short to tell a drift from noise: start from none, or outliers are judged from an invented slope.
    if np.ptp(local.host_s) * DRIFT_LIMIT < 4 * float(np.median(sigma)):
        slope, offset = 0.0, float(np.median(local.offset_s))
    middle = 0.0
    for _ in range(50):
        residual = (local.offset_s - offset - slope * (local.host_s - middle)) / sigma
        # Four imaginary probes that are exactly as good as their round trip says keep few probes from
        # claiming a perfect fit.
        scale = float(np.sqrt((4.0 + count * (1.4826 * np.median(np.abs(residual))) ** 2) / (4.0 + count)))
        ratio = np.minimum(np.abs(residual) / (4.685 * scale), 1.0)
        weight = (1 - ratio**2) ** 2 / (sigma * scale) ** 2
        total = float(np.sum(weight))
        new_middle = float(np.sum(weight * local.host_s) / total)
        new_offset = float(np.sum(weight * local.offset_s) / total)
        lever = local.host_s - new_middle
        precision = float(np.sum(weight * lever**2)) + 1 / DRIFT_PRIOR**2
        new_slope = float(np.sum(weight * lever * (local.offset_s - new_offset))) / precision
        moved = abs(new_offset - offset - slope * (new_middle - middle)) + abs(new_slope - slope) * 100
        slope, offset, middle = new_slope, new_offset, new_middle
        if moved < 1e-9:
            break
    se = float(np.hypot(1 / np.sqrt(total), asymmetry_s))
    return _straight(centre_s + middle, base_s + offset, se, slope, 1 / float(np.sqrt(precision)), first_sample)


def _straight(
    knot_s: float, offset_s: float, error_s: float, drift: float, drift_error: float, first: int
) -> ClockPiece:
    knot, offset, error = (np.array([value]) for value in (knot_s, offset_s, error_s))
    return ClockPiece(knot, offset, error, drift, drift, drift_error, first_sample=first)
