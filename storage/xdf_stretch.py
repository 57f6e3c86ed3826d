"""A stretch of clean chunks, taken in at once.

Whatever is not plainly right (a header, a chunk of an unknown kind, one that contradicts itself or is very large) ends
the stretch before it, for the walk that looks at chunks one by one. So nothing is decided here: what is taken is what
that walk would have taken.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import HEAD_ROOM, FileBytes, Int64
from storage.xdf_marks import ALL, Habits, marks_of, stamping_of
from storage.xdf_rows import Rows
from storage.xdf_texts import Texts, read_text_chunk
from storage.xdf_writer import BOUNDARY, BOUNDARY_MARK, CLOCK_OFFSET, FILE_HEADER, SAMPLES, STREAM_FOOTER

if TYPE_CHECKING:
    from storage.xdf_walk import WalkedStream

LARGEST: Final = 1 << 20  # bytes of a chunk's samples that are taken at once
_LENGTH = struct.Struct("<I").unpack_from
_LONG = struct.Struct("<Q").unpack_from
UNUSABLE, TEXTS = -1, -2  # sizes of samples that have none

_MARK: Final = np.frombuffer(BOUNDARY_MARK, dtype="<i8").tolist()
_FIRST, _NOT_ANY = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64)

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


class Known(NamedTuple):
    """The streams with a header, by their ids in rising order: (streams,), ``sizes`` of a sample's values in bytes.

    ``sizes`` has one entry more, so that it is never empty. ``habits`` are what their stamps so far lead to expect.
    """

    ids: Int64
    streams: list[WalkedStream]
    sizes: Int64
    habits: Habits


class Stretch(NamedTuple):
    """Clean chunks: how many there are, where the last one ends, and which bytes a reader can use."""

    chunks: int
    stop: int
    usable: list[tuple[int, int]]


class _Chunks(NamedTuple):
    """Heads of chunks, all (chunks,): ``at`` is where the content begins, behind its stream id where there is one."""

    start: Int64
    at: Int64
    stop: Int64
    tag: Int64
    number: Indices  # of the stream in ``Known``

    def before(self, cut: int) -> _Chunks:
        return _Chunks(self.start[:cut], self.at[:cut], self.stop[:cut], self.tag[:cut], self.number[:cut])


class _Samples(NamedTuple):
    """Chunks of numeric samples, (n,) each: ``chunk`` indexes them among all."""

    chunk: Indices
    start: Int64
    stop: Int64
    counts: Int64
    size: Int64
    stamping: npt.NDArray[np.int8]

    def of(self, which: Any) -> _Samples:
        return _Samples(*(column[which] for column in self))


class _TextChunks(NamedTuple):
    """Chunks of texts that hold some: (stream's number, index of the chunk, samples, whether the first is stamped).

    ``read`` are their texts by the stream's number.
    """

    chunks: list[tuple[int, int, int, bool]]
    read: dict[int, Texts]


def chunk_starts(file: FileBytes, place: int, limit: int) -> Int64:
    """Follow the chunks from ``place``, as long as they begin before ``limit``.

    Returns where each begins, and last where the one behind them would: (chunks + 1,). Lengths are believed: what is
    behind a chunk whose length is wrong is meaningless. The chain ends at a width of a length that is none, and no
    chunk begins within the last ``HEAD_ROOM`` bytes of the file.
    """
    data = file.data
    starts: list[int] = []
    add = starts.append
    limit = min(limit, file.size - HEAD_ROOM)
    while place < limit:  # all that is done for each chunk alone; a tenth of a microsecond counts
        width = data[place]
        add(place)
        if width == 1:
            place += 2 + data[place + 1]
        elif width == 4:
            place += 5 + _LENGTH(data, place + 1)[0]
        elif width == 8:
            place += 9 + _LONG(data, place + 1)[0]
        else:
            return np.array(starts, dtype=np.int64)
    add(min(place, file.size + 1))  # a place behind the file may be larger than an array can hold
    return np.array(starts, dtype=np.int64)


def take_stretch(file: FileBytes, known: Known, starts: Int64, damages: int) -> Stretch:
    """Take in a chain of chunks, as ``chunk_starts`` returns it, up to the first that is not plainly right.

    The samples, texts and probes go into the streams of ``known``. ``damages`` counts the damage that the walk has met.
    """
    while len(starts) > 1:
        chunks, clean, samples = _look(file, known, starts)
        cut = int(np.argmin(clean)) if not clean.all() else len(clean)
        texts, cut = _read_texts(file, known, chunks, cut, damages)
        if not cut:
            break
        if cut < len(clean):
            samples = samples.of(samples.chunk < cut)
        samples = samples.of(np.argsort(chunks.number[samples.chunk], kind="stable"))
        places, marks, wrong = marks_of(file, *samples[1:], chunks.number[samples.chunk], known.habits)
        if wrong.any():
            starts = starts[: int(samples.chunk[wrong].min()) + 1]  # once more, without it
            continue
        if cut < len(clean):
            chunks = chunks.before(cut)
        _take_probes(file, known, chunks, samples, texts)
        usable = np.ones(cut, dtype=np.bool_)
        _take_rows(known, chunks, samples, (places, marks), usable, damages)
        for number, chunk, count, stamped in texts.chunks:
            usable[chunk] = known.streams[number].take(None, count, stamped, damages)
        for number, entry in texts.read.items():
            known.streams[number].pending.append(entry)
        for chunk in np.flatnonzero(chunks.tag == STREAM_FOOTER).tolist():
            known.streams[int(chunks.number[chunk])].footer = True
        return Stretch(cut, int(chunks.stop[-1]), _spans(chunks, usable))
    return Stretch(0, 0, [])


def _look(file: FileBytes, known: Known, starts: Int64) -> tuple[_Chunks, Bools, _Samples]:
    """Read the heads of chunks; say which of them are plainly right, as far as those tell, and which are samples."""
    starts, stop = starts[:-1], starts[1:]
    body = starts + 1 + file.u8[starts]
    head = file.i64[body]  # two bytes of tag, four of stream id, and, of samples, two or more of their number
    tag = head & 0xFFFF
    number, of_known = _known_numbers(known, (head >> 16) & 0xFFFF_FFFF)
    at = body + 6
    clean = stop - body >= 2
    clean[-1:] &= stop[-1:] <= file.size
    of_known &= stop >= at
    size = known.sizes[number]
    is_samples = (tag == SAMPLES) & of_known & clean & (stop - at >= 2)
    samples, right = _numeric(file, np.flatnonzero(is_samples & (size >= 0)), head, at, stop, size)
    plain = np.zeros(len(starts), dtype=np.bool_)
    plain[samples.chunk[right]] = True
    others = np.flatnonzero(~plain)  # few
    tag_o, at_o, inside, known_o = tag[others], at[others] - 4, stop[others] - at[others] + 4, of_known[others]
    plain[others] = clean[others] & (
        (is_samples[others] & (size[others] == TEXTS) & (inside <= LARGEST))
        | ((tag_o == CLOCK_OFFSET) & known_o & (inside == 20))
        | ((tag_o == BOUNDARY) & (inside == 16) & (file.i64[at_o] == _MARK[0]) & (file.i64[at_o + 8] == _MARK[1]))
        | ((tag_o == STREAM_FOOTER) & known_o)
        | (tag_o == FILE_HEADER)
    )
    return _Chunks(starts, at, stop, tag, number), plain, samples if right.all() else samples.of(right)


def _known_numbers(known: Known, stream_ids: Int64) -> tuple[Indices, Bools]:
    """Return the number in ``known`` of each stream, and whether it has one."""
    if not len(known.ids):
        return np.zeros(len(stream_ids), dtype=np.intp), np.zeros(len(stream_ids), dtype=np.bool_)
    number = known.ids.searchsorted(stream_ids)
    np.minimum(number, len(known.ids) - 1, out=number)
    return number, known.ids[number] == stream_ids


def _numeric(
    file: FileBytes, chunk: Indices, head: Int64, at: Int64, stop: Int64, size: Int64
) -> tuple[_Samples, Bools]:
    """Read the counts of chunks of samples; say for which the length fits them, whatever their bytes say."""
    head, at, stop, size = head[chunk], at[chunk], stop[chunk], size[chunk]
    width = (head >> 48) & 0xFF
    count = (head >> 56) & 0xFF
    longer = np.flatnonzero(width != 1)
    right = np.ones(len(chunk), dtype=np.bool_)
    if len(longer):
        word = file.i64[at[longer] + 1]
        count[longer] = np.where(width[longer] == 4, word & 0xFFFF_FFFF, word)  # of 2**63 and more: negative
        right[longer] = (width[longer] == 4) | (width[longer] == 8)
    start = at + 1 + width
    total = stop - start
    right &= (total >= 0) & (total <= LARGEST) & (count >= 0)
    right &= count <= total // (1 + size)
    count[~right] = 0
    stamp_bytes = total - count * (1 + size)
    stamps = stamp_bytes >> 3
    right &= (stamp_bytes & 7 == 0) & (stamps <= count)
    if (stamps == count).all():
        stamping = np.full(len(chunk), ALL, dtype=np.int8)
    else:
        stamping = stamping_of(stamps, count, file.u8[np.minimum(start, file.size - 1)])
    return _Samples(chunk, start, stop, count, size, stamping), right


def _read_texts(file: FileBytes, known: Known, chunks: _Chunks, cut: int, damages: int) -> tuple[_TextChunks, int]:
    """Read the chunks of texts before ``cut``, up to the first that is wrong; return them, and where to cut now."""
    found = _TextChunks([], {})
    if not (known.sizes == TEXTS).any():
        return found, cut
    wanted = np.flatnonzero((chunks.tag[:cut] == SAMPLES) & (known.sizes[chunks.number[:cut]] == TEXTS))
    columns = (chunks.number, chunks.at, chunks.stop)
    for chunk, number, at, stop in zip(wanted.tolist(), *(c[wanted].tolist() for c in columns), strict=True):
        stream = known.streams[number]
        counted = stream.counted(file.data, at, stop)
        if counted is None:
            return found, chunk
        count, start = counted
        texts = found.read.get(number)
        damaged = texts is None and stream.is_after_damage(damages)
        if texts is None:
            texts = Texts()
        had = len(texts.stamps)
        if read_text_chunk(file, start, stop, count, stream.header.channel_count or 0, damaged, texts) is not True:
            return found, chunk
        if count:
            found.read[number] = texts
            found.chunks.append((number, chunk, count, texts.stamped[had]))
    return found, cut


def _take_probes(
    file: FileBytes,
    known: Known,
    chunks: _Chunks,
    samples: _Samples,
    texts: _TextChunks,
) -> None:
    """Hand each stream its clock probes, with the number of its samples before each; before its samples are taken."""
    probes = np.flatnonzero(chunks.tag == CLOCK_OFFSET)
    if not len(probes):
        return
    chunk, count = samples.chunk, samples.counts
    if texts.chunks:
        chunk = np.append(chunk, [index for _, index, _, _ in texts.chunks])
        count = np.append(count, [counted for _, _, counted, _ in texts.chunks])
        order = np.argsort(chunks.number[chunk], kind="stable")
        chunk, count = chunk[order], count[order]
    # Chunks in the order of their streams, so that one number tells both.
    many = len(chunks.tag)
    keys = chunks.number[chunk] * many + chunk
    before = np.append(0, np.cumsum(count))
    of_probe = chunks.number[probes]
    counts = before[keys.searchsorted(of_probe * many + probes)] - before[keys.searchsorted(of_probe * many)]
    order = np.argsort(of_probe, kind="stable")
    at = chunks.at[probes[order]]
    counts, pairs = counts[order], np.empty((len(at), 2))
    pairs[:, 0], pairs[:, 1] = file.f64[at], file.f64[at + 8]
    for number, begin, end in _groups(of_probe[order]):
        stream = known.streams[number]
        stream.clock.frombytes(pairs[begin:end].tobytes())
        stream.clock_after.frombytes((counts[begin:end] + stream.samples).tobytes())


def _take_rows(
    known: Known,
    chunks: _Chunks,
    samples: _Samples,
    found: tuple[Int64, npt.NDArray[np.uint8]],
    usable: Bools,
    damages: int,
) -> None:
    """Hand each stream its samples, which are in the order of the streams; say which chunks are of use."""
    places, marks = found
    filled = samples.counts > 0
    if not filled.all():
        samples = samples.of(filled)
    behind = np.cumsum(samples.counts)
    all_stamped = bool((samples.stamping == ALL).all())
    ends = behind - 1
    last = 0
    for number, begin, end in _groups(chunks.number[samples.chunk]):
        stream = known.streams[number]
        first, last = last, int(behind[end - 1])
        damaged = stream.is_after_damage(damages)
        own = None if all_stamped or (samples.stamping[begin:end] == ALL).all() else marks[first:last]
        rows = Rows(places[first:last], own, ends[begin:end] - first, _FIRST if damaged else _NOT_ANY)
        given = True
        if damaged or stream.adrift:
            # Up to the first chunk that begins with a stamp, nothing tells the time.
            firsts = marks[behind[begin:end] - samples.counts[begin:end]] != 0
            given = bool(firsts.any())
            lost = int(np.argmax(firsts)) if given else len(firsts)
            usable[samples.chunk[begin : begin + lost]] = False
        stream.take(rows, last - first, given, damages)


def _groups(numbers: Indices) -> list[tuple[int, int, int]]:
    """Return (number, begin, end) of each run of equal numbers."""
    if not len(numbers):
        return []
    edges = np.flatnonzero(np.diff(numbers)) + 1
    begins = [0, *edges.tolist()]
    return list(zip(numbers[begins].tolist(), begins, [*begins[1:], len(numbers)], strict=True))


def _spans(chunks: _Chunks, usable: Bools) -> list[tuple[int, int]]:
    if usable.all():
        return [(int(chunks.start[0]), int(chunks.stop[-1]))]
    return [
        (int(chunks.start[begin]), int(chunks.stop[end - 1]))
        for use, begin, end in _groups(usable.astype(np.intp))
        if use
    ]
