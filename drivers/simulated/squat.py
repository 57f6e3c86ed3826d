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
from drivers.simulated.motion import Float64, minimum_jerk, minimum_jerk_rate
from lab.repetitions import Repetition

#: Muscle: (tonic, eccentric, concentric) activation at full depth; the quadriceps and gluteals push in the ascent
#: (after R. F. Escamilla, "Knee biomechanics of the dynamic squat exercise", Med. Sci. Sports Exerc. 33, 2001).
MUSCLES: Final[dict[str, tuple[float, float, float]]] = {
    "vastus_lateralis": (0.03, 0.38, 0.72),
    "rectus_femoris": (0.03, 0.30, 0.55),
    "biceps_femoris": (0.02, 0.14, 0.33),
    "gluteus_maximus": (0.02, 0.16, 0.58),
    "erector_spinae": (0.08, 0.28, 0.46),
    "gastrocnemius": (0.05, 0.12, 0.24),
    "tibialis_anterior": (0.03, 0.24, 0.14),
    "trapezius": (0.10, 0.11, 0.16),
}
_MUSCLE: Final = {name: index for index, name in enumerate(MUSCLES)}

#: A muscle is active before the motion that it makes: the electromechanical delay, 30–100 ms in the literature.
_LEAD_S: Final = 0.06

_SETTLE_M: Final = 0.012


@dataclass(frozen=True)
class Squat:
    """A planned set.

    Arrays are (repetitions,); ``asymmetry`` (2, 8) scales activation by side (left, right) and muscle.
    """

    body: Body
    start_s: Float64
    descent_s: Float64
    pause_s: Float64
    ascent_s: Float64
    depth_m: Float64
    aside_m: Float64
    sticking: Float64
    asymmetry: Float64
    fidgeting: Fidgeting
    duration_s: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, body: Body, repetitions: int) -> Squat:
        """Draw a set of ``repetitions`` (>= 1) with natural variation and some fatigue."""
        fatigue = np.linspace(0.0, 1.0, repetitions) if repetitions > 1 else np.zeros(1)
        tempo = np.exp(rng.normal(0.0, 0.09, repetitions)) * (1.0 + 0.14 * (fatigue - 0.5))
        total_s = np.clip(rng.uniform(3.45, 3.7) * tempo / tempo.mean(), 2.8, 4.8)
        pause_s = np.where(rng.random(repetitions) < 0.35, rng.uniform(0.15, 0.40, repetitions), 0.0)
        part = rng.normal(0.53, 0.02, repetitions) - 0.04 * fatigue
        descent_s = (total_s - pause_s) * part
        ascent_s = total_s - pause_s - descent_s
        rest_s = rng.uniform(0.2, 1.0, repetitions)
        before_s = rng.uniform(3.9, 4.3)
        start_s = before_s + np.concatenate(([0.0], np.cumsum(total_s + rest_s)[:-1]))
        end_s = float(start_s[-1] + total_s[-1])
        duration_s = end_s + rng.uniform(2.9, 3.3)
        depth = rng.uniform(0.87, 0.97) * np.clip(rng.normal(1.0, 0.05, repetitions) - 0.05 * fatigue, 0.84, 1.08)
        return cls(
            body=body,
            start_s=start_s,
            descent_s=descent_s,
            pause_s=pause_s,
            ascent_s=ascent_s,
            depth_m=depth * body.thigh_m,
            aside_m=rng.normal(0.0, 0.008, repetitions),
            sticking=0.10 + 0.25 * fatigue * rng.uniform(0.6, 1.0, repetitions),
            asymmetry=rng.normal(1.0, 0.06, (2, len(MUSCLES))).clip(0.8, 1.2),
            fidgeting=Fidgeting.drawn(rng, before_s, end_s, duration_s),
            duration_s=float(duration_s),
        )

    @property
    def repetitions(self) -> tuple[Repetition, ...]:
        """The truth, in athlete time."""
        turn_s = self.start_s + self.descent_s + self.pause_s
        return tuple(
            Repetition(float(start), float(turn), float(end), confidence=1.0)
            for start, turn, end in zip(self.start_s, turn_s, turn_s + self.ascent_s, strict=True)
        )

    def command(self, t_s: Float64) -> tuple[Float64, Float64, Float64]:
        """Return (drop_m, speed_m_s, repetition) at the times (n,); speed is positive downwards.

        ``repetition`` is the index (n,) of the latest repetition that has begun, 0 before the first.
        """
        index = np.clip(np.searchsorted(self.start_s, t_s, side="right") - 1, 0, None)
        since = t_s - self.start_s[index]
        descent_s, pause_s, ascent_s = self.descent_s[index], self.pause_s[index], self.ascent_s[index]
        paused = pause_s > 0
        settle_m = np.where(paused, _SETTLE_M, 0.0)
        main_m = self.depth_m[index] - settle_m
        down = since / descent_s
        settling = (since - descent_s) / np.where(paused, pause_s, 1.0)
        up = np.clip((since - descent_s - pause_s) / ascent_s, 0.0, 1.0)
        # Sticking point: time runs slower in the middle of the ascent, faster at its ends.
        sticking = self.sticking[index]
        warped = up + sticking * np.sin(2.0 * np.pi * up) / (2.0 * np.pi)
        warp_rate = 1.0 + sticking * np.cos(2.0 * np.pi * up)
        drop = (
            main_m * minimum_jerk(down) + settle_m * minimum_jerk(settling) - self.depth_m[index] * minimum_jerk(warped)
        )
        speed = (
            main_m * minimum_jerk_rate(down) / descent_s
            + settle_m * minimum_jerk_rate(settling) / np.where(paused, pause_s, 1.0)
            - self.depth_m[index] * minimum_jerk_rate(warped) * warp_rate / ascent_s
        )
        return drop, speed, index.astype(np.float64)

    def posture(self, t_s: Float64, breath_phase_rad: Float64) -> Posture:
        """Return the posture at the times (n,); the chest rises with the breath."""
        body = self.body
        drop, _, latest = self.command(t_s)
        unrest = self.fidgeting.at(t_s)
        aside = self.aside_m[latest.astype(np.intp)] * drop / self.depth_m[latest.astype(np.intp)]
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
        drop, speed, latest = self.command(t_s + _LEAD_S)
        load = (np.clip(drop, 0.0, None) / (0.95 * self.body.thigh_m)) ** 1.2
        rising = 0.5 * (1.0 - np.tanh(speed / 0.12))
        tired = 1.0 + 0.15 * latest / max(1, len(self.start_s) - 1)
        table = np.array(list(MUSCLES.values()))
        work = load[:, None] * (table[:, 1] + (table[:, 2] - table[:, 1]) * rising[:, None]) * tired[:, None]
        both = (table[:, 0] + work)[:, None, :] * self.asymmetry
        unrest = self.fidgeting.at(t_s + _LEAD_S, with_sway=False)
        both[:, :, _MUSCLE["trapezius"]] += 12.0 * unrest.shrug_m[:, None] + 1.5 * unrest.grip_m[:, None]
        for side, foot in ((0, 1), (1, 0)):  # left, right here; right, left there
            both[:, side, _MUSCLE["gastrocnemius"]] += 0.06 * unrest.loaded[:, foot]
            both[:, side, _MUSCLE["vastus_lateralis"]] += 0.05 * unrest.loaded[:, foot]
            both[:, side, _MUSCLE["tibialis_anterior"]] += 0.20 * unrest.lifting[:, foot]
        return np.asarray(np.clip(both.reshape(len(t_s), 2 * len(MUSCLES)), 0.0, 1.0))
