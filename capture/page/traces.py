"""Samples -> the line that a page shows of them, with fewer points and the same picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from capture.page.time_axis import TimeAxis

Float64 = npt.NDArray[np.float64]

#: Paths are written in whole tenths of a unit.
FINENESS: Final = 10
#: A step between samples longer than this many sample intervals is a gap.
GAP_STEPS: Final = 1.5


@dataclass(frozen=True)
class Trace:
    """Points of a line: ``time_s`` and ``values`` (points,).

    ``breaks`` (points,) says where the line does not come from the point before.
    """

    time_s: Float64
    values: Float64
    breaks: npt.NDArray[np.bool_]


def trace_of(axis: TimeAxis, time_s: Float64, values: Float64, max_step_s: float) -> Trace:
    """Return what has to be drawn of samples, at most four points a column of the axis.

    ``time_s`` (samples,) increasing, ``values`` (samples,), NaN where absent. Of each column the first, the smallest,
    the largest and the last sample are kept: the line through them covers the same pixels as the line through all
    (M4: Jugel et al. 2014, VLDB 7:10), so no spike is lost. The line breaks where samples are more than ``max_step_s``
    apart and where values are absent.
    """
    first, end = np.searchsorted(time_s, (axis.from_s, axis.to_s))
    near = slice(max(0, int(first) - 1), int(end) + 1)
    time, value = time_s[near], np.asarray(values[near], dtype=np.float64)
    here = np.flatnonzero(np.isfinite(value) & np.isfinite(time))
    if not here.size:
        return Trace(np.empty(0), np.empty(0), np.zeros(0, dtype=np.bool_))
    time, value = time[here], value[here]
    parted = np.concatenate(([True], (np.diff(here) > 1) | (np.diff(time) > max_step_s)))
    if time.size > 4 * axis.columns:
        piece = np.cumsum(parted)
        keep = _telling(axis, time, value)
        time, value = time[keep], value[keep]
        parted = np.concatenate(([True], np.diff(piece[keep]) > 0))
    return Trace(time, value, parted)


def _telling(axis: TimeAxis, time: Float64, value: Float64) -> npt.NDArray[np.intp]:
    column = np.floor((time - axis.from_s) / (axis.to_s - axis.from_s) * axis.columns).astype(np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(column)) + 1))
    ends = np.concatenate((starts[1:], [time.size])) - 1
    by_value = np.lexsort((value, column))  # within each column in order of value
    return np.unique(np.concatenate((starts, ends, by_value[starts], by_value[ends])))


def path_data(x: Float64, y: Float64, breaks: npt.NDArray[np.bool_]) -> str:
    """Return the ``d`` of an SVG path through points, in tenths of a unit; a point alone becomes a dot."""
    if not len(x):
        return ""
    px, py = (np.rint(part * FINENESS).astype(np.int64) for part in (x, y))
    starts = breaks.copy()
    starts[0] = True
    moved = np.concatenate(([True], (np.diff(px) != 0) | (np.diff(py) != 0))) | starts
    px, py, starts = px[moved], py[moved], starts[moved]
    dx, dy = np.diff(px, prepend=0).tolist(), np.diff(py, prepend=0).tolist()
    alone = starts & np.concatenate((starts[1:], [True]))
    parts: list[str] = []
    for index, start in enumerate(starts.tolist()):
        if start:
            parts.append(f"M{px[index]} {py[index]}{'h1' if alone[index] else 'l'}")
        else:
            parts.append(f"{_after(dx[index])}{_after(dy[index])}")
    return "".join(parts)


def _after(number: int) -> str:
    """Write a number that follows another: a minus parts them as well as a space."""
    return str(number) if number < 0 else f" {number}"


def gaps_of(axis: TimeAxis, time_s: Float64, max_step_s: float) -> list[tuple[float, float]]:
    """Return (from, to) places of the gaps between samples; gaps within a column become one, so they are few."""
    if len(time_s) < 2:
        return []
    where = np.flatnonzero(np.diff(time_s) > max_step_s)
    out: list[tuple[float, float]] = []
    for start, end in zip(time_s[where].tolist(), time_s[where + 1].tolist(), strict=True):
        if not axis.shows(start, end):
            continue
        left, right = axis.at(start), axis.at(end)
        if out and left - out[-1][1] < 1.0:
            out[-1] = out[-1][0], right
        else:
            out.append((left, right))
    return out
