"""A driver for tests: an amplifier on a serial port that sends a line ``<count>,<microvolts>`` a sample.

It begins to count when it is switched on.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np

from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import Channel, Chunk, StreamSpec


class SerialAmplifierConfig(DriverConfig):
    """The serial port and the rate it was set to."""

    port: str
    rate_hz: float = 200.0


class SerialAmplifier:
    """One channel of sEMG."""

    Config: ClassVar[type[DriverConfig]] = SerialAmplifierConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, SerialAmplifierConfig)
        self._clock = clock
        self._serial: Any = None
        self._rest = b""

    def open(self) -> None:
        import serial

        self.close()
        try:
            self._serial = serial.Serial(self._settings.port, 115200, timeout=0.1, exclusive=os.name == "posix")
        except (OSError, serial.SerialException):
            raise DeviceError("the amplifier does not answer; check its cable") from None

    def streams(self) -> tuple[StreamSpec, ...]:
        return (StreamSpec("Misc", (Channel("biceps", "microvolts", "Misc"),), self._settings.rate_hz),)

    def start(self, take: TakeStart) -> None:
        pass

    def read(self) -> Chunk | None:
        import serial

        try:
            data = self._serial.read(max(1, self._serial.in_waiting))
        except (OSError, serial.SerialException, TypeError):
            raise DeviceError("the amplifier was unplugged; check its cable") from None
        arrival_s = self._clock.now_s()
        *lines, self._rest = (self._rest + data).split(b"\n")
        samples = [line.split(b",") for line in lines if line.count(b",") == 1]
        if not samples:
            return None
        counts = np.array([int(count) for count, _ in samples], dtype=np.int64)
        return Chunk("", np.array([[float(value)] for _, value in samples], dtype=np.float32), counts, arrival_s)

    def close(self) -> None:
        if self._serial is not None:
            self._serial.close()
        self._serial, self._rest = None, b""
