"""The promises of the top tables: columns, ids, references, order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.errors import LayoutError
from storage.flex.columns import TOP_TABLES, Column, EmgColumn, arrow_schema, expand
from storage.flex.entries import Row
from storage.flex.frames import all_views
from storage.flex.paths import clip_file, frames_file, signals_file, sync_file
from storage.flex.tables import (
    GENERATION_KEY,
    committed_takes,
    first_line,
    read_entry,
    read_parquet,
    sheets_in,
    table_file,
    table_rows,
    text_metadata,
)

if TYPE_CHECKING:
    import pyarrow as pa

_VIEW_COLUMN: Final = re.compile(r"(view[1-9])_")

#: The columns that tell the rows of a table apart.
_KEYS: Final = {
    "subjects": ("subject",),
    "actions": ("action",),
    "takes": ("take_id",),
    "streams": ("take_id", "stream"),
    "annotations": (),
    "repetitions": ("repetition_id",),
}


@dataclass(frozen=True)
class TopTables:
    """The top tables as far as they can be read: rows (None where not) and metadata."""

    rows: dict[str, list[Row] | None]
    metadata: dict[str, dict[str, str]]

    def committed(self) -> list[Row]:
        """Return the rows of takes whose revision ``repetitions`` names: an interrupted write may have put others."""
        return self._committed

    def repetitions_of(self, take: Row) -> list[Row]:
        """Return the rows of a take's repetitions."""
        return self._repetitions.get(take.get("take_id"), [])

    @cached_property
    def _repetitions(self) -> dict[object, list[Row]]:
        by_take: dict[object, list[Row]] = {}
        for row in self.rows["repetitions"] or ():
            by_take.setdefault(row.get("take_id"), []).append(row)
        return by_take

    @cached_property
    def _committed(self) -> list[Row]:
        try:
            files = committed_takes(self.metadata["repetitions"])
        except LayoutError:
            return self.rows["takes"] or []
        return [row for row in self.rows["takes"] or () if files.get(row.get("take_id", "")) == row.get("frames_file")]


def schema_findings(file: str, table: pa.Table, columns: Sequence[Column], emg: Sequence[EmgColumn] = ()) -> list[str]:
    """Compare names, types and units of a table's columns with the layout's, and look for forbidden nulls."""
    views = all_views([match[1] for name in table.column_names if (match := _VIEW_COLUMN.match(name))])
    expected = arrow_schema(expand(columns, views, emg))
    findings = []
    for field in expected:
        if table.column_names.count(field.name) != 1:
            findings.append(f"{file}: column '{field.name}' is missing or stands twice.")
            continue
        found = table.schema.field(field.name)
        if found.type != field.type:
            findings.append(f"{file}: column '{field.name}' is {found.type} and should be {field.type}.")
        elif (found.metadata or {}).get(b"unit") != field.metadata[b"unit"]:
            findings.append(
                f"{file}: column '{field.name}' does not state its unit '{field.metadata[b'unit'].decode()}'."
            )
        if not field.nullable and table.column(field.name).null_count:
            findings.append(f"{file}: column '{field.name}' has empty cells and may have none.")
    known = set(expected.names)
    findings += [
        f"{file}: column '{name}' is not part of the layout." for name in table.column_names if name not in known
    ]
    return findings


def read_top_tables(dataset: Path) -> tuple[TopTables, list[str]]:
    """Read what can be read of the top tables, with findings on the rest, on columns and on equal ids."""
    rows: dict[str, list[Row] | None] = {}
    metadata: dict[str, dict[str, str]] = {}
    findings = []
    for name, columns in TOP_TABLES.items():
        file = table_file(name)
        rows[name], metadata[name] = None, {}
        if not (dataset / file).is_file():
            findings.append(f"{file}: is missing; run `flex-capture rebuild`.")
            continue
        try:
            table = read_parquet(dataset / file)
            problems = schema_findings(file, table, columns)
            read = table.to_pylist()
        except Exception as error:  # noqa: BLE001 - a damaged file may fail in any way
            findings.append(
                f"{file}: cannot be read ({first_line(error.__cause__ or error)}); run `flex-capture rebuild`."
            )
            continue
        findings += problems
        metadata[name] = text_metadata(table.schema)
        if any("is missing" in problem or " should be " in problem for problem in problems):
            continue  # Nothing can be concluded from rows without their columns.
        rows[name] = read
        key = _KEYS[name]
        if key:
            counts = Counter(tuple(row[part] for part in key) for row in read)
            findings += [
                f"{file}: {' of '.join(str(part) for part in reversed(values))} stands {count} times, not once."
                for values, count in counts.items()
                if count > 1
            ]
    return TopTables(rows, metadata), findings


def _missing(file: str, what: str, values: Iterable[object], table: str, known: list[Row] | None) -> list[str]:
    if known is None:
        return []
    there = {row[what] for row in known}
    return [
        f"{file}: names {what.removesuffix('_id')} {value}, which {table}.parquet does not have."
        for value in dict.fromkeys(values)
        if value not in there
    ]


def take_findings(tables: TopTables) -> list[str]:
    """Check takes, streams and annotations: references, counts and the names of files."""
    findings: list[str] = []
    takes, repetitions = tables.rows["takes"] or [], tables.rows["repetitions"]
    file = "takes.parquet"
    findings += _missing(file, "subject", (row["subject"] for row in takes), "subjects", tables.rows["subjects"])
    findings += _missing(file, "action", (row["action"] for row in takes), "actions", tables.rows["actions"])
    streams = tables.rows["streams"] or []
    findings += _missing("streams.parquet", "take_id", (r["take_id"] for r in streams), "takes", tables.rows["takes"])
    for row in takes:
        place = (row["action"], row["subject"], row["take_id"], row["revision"])
        files = (row["frames_file"], row["signals_file"], row["sync_file"] or sync_file(*place))
        if files != (frames_file(*place), signals_file(*place), sync_file(*place)):
            findings.append(f"{file}: take {row['take_id']} names files that are not where the layout puts them.")
    for row in tables.committed():
        count = len(tables.repetitions_of(row))
        if repetitions is not None and row["found"] != count:
            findings.append(
                f"{file}: take {row['take_id']} has {row['found']} repetitions found and {count} rows in "
                "repetitions.parquet."
            )
    if not interrupted_findings(tables):  # else some takes are of one write and some of another
        findings += _current_findings(file, takes)
    known = {(row["take_id"], row["repetition"]) for row in repetitions or ()}
    findings += [
        f"annotations.parquet: is about repetition {row['repetition']} of take {row['take_id']}, which there is not."
        for row in tables.rows["annotations"] or ()
        if repetitions is not None and (row["take_id"], row["repetition"]) not in known
    ]
    return findings


def _current_findings(file: str, takes: list[Row]) -> list[str]:
    """Say of which subject, session and action not exactly one take is current."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in takes:
        its = groups.setdefault((row["subject"], row["session"], row["action"]), [])
        its += [row["take_id"]] if row["current"] else []
    return [
        f"{file}: {' and '.join(current) or 'no take'} of {subject}, session {session}, action {action}"
        f" {'are' if len(current) > 1 else 'is'} current; exactly one take should be."
        for (subject, session, action), current in groups.items()
        if len(current) != 1
    ]


def repetition_findings(tables: TopTables) -> list[str]:
    """Check repetitions: references, numbers, order of bounds in seconds and in frames, names of clips."""
    file = "repetitions.parquet"
    rows = tables.rows["repetitions"] or []
    findings = _missing(file, "take_id", (row["take_id"] for row in rows), "takes", tables.rows["takes"])
    findings += _missing(file, "subject", (row["subject"] for row in rows), "subjects", tables.rows["subjects"])
    findings += _missing(file, "action", (row["action"] for row in rows), "actions", tables.rows["actions"])
    for take in tables.committed():
        numbers = [row["repetition"] for row in tables.repetitions_of(take)]
        if numbers != list(range(1, len(numbers) + 1)):
            findings.append(
                f"{file}: repetitions of take {take['take_id']} are not numbered 1 to {len(numbers)} in order."
            )
    raw_frames = {row["take_id"]: row for row in tables.committed()}
    for row in rows:
        name = row["repetition_id"]
        if not row["start_s"] < row["turn_s"] < row["end_s"]:
            findings.append(f"{file}: {name} does not run from start over turn to end.")
        if not 0 <= row["confidence"] <= 1:
            findings.append(f"{file}: confidence of {name} is not between 0 and 1.")
        for column in (column for column in row if column.endswith("_clip")):
            view = column.removesuffix("_clip")
            count = raw_frames.get(row["take_id"], {}).get(f"{view}_raw_frames")
            findings += _view_findings(file, row, view, count)
    return findings


def _view_findings(file: str, row: Row, view: str, raw_frames: int | None) -> list[str]:
    start, turn, end = (row[f"{view}_{bound}_frame"] for bound in ("start", "turn", "end"))
    clip, name = row[f"{view}_clip"], row["repetition_id"]
    if (start, turn, end, clip) == (None, None, None, None):
        return []
    if None in (start, turn, end, clip):
        return [f"{file}: {name} has only a part of start, turn, end and clip of {view}."]
    findings = []
    if not 0 <= start < turn < end:
        findings.append(f"{file}: frames of {name} in {view} do not run from start over turn to end.")
    if raw_frames is not None and end >= raw_frames:
        findings.append(f"{file}: {name} ends at frame {end} of {view}, whose video has {raw_frames} frames.")
    place = (row["action"], row["subject"], row["take_id"], row["revision"])
    if clip != clip_file(*place, row["repetition"], view):
        findings.append(f"{file}: the clip of {name} in {view} is not where the layout puts it.")
    return findings


def interrupted_findings(tables: TopTables) -> list[str]:
    """Say so where the tables are of different writes: then the rows that ``repetitions`` names count."""
    index = tables.metadata["repetitions"].get(GENERATION_KEY)
    return [
        f"{table_file(name)}: is of another write than repetitions.parquet, as an interrupted write leaves it; "
        "the next write puts it right, or run `flex-capture rebuild`."
        for name in ("subjects", "actions", "takes", "streams")
        if tables.rows[name] is not None
        and tables.rows["repetitions"] is not None
        and tables.metadata[name].get(GENERATION_KEY) != index
    ]


def agreement_findings(dataset: Path, tables: TopTables) -> list[str]:
    """Compare the tables with what the takes' own files say; a take whose files are damaged has its finding already."""
    files = committed_takes(tables.metadata["repetitions"]) if tables.rows["repetitions"] is not None else {}
    entries = {}
    for take_id, file in files.items():
        try:
            entries[take_id] = read_entry(dataset, file)
        except LayoutError:
            continue
    committed = {row["take_id"] for row in tables.committed()}
    index = tables.metadata["repetitions"].get(GENERATION_KEY)
    sheets = {subject: sheet or {} for subject, sheet in sheets_in(tables.metadata["subjects"]).items()}
    findings = []
    for name, expected in table_rows(entries, sheets).items():
        key = _KEYS[name]
        rows = {tuple(row[part] for part in key): row for row in tables.rows[name] or ()}
        for wanted in expected:
            row = rows.get(tuple(wanted[part] for part in key))
            if tables.rows[name] is None or ("take_id" in wanted and wanted["take_id"] not in committed):
                continue
            said = " of ".join(str(wanted[part]) for part in reversed(key))
            if row is None:
                findings.append(f"{table_file(name)}: has no row for {said}; run `flex-capture rebuild`.")
                continue
            # What depends on other takes cannot be told if one of those is damaged, or the table of another write.
            certain = len(entries) == len(files) and tables.metadata[name].get(GENERATION_KEY) == index
            skip = set() if certain else {"current", "excluded_reason", "skill", "simulated"}
            other = [part for part in row if part not in skip and row[part] != wanted.get(part)]
            if other:
                findings.append(
                    f"{table_file(name)}: {', '.join(other)} of {said} is not what the take's own file says; "
                    "run `flex-capture rebuild`."
                )
    return findings
