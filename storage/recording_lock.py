"""Who may write into a folder of raw takes: an operating system's lock on ``raw/.recording.lock``.

``record`` holds it from its first look at the folder to its end, salvage and withdrawal while they work. The file goes
with the lock; one that a crash left is held by nobody.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Literal

from lab.errors import RequestError
from storage.file_lock import HeldError, file_lock, is_locked, this_process
from storage.os_errors import reason

if TYPE_CHECKING:
    from pathlib import Path

RECORDING_LOCK_NAME: Final = ".recording.lock"

Purpose = Literal["recording", "recovery", "withdrawal"]

#: Somebody who only looks whether the lock is held holds it for less than this.
_LOOK_S: Final = 0.3

_UNDER_WAY: Final[dict[str, tuple[str, str]]] = {
    "recording": ("a recording is", "end it first, or record into another folder with --out"),
    "recovery": ("a recovery of takes is", "wait until it is done, then try again"),
    "withdrawal": ("a withdrawal is", "wait until it is done, then try again"),
}


@contextlib.contextmanager
def recording_lock(raw: Path, purpose: Purpose = "recording", wait_s: float = _LOOK_S) -> Iterator[None]:
    """Hold the lock of a folder of raw takes, which is made if it is missing, and goes again if nothing came into it.

    Raises RequestError where another process holds it after ``wait_s``, naming it and what it does, or where the folder
    cannot be locked.
    """
    made: list[Path] = []
    with contextlib.ExitStack() as held:
        held.callback(_remove_empty, made)
        try:
            while True:
                made += _make(raw)
                try:
                    held.enter_context(
                        file_lock(
                            raw / RECORDING_LOCK_NAME, f"{purpose} by {this_process()}", wait_s=wait_s, keep=False
                        )
                    )
                    break
                except FileNotFoundError:
                    continue  # whoever held it last removed a folder that was still empty
        except HeldError as error:
            raise RequestError(_refusal(raw, error.holder)) from None
        except OSError as error:
            raise RequestError(
                f"{raw} cannot be locked against other recorders ({reason(error)}); make it writable, "
                "or name another folder with --out"
            ) from None
        yield


def recording_under_way(raw: Path) -> bool:
    """Tell whether a process holds the lock of a folder of raw takes: it records there, recovers or withdraws."""
    return is_locked(raw / RECORDING_LOCK_NAME)


def _refusal(raw: Path, holder: str) -> str:
    purpose, by, process = holder.partition(" by ")
    what, advice = _UNDER_WAY.get(purpose, _UNDER_WAY["recording"])
    return f"{what} under way in {raw} by {process if by else holder}; {advice}"


def _make(folder: Path) -> list[Path]:
    """Make a folder and its parents; return those that were missing, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
