"""Body -> what its repetitions could be: chains of motions along drive signals, and how much each explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from sync.candidates import PARAMETERS, Candidate, Chain, best_chain, turning_points
from sync.drive_signal import Body, drive_signals

Float64 = npt.NDArray[np.float64]

#: Parts of a drive signal's range (1st to 99th percentile) by which turning points must differ.
_HYSTERESES: Final = (0.25, 0.45)
#: The smallest swing that is looked at, the fewest of them, and how small the usual one must be, in parts of the range.
_SMALLEST_SWING: Final = 0.03
_SWINGS: Final = 6
_MUCH_SMALLER: Final = 0.4
_DWELL: Final = 0.08
#: What half a repetition outside the set takes off, and how near to a pose, in parts of the way, one is.
_HALF_OUTSIDE: Final = 0.10
_NEAR: Final = 0.35
_TELLING_COLUMNS: Final = 6
#: Part of the best score with which a set seen from its other end explains it as well; the second number is for a
#: count that is not the expected one.
_AS_GOOD: Final = 0.95
_NEARLY_AS_GOOD: Final = 0.88
_EXTRA_PEAK: Final = 0.05
_PRIOR: Final = 0.10
_PRIOR_WIDTH: Final = 0.15

#: One side's part of a set in which the sides take turns: repetitions at least, how much longer the other side's may
#: take, the rest between them in repetitions, and by what part of the larger count they may differ.
_SIDE_AT_LEAST: Final = 2
_SIDES_TEMPO: Final = 2.5
_SIDES_GAP: Final = 3.0
_SIDES_COUNT: Final = 0.45


#: All numbers that the choice among hypotheses depends on.
CHOICE: Final[dict[str, float]] = {
    "hysteresis_low": _HYSTERESES[0],
    "hysteresis_high": _HYSTERESES[1],
    "smallest_swing": _SMALLEST_SWING,
    "swings": _SWINGS,
    "much_smaller": _MUCH_SMALLER,
    "dwell": _DWELL,
    "half_outside": _HALF_OUTSIDE,
    "near": _NEAR,
    "telling_columns": _TELLING_COLUMNS,
    "as_good": _AS_GOOD,
    "nearly_as_good": _NEARLY_AS_GOOD,
    "extra_peak": _EXTRA_PEAK,
    "prior": _PRIOR,
    "prior_width": _PRIOR_WIDTH,
    "side_at_least": _SIDE_AT_LEAST,
    "sides_tempo": _SIDES_TEMPO,
    "sides_gap": _SIDES_GAP,
    "blocks_count": _SIDES_COUNT,
}


@dataclass(frozen=True)
class Hypothesis:
    """A chain, and how good an explanation of all motion it is.

    ``taken_off`` is what the score is less by for half a repetition outside the set.
    """

    chain: Chain
    score: float
    taken_off: float = 0.0


def hypotheses_of(body: Body, *, upwards_only: bool = False) -> list[Hypothesis]:
    """Return all chains of motions, along every drive signal.

    ``upwards_only`` says that the base is where a signal is low, as that of a muscle is.
    """
    found = []
    for signal in drive_signals(body):
        low, high = np.percentile(signal, (1, 99))
        for sign in (1.0,) if upwards_only else (1.0, -1.0):
            drive = sign * signal
            # Mostly both say the same.
            for extremes in {tuple(turning_points(drive, part)): None for part in _hystereses(drive, high - low)}:
                for peaks in range(1, int(PARAMETERS["peaks"]) + 1):
                    chain = best_chain(body, drive, list(extremes), peaks)
                    # A lone motion of several peaks is anything at all.
                    if chain is None or len(chain.candidates) < (1 if peaks == 1 else 2):
                        continue
                    score = chain.explained + _DWELL * _dwell(drive, chain) - _EXTRA_PEAK * (peaks - 1)
                    taken_off = _HALF_OUTSIDE * _half_outside(body, chain)
                    found.append(Hypothesis(chain, score - taken_off, taken_off))
    return found


def _hystereses(drive: Float64, width: float) -> list[float]:
    """Return by how much turning points of a drive signal (m,) are to differ, in its own unit.

    They are parts of its ``width``; of that of its usual swing as well, where that is much smaller: who walks in, or
    takes up a load, moves further than any repetition goes.
    """
    parts = [part * width for part in _HYSTERESES]
    swings = np.abs(np.diff(drive[turning_points(drive, _SMALLEST_SWING * width)]))
    usual = float(np.median(swings)) if swings.size >= _SWINGS else width
    return [*parts, _HYSTERESES[1] * usual] if usual < _MUCH_SMALLER * width else parts


def joined(body: Body, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
    """Return what two chains make together where one ends before the other begins: one side's, then the other's.

    They must be as long a motion each, about as many, follow each other at once, and leave from the same pose.
    """
    both = []
    long_enough = [one for one in hypotheses if len(one.chain.candidates) >= _SIDE_AT_LEAST]
    for one in long_enough:
        left = one.chain.candidates
        for other in long_enough:
            right = other.chain.candidates
            gap = right[0].first - left[-1].last
            if gap < -1:
                continue
            seconds = [float(np.median([part.last - part.first for part in side])) for side in (left, right)]
            counts = len(left), len(right)
            if max(seconds) > _SIDES_TEMPO * min(seconds) or gap > _SIDES_GAP * max(seconds):
                continue
            if max(counts) - min(counts) > max(1, _SIDES_COUNT * max(counts)):
                continue
            part = len(left) / (len(left) + len(right))
            quality = part * (one.score - one.chain.explained) + (1 - part) * (other.score - other.chain.explained)
            explained = one.chain.explained + other.chain.explained
            chain = Chain((*left, *right), explained * _same_base(body, left, right))
            taken_off = part * one.taken_off + (1 - part) * other.taken_off
            both.append(Hypothesis(chain, chain.explained + quality, taken_off))
    return both


def _same_base(body: Body, left: tuple[Candidate, ...], right: tuple[Candidate, ...]) -> float:
    """Return, between 0 and 1, how near the poses are that both sides' repetitions leave and come back to."""
    bases, sizes = [], []
    # The last of the one and the first of the other side: a body drifts over a set.
    for side in (left[-_SIDE_AT_LEAST:], right[:_SIDE_AT_LEAST]):
        ends = body.shape[[place for one in side for place in (one.first, one.last)]]
        bases.append(np.median(ends, axis=0))
        turns = body.shape[[one.turn for one in side]]
        sizes.append(float(np.median(np.linalg.norm(turns - bases[-1], axis=1))))
    apart = float(np.linalg.norm(bases[0] - bases[1])) / (min(sizes) + 1e-12)
    return float(np.exp(-0.5 * (apart / PARAMETERS["closure_width"]) ** 2))


def rival_of(best: Hypothesis, hypotheses: list[Hypothesis], *, as_expected: bool) -> Hypothesis | None:
    """Return the best of the ``hypotheses`` that explain nearly as much and part the set elsewhere, or None.

    ``as_expected`` says that the count of the best one is no reason for doubt. What lies outside is no argument here: a
    recording may have been cut in the middle of a repetition.
    """
    limit = (_AS_GOOD if as_expected else _NEARLY_AS_GOOD) * (best.score + best.taken_off)
    near = sorted((one for one in hypotheses if one.score + one.taken_off > limit), key=lambda one: -one.score)
    return next((one for one in near if _parted_elsewhere(one.chain, best.chain)), None)


def _parted_elsewhere(chain: Chain, other: Chain) -> bool:
    """Whether most motions of ``chain`` overlap none of ``other`` by half: it is the set seen from its other end."""
    first, last = (np.array([(one.first, one.last) for one in other.candidates]).T).astype(np.float64)
    best = []
    for one in chain.candidates:
        # In order and without overlap, so that only these can be met.
        left, right = np.searchsorted(last, one.first), np.searchsorted(first, one.last)
        if right <= left:
            best.append(0.0)
            continue
        both = np.minimum(last[left:right], one.last) - np.maximum(first[left:right], one.first)
        either = np.maximum(last[left:right], one.last) - np.minimum(first[left:right], one.first)
        best.append(float(np.max(both / either)))
    return float(np.median(best)) < 0.5


def _dwell(drive: Float64, chain: Chain) -> float:
    """Return, between -1 and 1, how much longer the body stays near the base pose than near the turn."""
    first, last = chain.candidates[0].first, chain.candidates[-1].last
    base = float(np.median([drive[candidate.first] for candidate in chain.candidates]))
    turn = float(np.median([drive[candidate.turn] for candidate in chain.candidates]))
    height = (drive[first : last + 1] - base) / (turn - base)
    return float(np.mean(height < 0.25) - np.mean(height > 0.75))


def _half_outside(body: Body, chain: Chain) -> float:
    """Return for how many of both ends, 0, 0.5 or 1, half a repetition lies outside the set.

    Seen from its other end a set begins with the way from the turn to the base, which belongs to none: before it last
    left the base, the body was at the turn. However long it rests anywhere says nothing of that. In a few channels it
    cannot be told: an elbow is as straight in hanging arms as at the top of a press.
    """
    if body.motion.shape[1] < _TELLING_COLUMNS:
        return 0.0
    candidates = chain.candidates
    base = np.median(body.shape[[place for one in candidates for place in (one.first, one.last)]], axis=0)
    turn = np.median(body.shape[[one.turn for one in candidates]], axis=0)
    size = float(np.linalg.norm(turn - base)) + 1e-12
    length = max(one.last - one.first for one in candidates)
    outside = 0.0
    for poses in (body.shape[: candidates[0].first][::-1], body.shape[candidates[-1].last + 1 :]):
        away = np.flatnonzero(np.linalg.norm(poses - base, axis=1) > _NEAR * size)
        if not away.size:
            continue
        before = poses[away[0] : away[0] + length]
        outside += 0.5 * bool((np.linalg.norm(before - turn, axis=1) < _NEAR * size).any())
    return outside


def prior(hypothesis: Hypothesis, expected: int | None) -> float:
    """Return how much less a hypothesis is worth because its count is not the expected one: 0 or below."""
    if expected is None or expected < 1:
        return 0.0
    off = (len(hypothesis.chain.candidates) - expected) / max(1.0, _PRIOR_WIDTH * expected)
    return -_PRIOR * (1 - float(np.exp(-0.5 * off**2)))
