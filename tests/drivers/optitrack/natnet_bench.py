"""An emulated Motive, the driver that reads it, and what came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from drivers.emulators.emulator import serving
from drivers.emulators.natnet import NatNetEmulator, NatNetEmulatorConfig
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.optitrack.natnet import OptitrackNatNet
from drivers.optitrack.natnet_session import NatNetConfig
from lab.streams import Chunk

CLOCK = LslClock()
DEADLINE_S = 20.0


def emulated(**options: Any) -> NatNetEmulator:
    stage = Stage(StageConfig(), CLOCK.now_s() - 20.0)  # the athlete is in the middle of a set
    return NatNetEmulator(NatNetEmulatorConfig.model_validate(options), stage)


@contextmanager
def opened(reach: dict[str, Any], **options: Any) -> Iterator[OptitrackNatNet]:
    driver = OptitrackNatNet(NatNetConfig.model_validate({**reach, **options}), CLOCK)
    driver.open()
    try:
        yield driver
    finally:
        driver.close()


@contextmanager
def motive(emulator: NatNetEmulator, **options: Any) -> Iterator[OptitrackNatNet]:
    with serving(emulator) as reach, opened(reach, **options) as driver:
        yield driver


def read_until(driver: OptitrackNatNet, enough: Callable[[dict[str, list[Chunk]]], bool]) -> dict[str, list[Chunk]]:
    """Read until ``enough`` of the chunks by stream; what fails ends it with its error."""
    found: dict[str, list[Chunk]] = {spec.name: [] for spec in driver.streams()}
    end_s = CLOCK.now_s() + DEADLINE_S
    while not enough(found):
        assert CLOCK.now_s() < end_s, {name: len(chunks) for name, chunks in found.items()}
        chunk = driver.read()
        if chunk is not None:
            found[chunk.stream].append(chunk)
    return found


def frames(count: int, stream: str = "markers") -> Callable[[dict[str, list[Chunk]]], bool]:
    return lambda found: len(found[stream]) >= count


def counters(chunks: list[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.counters for chunk in chunks])


def values(chunks: list[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.values for chunk in chunks])


def column(driver: OptitrackNatNet, stream: str, label: str) -> int:
    (spec,) = [spec for spec in driver.streams() if spec.name == stream]
    return [channel.label for channel in spec.channels].index(label)
