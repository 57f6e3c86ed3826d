"""A whole lab through its own protocols: the example rig of emulated devices, served, recorded and read back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

RIG = "examples/rigs/emulated-lab.toml"
#: Until the first set: ten drivers are opened and listened to before the take is announced.
BEGIN_S = 40
TAKE_S = 90
STREAMS = {
    "mocap.markers", "mocap.events", "motive.markers", "emg.emg", "emg.aux", "cyton.emg", "cyton.accel", "strap.rates",
    "view1", "view2", "view3", "view4", "view5",
}  # fmt: skip


@pytest.fixture
def lab(project: Path, tmp_path: Path) -> Iterator[Path]:
    """Serve the example rig, on a line of this test's own; give the rig."""
    text = (project / RIG).read_text(encoding="utf-8")
    rig = tmp_path / "lab.toml"
    rig.write_text(text.replace("/tmp/flex-emulated-cyton", str(tmp_path / "cyton")), encoding="utf-8")
    flex = shutil.which("flex-capture", path=str(Path(sys.executable).parent))
    assert flex is not None
    ask = [flex, "emulate", "--rig", str(rig), "--begin", str(BEGIN_S), "--rest", "60"]
    serving = subprocess.Popen(ask, stdout=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    for line in serving.stdout:
        if line.startswith("# the first set begins"):
            break
    yield rig
    serving.send_signal(signal.SIGINT)
    rest = serving.communicate(timeout=30)[0]
    assert serving.returncode == 0
    assert "# set 1 is over" in rest


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="the example's serial line is a pseudo-terminal")
def test_a_set_before_emulated_devices_is_recorded_whole(
    lab: Path, tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    out = tmp_path / "out"
    done = flex_capture("record", "--subject", "S1", "--rig", lab, "--out", out, "--yes", "--duration", TAKE_S)
    assert done.code == 0, done.out + done.err
    assert "10 of 10 repetitions" in done.out
    assert flex_capture("validate", out / "dataset").code == 0
    streams = pd.read_parquet(out / "dataset" / "streams.parquet").set_index("stream")
    assert set(streams.index) >= STREAMS
    assert (streams.lost == 0).all()
    assert streams.in_sync.all()
    for name, rate_hz in (("mocap.markers", 100), ("emg.emg", 2000), ("cyton.emg", 250), ("view5", 15)):
        assert abs(streams.rate_measured_hz[name] / rate_hz - 1) < 1e-3
    take = pd.read_parquet(out / "dataset" / "takes.parquet").iloc[0]
    assert set(take.modalities) == {"pose", "emg", "heart_rate", "breath_rate", *(f"view{n}" for n in range(1, 6))}
    first = pd.read_parquet(out / "dataset" / "repetitions.parquet").iloc[0]
    with h5py.File(out / "dataset" / first.signals_file) as signals:
        group = signals[first.signals_group]
        heart = group["heart_rate"]["values"][:]
        assert np.isfinite(heart).any()
        assert 60 < np.nanmedian(heart) < 160
        assert np.isfinite(group["pose"]["values"][:]).mean() > 0.99
