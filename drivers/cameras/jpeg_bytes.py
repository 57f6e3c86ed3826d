"""A JPEG image as bytes: where it ends and how large it is, without decoding.

Cameras pad their buffers, cut images short and leave out Huffman tables. Decoders forgive much of that silently, so it
is looked at here, when the image arrives. Source: ITU-T T.81, annex B. What is lost inside the coded data, between
intact ends, is not seen.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SOI: Final = b"\xff\xd8"
EOI: Final = b"\xff\xd9"
_SOS: Final = 0xDA
#: Markers that carry the size: start of frame, all kinds, without DHT, JPG and DAC between them.
_SOF: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers that stand alone: TEM, RST0 … RST7.
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
#: No camera writes more of them before the coded data; who does, wants to cost time.
_MOST_SEGMENTS: Final = 512


class JpegHead(NamedTuple):
    """What stands before the coded data: the size in pixels, and where the data begin."""

    width: int
    height: int
    data_from: int


def read_head(image: bytes | bytearray | memoryview) -> JpegHead | None:
    """Return the head of an image that begins at the first byte; None where it is none or not all there yet."""
    view = memoryview(image)
    if bytes(view[:2]) != SOI:
        return None
    at, width, height = 2, 0, 0
    for _ in range(_MOST_SEGMENTS):
        if at + 4 > len(view) or view[at] != 0xFF:
            return None
        marker = view[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        length = int.from_bytes(view[at + 2 : at + 4], "big")
        if length < 2 or marker in {0x00, 0xD8, 0xD9}:
            return None
        if marker in _SOF:
            if length < 8 or at + 9 > len(view):
                return None
            height = int.from_bytes(view[at + 5 : at + 7], "big")
            width = int.from_bytes(view[at + 7 : at + 9], "big")
        at += 2 + length
        if marker == _SOS:
            return JpegHead(width, height, at) if width and height and at <= len(view) else None
    return None


def image_end(image: bytes | bytearray, data_from: int) -> int:
    """Return where the image ends, behind its EOI; -1 where that is not there.

    ``data_from`` is where to begin to look, in the coded data: there 0xFF is followed by 0x00 or a restart marker only.
    """
    end = image.find(EOI, data_from)
    return -1 if end < 0 else end + 2


def whole_jpeg(data: bytes) -> tuple[bytes, int, int] | None:
    """Return a JPEG image without padding, and its width and height in pixels.

    None where ``data`` do not begin with an image, or it is cut short or spliced with the next one.
    """
    head = read_head(data)
    if head is None:
        return None
    end = image_end(data, head.data_from)
    if end < 0 or data.find(SOI, head.data_from, end) >= 0:
        return None
    return (data if end == len(data) else data[:end]), head.width, head.height
