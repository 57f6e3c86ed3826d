"""The tables of a dataset as rows, and what stands in a take's rows as the words of lab."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lab.aligned import StreamReport
from lab.errors import LayoutError, RequestError
from lab.repetitions import Repetition
from storage.flex import check_place
from storage.flex.entries import Row, TakeEntry
from storage.flex.tables import read_entries, table_rows


@dataclass(frozen=True)
class DatasetRows:
    """The tables of a dataset: ``entries`` by take id; ``takes``, ``repetitions`` with what depends on other takes."""

    entries: dict[str, TakeEntry]
    takes: tuple[Row, ...]
    repetitions: tuple[Row, ...]

    def entry(self, take_id: str) -> TakeEntry:
        """Return a take's rows. Raises RequestError where it is not in the dataset, and names the nearest."""
        if take_id not in self.entries:
            near = difflib.get_close_matches(take_id, self.entries, n=3, cutoff=0.3)
            said = f"; nearest are {', '.join(near)}" if near else "; it has no takes" if not self.entries else ""
            raise RequestError(f"take '{take_id}' is not in the dataset{said}")
        return self.entries[take_id]

    def only_take(self) -> str:
        """Return the id of the dataset's only take. Raises RequestError where it has several, or none."""
        if len(self.entries) != 1:
            some = next(iter(self.entries), "S12_20261122-0930_A16-01")
            raise RequestError(f"the dataset has {len(self.entries)} takes; name one with --take, such as {some}")
        return next(iter(self.entries))


def read_rows(dataset: Path) -> DatasetRows:
    """Read the tables of a dataset. Raises LayoutError where they cannot be read, or are of another version."""
    check_place(dataset)
    entries = read_entries(dataset)
    try:
        rows = table_rows(entries, {})
        return DatasetRows(entries, tuple(rows["takes"]), tuple(rows["repetitions"]))
    except (KeyError, TypeError, ValueError) as error:
        raise LayoutError(f"{dataset}: its tables lack columns ({error}); run `flex-capture rebuild`.") from error


def reports_of(entry: TakeEntry) -> tuple[StreamReport, ...]:
    """Return the table of a take's streams. Raises KeyError or TypeError where a column is missing."""
    return tuple(
        StreamReport(**{field.name: _not_null(row[field.name], field.type) for field in fields(StreamReport)})
        for row in entry.streams
    )


def _not_null(value: Any, kind: Any) -> Any:
    return math.nan if value is None and kind == "float" else value


def repetitions_of(entry: TakeEntry) -> tuple[Repetition, ...]:
    """Return a take's repetitions. Raises KeyError, TypeError or ValueError where a row lacks what makes one."""
    return tuple(
        Repetition(
            start_s=float(row["start_s"]),
            turn_s=float(row["turn_s"]),
            end_s=float(row["end_s"]),
            confidence=float(row["confidence"]),
            doubts=tuple(str(doubt) for doubt in row["doubts"] or ()),
        )
        for row in entry.repetitions
    )
