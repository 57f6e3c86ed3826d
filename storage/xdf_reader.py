"""Read any XDF 1.0 file, whole or damaged.

The framing of the chunks is walked once in Python; the samples are then read by numpy, many chunks at a time. What is
not certain is left out and named.

An omitted stamp is the previous one plus 1/rate, as in the format's reference implementations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from storage.xdf_header import NUMPY_TYPES, StreamHeader
from storage.xdf_samples import read_numeric, read_text
from storage.xdf_walk import WalkedStream, XdfWalk, mapped_xdf

if TYPE_CHECKING:
    import mmap
    from pathlib import Path


@dataclass(frozen=True)
class XdfStream:
    """One stream of an XDF file, untouched.

    ``stamps`` float64 (n,) are in seconds of the stream's host clock; a stamp that was omitted right after a dropped
    chunk is NaN, for nothing tells it. ``values`` (n, channels) are of the stream's exact format, or an object array of
    str. ``chunk_last`` int64 (chunks,) indexes the last sample of each chunk. ``clock_times`` and ``clock_offsets``
    float64 (probes,) are in seconds: at ``clock_times`` on the stream's host, adding the offset gives session time.
    ``clock_after`` int64 (probes,) counts the stream's samples that lie before each probe in the file: the stamps may
    be of another clock behind a restart of the host.
    """

    stream_id: int
    header: StreamHeader
    stamps: npt.NDArray[np.float64]
    values: npt.NDArray[Any]
    chunk_last: npt.NDArray[np.int64]
    clock_times: npt.NDArray[np.float64]
    clock_offsets: npt.NDArray[np.float64]
    clock_after: npt.NDArray[np.int64]

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self.header.name

    @property
    def format(self) -> str:
        """XDF's name of the values' format, empty where the header gives none."""
        return self.header.format or ""


@dataclass(frozen=True)
class XdfFile:
    """An XDF file: streams in the order of their headers, and what was wrong with it.

    ``bytes_discarded`` counts all bytes that could not be used: a torn end, dropped chunks, damage up to a boundary.
    """

    streams: tuple[XdfStream, ...]
    bytes_discarded: int
    notes: tuple[str, ...]


def read_xdf(path: Path) -> XdfFile:
    """Read a whole XDF file.

    What is damaged is left out, counted and noted. Memory is bounded by the file's size, whatever its headers claim.
    Raises FileFormatError where the file cannot be read or is no XDF file.
    """
    with mapped_xdf(path) as data:
        walk = XdfWalk(data)
        walk.run()
        streams = tuple(_finished(stream, data) for stream in walk.streams)
        return XdfFile(streams, walk.discarded, tuple(walk.notes))


def _finished(stream: WalkedStream, data: mmap.mmap) -> XdfStream:
    sample_format, channels = stream.layout
    interval_s = 1.0 / stream.header.rate_hz if stream.header.rate_hz > 0 else 0.0
    stamps: npt.NDArray[np.float64]
    if sample_format == "string":
        stamps, values = read_text(stream.texts, channels or 0, interval_s)
        counts = [chunk.count for chunk in stream.texts]
    else:
        dtype = np.dtype(NUMPY_TYPES[sample_format or "double64"])
        stamps, values = read_numeric(data, stream.chunks, dtype, channels or 0, interval_s)
        counts = [chunk.samples for chunk in stream.chunks]
    clock = np.array(stream.clock, dtype=np.float64).reshape(-1, 2)
    return XdfStream(
        stream_id=stream.stream_id,
        header=stream.header,
        stamps=stamps,
        values=values,
        chunk_last=np.cumsum(counts, dtype=np.int64) - 1,
        clock_times=np.ascontiguousarray(clock[:, 0]),
        clock_offsets=np.ascontiguousarray(clock[:, 1]),
        clock_after=np.array(stream.clock_after, dtype=np.int64),
    )
