"""Simulated vest: heart and breath rate, about one value a second."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from drivers.simulated.device import MANUFACTURER, SampledDevice
from drivers.simulated.timing import ClockOffset, Delay, Drift, Jitter, Packet, SimulatedConfig
from lab.streams import Channel, StreamSpec


class SimulatedVestConfig(SimulatedConfig):
    """A vest that sends one value of each rate a second."""

    rate_hz: float = Field(1.0, gt=0, le=100, description="Values per second, by the vest's own clock.")
    chunk_samples: int = Field(1, ge=1, le=100, description="Values in a packet.")
    clock_offset_s: ClockOffset = Field(-12.0, description="What the vest's clock says at its first value.")
    drift_ppm: Drift = Field(60.0, description="How much the vest's clock runs fast, in ppm.")
    delay_s: Delay = Field(0.120, description="Constant delay from a packet's last value to its arrival.")
    jitter_s: Jitter = 0.030


class SimulatedVest(SampledDevice):
    """Heart rate in whole beats and breath rate in tenths, both per minute, float32."""

    Config: ClassVar[type[DriverConfig]] = SimulatedVestConfig
    KIND = "simulated.vest"
    NOISE_KEY = 3

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        super().__init__(config_of(config, SimulatedVestConfig), clock)

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one stream with both rates."""
        return (
            StreamSpec(
                content_type="Physio",
                channels=(Channel("heart_rate", "1/min", "HeartRate"), Channel("breath_rate", "1/min", "BreathRate")),
                rate_hz=self._settings.rate_hz,
                manufacturer=MANUFACTURER,
                model="simulated vest",
                serial="SIM-VEST-1",
                simulated=True,
                details=self._details(),
            ),
        )

    def _render(self, packet: Packet) -> np.ndarray[Any, Any]:
        heart, breath = self.athlete.rates_bpm(self._sampling.event_s(packet.counters))
        noise = self._rng.standard_normal((len(heart), 2))
        return np.stack(
            (np.round(heart + 0.7 * noise[:, 0]), np.round(breath + 0.3 * noise[:, 1], 1)),
            axis=1,
            dtype=np.float32,
            casting="same_kind",
        )
