"""Real recordings as live devices, through the same path as everything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import c3d
import numpy as np
import pandas as pd
import pytest

from capture.alignment import align_take
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes, read_record

#: Where the bottoms of the five squats are in ``reps/squats1.trc``, by eye, in seconds of the file.
SQUAT_BOTTOMS_S = (1.35, 3.95, 6.7, 9.35, 12.25)


def t0_s(take: Path) -> float:
    (start,) = [event.session_s for event in read_record(take).events if event.kind == "t0"]
    return start


@pytest.mark.slow
def test_five_real_squats(
    project: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flex_capture: Callable[..., object],
) -> None:
    monkeypatch.setenv("FLEX_TEST_DATA", str(data_folder))
    rig = project / "examples" / "rigs" / "real-squats.toml"
    outcome = flex_capture("record", "--subject", "R01", "--rig", rig, "--reps", 5, "--yes", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome
    assert "SIMULATED" not in outcome.out
    assert "5 of 5 repetitions" in outcome.out
    assert flex_capture("validate", tmp_path / "out" / "dataset").code == 0
    (take,) = list_takes(tmp_path / "out" / "raw")
    repetitions = pd.read_parquet(tmp_path / "out" / "dataset" / "repetitions.parquet")
    turns_s = repetitions.turn_s.to_numpy() - t0_s(take)
    np.testing.assert_allclose(turns_s, SQUAT_BOTTOMS_S, atol=0.1)
    assert not repetitions.simulated.any()
    recorded = read_raw_take(take)
    (emg,) = [stream for stream in recorded.streams if stream.content_type == "EMG"]
    counts = np.loadtxt(data_folder / "emg" / "emg_bursts_1000hz.csv", delimiter=",", skiprows=1)
    assert (emg.counter == counts[:, 0]).all()
    np.testing.assert_allclose(emg.values[:, 0], (counts[:, 1] / 2**16 - 0.5) * 3.0 / 1000 * 1e6, rtol=1e-6)


@pytest.mark.slow
def test_every_value_of_a_c3d_file(
    project: Path,
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flex_capture: Callable[..., object],
) -> None:
    monkeypatch.setenv("FLEX_TEST_DATA", str(data_folder))
    rig = project / "examples" / "rigs" / "real-c3d.toml"
    outcome = flex_capture("record", "--subject", "R02", "--rig", rig, "--yes", "--out", tmp_path / "out")
    assert outcome.code in {0, 1}, outcome
    assert flex_capture("validate", tmp_path / "out" / "dataset").code == 0
    (take,) = list_takes(tmp_path / "out" / "raw")
    recorded = read_raw_take(take)
    with (data_folder / "c3d" / "markers_analogs.c3d").open("rb") as handle:
        reader = c3d.Reader(handle)
        frames = list(reader.read_frames())
        analog_labels = [label.strip() for label in reader.analog_labels]
        rate_hz, per_frame = reader.point_rate, reader.analog_per_frame
    points = np.stack([frame[1][:, :4] for frame in frames])
    analog = np.concatenate([frame[2] for frame in frames], axis=1).T
    missing = points[:, :, 3] < 0

    (markers,) = [stream for stream in recorded.streams if stream.content_type == "MoCap"]
    values = markers.values.reshape(len(frames), -1, 3)
    assert values.shape[1] == points.shape[1]
    assert (np.isnan(values).all(axis=2) == missing).all()
    assert (values[~missing] == points[:, :, :3][~missing].astype(np.float32)).all()
    seen = set()
    for stream in recorded.streams:
        if stream is markers:
            continue
        for column, channel in enumerate(stream.channels):
            expected = analog[:, analog_labels.index(channel.label)]
            assert (stream.values[:, column] == expected.astype(stream.values.dtype)).all(), channel.label
            assert (stream.values[:, column].astype(np.float64) == expected).all(), channel.label
            seen.add(channel.label)
    assert seen == set(analog_labels)

    # after sync, each sample's time is the file's own, counted from the replay's start
    aligned = align_take(recorded)
    assert aligned.pose is not None
    assert aligned.emg is not None
    start_s = t0_s(take)
    np.testing.assert_allclose(aligned.pose.time_s - start_s, np.arange(len(frames)) / rate_hz, atol=1e-3)
    np.testing.assert_allclose(aligned.emg.time_s - start_s, np.arange(len(analog)) / (rate_hz * per_frame), atol=1e-3)
