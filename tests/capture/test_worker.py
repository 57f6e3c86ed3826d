"""A device that runs by itself is read as fast as it sends before a take: nothing old waits for its start."""

from __future__ import annotations

from multiprocessing import Pipe
from typing import Any

import numpy as np
import pytest

from capture.messages import Subscribe, Subscribed
from capture.worker import WorkerTask, _Worker
from lab.streams import Chunk


class Eager:
    """Has a chunk at every call."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self) -> Chunk:
        self.reads += 1
        return Chunk("", np.zeros((1, 1), np.float32), np.array([self.reads]), 0.0)

    def close(self) -> None:
        pass


class Unheard:
    """A publisher to whom somebody subscribes after some asking."""

    def __init__(self, asked_for: int) -> None:
        self.left = asked_for

    def subscribed(self, timeout_s: float) -> bool:
        assert timeout_s == 0.0  # waiting here would leave the device unread
        self.left -= 1
        return self.left < 0

    def have_consumers(self) -> bool:
        return False

    @property
    def published(self) -> dict[str, int]:
        return {}


def test_a_device_is_read_without_a_pause_also_while_subscribers_are_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Pipe()
    worker: Any = _Worker(WorkerTask("plate", "none", {}, "run", ""), theirs)
    try:
        worker._driver = Eager()
        worker._publishers = {"": Unheard(50)}
        slept: list[float] = []
        monkeypatch.setattr("capture.worker.time.sleep", slept.append)
        worker._inbox.put(Subscribe())
        for _ in range(200):
            worker._obey()
            worker._work()
        assert worker._driver.reads == 200
        assert slept == []
        said = []
        while ours.poll(1.0) and not said:
            message = ours.recv()
            said += [message] if isinstance(message, Subscribed) else []
        assert said == [Subscribed(complete=True)]
    finally:
        monkeypatch.undo()
        worker._orphaned.set()
        worker.close()
        ours.close()
