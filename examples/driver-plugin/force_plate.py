# ruff: noqa: INP001 - a module of its own, in no package
"""A force plate that sends lines `<count>,<newton>` over TCP: the example of docs/how-to/add-a-device.md."""

from __future__ import annotations

import socket
from typing import ClassVar

import numpy as np
from pydantic import Field

from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import Channel, Chunk, StreamSpec

LONGEST_LINE_BYTES = 100
COUNTER_WRAPS_AT = 2**16


class ForcePlateConfig(DriverConfig):
    """The plate's address and how it was set up."""

    host: str = Field(description="Address of the force plate.")
    port: int = Field(4000, ge=1, le=65535, description="Its TCP port.")
    rate_hz: float = Field(100.0, gt=0, le=10_000, description="The rate it was set to, in hertz.")


class ForcePlate:
    """Vertical force in newton, with the plate's own 16-bit count of samples."""

    Config: ClassVar[type[DriverConfig]] = ForcePlateConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        """Touch nothing yet; ``open`` connects."""
        self._config = config_of(config, ForcePlateConfig)
        self._clock = clock
        self._socket: socket.socket | None = None
        self._rest = b""
        self._last: int | None = None

    def open(self) -> None:
        """Connect. Raises DeviceError."""
        self.close()
        address = (self._config.host, self._config.port)
        try:
            self._socket = socket.create_connection(address, timeout=5.0)
            self._socket.settimeout(0.2)
        except OSError as error:
            raise DeviceError(f"the force plate at {address[0]}:{address[1]} does not answer ({error})") from None

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one stream there is."""
        channel = Channel("vertical", "newtons", "Force")
        return (StreamSpec("Force", (channel,), self._config.rate_hz, manufacturer="Example", model="Plate 1"),)

    def start(self, take: TakeStart) -> None:
        """Do nothing: the plate runs by itself."""

    def read(self) -> Chunk | None:
        """Return the samples of the lines that have come, None after 0.2 s without any."""
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return None
        except OSError as error:
            raise DeviceError(f"the force plate broke off ({error})") from None
        arrival_s = self._clock.now_s()
        if not data:
            raise DeviceError("the force plate closed the connection")
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE_BYTES:
            raise DeviceError("the force plate sends lines that are too long; is it another device?")
        samples = [self._sample(line) for line in lines]
        if not samples:
            return None
        counters, newton = zip(*samples, strict=True)
        values = np.array(newton, dtype=np.float32)[:, None]
        return Chunk("", values, np.array(counters, dtype=np.int64), arrival_s)

    def close(self) -> None:
        """Disconnect; any number of times."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest, self._last = None, b"", None

    def _sample(self, line: bytes) -> tuple[int, float]:
        """Return the unwrapped count and the force of one line."""
        try:
            count, newton = line.split(b",")
            raw, force = int(count), float(newton)
        except ValueError:
            raise DeviceError(f"the force plate sent {line[:40]!r}, which is no sample") from None
        last = raw if self._last is None else self._last
        self._last = last + (raw - last) % COUNTER_WRAPS_AT
        return self._last, force
