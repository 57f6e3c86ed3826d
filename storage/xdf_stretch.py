"""A stretch of clean chunks, taken in at once.

Whatever is not plainly right (a header, a chunk of an unknown kind, one that contradicts itself or is very large) ends
the stretch before it, for the walk that looks at chunks one by one. So nothing is decided here: what is taken is what
that walk would have taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import FileBytes, Int64
from storage.xdf_rows import ALL, STAMP_BYTES, Rows, marks_of, stamping_of
from storage.xdf_samples import LongTexts, TextChunk, text_chunk
from storage.xdf_writer import BOUNDARY, BOUNDARY_MARK, CLOCK_OFFSET, FILE_HEADER, SAMPLES, STREAM_FOOTER

if TYPE_CHECKING:
    from storage.xdf_walk import WalkedStream

LARGEST: Final = 1 << 20  # bytes of a chunk's samples that are taken at once
UNUSABLE, TEXTS = -1, -2  # sizes of samples that have none

_MARK: Final = np.frombuffer(BOUNDARY_MARK, dtype="<i8").tolist()
_WIDTHS = np.zeros(256, dtype=np.bool_)
_WIDTHS[[1, 4, 8]] = True
_BITS = np.zeros(256, dtype=np.int64)
_BITS[[1, 4]] = 0xFF, 0xFFFF_FFFF

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


class Known(NamedTuple):
    """The streams with a header, by their ids in rising order: (streams,), ``sizes`` of a sample's values in bytes."""

    ids: Int64
    streams: list[WalkedStream]
    sizes: Int64


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


class _Samples(NamedTuple):
    """Chunks of numeric samples, (n,) each: ``chunk`` indexes them among all."""

    chunk: Indices
    start: Int64
    stop: Int64
    count: Int64
    size: Int64
    stamping: npt.NDArray[np.int8]

    def of(self, which: Any) -> _Samples:
        return _Samples(*(column[which] for column in self))


def take_stretch(file: FileBytes, known: Known, starts: Int64, damages: int) -> Stretch:
    """Take in the chunks that begin at ``starts``, a chain, up to the first that is not plainly right.

    The samples, texts and probes go into the streams of ``known``. ``damages`` counts the damage that the walk has met.
    """
    while len(starts):
        chunks, clean, samples = _look(file, known, starts)
        cut = int(np.argmin(clean)) if not clean.all() else len(starts)
        samples = samples.of(samples.chunk < cut)
        texts, cut = _read_texts(file, known, chunks, cut, damages)
        if not cut:
            break
        samples = samples.of(samples.chunk < cut)
        samples = samples.of(np.argsort(chunks.number[samples.chunk], kind="stable"))
        places, marks, wrong = marks_of(file, *samples[1:])
        if wrong.any():
            starts = starts[: int(samples.chunk[wrong].min())]  # once more, without it
            continue
        chunks = _Chunks(*(column[:cut] for column in chunks))
        _take_probes(file, known, chunks, samples, texts)
        usable = np.ones(cut, dtype=np.bool_)
        _take_rows(known, chunks, samples, (places, marks), usable, damages)
        for chunk, text in texts:
            if isinstance(text, TextChunk):
                usable[chunk] = known.streams[int(chunks.number[chunk])].take(text, text.count, text.stamped[0], damages)
        for chunk in np.flatnonzero(chunks.tag == STREAM_FOOTER).tolist():
            known.streams[int(chunks.number[chunk])].footer = True
        return Stretch(cut, int(chunks.stop[-1]), _spans(chunks, usable))
    return Stretch(0, 0, [])


def _look(file: FileBytes, known: Known, starts: Int64) -> tuple[_Chunks, Bools, _Samples]:
    """Read the heads of chunks; say which of them are plainly right, as far as those tell, and which are samples."""
    head = file.i64[starts]
    width = head & 0xFF
    length = (head >> 8) & _BITS[width]
    if (wide := width == 8).any():
        length[wide] = file.i64[starts[wide] + 1]  # of 2**63 and more: negative, and so not clean
    body = starts + 1 + np.minimum(width, 8)
    clean = _WIDTHS[width] & (length >= 2) & (length <= file.size - body)
    stop = np.where(clean, body + length, body)
    tag = file.u16[body].astype(np.int64)
    at = body + 2
    inside = stop - at
    stream_id = file.u32[at].astype(np.int64)
    number = np.minimum(np.searchsorted(known.ids, stream_id), len(known.ids) - 1)
    if len(known.ids):
        of_known = (known.ids[number] == stream_id) & (inside >= 4)
        size = known.sizes[number]
    else:
        of_known, size = np.zeros(len(starts), dtype=np.bool_), np.zeros(len(starts), dtype=np.int64)
    is_samples = (tag == SAMPLES) & of_known & clean & (inside >= 6)
    numeric = is_samples & (size >= 0)
    samples, right = _numeric(file, np.flatnonzero(numeric), at + 4, stop, size)
    numeric[samples.chunk[~right]] = False
    clean &= (
        numeric
        | (is_samples & (size == TEXTS) & (inside <= LARGEST))
        | ((tag == CLOCK_OFFSET) & of_known & (inside == 20))
        | ((tag == BOUNDARY) & (inside == 16) & (file.i64[at] == _MARK[0]) & (file.i64[at + 8] == _MARK[1]))
        | ((tag == STREAM_FOOTER) & of_known)
        | (tag == FILE_HEADER)
    )
    return _Chunks(starts, at + 4, stop, tag, number), clean, samples.of(right)


def _numeric(file: FileBytes, chunk: Indices, at: Int64, stop: Int64, size: Int64) -> tuple[_Samples, Bools]:
    """Read the counts of chunks of samples; say for which the length fits them, whatever their bytes say."""
    at, stop, size = at[chunk], stop[chunk], size[chunk]
    head = file.i64[at]
    width = head & 0xFF
    count = (head >> 8) & _BITS[width]
    if (wide := width == 8).any():
        count[wide] = file.i64[at[wide] + 1]
    start = at + 1 + width
    total = stop - start
    right = _WIDTHS[width] & (total >= 0) & (total <= LARGEST) & (count >= 0)
    right &= count <= total // (1 + size)
    count = np.where(right, count, 0)
    stamps, rest = np.divmod(total - count * (1 + size), STAMP_BYTES)
    right &= (rest == 0) & (stamps <= count)
    stamping = stamping_of(stamps, count, file.u8[np.minimum(start, file.size - 1)])
    return _Samples(chunk, start, stop, count, size, stamping), right


def _read_texts(
    file: FileBytes, known: Known, chunks: _Chunks, cut: int, damages: int
) -> tuple[list[tuple[int, TextChunk | LongTexts | None]], int]:
    """Read the chunks of texts before ``cut``, up to the first that is wrong; return them, and where to cut now.

    None stands for a chunk without samples.
    """
    if not (known.sizes == TEXTS).any():
        return [], cut
    found: list[tuple[int, TextChunk | LongTexts | None]] = []
    wanted = (chunks.tag[:cut] == SAMPLES) & (known.sizes[chunks.number[:cut]] == TEXTS)
    met: set[int] = set()
    for chunk in np.flatnonzero(wanted).tolist():
        number, at = int(chunks.number[chunk]), int(chunks.at[chunk])
        stream = known.streams[number]
        counted = stream.counted(file.data, at, int(chunks.stop[chunk]))
        if counted is None:
            return found, chunk
        count, start = counted
        damaged = number not in met and stream.is_after_damage(damages)
        text = text_chunk(file, start, int(chunks.stop[chunk]), count, stream.header.channel_count or 0, damaged)
        if text is None:
            return found, chunk
        if count:
            met.add(number)
            found.append((chunk, text))
    return found, cut


def _take_probes(
    file: FileBytes,
    known: Known,
    chunks: _Chunks,
    samples: _Samples,
    texts: list[tuple[int, TextChunk | LongTexts | None]],
) -> None:
    """Hand each stream its clock probes, with the number of its samples before each; before its samples are taken."""
    probes = np.flatnonzero(chunks.tag == CLOCK_OFFSET)
    if not len(probes):
        return
    probes = probes[np.argsort(chunks.number[probes], kind="stable")]
    of_probe, of_samples = chunks.number[probes], chunks.number[samples.chunk]
    for number, begin, end in _groups(of_probe):
        first, behind = np.searchsorted(of_samples, [number, number + 1])
        order, counts = samples.chunk[first:behind], samples.count[first:behind]
        own = [(chunk, text) for chunk, text in texts if chunks.number[chunk] == number and text is not None]
        if own:
            order = np.array([chunk for chunk, _ in own])
            counts = np.array([text.count for _, text in own])
        before = np.append(0, np.cumsum(counts))[np.searchsorted(order, probes[begin:end])]
        at = chunks.at[probes[begin:end]]
        stream = known.streams[number]
        stream.clock.extend(np.stack([file.f64[at], file.f64[at + 8]], axis=1).ravel().tolist())
        stream.clock_after.extend((stream.samples + before).tolist())


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
    values_at = places + 1
    values_at += marks
    behind = np.cumsum(samples.count)
    for number, begin, end in _groups(chunks.number[samples.chunk]):
        stream = known.streams[number]
        counts = samples.count[begin:end]
        first, last = int(behind[begin] - counts[0]), int(behind[end - 1])
        if first == last:
            continue
        unsure = stream.adrift or stream.is_after_damage(damages)
        filled = np.flatnonzero(counts > 0)
        stamping = samples.stamping[begin:end][filled]
        rows = Rows(
            values_at[first:last],
            None if (stamping == ALL).all() else marks[first:last] != 0,
            behind[begin:end][filled] - 1 - first,
            stream.is_after_damage(damages),
        )
        if not unsure:
            stream.take(rows, last - first, True, damages)
            continue
        # Up to the first stamp that is given, nothing tells the time.
        given = marks[behind[begin:end][filled] - counts[filled]] != 0
        lost = int(np.argmax(given)) if given.any() else len(given)
        usable[samples.chunk[begin:end][filled[:lost]]] = False
        stream.take(rows, last - first, lost < len(given), damages)


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
