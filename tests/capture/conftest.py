"""A rig small enough for tests, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable
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
