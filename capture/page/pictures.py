"""Frames of videos -> small JPEG pictures for a page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from capture.page.shown_take import PictureRequest
from lab.errors import FileFormatError

#: Frames decoded at a time: whole pictures are large.
_AT_ONCE: Final = 8
_LARGEST_WIDTH: Final = 4  # times the height


@dataclass(frozen=True)
class Picture:
    """A JPEG picture, or with ``data`` empty the reason why there is none."""

    request: PictureRequest
    data: bytes
    width: int = 0
    height: int = 0
    reason: str = ""

    @property
    def url(self) -> str:
        """The picture as a data URL."""
        return "data:image/jpeg;base64," + base64.b64encode(self.data).decode()


def load_pictures(
    requests: Sequence[PictureRequest], height_px: int, quality: int, step: Callable[[int, int], None]
) -> list[Picture]:
    """Decode the frames and make them ``height_px`` high, never larger than they are; one picture a request, in order.

    A frame that cannot be had gives a picture without data that says why. ``step`` is told how many are done, of how
    many.
    """
    found: dict[PictureRequest, Picture] = {}
    by_path = sorted(set(requests), key=lambda one: (str(one.path), one.index, one.repetition, one.moment))
    for path, group in groupby(by_path, key=lambda one: one.path):
        step(len(found), len(requests))
        found |= {picture.request: picture for picture in _of_video(path, list(group), height_px, quality)}
    step(len(requests), len(requests))
    return [found[request] for request in requests]


def _of_video(path: Path, requests: list[PictureRequest], height_px: int, quality: int) -> list[Picture]:
    from storage.video_reader import read_video_index

    absent = [Picture(one, b"", reason="no frame of this moment") for one in requests if one.index < 0]
    present = [one for one in requests if one.index >= 0]
    if not present:
        return absent
    try:
        index = read_video_index(path)
    except FileFormatError as error:
        reason = str(error).replace(str(path), path.name)
        return absent + [Picture(one, b"", reason=reason) for one in present]
    pictures = []
    for first in range(0, len(present), _AT_ONCE):
        pictures += _decoded(path, index, present[first : first + _AT_ONCE], height_px, quality)
    return absent + pictures


def _decoded(path: Path, index: Any, requests: list[PictureRequest], height_px: int, quality: int) -> list[Picture]:
    """Decode some frames at once; where that fails one by one, so that a damaged frame costs no other."""
    from storage.video_reader import decode_frames

    try:
        images = decode_frames(path, [one.index for one in requests], index)
    except IndexError:
        images = None
    except FileFormatError:
        images = None
    if images is None:
        if len(requests) == 1:
            return [Picture(requests[0], b"", reason="this frame cannot be decoded")]
        return [
            picture for one in requests for picture in _decoded(path, index, [one], height_px, quality)
        ]  # fmt: skip
    return [_small(one, image, height_px, quality) for one, image in zip(requests, images, strict=True)]


def _small(request: PictureRequest, image: Any, height_px: int, quality: int) -> Picture:
    import cv2
    import simplejpeg

    height, width = image.shape[:2]
    scale = min(1.0, height_px / height, _LARGEST_WIDTH * height_px / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    data = simplejpeg.encode_jpeg(small, quality=quality, colorspace="BGR", colorsubsampling="420")
    return Picture(request, data, size[0], size[1])
