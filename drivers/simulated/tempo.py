"""When the repetitions of a set happen, how far each goes, and how that depends on the athlete's skill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from drivers.simulated.motion import Float64, minimum_jerk, minimum_jerk_rate, there_and_back
from lab.actions import Skill
from lab.repetitions import Repetition

#: Part of a repetition's way by which a failed attempt comes back, and how long it lasts.
_ATTEMPT: Final = 0.30
_ATTEMPT_S: Final = 1.6
_PARTIAL: Final = 0.55


@dataclass(frozen=True)
class Manner:
    """What skill changes; the numbers are ours.

    ``slower`` and ``shallower`` are factors, ``tempo_sd`` and ``size_sd`` the spread from one repetition to the next,
    ``longest_s`` and ``rest_s`` limits, ``paused`` the probability of a pause at the turn, ``sticking`` how much slower
    the middle of the lift is, fresh and tired. ``uneven`` is the spread of the difference between the sides (part of
    the way) and ``shake_m`` how much the body and the hands waver while they work.
    """

    slower: float
    shallower: float
    tempo_sd: float
    size_sd: float
    longest_s: float
    rest_s: float
    paused: float
    sticking: tuple[float, float]
    uneven: float
    shake_m: float


MANNERS: Final[dict[Skill, Manner]] = {
    "novice": Manner(1.18, 0.80, 0.16, 0.09, 5.2, 1.6, 0.45, (0.20, 0.40), 0.07, 0.008),
    "amateur": Manner(1.08, 0.91, 0.12, 0.07, 5.0, 1.2, 0.40, (0.15, 0.32), 0.035, 0.004),
    "expert": Manner(1.0, 1.0, 0.09, 0.05, 4.8, 1.0, 0.35, (0.10, 0.25), 0.0, 0.0),
}


@dataclass(frozen=True)
class Mishaps:
    """How many of the repetitions go wrong; 0 unless asked for.

    ``partial`` ones go about half the way, ``failed`` ones stop in the lift (a press goes half-way and comes down, a
    squat comes up a little, sinks back and then comes up), ``paused`` ones wait at the turn for one or two seconds.
    """

    partial: int = 0
    failed: int = 0
    paused: int = 0


@dataclass(frozen=True)
class Tempo:
    """A planned set; arrays are (repetitions,).

    ``size`` is how far each repetition goes, and ``settle`` how far it sinks in a pause, in the unit of the command.
    ``attempt`` is the part of it by which a failed attempt comes back. ``lifted_first`` says that the way out is the
    lift. ``kinds`` holds "partial", "failed", "paused" or "" for each. ``duration_s`` includes the quiet times before
    and after the set.
    """

    start_s: Float64
    out_s: Float64
    pause_s: Float64
    back_s: Float64
    size: Float64
    aside: Float64
    sticking: Float64
    attempt: Float64
    settle: float
    end_s: float
    duration_s: float
    lifted_first: bool
    kinds: tuple[str, ...]

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        repetitions: int,
        manner: Manner,
        mishaps: Mishaps,
        *,
        settle: float,
        lifted_first: bool = False,
        scale: float = 1.0,
        quiet_s: float = 0.0,
        change_s: float = 0.0,
    ) -> Tempo:
        """Draw a set of ``repetitions`` (>= 1) with natural variation and some fatigue.

        ``scale`` is the way of a full repetition, in the unit of the command. ``quiet_s`` is added before and after the
        set, ``change_s`` to the rest in the middle of it, for a change of side.
        """
        fatigue = np.linspace(0.0, 1.0, repetitions) if repetitions > 1 else np.zeros(1)
        tempo = np.exp(rng.normal(0.0, manner.tempo_sd, repetitions)) * (1.0 + 0.14 * (fatigue - 0.5))
        total_s = np.clip(manner.slower * rng.uniform(3.45, 3.7) * tempo / tempo.mean(), 2.8, manner.longest_s)
        pause_s = np.where(rng.random(repetitions) < manner.paused, rng.uniform(0.15, 0.40, repetitions), 0.0)
        part = rng.normal(0.53, 0.02, repetitions) - 0.04 * fatigue
        out_s = (total_s - pause_s) * part
        back_s = total_s - pause_s - out_s
        if lifted_first:
            out_s, back_s = back_s, out_s
        rest_s = rng.uniform(0.2, manner.rest_s, repetitions)
        if change_s:
            rest_s[(repetitions + 1) // 2 - 1] += change_s
        before_s = rng.uniform(3.9, 4.3) + quiet_s
        kinds, extra_s, factor, attempt = _mishaps(rng, repetitions, mishaps, lifted_first=lifted_first)
        if any(kinds):
            pause_s = pause_s + extra_s
            total_s = total_s + extra_s
        start_s = before_s + np.concatenate(([0.0], np.cumsum(total_s + rest_s)[:-1]))
        end_s = float(start_s[-1] + total_s[-1])
        duration_s = end_s + rng.uniform(2.9, 3.3) + quiet_s
        size = (
            manner.shallower
            * rng.uniform(0.87, 0.97)
            * np.clip(rng.normal(1.0, manner.size_sd, repetitions) - 0.05 * fatigue, 0.84, 1.08)
        )
        fresh, tired = manner.sticking
        return cls(
            start_s=start_s,
            out_s=out_s,
            pause_s=pause_s,
            back_s=back_s,
            size=size * scale * factor,
            aside=rng.normal(0.0, 0.008, repetitions),
            sticking=fresh + tired * fatigue * rng.uniform(0.6, 1.0, repetitions),
            attempt=attempt,
            settle=settle,
            end_s=end_s,
            duration_s=float(duration_s),
            lifted_first=lifted_first,
            kinds=kinds,
        )

    @property
    def repetitions(self) -> tuple[Repetition, ...]:
        """The truth, in athlete time; one that went wrong says so in its doubts."""
        turn_s = self.start_s + self.out_s + self.pause_s
        return tuple(
            Repetition(float(start), float(turn), float(end), confidence=1.0, doubts=(kind,) if kind else ())
            for start, turn, end, kind in zip(self.start_s, turn_s, turn_s + self.back_s, self.kinds, strict=True)
        )

    def tired(self, repetition: Float64) -> Float64:
        """Return what effort is multiplied by in repetitions (n,), counted from 0: it grows by 15 % over the set."""
        return np.asarray(1.0 + 0.15 * repetition / max(1, len(self.start_s) - 1))

    def command(self, t_s: Float64) -> tuple[Float64, Float64, Float64]:
        """Return (way, speed, repetition) at the times (n,); speed is positive towards the turn.

        ``repetition`` is the index (n,) of the latest repetition that has begun, 0 before the first.
        """
        index = np.clip(np.searchsorted(self.start_s, t_s, side="right") - 1, 0, None)
        since = t_s - self.start_s[index]
        out_s, pause_s, back_s = self.out_s[index], self.pause_s[index], self.back_s[index]
        size = self.size[index]
        paused = pause_s > 0
        settle = np.where(paused, self.settle, 0.0)
        main = size - settle
        out = since / out_s
        settling = (since - out_s) / np.where(paused, pause_s, 1.0)
        back = np.clip((since - out_s - pause_s) / back_s, 0.0, 1.0)
        # Sticking point: time runs slower in the middle of the lift, faster at its ends.
        sticking = self.sticking[index]
        out_rate: Float64 | float = 1.0
        back_rate: Float64 | float = 1.0
        if self.lifted_first:
            out = np.clip(out, 0.0, 1.0)
            out_rate = 1.0 + sticking * np.cos(2.0 * np.pi * out)
            out = out + sticking * np.sin(2.0 * np.pi * out) / (2.0 * np.pi)
        else:
            back_rate = 1.0 + sticking * np.cos(2.0 * np.pi * back)
            back = back + sticking * np.sin(2.0 * np.pi * back) / (2.0 * np.pi)
        way = main * minimum_jerk(out) + settle * minimum_jerk(settling) - size * minimum_jerk(back)
        speed = (
            main * minimum_jerk_rate(out) * out_rate / out_s
            + settle * minimum_jerk_rate(settling) / np.where(paused, pause_s, 1.0)
            - size * minimum_jerk_rate(back) * back_rate / back_s
        )
        if self.attempt.any():
            way = way - self.attempt[index] * size * there_and_back(np.where(paused, settling, 0.0), 0.0, 1.0)
        return way, speed, index.astype(np.float64)


def _mishaps(
    rng: np.random.Generator, repetitions: int, mishaps: Mishaps, *, lifted_first: bool
) -> tuple[tuple[str, ...], Float64, Float64, Float64]:
    """Return, for each repetition, its kind, longer pause in seconds, factor on the way, and failed attempt's part."""
    kinds = [""] * repetitions
    extra_s, factor, attempt = np.zeros(repetitions), np.ones(repetitions), np.zeros(repetitions)
    asked = ["partial"] * mishaps.partial + ["failed"] * mishaps.failed + ["paused"] * mishaps.paused
    if not asked:
        return tuple(kinds), extra_s, factor, attempt
    own = rng.spawn(1)[0]  # what goes wrong moves nothing else
    for index, kind in zip(own.permutation(repetitions).tolist(), asked, strict=False):
        kinds[index] = kind
        if kind == "paused":
            extra_s[index] = own.uniform(1.0, 2.0)
        elif kind == "partial":
            factor[index] = _PARTIAL * own.uniform(0.9, 1.1)
        else:
            extra_s[index] = _ATTEMPT_S * own.uniform(0.9, 1.2)
            # A lift that fails stops half-way and shakes; one out of the depth comes up a little and sinks back.
            attempt[index] = _ATTEMPT / 4 if lifted_first else _ATTEMPT
            factor[index] = _PARTIAL if lifted_first else 1.0
    return tuple(kinds), extra_s, factor, attempt
