"""Counters and arrivals -> the session time of every sample. A sample's time is never its arrival."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.clock_map import CLOCK_LIMIT_S, ClockMap
from lab.recorded import RecordedStream, RecordedView
from sync.counters import SHORT_MODULUS, Counted, rows_by_samples, unwrap, unwrap_by_rows
from sync.floor_steps import settle_count, split_at_gaps
from sync.piece import PieceArrivals, PieceFit, fit_pieces
from sync.session_clock import on_session_clock, view_on_session_clock

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


#: Counts beyond this are nothing that a device counted.
_MOST_COUNTS: Final = 2**48
#: Clock rows this near to a counter's reset are given to the piece that they fit better.
_BORDER_S: Final = 5.0
#: Stamps that step by the nominal period to within this belong to one chunk.
_SAME_CHUNK_S: Final = 1e-6


@dataclass(frozen=True)
class SampleTimes:
    """Session times of a stream's samples, before the device's latency is subtracted.

    All arrays are (kept,): ``kept`` indexes the recorded samples that are not exact duplicates, ``time_s`` is strictly
    increasing, ``counter`` unwrapped and strictly increasing, ``uncertainty_s`` the standard error of ``time_s``
    without that of the clock map. ``rate_measured_hz`` is in samples a second, NaN where it cannot be told.
    ``arrival_spread_s`` is the p99 of the arrivals' delay beyond the fastest; ``arrival_s`` and ``delay_s`` (arrivals,)
    are the arrivals that were fitted to, and how much later than the fit they are.
    """

    time_s: Float64
    counter: Int64
    kept: npt.NDArray[np.intp]
    lost: int
    lost_ambiguous: bool
    gaps: int
    duplicates: int
    rate_measured_hz: float
    arrival_spread_s: float
    uncertainty_s: Float64
    method: str
    notes: tuple[str, ...] = ()
    arrival_s: Float64 = field(default_factory=lambda: np.empty(0))
    delay_s: Float64 = field(default_factory=lambda: np.empty(0))


def sample_times(stream: RecordedStream, clock: ClockMap) -> SampleTimes:
    """Find the session time of every sample of a stream; ``clock`` is the map from its host's clock.

    Arrivals are taken to session time first, so that a host whose clock was reset breaks nothing. With a counter: per
    unbroken piece of it, a line through the fastest arrivals over the count, or over the device's own time where each
    chunk carries one. Without a counter a regular stream gets such a line over its index, between what look like gaps:
    a guess, and said to be one. Irregular streams keep their own stamps, and a counter of theirs tells what was lost.
    """
    if stream.stamps.size == 0:
        return _own_stamps(stream, "no samples")
    regular = stream.rate_hz > 0
    if regular and (absurd := _absurd(stream.stamps)):
        times = sample_times(replace(stream, stamps=_filled(stream.stamps)), clock)
        return replace(times, notes=(*times.notes, f"{absurd} stamps that are no times were not used"))
    ends = _ends_of_chunks(stream)
    if stream.counter is not None and regular:
        told = unwrap_by_rows(stream.counter, stream.counter_modulus, stream.stamps, ends, _usable_rows(stream))
        if told is not None:
            stream = replace(stream, counter=told, counter_modulus=0)
    stream = on_session_clock(stream, clock)
    if not regular:
        return _own_stamps(stream, "own stamps")
    if stream.counter is None:
        return _without_counter(stream, ends, ())
    counted = unwrap(stream.counter, stream.counter_modulus, stream.stamps, stream.rate_hz, stream.values)
    if not counted.usable:
        return _without_counter(stream, ends, ("its counter does not count",))
    method, notes = "device count", _notes_of(counted)
    if stream.counter_origin == "device":
        counted, breaks = settle_count(counted, ends, stream.stamps, stream.counter_modulus, stream.rate_hz)
        if breaks:
            notes = (*notes, f"its count and its arrivals part at {breaks} places: it was taken to begin anew there")
    if 0 < stream.counter_modulus <= SHORT_MODULUS:
        rows = rows_by_samples(_usable_rows(stream), counted, ends, stream.stamps, stream.counter_modulus)
        stream = replace(stream, clock_rows=rows, counter_modulus=0)
    pieces, shifts, arrival_notes = _arrivals(stream, ends, counted)
    if stream.counter_origin == "host":
        method = "host count"
        notes = (*notes, "the device has no counter: losses before the host show as gaps in time at best")
        if len(pieces) == 1:
            counted = split_at_gaps(counted, pieces[0].count, pieces[0].arrival_s, stream.rate_hz)
            pieces, shifts, arrival_notes = _arrivals(stream, ends, counted)
    fits = fit_pieces(pieces, stream.rate_hz)
    if all(fit.over_device_time for fit in fits):
        method = "device time"
    return _joined(counted, pieces, fits, shifts, stream.rate_hz, method, (*notes, *arrival_notes))


def frame_times(view: RecordedView, clock: ClockMap) -> SampleTimes:
    """Find the session time of every frame record of a view; none is dropped. ``clock`` is that of its host.

    x of the line is the camera's own time where it is finite, increasing and in seconds, and its frame count elsewhere.
    """
    rate_hz = view.stream.rate_hz
    if view.arrival_s.size == 0:
        return _own_stamps(view.stream, "no frames")
    if absurd := _absurd(view.arrival_s):
        times = frame_times(replace(view, arrival_s=_filled(view.arrival_s)), clock)
        return replace(times, notes=(*times.notes, f"{absurd} arrivals that are no times were not used"))
    arrival = view_on_session_clock(view, clock)
    rate_hz = rate_hz if rate_hz > 0 else _rough_rate_hz(arrival)
    counted = unwrap(view.frame_id, 0, arrival, rate_hz)
    notes = _notes_of(counted)
    method = "frame count"
    if not counted.usable:
        counted = split_at_gaps(counted, counted.counter.astype(np.float64), arrival, rate_hz)
        method, notes = "guess: frame index", (*notes, "its frame count does not count")
    pieces = _frame_pieces(counted, arrival, view.device_time_s)
    fits = fit_pieces(pieces, rate_hz)
    by_clock = all(fit.over_device_time for fit in fits)
    if view.stream.counter_origin == "host" and counted.usable and not by_clock:
        notes = (*notes, "the device has no counter: losses before the host show as gaps in time at best")
        if len(pieces) == 1:
            counted = split_at_gaps(counted, counted.counter.astype(np.float64), arrival, rate_hz)
            pieces = _frame_pieces(counted, arrival, view.device_time_s)
            fits = fit_pieces(pieces, rate_hz)
        method = "host count"
    if by_clock:
        method = "device time"
    return _joined(counted, pieces, fits, [0] * len(pieces), rate_hz, method, notes)


def _frame_pieces(counted: Counted, arrival_s: Float64, device_time_s: Float64) -> list[PieceArrivals]:
    pieces = []
    for piece in _pieces(counted):
        inside = counted.piece == piece
        samples = counted.counter[inside]
        pieces.append(PieceArrivals(samples, samples.astype(np.float64), arrival_s[inside], device_time_s[inside]))
    return pieces


def strictly_increasing(time_s: Float64) -> Float64:
    """Return ``time_s`` (n,) with every time that does not follow its predecessor moved just after it."""
    if time_s.size < 2 or bool(np.all(np.diff(time_s) > 0)):
        return time_s
    ramp = _least_step_s(time_s) * np.arange(time_s.size)
    return np.asarray(np.maximum.accumulate(time_s - ramp) + ramp)


def _least_step_s(time_s: Float64) -> float:
    return max(1e-9, 4 * float(np.spacing(max(abs(float(time_s.min())), abs(float(time_s.max()))))))


def _pieces(counted: Counted) -> range:
    return range(int(counted.piece[-1]) + 1)


def _ends_of_chunks(stream: RecordedStream) -> Int64:
    """Return the indices of samples that ended a chunk of the publisher's.

    A recorder may have joined several of its chunks into one of the file's. Within a chunk LSL's stamps go on at
    exactly the nominal rate; where they do not, another chunk begins.
    """
    stamps = stream.stamps
    ends = np.zeros(stamps.size, dtype=np.bool_)
    ends[stream.chunk_last[(stream.chunk_last >= 0) & (stream.chunk_last < stamps.size)]] = True
    ends[-1] = True
    if stream.rate_hz > 0:
        fine_s = _SAME_CHUNK_S + 4 * float(np.spacing(np.max(np.abs(stamps))))
        ends[:-1] |= np.abs(np.diff(stamps) - 1 / stream.rate_hz) > fine_s
    return np.flatnonzero(ends)


def _arrivals(
    stream: RecordedStream, ends: Int64, counted: Counted
) -> tuple[list[PieceArrivals], list[int], tuple[str, ...]]:
    """Return the arrivals of each piece, what its count is behind that of the clock rows, and what must be said."""
    rows = _usable_rows(stream)
    owner = _piece_of_rows(rows, stream, counted)
    found = [_arrivals_of_piece(stream, ends, counted, rows[owner == piece], piece) for piece in _pieces(counted)]
    notes = (
        () if all(by_rows for *_, by_rows in found) else ("no usable clock rows: arrivals are the stamps of chunks",)
    )
    return [piece for piece, *_ in found], [shift for _, shift, _ in found], notes


def _arrivals_of_piece(
    stream: RecordedStream, ends: Int64, counted: Counted, rows: Float64, piece: int
) -> tuple[PieceArrivals, int, bool]:
    first, end = np.searchsorted(counted.piece, (piece, piece + 1))
    counter, kept = counted.counter[first:end], counted.kept[first:end]
    fitting = _shift_of_rows(stream, counter, stream.stamps[kept], rows)
    if fitting is not None:
        shift, rows = fitting
        return PieceArrivals(counter, rows[:, 0] - shift, rows[:, 1], rows[:, 2]), shift, True
    places = np.searchsorted(kept, ends)
    here = places < kept.size
    here[here] = kept[places[here]] == ends[here]
    chosen = places[here] if here.any() else np.arange(kept.size)
    unknown = np.full(chosen.size, np.nan)
    return PieceArrivals(counter, counter[chosen].astype(np.float64), stream.stamps[kept[chosen]], unknown), 0, False


def _usable_rows(stream: RecordedStream) -> Float64:
    rows = np.zeros((0, 3)) if stream.clock_rows is None else stream.clock_rows
    with np.errstate(invalid="ignore"):
        return np.asarray(rows[(np.abs(rows[:, 0]) < _MOST_COUNTS) & (np.abs(rows[:, 1]) < CLOCK_LIMIT_S)])


def _piece_of_rows(rows: Float64, stream: RecordedStream, counted: Counted) -> Int64:
    """Return the piece of each clock row: by time, and near a reset by the count as well.

    A chunk's first samples have stamps before the arrival of the chunk ahead of it: time alone would give that one's
    row to the wrong piece.
    """
    stamps = stream.stamps[counted.kept]
    starts = np.flatnonzero(np.diff(counted.piece)) + 1
    borders = (stamps[starts - 1] + stamps[starts]) / 2
    owner = np.asarray(np.searchsorted(np.maximum.accumulate(borders), rows[:, 1], side="left"), dtype=np.int64)
    ends = np.concatenate(([0], starts, [stamps.size]))
    for after, border in enumerate(borders.tolist(), start=1):
        near = np.flatnonzero((np.abs(rows[:, 1] - border) < _BORDER_S) & ((owner == after) | (owner == after - 1)))
        if near.size == 0:
            continue
        apart = []
        for piece in (after - 1, after):
            inside = slice(ends[piece], ends[piece + 1])
            apart.append(_seconds_apart(rows[near], counted.counter[inside], stamps[inside], stream))
        owner[near] = np.where(apart[0] == apart[1], owner[near], np.where(apart[0] < apart[1], after - 1, after))
    return owner


def _seconds_apart(rows: Float64, counter: Int64, stamps: Float64, stream: RecordedStream) -> Float64:
    """Return how far the arrivals of ``rows`` are from the rough times of the samples that they name."""
    ahead = rows[:, 0] - float(counter[0])
    if stream.counter_modulus:
        half = stream.counter_modulus / 2
        ahead = (ahead + half) % stream.counter_modulus - half
    passed = (counter - counter[0]).astype(np.float64)
    outside = np.maximum(-ahead, 0.0) + np.maximum(ahead - passed[-1], 0.0)
    return np.asarray(np.abs(np.interp(ahead, passed, stamps) - rows[:, 1]) + outside / stream.rate_hz)


def _shift_of_rows(
    stream: RecordedStream, counter: Int64, stamps: Float64, rows: Float64
) -> tuple[int, Float64] | None:
    """Return what the clock rows count more than the samples do, and the rows that fit; None where none does."""
    if len(rows) == 0:
        return None
    # The samples' count by their stamps is rough, but a modulus is far longer than that is wrong.
    rough = np.interp(rows[:, 1], np.maximum.accumulate(stamps), counter.astype(np.float64))
    ahead = rows[:, 0] - rough
    modulus = stream.counter_modulus
    shift = round(float(np.median(ahead)) / modulus) * modulus if modulus else 0
    slack = max(64.0, 10.0 * stream.rate_hz) + 0.1 * float(counter[-1] - counter[0])
    rows = rows[np.abs(ahead - shift) < slack]
    if len(rows) == 0:
        return None
    return shift, rows


def _own_stamps(stream: RecordedStream, method: str) -> SampleTimes:
    stamps, notes = stream.stamps, []
    counted = (
        None if stream.counter is None else unwrap(stream.counter, stream.counter_modulus, stamps, 0.0, stream.values)
    )
    if counted is not None and counted.usable:
        notes = list(_notes_of(counted))
        kept, counter = counted.kept, _on_from_piece_to_piece(counted)
    else:
        if counted is not None:
            notes.append("its counter does not count")
        counted = None
        kept = np.arange(stamps.size)
        counter = kept.astype(np.int64)
    finite = np.abs(stamps[kept]) < CLOCK_LIMIT_S
    if not bool(np.all(finite)):
        notes.append("stamps that are no times were left out")
    kept, counter = kept[finite], counter[finite]
    order = np.argsort(stamps[kept], kind="stable")
    if counted is not None and bool(np.any(np.diff(order) < 0)):
        notes.append("its stamps are not in the order of its count")  # the count stays with the places
    kept = kept[order]
    return SampleTimes(
        time_s=strictly_increasing(stamps[kept]),
        counter=counter,
        kept=kept,
        lost=counted.lost if counted else 0,
        lost_ambiguous=bool(counted and counted.ambiguous),
        gaps=counted.gaps if counted else 0,
        duplicates=counted.duplicates if counted else 0,
        rate_measured_hz=np.nan,
        arrival_spread_s=np.nan,
        uncertainty_s=np.zeros(kept.size),
        method=method,
        notes=tuple(notes),
    )


def _on_from_piece_to_piece(counted: Counted) -> Int64:
    """Return a count that goes on over resets: how many were lost there is not known."""
    counter: Int64 = counted.counter.copy()
    for start in (np.flatnonzero(np.diff(counted.piece)) + 1).tolist():
        counter[start:] += counter[start - 1] + 1 - counter[start]
    return counter


def _without_counter(stream: RecordedStream, ends: Int64, notes: tuple[str, ...]) -> SampleTimes:
    index = np.arange(stream.stamps.size)
    last = ends[np.isfinite(stream.stamps[ends])]
    zeros = np.zeros(index.size, dtype=np.int64)
    counted = Counted(index, index.astype(np.int64), zeros, 0, 0, 0, ambiguous=False)
    counted = split_at_gaps(counted, last.astype(np.float64), stream.stamps[last], stream.rate_hz)
    pieces = []
    for piece in _pieces(counted):
        samples = counted.counter[counted.piece == piece]
        rows = last[counted.piece[last] == piece]
        unknown = np.full(rows.size, np.nan)
        pieces.append(PieceArrivals(samples, rows.astype(np.float64), stream.stamps[rows], unknown))
    fits = fit_pieces(pieces, stream.rate_hz)
    notes = (*notes, "no counter: losses show as gaps in time at best")
    return _joined(counted, pieces, fits, [0] * len(pieces), stream.rate_hz, "guess: index", notes)


def _absurd(stamps: Float64) -> int:
    """Return how many stamps are no clock readings."""
    return stamps.size - int(np.count_nonzero(np.abs(stamps) < CLOCK_LIMIT_S))


def _filled(stamps: Float64) -> Float64:
    """Return stamps with those that are no times interpolated; they are rough anyway."""
    finite = np.flatnonzero(np.abs(stamps) < CLOCK_LIMIT_S)
    if finite.size == 0:
        return np.zeros_like(stamps)
    return np.interp(np.arange(stamps.size), finite, stamps[finite])


def _rough_rate_hz(arrival_s: Float64) -> float:
    steps = np.diff(arrival_s)
    steps = steps[steps > 0]
    return float(1 / np.median(steps)) if steps.size else 1.0


def _notes_of(counted: Counted) -> tuple[str, ...]:
    notes = []
    if counted.duplicates:
        notes.append(f"{counted.duplicates} exact duplicates dropped")
    resets = int(counted.piece[-1]) if counted.piece.size else 0
    if resets:
        notes.append(f"its counter was reset {'once' if resets == 1 else f'{resets} times'}")
    return tuple(notes)


def _joined(
    counted: Counted,
    pieces: list[PieceArrivals],
    fits: list[PieceFit],
    shifts: list[int],
    rate_hz: float,
    method: str,
    notes: tuple[str, ...],
) -> SampleTimes:
    time_s = np.concatenate([fit.time_s for fit in fits])
    counter = counted.counter.copy()
    previous = 0
    bounds = np.searchsorted(counted.piece, np.arange(len(fits) + 1)).tolist()
    for piece, fit in enumerate(fits):
        inside, shift = slice(bounds[piece], bounds[piece + 1]), shifts[piece]
        if piece:  # a count that goes on by time: how many were lost over a reset is not known
            before, first = fits[piece - 1].time_s[-1], fit.time_s[0]
            passed = int(np.clip(np.nan_to_num((first - before) * rate_hz), 1, _MOST_COUNTS))
            shift = previous + passed - int(counter[inside][0])
        counter[inside] += shift
        previous = int(counter[inside][-1])
    longest = max(fits, key=lambda fit: fit.time_s.size)
    uncertainty_s = np.concatenate([fit.uncertainty_s for fit in fits])
    increasing = strictly_increasing(_without_overlaps(time_s, uncertainty_s, counted.piece))
    moved_s = increasing - time_s
    moved = float(np.max(np.abs(moved_s)))
    if moved > 1e-6:
        notes = (*notes, f"times of neighbouring pieces overlapped by up to {moved * 1e3:.1f} ms")
    return SampleTimes(
        time_s=increasing,
        counter=counter,
        kept=counted.kept,
        lost=counted.lost,
        lost_ambiguous=counted.ambiguous,
        gaps=counted.gaps,
        duplicates=counted.duplicates,
        rate_measured_hz=longest.rate_hz,
        arrival_spread_s=longest.spread_s,
        uncertainty_s=np.hypot(uncertainty_s, moved_s) if moved else uncertainty_s,
        method=method,
        notes=tuple(dict.fromkeys((*notes, *(note for fit in fits for note in fit.notes)))),
        arrival_s=np.concatenate([piece.usable().arrival_s for piece in pieces]),
        delay_s=np.concatenate([fit.delay_s for fit in fits]),
    )


def _without_overlaps(time_s: Float64, uncertainty_s: Float64, piece: Int64) -> Float64:
    """Return times in which of two pieces that overlap the less certain one gives way; the other stays as it is."""
    if not piece[-1]:
        return time_s
    time_s, step_s = time_s.copy(), _least_step_s(time_s)
    starts = (np.flatnonzero(np.diff(piece)) + 1).tolist()
    for begin, start, end in zip([0, *starts], starts, [*starts[1:], piece.size], strict=False):
        before, after = time_s[begin:start], time_s[start:end]
        if before[-1] < after[0]:
            continue
        if uncertainty_s[start - 1] > uncertainty_s[start]:
            steps = np.arange(before.size, 0, -1) * step_s
            np.minimum(before, after[0] - steps, out=before)
        else:
            steps = np.arange(1, after.size + 1) * step_s
            np.maximum(after, before[-1] + steps, out=after)
    return time_s
