"""The folder of a take while it is imported: ``A16-01.importing``, which no command takes for a take.

It gets the take's name in one act, when all of it is there and was read back. What a killed import leaves is removed by
the next one, and by ``withdraw``. Both, and ``import``, hold the lock of the folder of raw takes.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING, Final

from lab.errors import RequestError, TakeError
from storage.atomic import sync_folder
from storage.os_errors import reason
from storage.take_folder import next_take_name

if TYPE_CHECKING:
    from pathlib import Path

IMPORTING_SUFFIX: Final = ".importing"


def begin_import(raw: Path, subject: str, session: str, action: str) -> Path:
    """Make the folder of the next take of an action, under its name of passage, and return it.

    The names were checked. Raises RequestError where it cannot be made; nothing is then left but empty folders.
    """
    session_folder = raw / subject / session
    try:
        session_folder.mkdir(parents=True, exist_ok=True)
        folder = session_folder / (next_take_name(session_folder, action) + IMPORTING_SUFFIX)
        folder.mkdir()
    except OSError as error:
        raise RequestError(
            f"no take can be made in {session_folder} ({reason(error)}); check it, or name another folder with --out"
        ) from None
    return folder


def finish_import(folder: Path) -> Path:
    """Give a folder that is whole the take's name, and return it. Raises TakeError."""
    take = folder.with_name(folder.name.removesuffix(IMPORTING_SUFFIX))
    try:
        if take.exists():
            raise TakeError(f"{take} appeared while it was imported and is not overwritten; import it again")
        sync_folder(folder)
        folder.rename(take)
    except OSError as error:
        raise TakeError(f"{folder} cannot get its name ({reason(error)}); check the folder, import it again") from None
    sync_folder(take.parent)
    return take


def drop_import(folder: Path) -> None:
    """Remove all of an import that did not become whole, and the folders around it that are empty."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
        folder.parent.parent.rmdir()


def left_imports(subject_folder: Path) -> list[Path]:
    """Return what imports that were killed have left of a subject."""
    return sorted(path for path in subject_folder.glob(f"*/*{IMPORTING_SUFFIX}") if path.is_dir())
