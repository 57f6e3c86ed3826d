"""Pose -> repetitions: what leaves a pose, turns, and comes back to it, again and again.

Source of the ideas: turning points with hysteresis as candidates, closure of the pose, a multi-joint template and a
choice among drive signals by how much motion is explained; compare RecoFit (Morris et al. 2014), which peaks in one
principal component alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.repetitions import Repetition, Segmentation, count_doubt
from sync.boundaries import refine, refine_turn
from sync.candidates import PARAMETERS, Candidate, Chain, best_chain, turning_points
from sync.done_badly import what_is_odd, with_missed
from sync.drive_signal import COARSE_HZ, SMOOTH_HZ, Body, body_of, drive_signals, principal, relative_to_centroid

Float64 = npt.NDArray[np.float64]

SEGMENTER: Final = "closed motions 2"
#: Parts of a drive signal's range (1st to 99th percentile) by which turning points must differ.
_HYSTERESES: Final = (0.25, 0.45)
#: Below this the body stands still or fidgets: root mean square motion of all points in metres. Fidgets of the virtual
#: athlete reach 0.018, the smallest of ten real exercises 0.046.
_STILL_M: Final = 0.025
_DWELL: Final = 0.08
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
_SIDES_TEMPO: Final = 2.0
_SIDES_GAP: Final = 3.0
_SIDES_COUNT: Final = 0.35


@dataclass(frozen=True)
class _Hypothesis:
    chain: Chain
    score: float


def find_repetitions(
    time_s: npt.ArrayLike, positions_m: npt.ArrayLike, expected: int | None = None, *, in_turn: bool = False
) -> Segmentation:
    """Find the repetitions in a pose.

    ``time_s`` (n,) is session time in seconds, increasing; ``positions_m`` (n, points, 3) any set of points in metres,
    any axis up, NaN where absent. ``expected`` is a soft hint: another count may be found, and is then said to differ.
    ``in_turn`` says that one side may work before the other, so that two kinds of motion may follow each other.
    The result is the same for the same input. Raises ValueError where shapes do not fit.
    """
    time = np.asarray(time_s, dtype=np.float64)
    positions = np.asarray(positions_m, dtype=np.float64)
    if positions.ndim != 3 or positions.shape[2] != 3 or time.shape != positions.shape[:1]:
        raise ValueError("positions must have the shape (n, points, 3), and one time each")
    usable = np.isfinite(time)
    if not bool(np.all(usable)):
        time, positions = time[usable], positions[usable]
    if time.size > 1 and not bool(np.all(np.diff(time) > 0)):
        raise ValueError("times must be increasing")
    body = body_of(time, positions) if time.size >= 10 else None
    if body is None:
        return _segmentation((), expected, ("there is too little pose to find repetitions in",))
    spread_m = float(np.sqrt(np.sum(np.var(body.points_m, axis=0)) / (body.points_m.shape[1] / 3)))
    if spread_m < _STILL_M:
        return _segmentation((), expected, ("the body hardly moves",))
    hypotheses = _hypotheses(body)
    if in_turn:
        hypotheses += _joined(body, hypotheses)
    if not hypotheses:
        return _segmentation((), expected, ("no motion returns to the pose that it left",))
    free = max(hypotheses, key=lambda hypothesis: hypothesis.score)
    best = max(hypotheses, key=lambda hypothesis: hypothesis.score + _prior(hypothesis, expected))
    candidates = with_missed(body, best.chain.candidates)
    doubts = []
    unasked = len(candidates if free is best else with_missed(body, free.chain.candidates))
    if unasked != len(candidates):
        doubts.append(f"without the expected count it would have been {unasked} repetitions")
    rival = max((one.score for one in hypotheses if _parted_elsewhere(one.chain, best.chain)), default=0.0)
    as_expected = expected is None or len(candidates) == expected
    if rival > (_AS_GOOD if as_expected else _NEARLY_AS_GOOD) * best.score:
        doubts.append("each repetition could as well begin where it now turns")
    repetitions = _refined(body, time, positions, candidates)
    return _segmentation(repetitions, expected, tuple(doubts))


def _segmentation(repetitions: tuple[Repetition, ...], expected: int | None, doubts: tuple[str, ...]) -> Segmentation:
    parameters = {
        **PARAMETERS,
        "coarse_hz": COARSE_HZ,
        "smooth_hz": SMOOTH_HZ,
        "hysteresis_low": _HYSTERESES[0],
        "hysteresis_high": _HYSTERESES[1],
        "still_m": _STILL_M,
        "dwell": _DWELL,
        "as_good": _AS_GOOD,
        "nearly_as_good": _NEARLY_AS_GOOD,
        "extra_peak": _EXTRA_PEAK,
        "prior": _PRIOR,
        "prior_width": _PRIOR_WIDTH,
        "side_at_least": _SIDE_AT_LEAST,
        "sides_tempo": _SIDES_TEMPO,
        "sides_gap": _SIDES_GAP,
        "sides_count": _SIDES_COUNT,
    }
    return Segmentation(
        repetitions, expected, SEGMENTER, parameters, (*count_doubt(len(repetitions), expected), *doubts)
    )


def _hypotheses(body: Body) -> list[_Hypothesis]:
    found = []
    for signal in drive_signals(body):
        low, high = np.percentile(signal, (1, 99))
        for sign in (1.0, -1.0):
            drive = sign * signal
            # Mostly both say the same.
            for extremes in {tuple(turning_points(drive, part * float(high - low))): None for part in _HYSTERESES}:
                for peaks in range(1, int(PARAMETERS["peaks"]) + 1):
                    chain = best_chain(body, drive, list(extremes), peaks)
                    # A lone motion of several peaks is anything at all.
                    if chain is None or len(chain.candidates) < (1 if peaks == 1 else 2):
                        continue
                    score = chain.explained + _DWELL * _dwell(drive, chain) - _EXTRA_PEAK * (peaks - 1)
                    found.append(_Hypothesis(chain, score))
    return found


def _joined(body: Body, hypotheses: list[_Hypothesis]) -> list[_Hypothesis]:
    """Return what two chains make together where one ends before the other begins: one side's, then the other's.

    They must be as long a motion each, about as many, follow each other at once, and leave from the same pose.
    """
    joined = []
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
            joined.append(_Hypothesis(chain, chain.explained + quality))
    return joined


def _same_base(body: Body, left: tuple[Candidate, ...], right: tuple[Candidate, ...]) -> float:
    """Return, between 0 and 1, how near the poses are that both sides' repetitions leave and come back to."""
    bases, sizes = [], []
    for side in (left, right):
        ends = body.shape_m[[place for one in side for place in (one.first, one.last)]]
        bases.append(np.median(ends, axis=0))
        turns = body.shape_m[[one.turn for one in side]]
        sizes.append(float(np.median(np.linalg.norm(turns - bases[-1], axis=1))))
    apart = float(np.linalg.norm(bases[0] - bases[1])) / (min(sizes) + 1e-12)
    return float(np.exp(-0.5 * (apart / PARAMETERS["closure_width"]) ** 2))


def _parted_elsewhere(chain: Chain, other: Chain) -> bool:
    """Whether most motions of ``chain`` overlap none of ``other`` by half: it is the set seen from its other end."""
    first, last = (np.array([(one.first, one.last) for one in other.candidates]).T).astype(np.float64)
    best = []
    for one in chain.candidates:
        both = np.minimum(last, one.last) - np.maximum(first, one.first)
        either = np.maximum(last, one.last) - np.minimum(first, one.first)
        best.append(float(np.max(both / either)))
    return float(np.median(best)) < 0.5


def _dwell(drive: Float64, chain: Chain) -> float:
    """Return, between -1 and 1, how much longer the body stays near the base pose than near the turn."""
    first, last = chain.candidates[0].first, chain.candidates[-1].last
    base = float(np.median([drive[candidate.first] for candidate in chain.candidates]))
    turn = float(np.median([drive[candidate.turn] for candidate in chain.candidates]))
    height = (drive[first : last + 1] - base) / (turn - base)
    return float(np.mean(height < 0.25) - np.mean(height > 0.75))


def _prior(hypothesis: _Hypothesis, expected: int | None) -> float:
    if expected is None or expected < 1:
        return 0.0
    off = (len(hypothesis.chain.candidates) - expected) / max(1.0, _PRIOR_WIDTH * expected)
    return -_PRIOR * (1 - float(np.exp(-0.5 * off**2)))


def _refined(
    body: Body, time_s: Float64, positions_m: Float64, candidates: tuple[Candidate, ...]
) -> tuple[Repetition, ...]:
    step_s = float(np.median(np.diff(time_s)))
    rows: list[tuple[float, float, float]] = []
    for index, candidate in enumerate(candidates):
        typical = candidate.last - candidate.first
        # Never past the turns of the neighbours, whose flanks are not this repetition's.
        left = candidates[index - 1].turn if index else max(0, candidate.first - typical)
        right_limit = body.time_s.size - 1
        right = (
            candidates[index + 1].turn if index + 1 < len(candidates) else min(right_limit, candidate.last + typical)
        )
        from_s, to_s = float(body.time_s[left]), float(body.time_s[right])
        when_s, points_m = _course(body, time_s, positions_m, from_s - step_s, to_s + step_s)
        grid = np.arange(from_s, to_s, step_s)
        primary = np.interp(grid, when_s, points_m @ _direction(body, candidate))
        at = [float(body.time_s[place]) for place in (candidate.first, candidate.turn, candidate.last)]
        start_s, turn_s, end_s = refine(grid, primary, at[0], at[1], at[2])
        exact = start_s, refine_turn(grid, primary, when_s, points_m, start_s, turn_s, end_s), end_s
        rows.append(exact if exact[0] < exact[1] < exact[2] else (at[0], at[1], at[2]))
    for index in range(len(rows) - 1):  # touching repetitions share the midpoint
        if rows[index][2] > rows[index + 1][0]:
            shared = (rows[index][2] + rows[index + 1][0]) / 2
            rows[index] = (rows[index][0], rows[index][1], shared)
            rows[index + 1] = (shared, rows[index + 1][1], rows[index + 1][2])
    ever = np.isfinite(positions_m).any(axis=(0, 2))  # a point that a rig never has is no fault of a repetition
    present = np.mean(np.isfinite(positions_m[:, ever]), axis=(1, 2)) if ever.any() else np.zeros(len(time_s))
    repetitions = []
    odd = what_is_odd(body, candidates)
    for candidate, (start_s, turn_s, end_s), said in zip(candidates, rows, odd, strict=True):
        inside = (time_s >= start_s) & (time_s <= end_s)
        seen = float(np.mean(present[inside])) if bool(np.any(inside)) else 0.0
        confidence, doubts = _confidence(candidate, seen, body, said, alone=len(candidates) == 1)
        repetitions.append(Repetition(start_s, turn_s, end_s, confidence, doubts))
    return tuple(repetitions)


def _direction(body: Body, candidate: Candidate) -> Float64:
    """Return the direction (columns,) in which the body moves most in a candidate, towards the turn."""
    course = body.points_m[candidate.first : candidate.last + 1]
    direction = principal(course, 1)[:, 0]
    towards = float((body.points_m[candidate.turn] - (course[0] + course[-1]) / 2) @ direction)
    return np.asarray(direction if towards >= 0 else -direction)


def _course(body: Body, time_s: Float64, positions_m: Float64, from_s: float, to_s: float) -> tuple[Float64, Float64]:
    """Return the pose's own times (k,) from ``from_s`` to ``to_s``, and all points relative to their mean there."""
    first, end = np.searchsorted(time_s, (from_s, to_s))
    part = positions_m[first:end].reshape(end - first, -1)[:, body.columns]
    if bool(np.isfinite(part).all()):
        return time_s[first:end], relative_to_centroid(part)
    # Where a point is absent the coarse motion, interpolated, stands in.
    return time_s[first:end], _filled(body, time_s[first:end], part)


def _filled(body: Body, time_s: Float64, part: Float64) -> Float64:
    filled = np.empty_like(part)
    for column in range(part.shape[1]):
        seen = np.isfinite(part[:, column])
        filled[:, column] = np.interp(time_s, time_s[seen], part[seen, column]) if bool(seen.any()) else np.nan
    absent = np.isnan(filled[0]).reshape(-1, 3).any(axis=1)
    points = filled.reshape(len(time_s), -1, 3)
    relative = points - points[:, ~absent].mean(axis=1, keepdims=True)
    coarse = np.stack([np.interp(time_s, body.time_s, column) for column in body.points_m.T], axis=1)
    relative[:, absent] = coarse.reshape(points.shape)[:, absent]
    return np.asarray(relative.reshape(part.shape))


def _confidence(
    candidate: Candidate, seen: float, body: Body, said: tuple[str, ...], *, alone: bool
) -> tuple[float, tuple[str, ...]]:
    """Return confidence and doubts; ``said`` is what is odd about the motion."""
    confidence = float(np.clip(candidate.likeness * candidate.closure * min(1.0, seen / 0.9), 0.0, 1.0))
    doubts = [*said]
    if alone:
        doubts.append("there is no other to compare it with")
    elif candidate.likeness < 0.6 and not said:
        doubts.append("it is unlike the others")
    if candidate.closure < 0.6:
        doubts.append("it does not return to the pose that it left")
    if seen < 0.9:
        doubts.append(f"{(1 - seen) * 100:.0f} % of its points are absent")
    if candidate.first == 0 or candidate.last >= body.time_s.size - 1:
        confidence *= 0.7
        doubts.append("the recording cuts it off")
    return confidence, tuple(doubts)
