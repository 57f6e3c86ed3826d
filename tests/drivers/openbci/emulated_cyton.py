"""An emulated Cyton, its driver, and what came of what was sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from drivers.driver import TakeStart
from drivers.emulators.cyton import CytonEmulator, CytonEmulatorConfig
from drivers.emulators.emulator import serving
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.openbci.cyton import Cyton, CytonConfig
from lab.streams import Chunk

LINES = ["tcp", "pty"] if os.name == "posix" else ["tcp"]


@dataclass
class Bench:
    """Emulator and driver at the two ends of a line."""

    emulator: CytonEmulator
    options: dict[str, Any]
    clock: LslClock = field(default_factory=LslClock)

    def driver(self, **options: Any) -> Cyton:
        return Cyton(CytonConfig.model_validate({**self.options, **options}), self.clock)

    def sent(self, life: int | None = None) -> dict[int, tuple[float, npt.NDArray[np.float64], str]]:
        """Return host time, microvolts and fate of what a life of the stream, or the last, sent, by number."""
        life = self.emulator.lives if life is None else life
        return {number: (at_s, uv, fate) for n, number, at_s, uv, fate in list(self.emulator.sent) if n == life}


@contextmanager
def bench(line: str = "tcp", **emulator: Any) -> Iterator[Bench]:
    """Serve an emulated Cyton while the block runs."""
    config = CytonEmulatorConfig(port=0 if line == "tcp" else None, keep_sent=True, **emulator)
    made = CytonEmulator(config, Stage(StageConfig(), LslClock().now_s()))
    with serving(made) as options:
        yield Bench(made, options)


@dataclass
class Read:
    """Everything of one stream: values, counts, and for each chunk its last count, arrival and device time."""

    values: npt.NDArray[np.float32]
    counters: npt.NDArray[np.int64]
    chunks: list[tuple[int, float, float]]


def read_until(driver: Cyton, enough: Callable[[dict[str, int]], bool], limit_s: float = 20.0) -> dict[str, Read]:
    """Read until ``enough`` of the counts of samples so far by stream, or DeviceError."""
    clock = LslClock()
    deadline_s = clock.now_s() + limit_s
    pieces: dict[str, list[Chunk]] = {spec.name: [] for spec in driver.streams()}
    have = dict.fromkeys(pieces, 0)
    driver.start(TakeStart("emg", clock.now_s()))
    while not enough(have):
        assert clock.now_s() < deadline_s, have
        piece = driver.read()
        if piece is not None:
            pieces[piece.stream].append(piece)
            have[piece.stream] += len(piece.counters)
    return {
        name: Read(
            np.concatenate([chunk.values for chunk in chunks]),
            np.concatenate([chunk.counters for chunk in chunks]),
            [(int(chunk.counters[-1]), chunk.arrival_s, chunk.device_time_s) for chunk in chunks],
        )
        for name, chunks in pieces.items()
        if chunks
    }
