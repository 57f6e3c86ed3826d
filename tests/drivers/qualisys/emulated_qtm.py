"""What the tests of QTM share: an emulated one, a driver of it, and reading for a while."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from drivers.driver import TakeStart
from drivers.emulators.emulator import serving
from drivers.emulators.qtm import QtmEmulator, QtmEmulatorConfig
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.qualisys.qtm import Qtm
from lab.streams import Chunk

CLOCK = LslClock()


def emulated(**options: Any) -> QtmEmulator:
    """Return a QTM whose athlete begins at once."""
    return QtmEmulator(QtmEmulatorConfig(**options), Stage(StageConfig(), CLOCK.now_s()))


@contextmanager
def reading(emulator: QtmEmulator, **options: Any) -> Iterator[Qtm]:
    """Serve, and give an open driver that a take has begun for."""
    with serving(emulator) as reach:
        driver = Qtm(Qtm.Config.model_validate({**reach, **options}), CLOCK)
        try:
            driver.open()
            driver.start(TakeStart("mocap", CLOCK.now_s()))
            yield driver
        finally:
            driver.close()


Streams = dict[str, list[Chunk]]


def read_until(driver: Qtm, enough: Callable[[Streams], bool], most_s: float = 20.0) -> Streams:
    """Read until what came is ``enough``; it must be in ``most_s`` seconds."""
    came: Streams = defaultdict(list)
    end_s = time.monotonic() + most_s
    while not enough(came):
        assert time.monotonic() < end_s, f"not enough came: { {name: len(chunks) for name, chunks in came.items()} }"
        chunk = driver.read()
        if chunk is not None:
            came[chunk.stream].append(chunk)
    return came


def counters(chunks: list[Chunk]) -> np.ndarray[Any, Any]:
    return np.concatenate([chunk.counters for chunk in chunks])


def values(chunks: list[Chunk]) -> np.ndarray[Any, Any]:
    return np.concatenate([chunk.values for chunk in chunks])


def texts(chunks: list[Chunk]) -> list[str]:
    return [text for chunk in chunks for text in chunk.values[:, 0]]


def samples(came: Streams, stream: str) -> int:
    return sum(len(chunk.counters) for chunk in came[stream])
