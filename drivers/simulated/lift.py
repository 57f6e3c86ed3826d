"""Any action but the barbell squat: its movement, performed at a tempo.

The command is the part of the full way, 0 … 1. Before the set the athlete stands with the load in hanging arms and
takes up the base pose, afterwards goes back; neither belongs to a repetition.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from drivers.simulated.body import Arms, Body, Posture
from drivers.simulated.fidgets import Fidgeting
from drivers.simulated.motion import Float64, Wander, minimum_jerk
from drivers.simulated.movements import HANGING_POLE, MOVEMENTS, Movement, hanging
from drivers.simulated.muscles import LEAD_S, muscles_of, table_of, work_of
from drivers.simulated.tempo import MANNERS, Mishaps, Tempo
from lab.actions import ACTIONS, Action, Skill

_SETTLE: Final = 0.02
#: The base pose is taken up in this time, and held for the second one before the set (and after it).
_READY_S: Final = 1.6
_HELD_S: Final = 0.8
_CHANGE_S: Final = 1.5
#: Part of a lunge's way in which the foot moves; after that only the hips go on.
_STEPPING: Final = 0.75
_SETTLED_S: Final = _READY_S + _HELD_S


@dataclass(frozen=True)
class Lift:
    """A planned set.

    ``sides`` (repetitions, 2) is 1 where the right, the left side works. ``shake`` wavers (pelvis x and y, each hand's
    ahead and up, in metres); ``uneven`` is by how much of the way the right side goes further than the left.
    """

    action: Action
    movement: Movement
    body: Body
    tempo: Tempo
    sides: Float64
    asymmetry: Float64
    fidgeting: Fidgeting
    shake: Wander | None
    uneven: float

    @classmethod
    def drawn(
        cls, action: str, rng: np.random.Generator, body: Body, repetitions: int, skill: Skill, mishaps: Mishaps
    ) -> Lift:
        """Draw a set of ``repetitions`` (>= 1)."""
        known, manner = ACTIONS[action], MANNERS[skill]
        in_turn = known.sides == "right_then_left"
        tempo = Tempo.drawn(
            rng,
            repetitions,
            manner,
            mishaps,
            settle=_SETTLE,
            lifted_first=known.phases[0] == "concentric",
            scale=1.0 / 0.95,
            quiet_s=_SETTLED_S,
            change_s=_CHANGE_S if in_turn else 0.0,
        )
        sides = np.ones((repetitions, 2))
        if in_turn:
            right = np.arange(repetitions) < (repetitions + 1) // 2
            sides = np.stack((right, ~right), axis=1).astype(np.float64)
        asymmetry = rng.normal(1.0, 0.06, (2, len(muscles_of(action)))).clip(0.8, 1.2)
        quiet = (float(tempo.start_s[0]) - _SETTLED_S, tempo.end_s + _SETTLED_S, tempo.duration_s)
        fidgeting = Fidgeting.drawn(rng, *quiet)
        shake = Wander.drawn(rng, (manner.shake_m,) * 6, fastest_hz=2.0) if manner.shake_m else None
        uneven = float(np.clip(rng.normal(0.0, manner.uneven), -0.15, 0.15)) if manner.uneven else 0.0
        if in_turn:
            uneven = 0.0
        return cls(known, MOVEMENTS[action], body, tempo, sides, asymmetry, fidgeting, shake, uneven)

    def posture(self, t_s: Float64, breath_phase_rad: Float64) -> Posture:
        """Return the posture at the times (n,); the chest rises with the breath."""
        body, move = self.body, self.movement
        part, _, latest = self.tempo.command(t_s)
        ready = self._ready(t_s)
        unrest = self.fidgeting.at(t_s)
        working = self.sides[latest.astype(np.intp)] * (1.0 + self.uneven * np.array((0.5, -0.5)))
        sides = part[:, None] * working
        shake = np.zeros((len(t_s), 6)) if self.shake is None else (0.3 + 0.7 * part)[:, None] * self.shake.at(t_s)
        shake *= ready[:, None]

        def between(pair: tuple[float, float]) -> Float64:
            return np.asarray(ready * pair[0] + part * (pair[1] - pair[0]))

        pitch = np.deg2rad(between(move.pitch_deg))
        feet = unrest.feet_m
        heel_up: Float64 | None = None
        ahead = 0.02 - body.thigh_m * between(move.back)
        if move.stride:
            ahead = ahead + 0.5 * move.stride * body.thigh_m * part
            # The foot is off the floor for the first part of the way, and the last of the way back.
            step = np.clip(sides / _STEPPING, 0.0, 1.0)
            feet[:, :, 1] += move.stride * body.thigh_m * step * (2.0 - step)
            feet[:, :, 2] += 0.07 * np.sin(np.pi * step) ** 2
            behind = sides if move.stride < 0 else sides[:, ::-1]
            heel_up = np.deg2rad(55.0) * np.clip(behind, 0.0, 1.2)
        drop = body.thigh_m * between(move.drop)
        return Posture(
            pelvis_m=unrest.pelvis_m + np.stack((np.zeros(len(t_s)), ahead), axis=1) + shake[:, :2],
            drop_m=drop,
            pitch_rad=pitch,
            roll_rad=unrest.roll_rad,
            yaw_rad=unrest.yaw_rad,
            shrug_m=unrest.shrug_m + 0.003 * (1.0 - np.cos(breath_phase_rad)),
            grip_m=unrest.grip_m + 2.05 * body.clavicle_m,
            elbow_rad=unrest.elbow_rad + 0.55,
            feet_m=feet,
            arms=None if move.way == "back" else self._arms(sides, pitch, ready, shake[:, 2:].reshape(-1, 2, 2)),
            heel_up_rad=heel_up,
        )

    def _arms(self, sides: Float64, pitch_rad: Float64, ready: Float64, shake_m: Float64) -> Arms:
        body, move = self.body, self.movement
        barbell = self.action.implement == "barbell"
        shoulder = np.array(body.shoulder_in_trunk_m)
        raised = float(move.hand_at(np.zeros(1), np.zeros(1))[0, 2]) > -0.5
        hands, poles = [], []
        for index, side in enumerate((1.0, -1.0)):
            own = move.hand_at(sides[:, index], pitch_rad)
            # A bar is held as wide all the time.
            down = hanging(pitch_rad, float(own[0, 0]) if barbell else 0.10)
            way = down + ready[:, None] * (own - down)
            if raised:
                way[:, 1] += 0.35 * np.sin(np.pi * ready)  # up before the body, not through the shoulder
            place = shoulder + body.arm_m * way
            # Both hands are on one bar: it wavers as a whole.
            place[:, 1:] += shake_m[:, 0] if barbell else shake_m[:, index]
            hands.append(place * (side, 1.0, 1.0))
            pole = np.array(HANGING_POLE) + ready[:, None] * np.subtract(move.pole, HANGING_POLE)
            poles.append(pole * (side, 1.0, 1.0))
        return Arms(np.stack(hands, axis=1), np.stack(poles, axis=1))

    def _ready(self, t_s: Float64) -> Float64:
        """Return how far (n,) the base pose is taken up, 0 … 1."""
        up = minimum_jerk((t_s - float(self.tempo.start_s[0]) + _SETTLED_S) / _READY_S)
        down = minimum_jerk((t_s - self.tempo.end_s - _HELD_S) / _READY_S)
        return np.asarray(up - down)

    def activation(self, t_s: Float64) -> Float64:
        """Return activation (n, 16), 0 … 1: the eight muscles of the left side, then of the right."""
        part, speed, latest = self.tempo.command(t_s + LEAD_S)
        load = np.clip(part, 0.0, None) ** 1.2
        lifting = speed if self.tempo.lifted_first else -speed
        concentric = 0.5 * (1.0 + np.tanh(lifting / 0.25))
        table = table_of(self.action.id)
        work = work_of(table, load, concentric, self.tempo.tired(latest))
        working = self.sides[latest.astype(np.intp)][:, ::-1]  # left, right here
        # The side that rests holds its load; the trunk works for both.
        share = np.where(working > 0, 1.0, 0.15)
        held = 0.5 * table[:, 1] * 0.3 * self._ready(t_s + LEAD_S)[:, None]
        both = (table[:, 0] + held)[:, None, :] + work[:, None, :] * share[:, :, None]
        both = both * self.asymmetry
        return np.asarray(np.clip(both.reshape(len(t_s), -1), 0.0, 1.0))
