"""The content of one of XDF's Samples chunks, checked byte for byte, in memory that is bounded whatever its size.

A chunk that contradicts itself is refused as a whole.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from storage.xdf_bytes import FileBytes
from storage.xdf_marks import ALL, FIRST, MIXED, NONE, STAMP_BYTES, marks_of, whole_samples
from storage.xdf_rows import Rows

#: How a length is stored, by the byte before it.
LENGTHS: Final = {1: struct.Struct("<B"), 4: struct.Struct("<I"), 8: struct.Struct("<Q")}
_STAMPED = b"\x08"
_OMITTED = b"\x00"
_BLOCK: Final = 1 << 20  # bytes of a large chunk, and samples, that are looked at at once


class NumericChunk(NamedTuple):
    """A checked chunk, or a part of one: ``samples`` samples in bytes ``start`` to ``stop`` of the file.

    ``after_damage`` says that what came before it in the stream is missing, ``closes`` that the chunk ends with it.
    """

    start: int
    stop: int
    samples: int
    stamping: int
    after_damage: bool
    closes: bool = True


def check_numeric(file: FileBytes, start: int, stop: int, count: int, sample_size: int) -> int | None:
    """Check a numeric chunk's content; return which samples carry a stamp, None where it contradicts itself.

    ``sample_size`` is without the stamp.
    """
    stamp_bytes = stop - start - count * (1 + sample_size)
    stamps, rest = divmod(stamp_bytes, STAMP_BYTES)
    if rest or not 0 <= stamps <= count:
        return None
    short, long = 1 + sample_size, 9 + sample_size
    if stamps == count:
        whole, stamping = _all_are(file, start, stop, long, _STAMPED), ALL
    elif stamps == 0:
        whole, stamping = _all_are(file, start, stop, short, _OMITTED), NONE
    elif stamps == 1 and file.data[start] == STAMP_BYTES:
        whole, stamping = _all_are(file, start + long, stop, short, _OMITTED), FIRST
    else:
        whole, stamping = _is_mixed(file, start, stop, count, sample_size), MIXED
    return stamping if whole else None


def _all_are(file: FileBytes, start: int, stop: int, stride: int, mark: bytes) -> bool:
    step = max(_BLOCK // stride, 1) * stride
    for place in range(start, stop, step):
        seen = file.data[place : min(place + step, stop) : stride]
        if seen.count(mark) != len(seen):
            return False
        if place + step < stop:
            file.forget(place, place + step)
    return True


def _is_mixed(file: FileBytes, start: int, stop: int, count: int, sample_size: int) -> bool:
    place = start
    while count:
        found, taken = whole_samples(_window(file.data, place, stop, sample_size), count, sample_size)
        if not len(found):
            return False
        count -= len(found)
        if count:
            file.forget(place, place + taken)
        place += taken
    return place == stop


def _window(data: mmap.mmap, place: int, stop: int, sample_size: int) -> bytes:
    """Return the next block of a chunk, which holds a sample at least."""
    return data[place : min(place + max(_BLOCK, 9 + sample_size), stop)]


def parts_of(file: FileBytes, chunk: NumericChunk, sample_size: int) -> Iterator[NumericChunk]:
    """Cut a checked chunk into parts of about a block, in their order."""
    if chunk.stop - chunk.start <= _BLOCK:
        yield chunk
        return
    place, left, damaged = chunk.start, chunk.samples, chunk.after_damage
    stamping = chunk.stamping
    while left:
        if chunk.stamping == MIXED:
            found, taken = whole_samples(_window(file.data, place, chunk.stop, sample_size), left, sample_size)
            samples = len(found)
        elif chunk.stamping == FIRST and place == chunk.start:
            samples, taken, stamping = 1, 9 + sample_size, ALL
        else:
            stamping = NONE if chunk.stamping == FIRST else chunk.stamping
            stride = 1 + sample_size + (STAMP_BYTES if stamping == ALL else 0)
            samples = min(left, max(_BLOCK // stride, 1))
            taken = samples * stride
        left -= samples
        yield NumericChunk(place, place + taken, samples, stamping, damaged, not left)
        file.forget(place, place + taken)
        place, damaged = place + taken, False


def rows_of(file: FileBytes, chunks: list[NumericChunk], sample_size: int) -> Rows:
    """Return the samples of checked chunks of one stream."""
    table = np.array(chunks, dtype=np.int64)
    starts, stops, counts, stamping, after_damage, closes = table.T
    same = np.full(len(chunks), sample_size), stamping.astype(np.int8), np.zeros(len(chunks), dtype=np.intp)
    places, marks, _ = marks_of(file, starts, stops, counts, *same, {})
    behind = np.cumsum(counts)
    return Rows(
        places=places,
        marks=None if (stamping == ALL).all() else marks,
        ends=behind[closes != 0] - 1,
        broken=(behind - counts)[after_damage != 0],
    )
