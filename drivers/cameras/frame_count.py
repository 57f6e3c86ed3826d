"""A camera's count of its frames, unwrapped."""

from __future__ import annotations


class FrameCount:
    """Unwraps a count that wraps after ``modulus`` frames, from wherever it starts, by the smallest step.

    ``next`` gives None for a frame that is not newer than the last one: cameras repeat frames, and hand out old ones
    after a stall. ``stale`` counts those.
    """

    def __init__(self, modulus: int) -> None:
        self._modulus = modulus
        self._last: int | None = None
        self.stale = 0

    def next(self, count: int) -> int | None:
        """Return the unwrapped count, None for one that does not step forward."""
        if self._last is None:
            self._last = count
            return count
        step = (count - self._last) % self._modulus
        if step == 0 or step >= self._modulus // 2:
            self.stale += 1
            return None
        self._last += step
        return self._last
