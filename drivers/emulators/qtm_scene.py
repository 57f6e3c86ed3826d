"""What an emulated QTM measures of the athlete: markers on his joints, a skeleton, sEMG, a force plate."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.emulators.stage import Stage
from drivers.simulated.emg_signal import EmgSignal
from lab.joints import JOINTS

Float32 = npt.NDArray[np.float32]

#: Frames that the athlete is asked about at once: a call costs about as much for one as for sixty.
_BLOCK: Final = 64
#: A marker is hidden for this many frames together.
_HIDDEN_FRAMES: Final = 20
FIRST_SEGMENT: Final = 752


class QtmScene:
    """Frames and samples by their number from the start of a measurement, which is at ``start_s`` in host time."""

    def __init__(
        self,
        stage: Stage,
        start_s: float,
        rate_hz: float,
        drift_ppm: float,
        *,
        extra_markers: int = 0,
        hidden: float = 0.0,
        y_up: bool = False,
    ) -> None:
        self._stage = stage
        self._start_s = start_s
        self._rate_hz = rate_hz
        self._faster = 1.0 + 1e-6 * drift_ppm
        self._hidden = hidden
        self._y_up = y_up
        self._extra = np.arange(extra_markers) % len(JOINTS)
        self._offset_m = 0.03 * np.stack([np.cos(np.arange(extra_markers)), np.sin(np.arange(extra_markers))], axis=1)
        self.labels = (*JOINTS, *(f"extra_{number + 1:03d}" for number in range(extra_markers)))
        self._block: Float32 = np.empty((0, len(self.labels), 4), dtype=np.float32)
        self._first = 0

    def host_s(self, device_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return host time of seconds since the start by QTM's clock."""
        return self._start_s + np.asarray(device_s, dtype=np.float64) / self._faster

    def device_s(self, host_s: float) -> float:
        """Return seconds since the start by QTM's clock."""
        return (host_s - self._start_s) * self._faster

    def markers(self, number: int) -> Float32:
        """Return frame ``number`` (markers, 4): mm as QTM's axes have it and the residual in mm; NaN where hidden."""
        if not self._first <= number < self._first + len(self._block):
            self._first = number
            self._block = self._markers(number + np.arange(_BLOCK))
        frame: Float32 = self._block[number - self._first]
        return frame

    def _markers(self, numbers: npt.NDArray[np.int64]) -> Float32:
        joints_m = self._stage.joints_m(self.host_s(numbers / self._rate_hz))
        extra_m = joints_m[:, self._extra]
        extra_m[:, :, :2] += self._offset_m
        positions_mm = 1000.0 * np.concatenate([joints_m, extra_m], axis=1)
        if self._y_up:
            positions_mm = np.stack([positions_mm[..., 0], positions_mm[..., 2], -positions_mm[..., 1]], axis=-1)
        values = np.empty((len(numbers), len(self.labels), 4), dtype=np.float32)
        values[:, :, :3] = positions_mm
        values[:, :, 3] = 0.2 + 0.1 * (np.arange(len(self.labels)) % 5)
        if self._hidden:
            for row, number in enumerate(numbers.tolist()):
                rng = np.random.default_rng([self._stage.seed, number // _HIDDEN_FRAMES])
                values[row, rng.random(len(self.labels)) < self._hidden] = np.nan
        return values

    def skeleton(self, number: int) -> tuple[list[int], Float32]:
        """Return the segments' numbers and (segments, 7) of frame ``number``: mm, quaternion x, y, z, w."""
        pose = np.zeros((len(JOINTS), 7), dtype=np.float32)
        pose[:, :3] = self.markers(number)[: len(JOINTS), :3]
        half_rad = 0.05 * np.arange(len(JOINTS))
        pose[:, 5], pose[:, 6] = np.sin(half_rad), np.cos(half_rad)
        return [FIRST_SEGMENT + joint for joint in range(len(JOINTS))], pose

    def force(self, first: int, count: int, rate_hz: float) -> Float32:
        """Return samples (count, 9) of a plate: the weight, swaying."""
        device_s = (first + np.arange(count)) / rate_hz
        values = np.zeros((count, 9), dtype=np.float32)
        values[:, 2] = 750.0 + 40.0 * np.sin(2.0 * np.pi * 0.5 * device_s)
        values[:, 6:8] = (120.0, -35.0)
        return values


class AnalogBoard:
    """Samples of sEMG in order, in volts; made anew with every measurement."""

    def __init__(self, scene: QtmScene, stage: Stage, rate_hz: float, channels: int) -> None:
        self._scene = scene
        self._stage = stage
        self._rate_hz = rate_hz
        self._channels = channels
        self._signal = EmgSignal(rate_hz, channels, np.random.default_rng([stage.seed, 77]))
        self.next = 0

    def pass_over(self, device_s: float) -> None:
        """Throw away the samples up to a device time."""
        self.next = int(device_s * self._rate_hz) + 1

    def until(self, device_s: float) -> tuple[int, Float32]:
        """Return the number of the first new sample and the samples (new, channels) up to a device time."""
        first, count = self.next, max(0, int(device_s * self._rate_hz) + 1 - self.next)
        numbers = first + np.arange(count)
        event_s = self._scene.host_s(numbers / self._rate_hz)
        if not count:
            return first, np.empty((0, self._channels), dtype=np.float32)
        activation = self._stage.activation(event_s)[:, np.arange(self._channels) % 16]
        self.next += count
        return first, (1e-6 * self._signal.next_uv(activation, event_s)).astype(np.float32)
