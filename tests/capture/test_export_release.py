"""``flex-capture export --format release``: loaded by a loader that knows the description of the tree alone."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from dataset_takes import load_flex_takes
from hypothesis import given
from hypothesis import strategies as st
from release_loader import FRAMES, ReleaseLoader

from assessment.penalty_score import ALL_WEIGHTS, penalty_score
from capture.release_scores import scores_of
from capture.release_split import choose_tests
from lab.actions import ACTIONS
from lab.emg_targets import EmgTargets, columns_of
from lab.errors import RequestError
from lab.streams import Channel
from storage.flex import validate, write_take
from storage.release_tree import list_mat, rows_at_release_frames

VIEWS = tuple(f"view{number}" for number in range(1, 6))
LABELS = ("vl left", "gm left", "vl right", "gm right")
TARGETS = f"""
[targets]
A16 = {json.dumps(LABELS)}
A17 = ["vl left", "vl right"]
A09 = ["gm left", "vl left", "gm right", "vl right"]
"""


@pytest.fixture(scope="module")
def takes(project: Path) -> ModuleType:
    return load_flex_takes(project)


def make_take(takes: ModuleType, subject: str, take: str, views: tuple[str, ...] = VIEWS):
    made = takes.make_take(takes.make_record(subject=subject, take=take, action=take[:3]))
    assert made.emg is not None
    gone = {"view2": (50, 51, 52)}
    return replace(
        made,
        emg=replace(made.emg, channels=tuple(Channel(label, "microvolts", "EMG") for label in LABELS)),
        views=tuple(
            takes.make_view(view, offset_s=0.003 * place, missing=gone.get(view, ()))
            for place, view in enumerate(views)
        ),
        reports=(),
    )


@pytest.fixture(scope="module")
def dataset(takes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three subjects; a retake, a take without view2, one without view4: tests only read it."""
    folder = tmp_path_factory.mktemp("release")
    for view in VIEWS:
        takes.write_numbered_video(folder / f"{view}.mov")
    absent = make_take(takes, "S03", "A17-02")
    assert absent.pose is not None
    absent.pose.positions_m[:, 14] = np.nan
    absent.pose.positions_m[100:160] = np.nan  # in the first repetition
    write_take(folder / "absent", folder, absent, takes.make_segmentation(1, 1))
    for subject, take, views, count in (
        ("S01", "A16-01", VIEWS, 3),
        ("S01", "A17-01", VIEWS, 2),
        ("S02", "A16-01", VIEWS, 3),
        ("S02", "A16-02", VIEWS, 2),
        ("S02", "A09-01", ("view1", "view2", "view3", "view5"), 2),
        ("S03", "A16-01", ("view1", "view3"), 2),
        ("S03", "A17-01", VIEWS, 3),
    ):
        made = make_take(takes, subject, take, views)
        write_take(folder / "dataset", folder, made, takes.make_segmentation(count, count))
    (folder / "targets.toml").write_text(TARGETS, encoding="utf-8")
    assert validate(folder / "dataset") == []
    return folder / "dataset"


@pytest.fixture
def targets(dataset: Path) -> Path:
    return dataset.parent / "targets.toml"


def read_samples(out: Path) -> dict[tuple[str, int], dict[str, str]]:
    with (out / "samples.csv").open(encoding="utf-8", newline="") as file:
        return {(row["action"], int(row["sample"])): row for row in csv.DictReader(file)}


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_loader_of_the_description_loads_every_sample(takes, dataset, targets, flex_capture, tmp_path) -> None:
    out = tmp_path / "release"
    outcome = flex_capture("export", "--format", "release", dataset, out, "--emg-targets", targets)
    assert outcome.code == 1, outcome  # some are left out, which is said
    assert "12 samples of 3 actions" in outcome.out
    assert "left out: 3 retaken; --excluded takes them in" in outcome.out
    assert "left out: 2 without view2; --partial takes them in" in outcome.out
    assert "there, but without view4: 2" in outcome.out
    assert "all of them are without a score (NaN): nobody annotated them" in outcome.out
    samples = read_samples(out)
    # Numbers go on across subjects, and leave gaps where repetitions are left out: those of the retaken take.
    assert sorted(samples) == [
        *(("A09", number) for number in (1, 2)),
        *(("A16", number) for number in (1, 2, 3, 7, 8)),
        *(("A17", number) for number in (1, 2, 3, 4, 5)),
    ]
    assert samples["A16", 7]["repetition_id"] == "S02_20261122-0930_A16-02_rep01"
    loaded = {}
    for part in ("train", "test"):
        loader = ReleaseLoader(out, part)
        for place in range(len(loader)):
            one = loader[place]
            assert (f"A{one.category:02d}", one.sample) not in loaded
            loaded[f"A{one.category:02d}", one.sample] = one, part
    assert set(loaded) == set(samples)
    take = make_take(takes, "S01", "A16-01")
    assert take.emg is not None
    for (action, number), (one, part) in loaded.items():
        row = samples[action, number]
        assert row["part"] == part
        assert math.isnan(one.score)
        repetition = int(row["repetition_id"][-2:])
        start_s = takes.T0_S + 0.5 + 3.0 * (repetition - 1)
        at_s = np.linspace(start_s, start_s + 3.0, FRAMES)
        shown = np.array([takes.number_shown(picture) for picture in one.pictures[1]])
        shown_s = takes.T0_S + shown / takes.FPS
        assert np.abs(shown_s - at_s).max() <= 0.5 / takes.FPS + 1e-9
        np.testing.assert_allclose(one.skeleton[:, 0, 2], takes.squat_height_m(shown_s), atol=2e-4)
        np.testing.assert_allclose(one.skeleton[0, :, 0], np.linspace(-0.5, 0.5, 21), atol=1e-5)
        # view2 lacks exposures 50 to 52, so its frame n is exposure n or n + 3.
        second = np.array([takes.number_shown(picture) for picture in one.pictures[2]])
        second_s = takes.T0_S + 0.003 + (second + np.where(second >= 50, 3, 0)) / takes.FPS
        assert np.abs(second_s - at_s).max() <= 3.0 / takes.FPS
        assert np.median(np.abs(second_s - at_s)) <= 0.5 / takes.FPS + 0.003
        inside = (take.emg.time_s >= start_s) & (take.emg.time_s <= start_s + 3.0)
        values_uv = take.emg.values[inside].astype(np.float64)
        left, right = {
            "A16": (values_uv[:, 0], values_uv[:, 2]),
            "A17": (values_uv[:, 0], values_uv[:, 2]),
            "A09": (values_uv[:, :2].mean(axis=1), values_uv[:, 2:].mean(axis=1)),
        }[action]
        np.testing.assert_allclose(one.left, left, rtol=1e-6, atol=1e-4)
        np.testing.assert_allclose(one.right, right, rtol=1e-6, atol=1e-4)
    subjects = {
        part: {samples[key]["subject"] for key, (_, its) in loaded.items() if its == part} for part in ("train", "test")
    }
    assert not subjects["train"] & subjects["test"]
    about = json.loads((out / "release.json").read_text(encoding="utf-8"))
    assert about["emg"]["columns"]["A17"]["labels"] == ["vl left", "vl right"]
    assert about["emg"]["columns"]["A16"]["rate_nominal_hz"] == 2000.0
    assert about["samples"]["left_out"] == {"retaken": 3, "without view2": 2}
    assert about["simulated"] is True
    assert {row["simulated"] for row in samples.values()} == {"yes"}


@pytest.mark.slow
def test_the_same_request_gives_the_same_bytes_and_motion_jpeg_is_copied(
    dataset, targets, flex_capture, tmp_path
) -> None:
    for name in ("a", "b"):
        flex_capture("export", dataset, tmp_path / name, "--format", "release", "--emg-targets", targets)
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    import av

    (clip,) = dataset.glob("video/action=A17/subject=S01/*/rep_01_view1.mov")
    with av.open(str(clip)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    made = [(tmp_path / f"a/A17/001/View-1/img_{n:05d}.JPG").read_bytes() for n in (1, FRAMES)]
    assert made == [packets[0], packets[-1]]


def test_what_is_excluded_or_lacks_a_part_comes_when_it_is_asked_for(dataset, targets, flex_capture, tmp_path) -> None:
    common = ("export", dataset, "--format", "release", "--split", "repetition", "--test-share", 0.4)
    outcome = flex_capture(*common, tmp_path / "all", "--excluded", "--partial", "--emg-targets", targets)
    assert "17 samples of 3 actions" in outcome.out
    samples = read_samples(tmp_path / "all")
    assert [number for action, number in samples if action == "A16"] == list(range(1, 11))
    assert samples["A16", 4]["excluded_reason"] == "retaken"
    assert samples["A16", 9]["lacks"] == "view2; view4; view5"
    assert not (tmp_path / "all/A16/009/View-2").exists()
    assert (tmp_path / "all/A16/009/View-3").is_dir()
    # by repetition the share is taken of each action
    parts = [row["part"] for (action, _), row in samples.items() if action == "A16"]
    assert parts.count("test") == 4


def test_absent_joints_stay_absent(takes, dataset, targets, flex_capture, tmp_path) -> None:
    import pandas as pd

    arguments = ("--format", "release", "--emg-targets", targets, "--split", "repetition", "--test-share", 0.5)
    outcome = flex_capture("export", dataset.parent / "absent", tmp_path / "r", *arguments)
    assert outcome.code == 2  # one repetition cannot be split
    both = tmp_path / "both"
    shutil.copytree(dataset.parent / "absent", both)
    write_take(both, dataset.parent, make_take(takes, "S04", "A17-01"), takes.make_segmentation(1, 1))
    outcome = flex_capture("export", both, tmp_path / "r", *arguments)
    assert "skeletons with NaN where a joint is absent: 1; most in S03_20261122-0930_A17-02_rep01 (" in outcome.out
    table = pd.read_csv(tmp_path / "r/Skeleton/A17/001/skeleton_points.csv")
    assert table["right_heel_x"].isna().all()
    there = table["head_z"].notna()
    at_s = 0.5 + 3.0 * np.arange(FRAMES) / (FRAMES - 1)
    assert not there[(at_s > 1.02) & (at_s < 1.58)].any()
    assert there[(at_s < 0.95) | (at_s > 1.65)].all()


def test_without_targets_nothing_is_made_up(dataset, flex_capture, tmp_path) -> None:
    outcome = flex_capture("export", dataset, tmp_path / "r", "--format", "release")
    assert outcome.code == 2
    assert "nothing to release" in outcome.err
    assert "which sEMG channels are the targets of A09, A16, A17 is not known" in outcome.err
    assert list(tmp_path.iterdir()) == []
    outcome = flex_capture("export", dataset, tmp_path / "r", "--format", "release", "--partial")
    assert outcome.code == 1
    assert "there, but without sEMG targets: 14, which FLEX's training code reads" in outcome.out
    assert not (tmp_path / "r" / "EMG").exists()
    about = json.loads((tmp_path / "r/release.json").read_text(encoding="utf-8"))
    assert about["emg"]["targets_not_known"] == ["A09", "A16", "A17"]
    (tmp_path / "t.toml").write_text('[targets]\nA17 = ["L nothing", "R nothing"]\n', encoding="utf-8")
    outcome = flex_capture(
        "export", dataset, tmp_path / "q", "--format", "release", "--emg-targets", tmp_path / "t.toml"
    )
    assert outcome.code == 2
    assert (
        "of A17 there are takes without the sEMG channels that --emg-targets names; correct the labels" in outcome.err
    )
    assert "which sEMG channels are the targets of A09, A16 is not known" in outcome.err


def test_scores_come_from_annotations(takes, dataset, targets, flex_capture, tmp_path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    copy = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    schema = pq.read_schema(copy / "annotations.parquet")
    said = [
        {"annotator": annotator, "keystep": keystep, "error_type": error, "weight": weight}
        for annotator, keystep, error, weight in (
            ("anna", "AK44", "ET002", 9.0),
            ("anna", "AK44", "ET002", 9.0),  # the same error said twice
            ("ben", "AK45", "ET014", 6.7),
        )
    ]
    rows = [{"take_id": "S01_20261122-0930_A16-01", "repetition": 2, "note": None} | row for row in said]
    rows.append(rows[0] | {"repetition": 3, "weight": 1000.0})
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), copy / "annotations.parquet")
    outcome = flex_capture("export", copy, tmp_path / "r", "--format", "release", "--emg-targets", targets)
    assert "10 of them are without a score (NaN): nobody annotated them" in outcome.out
    assert "annotated, but without a score: 1, the first S01_20261122-0930_A16-01_rep03" in outcome.out
    samples = read_samples(tmp_path / "r")
    assert float(samples["A16", 2]["score"]) == pytest.approx(100 - (9 / 134 + 6.7 / 134) / 2 * 100, abs=0.01)
    assert samples["A16", 1]["score"] == "NaN"
    scores = np.concatenate([ReleaseLoader(tmp_path / "r", part).rows for part in ("train", "test")])
    assert np.isfinite(scores[:, 2]).sum() == 1


def test_wrong_input_is_one_sentence_and_leaves_nothing(recorded, dataset, targets, flex_capture, tmp_path) -> None:
    (tmp_path / "there").mkdir()
    bad = tmp_path / "bad.toml"
    bad.write_text('[targets]\nA16 = ["a", "b"]\n', encoding="utf-8")
    for arguments, said in (
        ((dataset, tmp_path / "there"), "exists; name a new folder"),
        ((dataset, dataset / "release"), "holds what was recorded"),
        ((recorded.take, tmp_path / "r"), "is not a dataset"),
        ((tmp_path / "nowhere", tmp_path / "r"), "is not a folder"),
        ((dataset, tmp_path / "r", "--emg-targets", bad), "'A16' needs 4 labels"),
        ((dataset,), "name the new folder"),
        ((dataset, tmp_path / "r", "--output", tmp_path / "s"), "name the new folder"),
        ((dataset, tmp_path / "r", "--take", "x"), "--take is not for --format release"),
        ((dataset, tmp_path / "r", "--test-share", "nan"), "is not a number"),
    ):
        outcome = flex_capture("export", "--format", "release", *arguments)
        assert outcome.code in (2, 3), outcome
        assert said in outcome.err.replace("\n", " "), outcome
    outcome = flex_capture("export", "--format", "c3d", dataset, "--split", "subject")
    assert "--split is not for --format c3d" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml", "there"]


def test_a_damaged_clip_or_a_full_disk_leaves_nothing(dataset, targets, flex_capture, tmp_path, monkeypatch) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    (clip,) = copy.glob("video/action=A17/subject=S03/*/rep_03_view2.mov")
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    outcome = flex_capture("export", copy, tmp_path / "r", "--format", "release", "--emg-targets", targets)
    assert outcome.code in (2, 3)
    assert "rep_03_view2.mov" in outcome.err
    clip.write_bytes(content)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=70_000_000))
    outcome = flex_capture("export", copy, tmp_path / "r", "--format", "release", "--emg-targets", targets)
    assert outcome.code == 2
    assert "name a folder on another disk" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


@pytest.mark.slow
def test_a_kill_leaves_no_folder_of_that_name_and_the_next_export_clears_up(dataset, targets, tmp_path) -> None:
    out = tmp_path / "r"
    command = [sys.executable, "-c", "from capture.cli import main; main()"]
    command += ["export", str(dataset), str(out), "--format", "release", "--emg-targets", str(targets)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    part = out.with_name("r.part")
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and not (part / "A09").exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    assert process.returncode != 1
    assert not out.exists()
    assert part.exists()
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r"]
    assert len(ReleaseLoader(out, "train")) + len(ReleaseLoader(out, "test")) == 12


def test_the_penalty_score_is_that_of_the_worked_example() -> None:
    assert penalty_score("A01", [30.0, 7.0]) == pytest.approx(77.02, abs=0.005)
    assert math.isnan(penalty_score("A07", [84.0]))
    assert set(ALL_WEIGHTS) == set(ACTIONS)
    assert penalty_score("A07", []) == 100.0


def test_annotations_of_an_unknown_take_have_no_score() -> None:
    row = {"take_id": "x", "repetition": 1, "annotator": "a", "keystep": "", "error_type": "", "weight": 1.0}
    assert math.isnan(scores_of([row], {})["x", 1])


@given(st.integers(2, 30), st.integers(0, 2**31 - 1), st.floats(0.01, 0.99))
def test_a_split_by_subject_keeps_subjects_together_and_no_side_empty(subjects: int, seed: int, share: float) -> None:
    samples = [(f"S{s:02d}_r{r}", f"S{s:02d}", "A16") for s in range(subjects) for r in range(3)]
    tests = choose_tests(samples, "subject", seed, share)
    sides = {subject: {one in tests for one, its, _ in samples if its == subject} for _, subject, _ in samples}
    assert all(len(side) == 1 for side in sides.values())
    count = sum(side == {True} for side in sides.values())
    assert count == min(max(int(share * subjects + 0.5), 1), subjects - 1)
    assert tests == choose_tests(samples[::-1], "subject", seed, share)


def test_another_seed_is_another_split_and_one_subject_cannot_be_split() -> None:
    samples = [(f"S{s:02d}", f"S{s:02d}", "A16") for s in range(40)]
    assert len({choose_tests(samples, "repetition", seed, 0.5) for seed in range(5)}) == 5
    with pytest.raises(RequestError, match="use --split repetition"):
        choose_tests(samples[:1], "subject", 1, 0.2)
    with pytest.raises(RequestError, match="leaves one side of the split empty"):
        choose_tests(samples[:2], "repetition", 1, 0.1)


@given(st.lists(st.floats(0.001, 0.5), min_size=0, max_size=400))
def test_release_frames_are_evenly_spread_over_the_rows(steps: list[float]) -> None:
    time_s = np.concatenate(([0.0], np.cumsum(steps)))
    rows = rows_at_release_frames(time_s)
    at_s = np.linspace(0.0, time_s[-1], FRAMES)
    np.testing.assert_allclose(np.abs(time_s[rows] - at_s), np.abs(time_s[:, None] - at_s).min(axis=0), atol=1e-12)
    assert (rows[0], rows[-1]) == (0, len(time_s) - 1)


def test_every_action_has_the_columns_that_its_class_reads() -> None:
    assert {action for action in ACTIONS if len(columns_of(action)) == 2} == {"A07", "A17", "A18", "A19"}
    named = EmgTargets(targets={"A16": ("a", "b", "c", "d")})
    assert named.channels("A16", ("d", "c", "b", "a", "x")) == (3, 2, 1, 0)
    assert named.channels("A16", ("a", "b", "c")) is None
    assert named.channels("A17", ("R", "L")) == (1, 0)
    assert named.channels("A01", ("L1", "L2", "R1", "R2", "ref")) == (0, 1, 2, 3)
    assert named.channels("A01", ("L", "R")) is None


def test_a_list_holds_its_rows_whenever_it_was_written() -> None:
    import io

    from scipy.io import loadmat

    rows = [(16, 1, 77.5), (16, 380, float("nan"))]
    content = loadmat(io.BytesIO(list_mat("train", rows)))["consolidated_train_list"]
    np.testing.assert_array_equal(content, np.array(rows))
    assert loadmat(io.BytesIO(list_mat("test", [])))["consolidated_test_list"].shape == (0, 3)
