"""Raw trees of a few short takes, and resegmentations of them as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

COMMAND = [sys.executable, "-c", "from capture.cli import main; main()", "resegment"]
SMALL = {"width": 320, "height": 240, "focal_px": 260.0, "quality": 30}
RIG = """
name = "small"
[[device]]
name = "mocap"
driver = "simulated.mocap"
latency_s = 0.008
delay_s = 0.008
[[device]]
name = "view1"
driver = "simulated.camera"
rate_hz = 10.0
latency_s = 0.04
delay_s = 0.04
"""


def content(folder: Path) -> dict[str, bytes]:
    """Return all files of a dataset but its lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def start(*words: object, **environment: str) -> subprocess.Popen[str]:
    """Start ``flex-capture resegment`` as an operator would."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
    )


def run(*words: object, **environment: str) -> tuple[int, str]:
    """Run ``flex-capture resegment`` and return its exit code and what it said."""
    with start(*words, **environment) as process:
        said, _ = process.communicate(timeout=300)
    return process.returncode, said


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the processes that work on takes."""
    children = psutil.Process(process.pid).children()
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
