"""What is to be done with each raw take before any is read: it is as it should be, holds nothing, or is to be made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from capture.made_from import made_from
from capture.process_take import out_of, sheet_of
from lab.errors import FlexCaptureError, RequestError, TakeError
from lab.take import TakeRecord
from storage.checksums import touched_files
from storage.flex import TakeEntry, committed_takes, sheets_said
from storage.take_folder import part_path, read_record, record_path, streams_path


@dataclass(frozen=True)
class PlannedTake:
    """A raw take, the dataset it goes into, and how it is there already; None where it is not."""

    folder: Path
    dataset: Path
    before: TakeEntry | None


@dataclass
class ResegmentPlan:
    """All takes that were meant, each in one of these lists.

    ``nothing`` was cut off before anything was recorded, ``unbegun`` before there was a take at all; ``refused`` says
    why of each take that cannot be made.
    """

    to_make: list[PlannedTake] = field(default_factory=list)
    up_to_date: list[PlannedTake] = field(default_factory=list)
    nothing: list[Path] = field(default_factory=list)
    unbegun: list[Path] = field(default_factory=list)
    refused: dict[Path, tuple[str, ...]] = field(default_factory=dict)


def plan_resegmentation(takes: Iterable[Path], dataset: Path | None, *, force: bool) -> ResegmentPlan:
    """Sort out takes; nothing is touched. With ``force`` none is up to date.

    Raises RequestError for a take beside which no dataset lies, LayoutError for a dataset that cannot be read.
    """
    plan = ResegmentPlan()
    targets = {take: dataset or dataset_beside(take) for take in takes}
    records = _readable(targets, plan)
    there = {target: committed_takes(target) for target in dict.fromkeys(targets[take] for take in records)}
    sheets = {target: sheets_said(target) for target in there}
    for take, record in records.items():
        target = targets[take]
        planned = PlannedTake(take, target, there[target].get(record.id))
        if not force and _is_up_to_date(planned, sheets[target]):
            plan.up_to_date.append(planned)
        else:
            plan.to_make.append(planned)
    return plan


def dataset_beside(take: Path) -> Path:
    """Return ``OUT/dataset`` for a take in ``OUT/raw/<subject>/<session>/<take>``."""
    out = out_of(take)
    if out is None:
        raise RequestError(f"{take} does not lie in a raw folder; name the dataset with --dataset")
    return out / "dataset"


def _readable(targets: dict[Path, Path], plan: ResegmentPlan) -> dict[Path, TakeRecord]:
    """Return the records of the takes that can be made, no two of one id in one dataset."""
    records: dict[Path, TakeRecord] = {}
    for take in targets:
        if not record_path(take).exists() and not _has_streams(take):
            plan.unbegun.append(take)
            continue
        try:
            record = read_record(take)
        except TakeError as error:
            plan.refused[take] = error.problems
            continue
        if record.state == "failed" and not _holds_samples(record):
            plan.nothing.append(take)
        else:
            records[take] = record
    at_home: dict[tuple[Path, str], Path] = {}
    for take in sorted(records, key=lambda take: take.name != records[take].take):
        at_home.setdefault((targets[take], records[take].id), take)
    for take, record in list(records.items()):
        other = at_home[targets[take], record.id]
        if other != take:
            plan.refused[take] = (f"it says that it is {record.id}, as {other} does; move one of them elsewhere",)
            del records[take]
    return records


def _has_streams(take: Path) -> bool:
    return streams_path(take).exists() or part_path(streams_path(take)).exists()


def _holds_samples(record: TakeRecord) -> bool:
    return any(stream.samples for stream in record.streams) or any(view.frames for view in record.views)


def _is_up_to_date(planned: PlannedTake, sheets: dict[str, dict[str, object] | None]) -> bool:
    """Whether a take's files are there, made from what they would be made from now."""
    before = planned.before
    if before is None or before.take["made_from"] is None:
        return False
    try:
        if made_from(planned.folder) != before.take["made_from"] or touched_files(planned.folder):
            return False
    except FlexCaptureError:
        return False  # whoever makes it says why it cannot be
    sheet, problems = sheet_of(before.take["subject"], planned.folder)
    if problems or (sheet is not None and sheet.columns() != sheets.get(before.take["subject"])):
        return False
    return all((planned.dataset / file).is_file() for file in before.files())
