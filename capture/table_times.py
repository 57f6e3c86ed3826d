"""The times of a table's rows: a column of its own, or a rate that somebody says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError, RequestError

Float64 = npt.NDArray[np.float64]

_TIME: Final = re.compile(
    r"(?i)\s*(?:time|t|times?[ _-]?stamps?|x|seconds|secs?|elapsed|frame[ _-]?time|host[ _-]?time|session[ _-]?time)"
    r"\s*(?:[ _\[(.-]+\s*(ns|nanoseconds|us|µs|microseconds|ms|msec|milliseconds|s|sec|seconds)\s*[\])]?)?\s*"
)
_COUNTER: Final = re.compile(r"(?i)\s*(?:n?seq|(?:frame|sample|index|row|counter|count|#|no)\b.*|sample_counter)\s*")
_FACTORS: Final = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "mi": 1e-6, "m": 1e-3, "s": 1.0}
#: Times since 1970 in these units, and since the start with so long a step, are no seconds.
_EPOCHS: Final = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))


@dataclass(frozen=True)
class TimedColumns:
    """Columns of a table that share a column of times.

    ``rows`` (n,) are those rows that have a time, ``time_s`` (n,) increases strictly; ``columns`` are indices.
    """

    time_s: Float64
    rows: npt.NDArray[np.intp]
    columns: tuple[int, ...]


def timed_columns(
    names: tuple[str, ...], values: Float64, rate_hz: float | None, path: str
) -> tuple[list[TimedColumns], str]:
    """Return the columns of a table with their times, and in words whose clock that is.

    Of several columns of times each counts for those to its right. Counters are neither. Raises RequestError where
    there is no column of times and no rate, FileFormatError where times do not increase.
    """
    timed = [column for column, name in enumerate(names) if is_time(name)]
    # A column "x" is a time only beside a unit; a bare one is a coordinate.
    counters = {column for column, name in enumerate(names) if _is_counter(name, values[:, column])}
    others = [column for column in range(len(names)) if column not in timed and column not in counters]
    if rate_hz is not None:
        return [
            TimedColumns(np.arange(len(values)) / rate_hz, np.arange(len(values)), tuple(others))
        ], f"the rows at {rate_hz:g} Hz, from 0 s"
    if not timed:
        shown = ", ".join(name[:40] for name in names[:8])
        raise RequestError(f"{path} has no column of times (its columns are {shown}); say its rate in Hz with --rate")
    groups = []
    for place, column in enumerate(timed):
        until = timed[place + 1] if place + 1 < len(timed) else len(names)
        own = [other for other in others if column < other < until or (place == 0 and other < column)]
        if own:
            time_s, rows = _seconds(values[:, column], names[column], path)
            groups.append(TimedColumns(time_s, rows, tuple(own)))
    return groups, f"the file's column '{names[timed[0]]}'"


def is_time(name: str) -> bool:
    """Whether a column's name says that it holds times."""
    match = _TIME.fullmatch(name)
    return match is not None and (name.strip().lower() != "x")


def _is_counter(name: str, column: Float64) -> bool:
    """Whether a column counts the rows: by its name, and because it does."""
    if not _COUNTER.fullmatch(name):
        return False
    finite = column[np.isfinite(column)]
    return finite.size < 2 or bool(np.all(np.diff(finite) >= 0))


def _seconds(column: Float64, name: str, path: str) -> tuple[Float64, npt.NDArray[np.intp]]:
    """Return times in seconds and the rows that have one; rows of the same time are spread up to the next."""
    rows = np.flatnonzero(np.isfinite(column))
    stamps = column[rows]
    back = np.flatnonzero(np.diff(stamps) < 0)
    if back.size:
        raise FileFormatError(
            f"{path}: the times in column '{name}' go back below row {int(rows[back[0]]) + 1}; correct them, or say"
            " the rate with --rate"
        )
    if rows.size < 2 or stamps[-1] <= stamps[0]:
        raise FileFormatError(f"{path}: the times in column '{name}' do not increase; say the rate with --rate")
    first = np.flatnonzero(np.diff(stamps, prepend=stamps[0] - 1) > 0)
    if first.size < stamps.size:
        step = float(np.median(np.diff(stamps[first]))) / max(1.0, float(np.median(np.diff(first))))
        ends = np.append(first, stamps.size)
        # The last stamp's rows go on as the others did.
        known = np.append(stamps[first], stamps[-1] + step * (ends[-1] - ends[-2]))
        stamps = np.interp(np.arange(stamps.size), ends, known)
    time_s = stamps * _factor(name, stamps)
    if not bool(np.all(np.diff(time_s) > 0)):  # so small beside their size that they are one number
        raise FileFormatError(f"{path}: the times in column '{name}' are too close together; say the rate with --rate")
    return time_s, rows


def _factor(name: str, stamps: Float64) -> float:
    match = _TIME.fullmatch(name)
    unit = (match[1] or "").lower() if match is not None else ""
    if unit:
        return next(_FACTORS[start] for start in ("n", "u", "µ", "mi", "m", "s") if _starts(unit, start))
    for least, factor in _EPOCHS:
        if abs(float(stamps[0])) > least:
            return factor
    step = float(np.median(np.diff(stamps)))
    # A sample a second or slower shows no repetition: such steps are in a smaller unit.
    return 1.0 if step < 1 else 1e-3 if step <= 500 else 1e-6


def _starts(unit: str, start: str) -> bool:
    if start == "mi":
        return unit.startswith("micro")
    return unit.startswith(start)
