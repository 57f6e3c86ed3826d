"""The samples of many chunks at once, from their places: their stamps and their values."""

from __future__ import annotations

import sys
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import FileBytes, Int64
from storage.xdf_marks import STAMP_BYTES, Marks

Float64 = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

_FEW_LENGTHS: Final = 16  # of runs, that are worth to be told one after the other
_SHORT_RUN: Final = 64  # omitted stamps in a row that are told for many runs at once
_SCRATCH: Final = 96 << 10  # bytes; larger pieces of memory are fetched from the system anew each time, which is slow


class Rows(NamedTuple):
    """Samples of one stream in the order of the file.

    ``places`` (n,) are those of their first bytes in the file, ``marks`` those bytes, the number of bytes of stamp that
    follow; None where all are stamped. ``ends`` (chunks,) index the last sample of each chunk that ends here,
    ``broken`` those samples before which something of the stream is missing.
    """

    places: Int64
    marks: Marks | None
    ends: Int64
    broken: Int64


def read_values(file: FileBytes, rows: Rows, values: npt.NDArray[Any]) -> None:
    """Read the values of samples into ``values`` (n, channels), contiguous, of the stream's type."""
    size = values.dtype.itemsize * values.shape[1]
    if not size or not len(values):
        return
    if rows.marks is None:
        each, places = file.pieces(size, 1 + STAMP_BYTES), rows.places
    else:
        each, places = file.pieces(size, 1), rows.places + rows.marks
    into = values.reshape(-1).view(each.dtype)
    step = max(_SCRATCH // size, 1)
    if len(into) <= step:
        into[:] = each[places]
    else:
        for begin in range(0, len(into), step):
            into[begin : begin + step] = each[places[begin : begin + step]]
    if sys.byteorder == "big":
        values.byteswap(inplace=True)


def read_stamps(file: FileBytes, rows: Rows, last: float, interval_s: float, stamps: Float64) -> None:
    """Read the stamps of samples into ``stamps`` (n,); where omitted, one is the previous plus ``interval_s``.

    ``last`` is the stamp before them. Where damage hides that, omitted stamps are NaN up to the first given one.
    """
    if rows.marks is None:
        stamps[:] = file.stamps[rows.places]
        return
    given = np.flatnonzero(rows.marks)
    stamps[given] = file.stamps[rows.places[given]]
    fill_stamps(stamps, given, rows.broken, last, interval_s)


def fill_stamps(stamps: Float64, given: Indices, broken: Int64, last: float, interval_s: float) -> None:
    """Fill in omitted stamps, (n,), by adding the interval one after the other, so that rounding is as in a loop.

    All but those at the indices ``given`` are omitted. They are NaN from a sample of ``broken`` on, up to the first
    stamp that is given.
    """
    if len(broken):
        unknown = np.setdiff1d(broken, given)
        stamps[unknown] = np.nan
        given = np.union1d(given, unknown)
    with np.errstate(all="ignore"):  # a stamp may be any number
        lead = int(given[0]) if len(given) else len(stamps)
        if lead:
            _count_on(stamps[:lead], last, interval_s)
        if len(given):
            _fill(stamps, given, interval_s)


def _fill(stamps: Float64, given: Indices, interval_s: float) -> None:
    """Fill in what is omitted behind each given stamp."""
    steps = np.diff(given, append=len(stamps))
    edges = np.flatnonzero(np.diff(steps)) + 1
    if len(edges) <= 2 * steps.max():  # stamps at equal distances, but for a few
        for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(steps)], strict=True):
            first, step = int(given[begin]), int(steps[begin])
            if step > 1:
                _count_on_each(stamps[first : first + (end - begin) * step].reshape(-1, step), interval_s)
        return
    # Small numbers are sorted faster.
    order = np.argsort(steps.astype(np.uint16) if steps.max() < 1 << 16 else steps, kind="stable")
    edges = np.flatnonzero(np.diff(steps[order])) + 1
    if len(edges) <= max(_FEW_LENGTHS, len(steps) // _FEW_LENGTHS):
        for begin, end in zip([0, *edges.tolist()], [*edges.tolist(), len(steps)], strict=True):
            _count_on_behind(stamps, given[order[begin:end]], int(steps[order[begin]]), interval_s)
        return
    runs = steps - 1
    is_short = runs <= _SHORT_RUN
    if np.count_nonzero(is_short & (runs > 0)) < 2 * _SHORT_RUN:  # a step for all costs as much as a few in turn
        is_short[:] = False
    for run in np.flatnonzero(~is_short & (runs > 0)).tolist():
        begin = int(given[run])
        _count_on(stamps[begin + 1 : begin + 1 + int(runs[run])], float(stamps[begin]), interval_s)
    short = np.flatnonzero(is_short & (runs > 0))
    short = short[np.argsort(-runs[short], kind="stable")]
    begins, lengths = given[short], runs[short]
    now = stamps[begins]
    for step in range(1, int(lengths.max(initial=0)) + 1):
        going = int(np.searchsorted(-lengths, -step, side="right"))
        now = now[:going] + interval_s
        stamps[begins[:going] + step] = now


def _count_on_behind(stamps: Float64, given: Indices, steps: int, interval_s: float) -> None:
    """Fill in the ``steps`` - 1 stamps behind each given one."""
    if len(given) > steps:
        now = stamps[given]
        for step in range(1, steps):
            now = now + interval_s
            stamps[given + step] = now
    elif steps > 1:
        places = given[:, np.newaxis] + np.arange(steps)
        rows = np.full(places.shape, interval_s)
        rows[:, 0] = stamps[given]
        stamps[places] = np.add.accumulate(rows, axis=1)


def _count_on_each(stamps: Float64, interval_s: float) -> None:
    """Fill in rows of stamps (runs, steps), in place, of which the first of each is given."""
    if len(stamps) > stamps.shape[1]:
        for step in range(1, stamps.shape[1]):
            np.add(stamps[:, step - 1], interval_s, out=stamps[:, step])
    else:
        stamps[:, 1:] = interval_s
        np.add.accumulate(stamps, axis=1, out=stamps)


def _count_on(stamps: Float64, last: float, interval_s: float) -> None:
    stamps[:] = interval_s
    stamps[0] = last + interval_s
    np.add.accumulate(stamps, out=stamps)
