"""A rig small enough for tests, and the command line run in this process."""

from __future__ import annotations

import signal
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
