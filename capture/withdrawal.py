"""A subject withdraws: everything of the subject leaves this folder, and what was removed is said."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from capture.console import Console
from capture.take_history import PastTake, past_take
from lab.errors import FlexCaptureError, RequestError, TakeError
from lab.take import subject_problem
from storage.flex import remove_subject
from storage.flex.paths import ROOMS
from storage.import_folder import drop_import, left_imports
from storage.marks_file import marks_path, read_marks
from storage.os_errors import reason
from storage.recording_lock import recording_lock
from storage.subject_sheets import sheet_path
from storage.take_folder import is_being_written, list_takes

#: Takes are moved here before anything of them is deleted, so that an interruption leaves none half there.
_LEAVING: Final = ".withdrawn"


@dataclass(frozen=True)
class Holdings:
    """All there is of a subject below ``out``: raw takes wherever they lie, the sheet, and what stays.

    ``takes`` are folders, those that cannot be read as well if nothing says that they are another's; ``stay`` those in
    the subject's folder that were set right to another; ``problems`` are sentences about takes that may be the
    subject's, but nobody can tell.
    """

    out: Path
    subject: str
    takes: tuple[Path, ...]
    stay: tuple[PastTake, ...]
    problems: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The folder of takes that were recorded as the subject's."""
        return self.out / "raw" / self.subject

    @property
    def leaving(self) -> Path:
        """Where takes lie that an interrupted withdrawal had begun to remove."""
        return self.out / _LEAVING / self.subject


def withdraw_subject(subject: str, out: Path, confirm: str | None) -> int:
    """Say what there is of a subject, ask, remove it and say what was removed; return the exit code.

    Raises RequestError where a recording is under way: what it writes would come back.
    """
    raw = out / "raw"
    with recording_lock(raw, "withdrawal") if raw.is_dir() else contextlib.nullcontext():
        return _withdraw_locked(subject, out, confirm)


def _withdraw_locked(subject: str, out: Path, confirm: str | None) -> int:
    holdings = holdings_of(out, subject)
    console = Console()
    for line in _inventory(holdings):
        console.line(line)
    for take in holdings.stay:
        console.line(f"stays · {take.folder}: it was set right to subject {take.subject}")
    for problem in holdings.problems:
        console.warning(f"stays · {problem}")
    if confirm is None:
        console.warning("this cannot be undone")
        confirm = console.ask_text(f"type {subject} to remove it: ")
    if confirm != subject:
        console.line("nothing was removed")
        return 2
    for line in withdraw(holdings):
        console.line(f"removed · {line}")
    left = _files_left(holdings)
    for path in left:
        console.warning(f"stays · {path}: it is no part of a take; look at it, and remove it by hand")
    console.line("copies elsewhere, such as backups and exports, are not touched")
    return 1 if left or holdings.problems else 0


def holdings_of(out: Path, subject: str) -> Holdings:
    """Find all that there is of a subject. Raises RequestError where there is nothing, or a take is being recorded.

    A take that was set right to another subject is that subject's, and stays; one set right to this one goes.
    """
    impossible = subject_problem(subject)
    if impossible:
        raise RequestError(impossible)
    raw = out / "raw"
    own: list[Path] = []
    stay: list[PastTake] = []
    problems: list[str] = []
    for folder in list_takes(raw) if raw.is_dir() else []:
        recorded_as = folder.parent.parent.name
        try:
            take, notes = past_take(folder)
        except FlexCaptureError as error:
            if recorded_as == subject and not _given_to_another(folder, subject):
                own.append(folder)
            elif marks_path(folder).exists():
                problems += error.problems
            continue
        if take.subject == subject:
            own.append(folder)
        elif recorded_as == subject:
            stay.append(take)
        elif notes:
            problems += notes
    holdings = Holdings(out, subject, tuple(own), tuple(stay), tuple(problems))
    there = (holdings.folder, holdings.leaving, sheet_path(out, subject))
    if not (own or any(path.exists() for path in there) or _in_dataset(out, subject)):
        raise RequestError(f"there is nothing of {subject} in {out}")
    running = [folder for folder in own if is_being_written(folder)]
    if running:
        raise RequestError(f"{running[0]} is being recorded; stop it, then withdraw")
    return holdings


def withdraw(holdings: Holdings) -> list[str]:
    """Remove all of it, the dataset's part first; return what was removed, in sentences.

    Interrupted, it can be run again and goes on. Raises TakeError for files that could not be removed.
    """
    out, subject, said = holdings.out, holdings.subject, []
    dataset = out / "dataset"
    if dataset.is_dir():
        gone, annotations = remove_subject(dataset, subject)
        said.append(f"dataset: {len(gone)} takes, {annotations} annotations")
    for folder in holdings.takes:
        _move_away(folder, holdings.leaving)
    for begun in left_imports(holdings.folder):
        drop_import(begun)
    if holdings.leaving.is_dir():
        count, size = sum(1 for _ in holdings.leaving.iterdir()), _size(holdings.leaving)
        _remove(holdings.leaving)
        said.append(f"raw takes: {count}, {size / 1e6:,.0f} MB")
    for folder in (holdings.leaving.parent, holdings.folder):
        with contextlib.suppress(OSError):
            folder.rmdir()
    sheet = sheet_path(out, subject)
    if sheet.exists():
        _remove(sheet)
        said.append(f"sheet: {sheet}")
    left = [path for room in ROOMS for path in dataset.glob(f"{room}/*/subject={subject}")]
    if left:
        raise TakeError(f"{left[0]} could not be removed; close what reads it, then withdraw again")
    return said


def _inventory(holdings: Holdings) -> list[str]:
    lines = [str(folder) for folder in holdings.takes]
    lines += [f"{left}: what an import that was cut off had left" for left in left_imports(holdings.folder)]
    if holdings.leaving.exists():
        lines.append(f"{holdings.leaving}: what an interrupted withdrawal left")
    sheet = sheet_path(holdings.out, holdings.subject)
    lines += [str(sheet)] if sheet.exists() else []
    in_dataset = _in_dataset(holdings.out, holdings.subject)
    lines += [f"{holdings.out / 'dataset'}: all of {holdings.subject}"] if in_dataset else []
    return lines


def _given_to_another(folder: Path, subject: str) -> bool:
    """Whether the marks of a take that cannot be read say that it is another subject's."""
    try:
        named = [mark.subject for mark in read_marks(folder)[0] if mark.subject is not None]
    except TakeError:
        return False
    return bool(named) and named[-1] != subject


def _move_away(folder: Path, leaving: Path) -> None:
    """Move a take in one act to where withdrawn ones lie, and remove folders of session and subject that are empty."""
    target = leaving / f"{folder.parent.parent.name}_{folder.parent.name}_{folder.name}"
    try:
        leaving.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    except OSError as error:
        sentence = f"{folder} cannot be removed ({reason(error)}); close what uses it, then withdraw again"
        raise TakeError(sentence) from None
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
        folder.parent.parent.rmdir()


def _remove(path: Path) -> None:
    try:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise TakeError(f"{path} cannot be removed ({reason(error)}); see to it, then withdraw again") from None


def _files_left(holdings: Holdings) -> list[Path]:
    """Return what still lies in the subject's folder and is no take of another."""
    others = {take.folder for take in holdings.stay}
    files = [path for path in holdings.folder.rglob("*") if path.is_file()] if holdings.folder.is_dir() else []
    return [path for path in files if not others & set(path.parents)]


def _in_dataset(out: Path, subject: str) -> bool:
    return any((out / "dataset").glob(f"*/*/subject={subject}"))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
