"""A dataset -> the tree that FLEX's public training code loads."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from capture.console import Console
from capture.output_folder import refuse_recorded_folder
from capture.readiness.size_in_words import size_in_words
from capture.release_plan import NEEDED, READ, ReleasePlan, ReleaseRequest, Sample, plan_release
from lab.emg_targets import columns_of
from lab.errors import LayoutError, RequestError
from lab.joints import JOINTS
from storage.flex import open_dataset
from storage.flex.versions import LAYOUT_VERSION
from storage.new_folder import new_folder, refuse_existing
from storage.os_errors import reason
from storage.release_tree import (
    RELEASE_FRAMES,
    emg_csv,
    emg_file,
    list_file,
    list_mat,
    pictures_folder,
    rows_at_release_frames,
    skeleton_csv,
    skeleton_file,
    write_pictures,
)

if TYPE_CHECKING:
    import pandas as pd

    from storage.flex import Dataset, StoredRepetition

#: Beside the tree: what each sample is, and what the numbers in it mean.
SAMPLES_FILE: Final = "samples.csv"
ABOUT_FILE: Final = "release.json"

_COLUMNS: Final = (
    "action",
    "sample",
    "repetition_id",
    "subject",
    "skill",
    "load_kg",
    "part",
    "score",
    "excluded_reason",
    "lacks",
    "simulated",
)

#: What is wanted on the disk beyond what is written.
_SPARE_BYTES: Final = 64 << 20
_SKELETON_BYTES: Final = RELEASE_FRAMES * 63 * 12
_EMG_BYTES_A_VALUE: Final = 11
#: A picture that is encoded anew takes up to so many bytes a pixel.
_BYTES_A_PIXEL: Final = 0.5

_POSE_COLUMNS: Final = tuple(f"pose_{joint}_{axis}" for joint in JOINTS for axis in "xyz")


def export_release(request: ReleaseRequest) -> int:
    """Write the tree into a new folder and say what is in it and what is not; return the exit code.

    Raises RequestError where nothing can be exported or the folder cannot be made, LayoutError where the dataset is
    damaged or the disk fails; no folder of that name is there then.
    """
    console = Console()
    refuse_recorded_folder(request.output / "file", request.dataset)
    refuse_existing(request.output)
    dataset = open_dataset(request.dataset)
    with console.waiting("looking at what there is"):
        plan = plan_release(dataset, request)
    _refuse_nothing(plan, request)
    try:
        with new_folder(request.output) as folder, console.progress() as progress:
            _refuse_full_disk(dataset, plan, folder)
            absent: dict[str, float] = {}
            for done, sample in enumerate(plan.samples):
                progress("exporting", done, len(plan.samples))
                share = _write_sample(dataset.repetition(sample.repetition_id), sample, folder)
                if share:
                    absent[sample.repetition_id] = share
            progress("exporting", len(plan.samples), len(plan.samples))
            _write_lists(folder, plan)
            _write(folder / SAMPLES_FILE, _samples_csv(dataset, plan))
            _write(folder / ABOUT_FILE, _about(dataset, plan, request))
    except OSError as error:
        raise LayoutError(
            f"{request.output} could not be written ({reason(error)}); nothing is left of it: see to the disk and"
            " export again"
        ) from error
    return _say(console, plan, request, absent)


def _refuse_nothing(plan: ReleasePlan, request: ReleaseRequest) -> None:
    if plan.samples:
        return
    why = "; ".join(f"{count} {what}" for what, count in sorted(plan.left_out.items())) or "it has no repetitions"
    advice = "use --partial" if not request.partial and any("without" in what for what in plan.left_out) else "record"
    targets = f"; {_unknown_targets(plan, request)}" if plan.unknown_targets else ""
    raise RequestError(f"{request.dataset} has nothing to release ({why}); {advice}{targets}")


def _unknown_targets(plan: ReleasePlan, request: ReleaseRequest) -> str:
    named = [action for action in plan.unknown_targets if action in request.targets.targets]
    others = [action for action in plan.unknown_targets if action not in named]
    said = []
    if named:
        said.append(
            f"of {', '.join(named)} there are takes without the sEMG channels that --emg-targets names; correct the"
            " labels"
        )
    if others:
        said.append(
            f"which sEMG channels are the targets of {', '.join(others)} is not known; name them with --emg-targets"
        )
    return "; ".join(said)


def _refuse_full_disk(dataset: Dataset, plan: ReleasePlan, folder: Path) -> None:
    needed, free = _bytes_needed(dataset, plan), shutil.disk_usage(folder).free
    if needed + _SPARE_BYTES > free:
        raise RequestError(
            f"the release needs about {size_in_words(needed)} beside {size_in_words(_SPARE_BYTES)} that stay free, but"
            f" {size_in_words(free)} are free on the disk of {folder.parent}; name a folder on another disk"
        )


def _bytes_needed(dataset: Dataset, plan: ReleasePlan) -> float:
    """Return about how many bytes the release takes: every take's first repetition stands for the others."""
    from storage.video_reader import read_video_index

    a_repetition: dict[tuple[str, str], float] = {}
    needed = 0.0
    for sample in plan.samples:
        take = sample.repetition_id.rpartition("_rep")[0]
        needed += _SKELETON_BYTES
        for view in sample.views:
            if (take, view) not in a_repetition:
                index = read_video_index(dataset.repetition(sample.repetition_id).clip(view))
                copied = index.codec == "mjpeg" and len(index.sizes)
                each = float(index.sizes.mean()) if copied else index.width * index.height * _BYTES_A_PIXEL
                a_repetition[take, view] = RELEASE_FRAMES * each
            needed += a_repetition[take, view]
        if sample.channels:
            if (take, "emg") not in a_repetition:
                emg = dataset.repetition(sample.repetition_id).signal("emg")
                a_repetition[take, "emg"] = len(emg.values) * len(sample.channels) * _EMG_BYTES_A_VALUE
            needed += a_repetition[take, "emg"]
    return needed


def _write_sample(one: StoredRepetition, sample: Sample, folder: Path) -> float:
    """Write pictures, skeleton and sEMG of a sample; return what share of the skeleton's numbers is absent."""
    frames = one.frames(("time_s", *_POSE_COLUMNS, *(f"{view}_frame" for view in sample.views)))
    rows = rows_at_release_frames(frames["time_s"].to_numpy(dtype=np.float64))
    for view in sample.views:
        numbers = _clip_frames(frames, view, one)[rows]
        write_pictures(one.clip(view), folder / pictures_folder(sample.action, sample.number, view), numbers.tolist())
    positions_m = frames[list(_POSE_COLUMNS)].to_numpy(dtype=np.float64)[rows].reshape(len(rows), len(JOINTS), 3)
    _write(folder / skeleton_file(sample.action, sample.number), skeleton_csv(positions_m))
    if sample.channels:
        values_uv = one.signal("emg").values[:, list(sample.channels)]
        _write(folder / emg_file(sample.action, sample.number), emg_csv(values_uv))
    return float(np.mean(~np.isfinite(positions_m)))


def _clip_frames(frames: pd.DataFrame, view: str, one: StoredRepetition) -> Any:
    """Return for each row the frame of a view's clip (rows,): the nearest there is where the view has none then."""
    raw = frames[f"{view}_frame"].to_numpy(dtype=np.float64)
    start, end = int(one.row[f"{view}_start_frame"]), int(one.row[f"{view}_end_frame"])
    there = np.flatnonzero(np.isfinite(raw))
    if not len(there):
        return np.round(np.linspace(0, end - start, len(raw))).astype(np.int64)
    every = np.arange(len(raw))
    right = there[np.clip(np.searchsorted(there, every), 0, len(there) - 1)]
    left = there[np.clip(np.searchsorted(there, every, side="right") - 1, 0, len(there) - 1)]
    nearest = np.where(np.abs(every - left) <= np.abs(right - every), left, right)
    return np.clip(raw[nearest].astype(np.int64) - start, 0, end - start)


def _write_lists(folder: Path, plan: ReleasePlan) -> None:
    for part in ("train", "test"):
        rows = [
            (int(sample.action[1:]), sample.number, sample.score)
            for sample in plan.samples
            if sample.for_tests == (part == "test")
        ]
        _write(folder / list_file(part), list_mat(part, rows))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _samples_csv(dataset: Dataset, plan: ReleasePlan) -> bytes:
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for sample in plan.samples:
        row = dataset.repetition(sample.repetition_id).row
        writer.writerow(
            (
                sample.action,
                f"{sample.number:03d}",
                sample.repetition_id,
                sample.subject,
                row["skill"] or "",
                "" if row["load_kg"] is None else f"{row['load_kg']:g}",
                "test" if sample.for_tests else "train",
                "NaN" if math.isnan(sample.score) else f"{sample.score:.2f}",
                row["excluded_reason"] or "",
                "; ".join(sample.lacks),
                "yes" if sample.simulated else "no",
            )
        )
    return sink.getvalue().encode()


def _about(dataset: Dataset, plan: ReleasePlan, request: ReleaseRequest) -> bytes:
    """Say what the numbers in the tree mean: the tree itself has no place for it."""
    first = {sample.action: sample for sample in reversed(plan.samples) if sample.channels}
    emg = {action: dataset.repetition(sample.repetition_id).signal("emg") for action, sample in sorted(first.items())}
    about = {
        "layout_version": LAYOUT_VERSION,
        "generation": dataset.generation,
        "samples": {"file": SAMPLES_FILE, "count": len(plan.samples), "left_out": dict(sorted(plan.left_out.items()))},
        "split": {"by": request.split, "seed": request.seed, "test_share": request.test_share},
        "pictures": {"frames": RELEASE_FRAMES, "time": "evenly spaced from start to end; the nearest frame there is"},
        "skeleton": {
            "unit": "m",
            "axes": "z up",
            "joints": list(JOINTS),
            "frames": RELEASE_FRAMES,
            "absent": "NaN",
            "time": "that of the pictures of the reference view",
        },
        "emg": {
            "unit": "uV",
            "values": "as recorded, unfiltered, every sample from start to end, not resampled",
            "absent": "a sample that was lost has no row",
            "columns": {
                action: {
                    "order": list(columns_of(action)),
                    "labels": [emg[action].labels[place] for place in first[action].channels],
                    "rate_nominal_hz": _number(emg[action].rate_nominal_hz),
                    "rate_measured_hz": _number(emg[action].rate_measured_hz),
                }
                for action in emg
            },
            "targets_not_known": list(plan.unknown_targets),
        },
        "score": "penalty score, 0 to 100, mean over annotators; NaN: nobody annotated the repetition",
        "simulated": any(sample.simulated for sample in plan.samples),
    }
    return (json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _say(console: Console, plan: ReleasePlan, request: ReleaseRequest, absent: Mapping[str, float]) -> int:
    tests = sum(sample.for_tests for sample in plan.samples)
    actions = len({sample.action for sample in plan.samples})
    console.line(
        f"{len(plan.samples):,} sample{'s' if len(plan.samples) != 1 else ''} of {actions}"
        f" action{'s' if actions != 1 else ''} in {request.output}: {len(plan.samples) - tests:,} for training,"
        f" {tests:,} for tests, split by {request.split} with seed {request.seed}"
    )
    unscored = sum(math.isnan(sample.score) for sample in plan.samples)
    for count, what in (
        (unscored - len(plan.odd_scores), "without a score (NaN): nobody annotated them"),
        (sum(sample.simulated for sample in plan.samples), "simulated: no person, no sensor"),
    ):
        if count:
            console.line(f"{'all' if count == len(plan.samples) else f'{count:,}'} of them are {what}")
    found = False
    for what, count in sorted(plan.left_out.items()):
        if what in ("retaken", "excluded"):
            console.line(f"left out: {count:,} {what}; --excluded takes them in")
        else:
            found = True
            helps = not request.partial and not any(part in what for part in NEEDED)
            console.warning(f"left out: {count:,} {what}{'; --partial takes them in' if helps else ''}")
    lacking = Counter(what for sample in plan.samples for what in sample.lacks)
    for what, count in sorted(lacking.items()):
        found = True
        read = ", which FLEX's training code reads" if what in READ else ""
        console.warning(f"there, but without {what}: {count:,}{read}")
    if plan.unknown_targets:
        found = True
        console.warning(_unknown_targets(plan, request))
    if absent:
        found = True
        worst = max(absent, key=lambda one: absent[one])
        console.warning(
            f"skeletons with NaN where a joint is absent: {len(absent):,}; most in {worst} ({absent[worst]:.0%})"
        )
    if plan.odd_scores:
        found = True
        console.warning(
            f"annotated, but without a score: {len(plan.odd_scores):,}, the first {plan.odd_scores[0]}; its weights are"
            " no weights, or more than its action has"
        )
    return 1 if found else 0
