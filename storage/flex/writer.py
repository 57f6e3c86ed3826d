"""A take becomes part of a dataset: its files first, then the tables, in one act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.actions import ACTIONS
from lab.aligned import AlignedStream, AlignedTake
from lab.errors import FlexCaptureError, LayoutError
from lab.joints import JOINTS
from lab.repetitions import Segmentation
from lab.rig import VIEW_NAME
from lab.subject import SubjectSheet
from lab.take import SESSION, SUBJECT, TAKE, TakeRecord
from storage.atomic import write_bytes_atomically
from storage.flex.entries import TakeEntry, take_entry
from storage.flex.folder import begin_dataset, sweep
from storage.flex.frames import FrameRows, frame_rows, frames_bytes
from storage.flex.lock import writer_lock
from storage.flex.paths import clip_label
from storage.flex.read_back import check_written
from storage.flex.signals import signals_bytes
from storage.flex.tables import ENTRY_KEY, SIMULATED_KEY, VERSION_KEY, read_entries, write_tables
from storage.flex.versions import LAYOUT_VERSION
from storage.flex.view_frames import ViewFrames
from storage.os_errors import reason
from storage.take_folder import view_video_path
from storage.video_reader import VideoIndex, cut_clip, read_video_index

#: Called with what is being written, how many are done, and of how many.
Progress = Callable[[str, int, int], None]

#: More repetitions than this are no set, but a segmentation gone wrong.
_MOST_REPETITIONS: Final = 999


@dataclass(frozen=True)
class WrittenTake:
    """What was written: paths are absolute; ``remarks`` are sentences for the operator."""

    take_id: str
    revision: str
    repetitions: int
    frames_path: Path
    signals_path: Path
    sync_path: Path | None
    clip_paths: tuple[Path, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class _Clip:
    source: Path
    destination: Path
    first: int
    last: int
    label: str


def write_take(
    dataset: Path,
    take_folder: Path,
    take: AlignedTake,
    segmentation: Segmentation,
    progress: Progress | None = None,
    *,
    excluded_reason: str | None = None,
    faults: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    sheet: SubjectSheet | None = None,
    sync_picture: bytes | None = None,
) -> WrittenTake:
    """Write a take into a dataset, or again with what is known better now.

    ``take_folder`` is the raw take's, with its views' videos; ``excluded_reason`` is why the take was marked not to
    be used, ``faults`` what failed or is damaged, ``notes`` what was said about it, ``sheet`` the subject's,
    ``sync_picture`` an SVG of how its times were found. The dataset's folder is made if it is missing. The take's files
    get a new revision, are read back, and are seen from the moment ``repetitions.parquet`` is replaced; then older
    revisions are removed. Written again from the same, every file has the same bytes. Raises LayoutError if the take or
    the dataset cannot be written; the dataset is then as it was.
    """
    say = progress or (lambda _what, _done, _total: None)
    _check(take, segmentation)
    views = {view.view: ViewFrames.of(view) for view in sorted(take.views, key=lambda view: view.view)}
    reference = views.get(take.reference_view) if take.reference_view else None
    rows = [frame_rows(take, reference, repetition) for repetition in segmentation.repetitions]
    entry = take_entry(take, segmentation, views, rows, excluded_reason, faults, notes, sync_picture)
    clips = _clips(dataset, take_folder, take.record, entry)
    try:
        dataset.mkdir(parents=True, exist_ok=True)
        with writer_lock(dataset):
            begin_dataset(dataset)
            entries = read_entries(dataset)
            try:
                _write_files(dataset, take, segmentation, views, rows, entry, clips, sync_picture, say)
                check_written(dataset, entry)
            except BaseException:  # Ctrl-C too: a full disk gets its space back, a reader of all files no leftovers.
                sweep(dataset, entries)
                raise
            entries[entry.take_id] = entry
            say("tables", 0, 1)
            said = {} if sheet is None else {entry.take["subject"]: sheet.columns()}
            write_tables(dataset, entries, sheets=said)
            say("tables", 1, 1)
            sweep(dataset, entries)
    except FlexCaptureError:
        raise
    except OSError as error:
        raise LayoutError(
            f"Take {entry.take_id} could not be written into {dataset} ({reason(error)}); "
            "the dataset is as it was: see to the disk and write the take again."
        ) from error
    return WrittenTake(
        take_id=entry.take_id,
        revision=entry.revision,
        repetitions=segmentation.found,
        frames_path=dataset / entry.take["frames_file"],
        signals_path=dataset / entry.take["signals_file"],
        sync_path=None if sync_picture is None else dataset / entry.take["sync_file"],
        clip_paths=tuple(clip.destination for clip in clips),
        remarks=_remarks(entry, rows, tuple(views)),
    )


def _clips(dataset: Path, take_folder: Path, record: TakeRecord, entry: TakeEntry) -> list[_Clip]:
    return [
        _Clip(
            view_video_path(take_folder, record, view),
            dataset / row[name],
            row[f"{view}_start_frame"],
            row[f"{view}_end_frame"],
            clip_label(record.id, view, row[f"{view}_start_frame"], row[f"{view}_end_frame"]),
        )
        for row in entry.repetitions
        for name in row
        if name.endswith("_clip")
        for view in (name.removesuffix("_clip"),)
    ]


def _write_files(
    dataset: Path,
    take: AlignedTake,
    segmentation: Segmentation,
    views: dict[str, ViewFrames],
    rows: list[FrameRows],
    entry: TakeEntry,
    clips: list[_Clip],
    sync_picture: bytes | None,
    say: Progress,
) -> None:
    """Write clips, picture, signals and frames, in this order: a take whose frames table is there is there whole."""
    indices: dict[Path, VideoIndex] = {}
    for done, clip in enumerate(clips):
        say("video", done, len(clips))
        if clip.source not in indices:
            indices[clip.source] = read_video_index(clip.source)
        count = len(indices[clip.source].pts_us)
        if clip.last >= count:
            raise LayoutError(
                f"{clip.source} has {count} frames, but repetition frames up to {clip.last} are asked of it; "
                "verify the raw take."
            )
        clip.destination.parent.mkdir(parents=True, exist_ok=True)
        cut_clip(clip.source, clip.destination, clip.first, clip.last, indices[clip.source], clip.label)
    say("video", len(clips), len(clips))
    metadata = {
        VERSION_KEY: str(LAYOUT_VERSION),
        SIMULATED_KEY: "yes" if take.record.simulated else "no",
        ENTRY_KEY: entry.to_json(),
    }
    for what in ("sync", "signals", "frames"):
        if entry.take[f"{what}_file"] is None:
            continue
        say(what, 0, 1)
        path = dataset / entry.take[f"{what}_file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if what == "sync":
            data = sync_picture or b""
        elif what == "signals":
            data = signals_bytes(take, segmentation.repetitions, entry.revision)
        else:
            data = frames_bytes(take, views, rows, metadata)
        write_bytes_atomically(path, data)
        say(what, 1, 1)


def _remarks(entry: TakeEntry, rows: list[FrameRows], views: tuple[str, ...]) -> tuple[str, ...]:
    out = []
    if not entry.repetitions:
        out.append(f"Take {entry.take_id} is in the dataset without repetitions: none were found.")
    for row, its_rows in zip(entry.repetitions, rows, strict=True):
        uncovered = [view for view in views if f"{view}_clip" not in row]
        if uncovered:
            out.append(
                f"Repetition {row['repetition']} has no clip of {', '.join(uncovered)}: frames are missing there."
            )
        if not len(its_rows.time_s):
            out.append(
                f"Repetition {row['repetition']} has no rows in the frames table: it has neither frames nor pose."
            )
    return tuple(out)


def _check(take: AlignedTake, segmentation: Segmentation) -> None:
    """Raise LayoutError, with all problems, for what would make a broken dataset or leave its folder."""
    record = take.record
    problems = [
        f"{what} '{value}' of the take cannot be part of a file's name; correct it with a mark on the take."
        for what, value, pattern in (
            ("Subject", record.subject, SUBJECT),
            ("Session", record.session, SESSION),
            ("Take", record.take, TAKE),
        )
        if not pattern.fullmatch(value)
    ]
    if record.action not in ACTIONS:
        problems.append(
            f"Action '{record.action}' of take {record.id} is not one of A01 to A20; correct it with a mark."
        )
    names = [view.view for view in take.views]
    if len(set(names)) < len(names) or not all(VIEW_NAME.fullmatch(name) for name in names):
        problems.append(f"The views of take {record.id} are not view1 to view9, each once; correct the rig.")
    if take.reference_view is not None and take.reference_view not in names:
        problems.append(
            f"Reference view '{take.reference_view}' of take {record.id} was not recorded; name another one."
        )
    problems += _bad_arrays(take) + _bad_repetitions(record.id, segmentation)
    if problems:
        raise LayoutError(*problems)


def _advances(time_s: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(time_s).all() and (np.diff(time_s) > 0).all())


def _bad_arrays(take: AlignedTake) -> list[str]:
    problems = []
    pose = take.pose
    if pose is not None and pose.positions_m.shape != (len(pose.time_s), len(JOINTS), 3):
        problems.append(f"Pose of take {take.record.id} is not (frames, {len(JOINTS)}, 3); check the marker map.")
    elif pose is not None and not _advances(pose.time_s):
        problems.append(f"Times of the pose of take {take.record.id} do not advance; synchronise the take again.")
    streams: tuple[AlignedStream | None, ...] = (take.emg, take.heart_rate, take.breath_rate)
    for stream in (stream for stream in streams if stream is not None):
        if stream.values.ndim != 2 or len(stream.values) != len(stream.time_s) or not stream.values.shape[1]:
            problems.append(f"Values of stream '{stream.name}' of take {take.record.id} do not fit its times.")
        elif stream.values.dtype.kind not in "iuf":
            problems.append(f"Values of stream '{stream.name}' of take {take.record.id} are not numbers.")
        elif len(stream.channels) != stream.values.shape[1]:
            problems.append(f"Stream '{stream.name}' of take {take.record.id} has values without a channel's name.")
        elif not _advances(stream.time_s):
            problems.append(f"Times of stream '{stream.name}' of take {take.record.id} do not advance.")
    if take.emg_envelope is not None and (take.emg is None or take.emg_envelope.shape != take.emg.values.shape):
        problems.append(f"The sEMG envelope of take {take.record.id} does not fit its sEMG.")
    problems += [
        f"Frames of {view.view} of take {take.record.id} do not fit their times."
        for view in take.views
        if len(view.time_s) != len(view.index)
    ]
    return problems


def _bad_repetitions(take_id: str, segmentation: Segmentation) -> list[str]:
    if segmentation.found > _MOST_REPETITIONS:
        return [
            f"Take {take_id} has {segmentation.found} repetitions, more than {_MOST_REPETITIONS}; segment it again."
        ]
    problems = []
    before_s = -np.inf
    for number, repetition in enumerate(segmentation.repetitions, start=1):
        bounds_s = (repetition.start_s, repetition.turn_s, repetition.end_s)
        if not (np.isfinite(bounds_s).all() and bounds_s[0] < bounds_s[1] < bounds_s[2] and bounds_s[0] > before_s):
            problems.append(
                f"Repetition {number} of take {take_id} does not run from start over turn to end; segment it again."
            )
        before_s = bounds_s[0]
    return problems
