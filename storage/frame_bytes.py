"""Is a frame of a video the one that was recorded? By the checksum of the bytes that the camera gave.

MOV keeps the frames of codecs without NAL units as they came. Those of H.264 and HEVC it frames anew: a length before
each unit instead of a start code. How long the camera's start codes were is not kept, so the usual ways are tried.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from storage.video_writer import INTRA_CODECS

_SHORT: Final = b"\0\0\1"
_LONG: Final = b"\0\0\0\1"
#: Units that encoders put a long start code before: SPS, PPS, access unit delimiter; of HEVC, VPS as well.
_H264_LONG: Final = frozenset((7, 8, 9))
_HEVC_LONG: Final = frozenset((32, 33, 34, 35))


@dataclass(frozen=True)
class FrameCheck:
    """How to tell whether a frame is as it was recorded.

    ``strict`` is False where the camera's bytes cannot be made again, so that checksums say nothing; then a frame
    counts if it is whole in itself.
    """

    codec: str
    length_bytes: int
    strict: bool

    def fits(self, data: bytes, size: int, crc32: int) -> bool:
        """Whether ``data``, of the container, is the frame that was recorded with this size and checksum."""
        for candidate in self._candidates(data):
            if len(candidate) == size and zlib.crc32(candidate) == crc32:
                return True
        return not self.strict and (not self.length_bytes or _units(data, self.length_bytes) is not None)

    def _candidates(self, data: bytes) -> Iterator[bytes]:
        yield data
        units = _units(data, self.length_bytes) if self.length_bytes else None
        if not units:
            return
        yield b"".join(_LONG + unit for unit in units)
        yield b"".join(
            (_LONG if number == 0 or self._is_parameter(unit) else _SHORT) + unit for number, unit in enumerate(units)
        )
        yield b"".join(_SHORT + unit for unit in units)

    def _is_parameter(self, unit: bytes) -> bool:
        if not unit:
            return False
        return unit[0] & 31 in _H264_LONG if self.codec == "h264" else unit[0] >> 1 & 63 in _HEVC_LONG


def frame_check(codec: str, extradata: bytes | None, first: Iterable[tuple[bytes, int, int]]) -> FrameCheck:
    """Return how to check the frames of a video; ``first`` are some of them, with recorded size and checksum.

    ``extradata`` is the codec's own header in the container, which says how units are framed.
    """
    length_bytes = _length_bytes(codec, extradata)
    check = FrameCheck(codec, length_bytes, strict=True)
    if codec in INTRA_CODECS or any(check.fits(data, size, crc32) for data, size, crc32 in first):
        return check
    return FrameCheck(codec, length_bytes, strict=False)


def _length_bytes(codec: str, extradata: bytes | None) -> int:
    """Return how many bytes give the length of a unit: 0 where there are no such units."""
    place = {"h264": 4, "hevc": 21}.get(codec)
    if place is None or not extradata or len(extradata) <= place or extradata[0] != 1:
        return 0
    return (extradata[place] & 3) + 1


def _units(data: bytes, length_bytes: int) -> list[bytes] | None:
    """Return the units of a frame, None where their lengths do not come out."""
    units: list[bytes] = []
    place = 0
    while place < len(data):
        start = place + length_bytes
        stop = start + int.from_bytes(data[place:start], "big")
        if start > len(data) or stop > len(data):
            return None
        units.append(data[start:stop])
        place = stop
    return units


def extradata_of(stream: Any) -> bytes | None:
    """Return the codec's header of a container's stream."""
    extradata = stream.codec_context.extradata
    return None if extradata is None else bytes(extradata)
