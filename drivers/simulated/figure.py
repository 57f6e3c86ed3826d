"""The athlete as things to paint: tapered limbs, hulls of balls, plates, each with its depth.

All limbs, and all plates, are projected and outlined in one go, since a small array costs as much as a large one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.simulated.motion import Float64
from drivers.simulated.room import fixed_point
from lab.actions import Implement
from lab.cameras import PinholeCamera
from lab.joints import JOINT_INDEX

Colour = tuple[int, int, int]
Shade = tuple[float, float, float]

RIGHT_BGR: Final[Colour] = (44, 112, 236)
LEFT_BGR: Final[Colour] = (206, 112, 38)
_SHIRT: Final[Colour] = (92, 84, 74)
_SHORTS: Final[Colour] = (52, 46, 42)
_SKIN: Final[Colour] = (140, 172, 214)
_HAIR: Final[Colour] = (34, 44, 60)
_SHOE: Final[Colour] = (226, 226, 226)
_STEEL: Final[Colour] = (178, 178, 174)
_PLATE: Final[Colour] = (44, 42, 40)
_PLATE_RIM: Final[Colour] = (60, 54, 164)

#: Limbs of a side: from joint, to joint, radius at each in metres, colour (the side's own where None).
_SIDE_LIMBS: Final[tuple[tuple[str, str, float, float, Colour | None], ...]] = (
    ("hip", "knee", 0.088, 0.060, None),
    ("knee", "ankle", 0.058, 0.040, None),
    ("heel", "toe", 0.040, 0.034, _SHOE),
    ("ankle", "heel", 0.042, 0.040, _SHOE),
    ("ankle", "toe", 0.042, 0.032, _SHOE),
    ("shoulder", "elbow", 0.056, 0.042, None),
    ("elbow", "wrist", 0.041, 0.030, _SKIN),
    ("wrist", "hand", 0.034, 0.038, _SKIN),
)

_SLEEVE_M: Final = 0.70
_BAR_HALF_M: Final = 1.10
_BAR_PIECES_M: Final = ((-0.70, -0.42), (-0.42, -0.14), (-0.14, 0.14), (0.14, 0.42), (0.42, 0.70))
_PLATE_RADIUS_M: Final = 0.225
_PLATES: Final = tuple(
    (side * place, size) for side in (1, -1) for place, size in ((0.72, 1.0), (0.76, 1.0), (0.80, 0.75))
)
_HEADS_M: Final = ((0.08, 0.13), (-0.13, -0.08))
_DISC_HALF_M: Final = 0.015

#: Nothing nearer than this is painted.
_NEAR_M: Final = 0.3

#: Outlines have this many corners for half a circle.
_HALF: Final = 7
_FAN: Final = np.linspace(-np.pi / 2, np.pi / 2, _HALF)
_ROUND: Final = np.linspace(0.0, 2.0 * np.pi, 2 * _HALF + 1)[:-1]
_CIRCLE: Final = np.linspace(0.0, 2.0 * np.pi, 25)[:-1]
_RING: Final = np.stack((np.cos(_CIRCLE), np.sin(_CIRCLE)), axis=1)

#: Corners (points, 2) in sixteenths of a pixel.
Polygon = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Part:
    """Convex polygons with their BGR colours, painted in order, and ``depth_m`` of the whole."""

    depth_m: float
    layers: tuple[tuple[Polygon, Shade], ...]


def parts_of(camera: PinholeCamera, joints_m: Float64, implement: Implement = "barbell") -> list[Part]:
    """Return what to paint for the joints (21, 3) in metres, the farthest first.

    Parts that reach nearer than 0.3 m to the camera are left out.
    """
    at = {name: joints_m[index] for name, index in JOINT_INDEX.items()}
    trunk = _trunk(camera, at)
    limbs = [
        (at[f"{side}_{start}"], at[f"{side}_{end}"], start_m, end_m, colour or own, 0.0)
        for side, own in (("right", RIGHT_BGR), ("left", LEFT_BGR))
        for start, end, start_m, end_m, colour in _SIDE_LIMBS
    ]
    limbs += _head(at)
    middle = 0.5 * (at["right_hand"] + at["left_hand"])
    axis = _unit(at["right_hand"] - at["left_hand"])
    if implement == "barbell":
        limbs += _bar(camera, at, middle, axis)
        plates = _plate_parts(camera, middle, axis)
    else:
        limbs += [limb for side in ("right", "left") for limb in _dumbbell(at, side)]
        plates = []
    return sorted([*trunk, *_limb_parts(camera, limbs), *plates], key=lambda part: -part.depth_m)


#: From, to, radius at each (m), colour, and a depth to be painted at (0 for its own).
_Limb = tuple[Float64, Float64, float, float, Colour, float]


def _head(at: dict[str, Float64]) -> list[_Limb]:
    """Return neck, skull and nose, and hair on top and at the back, so that one sees where the athlete looks."""
    head = at["head"]
    up = _unit(head - at["neck"])
    ahead = _unit(_cross(up, at["right_shoulder"] - at["left_shoulder"]))
    return [
        (at["upper_spine"], at["neck"] + 0.3 * (head - at["neck"]), 0.062, 0.052, _SKIN, 0.0),
        (head - 0.035 * up + 0.015 * ahead, head + 0.045 * up, 0.076, 0.092, _SKIN, 0.0),
        (head + 0.075 * up - 0.04 * ahead, head + 0.095 * up + 0.005 * ahead, 0.078, 0.058, _HAIR, 0.0),
        (head - 0.055 * ahead + 0.04 * up, head - 0.06 * ahead - 0.03 * up, 0.070, 0.050, _HAIR, 0.0),
        (head + 0.09 * ahead - 0.01 * up, head + 0.10 * ahead - 0.03 * up, 0.010, 0.015, _SKIN, 0.0),
    ]


def _dumbbell(at: dict[str, Float64], side: str) -> list[_Limb]:
    """Return handle and two heads of a dumbbell, across the forearm."""
    hand = at[f"{side}_hand"]
    forearm = _unit(hand - at[f"{side}_elbow"])
    across = at["right_shoulder"] - at["left_shoulder"]
    axis = _unit(across - np.dot(across, forearm) * forearm + np.array((0.0, 1e-6, 0.0)))
    heads = [(hand + begin * axis, hand + end * axis, 0.055, 0.055, _PLATE, 0.0) for begin, end in _HEADS_M]
    return [(hand - 0.07 * axis, hand + 0.07 * axis, 0.016, 0.016, _STEEL, 0.0), *heads]


def _bar(camera: PinholeCamera, at: dict[str, Float64], middle: Float64, axis: Float64) -> list[_Limb]:
    """Return the barbell's bar in pieces, so that each is painted before or after what it passes."""
    spine = at["upper_spine"]
    toward = _unit(np.asarray(camera.position_m) - spine)
    forward = np.asarray(camera.rotation[2])
    # It lies behind the shoulders: the chest hides its middle from the front, and it hides the chest from the back.
    hidden = float(np.dot(toward, spine - middle)) > 0
    depth_m = float(np.dot(spine - np.asarray(camera.position_m), forward)) + (0.30 if hidden else -0.30)
    ahead = _cross(at["neck"] - at["upper_spine"], at["right_shoulder"] - at["left_shoulder"])
    if float(np.dot(ahead, middle - spine)) > 0:
        depth_m = 0.0  # held in front or overhead: each piece at its own depth
    limbs: list[_Limb] = []
    for begin, end in _BAR_PIECES_M:
        over_back = abs(begin + end) < 0.6
        limbs.append((middle + begin * axis, middle + end * axis, 0.014, 0.014, _STEEL, depth_m if over_back else 0.0))
    sleeves = ((-_BAR_HALF_M, -_SLEEVE_M), (_SLEEVE_M, _BAR_HALF_M))
    limbs += [(middle + begin * axis, middle + end * axis, 0.025, 0.025, _STEEL, 0.0) for begin, end in sleeves]
    return limbs


def _limb_parts(camera: PinholeCamera, limbs: list[_Limb]) -> list[Part]:
    """Return each limb as a dark rim, its colour, and a lighter strip along it."""
    pixels, depth = camera.project(np.array([(start, end) for start, end, *_ in limbs]))
    visible = np.min(depth, axis=1) > _NEAR_M
    radius = camera.focal_px * np.array([limb[2:4] for limb in limbs]) / np.maximum(depth, _NEAR_M)
    light = pixels - 0.28 * radius[..., None] * np.array((0.6, 0.8))
    outlines = fixed_point(
        _capsules(np.concatenate((pixels, pixels, light)), np.concatenate((radius, 0.86 * radius, 0.42 * radius)))
    ).reshape(3, len(limbs), 2 * _HALF, 2)
    near = depth.mean(axis=1).tolist()
    return [
        Part(
            limb[5] or near[index],
            tuple(
                zip(
                    outlines[:, index],
                    (shaded(limb[4], -0.38), shaded(limb[4], 0.0), shaded(limb[4], 0.25)),
                    strict=True,
                )
            ),
        )
        for index, limb in enumerate(limbs)
        if visible[index]
    ]


def _trunk(camera: PinholeCamera, at: dict[str, Float64]) -> list[Part]:
    """Return chest and pelvis, each the hull of a few balls."""
    hips = 0.5 * (at["right_hip"] + at["left_hip"])
    waist = hips + 0.35 * (at["upper_spine"] - hips)
    side = 0.5 * (at["right_hip"] - at["left_hip"])
    chest = np.array(
        (at["right_shoulder"], at["left_shoulder"], at["upper_spine"], waist + 0.75 * side, waist - 0.75 * side)
    )
    pelvis = np.array((waist + 0.70 * side, waist - 0.70 * side, at["right_hip"], at["left_hip"]))
    return [
        *_hull(camera, pelvis, np.array((0.082, 0.082, 0.088, 0.088)), _SHORTS),
        *_hull(camera, chest, np.array((0.058, 0.058, 0.100, 0.085, 0.085)), _SHIRT),
    ]


def _hull(camera: PinholeCamera, balls_m: Float64, radius_m: Float64, colour: Colour) -> list[Part]:
    pixels, depth = camera.project(balls_m)
    if np.min(depth) < _NEAR_M:
        return []
    radius = (camera.focal_px * radius_m / depth)[:, None, None]
    rim = _convex((pixels[:, None, :] + radius * _RING).reshape(-1, 2))
    inner = _convex((pixels[:, None, :] + 0.86 * radius * _RING).reshape(-1, 2))
    # The side towards the lamp is a little lighter.
    middle = inner.mean(axis=0)
    light = middle + 0.72 * (inner - middle) - 0.06 * (inner.max(axis=0) - inner.min(axis=0))
    layers = (
        (fixed_point(rim), shaded(colour, -0.38)),
        (fixed_point(inner), shaded(colour, 0.0)),
        (fixed_point(light), shaded(colour, 0.10)),
    )
    return [Part(float(np.mean(depth)), layers)]


def _plate_parts(camera: PinholeCamera, middle: Float64, axis: Float64) -> list[Part]:
    """Return the plates as discs of 3 cm; the face turned to the camera covers the other, between them is the rim."""
    one = _unit(_cross(axis, np.array((0.0, 0.0, 1.0))))
    ring = _RING[:, :1] * one + _RING[:, 1:] * _cross(axis, one)
    centres = middle + np.array([place for place, _ in _PLATES])[:, None] * axis
    rings = _PLATE_RADIUS_M * np.array([size for _, size in _PLATES])[:, None, None] * ring
    faces = np.where((np.asarray(camera.position_m) - centres) @ axis > 0, _DISC_HALF_M, -_DISC_HALF_M)[:, None] * axis
    front = (centres + faces)[:, None, :]
    pixels, depth = camera.project(
        np.stack((front + rings, (centres - faces)[:, None, :] + rings, front + 0.82 * rings, front + 0.22 * rings))
    )
    polygons = fixed_point(pixels)
    edge, rim, face, hub = shaded(_PLATE, -0.3), shaded(_PLATE_RIM, 0.0), shaded(_PLATE, 0.0), shaded(_STEEL, 0.0)
    parts: list[Part] = []
    for index in range(len(_PLATES)):
        if np.min(depth[:, index]) > _NEAR_M:
            outline = fixed_point(_convex(pixels[:2, index].reshape(-1, 2)))
            layers = ((outline, edge), (polygons[0, index], rim), (polygons[2, index], face), (polygons[3, index], hub))
            # A hair nearer than the sleeve that it sits on.
            parts.append(Part(float(depth[0, index].mean()) - 0.02, layers))
    return parts


@cache
def shaded(colour: Colour, light: float) -> Shade:
    """Return a colour made darker (light down to -1: black) or lighter (up to 1: white)."""
    blue, green, red = (value + light * (255.0 - value if light > 0 else value) for value in colour)
    return blue, green, red


def _convex(points: Float64) -> Float64:
    import cv2

    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], dtype=np.float64)


def _capsules(pixels: Float64, radius: Float64) -> Float64:
    """Return outlines (n, 14, 2) of two circles (n, 2, 2) with radii (n, 2) and what lies between them."""
    apart = pixels[:, 1] - pixels[:, 0]
    distance = np.sqrt(np.sum(apart**2, axis=1))
    along = np.arctan2(apart[:, 1], apart[:, 0])[:, None]
    taper = radius[:, 0] - radius[:, 1]
    within = distance <= np.abs(taper) + 0.5  # one circle holds the other
    # The common tangents touch both circles at this angle from the line across.
    lean = np.arcsin(np.clip(taper / np.maximum(distance, 1e-9), -1.0, 1.0))[:, None]
    angle = np.concatenate(
        (along + _FAN * (1.0 - 2.0 * lean / np.pi), along + np.pi + _FAN * (1.0 + 2.0 * lean / np.pi)), axis=1
    )
    angle[within] = _ROUND
    first, second = np.where(within & (taper >= 0), 0, 1), np.where(within & (taper < 0), 1, 0)
    rows = np.arange(len(pixels))
    circle = np.concatenate(
        (np.repeat(first[:, None], _HALF, axis=1), np.repeat(second[:, None], _HALF, axis=1)), axis=1
    )
    centre = pixels[rows[:, None], circle]
    size = radius[rows[:, None], circle]
    return np.asarray(centre + size[..., None] * np.stack((np.cos(angle), np.sin(angle)), axis=2))


def _unit(vector: Float64) -> Float64:
    return np.asarray(vector / np.sqrt(np.dot(vector, vector)))


def _cross(a: Float64, b: Float64) -> Float64:
    """Return the cross product of two single vectors; numpy's own takes ten times as long for so few numbers."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array((ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx))
