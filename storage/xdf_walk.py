"""The framing of an XDF file: which bytes are whole chunks, and what each stream holds.

What is not certain is left out and named: a chunk that contradicts itself gives no samples at all. After damage to the
framing, the walk resumes after the next Boundary chunk, which the format has for that.

Chunks are looked at one by one, which decides everything. Stretches of plainly right ones, that is nearly all of a
file, are taken in at once, to the same effect.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from lab.streams import SampleFormat
from storage.xdf_bytes import FileBytes
from storage.xdf_header import NUMPY_TYPES, StreamHeader, parse_header
from storage.xdf_rows import Rows
from storage.xdf_samples import (
    LENGTHS,
    NumericChunk,
    check_numeric,
    parts_of,
    rows_of,
)
from storage.xdf_stretch import TEXTS, UNUSABLE, Known, chunk_starts, take_stretch
from storage.xdf_texts import LongTexts, Texts, read_large, read_text_chunk
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

_MOST_NOTES = 50
_TAG = struct.Struct("<H")
_OFFSET = struct.Struct("<dd")
_BLOCK: Final = 1 << 20  # bytes that are taken in at once
_LEAST: Final = 16 << 10  # bytes that are tried at once, however short the stretches are
_FEW, _MANY = 16, 4_096  # chunks that are looked at one by one where a stretch has ended
_MOST_STREAMS, _MOST_CHANNELS, _MOST_HEADER_BYTES = 4_096, 1 << 20, 256 << 20  # of all streams together
_WORTH: Final = 64  # a stretch of fewer chunks is slower than to look at them one by one


@dataclass
class WalkedStream:
    """What has been found of a stream so far.

    ``pending`` are its samples that nobody has asked for yet, ``clock`` and ``clock_after`` its probes likewise: time
    and offset in turns, and the number of samples before each. ``adrift`` says that no stamp was given since damage.
    """

    stream_id: int
    xml_digest: bytes
    header: StreamHeader
    known_damages: int  # how much damage the walk had met when this stream was last seen to be whole
    pending: list[Rows | NumericChunk | Texts | LongTexts] = field(default_factory=list)
    clock: array[float] = field(default_factory=lambda: array("d"))
    clock_after: array[int] = field(default_factory=lambda: array("q"))
    samples: int = 0
    footer: bool = False
    torn: bool = False  # a chunk of this stream alone was dropped
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

    @property
    def interval_s(self) -> float:
        """What an omitted stamp adds to the one before it."""
        return 1.0 / self.header.rate_hz if self.header.rate_hz > 0 else 0.0

    def is_after_damage(self, damages: int) -> bool:
        """Whether what came before is missing, where the walk has met ``damages``."""
        return self.torn or self.known_damages != damages

    def take(self, samples: Rows | NumericChunk | LongTexts | None, count: int, stamped: bool, damages: int) -> bool:
        """Take in samples, the first of them ``stamped`` or not; return whether anything tells their time.

        None stands for samples that are pending already.
        """
        self.adrift = (self.adrift or self.is_after_damage(damages)) and not stamped
        self.torn, self.known_damages = False, damages
        self.samples += count
        if samples is not None:
            self.pending.append(samples)
        return not self.adrift

    def counted(self, data: mmap.mmap, start: int, stop: int) -> tuple[int, int] | None:
        """Read the number of samples of a chunk; return it and where they begin, None where it cannot be read."""
        width = LENGTHS.get(data[start]) if start < stop else None
        if width is None or start + 1 + width.size > stop:
            return None
        return width.unpack_from(data, start + 1)[0], start + 1 + width.size

    def take_pending(self, file: FileBytes) -> Iterator[Rows | Texts]:
        """Hand over the samples that are pending, in parts of bounded size, in the order of the file."""
        pending, self.pending = self.pending, []
        chunks: list[NumericChunk] = []
        size = self.sample_size or 0
        held = 0
        for entry in pending:
            if isinstance(entry, NumericChunk):
                for part in parts_of(file, entry, size):
                    chunks.append(part)
                    held += part.stop - part.start
                    if held >= _BLOCK:
                        yield rows_of(file, chunks, size)
                        chunks, held = [], 0
                continue
            if chunks:
                yield rows_of(file, chunks, size)
                chunks, held = [], 0
            if isinstance(entry, LongTexts):
                yield from read_large(file, entry)
            else:
                yield entry
        if chunks:
            yield rows_of(file, chunks, size)

    def open_texts(self) -> Texts:
        """Return the pending texts to which more may be added."""
        if not self.pending or not isinstance(texts := self.pending[-1], Texts) or texts.size >= _BLOCK:
            return Texts()
        return texts


class XdfWalk:
    """One pass over the framing of a file.

    ``spans`` are the (start, stop) of the bytes that a reader can use, after ``MAGIC``; samples whose stamps damage has
    made unknown are not among them.
    """

    def __init__(self, data: mmap.mmap, block_bytes: int = _BLOCK, *, keeps_spans: bool = True) -> None:
        """Prepare to walk over the bytes of a file, of which ``block_bytes`` or one chunk are taken in at once.

        ``keeps_spans`` is False where nobody asks for ``spans``.
        """
        self.data = data
        self.file = FileBytes(data)
        self.end = len(data)
        self.place = len(MAGIC)
        self.streams: list[WalkedStream] = []
        self.by_id: dict[int, WalkedStream] = {}
        self.discarded = 0
        self.notes: list[str] = []
        self.spans: list[tuple[int, int]] = []
        self._block_bytes = block_bytes
        self._keeps_spans = keeps_spans
        self._ahead = block_bytes  # bytes that are tried at once; fewer where stretches are short
        self._known: Known | None = None
        self._header_bytes = self._channels = 0
        self._damages = 0
        self._usable = True

    def note(self, sentence: str) -> None:
        """Keep a sentence, as long as there are not too many."""
        if len(self.notes) < _MOST_NOTES:
            self.notes.append(sentence)
        elif len(self.notes) == _MOST_NOTES:
            self.notes.append("Further problems are not listed.")

    def stretches(self) -> Iterator[None]:
        """Walk to the end, and pause wherever samples are pending that should be taken before more are."""
        few = _FEW
        if self._take_headers():
            yield
        while self.place < self.end:
            begun, taken = self.place, 0
            starts = chunk_starts(self.file, self.place, self.place + self._ahead)
            if len(starts) > 1:
                stretch = take_stretch(self.file, self._streams_known(), starts, self._damages)
                taken = stretch.chunks
                for start, stop in stretch.usable:
                    self._use(start, stop)
                self.place = stretch.stop if taken else self.place
                whole = taken == len(starts) - 1
                wanted = 2 * self._ahead if whole else 2 * (self.place - begun) + _LEAST
                self._ahead = min(wanted, self._block_bytes)
            if taken < len(starts) - 1 or len(starts) < 2:
                few = _FEW if taken >= _WORTH else min(2 * few, _MANY)
                self._one_by_one(few)
            yield
            self.file.forget(begun, self.place)

    def _take_headers(self) -> bool:
        """Look at the headers that a file begins with, so that they cut no stretch short; say whether there are any."""
        begun = self.place
        for _ in range(_MANY):
            chunk = self._frame(self.place) if self.place < self.end else None
            if chunk is None or chunk[2] not in (FILE_HEADER, STREAM_HEADER):
                break
            self._step(self.place)
        self.file.forget(begun, self.place)
        return self.place > begun

    def _streams_known(self) -> Known:
        if self._known is None:
            ids = sorted(self.by_id)
            streams = [self.by_id[stream_id] for stream_id in ids]
            sizes = np.array([*map(_size, streams), UNUSABLE], dtype=np.int64)
            self._known = Known(np.array(ids, dtype=np.int64), streams, sizes, {})
        return self._known

    def _one_by_one(self, chunks: int) -> None:
        """Look at a number of chunks, one by one; not at more than a block of them and one."""
        enough = min(self.place + self._block_bytes, self.end)
        while chunks and self.place < enough:
            chunks -= 1
            self._step(self.place)

    def _step(self, place: int) -> None:
        chunk = self._frame(place)
        if chunk is None:
            self.place = self._resume(place)
            return
        start, stop, tag = chunk
        self._usable = True
        problem = self._take(tag, start, stop)
        if problem is None:
            if self._usable:
                self._use(place, stop)
            self.place = stop
            return
        # The content lies; perhaps the length does too, and whole chunks lie inside.
        self.note(f"The chunk at byte {place} is dropped: {problem}.")
        mark = self.file.find(BOUNDARY_MARK, start, stop)
        if mark >= 0:
            self._damages += 1
            stop = mark + len(BOUNDARY_MARK)
        if tag in range(FILE_HEADER, STREAM_FOOTER + 1) or mark >= 0:
            self.discarded += stop - place
        self.place = stop

    def _use(self, place: int, stop: int) -> None:
        if not self._keeps_spans:
            return
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

    def _resume(self, place: int) -> int:
        """Skip to after the next boundary, or to the end of the file; nothing in between can be trusted."""
        mark = self.file.find(BOUNDARY_MARK, place, self.end)
        stop = self.end if mark < 0 else mark + len(BOUNDARY_MARK)
        self.discarded += stop - place
        if mark < 0:
            self.note(f"The last {stop - place} bytes are no whole chunk and are discarded.")
        else:
            self.note(
                f"{stop - place} bytes from byte {place} on are damaged; reading resumed after the next boundary."
            )
            self._damages += 1
        return stop

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
            stream.clock.extend(_OFFSET.unpack_from(self.data, start))
            stream.clock_after.append(stream.samples)
        stream.footer = stream.footer or tag == STREAM_FOOTER  # it only repeats what the samples say
        return None

    def _take_header(self, stream_id: int, start: int, stop: int) -> str | None:
        self._header_bytes += stop - start
        if self._header_bytes > _MOST_HEADER_BYTES or len(self.streams) >= _MOST_STREAMS:
            return "there are more or larger headers before it than any recording needs"
        raw = self.data[start:stop]
        digest = hashlib.sha256(raw).digest()
        old = self.by_id.get(stream_id)
        if old is not None and digest == old.xml_digest:
            return None
        header = parse_header(raw.decode("utf-8", "replace"))
        if old is not None:
            if header.format is None or header.channel_count is None:
                return f"it is a second, unusable header of stream {stream_id}"
            self.note(f"Stream {stream_id} has a second header.")
            if (header.format, header.channel_count) == old.layout:
                return None  # the same stream announced again; its samples belong together
        for note in header.notes:
            self.note(f"Header of stream {stream_id}: {note}.")
        self._channels += len(header.channels)
        if self._channels > _MOST_CHANNELS:
            return "there are more channels before it than any recording has"
        stream = WalkedStream(stream_id, digest, header, self._damages)
        self.streams.append(stream)
        self.by_id[stream_id] = stream
        self._known = None
        return None

    def _take_samples(self, stream: WalkedStream, start: int, stop: int) -> str | None:
        damaged = stream.is_after_damage(self._damages)
        stream.torn = True  # until it turns out whole
        channels, size = stream.header.channel_count, stream.sample_size
        if stream.header.format is None or channels is None:
            return f"the header of stream {stream.stream_id} does not say how to read it"
        counted = stream.counted(self.data, start, stop)
        if counted is None:
            return "its number of samples cannot be read"
        count, start = counted
        samples: NumericChunk | LongTexts | None = None
        whole = False
        if size is None:
            texts = stream.open_texts()
            read = read_text_chunk(self.file, start, stop, count, channels, damaged, texts)
            whole = read is not False
            if isinstance(read, LongTexts):
                samples = read
            elif count and whole and (not stream.pending or stream.pending[-1] is not texts):
                stream.pending.append(texts)
        elif (stamping := check_numeric(self.file, start, stop, count, size)) is not None:
            whole, samples = True, NumericChunk(start, stop, count, stamping, damaged)
        if not whole:
            return f"its {count} samples do not fit its {stop - start} bytes"
        stream.torn = damaged
        if count:
            self._usable = stream.take(samples, count, self.data[start] != 0, self._damages)
        return None


def _size(stream: WalkedStream) -> int:
    if stream.header.format is None or stream.header.channel_count is None:
        return UNUSABLE
    return TEXTS if stream.sample_size is None else stream.sample_size
