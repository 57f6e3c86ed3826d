"""What the sensors of an emulated Trigno base measure: the muscles and the limbs of the athlete on the stage."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.emulators.stage import Stage
from drivers.emulators.trigno_commands import FRAME_S, SLOTS, BaseState
from drivers.simulated.emg_signal import EmgSignal
from lab.joints import JOINT_INDEX

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

_G_M_S2: Final = 9.80665
_GRAVITY_M_S2: Final = np.array([0.0, 0.0, -_G_M_S2])
#: Motion is differentiated over so long.
_STEP_S: Final = 0.02
_AUX_WIDTH: Final = 9
_LEGACY_AUX_WIDTH: Final = 3
#: The limb that a sensor is on, by slot: thighs, trunk and shanks, as the athlete's electrodes in a squat lie.
_LIMBS: Final = (("hip", "knee"),) * 3 + (("hip", "hip"), ("hip", "hip")) + (("knee", "ankle"),) * 2 + (("neck", ""),)
_NOISE_G: Final = 0.004
_NOISE_DPS: Final = 0.1
#: Real rows of sEMG lie within this.
_RANGE_UV: Final = 11_000.0


class TrignoSignals:
    """Rows of all ports, frame after frame; nothing is ever computed twice."""

    def __init__(self, state: BaseState, stage: Stage, first_s: float) -> None:
        """``first_s`` is the host time of the first sample."""
        config = state.config
        self._state = state
        self._stage = stage
        self.first_s = first_s
        self._rng = np.random.default_rng(np.random.SeedSequence([stage.seed, 50043]))
        self._emg = EmgSignal(state.emg_samples / FRAME_S, SLOTS, self._rng)
        # the base's clock runs fast: a frame of its takes less of the host's time
        self._frame_s = FRAME_S / (1 + config.drift_ppm * 1e-6)
        self.frames = 0
        active = {slot: at for slot, at in state.places().items() if slot not in config.inactive}
        self._slot_of = np.zeros(SLOTS, dtype=np.intp)
        self._alive = np.zeros(SLOTS, dtype=np.bool_)
        self._narrow = np.zeros(SLOTS, dtype=np.bool_)
        self._sensors = {slot: first for slot, (first, _) in active.items() if slot not in config.silent}
        for slot, (first, count) in active.items():
            self._slot_of[first : first + count] = slot - 1
            self._alive[first : first + count] = slot not in config.silent
            self._narrow[first : first + count] = count + config.aux_channels <= 1 + _LEGACY_AUX_WIDTH

    def due(self, now_s: float) -> int:
        """Return how many frames are over at a host time and were not made yet."""
        return max(0, int((now_s - self.first_s) / self._frame_s) - self.frames)

    def make(self, frames: int) -> dict[str, Float32]:
        """Return the next frames' rows by port: ``emg`` in volts, ``aux`` in g and degrees/s, the legacy ones."""
        state = self._state
        emg = self._emg_rows(frames)
        aux = self._aux_rows(frames)
        legacy = emg[self._nearest(frames, state.legacy_emg_samples)] * self._narrow
        legacy_aux = aux.reshape(-1, SLOTS, _AUX_WIDTH)[:, :, :_LEGACY_AUX_WIDTH] * self._narrow[:, None]
        self.frames += frames
        return {
            "emg": emg,
            "aux": aux,
            "legacy_emg": legacy.astype(np.float32),
            "legacy_aux": legacy_aux.reshape(len(aux), -1).astype(np.float32),
        }

    def _times_s(self, frames: int, samples: int) -> Float64:
        """Return host times of the next frames' samples; the last of a frame is at its end."""
        index = np.arange(frames * samples) + 1
        return self.first_s + (self.frames + index / samples) * self._frame_s

    def _emg_rows(self, frames: int) -> Float32:
        times_s = self._times_s(frames, self._state.emg_samples)
        activation = self._stage.activation(times_s)[:, self._slot_of]
        signal_uv = np.clip(self._emg.next_uv(activation, times_s), -_RANGE_UV, _RANGE_UV)
        return (signal_uv * 1e-6 * self._alive).astype(np.float32)

    def _nearest(self, frames: int, samples: int) -> npt.NDArray[np.intp]:
        """Return the indices of the samples nearest to those of a port with another rate."""
        own = self._state.emg_samples
        return np.asarray(np.arange(frames * samples) * own // samples, dtype=np.intp)

    def _aux_rows(self, frames: int) -> Float32:
        """Return (n, 144): accelerations in g that include gravity, in the room's axes, and turning rates of limbs."""
        times_s = self._times_s(frames, self._state.aux_samples)
        rows = np.zeros((len(times_s), SLOTS, _AUX_WIDTH))
        channels = self._state.config.aux_channels
        if channels:
            before, here, after = (self._stage.joints_m(times_s + shift) for shift in (-_STEP_S, 0.0, _STEP_S))
            for slot, first in self._sensors.items():
                near, far = _joints_of(slot)
                a_m_s2 = (before[:, far] - 2 * here[:, far] + after[:, far]) / _STEP_S**2
                rows[:, first, :3] = (a_m_s2 - _GRAVITY_M_S2) / _G_M_S2
                if channels > 3:
                    limb = here[:, far] - here[:, near]
                    turning = np.cross(limb, (after - before)[:, far] - (after - before)[:, near]) / (2 * _STEP_S)
                    rows[:, first, 3:6] = np.degrees(turning / (limb**2).sum(axis=1, keepdims=True))
                noise = self._rng.standard_normal((len(rows), channels))
                rows[:, first, :channels] += noise * ([_NOISE_G] * 3 + [_NOISE_DPS] * 3)[:channels]
        return rows.reshape(len(rows), -1).astype(np.float32)


def _joints_of(slot: int) -> tuple[int, int]:
    """Return the joints between which a sensor's limb lies."""
    side = "left" if slot <= SLOTS // 2 else "right"
    other = "right" if side == "left" else "left"
    near, far = _LIMBS[(slot - 1) % 8]
    if near == "neck":
        return JOINT_INDEX["upper_spine"], JOINT_INDEX["neck"]
    if near == far:
        return JOINT_INDEX[f"{other}_{near}"], JOINT_INDEX[f"{side}_{far}"]
    return JOINT_INDEX[f"{side}_{near}"], JOINT_INDEX[f"{side}_{far}"]
