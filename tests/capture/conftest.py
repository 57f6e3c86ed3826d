"""A rig small enough for tests, and the command line run in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from small_rigs import MOCAP


@pytest.fixture
def write_rig(tmp_path: Path) -> Callable[..., Path]:
    """Write a rig file of the given devices."""

    def write(*devices: str, top: str = 'name = "test rig"\nwait_s = 30.0\n') -> Path:
        path = tmp_path / "rig.toml"
        path.write_text(top + "".join(devices), encoding="utf-8")
        return path

    return write


@pytest.fixture
def offline_take(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make a raw take of one MoCap repetition below ``tmp_path/out``, faster than it would take to record it."""
    monkeypatch.syspath_prepend(str(project / "benchmarks"))
    rig = tmp_path / "offline.toml"
    rig.write_text(f'name = "offline"\n{MOCAP}', encoding="utf-8")

    def make(subject: str = "S12", session: str = "20261122-0930", action: str = "A16", **options: object) -> Path:
        from offline_take import record_offline

        return record_offline(
            tmp_path / "out",
            rig_path=rig,
            repetitions=2,
            subject=subject,
            session=session,
            action=action,
            options=dict(options),
        )

    return make


OFFLINE_RIG = """
name = "small"
[[device]]
name = "mocap"
driver = "simulated.mocap"
latency_s = 0.008
delay_s = 0.008
[[device]]
name = "emg"
driver = "simulated.emg"
latency_s = 0.03
delay_s = 0.03
[[device]]
name = "vest"
driver = "simulated.vest"
max_uncertainty_ms = 100.0
latency_s = 0.25
delay_s = 0.25
[[device]]
name = "view1"
driver = "simulated.camera"
rate_hz = 10.0
latency_s = 0.04
delay_s = 0.04
[[device]]
name = "view2"
driver = "simulated.camera"
rate_hz = 10.0
latency_s = 0.04
delay_s = 0.04
"""


@dataclass(frozen=True)
class Recorded:
    """A raw take's folder and a dataset with that take alone."""

    take: Path
    dataset: Path
    take_id: str


@pytest.fixture(scope="session")
def recorded(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Make the take once; tests that change it copy it first."""
    from capture.process_take import process_take

    out = tmp_path_factory.mktemp("page")
    (out / "rig.toml").write_text(OFFLINE_RIG, encoding="utf-8")
    sys.path.insert(0, str(project / "benchmarks"))
    try:
        from offline_take import record_offline
    finally:
        sys.path.pop(0)
    small = {"width": 320, "height": 240, "focal_px": 260.0, "quality": 30}
    take = record_offline(out, seed=4, repetitions=2, cameras=True, rig_path=out / "rig.toml", options=small)
    process_take(take, out / "dataset", lambda *_: None, verify=True)
    return Recorded(take, out / "dataset", "S12_offline_A16-01")
