"""Synchronised signals of any kind -> repetitions: of the pose if there is one, else of what moves, else of muscles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.motion_signal import MUSCLE_KINDS, MotionSignal
from lab.repetitions import Segmentation
from sync.channels import channel_motion
from sync.drive_signal import Body, body_of
from sync.repetitions import find_repetitions, repetitions_of, segmentation

#: What is always to be said of repetitions that muscles alone have told. The lead was measured in biceps curls.
COARSE: Final = (
    "found in sEMG alone, which is coarse: these are bursts of a muscle, which lead the motion (by about 0.4 s in"
    " curls); the times are not corrected for that"
)


def find_in_signals(signals: Sequence[MotionSignal], expected: int | None = None) -> Segmentation:
    """Find the repetitions in signals that share a clock.

    Positions count before all others, several sets of them by how many points they have; then everything that moves,
    together; then sEMG, and the doubts say that this is coarse. What cannot be used is passed over. One side may work
    before the other. The result is the same for the same input. Raises ValueError where times do not increase,
    TakeError for a span of more than six hours.
    """
    positions = sorted((one for one in signals if one.kind == "positions"), key=lambda one: -one.values.shape[1])
    last: Segmentation | None = None
    for one in positions:
        points = np.asarray(one.values, dtype=np.float64).reshape(len(one.time_s), -1, 3)
        found = find_repetitions(one.time_s, points, expected, in_turn=True)
        if found.repetitions:
            return found
        last = last or found
    moving = [one for one in signals if one.kind != "positions" and one.kind not in MUSCLE_KINDS]
    muscles = [one for one in signals if one.kind in MUSCLE_KINDS]
    for group, coarse in ((moving, False), (muscles, True)):
        motion = channel_motion(group) if group else None
        if motion is None:
            continue
        found = repetitions_of(*motion, expected, in_turn=True, of_muscles=coarse)
        if coarse and found.repetitions:
            return segmentation(found.repetitions, expected, (*_of_set(found), COARSE))
        if found.repetitions or last is None:
            return found
    if last is not None:
        return last
    return segmentation((), expected, ("there is nothing that moves in these signals, or too little of it",))


def shown_signal(
    signals: Sequence[MotionSignal], found: Segmentation
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return times and values (m,) of one signal that shows the repetitions found best; None where nothing moves.

    It is the principal component of all motion that their turns differ most in from their starts, upwards to the turn.
    """
    for body in _bodies(signals):
        moments = np.array([(one.start_s, one.turn_s, one.end_s) for one in found.repetitions]).reshape(-1, 3)
        best, most = body.shape[:, 0], 0.0
        for component in body.shape.T[:4] if len(moments) else ():
            start, turn, end = (np.interp(when, body.time_s, component) for when in moments.T)
            way = float(np.median(turn - (start + end) / 2))
            part = way / (float(np.ptp(component)) + 1e-12) * float(np.std(component))
            if abs(part) > abs(most):
                best, most = component, part
        return body.time_s, best if most >= 0 else -best
    return None


def _bodies(signals: Sequence[MotionSignal]) -> Iterator[Body]:
    for one in signals:
        if one.kind == "positions" and len(one.time_s) >= 10:
            body = body_of(one.time_s, np.asarray(one.values, dtype=np.float64).reshape(len(one.time_s), -1, 3))
            if body is not None:
                yield body
    for group in (
        [one for one in signals if one.kind != "positions" and one.kind not in MUSCLE_KINDS],
        [one for one in signals if one.kind in MUSCLE_KINDS],
    ):
        motion = channel_motion(group) if group else None
        if motion is not None:
            yield motion[0]


def _of_set(found: Segmentation) -> tuple[str, ...]:
    """Return the doubts of a set but for that about its count, which is said again."""
    return tuple(doubt for doubt in found.doubts if "found where" not in doubt)
