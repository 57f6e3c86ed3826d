"""What a dataset says of a subject: what the sheet says, or nothing at all any more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.errors import LayoutError
from lab.subject import SubjectSheet
from storage.atomic import write_bytes_atomically
from storage.flex.entries import Row
from storage.flex.folder import begin_dataset, must_be_begun, sweep
from storage.flex.lock import writer_lock
from storage.flex.parquet import parquet_bytes
from storage.flex.tables import read_entries, read_parquet, read_sheet_columns, table_file, write_tables


def write_subject(dataset: Path, subject: str, sheet: SubjectSheet | None) -> bool:
    """Let a dataset say of a subject what the sheet says; return whether it has takes of the subject.

    Raises LayoutError if the folder is no dataset or cannot be read.
    """
    must_be_begun(dataset)
    with writer_lock(dataset):
        begin_dataset(dataset)
        entries = read_entries(dataset)
        if all(entry.take["subject"] != subject for entry in entries.values()):
            return False
        write_tables(dataset, entries, sheets={subject: None if sheet is None else sheet.columns()})
    return True


def sheets_said(dataset: Path) -> dict[str, Row | None]:
    """Return the columns of each subject's sheet as a dataset has them; {} where there are none."""
    return read_sheet_columns(dataset)


def remove_subject(dataset: Path, subject: str) -> tuple[list[str], int]:
    """Take a subject out of a dataset: tables, files and annotations; return the ids of the takes and annotations.

    Raw takes are not touched. Raises LayoutError if the folder is no dataset or cannot be read.
    """
    must_be_begun(dataset)
    with writer_lock(dataset):
        begin_dataset(dataset)
        entries = read_entries(dataset)
        gone = sorted(take_id for take_id, entry in entries.items() if entry.take["subject"] == subject)
        kept = {take_id: entry for take_id, entry in entries.items() if take_id not in gone}
        annotations = _remove_annotations(dataset, gone)
        if gone:
            write_tables(dataset, kept, sheets={subject: None}, fewer=True)
        sweep(dataset, kept)
    return gone, annotations


def _remove_annotations(dataset: Path, take_ids: Sequence[str]) -> int:
    import pyarrow as pa
    import pyarrow.compute as pc

    path = dataset / table_file("annotations")
    if not take_ids or not path.exists():
        return 0
    try:
        table = read_parquet(path)
        others = table.filter(pc.invert(pc.is_in(table.column("take_id"), value_set=pa.array(take_ids, pa.string()))))
    except (KeyError, pa.ArrowException, LayoutError):
        raise LayoutError(
            f"{path} cannot be read as a table of annotations; bring it back from a backup or move it away, then"
            " withdraw again."
        ) from None
    if others.num_rows < table.num_rows:
        write_bytes_atomically(path, parquet_bytes(table.schema, [others]))
    return int(table.num_rows - others.num_rows)
