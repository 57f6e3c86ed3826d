"""What tests of drivers share: playing to the end, and a clock that does not wait for ever."""

from __future__ import annotations

from typing import Any

from drivers.driver import EndOfStream
from drivers.host_clock import VirtualClock


class ImpatientClock(VirtualClock):
    """Waiting gives up after its limit, as with the real clock."""

    def sleep_until(self, time_s: float, limit_s: float = 0.2) -> bool:
        latest_s = self.now_s() + limit_s
        super().sleep_until(min(time_s, latest_s))
        return time_s <= latest_s


def played(driver: Any, most: int = 10**6) -> list[Any]:
    """Return what ``driver.read`` gives until the end, ``most`` pieces at most."""
    pieces: list[Any] = []
    try:
        while len(pieces) < most:
            piece = driver.read()
            if piece is not None:
                pieces.append(piece)
    except EndOfStream:
        pass
    return pieces
