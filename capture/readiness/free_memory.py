"""How much memory this computer could still give to programs."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Final

_MEMINFO: Final = Path("/proc/meminfo")


class _MemoryStatus(ctypes.Structure):
    """``MEMORYSTATUSEX`` of the Windows API (sysinfoapi.h)."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "available", "total_page", "available_page")),
        *((name, ctypes.c_ulonglong) for name in ("total_virtual", "available_virtual", "available_extended")),
    )


def free_memory_bytes() -> int | None:
    """Return the memory that is available without swapping, in bytes; None where the system does not tell."""
    if sys.platform == "win32":
        status = _MemoryStatus()
        status.length = ctypes.sizeof(status)
        told = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.available) if told else None
    return _from_meminfo(_MEMINFO)


def _from_meminfo(path: Path) -> int | None:
    """Read ``MemAvailable`` (proc(5)), which counts what the system would give up of its file cache."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        found = [line.split() for line in lines if line.startswith("MemAvailable:")]
        return int(found[0][1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
