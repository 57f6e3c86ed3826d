"""What the athlete does besides the action: sway, weight shifts, a shrug, the grip, a half-step.

None of it belongs to a repetition; a segmenter that counts it has been fooled.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final, Literal

import numpy as np

from drivers.simulated.motion import Float64, Wander, minimum_jerk, there_and_back

Kind = Literal["shift", "shrug", "grip", "step"]

_BEFORE: Final[tuple[Kind, ...]] = ("step", "shift", "shrug", "grip")
_AFTER: Final[tuple[Kind, ...]] = ("shift", "step", "grip")


@dataclass(frozen=True)
class Fidget:
    """One small move. ``side`` is 0 for right, 1 for left; ``size`` in metres (``shift_m`` for a step: (x, y))."""

    kind: Kind
    start_s: float
    duration_s: float
    side: int
    size_m: float
    shift_m: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Unrest:
    """The sum of all fidgets at n moments; units as in ``body.Posture``.

    ``pelvis_m`` (n, 2), ``feet_m`` (n, 2, 3), the others (n,); ``loaded`` (n, 2) is how far the weight is on the
    right and left foot and ``lifting`` (n, 2) how far that foot is being lifted, 0 … 1.
    """

    pelvis_m: Float64
    roll_rad: Float64
    yaw_rad: Float64
    shrug_m: Float64
    grip_m: Float64
    elbow_rad: Float64
    feet_m: Float64
    loaded: Float64
    lifting: Float64


@dataclass(frozen=True)
class Fidgeting:
    """All fidgets of a performance, and the sway that never stops."""

    moves: tuple[Fidget, ...]
    sway: Wander

    @classmethod
    def drawn(cls, rng: np.random.Generator, set_start_s: float, set_end_s: float, duration_s: float) -> Fidgeting:
        """Draw fidgets for the quiet times before and after the set; the last 0.4 s before it are still."""
        before = _fill(rng, _BEFORE, 0.3, set_start_s - 0.4)
        after = _fill(rng, _AFTER, set_end_s + 0.4, duration_s - 0.2)
        # The step afterwards takes the foot back to where it was.
        step = next(move for move in before if move.kind == "step")
        back = (-step.shift_m[0], -step.shift_m[1])
        after = tuple(replace(move, side=step.side, shift_m=back) if move.kind == "step" else move for move in after)
        return cls(before + after, Wander.drawn(rng, (0.004, 0.004, 0.005, 0.006)))

    def at(self, t_s: Float64, *, with_sway: bool = True) -> Unrest:
        """Return the unrest at the times (n,), which may lie anywhere."""
        unrest = _none(len(t_s))
        if with_sway:
            sway = self.sway.at(t_s)
            unrest.pelvis_m[:] = sway[:, :2]
            unrest.roll_rad[:] = sway[:, 2]
            unrest.yaw_rad[:] = sway[:, 3]
        for move in self.moves:
            _add(unrest, move, t_s)
        return unrest


def _fill(rng: np.random.Generator, kinds: tuple[Kind, ...], from_s: float, to_s: float) -> tuple[Fidget, ...]:
    """Draw one fidget of each kind, in random order, each in its own part of the time."""
    slot_s = (to_s - from_s) / len(kinds)
    moves: list[Fidget] = []
    for index, chosen in enumerate(rng.permutation(len(kinds))):
        kind = kinds[chosen]
        duration_s = slot_s * rng.uniform(0.8, 0.98)
        start_s = from_s + index * slot_s + rng.uniform(0.0, slot_s - duration_s)
        side = int(rng.integers(2))
        size_m = {
            "shift": rng.uniform(0.02, 0.035),
            "shrug": rng.uniform(0.012, 0.022),
            "grip": rng.uniform(0.02, 0.04),
            "step": 0.03,
        }
        outward = 1.0 if side == 0 else -1.0
        shift = (outward * rng.uniform(-0.01, 0.03), rng.uniform(-0.045, 0.045))
        moves.append(Fidget(kind, start_s, duration_s, side, size_m[kind], shift if kind == "step" else (0.0, 0.0)))
    return tuple(moves)


def _none(count: int) -> Unrest:
    shapes = {"pelvis_m": (count, 2), "feet_m": (count, 2, 3), "loaded": (count, 2), "lifting": (count, 2)}
    return Unrest(**{field.name: np.zeros(shapes.get(field.name, (count,))) for field in fields(Unrest)})


def _add(unrest: Unrest, move: Fidget, t_s: Float64) -> None:
    swing = there_and_back(t_s, move.start_s, move.duration_s)
    toward = 1.0 if move.side == 0 else -1.0
    if move.kind == "shift":
        unrest.pelvis_m[:, 0] += toward * move.size_m * swing
        unrest.roll_rad[:] += toward * move.size_m * swing
        unrest.loaded[:, move.side] += swing
    elif move.kind == "shrug":
        unrest.shrug_m[:] += move.size_m * swing
    elif move.kind == "grip":
        unrest.grip_m[:] += move.size_m * swing
        unrest.elbow_rad[:] += 6.0 * move.size_m * swing
    else:
        # The weight goes to the other foot, the foot is lifted and set down elsewhere in the middle of it.
        other = 1 - move.side
        unrest.pelvis_m[:, 0] -= toward * 0.8 * move.size_m * swing
        unrest.loaded[:, other] += swing
        going = (t_s - move.start_s - 0.25 * move.duration_s) / (0.5 * move.duration_s)
        lift = minimum_jerk(2.0 * going) - minimum_jerk(2.0 * going - 1.0)
        unrest.lifting[:, move.side] += lift
        unrest.feet_m[:, move.side, 0] += move.shift_m[0] * minimum_jerk(going)
        unrest.feet_m[:, move.side, 1] += move.shift_m[1] * minimum_jerk(going)
        unrest.feet_m[:, move.side, 2] += move.size_m * lift
