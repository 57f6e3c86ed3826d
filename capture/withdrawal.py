"""A subject withdraws: everything of the subject leaves this folder, and what was removed is said."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from capture.console import Console
from capture.take_history import PastTake, read_history
from lab.errors import RequestError, TakeError
from lab.take import SUBJECT
from storage.flex import remove_subject
from storage.os_errors import reason
from storage.subject_sheets import sheet_path
from storage.take_folder import is_being_written


@dataclass(frozen=True)
class Holdings:
    """All there is of a subject below ``out``: raw takes wherever they lie, the folder of takes, the sheet."""

    out: Path
    subject: str
    takes: tuple[PastTake, ...]
    folder: Path
    stay: tuple[PastTake, ...]
    unreadable: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """Bytes of the raw takes."""
        return sum(_size(take.folder) for take in self.takes) + sum(_size(folder) for folder in self.unreadable)


def withdraw_subject(subject: str, out: Path, confirm: str | None) -> int:
    """Say what there is of a subject, ask, remove it and say what was removed; return the exit code."""
    holdings = holdings_of(out, subject)
    console = Console()
    for line in _inventory(holdings):
        console.line(line)
    if confirm is None:
        console.warning("this cannot be undone")
        confirm = console.ask_text(f"type {subject} to remove it: ")
    if confirm != subject:
        console.line("nothing was removed")
        return 2
    for line in withdraw(holdings):
        console.line(f"removed · {line}")
    for take in holdings.stay:
        console.line(f"stays · {take.folder}: it was set right to subject {take.subject}")
    console.line("copies elsewhere, such as backups and exports, are not touched")
    return 0


def _inventory(holdings: Holdings) -> list[str]:
    lines = [f"{take.folder}" for take in holdings.takes]
    lines += [f"{folder} (unreadable)" for folder in holdings.unreadable]
    sheet = sheet_path(holdings.out, holdings.subject)
    lines += [str(sheet)] if sheet.exists() else []
    in_dataset = _in_dataset(holdings.out, holdings.subject)
    lines += [f"{holdings.out / 'dataset'}: all of {holdings.subject}"] if in_dataset else []
    return lines


def holdings_of(out: Path, subject: str) -> Holdings:
    """Find all that there is of a subject. Raises RequestError where there is nothing, or a take is being recorded.

    A take that was set right to another subject is that subject's, and stays; one set right to this one goes.
    """
    if not SUBJECT.fullmatch(subject):
        raise RequestError(
            f"subject '{subject}' is not possible; subjects are called by letters and digits, such as S12"
        )
    raw = out / "raw"
    takes, _ = read_history(raw)
    folder = raw / subject
    known = {take.folder for take in takes}
    unreadable = [path for path in folder.glob("*/*") if path.is_dir() and path not in known] if folder.is_dir() else []
    holdings = Holdings(
        out=out,
        subject=subject,
        takes=tuple(take for take in takes if take.subject == subject),
        folder=folder,
        stay=tuple(take for take in takes if take.subject != subject and folder in take.folder.parents),
        unreadable=tuple(unreadable),
    )
    if not (holdings.takes or folder.is_dir() or sheet_path(out, subject).exists() or _in_dataset(out, subject)):
        raise RequestError(f"there is nothing of {subject} in {out}")
    running = [take.folder for take in holdings.takes if is_being_written(take.folder)]
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
    size = holdings.bytes
    folders = [take.folder for take in holdings.takes] + list(holdings.unreadable)
    for folder in folders:
        try:
            shutil.rmtree(folder)
        except OSError as error:
            sentence = f"{folder} cannot be removed ({reason(error)}); close what uses it, then withdraw again"
            raise TakeError(sentence) from None
        with contextlib.suppress(OSError):  # session and subject, if they are empty now
            folder.parent.rmdir()
            folder.parent.parent.rmdir()
    if folders:
        said.append(f"raw takes: {len(folders)}, {size / 1e6:,.0f} MB")
    with contextlib.suppress(OSError):
        holdings.folder.rmdir()
    sheet = sheet_path(out, subject)
    if sheet.exists():
        sheet.unlink()
        said.append(f"sheet: {sheet}")
    left = [path for room in ("frames", "signals", "video") for path in dataset.glob(f"{room}/*/subject={subject}")]
    if left:
        raise TakeError(f"{left[0]} could not be removed; close what reads it, then withdraw again")
    return said


def _in_dataset(out: Path, subject: str) -> bool:
    return any((out / "dataset").glob(f"*/*/subject={subject}"))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
