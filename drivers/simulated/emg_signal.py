"""Surface EMG under given envelopes: band-limited noise, the electrodes' own noise, and the mains."""

from __future__ import annotations

from typing import Final

import numpy as np

from drivers.simulated.motion import Float64

#: Where the power of surface EMG lies (De Luca, J. Appl. Biomech. 13, 1997).
BAND_HZ: Final = (20.0, 450.0)

_FLOOR_UV: Final = 3.0
_HUM_UV: Final = 1.5
_MAINS_HZ: Final = 50.0


class EmgSignal:
    """A signal of ``channels`` channels at ``rate_hz``, made in order; it draws from ``rng`` as it goes."""

    def __init__(self, rate_hz: float, channels: int, rng: np.random.Generator) -> None:
        from scipy.signal import butter, sosfilt, sosfreqz

        self._rng = rng
        self._gain_uv = rng.uniform(260.0, 440.0, channels)
        self._hum_uv = _HUM_UV * rng.uniform(0.3, 1.2, channels)
        self._hum_phase_rad = rng.uniform(0.0, 2.0 * np.pi, channels)
        # a device too slow for the whole band sees what of it lies below half its rate
        band_hz = (BAND_HZ[0], min(BAND_HZ[1], 0.45 * rate_hz))
        self._sections = butter(4, band_hz, btype="bandpass", fs=rate_hz, output="sos")
        response = sosfreqz(self._sections, worN=4096)[1]
        # White noise of unit variance comes out of the filter with the mean of |H|^2 as its variance.
        self._unit = float(1.0 / np.sqrt(np.mean(np.abs(response) ** 2)))
        # A quarter of a second lets the filter's start die away before the first sample.
        lead = rng.standard_normal((int(0.25 * rate_hz), channels))
        self._state = sosfilt(self._sections, lead, axis=0, zi=np.zeros((len(self._sections), 2, channels)))[1]

    def next_uv(self, activation: Float64, event_s: Float64) -> Float64:
        """Return the next samples (n, channels) in microvolt; ``activation`` (n, channels) is 0 … 1 at ``event_s``."""
        from scipy.signal import sosfilt

        white = self._rng.standard_normal((activation.shape[0], 2, activation.shape[1]))
        bursts, self._state = sosfilt(self._sections, white[:, 0], axis=0, zi=self._state)
        hum_uv = self._hum_uv * np.sin(2.0 * np.pi * _MAINS_HZ * event_s[:, None] + self._hum_phase_rad)
        return np.asarray(self._gain_uv * activation * self._unit * bursts + _FLOOR_UV * white[:, 1] + hum_uv)
