"""The contract that every driver keeps: device -> chunks.

A driver is a frozen config and a class. It knows nothing of LSL, files or the rig; the worker that
composes it with a publisher does. The calls come in this order, from one thread::

    driver = Driver(config, clock)
    driver.open()                      # connect; DeviceError with one clear sentence if it cannot
    driver.streams()                   # what it will send
    driver.read() ...                  # before a take: what comes is discarded; replays and simulations give None
    driver.start(TakeStart(...))       # once a take; devices that run by themselves ignore it
    driver.read() ...                  # Chunk, Frame, or None when nothing came within about 0.2 s
    driver.close()                     # any number of times

A driver that leaves something out may have ``remarks``, sentences that the operator reads once it is open.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import Chunk, Frame, StreamSpec

#: Started later than this after t0, replays and simulations join in at the present instead of playing what nobody read.
JOIN_AFTER_S: Final = 2.0


class DriverConfig(BaseModel):
    """Base of all driver configs: frozen, and no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Fields that name a file: a relative one is relative to the rig file, and environment variables are filled in.
    path_fields: ClassVar[tuple[str, ...]] = ()


_Config = TypeVar("_Config", bound=DriverConfig)


def config_of(config: DriverConfig, kind: type[_Config]) -> _Config:
    """Return ``config`` as the kind the driver needs; TypeError where a caller mixed up two drivers."""
    if not isinstance(config, kind):
        raise TypeError(f"{kind.__name__} is needed, not {type(config).__name__}")
    return config


def filled_in(path: str) -> str:
    """Return a path with its environment variables filled in. Raises DeviceError where one is not set."""
    filled = os.path.expandvars(path)
    unset = re.search(r"\$\{?(\w+)", filled)
    if unset:
        raise DeviceError(f"the environment variable {unset[1]} is not set; set it to the folder that {path} lies in")
    return filled


class EndOfStream(Exception):  # noqa: N818 - DESIGN.md's name; it is no error
    """A replay or a simulated performance is over. Not a fault."""


@dataclass(frozen=True)
class TakeStart:
    """What a device is told when a take begins.

    ``t0_s`` is the host time at which replays and simulations play their first sample, the same for all
    devices. ``truth_folder`` is where simulated devices write what they really did, if asked to; ``device``
    names the file there.
    """

    device: str
    t0_s: float
    truth_folder: Path | None = None


class Driver(Protocol):
    """What a worker needs of a driver. See the module docstring for the order of calls."""

    Config: ClassVar[type[DriverConfig]]

    def __init__(self, config: DriverConfig, clock: HostClock) -> None: ...

    def open(self) -> None:
        """Connect and check the device. Raises DeviceError."""

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return what the device sends; valid once open."""
        ...

    def start(self, take: TakeStart) -> None:
        """Begin to play, for devices that do not run by themselves."""

    def read(self) -> Chunk | Frame | None:
        """Return what arrived next, or None after about 0.2 s without anything.

        Raises EndOfStream when a replay is over and DeviceError when the device fails.
        """
        ...

    def close(self) -> None:
        """Free the device. May be called at any time and more than once."""
