"""Motion -> repetitions: what leaves a pose, turns, and comes back to it, again and again.

Source of the ideas: turning points with hysteresis as candidates, closure of the pose, a multi-joint template and a
choice among drive signals by how much motion is explained; compare RecoFit (Morris et al. 2014), which peaks in one
principal component alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lab.repetitions import Repetition, Segmentation, count_doubt
from sync.candidates import PARAMETERS
from sync.done_badly import with_missed
from sync.drive_signal import COARSE_HZ, SMOOTH_HZ, Body, body_of
from sync.hypotheses import CHOICE, hypotheses_of, joined, prior, rival_of
from sync.native_motion import NativeMotion
from sync.other_sets import other_sets
from sync.refined import refined

Float64 = npt.NDArray[np.float64]

SEGMENTER: Final = "closed motions 3"
#: Below this the body stands still or fidgets: root mean square motion of all points in metres. Fidgets of the virtual
#: athlete reach 0.018, the smallest of ten real exercises 0.046.
_STILL_M: Final = 0.025
#: Below this likeness and closure, in the median, a set may be no set: motion without any plan is hardly above it.
_ALIKE: Final = 0.55


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
        return segmentation((), expected, ("there is too little pose to find repetitions in",))
    spread_m = float(np.sqrt(np.sum(np.var(body.motion, axis=0)) / (body.motion.shape[1] / 3)))
    if spread_m < _STILL_M:
        return segmentation((), expected, ("the body hardly moves",))
    native = NativeMotion(time, positions.reshape(time.size, -1), of_points=True)
    return repetitions_of(body, native, expected, in_turn=in_turn)


def repetitions_of(
    body: Body, native: NativeMotion, expected: int | None, *, in_turn: bool, of_muscles: bool = False
) -> Segmentation:
    """Find the repetitions in a body's motion, and read their exact times from it at its own rate.

    ``of_muscles`` says that it is their activity, which is low at rest.
    """
    hypotheses = hypotheses_of(body, upwards_only=of_muscles)
    if in_turn:
        hypotheses += joined(body, hypotheses)
    if not hypotheses:
        return segmentation((), expected, ("no motion returns to the pose that it left",))
    free = max(hypotheses, key=lambda hypothesis: hypothesis.score)
    best = max(hypotheses, key=lambda hypothesis: hypothesis.score + prior(hypothesis, expected))
    candidates = with_missed(body, best.chain.candidates)
    doubts = []
    unasked = len(candidates if free is best else with_missed(body, free.chain.candidates))
    if unasked != len(candidates):
        doubts.append(f"without the expected count it would have been {unasked} repetitions")
    as_expected = expected is None or len(candidates) == expected
    if rival_of(best, hypotheses, as_expected=as_expected) is not None:
        doubts.append("each repetition could as well begin where it now turns")
    sure = [candidate.likeness * candidate.closure for candidate in candidates]
    if len(candidates) > 1 and float(np.median(sure)) < _ALIKE:
        doubts.append("the repetitions are little alike: they may be none")
    doubts += other_sets(body, candidates)
    return segmentation(refined(body, native, candidates, of_muscles=of_muscles), expected, tuple(doubts))


def segmentation(repetitions: tuple[Repetition, ...], expected: int | None, doubts: tuple[str, ...]) -> Segmentation:
    """Return repetitions as the answer to a request for ``expected`` ones, with all numbers it depends on."""
    parameters = {
        **PARAMETERS,
        "coarse_hz": COARSE_HZ,
        "smooth_hz": SMOOTH_HZ,
        "still_m": _STILL_M,
        "alike": _ALIKE,
        **CHOICE,
    }
    doubts = (*count_doubt(len(repetitions), expected), *doubts)
    return Segmentation(repetitions, expected, SEGMENTER, parameters, doubts)
