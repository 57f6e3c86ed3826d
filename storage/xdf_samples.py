"""The content of XDF's Samples chunks: checked byte for byte first, then read by numpy.

A sample is one byte (0 or 8), that many bytes of stamp, then its values. Since every value of a numeric stream has the
same size, the length of a chunk tells how many of its samples carry a stamp; a chunk where that does not come out is
refused as a whole.
"""

from __future__ import annotations

import itertools
import math
import mmap
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

_STAMP = struct.Struct("<d")
#: How a length is stored, by the byte before it.
LENGTHS: Final = {1: struct.Struct("<B"), 4: struct.Struct("<I"), 8: struct.Struct("<Q")}
_STAMPED = b"\x08"
_OMITTED = b"\x00"
_BATCH_CHUNKS = 256  # enough for speed, few enough for memory

Float64 = npt.NDArray[np.float64]


class Stamping(Enum):
    """Which samples of a chunk carry a stamp."""

    ALL = "all"
    FIRST = "first"
    NONE = "none"
    MIXED = "mixed"


_ALL = Stamping.ALL


class NumericChunk(NamedTuple):
    """A checked chunk: ``samples`` samples in bytes ``start`` to ``stop`` of the file.

    ``after_damage`` says that what came before it in the stream is missing.
    """

    start: int
    stop: int
    samples: int
    stamping: Stamping
    after_damage: bool


@dataclass(frozen=True, slots=True)
class TextChunk:
    """A chunk of texts: a stamp a sample, 0 where omitted (``stamped`` tells), and all samples' texts in a row."""

    stamps: list[float]
    stamped: list[bool]
    texts: list[str]
    after_damage: bool

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.stamps)


def numeric_chunk(
    data: mmap.mmap, start: int, stop: int, count: int, sample_size: int, after_damage: bool
) -> NumericChunk | None:
    """Check a numeric chunk's content; None where it contradicts itself. ``sample_size`` is without the stamp."""
    stamp_bytes = stop - start - count * (1 + sample_size)
    stamps, rest = divmod(stamp_bytes, _STAMP.size)
    if rest or not 0 <= stamps <= count:
        return None
    short, long = 1 + sample_size, 9 + sample_size
    if stamps == count:
        whole, stamping = data[start:stop:long] == _STAMPED * count, _ALL
    elif stamps == 0:
        whole, stamping = data[start:stop:short] == _OMITTED * count, Stamping.NONE
    elif stamps == 1 and data[start : start + 1] == _STAMPED:
        whole, stamping = data[start + long : stop : short] == _OMITTED * (count - 1), Stamping.FIRST
    else:
        whole, stamping = _is_mixed(data, start, stop, count, sample_size), Stamping.MIXED
    return NumericChunk(start, stop, count, stamping, after_damage) if whole else None


def _is_mixed(data: mmap.mmap, start: int, stop: int, count: int, sample_size: int) -> bool:
    place = start
    for _ in range(count):
        if place >= stop or data[place] not in (0, 8):
            return False
        place += 1 + data[place] + sample_size
    return place == stop


def read_numeric(
    data: mmap.mmap, chunks: list[NumericChunk], dtype: np.dtype[Any], channels: int, interval_s: float
) -> tuple[Float64, npt.NDArray[Any]]:
    """Read checked chunks: stamps (n,) and values (n, channels) in ``dtype``.

    ``interval_s`` is 1/rate, 0 for an irregular stream. An omitted stamp is NaN where damage hides the one before it.
    """
    total = sum(chunk.samples for chunk in chunks)
    stamps = np.empty(total)
    values = np.empty((total, channels), dtype=dtype)
    stored = dtype.newbyteorder("<")
    full = np.dtype([("mark", "u1"), ("stamp", "<f8"), ("values", stored, (channels,))])
    bare = np.dtype([("mark", "u1"), ("values", stored, (channels,))])
    place, last = 0, 0.0
    for stamping, run in itertools.groupby(chunks, key=attrgetter("stamping")):
        if stamping is Stamping.ALL:
            while batch := list(itertools.islice(run, _BATCH_CHUNKS)):
                joined = b"".join(data[chunk.start : chunk.stop] for chunk in batch)
                rows = np.frombuffer(joined, dtype=full)
                end = place + len(rows)
                stamps[place:end], values[place:end] = rows["stamp"], rows["values"]
                place = end
            last = float(stamps[place - 1])
            continue
        for chunk in run:
            end = place + chunk.samples
            before = math.nan if chunk.after_damage else last
            given, stamped = _read_partly_stamped(data, chunk, full, bare, values[place:end])
            stamps[place:end] = _filled(given, stamped, before, interval_s)
            last = float(stamps[end - 1])
            place = end
    return stamps, values


def _read_partly_stamped(
    data: mmap.mmap, chunk: NumericChunk, full: np.dtype[Any], bare: np.dtype[Any], values: npt.NDArray[Any]
) -> tuple[Float64, npt.NDArray[np.bool_]]:
    """Read a chunk's values into ``values``; return its stamps and which of them were given."""
    raw = data[chunk.start : chunk.stop]
    given = np.zeros(chunk.samples)
    stamped = np.zeros(chunk.samples, dtype=bool)
    if chunk.stamping is Stamping.NONE:
        values[:] = np.frombuffer(raw, dtype=bare)["values"]
    elif chunk.stamping is Stamping.FIRST:
        first = np.frombuffer(raw, dtype=full, count=1)
        given[0], stamped[0], values[0] = first["stamp"][0], True, first["values"][0]
        values[1:] = np.frombuffer(raw, dtype=bare, offset=full.itemsize)["values"]
    else:
        place = 0
        for sample in range(chunk.samples):
            has_stamp = raw[place] != 0
            row = np.frombuffer(raw, dtype=full if has_stamp else bare, count=1, offset=place)
            if has_stamp:
                given[sample], stamped[sample] = row["stamp"][0], True
            values[sample] = row["values"][0]
            place += row.itemsize
    return given, stamped


def _filled(given: Float64, stamped: npt.NDArray[np.bool_], before: float, interval_s: float) -> Float64:
    """Fill omitted stamps by adding the interval one after the other, so that rounding is as in a loop."""
    steps = np.where(stamped, given, interval_s)
    if not stamped[0]:
        steps[0] += before
    starts = np.flatnonzero(stamped)
    starts = starts[starts > 0]
    return np.concatenate([np.add.accumulate(piece) for piece in np.split(steps, starts)])


def text_chunk(
    data: mmap.mmap, start: int, stop: int, count: int, channels: int, after_damage: bool
) -> TextChunk | None:
    """Read a chunk of texts; None where it contradicts itself. Bytes that are no UTF-8 become U+FFFD."""
    if count * (1 + 2 * channels) > stop - start:
        return None
    raw = data[start:stop]
    stamps: list[float] = []
    stamped: list[bool] = []
    texts: list[str] = []
    place = 0
    try:
        for _ in range(count):
            mark = raw[place]
            if mark not in (0, 8):
                return None
            place += 1
            stamps.append(_STAMP.unpack_from(raw, place)[0] if mark else 0.0)
            stamped.append(mark == _STAMP.size)
            place += mark
            for _ in range(channels):
                width = LENGTHS[raw[place]]
                (length,) = width.unpack_from(raw, place + 1)
                place += 1 + width.size
                if length > len(raw) - place:
                    return None
                texts.append(raw[place : place + length].decode("utf-8", "replace"))
                place += length
    except (IndexError, KeyError, struct.error):
        return None
    return TextChunk(stamps, stamped, texts, after_damage) if place == len(raw) else None


def read_text(chunks: Iterable[TextChunk], channels: int, interval_s: float) -> tuple[Float64, npt.NDArray[Any]]:
    """Join chunks of texts: stamps (n,) and values (n, channels), an object array of str."""
    stamps: list[Float64] = [np.empty(0)]
    texts: list[str] = []
    last = 0.0
    for chunk in chunks:
        before = math.nan if chunk.after_damage else last
        filled = _filled(np.array(chunk.stamps), np.array(chunk.stamped), before, interval_s)
        stamps.append(filled)
        texts += chunk.texts
        last = float(filled[-1])
    joined = np.concatenate(stamps)
    values = np.empty(len(joined) * channels, dtype=object)
    values[:] = texts
    return joined, values.reshape(len(joined), channels)
