"""Uncompressed pictures to JPEG, without a detour over other colours where there is one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

#: OpenCV's names of Bayer patterns are those of the second row's second and third pixel, not of the first two.
_BAYER: Final = {
    "RG": "COLOR_BayerBG2BGR",
    "BG": "COLOR_BayerRG2BGR",
    "GR": "COLOR_BayerGB2BGR",
    "GB": "COLOR_BayerGR2BGR",
}


def encode_bgr(image: Image, quality: int) -> bytes:
    """Encode BGR (height, width, 3) as JPEG 4:2:0."""
    import simplejpeg

    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="BGR", colorsubsampling="420", fastdct=True
    )
    return data


def encode_grey(image: Image, quality: int) -> bytes:
    """Encode grey values (height, width) as a JPEG of one component."""
    import simplejpeg

    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image)[:, :, None],
        quality=quality,
        colorspace="GRAY",
        colorsubsampling="Gray",
        fastdct=True,
    )
    return data


def encode_yuyv(image: Image, quality: int) -> bytes:
    """Encode Y0 U Y1 V (height, width, 2) as JPEG 4:2:2: the very planes, unscaled in colour.

    Cameras give Y 16 … 235 or 0 … 255 and do not say which; nothing is stretched.
    """
    import simplejpeg

    luma = np.ascontiguousarray(image[:, :, 0])
    blue = np.ascontiguousarray(image[:, 0::2, 1])
    red = np.ascontiguousarray(image[:, 1::2, 1])
    data: bytes = simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, quality=quality, fastdct=True)
    return data


def encode_bayer(image: Image, pattern: str, quality: int) -> bytes:
    """Encode a Bayer mosaic (height, width) whose first two pixels are ``pattern``: RG, BG, GR or GB."""
    import cv2

    colour: Any = cv2.cvtColor(image, getattr(cv2, _BAYER[pattern]))
    return encode_bgr(colour, quality)
