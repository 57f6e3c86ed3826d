"""Raw take -> one clock -> repetitions -> dataset: the same path right after a take and years later."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from capture.alignment import align_take
from lab.actions import ACTIONS
from lab.aligned import AlignedTake
from lab.errors import TakeError
from lab.repetitions import Segmentation
from storage.checksums import verify_sums
from storage.flex import write_take
from storage.raw_take import read_raw_take
from sync.repetitions import find_repetitions

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ProcessedTake:
    """A take on one clock with its repetitions.

    ``damage`` says what of the raw bytes is missing or changed, which marks the take; ``remarks`` what a person may
    want to know of the files written into a dataset, none where it was not written into one.
    """

    aligned: AlignedTake
    segmentation: Segmentation
    damage: tuple[str, ...]
    remarks: tuple[str, ...]


def process_take(folder: Path, dataset: Path, progress: Progress, *, verify: bool) -> ProcessedTake:
    """Synchronise, segment and write one sealed raw take into ``dataset``.

    ``verify`` compares the raw files with their checksums first; right after the take they were just made. Raises
    TakeError or LayoutError; the dataset is then as it was.
    """
    processed = process_in_memory(folder, progress, verify=verify)
    notes = (*processed.aligned.record.faults, *processed.damage)
    written = write_take(dataset, folder, processed.aligned, processed.segmentation, progress, notes=notes)
    return replace(processed, remarks=written.remarks)


def process_in_memory(folder: Path, progress: Progress, *, verify: bool) -> ProcessedTake:
    """Synchronise and segment one sealed raw take and write nothing. Raises TakeError; ``verify`` as above."""
    damage: tuple[str, ...] = ()
    if verify:
        progress("verifying", 0, 1)
        damage = tuple(without_folder(problem, folder) for problem in verify_sums(folder))
        progress("verifying", 1, 1)
    progress("reading", 0, 1)
    recorded = read_raw_take(folder)
    if recorded.record.state == "recording":
        raise TakeError(f"{folder} was never finished; it must be recovered before it can be used")
    progress("reading", 1, 1)
    progress("synchronising", 0, 1)
    aligned = align_take(recorded)
    progress("synchronising", 1, 1)
    progress("finding repetitions", 0, 1)
    segmentation = segment(aligned)
    progress("finding repetitions", 1, 1)
    damage += tuple(without_folder(note, folder) for note in recorded.notes)
    return ProcessedTake(aligned, segmentation, damage, ())


def without_folder(sentence: str, folder: Path) -> str:
    """Return a sentence about a take's file without the folder: the same from wherever the take is looked at."""
    return sentence.replace(f"{folder}{os.sep}", "")


def segment(aligned: AlignedTake) -> Segmentation:
    """Find the repetitions of a take on its pose; none, with the reason, where there is no pose."""
    expected = aligned.record.expected_repetitions
    if aligned.pose is None or len(aligned.pose.time_s) == 0:
        return Segmentation((), expected, "none", {}, ("there is no pose in this take to find repetitions in",))
    action = ACTIONS.get(aligned.record.action)
    in_turn = action is not None and action.sides == "right_then_left"
    return find_repetitions(aligned.pose.time_s, aligned.pose.positions_m, expected, in_turn=in_turn)
