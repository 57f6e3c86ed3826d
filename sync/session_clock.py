"""Arrivals on a host's clock -> arrivals on the session's clock, over whatever was done to the host's clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lab.clock_map import ClockMap
from lab.recorded import RecordedStream, RecordedView

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: Runs of a clock that come this near to a time are equally near.
_NEAR_S = 1.0


def on_session_clock(stream: RecordedStream, clock: ClockMap) -> RecordedStream:
    """Return a stream whose stamps and clock rows are in session time."""
    stamps = stream.stamps
    real = np.isfinite(stamps)
    if real.all():
        stamps = clock.apply(stamps, np.arange(stamps.size) if len(clock.pieces) > 1 else 0)
    else:  # an irregular stream keeps whatever it has
        stamps, chosen = stamps.copy(), np.flatnonzero(real)
        stamps[chosen] = clock.apply(stamps[chosen], chosen)
    rows = stream.clock_rows
    if rows is not None and len(rows):
        rows = rows[np.isfinite(rows[:, 1])]
        rows[:, 1] = clock.apply(rows[:, 1], _sample_of(rows[:, 1], stream.stamps, clock))
    return replace(stream, stamps=stamps, clock_rows=rows)


def view_on_session_clock(view: RecordedView, clock: ClockMap) -> Float64:
    """Return the arrivals of a view's frame records, (frames,), in session time."""
    return clock.apply(view.arrival_s, _sample_of(view.arrival_s, view.stream.stamps, clock))


def _sample_of(host_s: Float64, stamps: Float64, clock: ClockMap) -> Int64:
    """Return for each host time (rows,), in the order of the file, a sample stamped by the same run of the clock.

    It is the run whose stamps reach nearest to it, and of several the one that lies at the same place in the file.
    """
    if len(clock.pieces) == 1 or stamps.size == 0:
        return np.zeros(host_s.size, dtype=np.int64)
    expected = np.linspace(0, stamps.size - 1, host_s.size)
    firsts = [min(piece.first_sample, stamps.size - 1) for piece in clock.pieces]
    ends = [*firsts[1:], stamps.size]
    apart = np.full((len(firsts), host_s.size), np.inf)
    away = np.zeros((len(firsts), host_s.size))
    for run, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        if end > first:
            low, high = float(np.min(stamps[first:end])), float(np.max(stamps[first:end]))
            apart[run] = np.maximum(np.maximum(low - host_s, host_s - high), 0.0)
            away[run] = np.maximum(np.maximum(first - expected, expected - end), 0.0)
    tied = apart <= apart.min(axis=0) + _NEAR_S
    return np.asarray(np.array(firsts)[np.argmin(np.where(tied, away, np.inf), axis=0)], dtype=np.int64)
