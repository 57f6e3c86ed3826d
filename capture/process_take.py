"""Raw take -> one clock -> repetitions -> dataset: the same path right after a take and years later."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from capture.alignment import align_take
from capture.made_from import made_from, videos_to_leave
from capture.segment_source import NO_MOTION, SegmentRequest, signals_of_streams
from lab.actions import ACTIONS
from lab.aligned import AlignedTake
from lab.corrections import with_corrections
from lab.errors import FileFormatError, TakeError
from lab.marks import Mark, Standing, set_right
from lab.motion_signal import MotionSignal
from lab.repetitions import Segmentation
from lab.subject import SubjectSheet
from lab.take import TakeRecord
from storage.checksums import sealed_files, verify_sums
from storage.flex import (
    StagedTake,
    TakeContent,
    TakeEntry,
    commit_takes,
    committed_take,
    dataset_staging,
    plan_clips,
    stage_take,
)
from storage.raw_take import read_raw_take
from storage.subject_sheets import read_sheet
from storage.take_folder import read_record, view_video_path
from sync.repetitions import find_repetitions
from sync.signal_repetitions import find_in_signals

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ProcessedTake:
    """A take on one clock with its repetitions.

    ``damage`` says what of the raw bytes is missing or changed, which marks the take; ``remarks`` what a person may
    want to know: what was said of the take later, and of files that were written. ``standing`` is what it counts as
    by its ``marks``. ``inputs`` is the hash of what it was made from, ``as_sealed`` whether the raw bytes that were
    looked at are those of the checksums.
    """

    aligned: AlignedTake
    segmentation: Segmentation
    damage: tuple[str, ...]
    remarks: tuple[str, ...]
    standing: Standing
    marks: tuple[Mark, ...]
    inputs: str
    as_sealed: bool


def process_take(folder: Path, dataset: Path, progress: Progress, *, verify: bool) -> ProcessedTake:
    """Synchronise, segment and write one sealed raw take into ``dataset``.

    ``verify`` compares the raw files with their checksums first; right after the take they were just made. Raises
    TakeError or LayoutError; the dataset is then as it was.
    """
    before = committed_take(dataset, read_record(folder).id)
    with dataset_staging(dataset) as staging:
        while True:
            processed, staged = stage_raw_take(folder, dataset, staging, before, progress, verify=verify)
            progress("tables", 0, 1)
            for failure in commit_takes(dataset, [staged]).values():
                raise failure
            progress("tables", 1, 1)
            if made_from(folder) == processed.inputs:
                return processed
            before = staged.entry  # somebody said something meanwhile, and may have written it before us


def stage_raw_take(
    folder: Path,
    dataset: Path,
    staging: Path,
    before: TakeEntry | None,
    progress: Progress,
    *,
    verify: bool,
) -> tuple[ProcessedTake, StagedTake]:
    """Synchronise and segment one sealed raw take and make its files below ``staging``; the dataset is only read.

    ``before`` is the take as the dataset has it, for clips that stay as they are: raw videos from which nothing is cut
    are not read then. Raises TakeError or LayoutError.
    """
    unread = videos_to_leave(folder, read_record(folder), before) if verify else frozenset()
    processed = process_in_memory(folder, progress, verify=verify, unread=unread)
    progress("comparing clips", 0, 1)
    clips = plan_clips(dataset, processed.aligned, processed.segmentation, before)
    progress("comparing clips", 1, 1)
    record = processed.standing.record
    cut = {view_video_path(folder, record, clip.view).name for clip in clips if clip.kept is None}
    if cut & unread:
        progress("verifying", 0, 1)
        unread_files = sealed_files(folder).keys() - (cut & unread)
        changed = verify_sums(folder, unread_files)
        progress("verifying", 1, 1)
        if changed:  # then nothing of the earlier clips is to be believed either
            return stage_raw_take(folder, dataset, staging, None, progress, verify=verify)
    sheet, sheet_remarks = sheet_of(record.subject, folder)
    progress("drawing", 0, 1)
    picture = picture_of(processed.aligned)
    progress("drawing", 1, 1)
    content = TakeContent(
        folder,
        processed.aligned,
        processed.segmentation,
        excluded_reason=processed.standing.excluded_reason,
        faults=(*record.faults, *processed.damage),
        notes=processed.standing.notes,
        sheet=sheet,
        sync_picture=picture,
        made_from=processed.inputs if processed.as_sealed else None,
    )
    place = staging / secrets.token_hex(6)  # a take that is made twice must not meet its own files
    place.mkdir()
    staged = stage_take(dataset, place, content, clips, progress)
    return replace(processed, remarks=(*processed.remarks, *staged.remarks, *sheet_remarks)), staged


def picture_of(aligned: AlignedTake) -> bytes | None:
    """Return the picture of how a take's times were found; None of a take that has no streams."""
    from capture.page.sync_picture import sync_picture

    evidence = tuple(zip(aligned.evidence, aligned.reports, strict=True)) if aligned.evidence else ()
    return sync_picture(aligned.record.id, evidence) if evidence else None


def process_in_memory(
    folder: Path,
    progress: Progress,
    *,
    verify: bool,
    unread: Collection[str] = (),
    discard_corrections: bool = False,
) -> ProcessedTake:
    """Synchronise and segment one sealed raw take and write nothing. Raises TakeError.

    ``verify`` as above, but for the files that are to stay ``unread``. ``discard_corrections`` leaves out what people
    corrected of the repetitions.
    """
    inputs = made_from(folder)
    changed: list[str] = []
    if verify:
        progress("verifying", 0, 1)
        changed = verify_sums(folder, unread)
        progress("verifying", 1, 1)
    progress("reading", 0, 1)
    recorded = read_raw_take(folder)
    if recorded.record.state == "recording":
        raise TakeError(f"{folder} was never finished; it must be recovered before it can be used")
    standing = set_right(recorded.record, recorded.marks)
    progress("reading", 1, 1)
    progress("synchronising", 0, 1)
    aligned = align_take(replace(recorded, record=standing.record))
    progress("synchronising", 1, 1)
    progress("finding repetitions", 0, 1)
    marks = () if discard_corrections else recorded.marks
    corrected = with_corrections(segment(aligned), marks, zero_s(aligned.record))
    progress("finding repetitions", 1, 1)
    damage = tuple(without_folder(note, folder) for note in (*changed, *recorded.notes))
    standing = replace(standing, notes=(*standing.notes, *corrected.remarks))
    return ProcessedTake(
        aligned,
        corrected.segmentation,
        damage,
        _remarks(standing),
        standing,
        recorded.marks,
        inputs,
        as_sealed=not changed,
    )


def zero_s(record: TakeRecord) -> float:
    """Return the session time from which people count in a take: "recording", or else the start."""
    return record.started.session_s if record.recording_s is None else record.recording_s


def _remarks(standing: Standing) -> tuple[str, ...]:
    """Return what was said of the take later."""
    excluded = () if standing.excluded_reason is None else (f"not to be used: {standing.excluded_reason}",)
    return (*excluded, *standing.notes)


def sheet_of(subject: str, folder: Path) -> tuple[SubjectSheet | None, tuple[str, ...]]:
    """Return the subject's sheet beside the raw takes, and what is wrong with it: no take waits for that."""
    out = out_of(folder)
    if out is None:
        return None, ()
    try:
        return read_sheet(out, subject), ()
    except FileFormatError as error:
        return None, error.problems


def out_of(take: Path) -> Path | None:
    """Return ``OUT`` for a take in ``OUT/raw/<subject>/<session>/<take>``; None for one that lies elsewhere."""
    parents = Path(os.path.normpath(take.absolute())).parents
    return parents[3] if len(parents) > 3 and parents[2].name == "raw" else None


def without_folder(sentence: str, folder: Path) -> str:
    """Return a sentence about a take's file without the folder: the same from wherever the take is looked at."""
    return sentence.replace(f"{folder}{os.sep}", "")


def segment(aligned: AlignedTake, expected: int | None = None) -> Segmentation:
    """Find the repetitions of a take: on its pose, else on its markers or IMUs, else on its sEMG.

    ``expected`` replaces the take's own count. None are found, with the reason, where it has nothing of the kind.
    """
    wanted = aligned.record.expected_repetitions if expected is None else expected
    action = ACTIONS.get(aligned.record.action)
    in_turn = action is not None and action.sides == "right_then_left"
    if aligned.pose is not None and len(aligned.pose.time_s):
        return find_repetitions(aligned.pose.time_s, aligned.pose.positions_m, wanted, in_turn=in_turn)
    signals = signals_of_take(aligned)
    if not signals:
        return Segmentation((), wanted, "none", {}, ("there is no pose in this take to find repetitions in",))
    return find_in_signals(signals, wanted)


def signals_of_take(aligned: AlignedTake) -> tuple[MotionSignal, ...]:
    """Return all signals of a take in which repetitions can be looked for, on session time."""
    pose, emg = aligned.pose, aligned.emg
    if pose is not None and len(pose.time_s):
        points = pose.positions_m.reshape(len(pose.time_s), -1)
        return (MotionSignal(pose.stream, "positions", pose.time_s, points, ()),)
    others = [stream for stream in aligned.others if stream.content_type.lower() not in NO_MOTION]
    signals = signals_of_streams(others, SegmentRequest(Path(aligned.record.id))).signals
    if emg is not None and len(emg.time_s):
        labels = tuple(channel.label for channel in emg.channels)
        signals = (*signals, MotionSignal(emg.name, "emg", emg.time_s, emg.values, labels))
    return signals
