"""Takes become part of a dataset: their files are made aside, then moved to their places and named by the tables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.aligned import AlignedTake
from lab.errors import LayoutError
from lab.repetitions import Segmentation
from lab.subject import SubjectSheet
from storage.atomic import sync_folder
from storage.flex.clips import plan_clips
from storage.flex.entries import TakeEntry
from storage.flex.folder import begin_dataset, check_place, is_begun, remove_revisions, sweep
from storage.flex.lock import LOCK_NAME, writer_lock
from storage.flex.staged_take import Progress, StagedTake, TakeContent, not_written, stage_take
from storage.flex.staging import staging_folder
from storage.flex.tables import Entries, committed_files, read_entries, read_entry, write_tables
from storage.flex.take_checks import check_take
from storage.os_errors import reason


@dataclass(frozen=True)
class WrittenTake:
    """What was written: paths are absolute; ``remarks`` are sentences for the operator."""

    take_id: str
    revision: str
    repetitions: int
    frames_path: Path
    signals_path: Path
    sync_path: Path | None
    clip_paths: tuple[Path, ...]
    remarks: tuple[str, ...]


def write_take(
    dataset: Path,
    take_folder: Path,
    take: AlignedTake,
    segmentation: Segmentation,
    progress: Progress | None = None,
    *,
    excluded_reason: str | None = None,
    faults: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    sheet: SubjectSheet | None = None,
    sync_picture: bytes | None = None,
    made_from: str | None = None,
) -> WrittenTake:
    """Write a take into a dataset, or again with what is known better now; the arguments are those of ``TakeContent``.

    The dataset's folder is made if it is missing. The take's files get a new revision and are seen from the moment
    ``repetitions.parquet`` is replaced; then older revisions are removed. Written again from the same, every file has
    the same bytes. Raises LayoutError if the take or the dataset cannot be written; the dataset is then as it was.
    """
    content = TakeContent(
        take_folder, take, segmentation, excluded_reason, faults, notes, sheet, sync_picture, made_from
    )
    check_take(take, segmentation)
    say = progress or (lambda _what, _done, _total: None)
    with dataset_staging(dataset) as staging:
        before = committed_take(dataset, take.record.id)
        staged = stage_take(dataset, staging, content, plan_clips(dataset, take, segmentation, before), say)
        say("tables", 0, 1)
        for failure in commit_takes(dataset, [staged]).values():
            raise failure
        say("tables", 1, 1)
    entry = staged.entry
    return WrittenTake(
        take_id=entry.take_id,
        revision=entry.revision,
        repetitions=segmentation.found,
        frames_path=dataset / entry.take["frames_file"],
        signals_path=dataset / entry.take["signals_file"],
        sync_path=None if sync_picture is None else dataset / entry.take["sync_file"],
        clip_paths=tuple(dataset / file for file in staged.files if file.startswith("video/")),
        remarks=staged.remarks,
    )


@contextlib.contextmanager
def dataset_staging(dataset: Path) -> Iterator[Path]:
    """Make the dataset's folder if it is missing, and a folder of this writer alone in it.

    At the end the latter goes, and the former where it was made and no take was written. Raises LayoutError where no
    takes may be written there.
    """
    check_place(dataset)
    with contextlib.ExitStack() as held:
        try:
            if not dataset.exists():
                dataset.mkdir(parents=True, exist_ok=True)
                held.callback(_remove_unbegun, dataset)
            folder = held.enter_context(staging_folder(dataset))
        except OSError as error:
            raise LayoutError(
                f"{dataset} cannot be written ({reason(error)}); see to the disk, or name another folder."
            ) from error
        yield folder


def _remove_unbegun(dataset: Path) -> None:
    if not is_begun(dataset):
        with contextlib.suppress(OSError):
            (dataset / LOCK_NAME).unlink(missing_ok=True)
            dataset.rmdir()


def committed_take(dataset: Path, take_id: str) -> TakeEntry | None:
    """Return a take as a dataset has it; None where it has none, or none that can be read."""
    try:
        file = committed_files(dataset).get(take_id)
        return None if file is None else read_entry(dataset, file)
    except LayoutError:
        return None


def committed_takes(dataset: Path) -> Entries:
    """Return all takes as a dataset has them, by id; {} where there is no dataset.

    Raises LayoutError for another folder, another version of the layout, or a dataset that cannot be read.
    """
    check_place(dataset)
    return read_entries(dataset) if is_begun(dataset) else {}


def commit_takes(
    dataset: Path,
    staged: Sequence[StagedTake],
    *,
    sweep_all: bool = True,
) -> dict[str, LayoutError]:
    """Move the files of takes to their places and let the tables name them, in one act for all.

    Returns the takes, by id, whose files could not be moved, with the reason; those are not in the dataset, or are as
    they were. Without ``sweep_all`` only older revisions of these takes are removed: looking through all files takes
    the longer the more there are.
    Raises LayoutError if the tables cannot be written; the dataset is then as it was.
    """
    failed: dict[str, LayoutError] = {}
    try:
        with writer_lock(dataset):
            begin_dataset(dataset)
            entries = read_entries(dataset)
            ids = {take.entry.take_id for take in staged}
            try:
                after = dict(entries)
                for take in staged:
                    try:
                        _move_in(dataset, take)
                    except OSError as error:
                        failed[take.entry.take_id] = not_written(take.entry.take_id, dataset, error)
                    else:
                        after[take.entry.take_id] = take.entry
                _sync_folders(dataset, staged)
            except BaseException:  # Ctrl-C too: a full disk gets its space back, a reader of all files no leftovers.
                sweep(dataset, entries)
                raise
            if len(failed) < len(staged):
                sheets = {take.entry.take["subject"]: take.sheet for take in staged if take.sheet is not None}
                write_tables(dataset, after, sheets=sheets)
            if sweep_all or failed:
                sweep(dataset, after)
            else:
                remove_revisions(dataset, [entry for name, entry in entries.items() if name in ids], after)
    except OSError as error:
        raise LayoutError(
            f"{dataset} could not be written ({reason(error)}); "
            "it is as it was: see to the disk and write the takes again."
        ) from error
    return failed


def _move_in(dataset: Path, take: StagedTake) -> None:
    """Give a take's files their places, the frames table last: where it is, the take is whole."""
    for file in take.files:
        path = dataset / file
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(take.folder / file, path)  # noqa: PTH105 - the one act that tests interrupt


def _sync_folders(dataset: Path, staged: Sequence[StagedTake]) -> None:
    for folder in sorted({(dataset / file).parent for take in staged for file in take.files}):
        sync_folder(folder)
