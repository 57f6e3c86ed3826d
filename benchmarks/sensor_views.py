"""The virtual athlete as other laboratories' sensors would have recorded it.

The same poses seen by a depth camera, by inertial units, by a goniometer, as joint angles whose numbers flip, and as
sEMG: rates, noise, dropouts and units are ours, chosen before anything was judged. ``SENSORS`` names them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from drivers.simulated.athlete import Athlete
from drivers.simulated.muscles import labels_of
from lab.actions import ACTIONS
from lab.motion_signal import MotionSignal

#: FLEX's joints: the segments that carry a sensor, from joint to joint, and a third joint that gives the plane.
_SEGMENTS: Final[dict[str, tuple[int, int, int]]] = {
    "right forearm": (4, 5, 3),
    "left forearm": (8, 9, 7),
    "trunk": (2, 1, 3),
    "right thigh": (11, 12, 16),
    "left thigh": (16, 17, 11),
    "right upper arm": (3, 4, 7),
    "left upper arm": (7, 8, 3),
}
_FIVE: Final = ("right forearm", "left forearm", "trunk", "right thigh", "left thigh")
_GRAVITY: Final = np.array([0.0, 0.0, 9.81])


def _times(athlete: Athlete, rate_hz: float) -> np.ndarray:
    return np.arange(0.0, athlete.duration_s, 1 / rate_hz)


def _frames(joints_m: np.ndarray, name: str) -> np.ndarray:
    """Return the orientation (n, 3, 3) of a segment: its columns are the segment's axes in the room."""
    first, last, third = _SEGMENTS[name]
    along = joints_m[:, last] - joints_m[:, first]
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    beside = np.cross(along, joints_m[:, third] - joints_m[:, first])
    beside = beside / np.maximum(np.linalg.norm(beside, axis=1, keepdims=True), 1e-9)
    return np.stack((along, beside, np.cross(along, beside)), axis=2)


def positions(athlete: Athlete, _action: str, seed: int) -> list[MotionSignal]:
    """Return optical MoCap."""
    time_s = _times(athlete, 100.0)
    joints_m = athlete.joints_m(time_s)
    joints_m = joints_m + np.random.default_rng(seed).normal(0.0, 3e-4, joints_m.shape)
    return [MotionSignal("pose", "positions", time_s, joints_m.reshape(len(time_s), -1), ())]


def depth_camera(athlete: Athlete, _action: str, seed: int) -> list[MotionSignal]:
    """Return a skeleton at 30 Hz: 1.5 cm noise, half of it slow, lost frames, and limbs mistaken for a moment."""
    rng = np.random.default_rng([seed, 1])
    time_s = np.sort(_times(athlete, 30.0) + rng.uniform(0, 0.008, len(_times(athlete, 30.0))))
    joints_m = athlete.joints_m(time_s)
    white = rng.normal(0, 0.010, joints_m.shape)
    slow = rng.normal(0, 1.0, joints_m.shape)
    for row in range(1, len(slow)):
        slow[row] = 0.93 * slow[row - 1] + np.sqrt(1 - 0.93**2) * slow[row]
    joints_m = joints_m + white + 0.011 * slow
    for _ in range(int(time_s[-1] / 8)):
        first, joint = int(rng.integers(len(time_s))), int(rng.integers(21))
        joints_m[first : first + int(rng.integers(2, 12)), joint] += rng.normal(0, 0.12, 3)
    kept = rng.random(len(time_s)) > 0.03
    return [MotionSignal("skeleton", "positions", time_s[kept], joints_m[kept].reshape(kept.sum(), -1), ())]


def _inertial(athlete: Athlete, seed: int, names: tuple[str, ...], rate_hz: float) -> tuple[np.ndarray, list, list]:
    rng = np.random.default_rng([seed, 2])
    fine_s = _times(athlete, 100.0)
    joints_m = athlete.joints_m(fine_s)
    time_s = _times(athlete, rate_hz)
    accelerations, rates = [], []
    for name in names:
        place = joints_m[:, _SEGMENTS[name][1]]
        acceleration = np.gradient(np.gradient(place, 0.01, axis=0), 0.01, axis=0) + _GRAVITY
        mounted = Rotation.random(random_state=int(rng.integers(2**31)))
        frames = Rotation.from_matrix(_frames(joints_m, name)) * mounted
        felt = frames.inv().apply(acceleration)
        turned = np.zeros_like(felt)
        turned[:-1] = (frames[:-1].inv() * frames[1:]).as_rotvec() * 100.0
        for part, out, noise in ((felt, accelerations, 0.25), (np.rad2deg(turned), rates, 4.0)):
            sampled = np.stack([np.interp(time_s, fine_s, column) for column in part.T], axis=1)
            out.append(sampled + rng.normal(0, noise, sampled.shape) + rng.normal(0, 2 * noise, 3))
    return time_s, accelerations, rates


def five_inertial_units(athlete: Athlete, _action: str, seed: int) -> list[MotionSignal]:
    """Return five units at 25 Hz, accelerometer and gyroscope, in m/s2 and degrees a second."""
    time_s, accelerations, rates = _inertial(athlete, seed, _FIVE, 25.0)
    return [
        MotionSignal("acceleration", "acceleration", time_s, np.concatenate(accelerations, axis=1), ()),
        MotionSignal("gyroscope", "rotation_rate", time_s, np.concatenate(rates, axis=1), ()),
    ]


def unnamed_inertial_units(athlete: Athlete, action: str, seed: int) -> list[MotionSignal]:
    """Return the same five, of which nothing says what their thirty columns are."""
    parts = five_inertial_units(athlete, action, seed)
    return [MotionSignal("file", "other", parts[0].time_s, np.concatenate([one.values for one in parts], axis=1), ())]


def wrist_accelerometer(athlete: Athlete, _action: str, seed: int) -> list[MotionSignal]:
    """Return the accelerometer of a watch on the right wrist at 50 Hz, in g."""
    time_s, accelerations, _ = _inertial(athlete, seed, ("right forearm",), 50.0)
    return [MotionSignal("watch", "acceleration", time_s, accelerations[0] / 9.81, ())]


def joint_angles(athlete: Athlete, _action: str, seed: int) -> list[MotionSignal]:
    """Return the orientation of seven segments as Euler angles in degrees at 50 Hz, which flip."""
    rng = np.random.default_rng([seed, 3])
    time_s = _times(athlete, 50.0)
    joints_m = athlete.joints_m(time_s)
    columns = []
    for name in _SEGMENTS:
        turned = Rotation.random(random_state=int(rng.integers(2**31)))
        noise = Rotation.from_rotvec(rng.normal(0, np.deg2rad(0.4), (len(time_s), 3)))
        columns.append((turned * Rotation.from_matrix(_frames(joints_m, name)) * noise).as_euler("ZXY", degrees=True))
    return [MotionSignal("angles", "angle", time_s, np.concatenate(columns, axis=1), ())]


def goniometer(athlete: Athlete, _action: str, seed: int) -> list[MotionSignal]:
    """Return the joint that moves most (elbow, knee, hip or shoulder, right) at 1,000 Hz, in counts, upside down."""
    rng = np.random.default_rng([seed, 4])
    time_s = _times(athlete, 1000.0)
    coarse_s = _times(athlete, 100.0)
    joints_m = athlete.joints_m(coarse_s)
    best = np.zeros(len(coarse_s))
    for first, middle, last in ((3, 4, 5), (11, 12, 13), (1, 11, 12), (11, 3, 4)):
        one, other = joints_m[:, first] - joints_m[:, middle], joints_m[:, last] - joints_m[:, middle]
        cosine = np.sum(one * other, axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
        angle = np.arccos(np.clip(cosine, -1, 1))
        best = angle if np.ptp(angle) > np.ptp(best) else best
    counts = 32768 - 4000 * np.interp(time_s, coarse_s, best) + rng.normal(0, 60, len(time_s))
    return [MotionSignal("goniometer", "other", time_s, np.round(counts)[:, None], ())]


def muscles(athlete: Athlete, action: str, seed: int) -> list[MotionSignal]:
    """Return raw sEMG of the action's target muscles at 1,000 Hz."""
    from scipy.signal import butter, sosfilt

    rng = np.random.default_rng([seed, 5])
    time_s = _times(athlete, 1000.0)
    labels = labels_of(action)
    wanted = [place for place, label in enumerate(labels) if any(muscle in label for muscle in ACTIONS[action].targets)]
    white = rng.standard_normal((len(time_s), len(wanted)))
    bursts = sosfilt(butter(4, (20, 450), "bandpass", fs=1000.0, output="sos"), white, axis=0)
    values = 350 * athlete.activation(time_s)[:, wanted] * bursts + rng.normal(0, 5, bursts.shape)
    return [MotionSignal("emg", "emg", time_s, values, tuple(labels[place] for place in wanted))]


SENSORS: Final[dict[str, Callable[[Athlete, str, int], list[MotionSignal]]]] = {
    "optical positions": positions,
    "depth camera, 30 Hz": depth_camera,
    "joint angles that flip": joint_angles,
    "five IMUs, 25 Hz": five_inertial_units,
    "the same, unnamed": unnamed_inertial_units,
    "wrist accelerometer": wrist_accelerometer,
    "goniometer": goniometer,
    "sEMG": muscles,
}
