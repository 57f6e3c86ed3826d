"""Any table of numbers as text: comma, semicolon or tab, with a header or without, whatever its columns are."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError

if TYPE_CHECKING:
    import pandas as pd

#: Larger files are refused rather than read into memory.
MAX_BYTES: Final = 1024**3
_MAX_COLUMNS: Final = 5_000
_MAX_CELLS: Final = 2**28
_LOOKED_AT: Final = 256 * 1024
#: Lines of anything else that may stand above the table.
_MAX_PREAMBLE: Final = 60
_DELIMITERS: Final = (",", ";", "\t", r"\s+")
#: Larger numbers are those of no sensor, and would overflow where they are squared.
_LARGEST: Final = 1e100
_ADVICE: Final = "export it as a plain table of numbers with a header row"


@dataclass(frozen=True)
class CsvTable:
    """All columns of a table that hold numbers.

    ``values`` float64 (rows, columns), NaN where a cell is empty or no finite number; ``columns`` are their names, as
    the header says them, or ``column 1`` and so on. ``left_out`` names the columns that hold no numbers.
    """

    columns: tuple[str, ...]
    values: npt.NDArray[np.float64]
    left_out: tuple[str, ...] = ()


def read_csv_table(path: Path) -> CsvTable:
    """Read a table of numbers.

    Above the header there may be lines of other text, such as a recorder's. Decimal commas are understood where a
    semicolon or a tab parts the cells. Raises FileFormatError where the file is missing, too large, or no such table.
    """
    head, size = _head(path)
    lines = head.splitlines()
    if size > len(head) and len(lines) > 1:
        lines = lines[:-1]  # the last one was cut
    if not any(line.strip() for line in lines):
        raise FileFormatError(f"{path} is empty; choose another file")
    delimiter, first, comma = _layout(lines, path)
    names, skipped = _names(lines, first, delimiter)
    if len(names) > _MAX_COLUMNS:
        raise FileFormatError(f"{path} has {len(names)} columns, more than {_MAX_COLUMNS}; export fewer")
    frame = _frame(path, delimiter, skipped, len(names), decimal="," if comma else ".")
    return _table(frame, names, path)


def _head(path: Path) -> tuple[str, int]:
    """Return the beginning of a file as text, and the file's size in bytes."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise FileFormatError(f"{path} is larger than {MAX_BYTES // 1024**3} GiB; cut it into shorter pieces")
        with path.open("rb") as file:
            data = file.read(_LOOKED_AT)
    except FileNotFoundError as error:
        raise FileFormatError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); check the disk and its rights") from error
    if b"\0" in data:
        raise FileFormatError(f"{path} is not a text table; {_ADVICE}")
    return data.decode("utf-8-sig", errors="replace"), size


def _layout(lines: list[str], path: Path) -> tuple[str, int, bool]:
    """Return what parts the cells, the index of the first row of numbers, and whether decimals have a comma."""
    best: tuple[tuple[float, int], str, int, bool] | None = None
    for delimiter in _DELIMITERS:
        for comma in (False, True) if delimiter != "," else (False,):
            rows = [_numeric(line, delimiter, comma=comma) for line in lines[: _MAX_PREAMBLE + 20]]
            for first, (width, share) in enumerate(rows[: _MAX_PREAMBLE + 1]):
                # The table is where as many cells follow in each of the next lines.
                if width > 0 and all(other in (width, -1) for other, _ in rows[first : first + 3]):
                    if best is None or (share, width) > best[0]:
                        best = ((share, width), delimiter, first, comma)
                    break
    if best is None:
        raise FileFormatError(f"{path} holds no table of numbers (looked at its first lines); {_ADVICE}")
    _, delimiter, first, comma = best
    return delimiter, first, comma


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line."""
    if len(delimiter) > 1:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _numeric(line: str, delimiter: str, *, comma: bool) -> tuple[int, float]:
    """Return the count of cells of a line of a table and the part of them that are numbers; 0 if less than half are.

    The count is -1 for a blank line.
    """
    if not line.strip():
        return -1, 0.0
    cells = _cells(line.rstrip("\r\n"), delimiter)
    numbers = 0
    for cell in cells:
        try:
            float(cell.replace(",", ".") if comma else cell)
        except ValueError:
            continue
        numbers += 1
    filled = sum(1 for cell in cells if cell)
    return (len(cells), numbers / filled) if numbers and 2 * numbers >= filled else (0, 0.0)


def _names(lines: list[str], first: int, delimiter: str) -> tuple[list[str], int]:
    """Return the columns' names, and how many lines stand above the first row."""
    width = len(_cells(lines[first], delimiter))
    above = next((line for line in reversed(lines[:first]) if line.strip()), "")
    names = _cells(above.lstrip("#% "), delimiter) if above else []
    if above and len(names) == width + 1 and not names[-1]:
        names = names[:-1]
    if len(names) != width:
        names = [""] * width
    return [name or f"column {number}" for number, name in enumerate(names, 1)], first


def _frame(path: Path, delimiter: str, skipped: int, columns: int, *, decimal: str) -> pd.DataFrame:
    import pandas as pd

    try:
        with path.open("rb") as file:
            for _ in range(skipped):
                file.readline()
            text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
            return pd.read_csv(
                text,
                sep=delimiter,
                header=None,
                names=range(columns),
                usecols=range(columns),
                index_col=False,
                decimal=decimal,
                skipinitialspace=True,
                skip_blank_lines=True,
                low_memory=False,
                nrows=_MAX_CELLS // max(1, columns) + 1,
                encoding_errors="replace",
            )
    except pd.errors.EmptyDataError as error:
        raise FileFormatError(f"{path} holds no samples below its header; choose another file") from error
    except (ValueError, pd.errors.ParserError, OverflowError, csv.Error) as error:
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise FileFormatError(f"{path} is no whole table ({said}); {_ADVICE}") from error
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}); check the disk and its rights") from error


def _table(frame: pd.DataFrame, names: list[str], path: Path) -> CsvTable:
    import pandas as pd

    if frame.shape[0] * frame.shape[1] > _MAX_CELLS:
        raise FileFormatError(f"{path} holds more than {_MAX_CELLS} cells; cut it into shorter pieces")
    if frame.shape[0] == 0:
        raise FileFormatError(f"{path} holds no samples below its header; choose another file")
    columns, kept, left_out = [], [], []
    for place, name in enumerate(names):
        column = frame[place]
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            numbers = pd.to_numeric(column, errors="coerce")
            if int(numbers.notna().sum()) * 2 < int(column.notna().sum()):
                left_out.append(name)
                continue
            column = numbers
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        columns.append(np.where(np.abs(values) < _LARGEST, values, np.nan))
        kept.append(name)
    if not columns:
        raise FileFormatError(f"{path} has no column of numbers; {_ADVICE}")
    return CsvTable(tuple(kept), np.stack(columns, axis=1), tuple(left_out))
