"""The athlete in the lab, as a camera sees it.

The figure is painted from far to near over a room that was drawn once. The athlete's right side is orange, the left
blue. Every image says SIMULATED, the view's name, and the frame number in words and as a barcode.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drivers.simulated.barcode import cell_px, draw_barcode
from drivers.simulated.figure import Colour, parts_of
from drivers.simulated.motion import Float64
from drivers.simulated.room import draw_room, fill, fixed_point
from lab.actions import Implement
from lab.cameras import PinholeCamera
from lab.joints import JOINT_INDEX

Image = npt.NDArray[np.uint8]

_HIPS: Final = (JOINT_INDEX["right_hip"], JOINT_INDEX["left_hip"], JOINT_INDEX["neck"])
_ROUND: Final = np.linspace(0.0, 2.0 * np.pi, 33)[:-1]
_SHADOW_M: Final = np.stack((0.42 * np.cos(_ROUND), 0.36 * np.sin(_ROUND) + 0.02, np.zeros(len(_ROUND))), axis=1)


class View:
    """A camera with its empty room; ``draw`` adds the athlete.

    ``name`` is written into each image; ``room`` is what ``draw_room`` gave for the camera, where it has been drawn
    already; ``implement`` is what the athlete holds. The room takes about a third of a second at 1280 x 720, an image
    two milliseconds.
    """

    def __init__(
        self, camera: PinholeCamera, name: str, room: Image | None = None, implement: Implement = "barbell"
    ) -> None:
        self.camera = camera
        self.name = name
        self._implement = implement
        self._room: Image = draw_room(camera) if room is None else room.copy()
        self._text_scale = min(camera.width, camera.height) / 720.0
        # Written onto the room, what never changes costs nothing per frame.
        _put_text(self._room, "SIMULATED", (0.025, 0.965), 2.0 * self._text_scale, (40, 40, 230))
        top = (cell_px(camera.width) + 30.0 * self._text_scale) / camera.height
        _put_text(self._room, name, (0.02, top), 0.8 * self._text_scale, (30, 30, 30))
        self._digits, self._digits_at = self._draw_digits(top)
        self._shadowed: Image = (self._room * 0.62).astype(np.uint8)
        self._image: Image = self._room.copy()

    def draw(self, joints_m: Float64, frame_id: int) -> Image:
        """Return BGR (height, width, 3), uint8, of the joints (21, 3) in metres; the next call reuses it."""
        np.copyto(self._image, self._room)
        self._shadow(joints_m)
        for part in parts_of(self.camera, joints_m, self._implement):
            for outline, shade in part.layers:
                fill(self._image, outline, shade)
        self._number(frame_id)
        draw_barcode(self._image, frame_id)
        return self._image

    def _shadow(self, joints_m: Float64) -> None:
        """Darken the floor below the figure."""
        import cv2

        middle = joints_m[_HIPS, :].mean(axis=0)
        pixels, depth = self.camera.project(_SHADOW_M + np.array((middle[0], middle[1], 0.0)))
        if np.min(depth) < 0.3:
            return
        height, width = self._image.shape[:2]
        low = np.maximum(np.floor(np.min(pixels, axis=0)).astype(int), 0)
        high = np.minimum(np.ceil(np.max(pixels, axis=0)).astype(int) + 1, (width, height))
        if np.any(high <= low):
            return
        box = (slice(low[1], high[1]), slice(low[0], high[0]))
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), dtype=np.uint8)
        cv2.fillConvexPoly(mask, fixed_point(pixels - low), (255.0,), cv2.LINE_8, 4)
        cv2.copyTo(self._shadowed[box], mask, self._image[box])

    def _draw_digits(self, top: float) -> tuple[tuple[Image, ...], tuple[int, int]]:
        """Return tiles of the ten digits as the frame number needs them, and where the first one goes (x, y).

        Text takes longer to draw than the whole figure; tiles are copied.
        """
        scale = 0.8 * self._text_scale
        height, width = round(30 * scale) + 6, round(22 * scale) + 2
        tiles = []
        for digit in range(10):
            tile = np.full((height, width, 3), 236, dtype=np.uint8)
            _put_text(tile, str(digit), (2.0 / width, 1.0 - 5.0 / height), scale, (30, 30, 30))
            tiles.append(tile)
        left = round(0.02 * self.camera.width + (len(self.name) + 1) * 22 * scale)
        return tuple(tiles), (left, max(0, round(top * self.camera.height) - height + 5))

    def _number(self, frame_id: int) -> None:
        left, top = self._digits_at
        for digit in str(frame_id):
            tile: Any = self._digits[int(digit)]
            place = self._image[top : top + tile.shape[0], left : left + tile.shape[1]]
            place[:] = tile[: place.shape[0], : place.shape[1]]
            left += tile.shape[1]


def _put_text(image: Image, text: str, at: tuple[float, float], scale: float, colour: Colour) -> None:
    """Write with the lower left corner ``at`` parts of the image's width and height."""
    import cv2

    place = (round(at[0] * image.shape[1]), round(at[1] * image.shape[0]))
    thick = max(1, round(2.2 * scale))
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (245, 245, 245), thick + 2, cv2.LINE_AA)
    cv2.putText(image, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thick, cv2.LINE_AA)
