"""Counters as recorded -> an unwrapped count: losses, duplicates and resets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: Arrivals may be this late against each other: a counter step is judged against time no closer than this.
_TIME_SLACK_S: Final = 5.0
_SLACK_COUNTS: Final = 64
_MAX_BACK_STEPS: Final = 1000
#: Repeated samples take no time; those of a device that was reset take more than this.
_RESENT_SLACK_S: Final = 0.25
_MAX_RESENT: Final = 100_000
#: Counters that wrap within a chunk or a few, where a repeat is looked for, and how far.
SHORT_MODULUS: Final = 4096
_LONGEST_REPEAT: Final = 4096
_MOST_LOOKED_AT: Final = 10_000
#: A chunk and its clock row have the same arrival, but for rounding, and most chunks have one.
_SAME_ARRIVAL_S: Final = 1e-6
_MOST_ALIKE: Final = 0.9


@dataclass(frozen=True)
class Counted:
    """What a counter says about its samples.

    ``kept`` (k,) indexes the samples that are not exact duplicates; ``counter`` (k,) is their unwrapped count and
    ``piece`` (k,) the number of counter resets before each. Inside a piece the count is strictly increasing, from one
    piece to the next anything may happen. ``lost`` and ``gaps`` are counted inside pieces; ``ambiguous`` says that
    more may be missing: at a reset, or where the counter could have wrapped more often than seen. ``usable`` is False
    where the counter does not count; everything is kept then and the count is the index.
    """

    kept: npt.NDArray[np.intp]
    counter: Int64
    piece: Int64
    lost: int
    gaps: int
    duplicates: int
    ambiguous: bool
    usable: bool = True


def unwrap(
    counter: npt.ArrayLike,
    modulus: int,
    stamps_s: npt.ArrayLike,
    rate_hz: float,
    values: npt.NDArray[Any] | None = None,
) -> Counted:
    """Unwrap a counter that goes from ``modulus`` - 1 to 0.

    ``counter`` is int64 (n,); ``modulus`` 0 means that it never wraps; ``stamps_s`` (n,) are rough host times, good to
    a few seconds, which tell a wrap from a reset; ``rate_hz`` is the rough rate, 0 where unknown. A sample whose count
    was seen before is dropped only if its row of ``values`` (n, channels) is the same too; otherwise the counter was
    reset there. Raises ValueError where lengths differ.
    """
    raw = np.asarray(counter, dtype=np.int64)
    stamps = np.asarray(stamps_s, dtype=np.float64)
    if raw.ndim != 1 or stamps.shape != raw.shape or (values is not None and len(values) != raw.size):
        raise ValueError("counter, stamps and values must have one entry a sample")
    everything = np.arange(raw.size, dtype=np.intp)
    if 0 < modulus <= SHORT_MODULUS and values is not None:
        fresh = _not_said_twice(raw, modulus, values)
        if not fresh.all():
            rest = unwrap(raw[fresh], modulus, stamps[fresh], rate_hz, values[fresh])
            again = int(np.count_nonzero(~fresh))
            return replace(rest, kept=everything[fresh][rest.kept], duplicates=rest.duplicates + again)
    if raw.size < 2:
        return Counted(everything, raw.copy(), np.zeros(raw.size, dtype=np.int64), 0, 0, 0, ambiguous=False)
    step, backward, wrapped = _steps(raw, modulus, stamps, rate_hz)
    if step.min() >= 1 and not backward.any():  # nearly all streams
        counter = np.empty(raw.size, dtype=np.int64)
        counter[0] = raw[0] % modulus if modulus else raw[0]
        np.cumsum(step, out=counter[1:])
        counter[1:] += counter[0]
        missing = step > 1
        lost, gaps = int(np.sum(step)) - step.size, int(np.count_nonzero(missing))
        return Counted(everything, counter, np.zeros(raw.size, dtype=np.int64), lost, gaps, 0, ambiguous=wrapped)
    turns = np.flatnonzero(backward)
    if turns.size > max(10, raw.size // 10) or turns.size > _MAX_BACK_STEPS:
        index = everything.astype(np.int64)
        return Counted(everything, index, np.zeros_like(index), 0, 0, 0, ambiguous=True, usable=False)
    start = raw[0] % modulus if modulus else raw[0]
    unwrapped = start + np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(step)))
    piece = np.zeros(raw.size, dtype=np.int64)
    kept = np.ones(raw.size, dtype=np.bool_)
    done = piece_start = 0
    for turn in (turns + 1).tolist():
        if turn < done:
            continue
        resent = _resent(unwrapped, values, stamps, rate_hz, piece_start, turn, kept)
        if resent:
            done = turn + resent
            kept[turn:done] = False
        else:
            piece[turn:] += 1
            piece_start = turn
    if piece[-1] and modulus:  # each piece starts again below the modulus, as a counter does
        starts = np.flatnonzero(np.diff(piece)) + 1
        base = np.zeros(raw.size, dtype=np.int64)
        for first in starts.tolist():
            base[first:] = raw[first] % modulus - unwrapped[first]
        unwrapped = unwrapped + base
    unwrapped, piece, indices = unwrapped[kept], piece[kept], everything[kept]
    missing = np.where(np.diff(piece) == 0, np.diff(unwrapped) - 1, 0)
    return Counted(
        kept=indices,
        counter=unwrapped,
        piece=piece,
        lost=int(np.sum(missing)),
        gaps=int(np.count_nonzero(missing)),
        duplicates=raw.size - indices.size,
        ambiguous=wrapped or bool(piece.size and piece[-1] > 0),
    )


def _not_said_twice(raw: Int64, modulus: int, values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark the samples that do not repeat, in count and values, the run of samples just before them.

    With a short counter a chunk that comes twice looks like one that follows a loss. A signal that stands still repeats
    itself anyhow, and is no duplicate.
    """
    fresh = np.ones(raw.size, dtype=np.bool_)
    step = np.diff(raw % modulus) % modulus
    done = 0
    for place in (np.flatnonzero(step != 1)[:_MOST_LOOKED_AT] + 1).tolist():
        if place < done:
            continue
        least = int((1 - step[place - 1]) % modulus) or modulus
        for length in range(least, min(_LONGEST_REPEAT, place - done, raw.size - place) + 1, modulus):
            before, here = slice(place - length, place), slice(place, place + length)
            run = values[here]
            if (raw[before] == raw[here]).all() and (values[before] == run).all() and (run != run[0]).any():
                fresh[here] = False
                done = place + length
                break
    return fresh


def unwrap_by_rows(
    counter: Int64, modulus: int, stamps_s: Float64, ends: Int64, rows: Float64
) -> npt.NDArray[np.int64] | None:
    """Return the count (n,) that clock rows tell without doubt.

    None where they do not go with the samples, the device began anew, or their publisher could not tell a short
    counter's turns either and gave what the device said.

    ``counter`` (n,) is modulo ``modulus``, ``stamps_s`` (n,) the samples' stamps, of which those at ``ends`` (chunks,)
    are arrivals; ``rows`` (rows, 2 or more) have unwrapped count and arrival. A chunk and its row have one arrival.
    """
    if modulus <= 0 or not len(rows) or not ends.size or not bool(np.all(np.diff(rows[:, 1]) >= 0)):
        return None
    arrival_s = stamps_s[ends]
    place = np.clip(np.searchsorted(rows[:, 1], arrival_s - _SAME_ARRIVAL_S), 0, len(rows) - 1)
    slack_s = _SAME_ARRIVAL_S + 4 * np.spacing(np.abs(arrival_s))
    found = np.abs(rows[place, 1] - arrival_s) <= slack_s
    whole = rows[place, 0].astype(np.int64)
    alike = found & ((whole - counter[ends]) % modulus == 0)
    if np.count_nonzero(alike) < _MOST_ALIKE * ends.size:
        return None
    least = np.empty(counter.size, dtype=np.int64)
    least[0] = counter[0]
    np.cumsum(np.diff(counter) % modulus, out=least[1:])
    least[1:] += counter[0]
    told = ends[alike]
    turns = (whole[alike] - least[told]) // modulus
    if bool(np.any(np.diff(turns) < 0)):
        return None  # a device that began anew, perhaps within a chunk
    # a chunk whose row names a sample that did not come goes with the chunk before
    of_chunk = turns[np.maximum(np.searchsorted(told, ends, side="right") - 1, 0)]
    if turns[-1] == 0 and turns[0] == 0:
        return least
    lengths = np.diff(ends, prepend=-1)
    lengths[-1] += counter.size - 1 - ends[-1]
    return np.asarray(least + np.repeat(modulus * of_chunk, lengths), dtype=np.int64)


def rows_by_samples(rows: Float64, counted: Counted, ends: Int64, stamps_s: Float64, modulus: int) -> Float64:
    """Return the clock rows (rows, 3) of a short counter with the count that their chunks' samples were found to have.

    Arguments are those of ``unwrap_by_rows``; rows that go with no chunk are left out.
    """
    place = np.searchsorted(counted.kept, ends)
    place = np.where(place < counted.kept.size, place, 0)
    there = counted.kept[place] == ends
    arrival_s, count = stamps_s[ends[there]], counted.counter[place[there]]
    if not arrival_s.size:
        return rows[:0]
    order = np.argsort(arrival_s, kind="stable")
    arrival_s, count = arrival_s[order], count[order]
    near = np.clip(np.searchsorted(arrival_s, rows[:, 1] - _SAME_ARRIVAL_S), 0, arrival_s.size - 1)
    slack_s = _SAME_ARRIVAL_S + 4 * np.spacing(np.abs(rows[:, 1]))
    alike = np.abs(arrival_s[near] - rows[:, 1]) <= slack_s
    alike &= (rows[:, 0].astype(np.int64) - count[near]) % modulus == 0
    told: Float64 = rows[alike].copy()
    told[:, 0] = count[near[alike]]
    return told


def _steps(raw: Int64, modulus: int, stamps: Float64, rate_hz: float) -> tuple[Int64, npt.NDArray[np.bool_], bool]:
    """Return count steps (n - 1,), which of them are no progress in time, and whether a wrap is uncertain."""
    slack = max(_SLACK_COUNTS, _TIME_SLACK_S * rate_hz) if rate_hz > 0 else float("inf")
    plain = np.diff(raw) if not modulus else np.diff(raw % modulus) % modulus
    with np.errstate(invalid="ignore", over="ignore"):
        in_time = not modulus or float(np.max(np.diff(stamps))) * max(rate_hz, 0.0) <= modulus / 2
        if plain.min() >= 1 and plain.max() <= (min(slack, modulus / 4) if modulus else slack) and in_time:
            return plain, np.zeros(plain.size, dtype=np.bool_), False  # nothing that would need a closer look
        expected = np.nan_to_num(np.diff(stamps) * max(rate_hz, 0.0), nan=0.0, posinf=0.0, neginf=0.0)
    expected = np.clip(expected, 0.0, 2.0**52)
    if not modulus:
        step = plain
        return step, (step < 1) | (step > expected + slack), False
    # Turns that went by unseen are found later, from the floor of the arrivals: a stamp may be late.
    step = plain
    late = (step >= (modulus + 1) // 2) & (step > expected + min(slack, modulus / 4))
    step = np.where(late, step - modulus, step)
    backward = late | (step == 0) | (step > expected + max(slack, modulus if modulus < slack else 0))
    wrapped = bool(np.any(~backward & (expected > modulus / 2)))
    return step, backward, wrapped


def _resent(
    unwrapped: Int64,
    values: npt.NDArray[Any] | None,
    stamps: Float64,
    rate_hz: float,
    piece_start: int,
    turn: int,
    kept: npt.NDArray[np.bool_],
) -> int:
    """Return how many samples from ``turn`` on repeat earlier ones of the piece exactly; 0 if it is a reset.

    A device that was reset and whose signal is constant repeats itself too, but takes its time over it.
    """
    if values is None or unwrapped[turn] > unwrapped[turn - 1]:
        return 0
    earlier = piece_start + np.flatnonzero(kept[piece_start:turn])
    highest = unwrapped[earlier[-1]]
    later = unwrapped[turn : turn + _MAX_RESENT]
    beyond = np.flatnonzero(later > highest)
    length = int(beyond[0]) if beyond.size else later.size
    last = min(turn + length, unwrapped.size - 1)
    counted_s = max(0, int(unwrapped[last] - highest)) / rate_hz if rate_hz > 0 else 0.0
    if rate_hz > 0 and stamps[last] - stamps[turn - 1] - counted_s > _RESENT_SLACK_S + 0.5 * length / rate_hz:
        return 0
    place = np.searchsorted(unwrapped[earlier], later[:length])
    if np.any(place >= earlier.size) or np.any(unwrapped[earlier[place]] != later[:length]):
        return 0
    first, second = values[earlier[place]], values[turn : turn + length]
    same = first == second
    if np.issubdtype(values.dtype, np.floating):
        same |= np.isnan(first) & np.isnan(second)
    return length if bool(np.all(same)) else 0
