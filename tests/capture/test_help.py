"""The command line answers at once: --help loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("scipy", "pandas", "cv2", "av", "pyarrow", "h5py", "pylsl", "simplejpeg", "rich.live", "c3d")


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from capture.cli import group\n"
        "for words in (['--help'], ['record', '--help'], ['validate', '--help']):\n"
        "    assert CliRunner().invoke(group, words).exit_code == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
