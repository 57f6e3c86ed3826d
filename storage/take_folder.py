"""The folder of a raw take, ``raw/<subject>/<session>/<action>-<NN>/``: names, ``take.json``."""

from __future__ import annotations

import re
import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from lab.errors import RequestError, TakeError
from lab.take import SESSION, SUBJECT, TAKE, TakeRecord
from storage.atomic import sync_folder, write_bytes_atomically
from storage.os_errors import reason
from storage.toml_file import validation_sentences

if TYPE_CHECKING:
    from pathlib import Path

RECORD_NAME: Final = "take.json"
STREAMS_NAME: Final = "streams.xdf"
MARKS_NAME: Final = "marks.jsonl"
PART_SUFFIX: Final = ".part"

#: A take whose streams were not written to for this long has no living recorder, in seconds.
ALIVE_S: Final = 5.0

_ACTION = re.compile(r"A\d\d")
_LARGEST_RECORD = 50_000_000
_MOST_RACES = 100


def record_path(folder: Path) -> Path:
    """Return the path of ``take.json``."""
    return folder / RECORD_NAME


def streams_path(folder: Path) -> Path:
    """Return the path of ``streams.xdf``."""
    return folder / STREAMS_NAME


def video_path(folder: Path, view: str) -> Path:
    """Return the path of a view's video."""
    return folder / f"{view}.mov"


def frames_path(folder: Path, view: str) -> Path:
    """Return the path of a view's frame records."""
    return folder / f"{view}.frames"


def recorded_path(folder: Path, named: str, usual: Path) -> Path:
    """Return the file that ``take.json`` names, as long as it lies in the take's own folder; else the usual one."""
    return folder / named if named and PurePath(named).name == named else usual


def view_video_path(folder: Path, record: TakeRecord, view: str) -> Path:
    """Return the path of a view's video: that of an imported one keeps the ending that it came with."""
    named = next((entry.video for entry in record.views if entry.view == view), "")
    return recorded_path(folder, named, video_path(folder, view))


def segment_name(view: str, number: int) -> str:
    """Return the stem of the files of a view's ``number``-th piece: ``view1``, then ``view1-2`` after a restart."""
    return view if number == 1 else f"{view}-{number}"


def part_path(path: Path) -> Path:
    """Return the name under which a file is written until it is whole: ``streams.xdf.part``."""
    return path.with_name(path.name + PART_SUFFIX)


def finish_part(path: Path) -> None:
    """Give a whole file its final name. Raises TakeError where it cannot be renamed or the name is taken."""
    part = part_path(path)
    try:
        if path.exists():
            raise TakeError(f"{path} exists already and is not overwritten; {part.name} is left beside it.")
        part.rename(path)
    except OSError as error:
        raise TakeError(f"{part} cannot be renamed ({reason(error)}); run `flex-capture recover`.") from None
    sync_folder(path.parent)


def take_name(action: str, number: int) -> str:
    """Return the name of the ``number``-th take of an action: ``A16-02``."""
    return f"{action}-{number:02d}"


def next_take_name(session_folder: Path, action: str) -> str:
    """Return the name after the highest one that the session has for the action; gaps are never filled.

    Raises RequestError where the folder cannot be listed.
    """
    highest = 0
    try:
        for entry in session_folder.iterdir():
            if TAKE.fullmatch(entry.name) and entry.name.startswith(f"{action}-"):
                highest = max(highest, int(entry.name[len(action) + 1 :][:9]))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise RequestError(f"{session_folder} cannot be listed ({reason(error)}); check the folder.") from None
    return take_name(action, highest + 1)


def create_take(raw: Path, subject: str, session: str, action: str) -> Path:
    """Create the folder of a new take and return it; of two programs that ask at once, each gets its own.

    Raises RequestError where a name is not allowed or the folder cannot be created; nothing is then left behind but
    empty folders.
    """
    if not SUBJECT.fullmatch(subject):
        raise RequestError(f"The subject '{subject}' is not allowed; use 1 to 32 letters and digits, such as S12.")
    if not SESSION.fullmatch(session):
        raise RequestError(f"The session '{session}' is not allowed; use letters, digits, - and _ (64 at most).")
    if not _ACTION.fullmatch(action):
        raise RequestError(f"The action '{action}' is not allowed; actions are called A01 to A20.")
    session_folder = raw / subject / session
    try:
        session_folder.mkdir(parents=True, exist_ok=True)
        for _ in range(_MOST_RACES):
            folder = session_folder / next_take_name(session_folder, action)
            try:
                folder.mkdir()
            except FileExistsError:
                continue  # another program was faster
            sync_folder(session_folder)
            return folder
    except OSError as error:
        raise RequestError(
            f"No take can be created in {session_folder} ({reason(error)}); check it or name another."
        ) from None
    raise RequestError(f"No take can be created in {session_folder}: its names are always taken; try again.")


def is_being_written(folder: Path, within_s: float = ALIVE_S) -> bool:
    """Tell whether somebody seems to write into a take: who records writes at least a boundary every second.

    Times that lie further in the future are those of a clock that was set back, and say nothing.
    """
    now_s = time.time()
    for part in folder.glob(f"*{PART_SUFFIX}"):
        try:
            age_s = now_s - part.stat().st_mtime
        except OSError:
            continue  # it was just given its name
        if abs(age_s) < within_s:
            return True
    return False


def write_record(folder: Path, record: TakeRecord) -> None:
    """Write ``take.json`` atomically. Raises TakeError."""
    text = record.model_dump_json(indent=2) + "\n"
    try:
        write_bytes_atomically(record_path(folder), text.encode())
    except OSError as error:
        raise TakeError(f"{record_path(folder)} cannot be written ({reason(error)}); check the disk.") from None


def read_record(folder: Path) -> TakeRecord:
    """Read ``take.json``. Raises TakeError with a sentence for every mistake."""
    path = record_path(folder)
    data = read_bounded(path, _LARGEST_RECORD, missing_ok=False)
    try:
        return TakeRecord.model_validate_json(data)
    except ValidationError as error:
        raise TakeError(*validation_sentences(path, error)) from None


def list_takes(raw: Path) -> list[Path]:
    """Return the folders of all takes under ``raw``, sorted by subject, session, action and number.

    Anything that is not named like a take is left out. Raises RequestError where ``raw`` cannot be listed.
    """
    try:
        takes = [
            take
            for subject in raw.iterdir()
            if SUBJECT.fullmatch(subject.name) and subject.is_dir()
            for session in subject.iterdir()
            if SESSION.fullmatch(session.name) and session.is_dir()
            for take in session.iterdir()
            if TAKE.fullmatch(take.name) and take.is_dir()
        ]
    except OSError as error:
        raise RequestError(f"{raw} cannot be listed ({reason(error)}); name the folder of raw takes.") from None
    return sorted(takes, key=_order)


def _order(take: Path) -> tuple[str, str, str, int, str]:
    action, _, number = take.name.partition("-")
    return take.parent.parent.name, take.parent.name, action, int(number[:9]), take.name


def read_bounded(path: Path, limit: int, *, missing_ok: bool) -> bytes:
    """Read a file of a take of at most ``limit`` bytes. Raises TakeError; a missing one may be empty."""
    try:
        if path.exists() and not path.is_file():
            raise TakeError(f"{path} is no ordinary file; look what it is, and move it away.")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        if missing_ok:
            return b""
        raise TakeError(f"{path} is missing; check that {path.parent} is the folder of a take.") from None
    except OSError as error:
        raise TakeError(f"{path} cannot be read ({reason(error)}); check its permissions.") from None
    if len(data) > limit:
        raise TakeError(f"{path} is larger than {limit} bytes; it is not a file of a take.")
    return data
