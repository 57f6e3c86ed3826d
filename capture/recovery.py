"""Takes that were cut off become whole: found, left alone while somebody writes them, salvaged, told."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from capture.console import Console
from capture.salvaged_take import is_unfinished, salvage_take
from capture.takes_below import raw_of, takes_below
from lab.errors import FlexCaptureError, RequestError, TakeError
from storage.recording_lock import recording_lock
from storage.take_folder import is_being_written, record_path

#: The devices of a recorder that died close their files; so long is waited for them.
WAIT_S: Final = 5.0
#: Where the recorder's lock is free, files that were not written for this long are not written any more.
_QUIET_S: Final = 2.5
_POLL_S: Final = 0.1


def recover_takes(paths: Sequence[Path], console: Console) -> int:
    """Recover every unfinished take at or below ``paths``, say what became of each, and return the exit code.

    Raises RequestError for a path that holds no take.
    """
    codes = [0]
    for raw, takes in _by_raw(takes_below(paths)).items():
        unfinished = [take for take in takes if is_unfinished(take, sealed=False)]
        for take in takes:
            if take not in unfinished:
                console.line(f"{take} is whole; there is nothing to recover")
        if not unfinished:
            continue
        try:
            with recording_lock(raw, "recovery", wait_s=WAIT_S):
                codes += [0 if _recover(take, console, wait_s=WAIT_S) else 3 for take in unfinished]
        except RequestError as error:
            console.problems(error)
            codes.append(3)
    return max(codes)


def recover_met(paths: Iterable[Path], console: Console, *, wait_s: float = WAIT_S) -> None:
    """Recover the unfinished takes at or below ``paths`` that a command comes across; say what was lost.

    Never raises: what cannot be recovered is said and stays as it is, and so does a take that somebody records. Whoever
    died a moment ago is given ``wait_s`` to close his files. A path that holds no take is passed over.
    """
    for raw, takes in _by_raw(_takes_at(paths)).items():
        unfinished = [take for take in takes if record_path(take).exists() and is_unfinished(take)]
        if not unfinished:
            continue
        try:
            with recording_lock(raw, "recovery"):
                for take in unfinished:
                    if is_unfinished(take):  # another command may have been faster
                        _recover(take, console, wait_s=wait_s)
        except RequestError as error:
            console.warning(f"{', '.join(map(str, unfinished))}: not closed, and not touched, since {error}")


def recover_before_recording(raw: Path, console: Console) -> None:
    """Recover all unfinished takes of a folder whose lock is held by the caller, and say how to use them. Never raises.

    They are not written into the dataset here: a subject is waiting.
    """
    for take in _takes_at([raw]):
        if not is_unfinished(take, sealed=False):
            continue
        if _recover(take, console, wait_s=WAIT_S) and record_path(take).exists():
            console.warning(f"to have it in the dataset, later type\n  flex-capture resegment {take}")


def _takes_at(paths: Iterable[Path]) -> list[Path]:
    takes: list[Path] = []
    for path in paths:
        try:
            takes += takes_below([path])
        except (RequestError, OSError):
            continue  # the command that was called says it
    return takes


def _by_raw(takes: Iterable[Path]) -> dict[Path, list[Path]]:
    groups: dict[Path, list[Path]] = {}
    for take in takes:
        groups.setdefault(raw_of(take), []).append(take)
    return groups


def _recover(take: Path, console: Console, *, wait_s: float) -> bool:
    """Recover one take and tell it; return whether it is as whole as it can be."""
    if not record_path(take).exists():
        console.warning(f"{take} has no take.json: it was cut off before it began; it is kept, and passed over")
        return False
    try:
        if not _let_close(take, console, wait_s):
            console.warning(f"{take} is being written; if its recorder is gone, try again in a few seconds")
            return False
        for line in salvage_take(take):
            console.line(line)
    except TakeError as error:
        console.problems(error)
        console.warning(f"{take} is not recovered; what was recorded is kept")
    except Exception as error:  # noqa: BLE001 - no take, whatever is in it, may keep the next one from being recorded
        said = str(error) if isinstance(error, (FlexCaptureError, OSError)) else f"{type(error).__name__}: {error}"
        console.warning(f"{take} could not be recovered ({said}); what was recorded is kept")
    else:
        return True
    return False


def _let_close(take: Path, console: Console, wait_s: float) -> bool:
    """Wait until nobody writes into a take; return whether that is so."""
    if not is_being_written(take, _QUIET_S):
        return True
    if not wait_s:
        return False
    deadline_s = time.monotonic() + wait_s
    with console.waiting(f"{take} was just cut off; waiting for its devices to close"):
        while is_being_written(take, _QUIET_S):
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_S)
    return True
