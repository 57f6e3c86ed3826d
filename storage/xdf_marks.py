"""Which samples of chunks carry a stamp, and where each one lies.

A sample is one byte, its mark (0 or 8), that many bytes of stamp, then its values. Since every value of a numeric
stream has the same size, the length of a chunk tells how many of its samples carry a stamp. Where all do, none does,
or the first alone does, that tells their places as well. Of any other mixture the marks are supposed, as devices that
send packets of one size lead to, or searched for; then the places follow from the marks, and the bytes there must be
those marks. If they are, from the first sample to the last, no other marks are possible.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import FileBytes, Int64

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Marks = npt.NDArray[np.uint8]

#: Which samples of a chunk carry a stamp.
ALL, FIRST, NONE, MIXED = range(4)

STAMP_BYTES: Final = 8
_OTHER: Final = {0: b"\x08", STAMP_BYTES: b"\x00"}
_RUNS: Final = {0: b"\x00", STAMP_BYTES: b"\x08"}
_LEAP: Final = 4  # samples of one kind in a row, from which on the end of the run is looked for
_LEAST_REACH, _LONGEST_REACH = 16, 4_096  # samples among which it is looked for at once
_MOST_STAMPS: Final = 16  # in a pattern that repeats
_LONGEST_CYCLE: Final = 4_096  # samples of such a pattern
_MOST_MISSES: Final = 4  # chunks of a stream without a pattern, from which on none is looked for
_LANES: Final = 100  # a step for many chunks at once costs as much as so many samples in turn
_CHUNK_COST: Final = 0.2  # of a step, to suppose the marks of one chunk


def stamping_of(stamps: Int64, counts: Int64, first_marks: Marks) -> npt.NDArray[np.int8]:
    """Return which samples of each chunk carry a stamp, by how many do and by its first byte."""
    one = (stamps == 1) & (first_marks == STAMP_BYTES)
    return np.select([stamps == counts, stamps == 0, one], [ALL, NONE, FIRST], MIXED).astype(np.int8)


class _Chunks(NamedTuple):
    """Whole chunks of numeric samples, all (chunks,): ``before`` counts the samples of the chunks before each."""

    starts: Int64
    stops: Int64
    counts: Int64
    sizes: Int64
    before: Int64

    def places(self, marks: Marks) -> Int64:
        """Return where each sample begins if these are the marks, (samples,)."""
        if not len(marks):
            return np.zeros(0, dtype=np.int64)
        lengths = np.repeat(1 + self.sizes, self.counts)
        lengths += marks
        places = np.cumsum(lengths)
        places -= lengths
        del lengths  # what is not held costs no memory anew
        begun = places[np.minimum(self.before, len(marks) - 1)]
        places += np.repeat(self.starts - begun, self.counts)
        return places

    def of(self, which: Indices) -> _Chunks:
        """Return some of the chunks."""
        return _Chunks(*(column[which] for column in self))

    def of_samples(self, samples: Indices) -> Indices:
        """Return the chunk of each of these samples."""
        return np.searchsorted(self.before, samples, side="right") - 1


def marks_of(
    file: FileBytes,
    starts: Int64,
    stops: Int64,
    counts: Int64,
    sizes: Int64,
    stamping: npt.NDArray[np.int8],
    streams: Indices,
    habits: Habits,
) -> tuple[Int64, Marks, Bools]:
    """Find the samples of whole chunks whose samples fill the bytes from ``starts`` to ``stops``.

    All of (chunks,), the chunks of a stream in a row; ``sizes`` are those of a sample's values in bytes, ``streams``
    any numbers that tell streams apart. ``habits`` are those of the streams by these numbers, {} before the first
    chunks. Returns the place of each sample's first byte and that byte, (samples,), and which chunks contradict
    themselves, (chunks,).
    """
    behind = np.cumsum(counts)
    chunks = _Chunks(starts, stops, counts, sizes, behind - counts)
    wrong = np.zeros(len(starts), dtype=np.bool_)
    if (stamping == ALL).all():
        strides = 1 + STAMP_BYTES + sizes
        places = np.arange(int(behind[-1]) if len(behind) else 0)
        places *= np.repeat(strides, counts)
        places += np.repeat(starts - chunks.before * strides, counts)
        marks = file.u8[places]
        bad = marks != STAMP_BYTES
    else:
        marks = np.repeat(np.where(stamping == ALL, STAMP_BYTES, 0).astype(np.uint8), counts)
        marks[chunks.before[stamping == FIRST]] = STAMP_BYTES
        mixed = np.flatnonzero(stamping == MIXED)
        supposed = _suppose(file, chunks, mixed, streams, habits, marks, wrong) if len(mixed) else mixed
        places = chunks.places(marks)
        bad = file.u8[places] != marks
        if len(supposed) and bad.any():
            again = np.intersect1d(chunks.of_samples(np.flatnonzero(bad)), supposed)
            if len(again):
                for stream in set(streams[again].tolist()):
                    habits.pop(stream, None)
                _search(file, chunks, again, marks, wrong)
                places = chunks.places(marks)
                bad = file.u8[places] != marks
    if bad.any():
        wrong[chunks.of_samples(np.flatnonzero(bad))] = True
    return places, marks, wrong


class Habit:
    """How a stream's stamps lie: its marks go round in ``cycle``, which began at sample ``origin``; a mere guess."""

    def __init__(self) -> None:
        self.cycle = b""
        self.origin = self.restart = self.misses = 0

    def learn(self, marks: bytes, first: int) -> None:
        """See the marks of the chunk whose first sample is ``first``."""
        begin = behind = marks.find(STAMP_BYTES)
        for _ in range(_MOST_STAMPS):
            behind = marks.find(STAMP_BYTES, behind + 1, begin + _LONGEST_CYCLE)
            if behind < 0:
                break
            if 2 * behind - begin > len(marks):  # not seen twice
                break
            if marks[behind:] == marks[begin : begin + len(marks) - behind]:
                self.cycle = marks[begin:behind]
                self.origin = first + begin
                self.restart = -begin % len(self.cycle)
                return
        self.misses += 1

    def suppose(self, file: FileBytes, chunk: tuple[int, int, int, int], first: int) -> bytes:
        """Return the marks of a chunk (start, stop, count, size), empty where no such ones fit."""
        start, stop, count, size = chunk
        stamps = (stop - start - count * (1 + size)) // STAMP_BYTES
        if not self.cycle or not stamps:
            return b""
        for origin in (self.origin, first - self.restart):
            marks = self.marks(first - origin, count)
            if marks.count(STAMP_BYTES) != stamps:
                continue
            before, behind = marks.find(STAMP_BYTES), count - marks.rfind(STAMP_BYTES)
            if (
                file.data[start + before * (1 + size)] == STAMP_BYTES
                and file.data[stop - STAMP_BYTES - behind * (1 + size)] == STAMP_BYTES
            ):
                self.origin = origin
                self.misses = 0
                return marks
        return b""

    def marks(self, first: int, count: int) -> bytes:
        """Return the marks of ``count`` samples, the first of them ``first`` samples behind one that began a cycle."""
        if not self.cycle:
            return b""
        phase = first % len(self.cycle)
        return (self.cycle * (count // len(self.cycle) + 2))[phase : phase + count]


Habits = dict[int, Habit]


def _suppose(
    file: FileBytes, chunks: _Chunks, mixed: Indices, streams: Indices, habits: Habits, marks: Marks, wrong: Bools
) -> Indices:
    """Fill in the marks of mixed chunks, and which are wrong; return those whose marks are merely likely."""
    if int(chunks.counts[mixed].max()) < _CHUNK_COST * len(mixed):
        _search(file, chunks, mixed, marks, wrong)
        return mixed[:0]
    begins = np.append(0, np.flatnonzero(np.diff(streams)) + 1)
    numbers = np.diff(begins, append=len(streams)).tolist()
    firsts = np.append(chunks.before[begins], len(marks)).tolist()
    edges = np.append(mixed.searchsorted(begins), len(mixed)).tolist()
    supposed: list[int] = []
    rest: list[int] = []
    for place, stream in enumerate(streams[begins].tolist()):
        own, first, behind = mixed[edges[place] : edges[place + 1]], firsts[place], firsts[place + 1]
        if not len(own) and stream not in habits:
            continue
        habit = habits.setdefault(stream, Habit())
        if len(own) == numbers[place] and _suppose_all(chunks.of(own), habit, marks[first:behind]):
            supposed += own.tolist()
        elif len(own):
            _suppose_each(file, chunks, own, habit, (first, marks), wrong, supposed, rest)
        habit.origin -= behind - first  # counts from the first sample that comes next
    if rest:
        _search(file, chunks, np.array(rest), marks, wrong)
    return np.array(supposed, dtype=np.intp)


def _suppose_all(chunks: _Chunks, habit: Habit, marks: Marks) -> bool:
    """Fill in ``marks`` of all chunks of a stream as if they went on as before, if as many stamps result for each."""
    likely = np.frombuffer(habit.marks(-habit.origin, len(marks)), dtype=np.uint8)
    if not len(likely):
        return False
    stamp_bytes = chunks.stops - chunks.starts - chunks.counts * (1 + chunks.sizes)
    if (np.add.reduceat(likely, chunks.before - chunks.before[0], dtype=np.int64) != stamp_bytes).any():
        return False
    marks[:] = likely
    return True


def _suppose_each(
    file: FileBytes,
    chunks: _Chunks,
    own: Indices,
    habit: Habit,
    found: tuple[int, Marks],
    wrong: Bools,
    supposed: list[int],
    rest: list[int],
) -> None:
    """Fill in the marks of the chunks ``own`` of one stream, or append them to ``rest``.

    Those whose marks are merely likely are appended to ``supposed``. ``found`` are the stream's first sample, and the
    marks.
    """
    begun, marks = found
    habit.misses = 0
    columns = (own, *(column[own] for column in chunks))
    for index, start, stop, count, size, before in zip(*(c.tolist() for c in columns), strict=True):
        if habit.misses >= _MOST_MISSES:
            rest.append(index)
            continue
        known = habit.suppose(file, (start, stop, count, size), before - begun)
        if known:
            supposed.append(index)
        else:
            known, end = _walk(file.data[start:stop], count, size)
            if len(known) != count or end != stop - start:
                wrong[index] = True
                habit.misses += 1
                continue
            habit.learn(known, before - begun)
        marks[before : before + count] = np.frombuffer(known, dtype=np.uint8)


def _search(file: FileBytes, chunks: _Chunks, wanted: Indices, marks: Marks, wrong: Bools) -> None:
    """Find the marks of some chunks, whatever they are, and which of these are wrong; those then have marks of 0."""
    counts = chunks.counts[wanted]
    if counts.sum() > _LANES * counts.max():
        _search_side_by_side(file, chunks, wanted[np.argsort(-counts, kind="stable")], marks, wrong)
        return
    for index in wanted.tolist():
        start, stop, count = int(chunks.starts[index]), int(chunks.stops[index]), int(chunks.counts[index])
        found, end = _walk(file.data[start:stop], count, int(chunks.sizes[index]))
        wrong[index] = len(found) != count or end != stop - start
        first = int(chunks.before[index])
        marks[first : first + count] = 0 if wrong[index] else np.frombuffer(found, dtype=np.uint8)


def _search_side_by_side(file: FileBytes, chunks: _Chunks, wanted: Indices, marks: Marks, wrong: Bools) -> None:
    """Find the marks of some chunks, the longest first: those of their first samples, then of their second ones."""
    at, counts, strides = chunks.starts[wanted], chunks.counts[wanted], 1 + chunks.sizes[wanted]
    first, right = chunks.before[wanted], np.ones(len(wanted), dtype=np.bool_)
    # How many chunks have more samples than each step.
    going = len(wanted) - np.searchsorted(counts[::-1], np.arange(int(counts[0])), side="right")
    last = file.size - 1
    for step, alive in enumerate(going.tolist()):
        found = file.u8[np.minimum(at[:alive], last)]
        right[:alive] &= (found == 0) | (found == STAMP_BYTES)
        marks[first[:alive] + step] = found
        at[:alive] += strides[:alive] + found
    right &= at == chunks.stops[wanted]
    wrong[wanted] = ~right
    for index in wanted[~right].tolist():
        marks[int(chunks.before[index]) : int(chunks.before[index] + chunks.counts[index])] = 0


def whole_samples(raw: bytes, count: int, size: int) -> tuple[Int64, int]:
    """Go through at most ``count`` samples, stamped or not; ``size`` is that of a sample's values in bytes.

    Returns the place in ``raw`` of the first byte of each whole one, fewer than ``count`` where they end or go wrong,
    and where the next one would begin.
    """
    found, _ = _walk(raw, count, size)
    marks = np.frombuffer(found, dtype=np.uint8)
    behind = np.cumsum(marks + np.int64(1 + size))
    places = np.append(0, behind)
    bad = np.flatnonzero(np.frombuffer(raw, dtype=np.uint8)[places[:-1]] != marks)
    whole = int(bad[0]) if len(bad) else len(marks)
    return places[:whole], int(places[whole])


def _walk(raw: bytes, count: int, size: int) -> tuple[bytes, int]:
    """Search for the marks of at most ``count`` samples; of a long run, only that one which ends it is looked at.

    Returns them and where the next sample would begin. The time is bounded by a constant for a sample.
    """
    marks = bytearray()
    add = marks.append
    place, end, kind = 0, len(raw), -1
    same = enough = stride = 0
    usual = {0: 0, STAMP_BYTES: 0}  # how many samples the last leap over this kind took
    while count and place < end:
        mark = raw[place]
        if mark != kind:
            if mark not in usual:
                break
            kind, same, stride = mark, 0, 1 + mark + size
            enough = 0 if usual[mark] >= _LEAP else _LEAP
        if same < enough:
            same += 1
            count -= 1
            place += stride
            add(mark)
            continue
        most = min(count, (end - place) // stride)
        near = min(most, max(2 * usual[mark], _LEAST_REACH), _LONGEST_REACH)
        if not near:
            break
        number = 1 + raw[place + stride : place + near * stride : stride].find(_OTHER[mark]) or near
        usual[mark] = 2 * near if number == near < most else number
        marks += _RUNS[mark] * number
        count -= number
        place += number * stride
    if place > end:  # the last one is not whole
        del marks[-1]
        place -= stride
    return bytes(marks), place
