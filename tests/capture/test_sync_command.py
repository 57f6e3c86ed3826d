"""``flex-capture sync``: an XDF file of somebody else, or a raw take, on one clock."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from lab.streams import FRAME_LABELS, Channel
from lab_recording import OFFSET_S, START_S, true_times, write_recording
from storage.checksums import file_digest, verify_sums
from storage.flex import validate
from storage.take_folder import streams_path
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

XDF_FILES = (
    "P001_late.xdf",
    "P002.xdf",
    "chunk_length_lie.xdf",
    "clock_resets.xdf",
    "empty_streams.xdf",
    "minimal.xdf",
    "out_of_order_clock_offsets.xdf",
    "out_of_order_sample_chunk.xdf",
    "str_test.xdf",
    "twochannel_string_marker.xdf",
)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "lab.xdf")


def test_a_recording_of_somebody_else_comes_onto_one_clock(recording, flex_capture, tmp_path):
    output = tmp_path / "aligned.h5"
    outcome = flex_capture("sync", recording, "--output", output)
    assert outcome.code == 0, outcome
    assert "3 streams in sync" in outcome.out
    assert list(tmp_path.glob("*.tmp-*")) == []
    with h5py.File(output) as file:
        assert set(file) == {"amp-1", "amp-2", "cues"}
        assert file.attrs["source"] == "lab.xdf"
        assert file.attrs["source_sha256"] == file_digest(recording)
        assert file.attrs["bytes_discarded"] == 0
        group = file["amp-2"]
        assert group["values"].dtype == np.int16
        assert group["values"].shape == (8000, 1)
        assert group["sample"][()].tolist() == list(range(8000))
        assert group["time"].dtype == np.float64
        assert np.max(np.abs(group["time"][()] - true_times(200.0))) < 1e-3
        assert "counter" not in group
        assert (group.attrs["source_id"], group.attrs["hostname"], group.attrs["rate_nominal_hz"]) == ("", "lab2", 200)
        assert group.attrs["rate_measured_hz"] == pytest.approx(200.0, rel=1e-4)
        assert (group.attrs["lost"], group.attrs["gap_count"], group.attrs["latency_s"]) == (0, 0, 0.0)
        assert group.attrs["in_sync"]
        assert 0 < group.attrs["uncertainty_p50_ms"] <= group.attrs["uncertainty_p99_ms"] < 5
        clock = group["clock"]
        assert clock["offset_s"][()] == pytest.approx([OFFSET_S] * len(clock["offset_s"]), abs=1e-3)
        assert set(clock["knot_piece"][()]) == {0}
        assert clock["drift_after"].shape == clock["first_sample"].shape == (1,)
        texts = file["cues"]
        assert texts["values"].asstr()[()].tolist() == [[f"cue {number} \u00fc"] for number in range(5)]
        assert texts["time"][()] == pytest.approx(START_S + OFFSET_S + 5 * np.arange(5), abs=1e-3)
        assert list(texts.attrs["labels"]) == ["cue"]


@pytest.mark.parametrize("said", ["count:4096", "2:4096"])
def test_a_channel_that_counts_makes_losses_exact(recording, flex_capture, tmp_path, said):
    output = tmp_path / "aligned.h5"
    outcome = flex_capture("sync", recording, "--output", output, "--counter", f"amp-1={said}")
    assert outcome.code == 0, outcome
    with h5py.File(output) as file:
        group = file["amp-1"]
        assert (group.attrs["lost"], group.attrs["method"]) == (137, "device count")
        assert not group.attrs["lost_ambiguous"]
        assert list(group.attrs["labels"]) == ["emg:1", "trigger"]
        counter = group["counter"][()]
        assert (counter - counter[0]).tolist() == [n for n in range(20_000) if not 3000 <= n < 3137]
        assert np.max(np.abs(group["time"][()] - true_times(500.0)[counter - counter[0]])) < 1e-3
        assert group["gaps"][()] == pytest.approx(true_times(500.0)[[[2999, 3137]]], abs=1e-3)
        values = group["values"][()]
        assert values.shape == (20_000 - 137, 2)
        assert (values[:, 1] == (counter - counter[0]) % 3).all()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("amp-1", ["STREAM=CHANNEL"]),
        ("amp-9=1", ["no stream 'amp-9'", "amp-1, amp-2, cues"]),
        ("amp-1=4", ["no channel '4'", "emg:1, count, trigger"]),
        ("amp-1=0", ["no channel '0'"]),
        ("amp-1=count:1", ["no channel 'count:1'", "modulus of at least 2"]),
        ("amp-1=", ["--counter"]),
    ],
)
def test_a_counter_that_is_not_there_is_named(recording, flex_capture, tmp_path, said, words):
    outcome = flex_capture("sync", recording, "--output", tmp_path / "a.h5", "--counter", said)
    assert outcome.code == 2
    for word in words:
        assert word in outcome.err
    assert not (tmp_path / "a.h5").exists()


def test_a_counter_by_a_label_that_holds_a_colon(recording, flex_capture):
    outcome = flex_capture("sync", recording, "--counter", "amp-1=emg:1")
    assert "does not count" in outcome.out


def test_latency_and_rig_are_what_they_are_in_a_take(recording, flex_capture, tmp_path):
    rig = tmp_path / "lab.toml"
    rig.write_text(
        'name = "lab"\nmax_uncertainty_ms = 0.001\n[[stream]]\nname = "emg"\nsource_id = "amp-1"\nlatency_s = 0.5\n'
        'counter = "count"\ncounter_modulus = 4096\nmax_uncertainty_ms = 20.0\n'
        'labels = ["biceps", "count", "trigger"]\n',
        encoding="utf-8",
    )
    plain, late = tmp_path / "plain.h5", tmp_path / "late.h5"
    assert flex_capture("sync", recording, "--output", plain, "--counter", "amp-1=count:4096").code == 0
    outcome = flex_capture("sync", recording, "--output", late, "--rig", rig, "--latency", "cues=-0.25")
    assert outcome.code == 1  # the others are held to the rig's limit
    assert "1 of 3 streams in sync" in outcome.out
    with h5py.File(plain) as before, h5py.File(late) as after:
        assert (after["amp-1"].attrs["lost"], after["amp-1"].attrs["latency_s"]) == (137, 0.5)
        assert list(after["amp-1"].attrs["labels"]) == ["biceps", "trigger"]
        shift = after["amp-1/time"][()] - before["amp-1/time"][()]
        assert np.max(np.abs(shift + 0.5)) < 1e-9
        assert np.max(np.abs(after["cues/time"][()] - before["cues/time"][()] - 0.25)) < 1e-9


@pytest.mark.parametrize("said", ["cues", "cues=", "cues=nan", "cues=11", "cues=a", "nobody=0.1", "=0.1"])
def test_a_latency_that_is_none(recording, flex_capture, said):
    outcome = flex_capture("sync", recording, "--latency", said)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_a_rig_entry_that_could_be_two_streams(recording, flex_capture, tmp_path):
    rig = tmp_path / "lab.toml"
    rig.write_text('name = "lab"\n[[stream]]\nname = "amp"\nquery = "name=\'amp\'"\n', encoding="utf-8")
    outcome = flex_capture("sync", recording, "--rig", rig)
    assert outcome.code == 2
    assert "could be amp-1, amp-2" in outcome.err


def test_the_picture_is_drawn_beside_or_alone(recording, recorded, flex_capture, tmp_path):
    picture, output = tmp_path / "a.svg", tmp_path / "a.h5"
    outcome = flex_capture("sync", recording, "--picture", picture, "--output", output)
    assert (outcome.code, f"saved to {output} and {picture}" in outcome.out) == (0, True)
    said = " ".join(ET.fromstring(picture.read_bytes()).itertext())
    for word in ("lab.xdf", "amp-1", "amp-2", "cues", "8 probes", "in sync"):
        assert word in said
    first = picture.read_bytes()
    refused = flex_capture("sync", recording, "--picture", picture)
    assert (refused.code, "--force" in refused.err, picture.read_bytes()) == (2, True, first)
    assert flex_capture("sync", recording, "--picture", output, "--output", output, "--force").code == 2
    again = flex_capture("sync", recording, "--picture", picture, "--force", "--json")
    assert json.loads(again.out)["picture"] == str(picture)
    assert picture.read_bytes() == first
    refused = flex_capture("sync", recorded.take, "--picture", recorded.take / "a.svg")
    assert (refused.code, verify_sums(recorded.take)) == (2, [])


def test_a_processed_take_has_its_picture(recorded):
    (row,) = pq.read_table(recorded.dataset / "takes.parquet").to_pylist()
    said = " ".join(ET.fromstring((recorded.dataset / row["sync_file"]).read_bytes()).itertext())
    for word in (recorded.take_id, "mocap", "emg", "view1", "view2", "time from device time"):
        assert word in said
    assert validate(recorded.dataset) == []


def test_rows_of_a_camera_that_are_no_frames_keep_the_places_of_the_others(flex_capture, tmp_path):
    path = tmp_path / "camera.xdf"
    writer = XdfWriter(path)
    xml = build_header("view1", "Video", [Channel(label) for label in FRAME_LABELS], 10.0, "double64")
    encoding = "<encoding><width>64</width><height>48</height><codec>mjpeg</codec></encoding>"
    writer.stream_header(1, xml.replace("</channels>", "</channels>" + encoding))
    number = np.arange(40.0)
    rows = np.column_stack((number, number / 10, number / 10 + 0.01, number * 1e5, np.ones(40)))
    rows[7, 0] = np.nan
    writer.samples(1, number / 10, rows)
    writer.close()
    assert flex_capture("sync", path, "--output", tmp_path / "a.h5").code == 1  # no clock probes
    with h5py.File(tmp_path / "a.h5") as file:
        group = file["view1"]
        assert group["sample"][()].tolist() == [n for n in range(40) if n != 7]
        assert group["values"][:, 0].tolist() == group["counter"][()].tolist() == group["sample"][()].tolist()
        assert group.attrs["method"] == "device time"


def test_json_and_nothing_else(recording, flex_capture, tmp_path):
    with recording.open("ab") as file:
        file.write(b"\x04torn")
    outcome = flex_capture("sync", recording, "--json")
    assert outcome.code == 1
    found = json.loads(outcome.out)
    assert (found["in_order"], found["bytes_discarded"], found["output"]) == (False, 5, None)
    assert [stream["stream"] for stream in found["streams"]] == ["amp-1", "amp-2", "cues"]
    assert found["streams"][2]["rate_measured_hz"] is None
    assert found["streams"][1]["samples"] == 8000
    assert found["findings"] == ["lab.xdf: 5 bytes could not be used."]
    whole = flex_capture("sync", write_recording(tmp_path / "b.xdf"), "--json", "--output", tmp_path / "b.h5")
    assert whole.code == 0
    assert json.loads(whole.out)["output"] == str(tmp_path / "b.h5")


def test_the_same_bytes_again_and_no_file_is_lost(recording, flex_capture, tmp_path):
    first, second = tmp_path / "first.h5", tmp_path / "second.h5"
    options = ("--resample", 100, "--counter", "amp-1=count:4096")
    assert flex_capture("sync", recording, "--output", first, *options).code == 0
    assert flex_capture("sync", recording, "--output", second, *options).code == 0
    assert first.read_bytes() == second.read_bytes()
    second.write_bytes(b"precious")
    outcome = flex_capture("sync", recording, "--output", second)
    assert (outcome.code, second.read_bytes()) == (2, b"precious")
    assert "--force" in outcome.err
    assert flex_capture("sync", recording, "--output", second, "--force", *options).code == 0
    assert first.read_bytes() == second.read_bytes()


def test_where_no_file_may_be_written(recording, recorded, flex_capture, tmp_path):
    before = recording.read_bytes()
    for output, words in (
        (recording, "is the file that is read"),
        (tmp_path / "none" / "a.h5", "does not exist"),
        (tmp_path, "is a folder"),
        (recorded.take / "a.h5", "holds what was recorded"),
    ):
        outcome = flex_capture("sync", recording, "--output", output, "--force")
        assert outcome.code == 2, outcome
        assert words in outcome.err
    assert recording.read_bytes() == before
    outcome = flex_capture("sync", recorded.take, "--output", recorded.take / "a.h5")
    assert outcome.code == 2
    assert verify_sums(recorded.take) == []


def test_what_is_no_recording(flex_capture, tmp_path, recorded):
    text = tmp_path / "text.xdf"
    text.write_text("XDF? no", encoding="utf-8")
    for place in (text, tmp_path / "none.xdf", tmp_path, recorded.dataset):
        outcome = flex_capture("sync", place)
        assert outcome.code == 2, outcome
        assert outcome.err.count("\n") == 1
        assert str(place) in outcome.err
    outcome = flex_capture("sync", text, "--resample", 100)
    assert outcome.code == 2
    assert "--output" in outcome.err


def test_a_grid_of_all_regular_streams(recording, flex_capture, tmp_path):
    output = tmp_path / "a.h5"
    options = ("--resample", 100, "--counter", "amp-1=count:4096")
    assert flex_capture("sync", recording, "--output", output, *options).code == 0
    with h5py.File(output) as file:
        grid = file["resampled"]
        assert set(grid) == {"time", "amp-1", "amp-2"}
        time_s = grid["time"][()]
        assert np.allclose(time_s * 100, np.round(time_s * 100), atol=1e-6)
        assert time_s[0] >= START_S + OFFSET_S - 0.01
        wanted = np.sin(2 * np.pi * 20 * (time_s - OFFSET_S))
        for name, scale in (("amp-1", 1.0), ("amp-2", 1000.0)):
            values = grid[name]["values"][:, 0]
            finite = np.isfinite(values)
            assert finite.mean() > 0.95
            # the clock is known to a millisecond at best: 2 pi 20 Hz x 1 ms
            assert np.max(np.abs(values[finite] / scale - wanted[finite])) < 0.13
            assert grid[name].attrs["kernel"] == "windowed sinc"
            assert grid[name]["values"].dtype == np.float64
        gap_s = true_times(500.0)[[3000, 3136]]
        half_s = grid["amp-1"].attrs["half_width_s"]
        inside = (time_s > gap_s[0] - half_s + 0.005) & (time_s < gap_s[1] + half_s - 0.005)
        assert inside.sum() > 60
        assert np.isnan(grid["amp-1/values"][inside]).all()
        assert np.isfinite(grid["amp-2/values"][inside]).all()


def test_a_grid_that_would_be_nothing_but_gaps_is_refused(flex_capture, tmp_path):
    path = tmp_path / "apart.xdf"
    writer = XdfWriter(path)
    for stream_id, start_s in ((1, 0.0), (2, 1e9)):
        writer.stream_header(stream_id, build_header(f"s{stream_id}", "", [Channel("a")], 10.0, "int8"))
        writer.samples(stream_id, start_s + np.arange(30) / 10, np.ones((30, 1), dtype=np.int8))
    writer.close()
    outcome = flex_capture("sync", path, "--output", tmp_path / "a.h5", "--resample", 100)
    assert outcome.code == 2
    assert "s2 ends 1e+09 s after s1 begins" in outcome.err
    assert list(tmp_path.glob("a.h5*")) == []


def test_a_raw_take_brings_its_views_markers_and_latencies(recorded, flex_capture, tmp_path):
    output = tmp_path / "take.h5"
    outcome = flex_capture("sync", recorded.take, "--output", output)
    assert outcome.code == 0, outcome
    assert verify_sums(recorded.take) == []
    with h5py.File(output) as file:
        assert file.attrs["take_id"] == recorded.take_id
        assert file.attrs["source_sha256"] == file_digest(streams_path(recorded.take))
        assert {"mocap", "emg", "view1", "view2", "FlexMarkers"} <= set(file)
        assert (file["emg"].attrs["latency_s"], file["emg"].attrs["method"]) == (0.03, "device time")
        assert file["emg/counter"].shape == file["emg/time"].shape
        view = file["view1"]
        assert view["index"][()].tolist() == list(range(len(view["time"])))
        assert (view.attrs["video"], view.attrs["latency_s"]) == ("view1.mov", 0.04)
        assert (np.diff(view["pts_us"][()]) > 0).all()
        assert file["FlexMarkers/values"].shape == (len(file["FlexMarkers/time"]), 1)
        emg_s, view_s = file["emg/time"][()], view["time"][()]
    # the file of the streams alone says the same, but for what the rig knows
    alone = tmp_path / "streams.h5"
    outcome = flex_capture("sync", streams_path(recorded.take), "--output", alone)
    assert (outcome.code, "4 of 5 streams in sync" in outcome.out) == (1, True)  # the vest's own limit is the rig's
    with h5py.File(alone) as file:
        assert np.max(np.abs(file["emg/time"][()] - emg_s - 0.03)) < 1e-9
        assert np.max(np.abs(file["view1/time"][()] - view_s - 0.04)) < 1e-9
        assert file["view1/values"].shape == (view_s.size, 5)


def test_a_take_that_has_changed_is_told(recorded, flex_capture, tmp_path):
    take = tmp_path / "A16-01"
    shutil.copytree(recorded.take, take)
    with streams_path(take).open("r+b") as file:
        file.seek(-3, 2)
        file.truncate()
    outcome = flex_capture("sync", take, "--output", tmp_path / "a.h5")
    assert outcome.code == 1
    assert "has changed since it was recorded" in outcome.out
    assert "bytes could not be used" in outcome.out
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["bytes_discarded"] > 0


HOSTILE = ("a/b", "..", ".", "", "a\x1b[31m", "resampled", "x" * 5000, "emg", "emg-2", "a_b", "\u202eabc", "ä ü/\n")


def test_names_lead_nowhere_and_steer_no_terminal(flex_capture, tmp_path):
    path = tmp_path / "hostile.xdf"
    writer = XdfWriter(path)
    for stream_id, name in enumerate((*HOSTILE, "emg"), start=1):
        channels = [Channel(f"{name}\t", name, name)]
        writer.stream_header(stream_id, build_header(name, name, channels, 10.0, "float32", source_id=name))
        writer.samples(stream_id, np.arange(30) / 10, np.full((30, 1), stream_id, dtype=np.float32))
    writer.close()
    outcome = flex_capture("sync", path, "--output", tmp_path / "a.h5", "--resample", 10)
    assert outcome.code == 1, outcome  # there is no clock probe
    assert "\x1b[31m" not in outcome.out
    assert "\u202e" not in outcome.out
    outcome = flex_capture("sync", path, "--counter", "nobody=1")
    assert (outcome.code, "\x1b" in outcome.err, "\u202e" in outcome.err) == (2, False, False)
    with h5py.File(tmp_path / "a.h5") as file:
        assert len(file) == len(HOSTILE) + 2  # another emg, and the grid
        found = {}
        for name, group in file.items():
            if "stream_id" in group.attrs:
                assert "/" not in name
                found[int(group.attrs["stream_id"])] = set(group["values"][:, 0].tolist())
        assert found == {number: {float(number)} for number in range(1, len(HOSTILE) + 2)}


@pytest.mark.parametrize("name", XDF_FILES)
def test_every_file_of_others_goes_through(name, data_folder, flex_capture, tmp_path):
    path = data_folder / "xdf" / name
    output = tmp_path / "a.h5"
    outcome = flex_capture("sync", path, "--json", "--output", output)
    assert outcome.code in (0, 1, 2), outcome
    if outcome.code == 2:
        assert outcome.err.startswith("flex-capture: ")
        assert outcome.out == ""
        assert not output.exists()
        return
    found = json.loads(outcome.out)
    with h5py.File(output) as file:
        assert {stream["stream"] for stream in found["streams"]} == set(file)
        for stream in found["streams"]:
            group = file[stream["stream"]]
            count = stream["samples"]
            assert len(group["values"]) == len(group["time"]) == len(group["sample"]) == count
            assert np.isfinite(group["time"][()]).all()
            assert len(set(group["sample"][()].tolist())) == count
            if group.attrs["rate_nominal_hz"] > 0:
                assert (np.diff(group["time"][()]) > 0).all()


DYING = """
import os, sys
from storage.aligned_file import AlignedFile
added = AlignedFile.add_stream
calls = []
def add_stream(self, group, *rest, **more):
    added(self, group, *rest, **more)
    calls.append(group)
    if len(calls) == 2:
        self._hdf5.flush()
        os._exit(9)
AlignedFile.add_stream = add_stream
from capture.cli import main
main()
"""


def test_killed_in_the_write_nothing_is_there_and_the_next_clears_up(recording, flex_capture, tmp_path, project):
    output = tmp_path / "a.h5"
    died = subprocess.run(
        [sys.executable, "-c", DYING, "sync", str(recording), "--output", str(output)],
        cwd=project,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert died.returncode == 9, died
    assert not output.exists()
    assert len(list(tmp_path.glob("a.h5.tmp-*"))) == 1
    assert flex_capture("sync", recording, "--output", output).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "lab.xdf"]


def test_a_disk_that_refuses_leaves_the_older_file(recording, flex_capture, tmp_path, monkeypatch):
    output = tmp_path / "a.h5"
    output.write_bytes(b"older")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.aligned_file.os.fsync", refuse)
    outcome = flex_capture("sync", recording, "--output", output, "--force")
    assert outcome.code == 3
    assert "No space left on device" in outcome.err
    assert output.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "lab.xdf"]


@pytest.mark.skipif(sys.platform == "win32", reason="a limit for the size of files is POSIX's")
def test_a_disk_that_is_full_in_the_middle_is_one_sentence(recording, tmp_path, project):
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000));"
        "from capture.cli import main; main()"
    )
    output = tmp_path / "a.h5"
    failed = subprocess.run(
        [sys.executable, "-c", limited, "sync", str(recording), "--output", str(output)],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert failed.returncode == 3, failed
    assert failed.stderr.count("\n") == 1
    assert "cannot be written (File too large)" in failed.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lab.xdf"]


def test_what_is_read_back_is_compared(recording, flex_capture, tmp_path, monkeypatch):
    from storage.aligned_file import AlignedFile

    checked: Callable[..., None] = AlignedFile.check

    def spoilt(self: AlignedFile, temporary: Path) -> None:
        with h5py.File(temporary, "r+") as file:
            file["cues/time"][0] += 1e-9
        checked(self, temporary)

    monkeypatch.setattr(AlignedFile, "check", spoilt)
    outcome = flex_capture("sync", recording, "--output", tmp_path / "a.h5")
    assert outcome.code == 3
    assert "/cues/time is not what was written" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["lab.xdf"]


def test_a_picture_that_is_called_what_it_is_not_is_refused(flex_capture, tmp_path):
    write_recording(tmp_path / "a.xdf")
    done = flex_capture("sync", tmp_path / "a.xdf", "--picture", tmp_path / "a.png")
    assert done.code == 2
    assert "ends in .svg" in done.err
    assert not (tmp_path / "a.png").exists()
