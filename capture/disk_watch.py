"""The disk while a take runs: how long it lasts, and when the take must end while it can still be closed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from storage.reserve import free_bytes

#: With less than this left, beside the reserve, a take is ended. Frames are given up only below that.
STOP_BYTES: Final = 24 << 20
_ALARM_S: Final = 60.0
#: The speed at which the disk fills is not known sooner.
_KNOWN_AFTER_S: Final = 2.0


class DiskWatch:
    """Looks at the disk of a take's folder."""

    def __init__(self, folder: Path) -> None:
        """Look once. Raises OSError where the disk is gone."""
        self._folder = folder
        self.free_bytes = free_bytes(folder)

    @property
    def advice(self) -> str:
        """What to do about a full disk."""
        return "make room, or record elsewhere with --out"

    def is_full(self) -> bool:
        """Look again; return whether the take must end. Raises OSError where the disk is gone."""
        self.free_bytes = free_bytes(self._folder)
        return self.free_bytes < STOP_BYTES

    def alarms(self, take_bytes: int, elapsed_s: float) -> list[str]:
        """Say in time that the disk will be full, by the speed at which this take has grown so far."""
        if elapsed_s < _KNOWN_AFTER_S or take_bytes <= 0:
            return []
        left_s = max(0.0, self.free_bytes - STOP_BYTES) / (take_bytes / elapsed_s)
        if left_s > _ALARM_S:
            return []
        return [f"the disk is full in about {left_s:.0f} s, then the take ends; {self.advice}"]
