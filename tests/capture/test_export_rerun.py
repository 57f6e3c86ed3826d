"""``flex-capture export --format rerun``: what is in the recording, and what is said where it cannot be made."""

from __future__ import annotations

import sys

import pytest

from storage.checksums import verify_sums


def test_without_the_package_it_says_how_to_get_it(recorded, flex_capture, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    outcome = flex_capture("export", recorded.take, "--format", "rerun", "--output", tmp_path / "out")
    assert (outcome.code, "pip install rerun-sdk" in outcome.err) == (2, True), outcome
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_is_no_rerun_recording(recorded, flex_capture, tmp_path):
    outcome = flex_capture("export", recorded.dataset, "--format", "rerun", "--output", tmp_path)
    assert (outcome.code, "is made of a raw take" in outcome.err) == (2, True), outcome


def test_a_raw_take_becomes_a_recording_with_everything(recorded, flex_capture, tmp_path):
    chunk = pytest.importorskip("rerun.chunk", reason="rerun-sdk, an extra, is not installed")
    assert flex_capture("export", recorded.take, "--format", "rerun", "--output", tmp_path).code == 0
    path = tmp_path / f"{recorded.take_id}.rrd"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert verify_sums(recorded.take) == []
    rows: dict[str, int] = {}
    for one in chunk.RrdReader(path).stream().to_chunks():
        rows[str(one.entity_path)] = rows.get(str(one.entity_path), 0) + one.num_rows
    names = {name.split("/")[1] for name in rows}
    assert {"pose", "emg", "emg_envelope", "heart_rate", "breath_rate", "repetitions", "views"} <= names
    assert sum(name.startswith("/emg/") for name in rows) == 16
    assert rows["/repetitions"] == 6
    assert rows["/pose/joints"] > 1000
    assert min(rows["/views/view1"], rows["/views/view2"]) > 50
    outcome = flex_capture("export", recorded.take, "--format", "rerun", "--output", tmp_path)
    assert (outcome.code, "exists" in outcome.err) == (2, True), outcome
