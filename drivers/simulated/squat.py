"""Action A16, the barbell squat: when its repetitions happen, and the posture and muscles at any time.

A repetition's truth is its command: it starts where the descent begins, turns at the commanded deepest point and
ends where the ascent ends. A pause at the bottom is a slow settling of about a centimetre, so that the deepest point
is one moment, at its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from drivers.simulated.body import Body, Posture
from drivers.simulated.fidgets import Fidgeting
from drivers.simulated.motion import Float64, Wander
from drivers.simulated.muscles import LEAD_S, muscles_of, table_of, work_of
from drivers.simulated.tempo import MANNERS, Mishaps, Tempo
from lab.actions import Skill

_MUSCLE: Final = {muscle: index for index, muscle in enumerate(muscles_of("A16"))}

_SETTLE_M: Final = 0.012


@dataclass(frozen=True)
class Squat:
    """A planned set: the command is the drop of the hips in metres.

    ``asymmetry`` (2, 8) scales activation by side (left, right) and muscle; ``shake`` wavers (pelvis x and y in metres,
    roll and yaw in radian) while the athlete works.
    """

    body: Body
    tempo: Tempo
    asymmetry: Float64
    fidgeting: Fidgeting
    shake: Wander | None
    uneven_rad: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, body: Body, repetitions: int, skill: Skill, mishaps: Mishaps) -> Squat:
        """Draw a set of ``repetitions`` (>= 1)."""
        manner = MANNERS[skill]
        tempo = Tempo.drawn(rng, repetitions, manner, mishaps, settle=_SETTLE_M, scale=body.thigh_m)
        asymmetry = rng.normal(1.0, 0.06, (2, len(_MUSCLE))).clip(0.8, 1.2)
        fidgeting = Fidgeting.drawn(rng, float(tempo.start_s[0]), tempo.end_s, tempo.duration_s)
        shake = Wander.drawn(rng, (manner.shake_m,) * 4, fastest_hz=2.0) if manner.shake_m else None
        uneven_rad = float(np.clip(rng.normal(0.0, manner.uneven), -0.1, 0.1)) if manner.uneven else 0.0
        return cls(body, tempo, asymmetry, fidgeting, shake, uneven_rad)

    def posture(self, t_s: Float64, breath_phase_rad: Float64) -> Posture:
        """Return the posture at the times (n,); the chest rises with the breath."""
        body = self.body
        tempo = self.tempo
        drop, _, latest = tempo.command(t_s)
        unrest = self.fidgeting.at(t_s)
        aside = tempo.aside[latest.astype(np.intp)] * drop / tempo.size[latest.astype(np.intp)]
        if self.shake is not None:
            work = np.clip(drop / body.thigh_m, 0.0, 1.0)
            shake = work[:, None] * self.shake.at(t_s)
            unrest.pelvis_m[:] += shake[:, :2]
            unrest.roll_rad[:] += shake[:, 2] + self.uneven_rad * work
            unrest.yaw_rad[:] += shake[:, 3]
        # The hips go back so far that the thighs come level over the feet; the trunk leans to keep the bar above them.
        back_m = 0.03 - 0.60 * drop
        behind_m, up_m = body.bar_in_trunk_m
        pitch = np.arcsin(np.clip(-back_m / np.hypot(behind_m, up_m), -1.0, 1.0)) + np.arctan2(behind_m, up_m)
        return Posture(
            pelvis_m=unrest.pelvis_m + np.stack((aside, back_m), axis=1),
            drop_m=drop,
            pitch_rad=pitch,
            roll_rad=unrest.roll_rad,
            yaw_rad=unrest.yaw_rad,
            shrug_m=unrest.shrug_m + 0.003 * (1.0 - np.cos(breath_phase_rad)),
            grip_m=unrest.grip_m + 2.05 * body.clavicle_m,
            elbow_rad=unrest.elbow_rad + 0.55,
            feet_m=unrest.feet_m,
        )

    def activation(self, t_s: Float64) -> Float64:
        """Return activation (n, 16), 0 … 1: the eight muscles of the left side, then of the right."""
        drop, speed, latest = self.tempo.command(t_s + LEAD_S)
        load = (np.clip(drop, 0.0, None) / (0.95 * self.body.thigh_m)) ** 1.2
        rising = 0.5 * (1.0 - np.tanh(speed / 0.12))
        table = table_of("A16")
        work = work_of(table, load, rising, self.tempo.tired(latest))
        both = (table[:, 0] + work)[:, None, :] * self.asymmetry
        unrest = self.fidgeting.at(t_s + LEAD_S, with_sway=False)
        both[:, :, _MUSCLE["trapezius"]] += 12.0 * unrest.shrug_m[:, None] + 1.5 * unrest.grip_m[:, None]
        for side, foot in ((0, 1), (1, 0)):  # left, right here; right, left there
            both[:, side, _MUSCLE["gastrocnemius"]] += 0.06 * unrest.loaded[:, foot]
            both[:, side, _MUSCLE["vastus_lateralis"]] += 0.05 * unrest.loaded[:, foot]
            both[:, side, _MUSCLE["tibialis_anterior"]] += 0.20 * unrest.lifting[:, foot]
        return np.asarray(np.clip(both.reshape(len(t_s), -1), 0.0, 1.0))
