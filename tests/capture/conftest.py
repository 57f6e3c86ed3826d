"""A rig small enough for tests, and the command line run in this process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@pytest.fixture
def write_rig(tmp_path: Path) -> Callable[..., Path]:
    """Write a rig file of the given devices."""

    def write(*devices: str, top: str = 'name = "test rig"\nwait_s = 30.0\n') -> Path:
        path = tmp_path / "rig.toml"
        path.write_text(top + "".join(devices), encoding="utf-8")
        return path

    return write


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def flex_capture(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line as the console script does, in this process."""

    def run(*arguments: object) -> Outcome:
        from capture.cli import main

        monkeypatch.setattr(sys, "argv", ["flex-capture", *(str(argument) for argument in arguments)])
        on_ctrl_c = signal.getsignal(signal.SIGINT)  # the command line lets go of it at its end
        try:
            with pytest.raises(SystemExit) as left:
                main()
        finally:
            signal.signal(signal.SIGINT, on_ctrl_c)
        shown = capsys.readouterr()
        return Outcome(int(left.value.code or 0), shown.out, shown.err)

    return run


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
