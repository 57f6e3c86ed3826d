"""Write XDF 1.0 so that a kill at any instant leaves a readable file.

Chunk layout by the XDF 1.0 specification (github.com/sccn/xdf/wiki/Specifications): a variable-length size, a tag, for
most tags a stream id, content; all little-endian. Each chunk is one write.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from storage.append_file import AppendFile
from storage.xdf_header import NUMPY_TYPES, parse_header

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAGIC: Final = b"XDF:"
FILE_HEADER, STREAM_HEADER, SAMPLES, CLOCK_OFFSET, BOUNDARY, STREAM_FOOTER = range(1, 7)

#: Content of every Boundary chunk, by the specification.
BOUNDARY_MARK: Final = UUID("43a546dc-cbf5-410f-b30e-d5467383cbe4").bytes

StringRows = Sequence[Sequence[str | bytes]]


class XdfWriter:
    """An XDF file in the making. All methods may be called from any thread.

    Raises TakeError where the file exists, cannot be created, or a write fails; what was written before stays readable.
    """

    def __init__(
        self, path: Path, created: datetime | None = None, make_room: Callable[[], bool] | None = None
    ) -> None:
        """Create the file and write its FileHeader; ``created`` is now where not given.

        ``make_room`` is called where the disk is full, from the thread that writes; True has the chunk tried again.
        """
        self.path = path
        self._streams: dict[int, tuple[np.dtype[Any] | None, int]] = {}
        self._file = AppendFile(path, make_room)
        moment = (created or datetime.now(timezone.utc)).isoformat(timespec="seconds")
        xml = f'<?xml version="1.0"?><info><version>1.0</version><datetime>{moment}</datetime></info>'
        try:
            self._file.append(MAGIC + chunk(FILE_HEADER, xml.encode()))
        except BaseException:
            self._file.close()
            raise

    @property
    def bytes_written(self) -> int:
        """Size of the file in bytes."""
        return self._file.size

    def stream_header(self, stream_id: int, xml: str) -> None:
        """Announce a stream, once, before its samples.

        Raises ValueError where the id was announced already or the header has no usable channel count and format.
        """
        if stream_id in self._streams:
            raise ValueError(f"stream {stream_id} has a header already")
        header = parse_header(xml)
        if header.format is None or header.channel_count is None:
            raise ValueError(f"the header of stream {stream_id} has no usable channel_count and channel_format")
        dtype = None if header.format == "string" else np.dtype(NUMPY_TYPES[header.format]).newbyteorder("<")
        self._file.append(chunk(STREAM_HEADER, struct.pack("<I", stream_id) + xml.encode()))
        self._streams[stream_id] = (dtype, header.channel_count)

    def samples(self, stream_id: int, stamps_s: npt.ArrayLike, values: npt.NDArray[Any] | StringRows) -> None:
        """Append samples, every one with its stamp.

        ``stamps_s`` is (n,) in seconds of the stream's host clock; ``values`` (n, channels) in the stream's format, or
        for a string stream n rows of text (str becomes UTF-8, bytes are kept). Nothing is written for n = 0. Raises
        ValueError for an unknown stream, a wrong shape, or values that the stream's format would change.
        """
        self.append((self.samples_chunk(stream_id, stamps_s, values),))

    def append(self, chunks: Sequence[bytes]) -> None:
        """Append chunks of ``samples_chunk`` in one write: as one they are there or not."""
        piece = b"".join(chunks)
        if piece:
            self._file.append(piece)

    def samples_chunk(self, stream_id: int, stamps_s: npt.ArrayLike, values: npt.NDArray[Any] | StringRows) -> bytes:
        """Return the chunk that ``samples`` would append; no bytes for no samples. Raises ValueError as it does."""
        if stream_id not in self._streams:
            raise ValueError(f"stream {stream_id} has no header yet")
        dtype, channels = self._streams[stream_id]
        stamps = np.asarray(stamps_s, dtype=np.float64)
        if stamps.ndim != 1 or len(values) != len(stamps):
            raise ValueError(f"{stamps.shape} stamps do not fit {len(values)} samples")
        if not len(stamps):
            return b""
        body = _text_rows(stamps, values, channels) if dtype is None else _rows(stamps, values, dtype, channels)
        count = struct.pack("<I", stream_id) + variable_length(len(stamps))
        return chunk(SAMPLES, count, body)

    def clock_offset(self, stream_id: int, collection_s: float, offset_s: float) -> None:
        """Append a clock probe: at ``collection_s`` of the stream's host clock, adding ``offset_s`` gives session time.

        That is LabRecorder's convention and the one XDF importers expect. Raises ValueError for an unknown stream.
        """
        if stream_id not in self._streams:
            raise ValueError(f"stream {stream_id} has no header yet")
        self._file.append(chunk(CLOCK_OFFSET, struct.pack("<Idd", stream_id, collection_s, offset_s)))

    def boundary(self) -> None:
        """Append a Boundary chunk, from which readers find their way again after damage."""
        self._file.append(chunk(BOUNDARY, BOUNDARY_MARK))

    def stream_footer(self, stream_id: int, xml: str) -> None:
        """Append a stream's footer. Raises ValueError for an unknown stream."""
        if stream_id not in self._streams:
            raise ValueError(f"stream {stream_id} has no header yet")
        self._file.append(footer_chunk(stream_id, xml))

    def sync(self) -> None:
        """Wait until all that was written is on the disk; writing goes on meanwhile."""
        self._file.sync()

    def close(self) -> None:
        """Sync and close; any number of times."""
        self._file.close()


def variable_length(number: int) -> bytes:
    """Encode a length: one byte that says 1, 4 or 8, then so many bytes of the number."""
    if number < 1 << 8:
        return struct.pack("<BB", 1, number)
    if number < 1 << 32:
        return struct.pack("<BI", 4, number)
    return struct.pack("<BQ", 8, number)


def footer_chunk(stream_id: int, xml: str) -> bytes:
    """Return the StreamFooter chunk of a stream."""
    return chunk(STREAM_FOOTER, struct.pack("<I", stream_id) + xml.encode())


def chunk(tag: int, *content: bytes) -> bytes:
    """Return a chunk of the given tag, whose content (stream id first, where its tag has one) comes in pieces."""
    length = 2 + sum(map(len, content))
    return b"".join((variable_length(length), struct.pack("<H", tag), *content))


def _rows(stamps: npt.NDArray[np.float64], values: Any, dtype: np.dtype[Any], channels: int) -> bytes:
    array = np.asarray(values)
    if array.shape != (len(stamps), channels):
        raise ValueError(f"values of shape {array.shape} should be ({len(stamps)}, {channels})")
    if not np.can_cast(array.dtype, dtype, "safe"):
        raise ValueError(f"values of type {array.dtype} would be changed by the stream's format {dtype}")
    rows = np.empty(len(stamps), _row_type(dtype, channels))
    rows["size"] = 8
    rows["stamp"] = stamps
    rows["values"] = array
    return rows.tobytes()


@cache
def _row_type(dtype: np.dtype[Any], channels: int) -> np.dtype[Any]:
    """Return the type of a sample with its stamp; making it anew for every piece takes as long as filling it."""
    return np.dtype([("size", "u1"), ("stamp", "<f8"), ("values", dtype, (channels,))])


def _text_rows(stamps: npt.NDArray[np.float64], values: Any, channels: int) -> bytes:
    parts: list[bytes] = []
    for stamp, row in zip(stamps.tolist(), values, strict=True):
        if isinstance(row, (str, bytes)) or len(row) != channels:
            raise ValueError(f"a sample of a string stream should be a list of {channels} texts")
        parts.append(struct.pack("<Bd", 8, stamp))
        for text in row:
            # A lone surrogate is no character and has no UTF-8; "?" stands for it.
            encoded = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
            parts.append(variable_length(len(encoded)))
            parts.append(encoded)
    return b"".join(parts)
