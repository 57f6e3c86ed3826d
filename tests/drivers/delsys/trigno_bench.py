"""An emulated Trigno base on this computer, and what a driver reads from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from drivers.delsys.trigno import Trigno
from drivers.emulators.emulator import serving
from drivers.emulators.stage import Stage, StageConfig
from drivers.emulators.trigno import TrignoEmulator
from drivers.emulators.trigno_commands import TrignoEmulatorConfig
from drivers.host_clock import LslClock
from lab.errors import DeviceError
from lab.streams import Chunk


def emulator(**config: Any) -> TrignoEmulator:
    """Return an emulated base whose athlete has begun; it sends soon after its start and keeps its rows."""
    settings = TrignoEmulatorConfig.model_validate({"first_data_s": 0.1, "kept_rows": 200_000, **config})
    return TrignoEmulator(settings, Stage(StageConfig(begin_s=0.0), LslClock().now_s() - 5.0))


@contextmanager
def base(**config: Any) -> Iterator[tuple[TrignoEmulator, dict[str, Any]]]:
    """Serve an emulated base; give it and what a rig says to reach it."""
    served = emulator(**config)
    with serving(served) as options:
        yield served, options


@contextmanager
def opened(options: dict[str, Any], **config: Any) -> Iterator[Trigno]:
    """Open the driver on a base."""
    driver = Trigno(Trigno.Config.model_validate({**options, **config}), LslClock())
    try:
        driver.open()
        yield driver
    finally:
        driver.close()


def refused(sentence: str, options: dict[str, Any], **config: Any) -> None:
    """Check that the driver does not open, and that one sentence says why."""
    with pytest.raises(DeviceError, match=sentence) as caught, opened(options, **config):
        pass
    (problem,) = caught.value.problems
    assert problem.isprintable()


def read_for(driver: Trigno, seconds: float) -> dict[str, list[Chunk]]:
    """Return what a driver gives in so many seconds, by stream."""
    pieces: dict[str, list[Chunk]] = {}
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        piece = driver.read()
        if piece is not None:
            pieces.setdefault(piece.stream, []).append(piece)
    return pieces


def joined(pieces: list[Chunk]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the values and counters of chunks in one piece."""
    return np.concatenate([piece.values for piece in pieces]), np.concatenate([piece.counters for piece in pieces])
