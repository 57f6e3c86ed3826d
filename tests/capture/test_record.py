"""``record`` through real processes, real LSL and real files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import duckdb
import h5py
import numpy as np
import pandas as pd
import pytest
import pyxdf

from lab.streams import MARKERS_NAME
from small_rigs import CAMERA, EMG, MOCAP
from storage.checksums import verify_sums
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes, read_record
from storage.xdf_reader import read_xdf


def only_take(out: Path) -> Path:
    (take,) = list_takes(out / "raw")
    return take


def test_one_squat_end_to_end(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig, out = write_rig(MOCAP, EMG, CAMERA), tmp_path / "out"
    outcome = flex_capture(
        "record", "--subject", "S12", "--rig", rig, "--reps", 1, "--out", out, "--yes", "--truth", "--load-kg", 40
    )
    assert outcome.code == 0, outcome
    assert "SIMULATED DEVICES: mocap, emg, view1" in outcome.out
    assert "1 of 1 repetitions" in outcome.out
    assert "3 streams in sync" in outcome.out

    take = only_take(out)
    assert verify_sums(take) == []
    record = json.loads((take / "take.json").read_text())
    assert record["state"] == "complete"
    assert record["simulated_devices"] == ["mocap", "emg", "view1"]
    assert record["stop_reason"] == "all devices ended"
    assert not list(take.rglob("*.part"))

    # nothing that was published is missing, and other people's reader agrees on every value and stamp
    ours = {stream.stream_id: stream for stream in read_xdf(take / "streams.xdf").streams}
    theirs, _ = pyxdf.load_xdf(take / "streams.xdf", synchronize_clocks=False, dejitter_timestamps=False)
    assert len(theirs) == len(ours) == 7
    for stream in theirs:
        own = ours[stream["info"]["stream_id"]]
        assert (stream["time_stamps"] == own.stamps).all()
        np.testing.assert_array_equal(np.asarray(stream["time_series"]), own.values)
    (markers,) = (stream for stream in ours.values() if stream.name == MARKERS_NAME)
    assert [(stamp, text) for stamp, (text,) in zip(markers.stamps.tolist(), markers.values.tolist(), strict=True)] == [
        (event.session_s, event.marker) for event in read_record(take).events
    ]
    recorded = read_raw_take(take)
    for stream in recorded.streams:
        truth = [json.loads(line) for line in (take / "truth" / f"{stream.name}.jsonl").read_text().splitlines()[1:]]
        assert len(stream.stamps) == sum(packet["samples"] for packet in truth)
    (view,) = recorded.views
    assert (view.index == np.arange(len(view.index))).all()

    # the dataset, read without our code
    dataset = out / "dataset"
    repetitions = pd.read_parquet(dataset / "repetitions.parquet")
    assert len(repetitions) == 1
    row = repetitions.iloc[0]
    assert (row.subject, row.action, row.load_kg, bool(row.simulated)) == ("S12", "A16", 40.0, True)
    assert row.start_s < row.turn_s < row.end_s
    frames = duckdb.sql(f"select * from '{dataset / row.frames_file}' order by frame").df()
    assert frames.frame.iloc[0] == row.view1_start_frame
    assert frames.frame.iloc[-1] == row.view1_end_frame
    with h5py.File(dataset / row.signals_file) as signals:
        assert signals.attrs["simulated"]
        assert signals["rep_01/pose"].attrs["simulated"]
        assert signals["rep_01/emg/values"].shape[1] == 16
        assert signals["rep_01/pose/values"].shape[1:] == (21, 3)
    clip = cv2.VideoCapture(str(dataset / row.view1_clip))
    count = 0
    while clip.read()[0]:
        count += 1
    assert count == row.view1_end_frame - row.view1_start_frame + 1
    clip.release()

    assert flex_capture("validate", dataset).code == 0

    # the same raw bytes give the same dataset again
    before = {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()}
    again = flex_capture("resegment", out / "raw")
    assert again.code == 0, again
    assert {path: path.read_bytes() for path in dataset.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_stream_that_never_comes_leaves_nothing(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    late = MOCAP.replace("delay_s = 0.008", "delay_s = 9.0", 1).replace("latency_s = 0.008", "latency_s = 9.0")
    late = late.replace("latency_s = 9.0\ndelay_s = 0.008", "latency_s = 9.0\ndelay_s = 9.0")
    rig, out = write_rig(late, EMG, top='name = "late"\nwait_s = 8.0\n'), tmp_path / "out"
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes")
    assert outcome.code == 3
    assert "stream 'mocap' of device 'mocap' sent nothing within 8 s" in outcome.err
    assert "emg" not in outcome.err
    assert not (out / "raw").exists()


def test_a_device_that_cannot_open_is_named_and_nothing_is_left(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    missing = '[[device]]\nname = "mocap"\ndriver = "replay.trc"\nfile = "nowhere/squats.trc"\n'
    rig, out = write_rig(missing, EMG), tmp_path / "out"
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes")
    assert outcome.code in {2, 3}
    assert "nowhere/squats.trc" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not out.exists()


def test_duration_stops_the_take_and_a_missing_count_marks_it(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig, out = write_rig(MOCAP), tmp_path / "out"
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--duration", 2)
    assert outcome.code == 1, outcome
    assert "0 of 10 repetitions" in outcome.out
    take = only_take(out)
    assert verify_sums(take) == []
    assert json.loads((take / "take.json").read_text())["stop_reason"] == "duration reached"
    assert flex_capture("validate", out / "dataset").code == 0


@pytest.mark.slow
def test_a_retake_replaces_and_never_deletes(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig, out = write_rig(MOCAP), tmp_path / "out"
    for _ in range(2):
        outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--reps", 1, "--out", out, "--yes")
        assert outcome.code == 0, outcome
    assert [take.name for take in list_takes(out / "raw")] == ["A16-01", "A16-02"]
    repetitions = pd.read_parquet(out / "dataset" / "repetitions.parquet").sort_values("take_id")
    assert repetitions.excluded_reason.isna().tolist() == [False, True]
    assert flex_capture("validate", out / "dataset").code == 0
