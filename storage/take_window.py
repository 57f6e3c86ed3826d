"""The part of a recording that is a take: of one long file of others, what lies between two session times."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.recorded import RecordedStream, RecordedTake, RecordedView

Float64 = npt.NDArray[np.float64]

#: Times and offsets beyond this (3,000 years) are no clock readings.
_CLOCK_LIMIT_S: Final = 1e11
#: Rows of a ``.clock`` stream belong to samples that are stamped within this.
_CLOCK_ROW_S: Final = 1.0


def within(take: RecordedTake, from_s: float | None, to_s: float | None) -> RecordedTake:
    """Return what of a take lies between two session times, None: from its beginning, to its end.

    Samples and frames are left out, none is changed. The borders are applied to stamps as they came, moved by the
    nearest clock probes, so they are as good as those. Clock probes are kept, all of them: they tell the same clock.
    """
    if from_s is None and to_s is None:
        return take
    low = -math.inf if from_s is None else from_s
    high = math.inf if to_s is None else to_s
    return replace(
        take,
        streams=tuple(_stream_within(stream, low, high) for stream in take.streams),
        views=tuple(_view_within(view, low, high) for view in take.views),
    )


def rough_session_s(stamps_s: npt.ArrayLike, probes: npt.ArrayLike) -> Float64:
    """Return session times of stamps (samples,), good to some milliseconds; NaN for what is no time.

    ``probes`` is (probes, 2 or more): host time and offset in seconds. Between them the offset is interpolated; a
    single one that is far from both its neighbours is not believed. Without probes stamps are session times.
    """
    stamps = np.asarray(stamps_s, dtype=np.float64)
    stamps = np.where(np.abs(stamps) < _CLOCK_LIMIT_S, stamps, np.nan)
    table = np.asarray(probes, dtype=np.float64)
    table = table[(np.abs(table[:, :2]) < _CLOCK_LIMIT_S).all(axis=1)] if table.size else table
    if not len(table):
        return stamps
    table = table[np.argsort(table[:, 0], kind="stable")]
    offset_s = table[:, 1].copy()
    if offset_s.size > 2:
        neighbours = np.stack((offset_s[:-2], offset_s[1:-1], offset_s[2:]))
        offset_s[1:-1] = np.median(neighbours, axis=0)
    return np.asarray(stamps + np.interp(stamps, table[:, 0], offset_s))


def _bounds(session_s: Float64, low_s: float, high_s: float) -> tuple[int, int]:
    """Return first and one behind the last place between the borders; (0, 0) where there is none."""
    inside = np.flatnonzero((session_s >= low_s) & (session_s <= high_s))
    return (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, 0)


def _stream_within(stream: RecordedStream, low_s: float, high_s: float) -> RecordedStream:
    first, stop = _bounds(rough_session_s(stream.stamps, stream.probes), low_s, high_s)
    last = stream.chunk_last[(stream.chunk_last >= first) & (stream.chunk_last < stop)] - first
    rows = stream.clock_rows
    if rows is not None:
        stamps = stream.stamps[first:stop]
        stamps = stamps[np.isfinite(stamps)]
        ends_s = (stamps.min() - _CLOCK_ROW_S, stamps.max() + _CLOCK_ROW_S) if stamps.size else (0.0, -1.0)
        rows = rows[(rows[:, 1] >= ends_s[0]) & (rows[:, 1] <= ends_s[1])]
    return replace(
        stream,
        stamps=stream.stamps[first:stop],
        values=stream.values[first:stop],
        counter=None if stream.counter is None else stream.counter[first:stop],
        chunk_last=last,
        clock_rows=rows,
        probe_after=np.clip(stream.probe_after - first, 0, stop - first),
    )


def _view_within(view: RecordedView, low_s: float, high_s: float) -> RecordedView:
    chosen = slice(*_bounds(rough_session_s(view.arrival_s, view.stream.probes), low_s, high_s))
    return replace(
        view,
        frame_id=view.frame_id[chosen],
        device_time_s=view.device_time_s[chosen],
        arrival_s=view.arrival_s[chosen],
        pts_us=view.pts_us[chosen],
        index=view.index[chosen],
    )
