"""The framing of an XDF file: which bytes are whole chunks, and what each stream holds.

What is not certain is left out and named: a chunk that contradicts itself gives no samples at all. After damage to the
framing, the walk resumes after the next Boundary chunk, which the format has for that.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lab.errors import FileFormatError
from lab.streams import SampleFormat
from storage.os_errors import reason
from storage.xdf_header import NUMPY_TYPES, StreamHeader, parse_header
from storage.xdf_samples import LENGTHS, NumericChunk, TextChunk, numeric_chunk, text_chunk
from storage.xdf_writer import (
    BOUNDARY,
    BOUNDARY_MARK,
    CLOCK_OFFSET,
    FILE_HEADER,
    MAGIC,
    SAMPLES,
    STREAM_FOOTER,
    STREAM_HEADER,
)

if TYPE_CHECKING:
    from pathlib import Path

_MOST_NOTES = 50
_TAG = struct.Struct("<H")
_OFFSET = struct.Struct("<dd")


@dataclass
class WalkedStream:
    """What has been found of a stream so far.

    ``after_damage`` says that what came before is missing; ``adrift`` that no stamp was given since then.
    """

    stream_id: int
    xml: str
    header: StreamHeader
    chunks: list[NumericChunk] = field(default_factory=list)
    texts: list[TextChunk] = field(default_factory=list)
    clock: list[tuple[float, float]] = field(default_factory=list)
    clock_after: list[int] = field(default_factory=list)  # samples before each probe
    samples: int = 0
    footer: bool = False
    after_damage: bool = False
    adrift: bool = False
    sample_size: int | None = None  # bytes of a sample's values, None for texts

    def __post_init__(self) -> None:
        sample_format, channels = self.layout
        if sample_format in NUMPY_TYPES and channels is not None:
            self.sample_size = np.dtype(NUMPY_TYPES[sample_format]).itemsize * channels

    @property
    def layout(self) -> tuple[SampleFormat | None, int | None]:
        """Format and number of channels."""
        return self.header.format, self.header.channel_count


class XdfWalk:
    """One pass over the framing of a file.

    ``spans`` are the (start, stop) of the bytes that a reader can use, after ``MAGIC``; samples whose stamps damage has
    made unknown are not among them.
    """

    def __init__(self, data: mmap.mmap) -> None:
        """Prepare to walk over the bytes of a file."""
        self.data = data
        self.end = len(data)
        self.streams: list[WalkedStream] = []
        self.by_id: dict[int, WalkedStream] = {}
        self.discarded = 0
        self.notes: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self._usable = True

    def note(self, sentence: str) -> None:
        """Keep a sentence, as long as there are not too many."""
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(sentence)
        elif len(self.notes) == _MOST_NOTES:
            self.notes.append("Further problems are not listed.")

    def run(self) -> None:
        """Walk to the end."""
        place = len(MAGIC)
        while place < self.end:
            chunk = self._frame(place)
            if chunk is None:
                place = self._resume(place, place)
                continue
            start, stop, tag = chunk
            self._usable = True
            problem = self._take(tag, start, stop)
            if problem is None:
                if self._usable:
                    self._use(place, stop)
                place = stop
                continue
            # The content lies; perhaps the length does too, and whole chunks lie inside.
            self.note(f"The chunk at byte {place} is dropped: {problem}.")
            mark = self.data.find(BOUNDARY_MARK, start, stop)
            if mark >= 0:
                self._damage_all()
                stop = mark + len(BOUNDARY_MARK)
            if tag in range(FILE_HEADER, STREAM_FOOTER + 1) or mark >= 0:
                self.discarded += stop - place
            place = stop

    def _use(self, place: int, stop: int) -> None:
        if self.spans and self.spans[-1][1] == place:
            self.spans[-1] = (self.spans[-1][0], stop)
        else:
            self.spans.append((place, stop))

    def _frame(self, place: int) -> tuple[int, int, int] | None:
        """Return (start after the tag, stop, tag) of the chunk at ``place``, None where there is no whole chunk."""
        width = LENGTHS.get(self.data[place])
        if width is None or place + 1 + width.size > self.end:
            return None
        (length,) = width.unpack_from(self.data, place + 1)
        start = place + 1 + width.size
        if length < _TAG.size or length > self.end - start:
            return None
        return start + _TAG.size, start + length, _TAG.unpack_from(self.data, start)[0]

    def _resume(self, place: int, search: int) -> int:
        """Skip to after the next boundary, or to the end of the file; nothing in between can be trusted."""
        mark = self.data.find(BOUNDARY_MARK, search)
        stop = self.end if mark < 0 else mark + len(BOUNDARY_MARK)
        self.discarded += stop - place
        if mark < 0:
            self.note(f"The last {stop - place} bytes are no whole chunk and are discarded.")
        else:
            self.note(
                f"{stop - place} bytes from byte {place} on are damaged; reading resumed after the next boundary."
            )
            self._damage_all()
        return stop

    def _damage_all(self) -> None:
        for stream in self.streams:
            stream.after_damage = True

    def _take(self, tag: int, start: int, stop: int) -> str | None:
        """Take in one chunk's content; return what is wrong with it, None where nothing is."""
        if tag == SAMPLES and stop - start >= 4:  # nearly all chunks
            stream = self.by_id.get(LENGTHS[4].unpack_from(self.data, start)[0])
            if stream is not None:
                return self._take_samples(stream, start + 4, stop)
        if tag == FILE_HEADER:
            return None
        if tag == BOUNDARY:
            return None if self.data[start:stop] == BOUNDARY_MARK else "it is not the format's boundary"
        if not STREAM_HEADER <= tag <= STREAM_FOOTER:
            return f"its kind {tag} is unknown"
        if stop - start < 4:
            return "it is too short for its kind"
        (stream_id,) = LENGTHS[4].unpack_from(self.data, start)
        start += 4
        if tag == STREAM_HEADER:
            return self._take_header(stream_id, start, stop)
        stream = self.by_id.get(stream_id)
        if stream is None:
            return f"stream {stream_id} has no header before it"
        if tag == CLOCK_OFFSET:
            if stop - start != _OFFSET.size:
                return "a clock offset has 16 bytes"
            stream.clock.append(_OFFSET.unpack_from(self.data, start))
            stream.clock_after.append(stream.samples)
        stream.footer = stream.footer or tag == STREAM_FOOTER  # it only repeats what the samples say
        return None

    def _take_header(self, stream_id: int, start: int, stop: int) -> str | None:
        xml = self.data[start:stop].decode("utf-8", "replace")
        header = parse_header(xml)
        old = self.by_id.get(stream_id)
        if old is not None:
            if header.format is None or header.channel_count is None or xml == old.xml:
                return None if xml == old.xml else f"it is a second, unusable header of stream {stream_id}"
            self.note(f"Stream {stream_id} has a second header.")
            if (header.format, header.channel_count) == old.layout:
                return None  # the same stream announced again; its samples belong together
        for note in header.notes:
            self.note(f"Header of stream {stream_id}: {note}.")
        stream = WalkedStream(stream_id, xml, header)
        self.streams.append(stream)
        self.by_id[stream_id] = stream
        return None

    def _take_samples(self, stream: WalkedStream, start: int, stop: int) -> str | None:
        damaged = stream.after_damage
        stream.after_damage = True  # until it turns out whole
        channels, size = stream.header.channel_count, stream.sample_size
        if stream.header.format is None or channels is None:
            return f"the header of stream {stream.stream_id} does not say how to read it"
        width = LENGTHS.get(self.data[start]) if start < stop else None
        if width is None or start + 1 + width.size > stop:
            return "its number of samples cannot be read"
        (count,) = width.unpack_from(self.data, start + 1)
        start += 1 + width.size
        stamped = False
        if size is not None:
            numbers = numeric_chunk(self.data, start, stop, count, size, damaged)
            whole = numbers is not None
            if numbers is not None and count:
                stream.chunks.append(numbers)
                stamped = self.data[start] != 0
        else:
            texts = text_chunk(self.data, start, stop, count, channels, damaged)
            whole = texts is not None
            if texts is not None and count:
                stream.texts.append(texts)
                stamped = texts.stamped[0]
        if not whole:
            return f"its {count} samples do not fit its {stop - start} bytes"
        stream.after_damage = damaged and not count
        stream.samples += count
        if count:
            stream.adrift = (stream.adrift or damaged) and not stamped
            self._usable = not stream.adrift
        return None


@contextlib.contextmanager
def mapped_xdf(path: Path) -> Iterator[mmap.mmap]:
    """Yield the bytes of an XDF file. Raises FileFormatError where it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start[:2] == b"\x1f\x8b":
                raise FileFormatError(f"{path} is compressed; unpack it with gzip first.")
            if start != MAGIC:
                raise FileFormatError(f"{path} is not an XDF file; name a .xdf file.")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({reason(error)}); check the name.") from None
    with data:
        yield data
