"""The virtual athlete in host time: what every emulated device of one rig watches."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from drivers.simulated.athlete import Athlete
from lab.actions import Skill

Float64 = npt.NDArray[np.float64]

_REST_S: Final = 10.0


class StageConfig(BaseModel):
    """Who performs what, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(1, ge=0, lt=2**32, description="Which athlete performs.")
    action: str = Field("A16", description="What the athlete does: A01 to A20.")
    skill: Skill = Field("expert", description="How well: novice, amateur or expert.")
    repetitions: int = Field(10, ge=1, le=200, description="How many repetitions a set has.")
    begin_s: float = Field(0.0, ge=0, le=86400, description="Seconds until the first set begins.")
    rest_s: float = Field(_REST_S, ge=0, le=86400, description="Seconds from one set to the next.")


class Stage:
    """One athlete who does set after set; all times are host time, in any order, and before the first set he stands.

    ``zero_s`` is the host time from which ``begin_s`` counts: give all emulators of a rig the same.
    """

    def __init__(self, settings: StageConfig, zero_s: float) -> None:
        """Raise RequestError for an action that is not simulated."""
        self._athlete = Athlete(settings.seed, settings.action, settings.repetitions, settings.skill)
        self._first_s = zero_s + settings.begin_s
        self._rest_s = settings.rest_s
        self._period_s = self._athlete.duration_s + settings.rest_s
        self.action = settings.action
        self.seed = settings.seed

    @property
    def first_set_s(self) -> tuple[float, float]:
        """Host times at which the first set begins and ends."""
        return self._first_s, self._first_s + self._athlete.duration_s

    def set_at(self, host_s: float) -> tuple[int, bool]:
        """Return the number of the last set begun by a host time, from 1, and whether it is being performed."""
        since_s = host_s - self._first_s
        if since_s < 0:
            return 0, False
        number, within_s = divmod(since_s, self._period_s)
        return int(number) + 1, within_s < self._period_s - self._rest_s

    def joints_m(self, host_s: npt.ArrayLike) -> Float64:
        """Return FLEX's joints (n, 21, 3) in metres, z up, at host times (n,)."""
        return self._athlete.joints_m(self._athlete_s(host_s))

    def activation(self, host_s: npt.ArrayLike) -> Float64:
        """Return muscle activation (n, 16), 0 … 1, at host times (n,)."""
        return self._athlete.activation(self._athlete_s(host_s))

    def rates_bpm(self, host_s: npt.ArrayLike) -> tuple[Float64, Float64]:
        """Return heart and breath rate per minute, each (n,), at host times (n,)."""
        return self._athlete.rates_bpm(self._athlete_s(host_s))

    def _athlete_s(self, host_s: npt.ArrayLike) -> Float64:
        since_s = np.atleast_1d(np.asarray(host_s, dtype=np.float64)) - self._first_s
        return np.where(since_s < 0, since_s, since_s % self._period_s)
