"""Which repetitions of a dataset go into a release, under which number, and what each of them lacks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from capture.release_scores import scores_of
from capture.release_split import Split, choose_tests
from lab.actions import ACTIONS
from lab.emg_targets import EmgTargets
from storage.flex.columns import STANDARD_VIEWS

if TYPE_CHECKING:
    from storage.flex import Dataset

#: What FLEX's public training code reads of every sample.
READ: Final = ("view1", "view2", "pose", "sEMG targets")
#: Without these there is no sample at all: the code finds samples by the one, and the other is the cheapest to have.
NEEDED: Final = ("view1", "pose")

_INDEX: Final = (
    "repetition_id",
    "subject",
    "action",
    "take_id",
    "repetition",
    "excluded_reason",
    "frame_rows",
    "simulated",
)


@dataclass(frozen=True)
class ReleaseRequest:
    """What the operator asked for. ``output`` is a new folder; ``targets`` say which sEMG channels an action is for."""

    dataset: Path
    output: Path
    targets: EmgTargets = field(default_factory=lambda: EmgTargets(targets={}))
    split: Split = "subject"
    seed: int = 1
    test_share: float = 0.2
    excluded: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Sample:
    """One repetition of a release. ``channels`` are the places of its sEMG targets, () where they are not known."""

    repetition_id: str
    subject: str
    action: str
    number: int
    score: float
    for_tests: bool
    views: tuple[str, ...]
    channels: tuple[int, ...]
    lacks: tuple[str, ...]
    simulated: bool


@dataclass(frozen=True)
class ReleasePlan:
    """What is to be written, by (class, number), and how many repetitions are not, by the reason.

    ``unknown_targets`` are the actions whose sEMG was recorded but whose targets nobody named, ``odd_scores`` the
    samples that were annotated but have no score, since the weights are none.
    """

    samples: tuple[Sample, ...]
    left_out: Mapping[str, int]
    unknown_targets: tuple[str, ...]
    odd_scores: tuple[str, ...]


@dataclass(frozen=True)
class _Take:
    has_pose: bool
    has_emg: bool
    labels: tuple[str, ...]


def plan_release(dataset: Dataset, request: ReleaseRequest) -> ReleasePlan:
    """Choose and number the samples.

    Numbers run through all repetitions of an action in the order of the index, those that are left out too, so that a
    repetition has the same number whatever is asked for. Raises RequestError where one side of the split is empty,
    LayoutError where the dataset is damaged.
    """
    rows = dataset.index.select([*_INDEX, *(f"{view}_clip" for view in STANDARD_VIEWS)])
    takes = _takes(dataset)
    scores = _scores(dataset)
    numbers: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    unknown: set[str] = set()
    chosen: list[tuple[dict[str, Any], int, tuple[int, ...], tuple[str, ...]]] = []
    for batch in rows.to_batches(max_chunksize=256):
        for row in batch.to_pylist():
            numbers[row["action"]] += 1
            take = takes[row["take_id"]]
            channels = request.targets.channels(row["action"], take.labels) or ()
            lacks = tuple(_lacks(row, take, channels))
            if take.has_emg and not channels:
                unknown.add(row["action"])
            if row["excluded_reason"] is not None and not request.excluded:
                left_out["retaken" if row["excluded_reason"] == "retaken" else "excluded"] += 1
                continue
            stops = [what for what in lacks if what in (NEEDED if request.partial else READ)]
            if stops:
                left_out[f"without {' and '.join(stops)}"] += 1
                continue
            chosen.append((row, numbers[row["action"]], channels, lacks))
    tests: frozenset[str] = frozenset()
    if chosen:
        said = [(row["repetition_id"], row["subject"], row["action"]) for row, *_ in chosen]
        tests = choose_tests(said, request.split, request.seed, request.test_share)
    samples = [
        Sample(
            repetition_id=row["repetition_id"],
            subject=row["subject"],
            action=row["action"],
            number=number,
            score=scores.get((row["take_id"], row["repetition"]), float("nan")),
            for_tests=row["repetition_id"] in tests,
            views=tuple(view for view in STANDARD_VIEWS if row[f"{view}_clip"]),
            channels=channels,
            lacks=lacks,
            simulated=row["simulated"],
        )
        for row, number, channels, lacks in chosen
    ]
    samples.sort(key=lambda sample: (sample.action, sample.number))
    odd = [
        row["repetition_id"] for row, *_ in chosen if math.isnan(scores.get((row["take_id"], row["repetition"]), 0.0))
    ]
    return ReleasePlan(tuple(samples), dict(left_out), tuple(sorted(unknown)), tuple(odd))


def _lacks(row: Mapping[str, Any], take: _Take, channels: Sequence[int]) -> Iterator[str]:
    for view in STANDARD_VIEWS:
        if not row[f"{view}_clip"]:
            yield view
    if not take.has_pose or not row["frame_rows"]:
        yield "pose"
    if not channels:
        yield "sEMG targets"


def _takes(dataset: Dataset) -> dict[str, _Take]:
    from storage.flex.read_signals import read_labels

    labels: dict[str, tuple[str, ...]] = {}
    takes = {}
    for row in dataset.table("takes")[["take_id", "modalities"]].to_dict("records"):
        takes[row["take_id"]] = set(row["modalities"])
    for batch in dataset.index.select(["take_id", "signals_file", "signals_group"]).to_batches(max_chunksize=256):
        for row in batch.to_pylist():
            if row["take_id"] not in labels:
                has_emg = "emg" in takes.get(row["take_id"], ())
                group = row["signals_group"]
                labels[row["take_id"]] = read_labels(dataset.path, row["signals_file"], group, "emg") if has_emg else ()
    return {
        take_id: _Take("pose" in there, "emg" in there, labels.get(take_id, ())) for take_id, there in takes.items()
    }


def _scores(dataset: Dataset) -> dict[tuple[str, int], float]:
    annotations = dataset.table("annotations")
    if not len(annotations):
        return {}
    index = dataset.index.select(["take_id", "action"]).to_pydict()
    actions = dict(zip(index["take_id"], index["action"], strict=True))
    known = {take_id: action for take_id, action in actions.items() if action in ACTIONS}
    return scores_of([{str(k): v for k, v in row.items()} for row in annotations.to_dict("records")], known)
