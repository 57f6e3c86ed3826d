"""Test drivers as an installed package of a lab's own, for this process and the recorders it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
sys.path.append(str(HERE.parent / "capture"))  # terminal.py, publisher.py

ENTRY_POINTS = """[flex_capture.drivers]
faulty = faulty_driver:Faulty
serial_amplifier = serial_amplifier:SerialAmplifier
force_plate = force_plate:ForcePlate
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Declare the test drivers; return the environment in which a recorder finds them."""
    folder = tmp_path_factory.mktemp("package")
    information = folder / "drivers_for_tests-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: drivers-for-tests\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    paths = [folder, HERE, PROJECT / "examples" / "driver-plugin", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {"PYTHONPATH": os.pathsep.join(str(path) for path in paths if str(path))}
