"""The content of one of XDF's Samples chunks, checked byte for byte, in memory that is bounded whatever its size.

A chunk that contradicts itself is refused as a whole.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from storage.xdf_bytes import FileBytes
from storage.xdf_rows import ALL, FIRST, MIXED, NONE, STAMP_BYTES, Rows, fill_stamps, marks_of, mixed_places

_STAMP = struct.Struct("<d")
#: How a length is stored, by the byte before it.
LENGTHS: Final = {1: struct.Struct("<B"), 4: struct.Struct("<I"), 8: struct.Struct("<Q")}
_STAMPED = b"\x08"
_OMITTED = b"\x00"
_BLOCK: Final = 1 << 20  # bytes of a large chunk, and samples, that are looked at at once
_LARGEST_TEXTS: Final = 4 << 20  # bytes of a chunk of texts that is taken as one piece


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


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A chunk of texts: a stamp a sample, 0 where omitted (``stamped`` tells), and all samples' texts in a row."""

    stamps: list[float]
    stamped: list[bool]
    texts: list[str]
    after_damage: bool
    closes: bool = True

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.stamps)


class LongTexts(NamedTuple):
    """A checked chunk of texts that is too large to be held at once."""

    start: int
    stop: int
    samples: int
    channels: int
    after_damage: bool


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
        found, taken = mixed_places(_window(file.data, place, stop, sample_size), count, sample_size)
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
            found, taken = mixed_places(_window(file.data, place, chunk.stop, sample_size), left, sample_size)
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


def rows_of(file: FileBytes, chunks: list[NumericChunk], sample_size: int) -> Iterator[Rows]:
    """Yield the samples of checked chunks of one stream, so that ``after_damage`` is said of the first one alone."""
    begin = 0
    for end in range(1, len(chunks) + 1):
        if end == len(chunks) or chunks[end].after_damage:
            yield _rows(file, chunks[begin:end], sample_size)
            begin = end


def _rows(file: FileBytes, chunks: list[NumericChunk], sample_size: int) -> Rows:
    table = np.array([chunk[:4] for chunk in chunks], dtype=np.int64)
    starts, stops, counts, stamping = table.T
    sizes = np.full(len(chunks), sample_size)
    places, marks, _ = marks_of(file, starts, stops, counts, sizes, stamping.astype(np.int8))
    closes = np.array([chunk.closes for chunk in chunks])
    return Rows(
        values_at=places + 1 + marks,
        stamped=None if (stamping == ALL).all() else marks != 0,
        ends=np.cumsum(counts)[closes] - 1,
        after_damage=chunks[0].after_damage,
    )


def text_chunk(
    file: FileBytes, start: int, stop: int, count: int, channels: int, after_damage: bool
) -> TextChunk | LongTexts | None:
    """Read a chunk of texts; None where it contradicts itself. Bytes that are no UTF-8 become U+FFFD."""
    if count * (1 + 2 * channels) > stop - start:
        return None
    if stop - start <= _LARGEST_TEXTS:
        raw = file.data[start:stop]
        chunk, place = _texts(raw, 0, len(raw), count, channels, after_damage)
        return chunk if chunk is not None and place == len(raw) else None
    place, left = start, count
    while left:
        begun = place
        chunk, place = _texts(file.data, place, stop, left, channels, after_damage, place + _BLOCK)
        if chunk is None:
            return None
        left -= chunk.count
        file.forget(begun, place)
    return LongTexts(start, stop, count, channels, after_damage) if place == stop else None


def text_parts(file: FileBytes, chunk: TextChunk | LongTexts) -> Iterator[TextChunk]:
    """Yield a checked chunk of texts in parts of about a block; a sample is never divided."""
    if isinstance(chunk, TextChunk):
        yield chunk
        return
    place, left, damaged = chunk.start, chunk.samples, chunk.after_damage
    while left:
        begun = place
        part, place = _texts(file.data, place, chunk.stop, left, chunk.channels, damaged, place + _BLOCK, closing=left)
        assert part is not None
        yield part
        file.forget(begun, place)
        left, damaged = left - part.count, False


def _texts(
    raw: bytes | mmap.mmap,
    place: int,
    stop: int,
    count: int,
    channels: int,
    after_damage: bool,
    enough: int | None = None,
    closing: int = 0,
) -> tuple[TextChunk | None, int]:
    """Read at most ``count`` samples of texts from ``place`` on, no further one from ``enough`` on.

    Returns them and where the next one begins; None where they are none, or do not end before ``stop``. They close
    their chunk where there are ``closing`` of them, or where 0 is given.
    """
    stamps: list[float] = []
    stamped: list[bool] = []
    texts: list[str] = []
    try:
        while len(stamps) < count and (enough is None or place < enough):
            mark = raw[place]
            if mark == STAMP_BYTES:
                stamps.append(_STAMP.unpack_from(raw, place + 1)[0])
            elif mark == 0:
                stamps.append(0.0)
            else:
                return None, place
            stamped.append(mark == STAMP_BYTES)
            place += 1 + mark
            for _ in range(channels):
                width = raw[place]
                if width == 1:
                    length = raw[place + 1]
                    place += 2
                else:
                    length = LENGTHS[width].unpack_from(raw, place + 1)[0]
                    place += 1 + width
                if length > stop - place:
                    return None, place
                texts.append(raw[place : place + length].decode("utf-8", "replace"))
                place += length
    except (IndexError, KeyError, struct.error):
        return None, place
    if place > stop:
        return None, place
    return TextChunk(stamps, stamped, texts, after_damage, closing in (0, len(stamps))), place


def text_stamps(chunk: TextChunk, last: float, interval_s: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the stamps of a chunk of texts, (samples,), the omitted ones told from ``last``."""
    stamps = np.array(chunk.stamps)
    if not all(chunk.stamped):
        fill_stamps(stamps, np.array(chunk.stamped), np.nan if chunk.after_damage else last, interval_s)
    return stamps
