"""Smooth motion out of minimum-jerk pieces.

Source of the profile: T. Flash & N. Hogan, "The coordination of arm movements", J. Neurosci. 5 (1985):
position 10 u^3 - 15 u^4 + 6 u^5 for u in 0 … 1, so that speed and acceleration are zero at both ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


def minimum_jerk(fraction: npt.ArrayLike) -> Float64:
    """Return the covered part 0 … 1 of a move at ``fraction`` of its time; 0 before, 1 after. Any shape."""
    u = np.clip(np.asarray(fraction, dtype=np.float64), 0.0, 1.0)
    return np.asarray(u * u * u * (10.0 + u * (6.0 * u - 15.0)))


def minimum_jerk_rate(fraction: npt.ArrayLike) -> Float64:
    """Return the derivative of ``minimum_jerk`` by its argument; 0 outside 0 … 1. Any shape."""
    u = np.clip(np.asarray(fraction, dtype=np.float64), 0.0, 1.0)
    return np.asarray(30.0 * (u * (1.0 - u)) ** 2)


def there_and_back(t_s: Float64, start_s: float, duration_s: float) -> Float64:
    """Return 0 … 1 … 0 for a move that goes out, waits a fifth of its time and comes back. Shape of ``t_s``."""
    rise_s = 0.4 * duration_s
    out = minimum_jerk((t_s - start_s) / rise_s)
    back = minimum_jerk((t_s - start_s - 0.6 * duration_s) / rise_s)
    return np.asarray(out - back)


@dataclass(frozen=True)
class Wander:
    """A slow aimless motion: a sum of sines, defined at all times. All fields have shape (axes, sines)."""

    amplitude: Float64
    rate_rad_s: Float64
    phase_rad: Float64

    @classmethod
    def drawn(cls, rng: np.random.Generator, rms: tuple[float, ...], sines: int = 6, fastest_hz: float = 0.9) -> Wander:
        """Draw a wander with the given root mean square an axis (in the axis' own unit), from 0.1 Hz on."""
        rate_hz = rng.uniform(0.1, fastest_hz, size=(len(rms), sines))
        weight = 1.0 / rate_hz
        weight /= np.sqrt(0.5 * np.sum(weight**2, axis=1, keepdims=True))
        phase = rng.uniform(0.0, 2.0 * np.pi, size=rate_hz.shape)
        return cls(weight * np.asarray(rms)[:, None], 2.0 * np.pi * rate_hz, phase)

    def at(self, t_s: Float64) -> Float64:
        """Return the displacement (samples, axes) at the times (samples,)."""
        angle = t_s[:, None, None] * self.rate_rad_s + self.phase_rad
        return np.asarray(np.sum(self.amplitude * np.sin(angle), axis=2))
