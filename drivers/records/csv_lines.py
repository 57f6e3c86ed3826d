"""Lines of numbers, as they come in pieces."""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np

from drivers.records.description import LONGEST_RECORD_BYTES, MOST_COUNTS, RecordsConfig
from drivers.records.reading import Records, Unusable

#: What a column says that has no value; what overflowed has none either.
_NONE: Final = frozenset(("", "nan", "-nan", "+nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "ovf"))
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_COUNT: Final = re.compile(r"[+-]?\d{1,20}(\.0*)?")
_ENDS: Final = re.compile(rb"[\r\n]+")


class CsvLines:
    """Reads lines that a config describes; a line that does not fit is no record, and counted.

    Lines before the first that fits are passed over without being counted: half a line, headers, a greeting.
    """

    def __init__(self, config: RecordsConfig) -> None:
        self.unusable = Unusable()
        self._separator = None if config.separator == " " else config.separator
        self._decimal_comma = config.decimal == ","
        self._comment = config.comment.encode("utf-8")
        self._width = sum(column.width for column in config.column)
        self._counter = self._time = -1
        self._values: list[int] = []
        at = 0
        for column in config.column:
            if column.role == "value":
                self._values += range(at, at + column.width)
            elif column.role == "counter":
                self._counter = at
            elif column.role == "device_time":
                self._time = at
            at += column.width
        alike = [(column, label) for column in config.column if column.role == "value" for label in column.labels]
        self._scale = np.array([column.scale for column, _ in alike])
        self._offset = np.array([column.offset for column, _ in alike])
        self._missing = np.array([math.nan if column.missing is None else column.missing for column, _ in alike])
        self._rest = b""
        self._too_long = False
        self._begun = False

    def feed(self, data: bytes) -> Records | None:
        """Return the records of the lines that ``data`` ends."""
        *lines, rest = _ENDS.split(self._rest + data)
        if self._too_long and lines:  # the end of what was given up
            lines[0], self._too_long = b"", False
        if self._too_long or len(rest) > LONGEST_RECORD_BYTES:
            self.unusable.add(rest, "is no line")
            rest, self._too_long = b"", True
        self._rest = rest
        return self._records(lines)

    def datagram(self, data: bytes) -> Records | None:
        """Return the records of a datagram's lines; the last need not be ended."""
        return self._records(_ENDS.split(data))

    def _records(self, lines: list[bytes]) -> Records | None:
        rows, counts, times = [], [], []
        for line in lines:
            if not line:
                continue
            try:
                row = self._row(line)
            except ValueError as error:
                self.unusable.add(line, str(error))
                continue
            if row is None:
                continue
            if not self._begun:
                self._begun, self.unusable = True, Unusable()
            rows.append(row[0])
            counts.append(row[1])
            times.append(row[2])
        if not rows:
            return None
        values = np.array(rows, dtype=np.float64).reshape(len(rows), len(self._values))
        values[values == self._missing] = np.nan
        return Records(
            (values + self._offset) * self._scale,
            np.array(counts, dtype=np.int64) if self._counter >= 0 else None,
            np.array(times, dtype=np.float64) if self._time >= 0 else None,
        )

    def _row(self, line: bytes) -> tuple[list[float], int, float] | None:
        """Return values, count and time of a line, None of a comment; ValueError says why it is no record."""
        if len(line) > LONGEST_RECORD_BYTES:
            raise ValueError("is no line")
        line = line.strip(b" ")
        if not line or (self._comment and line.startswith(self._comment)):
            return None
        if not line.isascii():
            raise ValueError("is no text")
        cells = [cell.strip(' \t"') for cell in line.decode("ascii").split(self._separator)]
        if len(cells) == self._width + 1 and not cells[-1]:
            cells.pop()  # a separator at the end
        if len(cells) != self._width:
            raise ValueError(f"has {len(cells)} columns, but the rig describes {self._width}")
        values = [self._number(cells[at]) for at in self._values]
        count, time = 0, math.nan
        if self._counter >= 0:
            count = _count(cells[self._counter])
        if self._time >= 0:
            time = self._number(cells[self._time])
        return values, count, time

    def _number(self, cell: str) -> float:
        if self._decimal_comma:
            cell = cell.replace(",", ".")
        if _NUMBER.fullmatch(cell):
            number = float(cell)
            return number if math.isfinite(number) else math.nan
        if cell.lower() in _NONE:
            return math.nan
        raise ValueError(f"has '{cell[:20]}' where a number should be")


def _count(cell: str) -> int:
    if not _COUNT.fullmatch(cell) or abs(count := int(cell.partition(".")[0])) >= MOST_COUNTS:
        raise ValueError(f"has '{cell[:20]}' where the count should be")
    return count
