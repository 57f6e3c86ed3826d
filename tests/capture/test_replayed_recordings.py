"""Recordings played back through real LSL and recorded again: what comes out is what went in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from small_rigs import CAMERA, EMG, MOCAP
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes, read_record
from storage.xdf_reader import XdfFile, XdfStream, read_xdf


def replay_of(path: Path, name: str = "again", more: str = "") -> str:
    return f'[[device]]\nname = "{name}"\ndriver = "replay.xdf"\nfile = "{path}"\nmax_uncertainty_ms = 1000.0\n{more}\n'


def streams_of(file: XdfFile) -> dict[str, XdfStream]:
    return {stream.name: stream for stream in file.streams}


def lateness_s(first: XdfStream, second: XdfStream) -> np.ndarray:
    """Return by how much each packet came later than in the first recording, against the one that came soonest."""
    late_s = (second.values[:, 1] - second.values[0, 1]) - (first.values[:, 1] - first.values[0, 1])
    return np.asarray(late_s - late_s.min())


def record(flex_capture: Callable[..., object], rig: Path, out: Path, *more: object) -> Path:
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--reps", 1, *more)
    assert outcome.code in {0, 1}, outcome
    (take,) = list_takes(out / "raw")
    return take


def same_streams(first: XdfFile, second: XdfFile, prefix: str) -> None:
    """Check that every sampled stream came again: values, counters, packets, device times."""
    before, after = streams_of(first), streams_of(second)
    sampled = [name for name in before if f"{name}.clock" in before]
    assert sampled
    for name in sampled:
        one, two = before[name], after[prefix + name]
        assert (one.values == two.values).all()  # the counter is the last channel
        assert one.header.channels == two.header.channels
        assert (one.header.content_type, one.header.rate_hz) == (two.header.content_type, two.header.rate_hz)
        assert one.header.simulated == two.header.simulated
        rows, again = before[f"{name}.clock"], after[f"{prefix}{name}.clock"]
        np.testing.assert_array_equal(rows.values[:, [0, 2]], again.values[:, [0, 2]])
        assert np.median(lateness_s(rows, again)) < 0.05


@pytest.mark.slow
def test_our_own_take_once_more(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take = record(flex_capture, write_rig(MOCAP, EMG, CAMERA), tmp_path / "first")
    rig = write_rig(replay_of(take / "streams.xdf"))
    outcome = flex_capture(
        "record", "--subject", "S12", "--rig", rig, "--out", tmp_path / "second", "--yes", "--reps", 1
    )
    assert outcome.code == 0, outcome
    assert "1 of 1 repetitions" in outcome.out
    assert "SIMULATED DEVICES: again" in outcome.out  # a recording of a simulated device is one
    assert "of camera 'view1' the rows are played as numbers" in outcome.out
    (again,) = list_takes(tmp_path / "second" / "raw")
    same_streams(read_xdf(take / "streams.xdf"), read_xdf(again / "streams.xdf"), "again.")
    view, rows = streams_of(read_xdf(take / "streams.xdf"))["view1"], read_raw_take(again)
    assert rows.views == ()
    (camera,) = (stream for stream in rows.streams if stream.name == "again.view1")
    np.testing.assert_array_equal(camera.values, view.values)
    record_of = read_record(again)
    assert record_of.simulated_devices == ("again",)
    assert any("replay.video" in event.text for event in record_of.events)
    assert record_of.stop_reason == "all devices ended"


@pytest.mark.slow
def test_a_headband_recorded_by_somebody_else(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object], data_folder: Path
) -> None:
    path = data_folder / "xdf" / "P002.xdf"
    rig = write_rig(replay_of(path, "muse"), top='name = "x"\nwait_s = 30.0\n')
    take = record(flex_capture, rig, tmp_path / "out")
    first = {f"muse.Muse.{stream.header.content_type}": stream for stream in read_xdf(path).streams}
    second = streams_of(read_xdf(take / "streams.xdf"))
    assert set(second) - {"FlexClockProbes", "FlexMarkers"} == {
        f"muse.Muse.{kind}{suffix}" for kind in ("ACC", "GYRO", "EEG") for suffix in ("", ".clock")
    }
    for name in ("muse.Muse.ACC", "muse.Muse.GYRO", "muse.Muse.EEG"):
        assert (second[name].values[:, :-1] == first[name].values).all()
        assert (second[name].values[:, -1] == np.arange(len(first[name].stamps))).all()
        assert [c.label for c in second[name].header.channels[:-1]] == [c.label for c in first[name].header.channels]
        # the stamps of the packets' ends, as far as a computer keeps time
        ends = np.searchsorted(second[name].values[:, -1], second[f"{name}.clock"].values[:, 0])
        recorded_s = np.maximum.accumulate(first[name].stamps[ends])
        late_s = second[f"{name}.clock"].values[:, 1] - recorded_s
        assert np.median(late_s - late_s.min()) < 0.05
    events = " ".join(event.text for event in read_record(take).events)
    assert "stream 'Muse.PPG' holds no samples and is not played" in events
    assert len(pd.read_parquet(tmp_path / "out" / "dataset" / "streams.parquet")) == 3


@pytest.mark.slow
def test_a_stream_of_texts_beside_a_simulated_mocap(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object], data_folder: Path
) -> None:
    path = data_folder / "xdf" / "minimal.xdf"
    take = record(flex_capture, write_rig(MOCAP, replay_of(path, "old")), tmp_path / "out", "--duration", 4)
    first, second = streams_of(read_xdf(path)), streams_of(read_xdf(take / "streams.xdf"))
    assert second["old.SendDataString"].values.tolist() == first["SendDataString"].values.tolist()
    assert (second["old.SendDataC"].values[:, :3] == first["SendDataC"].values).all()
    assert read_record(take).faults == ()
