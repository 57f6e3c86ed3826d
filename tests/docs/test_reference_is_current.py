"""The reference pages are what the code says, and the check finds a page that is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PAGES = ("commands.md", "layout.md", "marker-maps.md", "protocol.md", "rig.md")


def generate(project: Path, *options: object, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """Run the script; hash order must not show in its output, so it is given another seed each time."""
    return subprocess.run(
        [sys.executable, str(project / "docs" / "generate_reference.py"), *map(str, options)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        timeout=60,
    )


def test_the_reference_is_current(project: Path) -> None:
    done = generate(project, "--check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (project / "docs" / "reference").iterdir()} == set(PAGES)


def test_the_check_names_what_is_stale(project: Path, tmp_path: Path) -> None:
    assert generate(project, "--folder", tmp_path).returncode == 0
    assert generate(project, "--folder", tmp_path, "--check", seed="7").returncode == 0
    for name in PAGES:
        assert (tmp_path / name).read_bytes() == (project / "docs" / "reference" / name).read_bytes()

    rig = tmp_path / "rig.md"
    rig.write_text(rig.read_text(encoding="utf-8").replace("latency_s", "delay"), encoding="utf-8")
    (tmp_path / "commands.md").unlink()
    done = generate(project, "--folder", tmp_path, "--check")
    assert done.returncode == 1
    assert [name for name in PAGES if name in done.stdout] == ["commands.md", "rig.md"]
    assert not (tmp_path / "commands.md").exists()
