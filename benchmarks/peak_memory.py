"""How much memory this process has taken at most."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


class Peak:
    """Resident memory in MB; the highest is the operating system's own figure."""

    def __init__(self, process: Any) -> None:
        """Watch a process, a ``psutil.Process``: this one."""
        self._process = process

    def now(self) -> float:
        """Return what it takes now."""
        return float(self._process.memory_info().rss) / 1e6

    def highest(self) -> float:
        """Return the most that it took so far."""
        if sys.platform == "win32":
            return float(self._process.memory_info().peak_wset) / 1e6
        if sys.platform == "linux":  # getrusage would give that of the process that started this one, if it was larger
            with Path("/proc/self/status").open(encoding="ascii") as status:
                return next(float(line.split()[1]) for line in status if line.startswith("VmHWM:")) * 1024 / 1e6
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
