"""When a simulated device samples, and when its packets arrive.

Sample k is taken at host time ``t0_s + k / (rate_hz (1 + drift_ppm 1e-6))`` and the device's own clock then says
``clock_offset_s + k / rate_hz``: a positive drift is a device clock that runs fast. A packet leaves with its last
sample, arrives ``delay_s`` plus an exponential jitter later, never before the one ahead of it, and may be lost
on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from drivers.driver import JOIN_AFTER_S, DriverConfig, EndOfStream
from drivers.host_clock import HostClock
from drivers.simulated.athlete import PERFORMANCES
from drivers.simulated.motion import Float64
from drivers.simulated.tempo import Mishaps
from drivers.simulated.truth import TruthFile
from lab.actions import Skill

Content = TypeVar("Content")

#: The bounds of what each kind of device has its own defaults and words for.
ClockOffset = Annotated[float, Field(ge=-1e9, le=1e9)]
Drift = Annotated[float, Field(ge=-5000, le=5000)]
Delay = Annotated[float, Field(ge=0, le=10)]
Jitter = Annotated[float, Field(ge=0, le=10, description="Mean of the exponential delay on top, in seconds.")]


class SimulatedConfig(DriverConfig):
    """What every simulated device can be told. Devices of one seed, action and count watch the same athlete."""

    seed: int = Field(1, ge=0, lt=2**32, description="Which athlete performs; give all devices of a rig the same.")
    action: str = Field("A16", description="What the athlete does: A01 to A20.")
    skill: Skill = Field("expert", description="How well: novice, amateur or expert.")
    repetitions: int = Field(10, ge=1, le=200, description="How many repetitions the athlete does.")
    partial: int = Field(0, ge=0, le=200, description="How many of them go only about half the way.")
    failed: int = Field(
        0,
        ge=0,
        le=200,
        description="How many of them fail: a lift is given up half-way, one out of the depth tried again.",
    )
    paused: int = Field(0, ge=0, le=200, description="How many of them pause for a second or two at the turn.")
    rate_hz: float = Field(gt=0, le=20000, description="Nominal sampling rate in Hz, by the device's own clock.")
    chunk_samples: int = Field(ge=1, le=10000, description="Samples in a packet.")
    clock_offset_s: ClockOffset = Field(0.0, description="What the device's clock says at its first sample.")
    drift_ppm: Drift = Field(0.0, description="How much the device's clock runs fast, in ppm.")
    delay_s: Delay = Field(0.0, description="Constant delay from a packet's last sample to its arrival.")
    jitter_s: Jitter = 0.0
    loss: float = Field(0.0, ge=0, le=0.9, description="Probability that a packet is lost.")

    @property
    def mishaps(self) -> Mishaps:
        """What goes wrong in the set."""
        return Mishaps(self.partial, self.failed, self.paused)

    @model_validator(mode="after")
    def _no_more_mishaps_than_repetitions(self) -> SimulatedConfig:
        asked = self.partial + self.failed + self.paused
        if asked > self.repetitions:
            raise ValueError(
                f"partial, failed and paused are {asked} together, more than the {self.repetitions} repetitions; "
                "ask for fewer"
            )
        return self

    @field_validator("action")
    @classmethod
    def _simulated(cls, action: str) -> str:
        if action not in PERFORMANCES:
            raise ValueError(f"'{action}' is not simulated; simulated actions are {', '.join(PERFORMANCES)}")
        return action


@dataclass(frozen=True)
class DeviceClock:
    """A device's sampling clock. Sample numbers k are arrays of any shape, or single numbers."""

    rate_hz: float
    drift_ppm: float
    clock_offset_s: float

    @property
    def true_rate_hz(self) -> float:
        """Samples per second of host time."""
        return self.rate_hz * (1.0 + self.drift_ppm * 1e-6)

    def event_s(self, k: npt.ArrayLike) -> Float64:
        """Return the athlete times of samples k: host time less t0."""
        return np.asarray(np.asarray(k, dtype=np.float64) / self.true_rate_hz)

    def device_time_s(self, k: int) -> float:
        """Return what the device's own clock says at sample k."""
        return self.clock_offset_s + k / self.rate_hz

    def samples_within(self, duration_s: float) -> int:
        """Return how many samples have an athlete time from 0 to ``duration_s``, both included."""
        return int(np.floor(duration_s * self.true_rate_hz)) + 1


@dataclass(frozen=True, slots=True)
class Packet:
    """Samples ``first`` … ``last`` (both included), due at the host at ``due_s`` unless ``lost``."""

    first: int
    last: int
    due_s: float
    lost: bool

    @property
    def counters(self) -> npt.NDArray[np.int64]:
        """The sample numbers, int64 (samples,)."""
        return np.arange(self.first, self.last + 1, dtype=np.int64)


class Playback(Generic[Content]):
    """The packets of one take, one after the other, at their time.

    ``render`` makes a packet's content; it is called once a packet in order, also for lost ones, so that a loss moves
    nothing else. It runs before the packet is due, so that rendering delays no arrival that could be on time.
    """

    def __init__(
        self,
        config: SimulatedConfig,
        clock: HostClock,
        t0_s: float,
        duration_s: float,
        rng: np.random.Generator,
        truth: TruthFile | None,
        render: Callable[[Packet], Content],
    ) -> None:
        self._config = config
        self._clock = clock
        self._t0_s = t0_s
        self._rng = rng
        self._truth = truth
        self._render = render
        self._device = DeviceClock(config.rate_hz, config.drift_ppm, config.clock_offset_s)
        self._end = self._device.samples_within(duration_s)
        self._next = self._first_sample(clock.now_s() - t0_s)
        self._latest_due_s = -np.inf
        self._pending: tuple[Packet, Content] | None = None

    def read(self) -> tuple[Packet, Content, float] | None:
        """Wait for the next packet; return it, its content and its arrival in host time.

        None where nothing came within the clock's limit, or where a packet was lost. Raises EndOfStream after the last.
        """
        if self._pending is None:
            packet = self._depart()
            self._pending = packet, self._render(packet)
        packet, content = self._pending
        if not self._clock.sleep_until(packet.due_s):
            return None
        arrival_s = self._clock.now_s()
        self._pending = None
        if self._truth is not None:
            if packet.lost:
                self._truth.lost(packet.first, packet.last)
            else:
                time_s = self._t0_s + float(self._device.event_s(packet.last))
                self._truth.packet(packet.last, packet.last - packet.first + 1, time_s, arrival_s)
        return None if packet.lost else (packet, content, arrival_s)

    def _first_sample(self, late_s: float) -> int:
        if late_s <= JOIN_AFTER_S:
            return 0
        # The device comes back in the middle of a take: its hardware went on without the host.
        chunk = self._config.chunk_samples
        return chunk * int(np.ceil(late_s * self._device.true_rate_hz / chunk))

    def _depart(self) -> Packet:
        if self._next >= self._end:
            raise EndOfStream
        first = self._next
        last = min(first + self._config.chunk_samples, self._end) - 1
        self._next = last + 1
        lost = bool(self._rng.random() < self._config.loss)
        late_s = self._config.delay_s + self._config.jitter_s * float(self._rng.standard_exponential())
        due_s = self._t0_s + float(self._device.event_s(last)) + late_s
        # What was lost holds up nobody.
        due_s = max(due_s, self._latest_due_s)
        if not lost:
            self._latest_due_s = due_s
        return Packet(first, last, due_s, lost)
