"""A take of an emulated QTM from the wire to the dataset."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.emulators.emulator import serving
from drivers.emulators.qtm import QtmEmulator, QtmEmulatorConfig
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from storage.take_folder import list_takes
from storage.xdf_reader import XdfStream, read_xdf

BEGIN_S = 15.0


def rig_of(reach: dict[str, Any], more: str = "") -> str:
    return (
        f'[[device]]\nname = "mocap"\ndriver = "qualisys.qtm"\nhost = "{reach["host"]}"\n'
        f'base_port = {reach["base_port"]}\ncomponents = ["markers", "skeleton", "analog"]\n{more}\n'
    )


def streams(take: Path) -> dict[str, XdfStream]:
    return {stream.name: stream for stream in read_xdf(take / "streams.xdf").streams}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("udp", [False, True])
def test_ten_repetitions_are_found(
    udp: bool, write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    settings = StageConfig(begin_s=BEGIN_S, rest_s=3600.0)
    emulator = QtmEmulator(QtmEmulatorConfig(hidden=0.02), Stage(settings, LslClock().now_s()))
    with serving(emulator) as reach:
        rig = write_rig(rig_of(reach, f"udp = {str(udp).lower()}"))
        out = tmp_path / "out"
        outcome = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--reps", 10, "--duration", 68
        )
    assert outcome.code == 0, outcome
    assert "10 of 10 repetitions" in outcome.out
    repetitions = pd.read_parquet(out / "dataset" / "repetitions.parquet")
    assert len(repetitions) == 10
    (take,) = list_takes(out / "raw")
    found = streams(take)
    assert {"mocap.markers", "mocap.skeleton", "mocap.analog", "mocap.events"} <= set(found)
    # the simulated athlete's 21 joints under their own names: FLEX's, without a marker map
    joints = {channel.marker for channel in found["mocap.markers"].header.channels if channel.marker}
    assert len(joints) == 21
    for name in ("mocap.markers", "mocap.skeleton"):
        assert (np.diff(found[name].values[:, -1]) == 1).all()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cut_and_a_reordered_list_leave_a_gap_and_no_wrong_name(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    emulator = QtmEmulator(QtmEmulatorConfig(), Stage(StageConfig(rest_s=3600.0), LslClock().now_s()))
    with serving(emulator) as reach:
        rig = write_rig(rig_of(reach))
        labels = emulator.labels
        done = threading.Event()

        def meddle() -> None:
            while not any(client.streaming for client in emulator._clients):
                if done.wait(0.1):
                    return
            if done.wait(8.0):
                return
            emulator.do(emulator.hang_up)
            if not done.wait(8.0):
                emulator.do(lambda: emulator.relabel((labels[1], labels[0], *labels[2:])))

        thread = threading.Thread(target=meddle)
        thread.start()
        try:
            out = tmp_path / "out"
            outcome = flex_capture(
                "record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--reps", 4, "--duration", 26
            )
        finally:
            done.set()
            thread.join()
    assert outcome.code == 3, outcome  # a device failed; what it sent before and after is kept
    assert "in another order" in outcome.out + outcome.err
    (take,) = list_takes(out / "raw")
    markers = streams(take)["mocap.markers"]
    count = markers.values[:, -1].astype(np.int64)
    assert (np.diff(count) > 0).all()
    assert (np.diff(count) > 20).sum() == 2  # two restarts, each a gap by QTM's own count
    places = [index for index, channel in enumerate(markers.header.channels) if channel.label.startswith("head_")][:3]
    truth = np.array([emulator.scene.markers(int(number) - 1)[0, :3].copy() for number in count]) / 1000
    np.testing.assert_allclose(markers.values[:, places], truth, atol=1e-6)
