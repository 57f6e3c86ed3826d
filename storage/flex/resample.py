"""Values at other times: interpolated over short gaps, or held, never invented."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def interpolate(time_s: Float64, values: Float64, at_s: Float64, max_gap_s: float) -> Float64:
    """Interpolate linearly between the finite neighbours of each time.

    ``time_s`` (samples,) strictly increasing, ``values`` (samples, columns); returns (times, columns). NaN where the
    neighbours are more than ``max_gap_s`` apart, and before the first and after the last. A row of ``values`` counts
    as absent if any of its columns is not finite: a joint is there whole or not at all.
    """
    out = np.full((len(at_s), values.shape[1]), np.nan)
    # Only the neighbourhood matters: a take is long, a repetition is short.
    first, last = (
        (np.searchsorted(time_s, at_s[0] - max_gap_s), np.searchsorted(time_s, at_s[-1] + max_gap_s, side="right"))
        if len(at_s)
        else (0, 0)
    )
    time_s, values = time_s[first:last], values[first:last]
    present = np.isfinite(values).all(axis=1)
    time_s, values = time_s[present], values[present]
    if not len(time_s):
        return out
    right = np.minimum(np.searchsorted(time_s, at_s), len(time_s) - 1)
    exact = time_s[right] == at_s
    left = np.maximum(right - 1, 0)
    gap_s = time_s[right] - time_s[left]
    # The tolerance keeps a gap that is max_gap_s but for rounding.
    between = (time_s[left] <= at_s) & (at_s <= time_s[right]) & (gap_s > 0) & (gap_s <= max_gap_s * (1 + 1e-9))
    share = np.divide(at_s - time_s[left], gap_s, out=np.zeros(len(at_s)), where=between)[:, None]
    mixed = values[left] * (1 - share) + values[right] * share
    out[between] = mixed[between]
    out[exact] = values[right[exact]]
    return out


def interpolate_each(time_s: Float64, values: npt.NDArray[np.floating], at_s: Float64, max_gap_s: float) -> Float64:
    """Interpolate several things that come and go each on its own: ``interpolate`` for each of them.

    ``values`` (samples, things, columns); returns (times, things, columns). Where none is absent it is done in one go.
    """
    things, columns = values.shape[1:]
    out = np.full((len(at_s), things, columns), np.nan)
    if not len(at_s):
        return out
    first = np.searchsorted(time_s, at_s[0] - max_gap_s)
    last = np.searchsorted(time_s, at_s[-1] + max_gap_s, side="right")
    time_s, near = time_s[first:last], values[first:last].astype(np.float64)
    if np.isfinite(near).all():
        return interpolate(time_s, near.reshape(len(near), things * columns), at_s, max_gap_s).reshape(out.shape)
    for thing in range(things):
        out[:, thing] = interpolate(time_s, near[:, thing], at_s, max_gap_s)
    return out


def hold_last(time_s: Float64, values: Float64, at_s: Float64, max_hold_s: float) -> Float64:
    """Return at each time the last finite value that is not older than ``max_hold_s``, else NaN.

    ``time_s`` and ``values`` (samples,), ``at_s`` and the result (times,).
    """
    finite = np.isfinite(values)
    time_s, values = time_s[finite], values[finite]
    if not len(time_s):
        return np.full(len(at_s), np.nan)
    before = np.searchsorted(time_s, at_s, side="right") - 1
    held = np.maximum(before, 0)
    fresh = (before >= 0) & (at_s - time_s[held] <= max_hold_s)
    return np.where(fresh, values[held], np.nan)
