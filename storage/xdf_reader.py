"""Read any XDF 1.0 file, whole or damaged, at once or in blocks of bounded memory.

What is not certain is left out and named. An omitted stamp is the previous one plus 1/rate, as in the format's
reference implementations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import mapped_xdf
from storage.xdf_content import StreamContent
from storage.xdf_header import StreamHeader
from storage.xdf_walk import XdfWalk

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK: Final = 2 << 20
_LARGEST_BLOCK: Final = 4 << 20
_BLOCKS_A_FILE: Final = 16  # at least, so that what a block needs is small beside what the file gives


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


@dataclass(frozen=True)
class XdfPart:
    """What a block of an XDF file adds to one of its streams.

    ``number`` counts the streams in the order of their headers, from 0. ``added`` holds the new samples and probes
    alone; ``first`` is the number of the stream's samples in earlier blocks. What indexes or counts samples
    (``chunk_last``, ``clock_after``) does so from the stream's first sample on, through all blocks.
    """

    number: int
    first: int
    added: XdfStream


@dataclass(frozen=True)
class XdfBlock:
    """What a block of an XDF file adds: to each stream at most once, and what was found to be wrong up to its end."""

    parts: tuple[XdfPart, ...]
    bytes_discarded: int
    notes: tuple[str, ...]


def read_xdf(path: Path) -> XdfFile:
    """Read a whole XDF file.

    What is damaged is left out, counted and noted. Memory is bounded by the file's size, whatever its headers claim,
    and hardly more than the result needs. Raises FileFormatError where the file cannot be read or is no XDF file.
    """
    with mapped_xdf(path) as data:
        block_bytes = min(max(len(data) // _BLOCKS_A_FILE, _BLOCK), _LARGEST_BLOCK)
        walk = XdfWalk(data, block_bytes, keeps_spans=False)
        contents: list[StreamContent] = []
        for _ in walk.stretches():
            contents += map(StreamContent, walk.streams[len(contents) :])
            for content in contents:
                for samples in content.stream.take_pending(walk.file):
                    content.read(walk.file, samples, walk.place / walk.end)
        return XdfFile(tuple(_stream(content) for content in contents), walk.discarded, tuple(walk.notes))


def stream_xdf(path: Path, block_bytes: int = _BLOCK) -> Iterator[XdfBlock]:
    """Read an XDF file block by block, in an amount of memory that does not grow with the file.

    A block holds about what ``block_bytes`` of the file give, a sample at least. The parts of a stream, joined, are
    what ``read_xdf`` gives; the first comes with its header, with samples or without. The file must not change
    meanwhile. Raises FileFormatError, with the first block, where the file cannot be read or is no XDF file.
    """
    with mapped_xdf(path) as data:
        walk = XdfWalk(data, block_bytes, keeps_spans=False)
        contents: list[StreamContent] = []
        for _ in walk.stretches():
            announced = len(contents)
            contents += map(StreamContent, walk.streams[announced:])
            for number, content in enumerate(contents):
                for samples in content.stream.take_pending(walk.file):
                    if content.held_bytes >= block_bytes:
                        yield _block(walk, [(number, content)])
                    content.read(walk.file, samples, 1.0)
            added = [
                (number, content)
                for number, content in enumerate(contents)
                if content.held or content.stream.clock_after or number >= announced
            ]
            yield _block(walk, added)


def _block(walk: XdfWalk, added: list[tuple[int, StreamContent]]) -> XdfBlock:
    parts = []
    for number, content in added:
        first = content.first
        parts.append(XdfPart(number, first, _stream(content)))
    return XdfBlock(tuple(parts), walk.discarded, tuple(walk.notes))


def _stream(content: StreamContent) -> XdfStream:
    stream = content.stream
    stamps, values, ends = content.hand_over()
    clock, clock_after = np.array(stream.clock).reshape(-1, 2), np.array(stream.clock_after, dtype=np.int64)
    del stream.clock[:], stream.clock_after[:]
    return XdfStream(
        stream_id=stream.stream_id,
        header=stream.header,
        stamps=stamps,
        values=values,
        chunk_last=ends,
        clock_times=np.ascontiguousarray(clock[:, 0]),
        clock_offsets=np.ascontiguousarray(clock[:, 1]),
        clock_after=clock_after,
    )
