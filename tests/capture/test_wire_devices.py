"""Emulated devices of a wire, recorded as an operator does: into a take and the dataset, and unplugged in a take."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from drivers.emulators.emulator import Emulator, find_emulator, serving
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from storage.toml_text import toml_value

pytestmark = pytest.mark.slow

Run = Callable[..., Any]

MOCAP = """
[[device]]
name = "mocap"
driver = "simulated.mocap"
latency_s = 0.008
delay_s = 0.008
"""
PLATE = {
    "format": "csv",
    "rate_hz": 100.0,
    "together": 5,
    "content_type": "Force",
    "column": [{"role": "counter", "modulus": 256}, {"label": "vertical", "unit": "newtons"}],
}


def emulated(driver: str, **config: Any) -> Emulator:
    kind = find_emulator(driver)
    return kind(kind.Config.model_validate(config), Stage(StageConfig(repetitions=3), LslClock().now_s()))


def entry(name: str, driver: str, options: dict[str, Any]) -> str:
    keys = {"name": name, "driver": driver, "max_uncertainty_ms": 100.0, "silent_after_s": 10.0, **options}
    return "\n[[device]]\n" + "".join(f"{key} = {toml_value(value)}\n" for key, value in keys.items())


def test_a_strap_lines_and_records_become_a_dataset(flex_capture: Run, tmp_path: Path) -> None:
    devices = {
        "vest": ("zephyr.bioharness", emulated("zephyr.bioharness", port=0), {"signals": ["rates", "rr"]}),
        "plate": ("records.serial", emulated("records.serial", port=0, **PLATE), {}),
        "emg": (
            "records.tcp",
            emulated(
                "records.tcp", format="binary", rate_hz=1000, checksum="crc16_ccitt", drift_ppm=80, lose_every=777
            ),
            {},
        ),
    }
    rig = tmp_path / "lab.toml"
    with ExitStack() as stack:
        text = 'name = "lab"\n' + MOCAP
        for name, (driver, emulator, more) in devices.items():
            text += entry(name, driver, {**stack.enter_context(serving(emulator)), **more})
        rig.write_text(text, encoding="utf-8")
        done = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--reps", 3, "--yes", "--duration", 21, "--out", tmp_path
        )
    assert done.code in (0, 1), done.err
    assert "3 of 3 repetitions" in done.out
    streams = pd.read_parquet(tmp_path / "dataset" / "streams.parquet").set_index("stream")
    assert set(streams.index) == {"mocap", "vest.rates", "vest.rr", "plate", "emg"}
    assert streams.in_sync.all()
    assert streams.loc["vest.rates", "method"] == streams.loc["vest.rr", "method"] == "device time"
    assert streams.loc["plate", "method"] == streams.loc["emg", "method"] == "device count"
    lost = streams.lost
    assert (lost[["vest.rates", "vest.rr", "plate"]] == 0).all()
    assert 18 <= lost["emg"] <= 30
    assert streams.loc["emg", "rate_measured_hz"] == pytest.approx(1000.08, abs=0.05)
    (file,) = (tmp_path / "dataset" / "signals").rglob("*.h5")
    with h5py.File(file) as signals:
        for repetition in ("rep_01", "rep_02", "rep_03"):
            heart = signals[repetition]["heart_rate"]["values"][:]
            breath = signals[repetition]["breath_rate"]["values"][:]
            assert len(heart) >= 2
            assert ((heart > 60) & (heart < 160)).all()
            assert ((breath > 10) & (breath < 40)).all()
            assert signals[repetition]["emg"]["values"].shape[1] == 4


def test_unplugged_in_a_take_it_comes_back_and_the_gap_is_known(flex_capture: Run, tmp_path: Path) -> None:
    strap, plate = emulated("zephyr.bioharness", port=0), emulated("records.serial", port=0, **PLATE)
    rig = tmp_path / "lab.toml"
    gone = threading.Event()

    def unplug() -> None:
        deadline_s = time.monotonic() + 60
        while not any((tmp_path / "raw").rglob("streams.xdf*")) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        time.sleep(6.0)
        for device in (strap, plate):
            device.line.unplug()  # type: ignore[attr-defined]
        gone.set()
        time.sleep(2.0)
        for device in (strap, plate):
            device.line.open()  # type: ignore[attr-defined]

    with serving(strap) as vest, serving(plate) as force:
        text = 'name = "lab"\n' + MOCAP
        text += entry("vest", "zephyr.bioharness", vest) + entry("plate", "records.serial", force)
        rig.write_text(text, encoding="utf-8")
        hand = threading.Thread(target=unplug)
        hand.start()
        done = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--reps", 3, "--yes", "--duration", 25, "--out", tmp_path
        )
        hand.join()
    assert gone.is_set()
    assert done.code == 3
    said = done.out + done.err
    assert "device 'vest': the BioHarness" in said
    assert "it is started again" in said
    (take,) = (tmp_path / "raw").rglob("take.json")
    assert json.loads(take.read_text(encoding="utf-8"))["state"] == "complete"
    streams = pd.read_parquet(tmp_path / "dataset" / "streams.parquet").set_index("stream")
    # the strap's count and clock are its own: whole packets are missing, about as long as it was away
    assert 2 <= streams.loc["vest.rates", "lost"] <= 15
    assert streams.loc["vest.rates", "rate_measured_hz"] == pytest.approx(1.0, rel=2e-3)
    # the plate's count wraps every 2.56 s: how often it did while it was away is told by time
    assert 200 <= streams.loc["plate", "lost"] <= 1500
    assert streams.loc["plate", "rate_measured_hz"] == pytest.approx(100.0, rel=1e-3)
    assert np.isfinite(streams.uncertainty_p99_ms).all()
