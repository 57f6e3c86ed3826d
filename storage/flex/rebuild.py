"""The top tables from the takes' own files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lab.errors import LayoutError
from lab.subject import SubjectSheet
from storage.flex.folder import begin_dataset, is_described, must_be_begun, sweep
from storage.flex.lock import writer_lock
from storage.flex.paths import files_below, take_of_frames_file
from storage.flex.tables import Entries, committed_takes, read_entry, read_table, write_tables


def rebuild_tables(dataset: Path, sheets: Mapping[str, SubjectSheet] | None = None) -> int:
    """Rebuild the tables at the top of a dataset from the takes' frames tables; return how many takes there are.

    ``repetitions.parquet`` decides which revision of a take counts, as long as it can be read; after that the newest
    file does. ``sheets`` are the subjects' sheets, by subject. ``annotations.parquet`` is people's work and left
    alone; a damaged ``dataset.json`` is made anew. Raises LayoutError if the folder is no dataset or if takes' files
    are damaged; nothing is changed then.
    """
    must_be_begun(dataset)
    with writer_lock(dataset):
        if is_described(dataset):
            begin_dataset(dataset)
        entries, problems = _entries_of_files(dataset)
        if problems:
            raise LayoutError(*problems)
        write_tables(dataset, entries, sheets={subject: sheet.columns() for subject, sheet in (sheets or {}).items()})
        sweep(dataset, entries)
    return len(entries)


def _entries_of_files(dataset: Path) -> tuple[Entries, list[str]]:
    found: dict[str, list[str]] = {}
    for relative in files_below(dataset):
        take = take_of_frames_file(relative) if relative.startswith("frames/") else None
        if take is not None:
            found.setdefault(take[0], []).append(relative)
    try:
        chosen = committed_takes(read_table(dataset, "repetitions")[1])
    except LayoutError:
        chosen = {
            take_id: max(files, key=lambda file: ((dataset / file).stat().st_mtime_ns, file))
            for take_id, files in found.items()
        }
    entries: Entries = {}
    problems: list[str] = []
    for take_id, file in sorted(chosen.items()):
        try:
            entry = read_entry(dataset, file)
        except LayoutError as error:
            problems += error.problems
        else:
            entries[take_id] = entry
    return entries, problems
