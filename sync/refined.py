"""Candidates -> repetitions: exact times, confidence, and in words what makes it less than 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lab.repetitions import Repetition
from sync.boundaries import refine, refine_turn
from sync.candidates import Candidate
from sync.done_badly import what_is_odd
from sync.drive_signal import Body, principal
from sync.native_motion import NativeMotion

Float64 = npt.NDArray[np.float64]


def refined(
    body: Body, native: NativeMotion, candidates: tuple[Candidate, ...], *, of_muscles: bool = False
) -> tuple[Repetition, ...]:
    """Return the repetitions that ``candidates`` are, in order, with what is to be said about each.

    Bursts ``of_muscles`` differ in strength and shape without anything odd about them, and turn where they are highest.
    """
    time_s = native.time_s
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
        when_s, course = native.course(body, from_s - step_s, to_s + step_s)
        grid = np.arange(from_s, to_s, step_s)
        primary = np.interp(grid, when_s, course @ _direction(body, candidate))
        at = [float(body.time_s[place]) for place in (candidate.first, candidate.turn, candidate.last)]
        start_s, turn_s, end_s = refine(grid, primary, at[0], at[1], at[2])
        turn_s = at[1] if of_muscles else refine_turn(grid, primary, when_s, course, start_s, turn_s, end_s)
        exact = start_s, turn_s, end_s
        rows.append(exact if exact[0] < exact[1] < exact[2] else (at[0], at[1], at[2]))
    for index in range(len(rows) - 1):  # touching repetitions share the midpoint
        if rows[index][2] > rows[index + 1][0]:
            shared = (rows[index][2] + rows[index + 1][0]) / 2
            rows[index] = (rows[index][0], rows[index][1], shared)
            rows[index + 1] = (shared, rows[index + 1][1], rows[index + 1][2])
    present = native.present()
    repetitions = []
    odd = [()] * len(candidates) if of_muscles else what_is_odd(body, candidates)
    for candidate, (start_s, turn_s, end_s), said in zip(candidates, rows, odd, strict=True):
        inside = (time_s >= start_s) & (time_s <= end_s)
        seen = float(np.mean(present[inside])) if bool(np.any(inside)) else 0.0
        confidence, doubts = _confidence(candidate, seen, body, said, alone=len(candidates) == 1)
        repetitions.append(Repetition(start_s, turn_s, end_s, confidence, doubts))
    return tuple(repetitions)


def _direction(body: Body, candidate: Candidate) -> Float64:
    """Return the direction (columns,) in which the body moves most in a candidate, towards the turn."""
    course = body.motion[candidate.first : candidate.last + 1]
    direction = principal(course, 1)[:, 0]
    towards = float((body.motion[candidate.turn] - (course[0] + course[-1]) / 2) @ direction)
    return np.asarray(direction if towards >= 0 else -direction)


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
