"""Offline takes are whole raw takes, and the comparison with their truth can fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from capture.process_take import process_take
from drivers.publish import _stream_info, counter_modulus
from drivers.registry import find_driver
from lab.streams import COUNTER_LABEL, Channel
from storage.checksums import verify_sums
from storage.flex import validate
from storage.raw_take import read_raw_take
from storage.take_folder import read_record, write_record
from storage.xdf_header import parse_header
from storage.xdf_reader import read_xdf

SMALL = {"width": 320, "height": 240, "quality": 20}


@pytest.fixture
def take(tmp_path):
    from offline_take import record_offline

    return record_offline(tmp_path, seed=2, repetitions=1)


def test_a_take_with_cameras_becomes_a_valid_dataset(tmp_path):
    from offline_take import record_offline

    rig = tmp_path / "rig.toml"
    rig.write_text(
        'name = "small"\n'
        '[[device]]\nname = "mocap"\ndriver = "simulated.mocap"\nlatency_s = 0.008\ndelay_s = 0.008\n'
        '[[device]]\nname = "view1"\ndriver = "simulated.camera"\nrate_hz = 5.0\nlatency_s = 0.04\ndelay_s = 0.04\n',
        encoding="utf-8",
    )
    folder = record_offline(tmp_path, repetitions=1, cameras=True, rig_path=rig, options=SMALL)
    assert verify_sums(folder) == []
    assert not list(folder.glob("*.part"))
    processed = process_take(folder, tmp_path / "dataset", lambda stage, done, total: None, verify=True)
    assert processed.segmentation.found == 1
    assert (processed.damage, processed.remarks) == ((), ())
    (view,) = processed.aligned.views
    assert (view.index >= 0).all()
    assert validate(tmp_path / "dataset") == []


def test_headers_say_what_the_publisher_says(take):
    driver_class = find_driver("simulated.mocap")
    rig = {device["name"]: device for device in read_record(take).rig["device"]}
    driver = driver_class(driver_class.Config.model_validate(rig["mocap"]["config"]), None)
    (spec,) = driver.streams()
    channels = (*spec.channels, Channel(COUNTER_LABEL, "count", "Counter"))
    theirs = parse_header(_stream_info("mocap", spec, "mocap", channels, spec.format, "x").as_xml())
    (ours,) = [stream.header for stream in read_xdf(take / "streams.xdf").streams if stream.name == "mocap"]
    for key in ("name", "content_type", "channels", "rate_hz", "format", "counter_origin", "simulated", "device"):
        assert getattr(ours, key) == getattr(theirs, key), key
    assert ours.counter_modulus == theirs.counter_modulus == counter_modulus(spec)


def test_equal_seeds_give_equal_bytes(tmp_path):
    from offline_take import record_offline

    one, other = (record_offline(tmp_path / name, seed=4, repetitions=1) for name in ("a", "b"))
    assert (one / "SHA256SUMS").read_bytes() == (other / "SHA256SUMS").read_bytes()


def test_the_comparison_sees_a_shift_of_5_ms(take):
    from truth import CENTRED, OURS, evaluate

    before = evaluate(take)
    assert (before.found, before.expected) == (1, 1)
    assert len(before.stamps["mocap"][OURS]) == len(read_raw_take(take).streams[0].stamps)
    path = take / "truth" / "mocap.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    shifted = [row | {"time_s": row["time_s"] - 0.005} if "time_s" in row else row for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in shifted), encoding="utf-8")
    after = evaluate(take)
    for method, errors in after.stamps["mocap"].items():
        moved = 0.0 if method in CENTRED else 5.0
        np.testing.assert_allclose(errors - before.stamps["mocap"][method], moved, atol=1e-6)
    np.testing.assert_array_equal(after.stamps["emg"][OURS], before.stamps["emg"][OURS])


def test_the_comparison_sees_a_latency_that_is_wrong_by_5_ms(take):
    from truth import OURS, evaluate, percentiles

    before = evaluate(take, peers=False)
    assert percentiles(before.stamps["mocap"][OURS], 99)[0] < 0.5
    record = read_record(take)
    devices = [{**one, "latency_s": one["latency_s"] - 0.005} for one in record.rig["device"]]
    write_record(take, record.model_copy(update={"rig": {**record.rig, "device": devices}}))
    after = evaluate(take, peers=False)
    np.testing.assert_allclose(after.stamps["mocap"][OURS] - before.stamps["mocap"][OURS], 5.0, atol=1e-6)
    np.testing.assert_allclose(after.boundaries - before.boundaries, 5.0, atol=0.01)


def test_a_packet_that_is_not_in_the_take_is_an_error(take):
    from truth import evaluate

    with (take / "truth" / "vest.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"counter": 100000, "samples": 1, "time_s": 1.0, "arrival_s": 1.0}\n')
    with pytest.raises(ValueError, match="1 of"):
        evaluate(take, peers=False)


def test_seeds_sum_up(capsys):
    from seeds import main, run

    summary = run(2, 1)
    assert summary.exact == 2
    assert summary.boundaries.shape == (2, 3)
    assert np.abs(summary.boundaries).max() < 200
    main_arguments = ["seeds.py", "--seeds", "1", "--reps", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", main_arguments)
        main()
    assert "1 of 1 takes have exactly 1 repetitions" in capsys.readouterr().out


def test_truth_prints_a_table(take: Path, monkeypatch, capsys):
    from truth import main

    monkeypatch.setattr("sys.argv", ["truth.py", str(take)])
    main()
    shown = capsys.readouterr().out
    assert "1 of 1 repetitions found" in shown
    assert "pyxdf less latency" in shown
