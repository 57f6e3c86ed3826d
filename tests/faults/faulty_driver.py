"""A driver for tests: any other driver, with faults on order, and a log of what it delivered.

An order is a word in the file ``<folder>/<device>.order``, obeyed once: ``RuntimeError`` and ``DeviceError`` are
raised, ``hang`` never returns, ``silent`` delivers nothing more. Each piece that is delivered is a JSON line in
``<folder>/<device>.delivered``: ``{"life", "stream", "first", "last", "arrival_s"}``, ``life`` being the process.
With ``resets`` the device begins to count at 0 each time it is started, and its clock does too; the log does not.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from drivers.driver import Driver, DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.registry import find_driver
from lab.errors import DeviceError
from lab.streams import Chunk, Frame, StreamSpec


class FaultyConfig(DriverConfig):
    """The driver it ``wraps``, the folder of its orders, and the options of that driver."""

    model_config = ConfigDict(frozen=True, extra="allow")

    wraps: str
    folder: str
    resets: bool = False


@dataclass(frozen=True)
class Delivered:
    """One piece that a driver handed on: counts of its first and last sample, or its frame id."""

    life: int
    stream: str
    first: int
    last: int
    arrival_s: float


class Faulty:
    """What it wraps, and its faults."""

    Config: ClassVar[type[DriverConfig]] = FaultyConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        settings = config_of(config, FaultyConfig)
        kind = find_driver(settings.wraps)
        self._driver: Driver = kind(kind.Config.model_validate(settings.model_extra), clock)
        self._folder = Path(settings.folder)
        self._order: Path | None = None
        self._log: Any = None
        self._silent = False
        self._resets = settings.resets
        self._begin: tuple[int, float] | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(getattr(self._driver, "remarks", ()))

    def open(self) -> None:
        self._driver.open()

    def streams(self) -> tuple[StreamSpec, ...]:
        return self._driver.streams()

    def start(self, take: TakeStart) -> None:
        self._order = self._folder / f"{take.device}.order"
        self._log = delivered_path(self._folder, take.device).open("a", encoding="utf-8", buffering=1)
        self._driver.start(take)

    def read(self) -> Chunk | Frame | None:
        if self._order is not None and self._order.exists():
            order = self._order.read_text(encoding="utf-8")
            self._order.unlink()
            if order == "RuntimeError":
                raise RuntimeError("its driver has a bug")
            if order == "DeviceError":
                raise DeviceError("the device sends garbage; switch it off and on")
            if order == "hang":
                threading.Event().wait()
            self._silent = order == "silent"
        piece = self._driver.read()
        if self._silent:
            return None
        if piece is not None and self._log is not None:
            counts = (piece.frame_id,) * 2 if isinstance(piece, Frame) else (piece.counters[0], piece.counters[-1])
            row = Delivered(os.getpid(), piece.stream, int(counts[0]), int(counts[1]), piece.arrival_s)
            self._log.write(json.dumps(asdict(row)) + "\n")
        return self._reset(piece) if self._resets and isinstance(piece, Chunk) else piece

    def _reset(self, chunk: Chunk) -> Chunk:
        if self._begin is None:
            self._begin = int(chunk.counters[0]), chunk.device_time_s
        count, time_s = self._begin
        return replace(chunk, counters=chunk.counters - count, device_time_s=chunk.device_time_s - time_s)

    def close(self) -> None:
        self._driver.close()
        if self._log is not None:
            self._log.close()


def delivered_path(folder: Path, device: str) -> Path:
    return folder / f"{device}.delivered"


def read_delivered(folder: Path, device: str) -> list[Delivered]:
    """Return what a device delivered so far; the line that is being written is left out."""
    path = delivered_path(folder, device)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [Delivered(**json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("}\n")]
