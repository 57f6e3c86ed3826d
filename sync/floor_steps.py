"""Where the fastest arrivals step for good: samples that are missing unseen, or a count that is not what it seems."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from sync.counters import Counted

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: Fewer arrivals than this on one side of a step tell nothing.
_MIN_ARRIVALS: Final = 3
#: And less than this share of what is looked at is not long enough to tell a step from a spell of delays.
_SIDE: Final = 0.1
_LONGER_THAN_WAITS_S: Final = 2.0
#: A step is larger than this, and than so many times what the floor wavers by. A device's own count is believed longer.
_LEAST_S: Final = 0.01
_LEAST_OF_COUNT_S: Final = 0.25
_NOISE: Final = 10.0
#: A step is made at one arrival, or most of it is; of a jump the rest is a delay.
_AT_ONCE: Final = 0.4
#: A rate is told over this long, in which few breaks fall, and over no more than this part of all: most have no break.
_RATE_LAG_S: Final = 5.0
_LAGS: Final = 5
#: For how long a floor is looked at on both sides: of a count that is only an index, and of a device's own.
_INDEX_WINDOW_S: Final = 1.5
_COUNT_WINDOW_S: Final = 20.0
#: A step that is this near to whole turns of a counter is made of them; what a floor tells is better than the second.
#: A device that began anew at any count must not pass for one that went on.
_WHOLE_TURN: Final = 0.1
_WHOLE_TURN_S: Final = 0.01
_MOST_TURNS: Final = 2**40


@dataclass(frozen=True)
class FloorSteps:
    """``before`` (steps,) indexes the last arrival before each step, ``step_s`` (steps,) is how far the floor moved."""

    before: npt.NDArray[np.intp]
    step_s: Float64


def floor_steps(
    count: Float64, arrival_s: Float64, rate_hz: float, window_s: float, least_s: float, *, falls: bool
) -> FloorSteps:
    """Find where the floor under the arrivals steps.

    ``count`` (arrivals,) increasing, ``arrival_s`` (arrivals,) in the order of the file; ``rate_hz`` is nominal. How
    far an arrival is behind its count is a delay, which is never negative, above a floor, which is even while nothing
    happens. The smallest of those within ``window_s`` before and after are compared: after a mere delay others catch
    up, after a step none does. Steps are larger than ``least_s``; with ``falls`` a floor may also step down.
    """
    none = FloorSteps(np.zeros(0, dtype=np.intp), np.zeros(0))
    if count.size < 2 * _MIN_ARRIVALS or not (arrival_s[-1] > arrival_s[0] or falls):
        return none
    behind = arrival_s - count / _rate(count, arrival_s, rate_hz)
    typical_s = float(np.median(np.diff(count))) / rate_hz
    width, short = (
        int(np.clip(stretch_s / max(typical_s, 1e-9), _MIN_ARRIVALS, behind.size))
        for stretch_s in (window_s, _INDEX_WINDOW_S)
    )
    step = _steps_of_floor(behind, width)
    wavering = _steps_of_floor(behind, short)  # a step is in few of the short windows
    wavers_s = 1.4826 * float(np.median(np.abs(wavering - np.median(wavering))))
    least_s = max(least_s, 1.5 / rate_hz, _NOISE * wavers_s)
    jump = np.diff(behind)
    size = np.abs(jump) if falls else jump
    candidates = np.flatnonzero((size > least_s) & (np.abs(step) > least_s)) + 1

    def moved(index: int, start: int, stop: int) -> float:
        """Return how far the floor steps at an arrival, between two others that it may be told from; 0: it does not."""
        before = behind[max(start, index - width) : index]
        end = max(index + width, int(np.searchsorted(arrival_s[index:], arrival_s[index] + window_s)) + index)
        after = behind[index : min(end, stop)]
        if not before.size or not after.size:
            return 0.0
        moved_s = float(np.min(after) - np.min(before))
        if min(index - start, after.size) < max(_MIN_ARRIVALS, _SIDE * width) and abs(moved_s) < _LONGER_THAN_WAITS_S:
            return 0.0
        jump_s = float(jump[index - 1])
        here = moved_s * jump_s > 0 and abs(moved_s) >= _AT_ONCE * abs(jump_s)
        return moved_s if here and abs(moved_s) > least_s and (falls or moved_s > 0) else 0.0

    bounds = [0, behind.size]
    for index in candidates[np.argsort(-size[candidates - 1], kind="stable")].tolist():
        place = bisect(bounds, index)  # the largest first, so that small ones near it are judged without it
        if moved(index, bounds[place - 1], bounds[place]):
            bounds.insert(place, index)
    while True:  # and once more, now that all are known
        around = [(bounds[place - 1], bounds[place + 1]) for place in range(1, len(bounds) - 1)]
        found = [moved(index, *between) for index, between in zip(bounds[1:-1], around, strict=True)]
        if all(found):
            return FloorSteps(np.asarray(bounds[1:-1], dtype=np.intp) - 1, np.asarray(found, dtype=np.float64))
        del bounds[1 + found.index(0.0)]


def _rate(count: Float64, arrival_s: Float64, rate_hz: float) -> float:
    """Return the rate as most stretches of some seconds show it, in counts a second."""
    lag = int(np.searchsorted(count, count[0] + _RATE_LAG_S * rate_hz))
    lag = min(max(lag, 1), max(1, count.size // _LAGS))
    passed_s = arrival_s[lag:] - arrival_s[:-lag]
    with np.errstate(divide="ignore", invalid="ignore"):
        period_s = float(np.median(passed_s / (count[lag:] - count[:-lag])))
    return 1 / period_s if period_s > 0 and np.isfinite(period_s) and abs(period_s * rate_hz - 1) < 0.5 else rate_hz


def _steps_of_floor(behind: Float64, width: int) -> Float64:
    """Return for each arrival but the first how much higher the floor is from it on than before it."""
    return np.asarray(_smallest_ahead(behind, width)[1:] - _smallest_ahead(behind[::-1], width)[::-1][:-1])


def _smallest_ahead(values: Float64, width: int) -> Float64:
    """Return the smallest of each value and the ``width`` - 1 after it, fewer at the end."""
    from scipy.ndimage import minimum_filter1d

    padded = np.concatenate((values, np.full(width, np.inf)))
    return np.asarray(minimum_filter1d(padded, width, origin=-(width // 2))[: values.size])


def split_at_gaps(counted: Counted, count: Float64, arrival_s: Float64, rate_hz: float) -> Counted:
    """Break a stream, whose count does not see the device's losses, where arrivals fall behind for good.

    ``count`` and ``arrival_s`` are (arrivals,) in order. The loss is what the rate says, and ambiguous. Counts stay as
    they are.
    """
    steps = floor_steps(count, arrival_s, rate_hz, _INDEX_WINDOW_S, _LEAST_S, falls=False)
    if not steps.before.size:
        return counted
    piece = counted.piece + np.searchsorted(count[steps.before], counted.counter, side="left")
    lost = int(np.sum(np.maximum(1, np.rint(steps.step_s * rate_hz))))
    gaps = steps.before.size
    return replace(counted, piece=piece, lost=counted.lost + lost, gaps=counted.gaps + gaps, ambiguous=True)


def settle_count(counted: Counted, ends: Int64, stamps: Float64, modulus: int, rate_hz: float) -> tuple[Counted, int]:
    """Add turns of a counter that went by unseen, and break the count where it and the arrivals part otherwise.

    ``ends`` index samples that ended a chunk, ``stamps`` (samples,) are their rough session times. Returns the count
    and the number of breaks: there a device began anew at a count that looked like going on.
    """
    breaks = 0
    for turning in (True, False) if modulus else (False,):
        places = np.searchsorted(counted.kept, ends)
        places = places[places < counted.kept.size]
        places = places[np.isin(counted.kept[places], ends)]
        for piece in range(int(counted.piece[-1]), -1, -1):
            here = places[counted.piece[places] == piece]
            arrival_s = stamps[counted.kept[here]]
            count = counted.counter[here].astype(np.float64)
            least_s = min(_LEAST_OF_COUNT_S, max(_LEAST_S, modulus / rate_hz / 2)) if turning else _LEAST_OF_COUNT_S
            steps = floor_steps(count, arrival_s, rate_hz, _COUNT_WINDOW_S, least_s, falls=True)
            for before, step_s in zip(here[steps.before].tolist()[::-1], steps.step_s.tolist()[::-1], strict=True):
                after = before + 1 + _break_after(counted, before, here)
                turns = step_s * rate_hz / modulus if modulus else 0.0
                whole = round(turns)
                near = abs(turns - whole) < min(_WHOLE_TURN, _WHOLE_TURN_S * rate_hz / modulus) if turning else False
                if near and 0 < whole < _MOST_TURNS:
                    counted = _turned(counted, after, whole * modulus)
                elif not turning:
                    counted = _broken(counted, after)
                    breaks += 1
    return counted, breaks


def _break_after(counted: Counted, before: int, ends: npt.NDArray[np.intp]) -> int:
    """Return how many samples after the end of a chunk the count breaks: at its largest step before the next end."""
    following = ends[np.searchsorted(ends, before, side="right")]
    gap = np.diff(counted.counter[before : following + 1])
    return int(np.argmax(gap)) if gap.size and gap.max() > 1 else 0


def _turned(counted: Counted, first: int, more: int) -> Counted:
    counter = counted.counter.copy()
    counter[first:][counted.piece[first:] == counted.piece[first]] += more
    had_gap = counted.counter[first] - counted.counter[first - 1] > 1
    return replace(
        counted,
        counter=counter,
        lost=counted.lost + more,
        gaps=counted.gaps + (0 if had_gap else 1),
        ambiguous=True,
    )


def _broken(counted: Counted, first: int) -> Counted:
    piece = counted.piece.copy()
    piece[first:] += 1
    missing = int(counted.counter[first] - counted.counter[first - 1] - 1)
    return replace(
        counted,
        piece=piece,
        lost=counted.lost - max(missing, 0),
        gaps=counted.gaps - (1 if missing > 0 else 0),
        ambiguous=True,
    )
