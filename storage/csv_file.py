"""CSV files of signals: a header row, then one row a sample."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError

#: Larger files are refused rather than read into memory.
MAX_BYTES: Final = 512 * 1024**2
_EXACT: Final = 2**53  # float64 holds every whole number below this


@dataclass(frozen=True)
class CsvSignals:
    """The chosen columns of a CSV file.

    ``values`` is float64 (samples, columns) in the order asked for, NaN where a cell is empty.
    ``counter`` is int64 (samples,), strictly increasing, or None where no counter column was named.
    """

    columns: tuple[str, ...]
    values: npt.NDArray[np.float64]
    counter: npt.NDArray[np.int64] | None


def read_csv_signals(path: Path, columns: Sequence[str], counter: str | None = None) -> CsvSignals:
    """Read numeric ``columns`` of a comma-separated file, and its sample numbers if ``counter`` names them.

    Numbers are read exactly (correctly rounded). Raises FileFormatError where the file is missing, too
    large or ragged, lacks a column, or holds something other than finite numbers and empty cells in one.
    """
    wanted = [*columns, *([] if counter is None else [counter])]
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileFormatError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB; cut it into shorter pieces")
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = _table(csv.reader(file, skipinitialspace=True), wanted, path)
    except FileNotFoundError as error:
        raise FileFormatError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); check the disk and its rights") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} is not a text table ({str(error)[:120]}); choose another file") from error
    if counter is None:
        return CsvSignals(tuple(columns), table, None)
    return CsvSignals(tuple(columns), table[:, :-1].copy(), _counts(table[:, -1], counter, path))


def _table(rows: Iterable[list[str]], wanted: list[str], path: Path) -> npt.NDArray[np.float64]:
    """Return float64 (samples, columns) of the wanted columns."""
    rows = iter(rows)
    names = [name.strip() for name in next(rows, [])]
    places = [_place(name, names, path) for name in wanted]
    values = array("d")
    samples = 0
    for line, row in enumerate(rows, 2):
        if not row:
            continue  # a blank line, such as the last
        if len(row) != len(names):
            raise FileFormatError(
                f"{path}, line {line}: {len(row)} cells below a header of {len(names)}; it may be cut off, export it"
            )
        samples += 1
        values.extend(_number(row[place], names[place], line, path) for place in places)
    if samples == 0:
        raise FileFormatError(f"{path} holds no samples below its header; choose another file")
    return np.array(values).reshape(samples, len(places))


def _place(name: str, names: list[str], path: Path) -> int:
    found = [place for place, other in enumerate(names) if other == name]
    if not found:
        shown = ", ".join(other[:40] for other in names[:12] if other) or "nothing"
        raise FileFormatError(f"{path} has no column '{name}' (its header says {shown}); correct the column's name")
    if len(found) > 1:
        raise FileFormatError(f"{path} has several columns '{name}'; give each its own name")
    return found[0]


def _number(cell: str, name: str, line: int, path: Path) -> float:
    if not cell.strip():
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise FileFormatError(f"{path}, line {line}: '{cell[:40]}' in column '{name}' is not a number; correct it")
    return value


def _counts(numbers: npt.NDArray[np.float64], counter: str, path: Path) -> npt.NDArray[np.int64]:
    whole = np.abs(numbers) < _EXACT  # False for NaN
    whole[whole] = numbers[whole] % 1 == 0
    if not whole.all():
        raise FileFormatError(
            f"{path}, sample {int(np.argmin(whole)) + 1}: counter '{counter}' is no whole number; name another column"
        )
    counts = numbers.astype(np.int64)
    back = np.flatnonzero(np.diff(counts) <= 0)
    if back.size:
        raise FileFormatError(
            f"{path}, sample {int(back[0]) + 2}: counter '{counter}' does not increase; name another column or none"
        )
    return counts
