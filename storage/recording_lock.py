"""Who may write into a folder of raw takes: an operating system's lock on ``raw/.recording.lock``.

``record`` and ``import`` hold it from their first look at the folder to their end, salvage and withdrawal while they
work. The file goes
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

Purpose = Literal["recording", "recovery", "withdrawal", "import"]

#: Somebody who only looks whether the lock is held holds it for less than this.
_LOOK_S: Final = 0.3
_MOST_RACES: Final = 100

_UNDER_WAY: Final = {
    "recording": "a recording is",
    "recovery": "a recovery of takes is",
    "withdrawal": "a withdrawal is",
    "import": "an import is",
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
            for _ in range(_MOST_RACES):
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
            else:
                raise FileNotFoundError("it comes and goes")
        except HeldError as error:
            raise RequestError(_refusal(raw, purpose, error.holder)) from None
        except OSError as error:
            outside = purpose in {"recording", "import"}
            otherwise = "name another folder with --out" if outside else "copy it to where you can write"
            raise RequestError(
                f"{raw} cannot be locked against other recorders ({reason(error)}); make it writable, or {otherwise}"
            ) from None
        yield


def recording_under_way(raw: Path) -> bool:
    """Tell whether a process holds the lock of a folder of raw takes: it records there, recovers or withdraws."""
    return is_locked(raw / RECORDING_LOCK_NAME)


def _refusal(raw: Path, asked: Purpose, holder: str) -> str:
    purpose, by, process = holder.partition(" by ")
    what = _UNDER_WAY.get(purpose, _UNDER_WAY["recording"])
    elsewhere = {"recording": "record into another folder with --out", "import": "import into another with --out"}
    advice = elsewhere.get(asked, "try again afterwards")
    end = "end it first, or" if purpose == "recording" else "wait until it is done, or"
    if asked not in elsewhere:
        end = end.replace(", or", " and")
    return f"{what} under way in {raw} by {process if by else holder}; {end} {advice}"


def _make(folder: Path) -> list[Path]:
    """Make a folder and its parents; return those that were missing, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
