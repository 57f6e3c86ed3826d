"""What the simulated devices share: opening, starting, truth, and their own random numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Generic

import numpy as np

from drivers.driver import DriverConfig, TakeStart
from drivers.host_clock import HostClock
from drivers.simulated.athlete import Athlete
from drivers.simulated.timing import Content, DeviceClock, Packet, Playback, SimulatedConfig
from drivers.simulated.truth import TruthFile
from lab.errors import DeviceError
from lab.streams import Chunk, Frame, StreamSpec

MANUFACTURER: Final = "flex-capture"


class SimulatedDevice(ABC, Generic[Content]):
    """A driver that watches the athlete. A kind of device adds its streams, ``_render`` and ``_deliver``.

    ``KIND`` names the driver, ``NOISE_KEY`` keeps its random numbers apart from those of the other kinds.
    """

    Config: ClassVar[type[DriverConfig]]
    KIND: ClassVar[str]
    NOISE_KEY: ClassVar[int]

    def __init__(self, config: SimulatedConfig, clock: HostClock) -> None:
        self._settings = config
        self._clock = clock
        self._sampling = DeviceClock(config.rate_hz, config.drift_ppm, config.clock_offset_s)
        self._athlete: Athlete | None = None
        self._playback: Playback[Content] | None = None
        self._truth: TruthFile | None = None

    @abstractmethod
    def streams(self) -> tuple[StreamSpec, ...]:
        """Return what the device sends."""

    def open(self) -> None:
        """Meet the athlete. Raises RequestError for an action that is not simulated."""
        asked = self._settings
        self._athlete = Athlete(asked.seed, asked.action, asked.repetitions, asked.skill, asked.mishaps)

    def start(self, take: TakeStart) -> None:
        """Begin to play at ``t0_s``, from the first sample; a later take begins anew.

        Started more than two seconds after ``t0_s``, the device joins in at the present. Raises DeviceError where it is
        not open or its truth cannot be written.
        """
        athlete = self._athlete
        if athlete is None:
            raise DeviceError(f"device '{take.device}' was started before it was opened; open it first")
        self._end_take()
        entropy = [self._settings.seed, self.NOISE_KEY, *self._noise_words(take.device)]
        timing, noise = np.random.SeedSequence(entropy).spawn(2)
        self._prepare(take, np.random.default_rng(noise))
        if take.truth_folder is not None:
            self._truth = TruthFile(take.truth_folder, take.device, self._truth_header(take, athlete))
        self._playback = Playback(
            self._settings,
            self._clock,
            take.t0_s,
            athlete.duration_s,
            np.random.default_rng(timing),
            self._truth,
            self._render,
        )

    def read(self) -> Chunk | Frame | None:
        """Return what arrived next, or None. Raises EndOfStream when the performance is over."""
        if self._playback is None:
            self._clock.sleep_until(self._clock.now_s() + 0.2)
            return None
        came = self._playback.read()
        return None if came is None else self._deliver(*came)

    def close(self) -> None:
        """End the take and close the truth file; may be called more than once."""
        self._end_take()
        self._athlete = None

    @property
    def athlete(self) -> Athlete:
        """The athlete this device watches. Raises DeviceError where the device is not open."""
        if self._athlete is None:
            raise DeviceError(f"a {self.KIND} device is not open; open it first")
        return self._athlete

    def _noise_words(self, device: str) -> tuple[int, ...]:  # noqa: ARG002 - a camera needs it
        """Return further integers that tell this device's random numbers from its like's."""
        return ()

    def _prepare(self, take: TakeStart, rng: np.random.Generator) -> None:
        """Get ready for a take; ``rng`` is for the device's own noise."""

    @abstractmethod
    def _render(self, packet: Packet) -> Content:
        """Make a packet's content; called in order, for lost packets too."""

    @abstractmethod
    def _deliver(self, packet: Packet, content: Content, arrival_s: float) -> Chunk | Frame:
        """Return a packet that arrived as the contract wants it."""

    def _details(self) -> dict[str, str]:
        settings = self._settings
        return {
            "seed": str(settings.seed),
            "action": settings.action,
            "repetitions": str(settings.repetitions),
            "skill": settings.skill,
        }

    def _truth_header(self, take: TakeStart, athlete: Athlete) -> dict[str, Any]:
        settings = self._settings
        return {
            "device": take.device,
            "driver": self.KIND,
            "t0_s": take.t0_s,
            "seed": settings.seed,
            "action": settings.action,
            "skill": settings.skill,
            "rate_hz": settings.rate_hz,
            "drift_ppm": settings.drift_ppm,
            "clock_offset_s": settings.clock_offset_s,
            "delay_s": settings.delay_s,
            "repetitions": [
                {
                    "start_s": take.t0_s + repetition.start_s,
                    "turn_s": take.t0_s + repetition.turn_s,
                    "end_s": take.t0_s + repetition.end_s,
                    "mishap": repetition.doubts[0] if repetition.doubts else None,
                }
                for repetition in athlete.repetitions
            ],
        }

    def _end_take(self) -> None:
        self._playback = None
        if self._truth is not None:
            self._truth.close()
            self._truth = None


class SampledDevice(SimulatedDevice[np.ndarray[Any, Any]]):
    """A simulated device whose packets are rows of one stream, with noise from ``_rng``."""

    def __init__(self, config: SimulatedConfig, clock: HostClock) -> None:
        super().__init__(config, clock)
        self._rng = np.random.default_rng(0)

    def _prepare(self, take: TakeStart, rng: np.random.Generator) -> None:  # noqa: ARG002 - the base's signature
        self._rng = rng

    def _deliver(self, packet: Packet, content: np.ndarray[Any, Any], arrival_s: float) -> Chunk:
        return Chunk("", content, packet.counters, arrival_s, self._sampling.device_time_s(packet.last))
