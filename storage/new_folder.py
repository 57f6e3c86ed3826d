"""A folder that appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.errors import RequestError
from storage.atomic import sync_folder
from storage.file_lock import HeldError, file_lock, this_process
from storage.os_errors import reason


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def unfinished_folder(path: Path) -> Path:
    """Return the folder in which ``path`` is made, beside it."""
    return _beside(path, ".part")


def refuse_existing(path: Path) -> None:
    """Raise RequestError where there is something of that name."""
    if path.exists() or path.is_symlink():
        raise RequestError(f"{path} exists; name a new folder")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path`` that gets the name ``path`` at the end of the block.

    An exception in the block leaves nothing; a kill leaves the unfinished folder and its lock file under other names,
    which the next attempt removes. Raises RequestError where ``path`` exists, somebody else is making it, or it cannot
    be made.
    """
    path = path.absolute()
    part, lock = unfinished_folder(path), _beside(path, ".lock")
    refuse_existing(path)
    ours = lock.exists()  # a lock file outlives nobody but a killed maker: what it was making is nobody's
    with contextlib.ExitStack() as held:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(file_lock(lock, this_process(), wait_s=0.0, keep=False))
            if part.exists():
                if not ours:
                    raise RequestError(f"{part} is in the way and was not made for {path}; move it away")
                shutil.rmtree(part)
            part.mkdir()
        except HeldError as error:
            raise RequestError(f"{path} is being made by {error.holder}; name another folder") from None
        except OSError as error:
            raise RequestError(f"{path} cannot be made ({reason(error)}); name another folder") from None
        try:
            yield part
            sync_folder(part)
            os.replace(part, path)  # noqa: PTH105 - the one act that tests interrupt
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        sync_folder(path.parent)
