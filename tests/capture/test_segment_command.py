"""``flex-capture segment``: the repetitions in any recording, as an operator meets them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.simulated.athlete import Athlete
from lab.streams import Channel
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter


def squats(repetitions: int = 6, rate_hz: float = 50.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, joints in metres and the truth (repetitions, 3) of one simulated set."""
    athlete = Athlete(700, "A16", repetitions)
    time_s = np.arange(0.0, athlete.duration_s, 1 / rate_hz)
    joints_m = athlete.joints_m(time_s) + np.random.default_rng(0).normal(0, 3e-4, (time_s.size, 21, 3))
    return time_s, joints_m, np.array([(one.start_s, one.turn_s, one.end_s) for one in athlete.repetitions])


def write_table(path: Path, names: list[str], columns: list[np.ndarray], delimiter: str = ",") -> Path:
    table = np.column_stack(columns)
    header = delimiter.join(names)
    np.savetxt(path, table, fmt="%.6f", delimiter=delimiter, header=header, comments="")
    return path


def times(outcome) -> np.ndarray:
    found = json.loads(outcome.out)["repetitions"]
    return np.array([(one["start_s"], one["turn_s"], one["end_s"]) for one in found]).reshape(-1, 3)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    time_s, joints_m, _ = squats()
    names = [f"joint{joint}_{axis}" for joint in range(21) for axis in "xyz"]
    return write_table(tmp_path / "squats.csv", ["time", *names], [time_s, joints_m.reshape(time_s.size, -1) * 1e3])


def test_json_is_what_was_promised_and_nothing_else(table, flex_capture):
    outcome = flex_capture("segment", table, "--json", "--reps", 6)
    assert outcome.code == 0, outcome
    said = json.loads(outcome.out)
    assert set(said) == {"repetitions", "found", "expected", "doubts"}
    assert (said["found"], said["expected"], said["doubts"]) == (6, 6, [])
    for one in said["repetitions"]:
        assert set(one) == {"start_s", "turn_s", "end_s", "confidence"}
        assert one["start_s"] < one["turn_s"] < one["end_s"]
        assert 0 <= one["confidence"] <= 1
    assert np.abs(times(outcome) - squats()[2]).max() < 0.15


def test_without_a_count_and_for_people(table, flex_capture):
    outcome = flex_capture("segment", table)
    assert outcome.code == 0
    assert "6 repetitions" in outcome.out
    assert "the file's column 'time'" in outcome.out
    assert "by their size it is millimetres" in outcome.out


def test_another_count_than_expected_is_a_finding(table, flex_capture):
    outcome = flex_capture("segment", table, "--reps", 10, "--json")
    assert outcome.code == 1
    said = json.loads(outcome.out)
    assert said["found"] == 6
    assert "6 repetitions found where 10 were expected" in said["doubts"]


def test_a_doubt_names_its_repetition(tmp_path, flex_capture):
    time_s, joints_m, truth = squats()
    until = time_s < truth[-1, 1] + 0.4  # the last one is cut off
    names = ["time", *[f"joint{joint}_{axis}" for joint in range(21) for axis in "xyz"]]
    path = write_table(tmp_path / "cut.csv", names, [time_s[until], joints_m[until].reshape(until.sum(), -1)])
    outcome = flex_capture("segment", path, "--json")
    said = json.loads(outcome.out)
    assert outcome.code == 1 if said["doubts"] else said["found"] == 5
    assert all(doubt.startswith("repetition ") for doubt in said["doubts"])


def test_the_picture_shows_them_and_is_not_lost(table, flex_capture, tmp_path):
    picture = tmp_path / "out.png"
    assert flex_capture("segment", table, "--plot", picture).code == 0
    image = cv2.imread(str(picture))
    assert image.shape[1] >= 1000
    turns = int(np.sum(np.all(image[100:340] == (60, 60, 200), axis=2).all(axis=0)))
    assert turns >= 5  # the curve crosses a line here or there
    assert flex_capture("segment", table, "--plot", picture).code == 2
    before = picture.read_bytes()
    assert flex_capture("segment", table, "--plot", picture, "--force").code == 0
    assert picture.read_bytes() == before
    assert flex_capture("segment", table, "--plot", tmp_path / "out.svg").code == 2
    assert flex_capture("segment", table, "--plot", tmp_path / "away" / "out.png").code == 2


@pytest.mark.parametrize(
    ("delimiter", "name", "factor", "decimal"),
    [(";", "t [ms]", 1e3, ","), ("\t", "Time (s)", 1.0, "."), (",", "timestamp", 1e3, "."), (" ", "time_us", 1e6, ".")],
)
def test_tables_as_people_write_them(tmp_path, flex_capture, delimiter, name, factor, decimal):
    time_s, joints_m, truth = squats()
    hip = joints_m[:, 11, 2] - joints_m[:, 13, 2]
    path = write_table(tmp_path / "hip.txt", [name.replace(" ", "" if delimiter == " " else " "), "height"],
                       [time_s * factor, -hip], delimiter)  # fmt: skip
    path.write_text(path.read_text().replace(".", decimal))
    outcome = flex_capture("segment", path, "--json")
    assert times(outcome).shape == (6, 3), outcome
    assert np.median(np.abs(times(outcome) - truth)) < 0.1


def test_a_table_without_times_needs_a_rate(tmp_path, flex_capture):
    time_s, joints_m, _ = squats()
    path = write_table(tmp_path / "a.csv", ["sample", "a"], [np.arange(time_s.size), joints_m[:, 11, 2]])
    outcome = flex_capture("segment", path)
    assert outcome.code == 2
    assert "--rate" in outcome.err
    assert str(path) in outcome.err
    assert times(flex_capture("segment", path, "--rate", 50, "--json")).shape == (6, 3)


def test_columns_are_chosen_by_name_and_pattern(tmp_path, flex_capture):
    time_s, joints_m, _ = squats()
    noise = np.random.default_rng(1).normal(0, 1, time_s.size)
    height = joints_m[:, 11, 2]
    path = write_table(tmp_path / "a.csv", ["time", "knee_l", "knee_r", "noise"], [time_s, height, height, noise])
    for said in ("knee*", "knee_l,KNEE_R"):
        assert times(flex_capture("segment", path, "--columns", said, "--json")).shape == (6, 3)
    assert json.loads(flex_capture("segment", path, "--columns", "noise", "--json").out)["found"] <= 1
    outcome = flex_capture("segment", path, "--columns", "hip")
    assert outcome.code == 2
    assert "'hip'" in outcome.err
    assert "knee_l" in outcome.err


def test_c3d_and_trc(data_folder, flex_capture):
    outcome = flex_capture("segment", data_folder / "reps" / "squats1.trc", "--reps", 5, "--json")
    assert times(outcome)[:, 1] == pytest.approx([1.35, 3.95, 6.7, 9.35, 12.25], abs=0.1)
    box = flex_capture("segment", data_folder / "c3d" / "markers_analogs.c3d", "--reps", 1, "--json")
    assert json.loads(box.out)["found"] == 1
    muscle = flex_capture("segment", data_folder / "c3d" / "markers_analogs.c3d", "--columns", "Biceps*", "--json")
    assert any("sEMG" in doubt for doubt in json.loads(muscle.out)["doubts"])


def test_semg_and_a_goniometer(data_folder, flex_capture):
    bursts = flex_capture("segment", data_folder / "emg" / "emg_bursts_1000hz.csv", "--rate", 1000, "--json")
    said = json.loads(bursts.out)
    assert bursts.code == 1
    assert said["found"] == 9
    assert any("coarse" in doubt for doubt in said["doubts"])
    elbow = flex_capture("segment", data_folder / "emg" / "elbow_flexion_1000hz.csv", "--rate", 1000, "--json")
    assert elbow.code == 0
    assert times(elbow)[:, 1] == pytest.approx([2.90, 6.96, 10.57, 13.95], abs=0.35)


def write_streams(path: Path) -> np.ndarray:
    """Write IMU and heart rate of six squats on a host whose clock is 500 s behind; return the truth."""
    time_s, joints_m, truth = squats()
    writer = XdfWriter(path)
    axes = tuple(Channel(f"acc_{axis}", "m/s^2", "Acceleration") for axis in "xyz")
    writer.stream_header(1, build_header("Thigh", "IMU", axes, 50.0, "float32", source_id="imu", hostname="lab2"))
    heart = (Channel("rate", "1/min"),)
    writer.stream_header(2, build_header("Belt", "HeartRate", heart, 1.0, "float32", source_id="belt"))
    for host_s in np.arange(90.0, 110.0 + time_s[-1], 2.0):
        writer.clock_offset(1, float(host_s), 500.0)
    thigh = joints_m[:, 12] - joints_m[:, 11]
    gravity = 9.81 * thigh / np.linalg.norm(thigh, axis=1, keepdims=True)
    for first in range(0, time_s.size, 25):
        part = slice(first, first + 25)
        writer.samples(1, 100.0 + time_s[part], gravity[part].astype(np.float32))
    writer.samples(2, np.arange(601.0, 604.0), np.full((3, 1), 80, np.float32))
    writer.close()
    return truth + 600.0


def test_an_xdf_file_comes_onto_one_clock_first(tmp_path, flex_capture):
    path = tmp_path / "lab.xdf"
    truth = write_streams(path)
    outcome = flex_capture("segment", path, "--json", "--reps", 6)
    assert times(outcome).shape == (6, 3), outcome
    assert np.median(np.abs(times(outcome) - truth)) < 0.15
    assert np.array_equal(times(flex_capture("segment", path, "--json", "--stream", "Thigh")), times(outcome))
    wrong = flex_capture("segment", path, "--stream", "Shank")
    assert wrong.code == 2
    assert "Thigh" in wrong.err


def test_a_raw_take_and_one_without_a_pose(recorded, flex_capture):
    outcome = flex_capture("segment", recorded.take, "--json")
    said = json.loads(outcome.out)
    assert said["found"] == said["expected"] == 2
    muscles = flex_capture("segment", recorded.take, "--stream", "emg", "--json")
    assert any("sEMG" in doubt for doubt in json.loads(muscles.out)["doubts"])
    assert flex_capture("segment", recorded.take, "--stream", "nothing").code == 2
    assert flex_capture("segment", recorded.take.parent).code == 2


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"time,a\n", "table of numbers"),
        (b"time,a\n0,1\n", "do not increase"),
        (b"time,a\n0,1\n1,2\n2,3\n", "moves"),
        (b"hello\nworld\n" * 50, "table of numbers"),
        (bytes(range(256)) * 9, "not a text table"),
        (b"time,a,b\n" + b"".join(b"%d,7,\n" % row for row in range(90)), "moves"),
        (b"time,a\n" + b"".join(b"%d,%d\n" % (row % 40, row * row) for row in range(90)), "go back"),
        (b"time,a\n" + b"".join(b"%d,1e308\n%d,-1e308\n" % (2 * row, 2 * row + 1) for row in range(90)), "moves"),
    ],
)
def test_wrong_input_is_one_sentence_that_names_the_file(tmp_path, flex_capture, content, word):
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    outcome = flex_capture("segment", path)
    assert outcome.code == 2, outcome
    assert str(path) in outcome.err
    assert word in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("name", ["gone.csv", "film.mp4", "noending"])
def test_what_is_no_recording(tmp_path, flex_capture, name):
    if name != "gone.csv":
        (tmp_path / name).write_bytes(b"0")
    outcome = flex_capture("segment", tmp_path / name)
    assert outcome.code == 2
    assert name in outcome.err


@pytest.mark.parametrize("options", [("--rate", "0"), ("--rate", "nan"), ("--reps", "0"), ("--stream", "a")])
def test_wrong_options(table, flex_capture, options):
    assert flex_capture("segment", table, *options).code == 2


def test_broken_files_of_every_kind_crash_nothing(data_folder, tmp_path, flex_capture):
    for name in ("c3d/bad_parameter_section.c3d", "c3d/parameterOverflow.c3d", "c3d/Empty.c3d", "xdf/minimal.xdf"):
        assert flex_capture("segment", data_folder / name).code in (0, 1, 2), name
    whole = (data_folder / "reps" / "squats1.trc").read_bytes()
    (tmp_path / "cut.trc").write_bytes(whole[: len(whole) // 3])
    assert flex_capture("segment", tmp_path / "cut.trc").code == 2


_CELLS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.integers(-(10**20), 10**20).map(str),
    st.text(max_size=4),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.sampled_from(["time", "a", "a", "acc_x", "x", "emg", "nSeq", ""]), min_size=1, max_size=5),
    rows=st.lists(st.lists(_CELLS, min_size=1, max_size=6), max_size=40),
    rate=st.booleans(),
)
def test_no_table_crashes_it(tmp_path, flex_capture, names, rows, rate):
    path = tmp_path / "any.csv"
    lines = [",".join(names), *(",".join(cell.replace("\n", " ") for cell in row) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    outcome = flex_capture("segment", path, "--json", *(("--rate", 20) if rate else ()))
    assert outcome.code in (0, 1, 2), outcome
    assert "unexpected" not in outcome.err


@pytest.mark.slow
def test_the_same_answer_whatever_the_hashes(table, project):
    answers = set()
    for seed in ("0", "7"):
        done = subprocess.run(
            [sys.executable, "-c", "from capture.cli import main; main()", "segment", str(table), "--json"],
            cwd=project,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(project)},
            capture_output=True,
            check=True,
            timeout=120,
        )
        answers.add(done.stdout)
    assert len(answers) == 1


def test_nothing_in_a_take_is_changed(recorded, flex_capture, tmp_path):
    copy = tmp_path / "take"
    shutil.copytree(recorded.take, copy)
    before = {path.name: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert flex_capture("segment", copy).code in (0, 1)
    assert {path.name: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
