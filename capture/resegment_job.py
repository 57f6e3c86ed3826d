"""One take of a resegmentation, wherever it runs: from raw bytes to files made aside, or to what would change."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capture.process_take import Progress, process_in_memory, stage_raw_take
from capture.resegment_change import TakeChange, change_of
from capture.verdict import Verdict, judge
from lab.errors import FlexCaptureError
from storage.flex import StagedTake, TakeEntry, plan_clips


@dataclass(frozen=True)
class TakeJob:
    """What is to be done with one take.

    ``staging`` is the folder for its files, None for a dry run; ``before`` the take as the dataset has it; ``afresh``
    says that nothing is carried over. A dry run may leave out what people said of repetitions, ``uncorrected``.
    """

    folder: Path
    dataset: Path
    staging: Path | None
    before: TakeEntry | None
    afresh: bool = False
    uncorrected: bool = False


@dataclass(frozen=True)
class TakeResult:
    """What became of a take: made aside, compared, or failed, with the sentences why.

    ``inputs`` is the hash of what it was made from.
    """

    job: TakeJob
    outcome: Literal["staged", "compared", "failed"]
    problems: tuple[str, ...] = ()
    verdict: Verdict | None = None
    staged: StagedTake | None = None
    change: TakeChange | None = None
    inputs: str = ""


def run_job(job: TakeJob, progress: Progress) -> TakeResult:
    """Do one take. Whatever is wrong with it is part of the result; only what ends a process is raised."""
    try:
        return _compared(job, progress) if job.staging is None else _staged(job, job.staging, progress)
    except FlexCaptureError as error:
        return TakeResult(job, "failed", error.problems)
    except Exception as error:  # noqa: BLE001 - the other takes must have their turn
        sentence = f"it could not be processed ({type(error).__name__}: {error}); the dataset is as it was"
        return TakeResult(job, "failed", (sentence,))


def _staged(job: TakeJob, staging: Path, progress: Progress) -> TakeResult:
    before = None if job.afresh else job.before
    processed, staged = stage_raw_take(job.folder, job.dataset, staging, before, progress, verify=True)
    return TakeResult(job, "staged", verdict=judge(processed, job.dataset), staged=staged, inputs=processed.inputs)


def _compared(job: TakeJob, progress: Progress) -> TakeResult:
    processed = process_in_memory(job.folder, progress, verify=False, discard_corrections=job.uncorrected)
    before = None if job.afresh else job.before
    clips = plan_clips(job.dataset, processed.aligned, processed.segmentation, before, look=False)
    change = change_of(job.before, processed.aligned.record.id, processed.segmentation, clips)
    return TakeResult(job, "compared", verdict=judge(processed, None), change=change, inputs=processed.inputs)
