"""The empty lab as one camera sees it: floor, lifting platform, walls and some furniture.

The room is a square turned so that the cameras of a FLEX rig stand in its corners. It is drawn once; figures go on top,
so nothing in it may stand between a camera and the athlete: all furniture is along the walls.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lab.cameras import PinholeCamera

Image = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

_HALF_M: Final = 3.4
_HEIGHT_M: Final = 3.1
_TURN_RAD: Final = np.deg2rad(33.0)
_NEAR_M: Final = 0.25

#: (room x, y of the corner nearest the room's origin, z; size; colour B, G, R), metres in the room's own axes.
_BOXES: Final = (
    # power rack against one wall
    ((-0.65, 3.05, 0.0), (0.07, 0.07, 2.25), (52, 50, 48)),
    ((0.58, 3.05, 0.0), (0.07, 0.07, 2.25), (52, 50, 48)),
    ((-0.65, 3.05, 2.18), (1.30, 0.07, 0.07), (52, 50, 48)),
    ((-0.95, 3.07, 1.38), (1.90, 0.04, 0.04), (150, 150, 146)),
    ((-0.85, 2.90, 1.18), (0.05, 0.36, 0.44), (46, 60, 170)),
    ((0.80, 2.90, 1.18), (0.05, 0.36, 0.44), (46, 60, 170)),
    # dumbbell shelf against the next
    ((-3.35, -1.5, 0.35), (0.35, 2.2, 0.05), (70, 66, 62)),
    ((-3.35, -1.5, 0.85), (0.35, 2.2, 0.05), (70, 66, 62)),
    *(((-3.30, -1.42 + 0.30 * n, 0.40), (0.25, 0.16, 0.13), (40, 38, 36)) for n in range(7)),
    *(((-3.30, -1.42 + 0.30 * n, 0.90), (0.25, 0.14, 0.11), (40, 38, 36)) for n in range(7)),
    # boxes, and a bench
    ((2.75, 1.1, 0.0), (0.55, 0.75, 0.60), (110, 150, 186)),
    ((2.80, 0.2, 0.0), (0.50, 0.60, 0.45), (100, 140, 176)),
    ((-1.2, -3.25, 0.38), (1.30, 0.34, 0.09), (60, 54, 50)),
    ((-1.1, -3.20, 0.0), (0.06, 0.24, 0.38), (120, 118, 116)),
    ((0.0, -3.20, 0.0), (0.06, 0.24, 0.38), (120, 118, 116)),
)


def draw_room(camera: PinholeCamera) -> Image:
    """Return the empty room as BGR (height, width, 3), uint8."""
    import cv2

    to_room = np.array(
        [[np.cos(_TURN_RAD), np.sin(_TURN_RAD), 0.0], [-np.sin(_TURN_RAD), np.cos(_TURN_RAD), 0.0], [0.0, 0.0, 1.0]]
    )
    surfaces = cv2.GaussianBlur(_surfaces(camera, to_room), (3, 3), 0.6)
    image: Image = np.clip(surfaces, 0.0, 255.0).astype(np.uint8)
    origin = np.asarray(camera.position_m) @ to_room.T
    far_first = sorted(
        _BOXES, key=lambda box: -float(np.linalg.norm(np.add(box[0], np.multiply(box[1], 0.5)) - origin))
    )
    for corner, size, colour in far_first:
        _draw_box(image, camera, to_room, np.array(corner), np.array(size), np.array(colour, dtype=np.float64))
    return image


def _surfaces(camera: PinholeCamera, to_room: npt.NDArray[np.float64]) -> Float32:
    """Cast a ray through each pixel onto floor, ceiling and walls; return BGR float32."""
    columns = (np.arange(camera.width, dtype=np.float32) + 0.5 - camera.width / 2) / camera.focal_px
    rows = (np.arange(camera.height, dtype=np.float32) + 0.5 - camera.height / 2) / camera.focal_px
    axes = (np.asarray(camera.rotation) @ to_room.T).astype(np.float32)
    rays = rows[:, None, None] * axes[1] + columns[None, :, None] * axes[0] + axes[2]
    origin = (np.asarray(camera.position_m) @ to_room.T).astype(np.float32)

    def until(axis: int, low: float, high: float) -> Float32:
        step = np.where(np.abs(rays[..., axis]) < 1e-6, np.float32(1e-6), rays[..., axis])
        away = (np.where(step > 0, np.float32(high), np.float32(low)) - origin[axis]) / step
        # Seen from outside, a wall that lies behind the camera is looked through.
        return np.asarray(np.where(away > 0, away, np.float32(1e6)), dtype=np.float32)

    distance = np.stack((until(0, -_HALF_M, _HALF_M), until(1, -_HALF_M, _HALF_M), until(2, 0.0, _HEIGHT_M)))
    which = np.argmin(distance, axis=0)
    hit = origin + rays * np.min(distance, axis=0)[..., None]
    # How many metres of surface one pixel covers: lines are softened over it.
    blur = np.min(distance, axis=0) / np.float32(camera.focal_px)

    floor = _floor(hit[..., 0], hit[..., 1], blur / np.maximum(np.abs(rays[..., 2]), 0.05))
    along = np.where(which == 0, hit[..., 1], hit[..., 0])
    wall = _wall(along, hit[..., 2], blur) * np.where(which == 0, 0.93, 1.0)[..., None].astype(np.float32)
    ceiling = np.broadcast_to(np.array([228, 230, 230], dtype=np.float32), wall.shape)
    surface = np.where((which == 2)[..., None], np.where(rays[..., 2:3] < 0, floor, ceiling), wall)
    # Corners are darker than the middle of a surface.
    corner = np.maximum(np.abs(hit[..., 0]), np.abs(hit[..., 1])) / _HALF_M
    shade = np.where(which == 2, 1.0 - 0.22 * np.clip(corner, 0, 1) ** 3, 1.0 - 0.15 * np.abs(along / _HALF_M) ** 4)
    return np.asarray(surface * shade[..., None], dtype=np.float32)


def _line(across_m: Float32, half_width_m: float, blur_m: Float32) -> Float32:
    """Return how much of each pixel a line covers whose middle is ``across_m`` away, 0 … 1."""
    return np.asarray(np.clip((half_width_m - np.abs(across_m)) / blur_m + 0.5, 0.0, 1.0), dtype=np.float32)


def _blend(under: Float32, cover: Float32, colour: tuple[int, int, int]) -> Float32:
    return np.asarray(under + cover[..., None] * (np.array(colour, dtype=np.float32) - under), dtype=np.float32)


def _floor(x: Float32, y: Float32, blur_m: Float32) -> Float32:
    """Return the colour of rubber tiles of one metre around a wooden lifting platform."""
    rubber = np.full((*x.shape, 3), (108, 104, 100), dtype=np.float32)
    for axis in (x, y):
        joint = (axis + 0.5) % 1.0 - 0.5
        # Far away the joints are finer than a pixel and fade.
        rubber = _blend(rubber, _line(joint, 0.008, blur_m) * np.clip(0.03 / blur_m, 0, 1), (84, 80, 78))
    edge = np.maximum(np.abs(x) - 1.3, np.abs(y) - 1.3)
    inside = np.asarray(np.clip(0.5 - edge / blur_m, 0.0, 1.0), dtype=np.float32)
    floor = _blend(rubber, inside, (122, 166, 196))
    planks = (y + 0.1) % 0.2 - 0.1
    floor = _blend(floor, inside * _line(planks, 0.004, blur_m) * np.clip(0.02 / blur_m, 0, 1), (98, 138, 168))
    return _blend(floor, _line(edge, 0.035, blur_m), (60, 62, 66))


def _wall(along: Float32, z: Float32, blur_m: Float32) -> Float32:
    """Return the colour of a painted wall: brighter towards the lamps, a stripe, a skirting board."""
    height = np.clip(z / _HEIGHT_M, 0.0, 1.0)
    low, high = np.array((176, 170, 160), dtype=np.float32), np.array((222, 220, 214), dtype=np.float32)
    wall = np.asarray(low + height[..., None] * (high - low), dtype=np.float32)
    wall = _blend(wall, _line(z - 1.0, 0.05, blur_m), (150, 128, 84))
    wall = _blend(wall, _line(z - 0.05, 0.05, blur_m), (96, 92, 88))
    panel = (along + 0.85) % 1.7 - 0.85
    return _blend(wall, _line(panel, 0.006, blur_m) * 0.5, (150, 146, 138))


def _draw_box(
    image: Image,
    camera: PinholeCamera,
    to_room: npt.NDArray[np.float64],
    corner: npt.NDArray[np.float64],
    size: npt.NDArray[np.float64],
    colour: npt.NDArray[np.float64],
) -> None:
    """Draw the up to three faces of a box that look at the camera."""
    origin = np.asarray(camera.position_m) @ to_room.T
    light = (0.86, 0.72, 1.12)
    for axis in range(3):
        if corner[axis] <= origin[axis] <= corner[axis] + size[axis]:
            continue
        others = [other for other in range(3) if other != axis]
        face = np.tile(corner, (4, 1))
        face[:, axis] += size[axis] if origin[axis] > corner[axis] else 0.0
        face[1:3, others[0]] += size[others[0]]
        face[2:4, others[1]] += size[others[1]]
        pixels, depth = camera.project(face @ to_room)
        if np.min(depth) > _NEAR_M:
            blue, green, red = (colour * light[axis]).tolist()
            fill(image, fixed_point(pixels), (blue, green, red))


def fixed_point(pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """Return pixels in sixteenths, any shape, for ``fill``; what would overflow it, or is NaN, is held back."""
    return np.asarray(np.rint(np.fmin(np.fmax(pixels, -8000.0), 8000.0) * 16.0), dtype=np.int32)


def fill(image: Image, polygon: npt.NDArray[np.int32], shade: tuple[float, float, float]) -> None:
    """Fill a convex polygon (points, 2) in sixteenths of a pixel, anti-aliased, in BGR ``shade``."""
    import cv2

    cv2.fillConvexPoly(image, polygon, shade, cv2.LINE_AA, 4)
