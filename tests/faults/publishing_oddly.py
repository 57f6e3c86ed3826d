"""``odd_publisher.py`` as a process beside a test, and rig entries for its streams."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ODD_PUBLISHER = Path(__file__).with_name("odd_publisher.py")


def outlet(name: str, says_hz: float | str = 100.0, sends_hz: float = 100.0, source_id: str = "") -> dict[str, Any]:
    return {"name": name, "source_id": source_id or f"odd-{name}", "says_hz": says_hz, "sends_hz": sends_hz}


def entry(name: str, more: str = 'counter = "count"') -> str:
    return f'[[stream]]\nname = "{name}"\nsource_id = "odd-{name}"\n{more}\n'


@contextlib.contextmanager
def publishing(*outlets: dict[str, Any], environment: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run the publisher; what is yielded may be killed."""
    command = [sys.executable, str(ODD_PUBLISHER), json.dumps(outlets)]
    environment = {**os.environ, **(environment or {})}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        yield process
        process.communicate(timeout=20)  # it ends when its input closes
