"""A frame's number as black and white squares, so that a machine can read it back out of a video.

From left to right: a white and a black square for reference, 24 bits of the frame number (most significant first), 4
bits of check. Squares are 16 pixels wide (8 in images under 640): whole JPEG blocks, so that compression cannot
tip them.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

BITS: Final = 24
_CHECK_BITS: Final = 4
CELLS: Final = 2 + BITS + _CHECK_BITS


def cell_px(width: int) -> int:
    """Return the width of a square in an image that is ``width`` pixels wide."""
    return 16 if width >= 640 else 8


def draw_barcode(image: Image, frame_id: int) -> None:
    """Draw ``frame_id`` modulo 2^24 into the top left corner of ``image`` (height, width, 3), in place."""
    number = frame_id % 2**BITS
    code = number << _CHECK_BITS | _check(number)
    bits = [1, 0, *(code >> shift & 1 for shift in range(BITS + _CHECK_BITS - 1, -1, -1))]
    size = cell_px(image.shape[1])
    strip = np.repeat(np.array(bits, dtype=np.uint8) * 255, size)
    image[:size, : len(strip)] = strip[None, :, None]


def read_barcode(image_bgr: npt.NDArray[Any]) -> int:
    """Return the frame number (modulo 2^24) in an image (height, width, 3), uint8.

    Raises ValueError where there is no barcode or its check fails.
    """
    size = cell_px(image_bgr.shape[1])
    if image_bgr.shape[0] < size or image_bgr.shape[1] < CELLS * size:
        raise ValueError("the image is too small for a barcode")
    strip = image_bgr[:size, : CELLS * size].astype(np.float64).mean(axis=2)
    inner = strip.reshape(size, CELLS, size)[2:-2, :, 2:-2]
    level = inner.mean(axis=(0, 2))
    white, black = level[0], level[1]
    if white - black < 64.0:
        raise ValueError("the image has no barcode in its top left corner")
    code = 0
    for bright in level[2:] > (white + black) / 2.0:
        code = code << 1 | int(bright)
    number = code >> _CHECK_BITS
    if code & (2**_CHECK_BITS - 1) != _check(number):
        raise ValueError("the barcode is damaged: its check does not fit its number")
    return number


def _check(number: int) -> int:
    """Return four check bits: the sum of the six nibbles, each weighted by its odd place, modulo 16."""
    return sum((2 * place + 1) * (number >> 4 * place & 15) for place in range(6)) % 16
