"""A take from an emulated Motive over the network, through the same path as everything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.emulators.emulator import serving
from drivers.emulators.natnet import NatNetEmulator, NatNetEmulatorConfig
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes

_BEFORE_S = 10.0
_AFTER_S = 4.0


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "loss"), [("unicast", 0.002), ("multicast", 0.0)])
def test_ten_of_ten_repetitions(
    transport: str, loss: float, tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    begin_s = LslClock().now_s()
    stage = Stage(StageConfig(begin_s=_BEFORE_S, rest_s=600), begin_s)
    first_s, last_s = stage.first_set_s
    settings = NatNetEmulatorConfig(version="4.1", transport=transport, rate_hz=120, loss=loss, occlusion=0.002)
    emulator = NatNetEmulator(settings, stage)
    with serving(emulator) as reach:
        rig = tmp_path / "lab.toml"
        keys = "".join(f"{key} = {value!r}\n" for key, value in reach.items())
        rig.write_text(
            'name = "lab"\n\n[[device]]\nname = "mocap"\ndriver = "optitrack.natnet"\nmarker_map = "flex_joints"\n'
            f"latency_s = {settings.latency_s}\n{keys}",
            encoding="utf-8",
        )
        duration_s = last_s - LslClock().now_s() + _AFTER_S
        outcome = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--reps", 10, "--yes", "--out", tmp_path / "out",
            "--duration", round(duration_s, 1),
        )  # fmt: skip
    assert outcome.code == (1 if emulator.lost else 0), outcome.out + outcome.err  # what was lost marks the take
    assert "10 of 10 repetitions" in outcome.out
    (take,) = list_takes(tmp_path / "out" / "raw")
    recorded = read_raw_take(take)
    streams = {stream.name: stream for stream in recorded.streams}
    assert set(streams) == {"mocap.markers", "mocap.skeletons", "mocap.rigid_bodies", "mocap.echo"}
    numbers = streams["mocap.markers"].counter
    assert numbers is not None
    missing = sorted(set(range(int(numbers[0]), int(numbers[-1]))) - set(numbers.astype(int).tolist()))
    assert missing == [number for number in emulator.lost if numbers[0] <= number <= numbers[-1]]
    repetitions = pd.read_parquet(tmp_path / "out" / "dataset" / "repetitions.parquet")
    assert len(repetitions) == 10
    assert repetitions.start_s.min() >= first_s - 1
    assert repetitions.end_s.max() <= last_s + 1
    # the echoes tell the host time of an exposure: what a calibrated latency tells too, but without calibration
    echoes = streams["mocap.echo"].values
    offsets = echoes[:, 2][echoes[:, 3] <= np.median(echoes[:, 3])]
    exact = echoes[:, 1] - emulator.server_s(echoes[:, 1])
    assert len(echoes) > duration_s / 2
    np.testing.assert_allclose(offsets, exact[echoes[:, 3] <= np.median(echoes[:, 3])], atol=2e-3)
