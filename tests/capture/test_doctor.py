"""doctor: the rooms are ours, and it says what shadows them where they are not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def test_all_is_well_here(flex_capture: Callable[..., object]) -> None:
    outcome = flex_capture("doctor")
    assert outcome.code == 0, outcome.out
    assert "ready to record" in outcome.out
    for room in ("lab", "storage", "drivers", "sync", "calibration", "assessment", "capture"):
        assert f"room {room}:" in outcome.out


def test_a_room_that_is_shadowed_is_named(tmp_path: Path) -> None:
    impostor = tmp_path / "assessment"
    impostor.mkdir()
    (impostor / "__init__.py").write_text("")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "from capture.cli import main; import sys; sys.argv = ['x', 'doctor']; main()"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"room assessment: shadowed by {impostor / '__init__.py'}" in done.stdout
