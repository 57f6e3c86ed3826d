"""Simulated surface EMG: band-limited noise under the envelope of each muscle's activation."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field

from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.simulated.device import MANUFACTURER, SampledDevice
from drivers.simulated.muscles import labels_of
from drivers.simulated.timing import ClockOffset, Delay, Drift, Jitter, Packet, SimulatedConfig
from lab.streams import Channel, StreamSpec

#: Where the power of surface EMG lies (De Luca, J. Appl. Biomech. 13, 1997).
BAND_HZ: Final = (20.0, 450.0)

_FLOOR_UV: Final = 3.0
_HUM_UV: Final = 1.5
_MAINS_HZ: Final = 50.0


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
        channels = len(self._labels)
        self._gain_uv = np.zeros(channels)
        self._hum_uv = np.zeros(channels)
        self._hum_phase_rad = np.zeros(channels)
        self._sections = np.zeros((0, 6))
        self._state = np.zeros((0, channels, 2))
        self._unit = 1.0

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
        from scipy.signal import butter, sosfilt, sosfreqz

        super()._prepare(take, rng)
        rate_hz = self._settings.rate_hz
        channels = len(self._labels)
        self._gain_uv = rng.uniform(260.0, 440.0, channels)
        self._hum_uv = _HUM_UV * rng.uniform(0.3, 1.2, channels)
        self._hum_phase_rad = rng.uniform(0.0, 2.0 * np.pi, channels)
        self._sections = butter(4, BAND_HZ, btype="bandpass", fs=rate_hz, output="sos")
        response = sosfreqz(self._sections, worN=4096)[1]
        # White noise of unit variance comes out of the filter with the mean of |H|^2 as its variance.
        self._unit = float(1.0 / np.sqrt(np.mean(np.abs(response) ** 2)))
        # A quarter of a second lets the filter's start die away before the first sample.
        lead = rng.standard_normal((int(0.25 * rate_hz), channels))
        self._state = sosfilt(self._sections, lead, axis=0, zi=np.zeros((len(self._sections), 2, channels)))[1]

    def _render(self, packet: Packet) -> np.ndarray[Any, Any]:
        from scipy.signal import sosfilt

        event_s = self._sampling.event_s(packet.counters)
        shape = (len(event_s), len(self._labels))
        white = self._rng.standard_normal((shape[0], 2, shape[1]))
        bursts, self._state = sosfilt(self._sections, white[:, 0], axis=0, zi=self._state)
        envelope_uv = self._gain_uv * self.athlete.activation(event_s)
        hum_uv = self._hum_uv * np.sin(2.0 * np.pi * _MAINS_HZ * event_s[:, None] + self._hum_phase_rad)
        return np.asarray(envelope_uv * self._unit * bursts + _FLOOR_UV * white[:, 1] + hum_uv, dtype=np.float32)
