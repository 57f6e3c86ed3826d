"""Pose and sEMG of a take, or of one repetition -> what a C3D file holds: both on one grid of time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.errors import LayoutError
from lab.repetitions import Repetition
from storage.c3d_file import C3dFile
from storage.c3d_writer import MAX_EVENTS, MAX_FRAMES, C3dEvent
from storage.flex.read_signals import StoredSignal
from storage.flex.resample import interpolate

Float64 = npt.NDArray[np.float64]

#: Of a sample interval: what is farther apart was not measured in between, and is not filled.
_GAP_STEPS: Final = 1.5
#: Frames a second of a file without a pose, whose sEMG still needs a rate of frames.
_POSELESS_HZ: Final = 100.0
_MM, _VOLTS = 1e3, 1e-6

#: How values came to the times of the grid, for the file and its readers.
INTERPOLATION: Final = "joints: linear between neighbouring samples; sEMG: cubic spline; nothing across gaps"


def c3d_of(pose: StoredSignal | None, emg: StoredSignal | None, from_s: float, to_s: float) -> C3dFile:
    """Put joints and sEMG between two session times onto the grid that C3D needs.

    Frame i is at ``from_s`` + i / rate, with the pose's nominal rate; sEMG has the smallest whole multiple of it that
    is not below its own nominal rate. Session time runs true, so this resamples every signal: joints linearly between
    neighbours, sEMG by a cubic spline through each unbroken piece (linear interpolation would take a quarter of 450 Hz
    away at 2 kHz). Where neighbours are more than 1.5 sample intervals apart the result is NaN. Joints are in
    millimetres, z up, sEMG in volts: what most programs expect. Raises LayoutError where there is neither, or more
    than a C3D file holds.
    """
    if pose is None and emg is None:
        raise LayoutError("There is neither a pose nor sEMG to write into a C3D file; choose another take.")
    rate_hz = _usual_rate(pose) if pose is not None else _POSELESS_HZ
    span = (to_s - from_s) * rate_hz
    if not 0 <= span < MAX_FRAMES:
        raise LayoutError(
            f"{span:,.0f} frames are more than the {MAX_FRAMES:,} of a C3D file; export repetitions from the dataset."
        )
    frames = math.floor(span + 1e-6) + 1
    grid_s = from_s + np.arange(frames) / rate_hz
    if pose is None:
        positions = np.zeros((frames, 0, 3), dtype=np.float32)
    else:
        gap_s = _GAP_STEPS / rate_hz
        joints = [interpolate(pose.time_s, _column(pose, joint), grid_s, gap_s) for joint in range(len(pose.labels))]
        positions = (np.stack(joints, axis=1) * _MM).astype(np.float32)
    per_frame = 0 if emg is None else max(1, math.ceil(_usual_rate(emg) / rate_hz - 1e-6))
    analog = np.zeros((frames * per_frame, 0))
    if emg is not None:
        analog = _resampled(emg, from_s + np.arange(frames * per_frame) / (rate_hz * per_frame)) * _VOLTS
    labels = () if emg is None else emg.labels
    return C3dFile(
        rate_hz=rate_hz,
        first_frame=1,
        labels=() if pose is None else pose.labels,
        units="mm",
        positions=positions,
        analog_rate_hz=rate_hz * per_frame,
        analog_labels=labels,
        analog_units=("V",) * len(labels),
        analog=analog,
    )


def c3d_events(
    repetitions: Sequence[tuple[int, Repetition]], phases: tuple[str, str], from_s: float
) -> tuple[C3dEvent, ...]:
    """Return start, turn and end of repetitions (number, repetition) as events; only as many as a file holds.

    A repetition's start lies up to a frame before ``from_s`` where that is its first sample; the event is then at 0.
    """
    events = []
    for number, one in repetitions:
        first, second = (f"repetition {number}, {phase}" for phase in phases)
        events += [
            C3dEvent("start", one.start_s - from_s, first),
            C3dEvent("turn", one.turn_s - from_s, second),
            C3dEvent("end", one.end_s - from_s, f"repetition {number}"),
        ]
    return tuple(events[: MAX_EVENTS // 3 * 3])


def _column(pose: StoredSignal, joint: int) -> Float64:
    return pose.values[:, joint].astype(np.float64)


def _usual_rate(signal: StoredSignal) -> float:
    """Return the nominal rate, or where there is none the measured one, rounded to whole samples a second."""
    if math.isfinite(signal.rate_nominal_hz) and signal.rate_nominal_hz > 0:
        return signal.rate_nominal_hz
    if len(signal.time_s) > 1:
        return max(1.0, float(round(1 / float(np.median(np.diff(signal.time_s))))))
    return _POSELESS_HZ


def _resampled(signal: StoredSignal, at_s: Float64) -> Float64:
    """Return the values (times, channels) of cubic splines through unbroken pieces, NaN elsewhere."""
    out = np.full((len(at_s), len(signal.labels)), np.nan)
    gap_s = _GAP_STEPS / _usual_rate(signal)
    finite = np.isfinite(signal.values)
    together = bool((finite.all(axis=1) == finite.any(axis=1)).all())
    groups = [slice(None)] if together else [slice(channel, channel + 1) for channel in range(len(signal.labels))]
    for channels in groups:
        here = np.asarray(finite[:, channels].all(axis=1))
        for first, end in _pieces(signal.time_s, here, gap_s):
            _fill(out[:, channels], signal.time_s[first:end], signal.values[first:end, channels], at_s)
    return out


def _pieces(time_s: Float64, here: npt.NDArray[np.bool_], gap_s: float) -> list[tuple[int, int]]:
    """Return (first, end) of runs of samples that are there and follow each other at once."""
    index = np.flatnonzero(here)
    if not index.size:
        return []
    cuts = np.flatnonzero((np.diff(index) > 1) | (np.diff(time_s[index]) > gap_s)) + 1
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(index, cuts)]


def _fill(out: Float64, time_s: Float64, values: npt.NDArray[np.float32], at_s: Float64) -> None:
    from scipy.interpolate import CubicSpline

    first, end = np.searchsorted(at_s, time_s[0]), np.searchsorted(at_s, time_s[-1], side="right")
    if first == end:
        return
    wanted_s = at_s[first:end]
    if len(time_s) >= 4:
        out[first:end] = CubicSpline(time_s, values.astype(np.float64), axis=0)(wanted_s)
    else:  # too short for a curve
        for channel in range(values.shape[1]):
            out[first:end, channel] = np.interp(wanted_s, time_s, values[:, channel])
