"""Simulated surface EMG: band-limited noise under the envelope of each muscle's activation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.simulated.device import MANUFACTURER, SampledDevice
from drivers.simulated.emg_signal import EmgSignal
from drivers.simulated.muscles import labels_of
from drivers.simulated.timing import ClockOffset, Delay, Drift, Jitter, Packet, SimulatedConfig
from lab.streams import Channel, StreamSpec


class SimulatedEmgConfig(SimulatedConfig):
    """A 16-channel amplifier at 2,000 Hz whose packets hold 54 samples."""

    rate_hz: float = Field(2000.0, ge=1000, le=20000, description="Sampling rate in Hz, by the amplifier's own clock.")
    chunk_samples: int = Field(54, ge=1, le=10000, description="Samples in a packet.")
    clock_offset_s: ClockOffset = Field(31.25, description="What the amplifier's clock says at its first sample.")
    drift_ppm: Drift = Field(-38.0, description="How much the amplifier's clock runs fast, in ppm.")
    delay_s: Delay = Field(0.030, description="Constant delay from a packet's last sample to its arrival.")
    jitter_s: Jitter = 0.003


class SimulatedEmg(SampledDevice):
    """16 channels in microvolt, float32: eight muscles of the left side, then of the right."""

    Config: ClassVar[type[DriverConfig]] = SimulatedEmgConfig
    KIND = "simulated.emg"
    NOISE_KEY = 2

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        super().__init__(config_of(config, SimulatedEmgConfig), clock)
        self._labels = labels_of(self._settings.action)
        self._signal: EmgSignal | None = None

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one EMG stream."""
        return (
            StreamSpec(
                content_type="EMG",
                channels=tuple(Channel(label, "microvolts", "EMG") for label in self._labels),
                rate_hz=self._settings.rate_hz,
                manufacturer=MANUFACTURER,
                model="simulated EMG amplifier",
                serial="SIM-EMG-1",
                simulated=True,
                details=self._details(),
            ),
        )

    def open(self) -> None:
        """Meet the athlete and load what filtering needs. Raises RequestError for an action that is not simulated."""
        import scipy.signal  # noqa: F401 - takes long enough to make the first packets late

        super().open()

    def _prepare(self, take: TakeStart, rng: np.random.Generator) -> None:
        super()._prepare(take, rng)
        self._signal = EmgSignal(self._settings.rate_hz, len(self._labels), rng)

    def _render(self, packet: Packet) -> np.ndarray[Any, Any]:
        assert self._signal is not None  # prepared before anything is rendered
        event_s = self._sampling.event_s(packet.counters)
        return np.asarray(self._signal.next_uv(self.athlete.activation(event_s), event_s), dtype=np.float32)
