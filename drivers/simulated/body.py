"""The athlete's body: segments of constant length, and the 21 joints of a posture.

The athlete stands near the origin, faces +y and has +x at the right hand; z is up, the floor is z = 0. The trunk
with the pelvis is one rigid piece; legs and arms are two links each, solved backwards from feet and grip.
Segment lengths follow the proportions of D. A. Winter, Biomechanics and Motor Control of Human Movement (fig. 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from drivers.simulated.motion import Float64
from lab.joints import JOINT_INDEX, JOINTS

#: The legs are never straightened further than this part of their length: a locked knee has no plane.
_REACH: Final = 0.992

_SIDES: Final = (("right", 1.0), ("left", -1.0))

_FOOT_OUT_RAD: Final = float(np.deg2rad(16.0))

#: Arms are never straightened further than this part of their length.
ARM_REACH: Final = 0.993


@dataclass(frozen=True)
class Body:
    """Lengths in metres; all scale with the athlete's height."""

    thigh_m: float
    shank_m: float
    hip_half_m: float
    spine_m: float
    neck_m: float
    head_m: float
    clavicle_m: float
    upper_arm_m: float
    forearm_m: float
    hand_m: float
    ankle_height_m: float
    heel_back_m: float
    toe_ahead_m: float
    stance_half_m: float

    @classmethod
    def of_height(cls, height_m: float) -> Body:
        """Return a body of that height, standing with feet a little wider than the hips."""
        return cls(
            thigh_m=0.242 * height_m,
            shank_m=0.243 * height_m,
            hip_half_m=0.054 * height_m,
            spine_m=0.262 * height_m,
            neck_m=0.060 * height_m,
            head_m=0.098 * height_m,
            clavicle_m=0.104 * height_m,
            upper_arm_m=0.170 * height_m,
            forearm_m=0.145 * height_m,
            hand_m=0.050 * height_m,
            ankle_height_m=0.045 * height_m,
            heel_back_m=0.030 * height_m,
            toe_ahead_m=0.110 * height_m,
            stance_half_m=0.105 * height_m,
        )

    @property
    def arm_m(self) -> float:
        """From the shoulder to the hand of a straight arm."""
        return self.upper_arm_m + self.forearm_m + self.hand_m

    @property
    def shoulder_in_trunk_m(self) -> tuple[float, float, float]:
        """Where the right shoulder is when nothing lifts it, in the trunk's axes."""
        return 0.99875 * self.clavicle_m, -0.02, self.spine_m + 0.04998 * self.clavicle_m

    @property
    def bar_in_trunk_m(self) -> tuple[float, float]:
        """Where a barbell lies on the upper back: (behind the trunk's axis, up from the hips)."""
        return 0.17 * self.spine_m, 1.06 * self.spine_m

    @property
    def ankle_y_m(self) -> float:
        """Where the ankles stand so that the middle of the feet is at y = 0."""
        return 0.5 * (self.heel_back_m - self.toe_ahead_m)


@dataclass(frozen=True)
class Arms:
    """Where the hands are and which way the elbows point, at n moments, in the trunk's axes (right, ahead, up).

    ``hands_m`` (n, 2, 3) from the middle of the hips, ``pole`` (n, 2, 3) of any length; sides right, left. The wrist is
    straight, so that the hand prolongs the forearm.
    """

    hands_m: Float64
    pole: Float64


@dataclass(frozen=True)
class Posture:
    """What the athlete does with the body at n moments; sides are in the order right, left.

    ``pelvis_m`` (n, 2) is the pelvis' x and y, ``drop_m`` (n,) how far it is below standing. ``pitch_rad`` leans
    forward, ``roll_rad`` tilts to the right, ``yaw_rad`` turns to the left (all (n,)). ``shrug_m`` (n,) lifts the
    shoulders, ``grip_m`` (n,) is half the distance between the hands, ``elbow_rad`` (n,) swings the elbows back.
    ``feet_m`` (n, 2, 3) moves each foot from its place in the stance. ``arms`` None: the hands hold a bar on the upper
    back. ``heel_up_rad`` (n, 2) turns each foot about its toe; None: both are flat.
    """

    pelvis_m: Float64
    drop_m: Float64
    pitch_rad: Float64
    roll_rad: Float64
    yaw_rad: Float64
    shrug_m: Float64
    grip_m: Float64
    elbow_rad: Float64
    feet_m: Float64
    arms: Arms | None = None
    heel_up_rad: Float64 | None = None


def joints_of(body: Body, posture: Posture) -> Float64:
    """Return the joints (n, 21, 3) in metres, in the order of ``lab.joints``. Bone lengths are the body's."""
    count = len(posture.drop_m)
    trunk = _rotation(posture.pitch_rad, posture.roll_rad, posture.yaw_rad)
    local = _upper_body(body, posture)

    hips = np.stack([side * body.hip_half_m * trunk[:, :, 0] for _, side in _SIDES], axis=1)
    stance = np.array([[side * body.stance_half_m, body.ankle_y_m, body.ankle_height_m] for _, side in _SIDES])
    ankles = stance + posture.feet_m
    if posture.heel_up_rad is not None:
        ankles = ankles + _ankle_shift(body, posture.heel_up_rad)

    # The pelvis is as high as the leg that reaches less allows; a soft minimum keeps its speed continuous.
    level = np.concatenate((posture.pelvis_m, np.zeros((count, 1))), axis=1)
    across = (ankles - hips - level[:, None, :])[:, :, :2]
    reach_m = _REACH * (body.thigh_m + body.shank_m)
    height = ankles[:, :, 2] + np.sqrt(reach_m**2 - np.sum(across**2, axis=2)) - hips[:, :, 2]
    softness_m = 0.004
    level[:, 2] = -softness_m * np.logaddexp(-height[:, 0] / softness_m, -height[:, 1] / softness_m) - posture.drop_m
    hips = hips + level[:, None, :]

    joints = np.empty((count, len(JOINTS), 3))
    for name, place in local.items():
        joints[:, JOINT_INDEX[name]] = level + np.einsum("nij,nj->ni", trunk, place)
    lean_rad = 0.75 * posture.pitch_rad
    gaze = _rotation(posture.pitch_rad - lean_rad, posture.roll_rad, posture.yaw_rad)
    joints[:, JOINT_INDEX["head"]] = joints[:, JOINT_INDEX["neck"]] + body.head_m * (
        0.97 * gaze[:, :, 2] + np.sqrt(1.0 - 0.97**2) * gaze[:, :, 1]
    )
    for index, (side_name, side) in enumerate(_SIDES):
        along = np.array([side * np.sin(_FOOT_OUT_RAD), np.cos(_FOOT_OUT_RAD), 0.0])
        down = np.array([0.0, 0.0, 1.0])
        ankle = ankles[:, index]
        knee_pole = np.broadcast_to(along, ankle.shape)
        if posture.heel_up_rad is not None:
            turned = posture.heel_up_rad[:, index, None]
            along, down = np.cos(turned) * along - np.sin(turned) * down, np.cos(turned) * down + np.sin(turned) * along
        joints[:, JOINT_INDEX[f"{side_name}_hip"]] = hips[:, index]
        joints[:, JOINT_INDEX[f"{side_name}_knee"]] = _two_links(
            hips[:, index], ankle, body.thigh_m, body.shank_m, knee_pole
        )
        joints[:, JOINT_INDEX[f"{side_name}_ankle"]] = ankle
        joints[:, JOINT_INDEX[f"{side_name}_heel"]] = (
            ankle - body.heel_back_m * along - 0.7 * body.ankle_height_m * down
        )
        joints[:, JOINT_INDEX[f"{side_name}_toe"]] = (
            ankle + body.toe_ahead_m * along - 0.75 * body.ankle_height_m * down
        )
    return joints


def _upper_body(body: Body, posture: Posture) -> dict[str, Float64]:
    """Return joints in the trunk's own axes (right, ahead, up the spine), each (n, 3)."""
    count = len(posture.drop_m)
    spine = np.array([0.0, -0.02, body.spine_m])
    behind_m, up_m = body.bar_in_trunk_m
    places = {
        "upper_spine": np.broadcast_to(spine, (count, 3)),
        "neck": np.broadcast_to(spine + np.array([0.0, 0.15, 0.9887]) * body.neck_m, (count, 3)),
    }
    lift_rad = np.arcsin(np.clip(posture.shrug_m / body.clavicle_m, -0.5, 0.5)) + 0.05
    for index, (name, side) in enumerate(_SIDES):
        shoulder = spine + body.clavicle_m * np.stack(
            (side * np.cos(lift_rad), np.zeros(count), np.sin(lift_rad)), axis=1
        )
        if posture.arms is None:
            hand = np.stack(
                (side * posture.grip_m, np.full(count, -behind_m), up_m + 0.6 * posture.shrug_m),
                axis=1,
            )
            toward = np.array([side * 0.20, -0.45, 0.87])
            wrist = hand - body.hand_m * toward / np.linalg.norm(toward)
            pole = np.stack(
                (np.full(count, side * 0.15), -np.sin(posture.elbow_rad), -np.cos(posture.elbow_rad)),
                axis=1,
            )
            elbow = _two_links(shoulder, wrist, body.upper_arm_m, body.forearm_m, pole)
        else:
            elbow, wrist, hand = _arm(body, shoulder, posture.arms.hands_m[:, index], posture.arms.pole[:, index])
        places |= {f"{name}_shoulder": shoulder, f"{name}_elbow": elbow, f"{name}_wrist": wrist, f"{name}_hand": hand}
    return places


def _arm(body: Body, shoulder: Float64, hand: Float64, pole: Float64) -> tuple[Float64, Float64, Float64]:
    """Return elbow, wrist and hand, (n, 3) each; a hand that is out of reach comes as near as it can."""
    apart = hand - shoulder
    distance = np.linalg.norm(apart, axis=1, keepdims=True)
    hand = shoulder + apart * np.clip(distance, 0.12 * body.arm_m, ARM_REACH * body.arm_m) / distance
    below_m = body.forearm_m + body.hand_m
    elbow = _two_links(shoulder, hand, body.upper_arm_m, below_m, pole)
    return elbow, elbow + body.forearm_m / below_m * (hand - elbow), hand


def _ankle_shift(body: Body, heel_up_rad: Float64) -> Float64:
    """Return how the ankles (n, 2, 3) move when each foot turns about its toe."""
    ahead, up = -body.toe_ahead_m, 0.75 * body.ankle_height_m
    cos, sin = np.cos(heel_up_rad), np.sin(heel_up_rad)
    # Along the foot and upward, seen from the toe.
    along = ahead * cos + up * sin - ahead
    above = up * cos - ahead * sin - up
    outward = np.array([side for _, side in _SIDES]) * np.sin(_FOOT_OUT_RAD)
    return np.stack((outward * along, np.cos(_FOOT_OUT_RAD) * along, above), axis=2)


def _rotation(pitch_rad: Float64, roll_rad: Float64, yaw_rad: Float64) -> Float64:
    """Return matrices (n, 3, 3) whose columns are the body's right, ahead and up axes in the world."""
    cp, sp = np.cos(pitch_rad), np.sin(pitch_rad)
    cr, sr = np.cos(roll_rad), np.sin(roll_rad)
    cy, sy = np.cos(yaw_rad), np.sin(yaw_rad)
    # Rz(yaw) Ry(roll) Rx(-pitch), written out.
    rows = (
        (cy * cr, -cy * sr * sp - sy * cp, cy * sr * cp - sy * sp),
        (sy * cr, -sy * sr * sp + cy * cp, sy * sr * cp + cy * sp),
        (-sr, -cr * sp, cr * cp),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _two_links(root_m: Float64, end_m: Float64, first_m: float, second_m: float, pole: Float64) -> Float64:
    """Return the middle joint (n, 3) between root and end, bent towards ``pole`` (law of cosines).

    The distance from root to end must be within what the links reach.
    """
    apart = end_m - root_m
    distance = np.sqrt(np.sum(apart**2, axis=1, keepdims=True))
    axis = apart / distance
    along = (first_m**2 - second_m**2 + distance**2) / (2.0 * distance)
    aside = np.sqrt(first_m**2 - along**2)
    bend = pole - np.sum(pole * axis, axis=1, keepdims=True) * axis
    bend = bend / np.sqrt(np.sum(bend**2, axis=1, keepdims=True))
    return np.asarray(root_m + along * axis + aside * bend)
