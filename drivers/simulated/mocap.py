"""Simulated optical MoCap: the athlete's 21 joints with sub-millimetre noise."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from drivers.channels import position_channels
from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.simulated.device import MANUFACTURER, SampledDevice
from drivers.simulated.timing import ClockOffset, Delay, Drift, Jitter, Packet, SimulatedConfig
from lab.joints import JOINTS
from lab.streams import StreamSpec

_NOISE_M: Final = 0.0003

#: The pose is computed for this many samples at once: a call costs about as much for one as for a hundred.
_BLOCK: Final = 128


class SimulatedMocapConfig(SimulatedConfig):
    """A 100 Hz MoCap system that sends each frame over the network at once."""

    rate_hz: float = Field(100.0, gt=0, le=2000, description="Frames per second, by the system's own clock.")
    chunk_samples: int = Field(1, ge=1, le=1000, description="Frames in a packet.")
    clock_offset_s: ClockOffset = Field(742.5, description="What the system's clock says at its first frame.")
    drift_ppm: Drift = Field(14.0, description="How much the system's clock runs fast, in ppm.")
    delay_s: Delay = Field(0.008, description="Constant delay from a packet's last frame to its arrival.")
    jitter_s: Jitter = 0.0006


class SimulatedMocap(SampledDevice):
    """63 channels in metres, z up: X, Y and Z of each joint of ``lab.joints``, float32."""

    Config: ClassVar[type[DriverConfig]] = SimulatedMocapConfig
    KIND = "simulated.mocap"
    NOISE_KEY = 1

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        super().__init__(config_of(config, SimulatedMocapConfig), clock)
        self._block = np.empty((0, 3 * len(JOINTS)))
        self._block_first = 0

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one MoCap stream."""
        return (
            StreamSpec(
                content_type="MoCap",
                channels=position_channels(JOINTS, "meters"),
                rate_hz=self._settings.rate_hz,
                manufacturer=MANUFACTURER,
                model="simulated MoCap",
                serial="SIM-MOCAP-1",
                simulated=True,
                details=self._details(),
            ),
        )

    def _prepare(self, take: TakeStart, rng: np.random.Generator) -> None:
        super()._prepare(take, rng)
        self._block = self._block[:0]

    def _render(self, packet: Packet) -> np.ndarray[Any, Any]:
        begin = packet.first - self._block_first
        end = packet.last + 1 - self._block_first
        if begin < 0 or end > len(self._block):
            self._block_first = packet.first
            numbers = packet.first + np.arange(max(_BLOCK, end - begin))
            pose = self.athlete.joints_m(self._sampling.event_s(numbers))
            self._block = pose.reshape(len(numbers), -1)
            begin, end = 0, end - begin
        exact = self._block[begin:end]
        return (exact + _NOISE_M * self._rng.standard_normal(exact.shape)).astype(np.float32)
