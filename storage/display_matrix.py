"""How a video is to be turned where it is shown: the display matrix that phones write beside pictures taken upright."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from lab.errors import LayoutError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Nine numbers a, b, u, c, d, v, x, y, w as in ISO/IEC 14496-12, ``tkhd``: a picture's point (p, q), q downwards, is
#: shown at (a p + c q, b p + d q).
DisplayMatrix = tuple[int, ...]

_NUMBERS: Final = 9
_BYTES: Final = 4 * _NUMBERS
#: Where the matrix begins in a ``tkhd``, by its version.
_OFFSETS: Final = {0: 40, 1: 52}
_MOST_BOXES: Final = 100_000


def display_matrix(path: Path) -> DisplayMatrix | None:
    """Return the matrix of a video; None where it is shown as it is stored.

    In MOV and MP4 the track says it; elsewhere the first frame is decoded. Raises FileFormatError where the file cannot
    be read, OSError.
    """
    with path.open("rb") as file:
        place = _matrix_place(file)
        if place is not None:
            file.seek(place)
            return _turning(struct.unpack(f">{_NUMBERS}i", file.read(_BYTES)))
    from storage.video_reader import open_video

    with open_video(path) as (container, stream):
        frame = next(container.decode(stream), None)
        return None if frame is None else matrix_of_frame(frame)


def matrix_of_frame(frame: Any) -> DisplayMatrix | None:
    """Return the matrix of a decoded frame (av.VideoFrame); None where it is shown as it is stored."""
    from av.sidedata.sidedata import Type

    data = frame.side_data.get(Type.DISPLAYMATRIX)
    stored = b"" if data is None else bytes(data)[:_BYTES]
    return _turning(struct.unpack(f"={_NUMBERS}i", stored)) if len(stored) == _BYTES else None


def write_display_matrix(path: Path, matrix: DisplayMatrix) -> None:
    """Set the matrix of the first video track of a MOV or MP4 file. Raises LayoutError where it has none, OSError."""
    with path.open("r+b") as file:
        place = _matrix_place(file)
        if place is None:
            raise LayoutError(f"{path} has no video track whose rotation could be set; cut it again.")
        file.seek(place)
        file.write(struct.pack(f">{_NUMBERS}i", *matrix))


def upright(image: npt.NDArray[np.uint8], matrix: DisplayMatrix | None) -> npt.NDArray[np.uint8]:
    """Return a picture (height, width, channels) as it is to be shown: turned by whole quarters, mirrored where asked.

    Another angle becomes the nearest quarter.
    """
    if matrix is None:
        return image
    a, b, _, c, d = matrix[:5]
    if abs(b) > abs(a):  # rows become columns
        image, across, down = image.transpose(1, 0, 2), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _turning(matrix: tuple[int, ...]) -> DisplayMatrix | None:
    """Return a matrix that does turn or mirror; one of nothing but noughts says nothing."""
    a, b, _, c, d = matrix[:5]
    as_stored = abs(b) <= abs(a) and abs(c) <= abs(d) and a >= 0 and d >= 0
    return None if as_stored else matrix


def _matrix_place(file: BinaryIO) -> int | None:
    """Return where in a file the matrix of its first video track begins; None where it is no such file."""
    file.seek(0, 2)
    for kind, first, end in _boxes(file, 0, file.tell()):
        if kind == b"moov":
            for inner, its_first, its_end in _boxes(file, first, end):
                place = _place_in_track(file, its_first, its_end) if inner == b"trak" else None
                if place is not None:
                    return place
    return None


def _place_in_track(file: BinaryIO, first: int, end: int) -> int | None:
    place, is_video = None, False
    for kind, its_first, its_end in _boxes(file, first, end):
        if kind == b"tkhd":
            file.seek(its_first)
            offset = _OFFSETS.get((file.read(1) or b"\xff")[0])
            if offset is not None and its_first + offset + _BYTES <= its_end:
                place = its_first + offset
        elif kind == b"mdia":
            for inner, handler, _ in _boxes(file, its_first, its_end):
                if inner == b"hdlr":
                    file.seek(handler + 8)
                    is_video = file.read(4) == b"vide"
    return place if is_video else None


def _boxes(file: BinaryIO, first: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, begin and end of the content of each box between two places; nothing of what is no box."""
    for _ in range(_MOST_BOXES):
        file.seek(first)
        head = file.read(16)
        if first + 8 > end or len(head) < 8:
            return
        size, kind, content = int.from_bytes(head[:4], "big"), head[4:8], first + 8
        if size == 1 and len(head) == 16:
            size, content = int.from_bytes(head[8:], "big"), first + 16
        elif size == 0:
            size = end - first
        if first + size > end or first + size < content:
            return
        yield kind, content, first + size
        first += size
