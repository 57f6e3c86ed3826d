"""JPEG images for tests, each with its number as a barcode."""

from __future__ import annotations

import functools

import numpy as np
import simplejpeg

from drivers.simulated.barcode import draw_barcode, read_barcode

WIDTH, HEIGHT = 320, 240


@functools.lru_cache(maxsize=4096)
def picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Return an image of a coloured ramp with ``number`` in its corner."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width, dtype=np.uint8)[None, :]
    image[..., 2] = np.linspace(0, 255, height, dtype=np.uint8)[:, None]
    if width >= WIDTH:
        draw_barcode(image, number)
    else:  # too small for one
        image[..., 1] = number % 256
    data: bytes = simplejpeg.encode_jpeg(image, quality=90, colorspace="BGR", colorsubsampling="420")
    return data


def number_in(image: bytes) -> int:
    """Return the number in an image."""
    return read_barcode(simplejpeg.decode_jpeg(image, colorspace="BGR"))


def without_tables(image: bytes) -> bytes:
    """Return an image without its Huffman tables (DHT segments), as many cameras send it."""
    out, at = bytearray(image[:2]), 2
    while True:
        marker, length = image[at + 1], int.from_bytes(image[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return bytes(out + image[at:])
        if marker != 0xC4:
            out += image[at : at + 2 + length]
        at += 2 + length
