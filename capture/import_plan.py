"""An XDF file of others, read and understood: what the take made of it will say. Nothing is touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from capture.import_request import CheckedImport
from capture.import_window import ImportWindow, find_window
from capture.imported_streams import NamedStreams, check_named_streams, name_streams
from capture.imported_video import ImportedFrames, frames_of_stream, frames_of_table, place_frames
from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.rig_file import BoundRig
from capture.video_binding import FrameChannel, VideoRequest, frame_channel
from lab.errors import FlexCaptureError, RequestError, RigError
from lab.rig import LslSettings
from lab.take import ImportedFile, ImportedVideo
from storage.original_copy import original_of
from storage.xdf_file_header import header_datetime
from storage.xdf_reader import XdfFile, read_xdf

Progress = Callable[[str, int, int], None]

_MB: Final = 1_000_000
#: The tolerance of a take without a rig, in milliseconds: that of a rig that does not say it.
_TOLERANCE_MS: Final = 5.0
_PLAIN_ENDING: Final = 8


@dataclass(frozen=True)
class PlannedView:
    """A view of the take: its file, what tells the times of its frames, and their records."""

    request: VideoRequest
    video: ImportedFile
    table: ImportedFile | None
    channel: FrameChannel | None
    frames: ImportedFrames

    @property
    def video_name(self) -> str:
        """The name of the video in the take: with the ending that it came with."""
        ending = "".join(c for c in self.request.file.suffix.lower() if c.isascii() and c.isalnum())[:_PLAIN_ENDING]
        return f"{self.request.view}.{ending if ending not in {'', 'frames', 'part'} else 'video'}"

    @property
    def table_name(self) -> str:
        """The name in the take of the table of session times."""
        return f"{self.request.view}.times.csv"

    def entry(self) -> ImportedVideo:
        """Return what ``take.json`` says of it."""
        return ImportedVideo(
            view=self.request.view,
            file=self.video,
            stream=None if self.channel is None else self.channel.stream.name,
            channel=None if self.channel is None else self.channel.column + 1,
            times=self.table,
            first_frame=self.frames.first_frame,
        )


@dataclass(frozen=True)
class ImportPlan:
    """What is to be imported. ``damage`` says what of the file cannot be used, and is empty for a whole one."""

    checked: CheckedImport
    original: ImportedFile
    header_datetime: str
    named: NamedStreams
    window: ImportWindow
    views: tuple[PlannedView, ...]
    rig: dict[str, Any]
    damage: str

    @property
    def size(self) -> int:
        """Bytes to be copied."""
        tables = sum(view.table.size for view in self.views if view.table is not None)
        return self.original.size + sum(view.video.size for view in self.views) + tables


def plan_import(checked: CheckedImport, progress: Progress) -> ImportPlan:
    """Read the file and its videos and find out what they are.

    Raises RequestError with a sentence for each thing that stands in the way, FileFormatError where a file cannot be
    read, RigError where the rig does not fit the streams.
    """
    request = checked.request
    original = original_of(request.file, _megabytes(progress, "reading, MB", request.file))
    file = read_xdf(request.file)
    settings = LslSettings() if checked.rig is None else checked.rig.rig.lsl
    configure_lsl(lsl_configuration(settings))  # liblsl itself answers the rig's queries
    try:
        window = find_window(file.streams, request.window)
    except RequestError as error:
        raise RequestError(*(f"{request.file}: {problem}" for problem in error.problems)) from None
    try:
        named = name_streams(file.streams, checked.rig)
    except RigError as error:
        raise RigError(*(f"{request.file}: {problem}" for problem in error.problems)) from None
    check_named_streams(named.streams, checked.rig)
    views: list[PlannedView] = []
    problems: list[str] = []
    for video in checked.videos:
        try:
            views.append(_planned_view(checked, video, named, window, progress))
        except FlexCaptureError as error:
            problems += error.problems
    if problems:
        raise RequestError(*problems)
    return ImportPlan(
        checked=checked,
        original=original,
        header_datetime=header_datetime(request.file),
        named=named,
        window=window,
        views=tuple(sorted(views, key=lambda view: view.request.view)),
        rig=_rig(checked.rig, {view.request.view for view in views}),
        damage=_damage(file, request.file),
    )


def _planned_view(
    checked: CheckedImport, video: VideoRequest, named: NamedStreams, window: ImportWindow, progress: Progress
) -> PlannedView:
    table, channel = None, None
    try:
        if video.table is not None:
            table = original_of(video.table, int)
            frames = frames_of_table(video.table)
        else:
            channel = frame_channel(video, named.streams)
            frames = frames_of_stream(channel.stream.stream, channel.column, window.from_s, window.to_s)
        original = original_of(video.file, _megabytes(progress, f"reading {video.view}, MB", video.file))
        placed = place_frames(
            video.file,
            frames,
            checked.first_frames.get(video.view),
            _megabytes(progress, f"looking at {video.view}, MB", video.file),
        )
    except RequestError as error:
        said = (problem if problem.startswith("--video") else f"{video.view}: {problem}" for problem in error.problems)
        raise RequestError(*said) from None
    return PlannedView(video, original, table, channel, placed)


def _megabytes(progress: Progress, stage: str, path: Path) -> Callable[[int], None]:
    """Return what hears of bytes and draws a bar of megabytes."""
    total = path.stat().st_size // _MB + 1
    done = 0

    def hear(count: int) -> None:
        nonlocal done
        before, done = done // _MB, done + count
        if done // _MB != before:
            progress(stage, min(done // _MB, total - 1), total)

    return hear


def _rig(rig: BoundRig | None, views: set[str]) -> dict[str, Any]:
    """Return the rig as ``take.json`` has it; its reference view only where that view was imported."""
    if rig is None:
        return {
            "name": "",
            "reference_view": None,
            "max_uncertainty_ms": _TOLERANCE_MS,
            "device": [],
            "stream": [],
        }
    recorded = rig.as_recorded()
    return recorded if recorded["reference_view"] in views else recorded | {"reference_view": None}


def _damage(file: XdfFile, path: Path) -> str:
    """Say what of the file cannot be used."""
    if not file.bytes_discarded:
        return ""
    return f"{file.bytes_discarded} bytes of {path.name} are damaged or cut off and cannot be used"
