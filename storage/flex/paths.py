"""Where a take's files lie in a dataset. Everything is relative, with forward slashes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOMS: Final = ("frames", "signals", "sync", "video")

#: What this writer's own files are called: only such are ever removed.
_FRAMES_NAME: Final = re.compile(r"(?P<take_id>.+)\.(?P<revision>[0-9a-f]{12})\.parquet")
_SIGNALS_NAME: Final = re.compile(r".+\.[0-9a-f]{12}\.h5")
_SYNC_NAME: Final = re.compile(r".+\.[0-9a-f]{12}\.svg")
_CLIP_FOLDER: Final = re.compile(r".+\.[0-9a-f]{12}")
_UNFINISHED: Final = re.compile(r"\.(part|tmp)(-\d+)?(\.|$)")
_CLIP_NAME: Final = re.compile(r"rep_\d{2,}_view\d\.mov")


def _in_room(room: str, action: str, subject: str, name: str) -> str:
    return f"{room}/action={action}/subject={subject}/{name}"


def frames_file(action: str, subject: str, take_id: str, revision: str) -> str:
    """Return the path of a take's frames table."""
    return _in_room("frames", action, subject, f"{take_id}.{revision}.parquet")


def signals_file(action: str, subject: str, take_id: str, revision: str) -> str:
    """Return the path of a take's signals."""
    return _in_room("signals", action, subject, f"{take_id}.{revision}.h5")


def sync_file(action: str, subject: str, take_id: str, revision: str) -> str:
    """Return the path of the picture of how a take's times were found."""
    return _in_room("sync", action, subject, f"{take_id}.{revision}.svg")


def clip_file(action: str, subject: str, take_id: str, revision: str, repetition: int, view: str) -> str:
    """Return the path of one view's clip of a repetition."""
    return _in_room("video", action, subject, f"{take_id}.{revision}/{group_name(repetition)}_{view}.mov")


def clip_label(take_id: str, view: str, first: int, last: int) -> str:
    """Return what a clip says of itself: which raw frames it holds, both included, whatever its file is called."""
    return f"{take_id} {view} frames {first} to {last}"


def group_name(repetition: int) -> str:
    """Return the name of a repetition within its take: ``rep_01``."""
    return f"rep_{repetition:02d}"


def is_unfinished(name: str) -> bool:
    """Tell whether a file's name is that of one being written, or of one whose writer died."""
    return _UNFINISHED.search(name) is not None


def is_own_file(relative: str) -> bool:
    """Tell whether a file below the dataset is named as this writer names take files, whole or unfinished."""
    parts = relative.split("/")
    room, name = parts[0], _UNFINISHED.sub("", parts[-1])
    if room == "frames":
        return _FRAMES_NAME.fullmatch(name) is not None
    if room == "signals":
        return _SIGNALS_NAME.fullmatch(name) is not None
    if room == "sync":
        return _SYNC_NAME.fullmatch(name) is not None
    return (
        room == "video"
        and len(parts) > 1
        and _CLIP_FOLDER.fullmatch(parts[-2]) is not None
        and _CLIP_NAME.fullmatch(name) is not None
    )


def take_of_frames_file(relative: str) -> tuple[str, str] | None:
    """Return (take_id, revision) from the path of a frames table, or None for another file."""
    match = _FRAMES_NAME.fullmatch(relative.rsplit("/", 1)[-1])
    return (match["take_id"], match["revision"]) if match else None


def files_below(dataset: Path) -> Iterator[str]:
    """Yield the path of every file in the take folders, in order of name; links are not followed."""
    for room in ROOMS:
        folders = [dataset / room]
        while folders:
            folder = folders.pop()
            if not folder.is_dir():
                continue
            entries = sorted(folder.iterdir(), key=lambda path: path.name)
            folders += [entry for entry in reversed(entries) if entry.is_dir() and not entry.is_symlink()]
            yield from (entry.relative_to(dataset).as_posix() for entry in entries if not entry.is_dir())
