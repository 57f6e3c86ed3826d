"""The subjects' sheets, ``OUT/subjects/<subject>.toml`` beside ``OUT/raw``: small TOML files that people may edit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from lab.errors import FileFormatError, RequestError
from lab.subject import SubjectSheet
from lab.take import SUBJECT
from storage.atomic import write_bytes_atomically
from storage.os_errors import reason
from storage.toml_file import read_toml, validation_sentences
from storage.toml_text import toml_value

if TYPE_CHECKING:
    from pathlib import Path

SHEETS_FOLDER: Final = "subjects"
_HEAD: Final = "# What the lab knows of subject {}. A pseudonym: no names, no birthdays.\n"


def sheet_path(out: Path, subject: str) -> Path:
    """Return the path of a subject's sheet in ``out``, the folder that holds ``raw``."""
    return out / SHEETS_FOLDER / f"{subject}.toml"


def read_sheet(out: Path, subject: str) -> SubjectSheet | None:
    """Read a subject's sheet; None where there is none. Raises FileFormatError with a sentence for each mistake."""
    path = sheet_path(out, subject)
    if not path.exists():
        return None
    try:
        return SubjectSheet.model_validate(read_toml(path))
    except ValidationError as error:
        raise FileFormatError(*validation_sentences(path, error)) from None


def write_sheet(out: Path, subject: str, sheet: SubjectSheet) -> Path:
    """Write a subject's sheet atomically, replacing the one before; return its path. Raises RequestError."""
    path = sheet_path(out, subject)
    lines = [f"{name} = {toml_value(value)}\n" for name, value in sheet.model_dump(exclude_none=True).items()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(path, (_HEAD.format(subject) + "".join(lines)).encode())
    except OSError as error:
        raise RequestError(f"{path} cannot be written ({reason(error)}); check the folder.") from None
    return path


def list_sheets(out: Path) -> list[str]:
    """Return the subjects that have a sheet, in order of name."""
    folder = out / SHEETS_FOLDER
    names = [path.stem for path in folder.glob("*.toml")] if folder.is_dir() else []
    return sorted(name for name in names if SUBJECT.fullmatch(name))
