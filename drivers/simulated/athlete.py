"""The virtual athlete: one hidden motion that every simulated device watches.

Everything is a function of athlete time (0 s is the take's t0) and of the seed alone; any time may be asked for,
in any order, and before and after the performance the athlete stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from drivers.simulated.body import Body, Posture, joints_of
from drivers.simulated.lift import Lift
from drivers.simulated.motion import Float64
from drivers.simulated.muscles import labels_of
from drivers.simulated.squat import Squat
from drivers.simulated.tempo import Mishaps, Tempo
from lab.actions import ACTIONS, Skill
from lab.errors import RequestError
from lab.repetitions import Repetition

#: Label of each column of ``AthleteState.activation`` in the squat, A16; ``labels_of`` gives those of any action.
ACTIVATION_LABELS: Final[tuple[str, ...]] = labels_of("A16")


class Performance(Protocol):
    """One planned set of one action, in athlete time. ``Squat`` shows what each member gives."""

    @property
    def tempo(self) -> Tempo: ...  # noqa: D102 - the class says it

    def posture(self, t_s: Float64, breath_phase_rad: Float64) -> Posture: ...  # noqa: D102

    def activation(self, t_s: Float64) -> Float64: ...  # noqa: D102


#: How each action is planned, by its id.
PERFORMANCES: Final[dict[str, Callable[[np.random.Generator, Body, int, Skill, Mishaps], Performance]]] = {
    action: Squat.drawn if action == "A16" else partial(Lift.drawn, action) for action in ACTIONS
}


@dataclass(frozen=True)
class AthleteState:
    """The athlete at n moments.

    ``joints_m`` float64 (n, 21, 3), z up; ``activation`` (n, 16) between 0 and 1; ``heart_rate_bpm`` and
    ``breath_rate_bpm`` (n,) per minute.
    """

    joints_m: Float64
    activation: Float64
    heart_rate_bpm: Float64
    breath_rate_bpm: Float64


@dataclass(frozen=True)
class _Effort:
    """A rate that follows work with a lag: first-order rise from the set's start, first-order fall after it."""

    rest: float
    work: float
    start_s: float
    end_s: float
    rise_s: float
    fall_s: float

    def at(self, t_s: Float64) -> Float64:
        """Return the rate at the times (n,)."""
        worked = np.clip(t_s - self.start_s, 0.0, self.end_s - self.start_s)
        rested = np.clip(t_s - self.end_s, 0.0, None)
        raised = (self.work - self.rest) * -np.expm1(-worked / self.rise_s)
        return np.asarray(self.rest + raised * np.exp(-rested / self.fall_s))

    def integral(self, t_s: Float64) -> Float64:
        """Return the integral of ``at`` from 0 to the times (n,): rate times seconds."""
        span = self.end_s - self.start_s
        worked = np.clip(t_s - self.start_s, 0.0, span)
        rested = np.clip(t_s - self.end_s, 0.0, None)
        gain = self.work - self.rest
        rising = gain * (worked + self.rise_s * np.expm1(-worked / self.rise_s))
        reached = -gain * np.expm1(-span / self.rise_s)
        falling = -reached * self.fall_s * np.expm1(-rested / self.fall_s)
        return np.asarray(self.rest * t_s + rising + falling)


class Athlete:
    """A person who performs one set. Two athletes of the same arguments are the same person.

    ``seed`` is 0 or more, ``repetitions`` 1 or more. Raises RequestError for an action that has no simulation.
    """

    def __init__(
        self,
        seed: int,
        action: str = "A16",
        repetitions: int = 10,
        skill: Skill = "expert",
        mishaps: Mishaps = Mishaps(),  # noqa: B008 - frozen
    ) -> None:
        plan = PERFORMANCES.get(action)
        if plan is None:
            raise RequestError(
                f"there is no simulated athlete for action '{action}'; ask for one of {', '.join(PERFORMANCES)}"
            )
        if seed < 0 or repetitions < 1:
            raise RequestError(
                f"a simulated athlete needs a seed of 0 or more and 1 repetition or more, not {seed} and {repetitions}"
            )
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0]))
        self._body = Body.of_height(float(rng.uniform(1.70, 1.86)))
        self._performance = plan(rng, self._body, repetitions, skill, mishaps)
        self.repetitions: tuple[Repetition, ...] = self._performance.tempo.repetitions
        self.duration_s: float = self._performance.tempo.duration_s
        first, last = self.repetitions[0].start_s, self.repetitions[-1].end_s
        rest_bpm = float(rng.uniform(72.0, 78.0))
        self._heart = _Effort(rest_bpm, rest_bpm + 52.0, first, last, 22.0, 45.0)
        self._breath = _Effort(float(rng.uniform(13.0, 15.0)), 25.0, first, last, 15.0, 40.0)

    def sample(self, t_s: npt.ArrayLike) -> AthleteState:
        """Return the whole state at the times (n,), float64 seconds of athlete time, in any order."""
        return AthleteState(self.joints_m(t_s), self.activation(t_s), *self.rates_bpm(t_s))

    def joints_m(self, t_s: npt.ArrayLike) -> Float64:
        """Return the joints (n, 21, 3) in metres at the times (n,)."""
        times = _times(t_s)
        return joints_of(self._body, self._performance.posture(times, self._breath_phase_rad(times)))

    def activation(self, t_s: npt.ArrayLike) -> Float64:
        """Return muscle activation (n, 16), 0 … 1, at the times (n,)."""
        return self._performance.activation(_times(t_s))

    def rates_bpm(self, t_s: npt.ArrayLike) -> tuple[Float64, Float64]:
        """Return heart and breath rate per minute, each (n,), at the times (n,)."""
        times = _times(t_s)
        # The heart beats a little faster while breathing in (respiratory sinus arrhythmia).
        heart = self._heart.at(times) + 1.5 * np.sin(self._breath_phase_rad(times))
        return heart, self._breath.at(times)

    def _breath_phase_rad(self, t_s: Float64) -> Float64:
        return np.asarray(2.0 * np.pi * self._breath.integral(t_s) / 60.0)


def _times(t_s: npt.ArrayLike) -> Float64:
    return np.atleast_1d(np.asarray(t_s, dtype=np.float64))
