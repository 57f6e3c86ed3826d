"""The host's clock as drivers see it: real, or virtual where no real time need pass."""

from __future__ import annotations

import time
from typing import Protocol


class HostClock(Protocol):
    """Host time in float64 seconds: LSL's ``local_clock`` of this computer."""

    def now_s(self) -> float:
        """Return the current host time."""
        ...

    def sleep_until(self, time_s: float, limit_s: float = 0.2) -> bool:
        """Wait for ``time_s``, ``limit_s`` at most; return whether it has come."""
        ...


class LslClock:
    """The real one."""

    def __init__(self) -> None:
        from pylsl import local_clock

        self._local_clock = local_clock

    def now_s(self) -> float:
        """Return LSL's ``local_clock`` in seconds."""
        return float(self._local_clock())

    def sleep_until(self, time_s: float, limit_s: float = 0.2) -> bool:
        """Wait for ``time_s``, ``limit_s`` at most; return whether it has come."""
        end_s = min(time_s, self.now_s() + limit_s)
        while (left_s := end_s - self.now_s()) > 0:
            time.sleep(left_s)
        return time_s <= end_s


class VirtualClock:
    """A clock on which waiting takes no time, for offline evaluation and tests."""

    def __init__(self, start_s: float = 1000.0) -> None:
        self._now_s = start_s

    def now_s(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s

    def sleep_until(self, time_s: float, limit_s: float = 0.2) -> bool:  # noqa: ARG002 - the protocol's signature
        """Jump to ``time_s`` if it lies ahead; always returns True."""
        self._now_s = max(self._now_s, time_s)
        return True
