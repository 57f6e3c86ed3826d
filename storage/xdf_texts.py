"""The texts of one of XDF's string streams: a sample is one byte (0 or 8), that many bytes of stamp, then its texts."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from storage.xdf_bytes import FileBytes
from storage.xdf_marks import STAMP_BYTES
from storage.xdf_rows import Float64, fill_stamps
from storage.xdf_samples import LENGTHS

_STAMP = struct.Struct("<d").unpack_from
_BLOCK: Final = 1 << 20  # bytes of a large chunk that are looked at at once
_LARGEST: Final = 4 << 20  # bytes of a chunk that is taken as one piece


class Texts:
    """Texts of one stream in the order of the file: a stamp a sample, 0 where omitted, and all samples' texts in a row.

    ``ends`` index the last sample of each chunk that ends here, ``broken`` those before which something of the stream
    is missing. ``size`` is in bytes of the file.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.stamps: list[float] = []
        self.stamped: list[bool] = []
        self.texts: list[str] = []
        self.ends: list[int] = []
        self.broken: list[int] = []
        self.size = 0

    def all_stamps(self, last: float, interval_s: float) -> Float64:
        """Return the stamps, (samples,), the omitted ones told from ``last``."""
        stamps = np.array(self.stamps)
        stamped = np.array(self.stamped)
        if not stamped.all():
            fill_stamps(stamps, np.flatnonzero(stamped), np.array(self.broken, dtype=np.int64), last, interval_s)
        return stamps


class LongTexts(NamedTuple):
    """A checked chunk of texts that is too large to be held at once."""

    start: int
    stop: int
    samples: int
    channels: int
    after_damage: bool


def read_text_chunk(
    file: FileBytes, start: int, stop: int, count: int, channels: int, after_damage: bool, texts: Texts
) -> bool | LongTexts:
    """Check a chunk of ``count`` samples and add its texts to ``texts``; a large chunk is only checked, and returned.

    False where it contradicts itself; then nothing is added. Bytes that are no UTF-8 become U+FFFD.
    """
    if count * (1 + 2 * channels) > stop - start:
        return False
    if stop - start > _LARGEST:
        return _check_large(file, LongTexts(start, stop, count, channels, after_damage))
    raw = file.data[start:stop]
    had, had_texts = len(texts.stamps), len(texts.texts)
    if _read(raw, 0, len(raw), count, channels, texts) != len(raw):
        del texts.stamps[had:], texts.stamped[had:], texts.texts[had_texts:]
        return False
    if count:
        _tell(texts, had, len(raw), after_damage=after_damage, closes=True)
    return True


def _check_large(file: FileBytes, chunk: LongTexts) -> bool | LongTexts:
    place, left = chunk.start, chunk.samples
    while left:
        texts, begun = Texts(), place
        after = _read(file.data, place, chunk.stop, left, chunk.channels, texts, place + _BLOCK)
        if after is None:
            return False
        place, left = after, left - len(texts.stamps)
        file.forget(begun, place)
    return chunk if place == chunk.stop else False


def read_large(file: FileBytes, chunk: LongTexts) -> Iterator[Texts]:
    """Yield a large chunk, which was checked, in parts of about a block; a sample is never divided."""
    place, left, damaged = chunk.start, chunk.samples, chunk.after_damage
    while left:
        texts, begun = Texts(), place
        after = _read(file.data, place, chunk.stop, left, chunk.channels, texts, place + _BLOCK)
        assert after is not None
        place, left = after, left - len(texts.stamps)
        _tell(texts, 0, place - begun, after_damage=damaged, closes=not left)
        yield texts
        file.forget(begun, place)
        damaged = False


def _tell(texts: Texts, had: int, size: int, *, after_damage: bool, closes: bool) -> None:
    texts.size += size
    if after_damage:
        texts.broken.append(had)
    if closes:
        texts.ends.append(len(texts.stamps) - 1)


def _read(
    raw: bytes | mmap.mmap, place: int, stop: int, count: int, channels: int, texts: Texts, enough: int | None = None
) -> int | None:
    """Add at most ``count`` samples from ``place`` on to ``texts``, no further one from ``enough`` on.

    Returns where the next one begins; None where these are none, or do not end before ``stop``.
    """
    stamps, stamped, add = texts.stamps, texts.stamped, texts.texts.append
    try:
        while count and (enough is None or place < enough):
            count -= 1
            mark = raw[place]
            if mark == STAMP_BYTES:
                stamps.append(_STAMP(raw, place + 1)[0])
                stamped.append(True)
                place += 9
            elif mark == 0:
                stamps.append(0.0)
                stamped.append(False)
                place += 1
            else:
                return None
            for _ in range(channels):
                width = raw[place]
                if width == 1:
                    length = raw[place + 1]
                    place += 2
                else:
                    length = LENGTHS[width].unpack_from(raw, place + 1)[0]
                    place += 1 + width
                if length > stop - place:
                    return None
                add(str(raw[place : place + length], "utf-8", "replace"))
                place += length
    except (IndexError, KeyError, struct.error):
        return None
    return place if place <= stop else None
