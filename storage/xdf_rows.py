"""The samples of many chunks at once: where each one lies, whether it carries a stamp, and its values.

A sample is one byte (0 or 8), that many bytes of stamp, then its values. Since every value of a numeric stream has the
same size, the length of a chunk tells how many of its samples carry a stamp. Where all do, none does, or the first
alone does, the places of all samples follow by arithmetic; a chunk of any other mixture is gone through.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import FileBytes, Int64

Float64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Which samples of a chunk carry a stamp.
ALL, FIRST, NONE, MIXED = range(4)

STAMP_BYTES: Final = 8
_SHORT_RUN: Final = 64  # omitted stamps in a row that are told for many runs at once
_SAME_BEFORE_LEAP: Final = 4  # samples of one kind in a row, after which more of them are looked for at once
_LONGEST_LEAP: Final = 4_096
_SCRATCH: Final = 96 << 10  # bytes; larger pieces of memory are fetched from the system anew each time, which is slow


class Rows(NamedTuple):
    """Samples of one stream in the order of the file.

    ``values_at`` (n,) are the places of their values in the file; a stamp lies right before them where ``stamped``,
    which is None where all are. ``ends`` (chunks,) index the last sample of each chunk that ends here, ``broken`` those
    samples before which something of the stream is missing.
    """

    values_at: Int64
    stamped: Bools | None
    ends: Int64
    broken: Int64


def stamping_of(stamps: Int64, counts: Int64, first_marks: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Return which samples of each chunk carry a stamp, by how many do and by its first byte."""
    one = (stamps == 1) & (first_marks == STAMP_BYTES)
    return np.select([stamps == counts, stamps == 0, one], [ALL, NONE, FIRST], MIXED).astype(np.int8)


def marks_of(
    file: FileBytes, starts: Int64, stops: Int64, counts: Int64, sizes: Int64, stamping: npt.NDArray[np.int8]
) -> tuple[Int64, npt.NDArray[np.uint8], Bools]:
    """Find the samples of whole chunks whose samples fill the bytes from ``starts`` to ``stops``.

    All of (chunks,); ``sizes`` are those of a sample's values in bytes. Returns the place of each sample's first byte
    and that byte, (samples,), and which chunks contradict themselves, (chunks,).
    """
    behind = np.cumsum(counts)
    before = behind - counts
    total = int(behind[-1]) if len(behind) else 0
    wrong = np.zeros(len(starts), dtype=np.bool_)
    places = np.arange(total)
    if (stamping == ALL).all():
        strides = 1 + STAMP_BYTES + sizes
        places *= np.repeat(strides, counts)
        places += np.repeat(starts - before * strides, counts)
        marks = file.u8[places]
        bad = marks != STAMP_BYTES
    else:
        strides = 1 + sizes + np.where(stamping == ALL, STAMP_BYTES, 0)
        lead = np.where(stamping == FIRST, STAMP_BYTES, 0)
        places *= np.repeat(strides, counts)
        places += np.repeat(starts + lead - before * strides, counts)
        firsts = before[stamping == FIRST]
        places[firsts] -= STAMP_BYTES
        mixed = np.flatnonzero(stamping == MIXED)
        if len(mixed):
            _place_mixed(file, places, before, wrong, mixed, (starts, stops, counts, sizes))
        marks = file.u8[places]
        expected = np.repeat(np.where(stamping == ALL, STAMP_BYTES, 0).astype(np.uint8), counts)
        expected[firsts] = STAMP_BYTES
        bad = marks != expected
        if len(mixed):
            bad &= np.repeat(stamping != MIXED, counts)  # these were gone through
    if bad.any():
        wrong[np.searchsorted(before, np.flatnonzero(bad), side="right") - 1] = True
    return places, marks, wrong


def _place_mixed(
    file: FileBytes,
    places: Int64,
    before: Int64,
    wrong: Bools,
    mixed: npt.NDArray[np.intp],
    chunks: tuple[Int64, Int64, Int64, Int64],
) -> None:
    """Fill in the places of the samples of chunks that are stamped in no simple way; say which are wrong."""
    starts, stops, counts, sizes = chunks
    small = mixed[counts[mixed] <= _SHORT_RUN]
    if counts[small].sum() > 100 * counts[small].max(initial=0):  # a step for all of them costs as much as 100 in turn
        mixed = mixed[counts[mixed] > _SHORT_RUN]
        small = small[np.argsort(-counts[small], kind="stable")]
        at, right = starts[small], np.ones(len(small), dtype=np.bool_)
        last = file.size - 1
        for step in range(int(counts[small[0]])):
            going = int(np.count_nonzero(counts[small] > step))
            here = np.minimum(at[:going], last)
            marks = file.u8[here]
            right[:going] &= (marks == 0) | (marks == STAMP_BYTES)
            places[before[small[:going]] + step] = here
            at[:going] += 1 + sizes[small[:going]] + marks
        wrong[small] = ~right | (at != stops[small])
    for chunk in mixed.tolist():
        start, count = int(starts[chunk]), int(counts[chunk])
        raw = file.data[start : int(stops[chunk])]
        found, end = mixed_places(raw, count, int(sizes[chunk]))
        if len(found) == count and end == len(raw):
            places[before[chunk] : before[chunk] + count] = found + start
        else:
            wrong[chunk] = True
            places[before[chunk] : before[chunk] + count] = start


def mixed_places(raw: bytes, count: int, size: int) -> tuple[Int64, int]:
    """Go through at most ``count`` samples, stamped or not; ``size`` is that of a sample's values in bytes.

    Returns the place in ``raw`` of the first byte of each whole one, fewer than ``count`` where they end or go wrong,
    and where the next one would begin. Takes runs of samples of one kind at once, so that the time is bounded by a
    constant for a sample, and is far less where stamps are few.
    """
    begins, numbers, strides = [], [], []
    place = found = same = 0
    kind = -1
    end = len(raw)
    while found < count and place < end:
        mark = raw[place]
        if mark not in (0, STAMP_BYTES):
            break
        stride = 1 + mark + size
        if place + stride > end:
            break
        same = same + 1 if mark == kind else 1
        kind, number = mark, 1
        if same >= _SAME_BEFORE_LEAP:
            most = min(count - found, (end - place) // stride)
            number = _alike(raw, place, mark, stride, most)
            same = 0
        begins.append(place)
        numbers.append(number)
        strides.append(stride)
        found += number
        place += number * stride
    each = np.array(numbers, dtype=np.int64)
    behind = np.arange(found) - np.repeat(np.cumsum(each) - each, each)
    return np.repeat(np.array(begins, dtype=np.int64), each) + behind * np.repeat(
        np.array(strides, np.int64), each
    ), place


def _alike(raw: bytes, place: int, mark: int, stride: int, most: int) -> int:
    """Return how many samples from ``place`` on, one at least and ``most`` at most, begin with ``mark``."""
    number, reach = 0, 16
    wanted = bytes((mark,))
    while number < most:
        step = min(reach, most - number)
        at = place + number * stride
        seen = raw[at : at + step * stride : stride]
        alike = len(seen) - len(seen.lstrip(wanted))
        number += alike
        if alike < len(seen):
            break
        reach = min(4 * reach, _LONGEST_LEAP)
    return number


def read_values(file: FileBytes, rows: Rows, values: npt.NDArray[Any]) -> None:
    """Read the values of samples into ``values`` (n, channels), contiguous, of the stream's type."""
    size = values.dtype.itemsize * values.shape[1]
    if not size:
        return
    stored = values.dtype.newbyteorder("<")
    each = file.each(np.dtype(f"V{size}"))
    step = max(_SCRATCH // size, 1)
    for begin in range(0, len(values), step):
        found = each[rows.values_at[begin : begin + step]]
        values[begin : begin + step] = found.view(stored).reshape(-1, values.shape[1])


def read_stamps(file: FileBytes, rows: Rows, last: float, interval_s: float, stamps: Float64) -> None:
    """Read the stamps of samples into ``stamps`` (n,); where omitted, one is the previous plus ``interval_s``.

    ``last`` is the stamp before them. Where damage hides that, omitted stamps are NaN up to the first given one.
    """
    if rows.stamped is None:
        stamps[:] = file.f64[rows.values_at - STAMP_BYTES]
        return
    stamps[rows.stamped] = file.f64[rows.values_at[rows.stamped] - STAMP_BYTES]
    fill_stamps(stamps, rows.stamped, rows.broken, last, interval_s)


def fill_stamps(stamps: Float64, stamped: Bools, broken: Int64, last: float, interval_s: float) -> None:
    """Fill in omitted stamps, (n,), by adding the interval one after the other, so that rounding is as in a loop.

    They are NaN from a sample of ``broken`` on, up to the first stamp that is given.
    """
    if len(broken):
        unknown = broken[~stamped[broken]]
        stamped = stamped.copy()
        stamps[unknown], stamped[unknown] = np.nan, True
    with np.errstate(all="ignore"):  # a stamp may be any number
        _fill(stamps, stamped, last, interval_s)


def _fill(stamps: Float64, stamped: Bools, last: float, interval_s: float) -> None:
    given = np.flatnonzero(stamped)
    lead = int(given[0]) if len(given) else len(stamps)
    if lead:
        _count_on(stamps[:lead], last, interval_s)
    runs = np.diff(np.append(given, len(stamps))) - 1
    for run in np.flatnonzero(runs > _SHORT_RUN).tolist():
        begin = int(given[run])
        _count_on(stamps[begin + 1 : begin + 1 + int(runs[run])], float(stamps[begin]), interval_s)
    short = np.flatnonzero((runs > 0) & (runs <= _SHORT_RUN))
    short = short[np.argsort(-runs[short], kind="stable")]
    begins, lengths = given[short], runs[short]
    now = stamps[begins]
    for step in range(1, int(lengths.max(initial=0)) + 1):
        going = int(np.searchsorted(-lengths, -step, side="right"))
        now = now[:going] + interval_s
        stamps[begins[:going] + step] = now


def _count_on(stamps: Float64, last: float, interval_s: float) -> None:
    stamps[:] = interval_s
    stamps[0] = last + interval_s
    np.add.accumulate(stamps, out=stamps)
