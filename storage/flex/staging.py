"""A folder of one writer inside the dataset, in which takes' files are made before they get their places.

Nobody reads there. Its writer holds the operating system's lock on a file in it; one that nobody holds was left behind
by a writer that died, and goes with the next write.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from storage.file_lock import file_lock, is_locked, this_process
from storage.flex.lock import LOCK_NAME, writer_lock

_PREFIX: Final = ".staging-"


@contextlib.contextmanager
def staging_folder(dataset: Path) -> Iterator[Path]:
    """Make a folder in an existing dataset's folder for this writer alone; it goes, with all in it, at the end.

    Raises LayoutError where another writer does not let go of the dataset, OSError.
    """
    with contextlib.ExitStack() as held:
        with writer_lock(dataset):  # whoever clears up holds it too, and must not see the folder before its lock
            folder = dataset / f"{_PREFIX}{secrets.token_hex(6)}"
            folder.mkdir()
            held.callback(shutil.rmtree, folder, ignore_errors=True)
            held.enter_context(file_lock(folder / LOCK_NAME, this_process(), wait_s=0.0, keep=False))
        yield folder


def abandoned_folders(dataset: Path) -> list[Path]:
    """Return the folders that writers which died left behind; tell so only with the writer's lock held."""
    return sorted(folder for folder in dataset.glob(f"{_PREFIX}*") if folder.is_dir() and not _is_held(folder))


def _is_held(folder: Path) -> bool:
    return is_locked(folder / LOCK_NAME)
