"""Devices that fail while they are recorded or published are started again, until they are back or all is over.

A worker that died, said that its device failed, or stands still gets a successor, which publishes the same streams
under the same source ids. The other streams go on meanwhile. The gap is measured where it ends, by the recorder.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Final, Literal

from capture.device_process import DeviceProcess
from capture.messages import Start, Subscribe
from lab.streams import StreamSpec

_BACKOFF_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
#: A worker that has said that its device failed may still be closing its files.
_CLOSING_S: Final = 3.0
#: A worker says something five times a second; one that does not for so long hangs in its device.
_HUNG_S: Final = 10.0
#: Who looks so late stood still itself, and the workers most likely with it.
_LATE_S: Final = 1.0
#: After so long a device that came back counts as well again.
_WELL_S: Final = 10.0

DeviceState = Literal["up", "down", "opening", "subscribing"]


@dataclass
class SupervisedDevice:
    """One device of a take.

    ``since_s`` (monotonic) is when its state began, ``down_s`` when it last failed, ``looked_s`` when it was last
    looked after.
    """

    process: DeviceProcess
    state: DeviceState = "up"
    since_s: float = 0.0
    down_s: float = 0.0
    looked_s: float = math.inf
    tries: int = 0
    pieces: int = 1
    specs: tuple[StreamSpec, ...] = ()
    counted_before: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The device's name in the rig."""
        return self.process.device

    @property
    def wait_s(self) -> float:
        """How long to wait before the next try."""
        return _BACKOFF_S[min(self.tries, len(_BACKOFF_S) - 1)]

    def down_for_s(self, now_s: float) -> float:
        """Return how long the device has been away, 0 where it is not."""
        return 0.0 if self.state == "up" else now_s - self.down_s


@dataclass(frozen=True)
class Restart:
    """What is done with a device that comes back: what it is told, and how long it may take to open.

    ``start`` is None where nothing is played yet. With ``subscribed`` it begins when all its streams have a consumer.
    """

    start: Start | None
    wait_s: float
    subscribed: bool = True


@dataclass(frozen=True)
class Change:
    """Something that befell a device: ``kind`` and ``text`` of the event."""

    kind: Literal["device_failed", "device_again", "device_back"]
    text: str


def supervise(device: SupervisedDevice, restart: Restart, arrived: dict[str, int]) -> list[Change]:
    """Look after one device; return what has happened to it. Call it often; it never waits.

    ``arrived`` counts the samples that the recorder has of each of the device's streams.
    """
    now_s = time.monotonic()
    process = device.process
    process.poll()
    if now_s - device.looked_s > _LATE_S:
        process.heard_s = (
            now_s  # a computer that was suspended, a take that was sent into the background: all begin anew
        )
    device.looked_s = now_s
    if device.state == "up" and process.failure is None and not process.ended and now_s - process.heard_s > _HUNG_S:
        process.give_up(f"device '{device.name}' has not answered for {_HUNG_S:.0f} s; its process stands still")
    if process.failure is not None and device.state != "down" and not process.ended:
        return [_fell(device, now_s)]
    if device.state == "up" and device.tries and now_s - device.since_s > _WELL_S:
        device.tries = 0
    if device.state == "down" and now_s - device.since_s >= device.wait_s:
        if process.alive and process.failure is not None and now_s - device.since_s < _CLOSING_S:
            return []
        device.tries += 1
        process.restart()
        _enter(device, "opening", now_s)
        return [Change("device_again", f"device '{device.name}' is started again, try {device.tries}")]
    if device.state == "opening":
        return _opening(device, restart, arrived, now_s)
    if device.state == "subscribing" and process.subscribed is not None:
        if not process.subscribed:
            process.give_up(f"the streams of device '{device.name}' could not be subscribed to again")
            return [_fell(device, now_s)]
        return [_back(device, restart, now_s)]
    return []


def _opening(device: SupervisedDevice, restart: Restart, arrived: dict[str, int], now_s: float) -> list[Change]:
    process = device.process
    if process.ready is None:
        if now_s - device.since_s > restart.wait_s:
            process.give_up(f"device '{device.name}' did not open within {restart.wait_s:.0f} s; check its cable")
            return [_fell(device, now_s)]
        return []
    if [_layout(spec) for spec in process.specs] != [_layout(spec) for spec in device.specs]:
        process.give_up(f"device '{device.name}' came back with other streams than before; check what is plugged in")
        return [_fell(device, now_s)]
    device.counted_before = arrived
    if not restart.subscribed:
        return [_back(device, restart, now_s)]
    process.send(Subscribe())
    _enter(device, "subscribing", now_s)
    return []


def _back(device: SupervisedDevice, restart: Restart, now_s: float) -> Change:
    start = restart.start
    if start is not None:
        device.pieces += 1
        device.process.send(Start(start.t0_s, start.folder, start.truth_folder, device.pieces))
    away_s = device.down_for_s(now_s)
    _enter(device, "up", now_s)
    return Change("device_back", f"device '{device.name}' is back after {away_s:.1f} s")


def _layout(spec: StreamSpec) -> tuple[object, ...]:
    return spec.name, spec.publish_as, spec.format, spec.channels, spec.counted, spec.video


def _fell(device: SupervisedDevice, now_s: float) -> Change:
    assert device.process.failure is not None
    if device.state == "up":
        device.down_s = now_s
    _enter(device, "down", now_s)
    return Change("device_failed", f"{device.process.failure.sentence}; it is started again")


def _enter(device: SupervisedDevice, state: DeviceState, now_s: float) -> None:
    device.state, device.since_s = state, now_s
