"""A dataset's folder: begun empty and valid, and swept of what interrupted writes left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from lab.errors import LayoutError
from storage.flex.columns import TOP_TABLES
from storage.flex.entries import TakeEntry
from storage.flex.paths import ROOMS, files_below, is_own_file, is_unfinished
from storage.flex.staging import abandoned_folders
from storage.flex.tables import DATASET_JSON, table_file, write_tables
from storage.flex.versions import LAYOUT_VERSION

_LONGEST_DESCRIPTION: Final = 1 << 24
_OWN_NAMES: Final = frozenset({DATASET_JSON, *ROOMS, *(table_file(name) for name in TOP_TABLES)})


def layout_version(dataset: Path) -> int:
    """Return the layout version that ``dataset.json`` states. Raises LayoutError if it does not."""
    path = dataset / DATASET_JSON
    try:
        if path.stat().st_size > _LONGEST_DESCRIPTION:
            raise ValueError("it is too long")
        version = json.loads(path.read_text(encoding="utf-8"))["layout_version"]
        if not isinstance(version, int):
            raise ValueError("its layout_version is no whole number")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LayoutError(
            f"{path} cannot be read as the description of a dataset; restore it or run `flex-capture rebuild`."
        ) from error
    return version


def is_described(dataset: Path) -> bool:
    """Tell whether ``dataset.json`` can be read at all, of whatever version."""
    try:
        layout_version(dataset)
    except LayoutError:
        return False
    return True


def is_begun(dataset: Path) -> bool:
    """Tell whether a folder is a dataset: described and indexed, or with takes in it."""
    if (dataset / table_file("repetitions")).is_file() and (dataset / DATASET_JSON).is_file():
        return True
    return any((dataset / room).is_dir() for room in ROOMS)


def must_be_begun(dataset: Path) -> None:
    """Raise LayoutError for a folder that is no dataset."""
    if not is_begun(dataset):
        raise LayoutError(f"{dataset} is not a dataset: it has no tables and no takes; name the dataset's folder.")


def begin_dataset(dataset: Path) -> None:
    """Make an empty, valid dataset of a new folder, or check that an existing one may be written to.

    Raises LayoutError for a folder with something else in it, and for another version of the layout.
    """
    check_place(dataset)
    if not is_begun(dataset):
        write_tables(dataset, {})


def check_place(dataset: Path) -> None:
    """Check that takes may be written into a folder: one not there yet, an empty one, or a dataset of this version.

    Nothing is touched. Raises LayoutError as ``begin_dataset`` does.
    """
    if not dataset.exists():
        return
    if not dataset.is_dir():
        raise LayoutError(f"{dataset} is not a folder; move it away or name another.")
    if is_begun(dataset):
        if not (dataset / DATASET_JSON).exists():
            return  # The next write of the tables restores it.
        version = layout_version(dataset)
        if version != LAYOUT_VERSION:
            raise LayoutError(
                f"{dataset} has layout version {version} and this flex-capture writes version {LAYOUT_VERSION}; "
                "use the flex-capture it was written with, or write to a new folder."
            )
        return
    strange = sorted(
        path.name for path in dataset.iterdir() if not path.name.startswith(".") and not _is_own_name(path.name)
    )
    if strange:
        raise LayoutError(f"{dataset} holds '{strange[0]}' and is not a dataset; name a new or an empty folder.")


def _is_own_name(name: str) -> bool:
    return name in _OWN_NAMES or any(name.startswith(own) for own in _OWN_NAMES if "." in own)


def sweep(dataset: Path, entries: Mapping[str, TakeEntry]) -> None:
    """Remove take files that no entry names, unfinished files, and the folders that are empty then.

    Only files with the writer's own names are removed. One that a reader holds open stays until the next write.
    """
    named = {file for entry in entries.values() for file in entry.files()}
    for relative in list(files_below(dataset)):
        if relative not in named and is_own_file(relative):
            with suppress(OSError):
                (dataset / relative).unlink()
    for path in dataset.iterdir():
        if path.is_file() and _is_own_name(path.name) and is_unfinished(path.name):
            with suppress(OSError):
                path.unlink()
    for folder in abandoned_folders(dataset):
        shutil.rmtree(folder, ignore_errors=True)
    for room in ROOMS:
        _remove_empty(dataset / room)


def remove_revisions(dataset: Path, before: Iterable[TakeEntry], entries: Mapping[str, TakeEntry]) -> None:
    """Remove the files of takes as they were ``before`` that no entry of the same take names any more."""
    for entry in before:
        for file in sorted(entry.files() - entries[entry.take_id].files()):
            if not is_own_file(file):
                continue
            with suppress(OSError):
                (dataset / file).unlink()
            for folder in (dataset / file).parents:
                if folder == dataset or folder.parent == dataset:
                    break
                try:
                    folder.rmdir()
                except OSError:
                    break


def _remove_empty(folder: Path) -> None:
    if not folder.is_dir() or folder.is_symlink():
        return
    for path in folder.iterdir():
        if path.is_dir():
            _remove_empty(path)
    with suppress(OSError):  # Not empty.
        folder.rmdir()
