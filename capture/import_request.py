"""What ``import`` was asked for, checked before anything is touched."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, get_args

from capture.import_window import WindowRequest
from capture.output_folder import folder_problems
from capture.readiness.size_in_words import size_in_words
from capture.record_request import find_action, require_consent, unknown_action
from capture.rig_file import BoundRig, load_rig
from capture.video_binding import VideoRequest, parse_first_frames, parse_videos
from lab.actions import SKILLS, Action, Skill
from lab.errors import RequestError
from lab.take import SESSION, subject_problem

#: What stays free beside the copies.
_MARGIN_BYTES: Final = 64 << 20
_DIGITS: Final = 8


@dataclass(frozen=True)
class ImportRequest:
    """The options of ``import`` as they were typed; None where they were not."""

    file: Path
    subject: str
    action: str
    skill: str | None
    load_kg: float | None
    reps: int
    rig: Path | None
    out: Path
    session: str | None
    recorded_utc: str | None
    window: WindowRequest
    video: tuple[str, ...]
    first_frame: tuple[str, ...]
    again: bool

    @property
    def raw(self) -> Path:
        """The folder of raw takes."""
        return self.out / "raw"

    @property
    def dataset(self) -> Path:
        """The dataset's folder."""
        return self.out / "dataset"


@dataclass(frozen=True)
class CheckedImport:
    """A request that can be carried out as far as can be told without reading the file."""

    request: ImportRequest
    action: Action
    skill: Skill | None
    rig: BoundRig | None
    recorded_utc: datetime | None
    videos: tuple[VideoRequest, ...]
    first_frames: dict[str, int]


def check_import(request: ImportRequest) -> CheckedImport:
    """Check everything that can be known beforehand. Raises RequestError with a sentence for every mistake."""
    problems: list[str] = []
    impossible = subject_problem(request.subject)
    if impossible:
        problems.append(impossible)
    action = find_action(request.action)
    if action is None:
        problems.append(unknown_action(request.action))
    if request.skill is not None and request.skill not in SKILLS:
        problems.append(f"there is no skill level '{request.skill}'; the levels are {', '.join(get_args(Skill))}")
    if request.session is not None and not SESSION.fullmatch(request.session):
        problems.append(f"session '{request.session}' is not possible; use letters, digits, - and _")
    sheet = rig = recorded_utc = None
    videos: tuple[VideoRequest, ...] = ()
    first_frames: dict[str, int] = {}
    try:
        sheet = None if impossible else require_consent(request.out, request.subject)
    except RequestError as error:
        problems += error.problems
    try:
        rig = None if request.rig is None else load_rig(request.rig)
    except RequestError as error:
        problems += error.problems
    try:
        videos = parse_videos(request.video)
        first_frames = parse_first_frames(request.first_frame)
        unknown = sorted(first_frames.keys() - {video.view for video in videos})
        problems += [f"--first-frame names {view}, of which no --video is given" for view in unknown]
    except RequestError as error:
        problems += error.problems
    try:
        recorded_utc = None if request.recorded_utc is None else _utc(request.recorded_utc)
    except RequestError as error:
        problems += error.problems
    if not request.file.is_file():
        problems.append(f"there is no file {request.file}; name an XDF file")
    problems += folder_problems(request.out, request.subject)
    if problems or action is None:
        raise RequestError(*problems)
    skill = next((skill for skill in SKILLS if skill == request.skill), None if sheet is None else sheet.skill)
    return CheckedImport(request, action, skill, rig, recorded_utc, videos, first_frames)


def _utc(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise RequestError(
            f"--recorded-utc '{text}' is no time with its zone; write it as 2026-11-22T09:30:00Z or"
            " 2026-11-22T10:30:00+01:00"
        )
    return when.astimezone(timezone.utc)


def require_room(out: Path, size: int) -> None:
    """Raise RequestError where copies of ``size`` bytes do not fit on the disk of a folder that may not exist yet."""
    existing = next(place for place in (out, *out.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if size + _MARGIN_BYTES > free:
        raise RequestError(
            f"the take does not fit on the disk of {out}: it needs {size_in_words(size)} and some that stay free, but"
            f" {size_in_words(free)} are free; make room, or name a folder on another disk with --out"
        )


def session_of(checked: CheckedImport, header_datetime: str, sha256: str) -> tuple[str, str]:
    """Return the session's name, and what is to be said of how it came by it.

    As asked for; else that of the day it was recorded, as far as anybody says: the subject's latest of that day, or a
    new one named by the time of day. A name is no measurement, so the calendar of the file's recorder will do. A file
    of which nothing tells the day is a session of its own: takes of two of them must not pass for retakes.
    """
    request = checked.request
    if request.session is not None:
        return request.session, ""
    if checked.recorded_utc is not None:
        when, by = checked.recorded_utc.astimezone(), ""
    else:
        hint = _hinted(header_datetime)
        if hint is None:
            name = f"imported-{sha256[:_DIGITS]}"
            return name, "of its own, as nothing tells the day; name another with --session"
        when, by = hint, f"by what the file's header says of the day ({header_datetime}), which nobody measured"
    folder = request.raw / request.subject
    folders = [entry.name for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
    of_day = [name for name in folders if name.startswith(f"{when:%Y%m%d}-")]
    return max(of_day, default=f"{when:%Y%m%d-%H%M}"), by


def _hinted(text: str) -> datetime | None:
    for layout in ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(text, layout)  # noqa: DTZ007 - the day of wherever it was recorded
        except ValueError:
            continue
    return None
