"""``<view>.frames``: one fixed-size record a video frame, written before the frame; the truth about it.

Little-endian. A 64-byte header (magic, version, record size, CRC), then 64-byte records, each with a CRC-32 of its own,
so that a torn or damaged record is found and never believed.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError
from storage.append_file import AppendFile
from storage.os_errors import reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAGIC: Final = b"FLEXFRAM"
VERSION: Final = 1
KEPT: Final = 1
KEYFRAME: Final = 2

RECORD: Final = np.dtype(
    [
        ("frame_id", "<i8"),
        ("device_time_s", "<f8"),
        ("arrival_s", "<f8"),
        ("pts_us", "<i8"),
        ("size", "<u4"),
        ("crc32", "<u4"),
        ("flags", "<u4"),
        ("spare", "V16"),
        ("record_crc32", "<u4"),
    ]
)
_HEADER: Final = struct.Struct("<8sIII40xI")
_BODY: Final = struct.Struct("<qddqIII16x")


@dataclass(frozen=True)
class FrameRecords:
    """What a ``.frames`` file holds.

    ``rows`` is a structured array of ``RECORD`` (frames,), in the order written. ``bytes_discarded`` counts a torn end
    and damaged records, ``damaged`` the latter.
    """

    rows: npt.NDArray[Any]
    bytes_discarded: int
    damaged: int

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Whether each frame was handed to the muxer, (frames,)."""
        return np.asarray((self.rows["flags"] & KEPT) != 0)

    @property
    def keyframe(self) -> npt.NDArray[np.bool_]:
        """Whether each frame is a keyframe, (frames,)."""
        return np.asarray((self.rows["flags"] & KEYFRAME) != 0)


class FrameRecordWriter:
    """A ``.frames`` file in the making. Raises TakeError where it exists or cannot be written."""

    def __init__(self, path: Path, make_room: Callable[[], bool] | None = None) -> None:
        """Create the file and write its header; ``make_room`` is called where the disk is full, as by AppendFile."""
        self.path = path
        self.count = 0
        self._file = AppendFile(path, make_room)
        try:
            self._file.append(_header())
        except BaseException:
            self._file.close()
            raise

    def append(
        self,
        frame_id: int,
        device_time_s: float,
        arrival_s: float,
        pts_us: int,
        data: bytes,
        *,
        kept: bool,
        keyframe: bool,
    ) -> None:
        """Append the record of one frame whose compressed bytes are ``data``.

        ``device_time_s`` is NaN where the camera has no clock. ``kept`` says that the frame goes to the muxer next; a
        frame that will not (queue full, disk full) gets its record all the same. Raises TakeError.
        """
        flags = (KEPT if kept else 0) | (KEYFRAME if keyframe else 0)
        body = _BODY.pack(frame_id, device_time_s, arrival_s, pts_us, len(data), zlib.crc32(data), flags)
        self._file.append(body + struct.pack("<I", zlib.crc32(body)))
        self.count += 1

    def sync(self) -> None:
        """Wait until all records are on the disk; from any thread."""
        self._file.sync()

    def close(self) -> None:
        """Sync and close; any number of times."""
        self._file.close()


def read_frame_records(path: Path) -> FrameRecords:
    """Read all whole and undamaged records of a ``.frames`` file.

    Raises FileFormatError where the file cannot be read or its header is not that of frame records of a known version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({reason(error)}); check the take's folder.") from None
    if len(data) < _HEADER.size or data[: len(MAGIC)] != MAGIC:
        raise FileFormatError(f"{path} is not a file of frame records; check the take with `flex-capture verify`.")
    _, version, header_size, record_size, crc = _HEADER.unpack_from(data)
    if crc != zlib.crc32(data[: _HEADER.size - 4]):
        raise FileFormatError(f"{path} has a damaged header; check the take with `flex-capture verify`.")
    if (version, header_size, record_size) != (VERSION, _HEADER.size, RECORD.itemsize):
        raise FileFormatError(f"{path} is of version {version} of frame records; use a flex-capture that knows it.")
    return _records_of(data)


def scan_frame_records(path: Path) -> FrameRecords:
    """Read all whole and undamaged records of a ``.frames`` file, whatever its header says; none of a missing file.

    Each record carries its own checksum. Raises FileFormatError where the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({reason(error)}); check the take's folder.") from None
    if len(data) < _HEADER.size:
        return FrameRecords(np.zeros(0, dtype=RECORD), len(data), 0)
    return _records_of(data)


def frame_records_bytes(rows: npt.NDArray[Any]) -> bytes:
    """Return the content of a ``.frames`` file with the records ``rows``, a structured array of ``RECORD`` (frames,).

    Their checksums are made anew.
    """
    sealed = rows.copy()
    data = memoryview(sealed.tobytes())
    size = RECORD.itemsize
    sealed["record_crc32"] = [zlib.crc32(data[start : start + size - 4]) for start in range(0, len(data), size)]
    return _header() + bytes(sealed.tobytes())


def _header() -> bytes:
    start = _HEADER.pack(MAGIC, VERSION, _HEADER.size, RECORD.itemsize, 0)[:-4]
    return start + struct.pack("<I", zlib.crc32(start))


def _records_of(data: bytes) -> FrameRecords:
    count, torn = divmod(len(data) - _HEADER.size, RECORD.itemsize)
    rows = np.frombuffer(data, dtype=RECORD, count=count, offset=_HEADER.size)
    view = memoryview(data)
    whole = np.fromiter((_is_whole(view, index) for index in range(count)), dtype=bool, count=count)
    damaged = count - int(whole.sum())
    return FrameRecords(rows[whole], torn + damaged * RECORD.itemsize, damaged)


def _is_whole(data: memoryview, index: int) -> bool:
    start = _HEADER.size + index * RECORD.itemsize
    end = start + RECORD.itemsize
    return zlib.crc32(data[start : end - 4]) == int.from_bytes(data[end - 4 : end], "little")
