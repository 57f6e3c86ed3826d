"""``marks.jsonl`` beside a take: all that was said of it later, a line each, only ever appended to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from lab.errors import TakeError
from lab.marks import Mark
from storage.atomic import sync_file
from storage.os_errors import reason
from storage.take_folder import MARKS_NAME, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST_MARKS: Final = 5_000_000
#: More lines than this that are not understood are only counted.
_MOST_NOTES: Final = 5


def marks_path(folder: Path) -> Path:
    """Return the path of a take's marks."""
    return folder / MARKS_NAME


def marks_bytes(folder: Path) -> bytes:
    """Return a take's marks as they stand on the disk, nothing where there are none. Raises TakeError."""
    return read_bounded(marks_path(folder), _LARGEST_MARKS, missing_ok=True)


def append_mark(folder: Path, mark: Mark) -> None:
    """Append one mark and wait until it is on the disk.

    A torn last line, left by a crash, is closed off first, so that it spoils no later mark. Raises TakeError.
    """
    path = marks_path(folder)
    line = mark.model_dump_json(exclude_defaults=True).encode("utf-8", "replace") + b"\n"
    try:
        with path.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            if file.write(line) != len(line):
                raise OSError(0, "the disk is full")
            sync_file(file.fileno())
    except OSError as error:
        raise TakeError(f"{path} cannot be written ({reason(error)}); check the disk, then mark again.") from None


def read_marks(folder: Path) -> tuple[list[Mark], list[str]]:
    """Read a take's marks in the order they were made, and a sentence for each line that is not understood.

    Such a line, torn or of a newer program, is passed over. Raises TakeError where the file cannot be read.
    """
    marks: list[Mark] = []
    strange: list[int] = []
    for number, line in enumerate(marks_bytes(folder).split(b"\n"), 1):
        if not line.strip():
            continue
        if not line.startswith(b"{"):
            strange.append(number)
            continue
        try:
            marks.append(Mark.model_validate_json(line))
        except ValidationError:
            strange.append(number)
    notes = [
        f"{MARKS_NAME}: line {number} is not understood and not used; mark the take again."
        for number in strange[:_MOST_NOTES]
    ]
    if len(strange) > _MOST_NOTES:
        notes.append(f"{MARKS_NAME}: {len(strange) - _MOST_NOTES} more lines are not understood.")
    return marks, notes
