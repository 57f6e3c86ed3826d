"""The tables at the top of a dataset: made from the takes' entries, replaced one by one, the index last.

Each table carries a generation, a hash of the takes and revisions it was made from, and ``repetitions`` names them.
Tables of different generations are the trace of an interrupted write: then ``repetitions`` is right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lab.actions import ACTIONS
from lab.errors import LayoutError
from lab.take import Candidate, current_take
from storage.atomic import write_bytes_atomically
from storage.flex.canonical import canonical_json, short_hash
from storage.flex.columns import SHEET_COLUMNS, TOP_TABLES, arrow_schema, expand
from storage.flex.description import dataset_json
from storage.flex.entries import Row, TakeEntry
from storage.flex.frames import all_views
from storage.flex.parquet import parquet_bytes
from storage.flex.paths import frames_file as frames_path
from storage.flex.versions import LAYOUT_VERSION

if TYPE_CHECKING:
    import pyarrow as pa

Entries = dict[str, TakeEntry]

#: Keys in the metadata of the Parquet files.
ENTRY_KEY: Final = "flex.take"
GENERATION_KEY: Final = "flex.generation"
TAKES_KEY: Final = "flex.takes"
SHEETS_KEY: Final = "flex.sheets"
VERSION_KEY: Final = "flex.layout_version"
SIMULATED_KEY: Final = "flex.simulated"

#: A take's entry is some kilobytes a repetition; more than this is no entry.
_LONGEST_ENTRY: Final = 1 << 26

DATASET_JSON: Final = "dataset.json"


def table_file(name: str) -> str:
    """Return the file of a top table, relative to the dataset."""
    return f"{name}.parquet"


def generation_of(entries: Mapping[str, TakeEntry]) -> str:
    """Return the hash of the takes and revisions that a dataset is made of."""
    return short_hash(canonical_json(sorted((entry.take_id, entry.revision) for entry in entries.values())))


def _order(take: Row) -> tuple[str, str, str, int, str]:
    return take["subject"], take["session"], take["action"], _candidate(take).number, take["take_id"]


def _candidate(take: Row) -> Candidate:
    return Candidate(
        take_id=take["take_id"],
        usable=take.get("excluded_reason") is None,
        complete=take["state"] == "complete",
        started_utc=take["started_utc"],
    )


def table_rows(entries: Mapping[str, TakeEntry], sheets: Mapping[str, Row]) -> dict[str, list[Row]]:
    """Make the rows of all top tables but annotations, in fixed order.

    Of the takes of a subject, session and action one is current (``lab.take.current_take``); repetitions of the others
    are excluded as retaken. ``sheets`` are the columns of subjects that only their sheets tell, by subject.
    """
    ordered = sorted(entries.values(), key=lambda entry: _order(entry.take))
    groups: dict[tuple[str, str, str], list[Candidate]] = {}
    for entry in ordered:
        group = (entry.take["subject"], entry.take["session"], entry.take["action"])
        groups.setdefault(group, []).append(_candidate(entry.take))
    current = {current_take(group) for group in groups.values()}
    rows: dict[str, list[Row]] = {"takes": [], "streams": [], "repetitions": []}
    for entry in ordered:
        is_current = entry.take_id in current
        reason = entry.take.get("excluded_reason") or (None if is_current else "retaken")
        rows["takes"].append(entry.take | {"current": is_current})
        rows["streams"] += entry.streams
        rows["repetitions"] += [
            row | {"excluded_reason": row["excluded_itself"] or reason} for row in entry.repetitions
        ]
    rows["subjects"] = _subject_rows([entry.take for entry in ordered], sheets)
    rows["actions"] = [
        {
            "action": action.id,
            "name": action.name,
            "name_confirmed": action.name_confirmed,
            "implement": action.implement,
        }
        for action in ACTIONS.values()
    ]
    return rows


def _subject_rows(takes: Sequence[Row], sheets: Mapping[str, Row]) -> list[Row]:
    subjects: dict[str, Row] = {}
    for take in sorted(takes, key=lambda row: (row["started_utc"] or "", row["take_id"])):
        before = subjects.get(take["subject"], {"skill": None, "simulated": True})
        subjects[take["subject"]] = {
            "subject": take["subject"],
            "skill": take["skill"] or before["skill"],
            "simulated": take["simulated"] and before["simulated"],
        }
    nothing = dict.fromkeys(SHEET_COLUMNS)
    return [nothing | subjects[subject] | dict(sheets.get(subject, {})) for subject in sorted(subjects)]


def _views_in(entries: Mapping[str, TakeEntry]) -> tuple[str, ...]:
    named = [name for entry in entries.values() for name in entry.take if name.endswith("_raw_frames")]
    return all_views([name.removesuffix("_raw_frames") for name in named])


def encode_tables(entries: Mapping[str, TakeEntry], sheets: Mapping[str, Row]) -> dict[str, bytes]:
    """Encode all top tables in the order in which they are to be replaced; annotations is an empty table.

    Raises LayoutError if an entry's values do not fit the columns.
    """
    import pyarrow as pa

    rows, views = table_rows(entries, sheets), _views_in(entries)
    present = {row["subject"] for row in rows["subjects"]}
    version = {VERSION_KEY: str(LAYOUT_VERSION)}
    generation = {GENERATION_KEY: generation_of(entries)}
    out = {}
    for name, columns in TOP_TABLES.items():
        # Annotations are not made from the takes, so they are of no generation.
        metadata = version if name == "annotations" else version | generation
        if name == "repetitions":
            metadata[TAKES_KEY] = canonical_json(
                {entry.take_id: entry.take["frames_file"] for entry in entries.values()}
            )
        if name == "subjects":
            kept = {subject: dict(sheet) for subject, sheet in sheets.items() if subject in present}
            metadata[SHEETS_KEY] = canonical_json(kept)
        schema = arrow_schema(expand(columns, views), metadata)
        try:
            table = pa.Table.from_pylist(rows.get(name, []), schema=schema)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise LayoutError(
                f"The rows of {table_file(name)} do not fit its columns ({error}); "
                "write the take again from its raw take."
            ) from error
        out[name] = parquet_bytes(schema, [table])
    return out


def write_tables(
    dataset: Path,
    entries: Mapping[str, TakeEntry],
    *,
    sheets: Mapping[str, Row | None] | None = None,
    fewer: bool = False,
) -> None:
    """Replace ``dataset.json`` and the top tables, ``repetitions.parquet`` last: the act by which takes become visible.

    What the subjects' sheets say is carried over; ``sheets`` replaces it, by subject, None where there is no sheet any
    more. With ``fewer`` takes than before it comes first, so that the index never names what the other tables no longer
    have. ``annotations.parquet`` is people's work: it is made if it is missing and never replaced.
    """
    said = read_sheet_columns(dataset) | dict(sheets or {})
    encoded = encode_tables(entries, {subject: sheet for subject, sheet in said.items() if sheet is not None})
    _write_if_new(dataset / DATASET_JSON, dataset_json())
    for name, data in reversed(encoded.items()) if fewer else encoded.items():
        path = dataset / table_file(name)
        if name != "annotations" or not path.exists():
            write_bytes_atomically(path, data)


def _write_if_new(path: Path, data: bytes) -> None:
    if not path.is_file() or path.read_bytes() != data:
        write_bytes_atomically(path, data)


def read_table(dataset: Path, name: str) -> tuple[list[Row], dict[str, str]]:
    """Read a top table: its rows and its metadata. Raises LayoutError if it is missing or damaged."""
    table = read_parquet(dataset / table_file(name))
    return table.to_pylist(), text_metadata(table.schema)


def read_sheet_columns(dataset: Path) -> dict[str, Row | None]:
    """Read what the subjects' sheets said, by subject; what cannot be read was said by nobody.

    It is no part of the takes' own files: the sheets lie beside the raw takes and are said again with each take.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return sheets_in(text_metadata(pq.read_schema(dataset / table_file("subjects"))))
    except (OSError, ValueError, pa.ArrowException):
        return {}


def sheets_in(metadata: Mapping[str, str]) -> dict[str, Row | None]:
    """Return the sheets in the metadata of ``subjects.parquet``; {} where there are none that can be read."""
    try:
        sheets = json.loads(metadata.get(SHEETS_KEY, "{}"))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(sheets, dict):
        return {}
    return {
        str(subject): {name: sheet[name] for name in SHEET_COLUMNS if name in sheet}
        for subject, sheet in sheets.items()
        if isinstance(sheet, dict)
    }


def text_metadata(schema: pa.Schema) -> dict[str, str]:
    """Return a schema's metadata as text."""
    return {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for key, value in (schema.metadata or {}).items()
    }


def read_parquet(path: Path) -> pa.Table:
    """Read a whole Parquet file. Raises LayoutError if it is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)  # text that is no text would fail where its rows are looked at
        return table
    except (OSError, ValueError, pa.ArrowException, MemoryError, OverflowError) as error:
        raise LayoutError(
            f"{path} cannot be read as a Parquet file ({first_line(error)}); run `flex-capture rebuild`."
        ) from error


def first_line(error: BaseException) -> str:
    """Return what an exception says, short enough for a sentence."""
    if isinstance(error, FileNotFoundError):
        return "it does not exist"
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")


def read_entry(dataset: Path, frames_file: str) -> TakeEntry:
    """Read a take's entry out of its frames table. Raises LayoutError if it is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = dataset / frames_file
    try:
        text = (pq.read_schema(path).metadata or {}).get(ENTRY_KEY.encode(), b"")
        if not 0 < len(text) < _LONGEST_ENTRY:
            raise ValueError("it does not hold the rows of its take")
        entry = TakeEntry.from_plain(json.loads(text))
        place = frames_path(entry.take["action"], entry.take["subject"], entry.take_id, entry.revision)
        if not place == frames_file == entry.take["frames_file"]:
            raise ValueError(f"it belongs at {place}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pa.ArrowException) as error:
        raise LayoutError(
            f"{path} cannot be read as a take's frames table ({first_line(error)}); "
            "write the take again from its raw take, or move the file away and run `flex-capture rebuild`."
        ) from error
    return entry


def _group(rows: Sequence[Row]) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = {}
    for row in rows:
        out.setdefault(row["take_id"], []).append(row)
    return out


def _without_nothing(row: Row, *names: str) -> Row:
    """Drop the named columns and view columns of absent views, as an entry has them."""
    return {
        name: value
        for name, value in row.items()
        if name not in names and not (value is None and name.startswith("view"))
    }


def committed_takes(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return {take_id: frames file} that ``repetitions.parquet`` names. Raises LayoutError if it does not."""
    try:
        takes = json.loads(metadata[TAKES_KEY])
        if not isinstance(takes, dict) or not all(isinstance(value, str) for value in takes.values()):
            raise ValueError("not a table of takes")
    except (KeyError, ValueError, RecursionError) as error:
        raise LayoutError(
            "repetitions.parquet does not name the takes of the dataset; run `flex-capture rebuild`."
        ) from error
    return {str(take_id): str(file) for take_id, file in takes.items()}


def committed_files(dataset: Path) -> dict[str, str]:
    """Return {take_id: frames file} of a dataset without reading its rows. Raises LayoutError if it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = dataset / table_file("repetitions")
    try:
        metadata = text_metadata(pq.read_schema(path))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LayoutError(
            f"{path} cannot be read as a Parquet file ({first_line(error)}); run `flex-capture rebuild`."
        ) from error
    return committed_takes(metadata)


def read_entries(dataset: Path) -> Entries:
    """Read the entries of all takes of a dataset.

    They come from the top tables, or, where those are the trace of an interrupted write, from the takes' own files.
    Raises LayoutError if ``repetitions.parquet`` or a take's file that is needed is missing or damaged.
    """
    repetitions, metadata = read_table(dataset, "repetitions")
    committed = committed_takes(metadata)
    try:
        takes, takes_metadata = read_table(dataset, "takes")
        streams, streams_metadata = read_table(dataset, "streams")
        generations = {found.get(GENERATION_KEY) for found in (metadata, takes_metadata, streams_metadata)}
        entries = _entries_of(takes, streams, repetitions)
        whole = len(generations) == 1 and {generation_of(entries)} == generations
    except (LayoutError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        entries = {take_id: read_entry(dataset, file) for take_id, file in committed.items()}
    return entries


def _entries_of(takes: list[Row], streams: list[Row], repetitions: list[Row]) -> Entries:
    its_streams, its_repetitions = _group(streams), _group(repetitions)
    return {
        row["take_id"]: TakeEntry.from_plain(
            {
                "take": _without_nothing(row, "current"),
                "streams": its_streams.get(row["take_id"], []),
                "repetitions": [
                    _without_nothing(repetition, "excluded_reason")
                    for repetition in its_repetitions.get(row["take_id"], [])
                ],
            }
        )
        for row in takes
    }
