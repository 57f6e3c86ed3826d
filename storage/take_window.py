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
#: An offset that steps by less than this, and what clocks drift, goes on from the probe before.
_SAME_RUN_S: Final = 0.05
_FASTEST_DRIFT: Final = 1e-3
#: Fewer probes than this may be no measurements.
_FEW_PROBES: Final = 3
#: Runs looked at for one that a probe goes on with, the latest first.
_MOST_RUNS: Final = 50


def within(take: RecordedTake, from_s: float | None, to_s: float | None) -> RecordedTake:
    """Return what of a take lies between two session times, None: from its beginning, to its end.

    Samples and frames are left out, none is changed. The borders are applied to stamps as they came, moved by the
    nearest clock probes, so they are as good as those. Where a host's clock was reset, only probes of the runs that
    stamped something of the part are kept: nothing of it could tell when the others ended. All others are kept, from
    the whole recording: they tell the same clock.
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
    told = _of_the_same_runs(stream.stamps[first:stop], stream.probes)
    known = len(stream.probe_after) == len(stream.probes)
    return replace(
        stream,
        stamps=stream.stamps[first:stop],
        values=stream.values[first:stop],
        counter=None if stream.counter is None else stream.counter[first:stop],
        chunk_last=last,
        clock_rows=rows,
        probes=stream.probes[told],
        probe_after=np.clip(stream.probe_after[told] - first, 0, stop - first) if known else stream.probe_after,
    )


def _of_the_same_runs(stamps_s: Float64, probes: Float64) -> npt.NDArray[np.bool_]:
    """Tell for each probe (probes,) whether a run of the host's clock that it is of stamped any of the samples.

    A stamp is of the run whose probes come nearest to it. All probes are, where there are no stamps.
    """
    runs = _runs(probes)
    stamps = stamps_s[np.abs(stamps_s) < _CLOCK_LIMIT_S]
    if not stamps.size or not runs.size or int(runs.max()) == 0:
        return np.ones(len(probes), dtype=np.bool_)
    counts = np.bincount(runs[runs >= 0])
    trusted = np.flatnonzero((runs >= 0) & (counts[runs] >= min(_FEW_PROBES, int(counts.max()))))
    order = trusted[np.argsort(probes[trusted, 0], kind="stable")]
    middles = (probes[order[:-1], 0] + probes[order[1:], 0]) / 2
    stamped = np.unique(runs[order[np.searchsorted(middles, stamps)]])
    return np.isin(runs, stamped)


def _runs(probes: Float64) -> npt.NDArray[np.int64]:
    """Return for each probe, in the order of the file, which run of the host's clock it measured; -1 for none.

    A probe goes on with the last run from which a clock could have drifted to it, so one that is no measurement is a
    run of its own and interrupts none.
    """
    runs = np.full(len(probes), -1, dtype=np.int64)
    ends: list[tuple[float, float]] = []
    for row, (host_s, offset_s) in enumerate(probes[:, :2].tolist()):
        if not (abs(host_s) < _CLOCK_LIMIT_S and abs(offset_s) < _CLOCK_LIMIT_S):
            continue
        for run in range(len(ends) - 1, max(-1, len(ends) - 1 - _MOST_RUNS), -1):
            passed_s = host_s - ends[run][0]
            if passed_s >= -1.0 and abs(offset_s - ends[run][1]) <= _SAME_RUN_S + _FASTEST_DRIFT * max(passed_s, 0.0):
                runs[row], ends[run] = run, (host_s, offset_s)
                break
        else:
            runs[row] = len(ends)
            ends.append((host_s, offset_s))
    return runs


def _view_within(view: RecordedView, low_s: float, high_s: float) -> RecordedView:
    chosen = slice(*_bounds(rough_session_s(view.arrival_s, view.stream.probes), low_s, high_s))
    return replace(
        view,
        stream=_stream_within(view.stream, low_s, high_s),
        frame_id=view.frame_id[chosen],
        device_time_s=view.device_time_s[chosen],
        arrival_s=view.arrival_s[chosen],
        pts_us=view.pts_us[chosen],
        index=view.index[chosen],
    )
