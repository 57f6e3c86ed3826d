"""A take's files, made aside: what a writer then moves to their places in one go, with those of other takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lab.aligned import AlignedTake
from lab.errors import FlexCaptureError, LayoutError
from lab.repetitions import Segmentation
from lab.subject import SubjectSheet
from storage.atomic import write_bytes_durably
from storage.flex.clips import CLIPS_KEY, PlannedClip, clip_key, clips_json, make_clip
from storage.flex.entries import Row, TakeEntry, take_entry
from storage.flex.frames import FrameRows, frame_rows, frames_bytes
from storage.flex.paths import clip_label
from storage.flex.read_back import check_written
from storage.flex.signals import signals_bytes
from storage.flex.tables import ENTRY_KEY, SIMULATED_KEY, VERSION_KEY
from storage.flex.take_checks import check_take
from storage.flex.versions import LAYOUT_VERSION
from storage.flex.view_frames import ViewFrames
from storage.os_errors import reason
from storage.take_folder import view_video_path
from storage.video_reader import VideoIndex

#: Called with what is being written, how many are done, and of how many.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TakeContent:
    """What a take's files are made from.

    ``folder`` is the raw take's, with its views' videos; ``excluded_reason`` is why the take was marked not to be used,
    ``faults`` what failed or is damaged, ``notes`` what was said about it, ``sheet`` the subject's, ``sync_picture`` an
    SVG of how its times were found, ``made_from`` a hash of all that this was made from, None where raw bytes are not
    what they were.
    """

    folder: Path
    take: AlignedTake
    segmentation: Segmentation
    excluded_reason: str | None = None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    sheet: SubjectSheet | None = None
    sync_picture: bytes | None = None
    made_from: str | None = None


@dataclass(frozen=True)
class StagedTake:
    """A take whose files lie in ``folder``, each under the name it will have in the dataset.

    ``files`` are these names in the order in which they are to be moved, ``sheet`` the columns of the subject's sheet,
    ``clips`` and ``carried`` the number of clips and of those that were carried over from the revision before.
    """

    folder: Path
    entry: TakeEntry
    files: tuple[str, ...]
    sheet: Row | None
    clips: int
    carried: int
    remarks: tuple[str, ...]


def stage_take(
    dataset: Path, folder: Path, content: TakeContent, clips: tuple[PlannedClip, ...], progress: Progress
) -> StagedTake:
    """Make all files of a take below ``folder``, which is on the dataset's disk; the dataset itself is only read.

    What was made is read back. ``clips`` are those of ``plan_clips``. Raises LayoutError if the take cannot be written.
    """
    take, segmentation = content.take, content.segmentation
    check_take(take, segmentation)
    views = {view.view: ViewFrames.of(view) for view in sorted(take.views, key=lambda view: view.view)}
    reference = views.get(take.reference_view) if take.reference_view else None
    rows = [frame_rows(take, reference, repetition) for repetition in segmentation.repetitions]
    entry = take_entry(
        take,
        segmentation,
        views,
        rows,
        content.excluded_reason,
        content.faults,
        content.notes,
        content.sync_picture,
        content.made_from,
    )
    try:
        made, carried, digests = _stage_clips(dataset, folder, content, entry, clips, progress)
        metadata = {
            VERSION_KEY: str(LAYOUT_VERSION),
            SIMULATED_KEY: "yes" if take.record.simulated else "no",
            ENTRY_KEY: entry.to_json(),
            CLIPS_KEY: clips_json(digests),
        }
        encoders: dict[str, Callable[[], bytes]] = {
            "sync": lambda: content.sync_picture or b"",
            "signals": lambda: signals_bytes(take, segmentation.repetitions, entry.revision),
            "frames": lambda: frames_bytes(take, views, rows, metadata),
        }
        for what, encode in encoders.items():
            file = entry.take[f"{what}_file"]
            if file is None:
                continue
            progress(what, 0, 1)
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes_durably(path, encode())
            made.append(file)
            progress(what, 1, 1)
        progress("reading back", 0, 1)
        check_written(folder, entry)
        progress("reading back", 1, 1)
    except FlexCaptureError:
        raise
    except OSError as error:
        raise not_written(entry.take_id, dataset, error) from error
    return StagedTake(
        folder=folder,
        entry=entry,
        files=tuple(made),
        sheet=None if content.sheet is None else content.sheet.columns(),
        clips=len(clips),
        carried=carried,
        remarks=_remarks(entry, rows, tuple(views)),
    )


def not_written(take_id: str, dataset: Path, error: OSError) -> LayoutError:
    """Return the sentence for a take that the disk did not take."""
    return LayoutError(
        f"Take {take_id} could not be written into {dataset} ({reason(error)}); "
        "the dataset is as it was: see to the disk and write the take again."
    )


def _stage_clips(
    dataset: Path,
    folder: Path,
    content: TakeContent,
    entry: TakeEntry,
    clips: tuple[PlannedClip, ...],
    progress: Progress,
) -> tuple[list[str], int, dict[str, str]]:
    """Make the clips; return their files, how many were carried over, and their checksums by name."""
    indices: dict[Path, VideoIndex] = {}
    files: list[str] = []
    digests: dict[str, str] = {}
    carried = 0
    for done, clip in enumerate(clips):
        progress("video", done, len(clips))
        file = entry.repetitions[clip.repetition - 1][f"{clip.view}_clip"]
        destination = folder / file
        destination.parent.mkdir(parents=True, exist_ok=True)
        source = view_video_path(content.folder, content.take.record, clip.view)
        label = clip_label(entry.take_id, clip.view, clip.first, clip.last)
        digests[clip_key(file)], as_before = make_clip(clip, dataset, source, destination, indices, label)
        files.append(file)
        carried += as_before
    progress("video", len(clips), len(clips))
    return files, carried, digests


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
