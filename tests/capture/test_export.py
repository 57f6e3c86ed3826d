"""``flex-capture export --format c3d``: of a raw take, of a dataset; read back and compared with the dataset."""

from __future__ import annotations

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from lab.joints import JOINTS
from storage.c3d_file import read_c3d
from storage.checksums import verify_sums
from storage.flex import validate


def test_a_dataset_becomes_a_file_a_repetition(recorded, flex_capture, tmp_path):
    outcome = flex_capture("export", recorded.dataset, "--format", "c3d", "--output", tmp_path / "c3d")
    assert outcome.code == 0, outcome
    assert "2 C3D files" in outcome.out
    files = sorted((tmp_path / "c3d").iterdir())
    assert [file.name for file in files] == [f"{recorded.take_id}_rep0{number}.c3d" for number in (1, 2)]
    (take,) = pq.read_table(recorded.dataset / "takes.parquet").to_pylist()
    with h5py.File(recorded.dataset / take["signals_file"]) as stored:
        for number, file in enumerate(files, start=1):
            made, group = read_c3d(file), stored[f"rep_0{number}"]
            assert (made.labels, made.units, made.rate_hz) == (JOINTS, "mm", 100.0)
            assert made.analog_rate_hz == 2000.0
            assert made.analog_labels == tuple(group["emg/values"].attrs["labels"])
            assert set(made.analog_units) == {"V"}
            positions_m = group["pose/values"][()]
            # a clock off by 14 ppm moves the grid by less than a microsecond in a repetition
            assert np.allclose(made.positions[:-1], positions_m[: len(made.positions) - 1] * 1000, atol=0.1)
            emg_uv = group["emg/values"][()]
            assert np.nanstd(made.analog * 1e6, axis=0) == pytest.approx(emg_uv.std(axis=0), rel=0.02)
            assert np.isnan(made.analog).mean() < 0.01
    assert validate(recorded.dataset) == []


def test_a_raw_take_becomes_one_file_with_all_events(recorded, flex_capture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert flex_capture("export", recorded.take, "--format", "c3d").code == 0
    path = tmp_path / f"{recorded.take_id}.c3d"
    assert verify_sums(recorded.take) == []
    made = read_c3d(path)
    rows = pq.read_table(recorded.dataset / "repetitions.parquet").to_pylist()
    assert len(made.positions) / made.rate_hz > rows[-1]["end_s"] - rows[0]["start_s"]
    assert np.isfinite(made.positions).all()
    ezc3d = pytest.importorskip("ezc3d", reason="ezc3d, an independent reader, is not installed")
    parameters = ezc3d.c3d(str(path))["parameters"]
    assert parameters["EVENT"]["LABELS"]["value"] == ["start", "turn", "end"] * 2
    minutes, seconds = parameters["EVENT"]["TIMES"]["value"]
    bounds_s = np.array([row[name] for row in rows for name in ("start_s", "turn_s", "end_s")])
    first_s = float(parameters["FLEX_CAPTURE"]["FIRST_FRAME_S"]["value"][0].split()[0])
    assert np.allclose(minutes * 60 + seconds, bounds_s - first_s, atol=1e-4)
    assert parameters["FLEX_CAPTURE"]["SIMULATED"]["value"] == ["yes"]


def test_nothing_is_overwritten_and_wrong_input_is_one_sentence(recorded, flex_capture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / f"{recorded.take_id}_rep02.c3d"
    mine.write_bytes(b"mine")
    for place, more, said in (
        (recorded.dataset, (), "exists"),
        (recorded.dataset, ("--take", "S13"), "is not in the dataset"),
        (recorded.dataset, ("--output", recorded.dataset), "holds what was recorded"),
        (recorded.take, ("--output", recorded.take / "c3d"), "holds what was recorded"),
        (recorded.take, ("--take", "x"), "--take is for a dataset"),
        (recorded.take, ("--output", mine), "is not a folder"),
        ("nowhere", (), "does not exist"),
        (tmp_path, (), "neither a raw take nor a dataset"),
    ):
        outcome = flex_capture("export", place, "--format", "c3d", *more)
        assert (outcome.code, said in outcome.err, outcome.err.count("\n")) == (2, True, 1), outcome
    assert [entry.name for entry in tmp_path.iterdir()] == [mine.name]
    assert mine.read_bytes() == b"mine"
    assert flex_capture("export", recorded.dataset, "--format", "c3d", "--force").code == 0
    assert len(read_c3d(mine).positions) > 100
