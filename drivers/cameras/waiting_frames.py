"""Frames between the thread that fetches them and the driver: bounded, and what finds no room is lost and counted."""

from __future__ import annotations

import queue
from typing import Final, Generic, TypeVar

from lab.errors import DeviceError

Item = TypeVar("Item")

_MOST: Final = 512
_MOST_BYTES: Final = 64 << 20


class WaitingFrames(Generic[Item]):
    """One thread puts, another takes; neither waits for the other."""

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[Item, int] | DeviceError] = queue.Queue()
        self._put_bytes = self._taken_bytes = 0  # each counted by one thread alone
        self.lost = 0

    def put(self, item: Item, size: int) -> bool:
        """Hand over an item of so many bytes; False, and counted, where too many wait."""
        if self._queue.qsize() >= _MOST or self._put_bytes - self._taken_bytes + size > _MOST_BYTES:
            self.lost += 1
            return False
        self._put_bytes += size
        self._queue.put_nowait((item, size))
        return True

    def fail(self, sentence: str) -> None:
        """Let the taker know, after all that waits, that nothing more comes."""
        self._queue.put(DeviceError(sentence))

    def take(self, wait_s: float) -> Item | None:
        """Return the next item, None after ``wait_s`` without one. Raises DeviceError where nothing more comes."""
        try:
            taken = self._queue.get(timeout=wait_s) if wait_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if isinstance(taken, DeviceError):
            raise taken
        self._taken_bytes += taken[1]
        return taken[0]
