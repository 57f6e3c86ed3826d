"""What the three drivers of records share: from bytes that arrived to chunks."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import deque
from typing import ClassVar, Final

import numpy as np

from drivers.driver import DriverConfig, TakeStart
from drivers.host_clock import HostClock
from drivers.records.binary_records import BinaryRecords
from drivers.records.csv_lines import CsvLines
from drivers.records.description import SECONDS, BinaryField, RecordsConfig, command_bytes, count_modulus
from drivers.records.reading import RecordReader, Records
from drivers.records.unwrapping import DeviceTime, SampleCount
from lab.errors import DeviceError
from lab.streams import COUNTER_MODULUS, Channel, Chunk, StreamSpec

#: Bits of a whole number that float32 holds exactly.
_EXACT_BITS: Final = 24


class RecordDevice(ABC):
    """A device whose records a config describes. A kind of link adds opening, sending and receiving."""

    Config: ClassVar[type[DriverConfig]]
    #: Whether each piece that arrives holds whole records, and may have overtaken another.
    DATAGRAMS: ClassVar[bool] = False

    def __init__(self, config: RecordsConfig, clock: HostClock) -> None:
        self._settings = config
        self._clock = clock
        self._open = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        config = self._settings
        self._reader: RecordReader = CsvLines(config) if config.format == "csv" else BinaryRecords(config)
        counter, time = config.of_role("counter"), config.of_role("device_time")
        self._count = None if counter is None else SampleCount(count_modulus(counter), datagrams=self.DATAGRAMS)
        self._time = None if time is None else DeviceTime(count_modulus(time), SECONDS[time.unit])
        self._received = 0
        self._bytes = 0
        self._ready: deque[Chunk] = deque()
        self._heard_s = self._clock.now_s()
        self._dtype = np.float64 if self._is_wide() else np.float32

    # -- the link ----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _what(self) -> str:
        """What sentences call the device and its link."""

    @property
    @abstractmethod
    def _help(self) -> str:
        """What to check where nothing comes."""

    @abstractmethod
    def _connect(self) -> None:
        """Open the link. Raises DeviceError."""

    @abstractmethod
    def _send(self, data: bytes) -> None:
        """Send a command. Raises DeviceError."""

    @abstractmethod
    def _receive(self) -> tuple[bytes, float] | None:
        """Return what arrived, and when; None after about 0.2 s. Raises DeviceError."""

    @abstractmethod
    def _disconnect(self) -> None:
        """Close the link; any number of times."""

    # -- the contract ------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, start the device, and wait until its first record fits the description. Raises DeviceError."""
        self.close()
        self._begin_anew()
        try:
            self._connect()
            self._open = True
            self._start_device()
            self._heard_s = self._clock.now_s()
            while not self._ready:
                self._take_in()
        except DeviceError:
            self.close()
            raise

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one stream of the records."""
        config = self._settings
        counter = config.of_role("counter")
        modulus = 0 if counter is None else count_modulus(counter)
        return (
            StreamSpec(
                content_type=config.content_type,
                channels=tuple(
                    Channel(label, quantity.unit, quantity.channel_type or config.content_type)
                    for quantity in config.quantities
                    if quantity.role == "value"
                    for label in quantity.labels
                ),
                rate_hz=config.rate_hz,
                format="double64" if self._is_wide() else "float32",
                counter_origin="host" if counter is None else "device",
                counter_modulus=modulus if 0 < modulus < COUNTER_MODULUS else COUNTER_MODULUS,
                manufacturer=config.manufacturer,
                model=config.model,
                serial=config.serial,
            ),
        )

    def start(self, take: TakeStart) -> None:  # noqa: B027 - it need not be more in any kind of link
        """Do nothing: the device runs by itself."""

    def read(self) -> Chunk | None:
        """Return the records that arrived together, None after about 0.2 s without any.

        Raises DeviceError where the link is gone or no record has come for ``stall_s``.
        """
        if not self._open:
            raise DeviceError(f"{self._what} is not open; open it first")
        if not self._ready:
            self._take_in()
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Stop the device and disconnect; any number of times."""
        if self._open:
            self._open = False
            command = command_bytes(self._settings.stop_command)
            if command:
                with contextlib.suppress(DeviceError):  # it is gone
                    self._send(command)
        self._disconnect()

    # -- inside ------------------------------------------------------------------------------------------------

    def _start_device(self) -> None:
        until_s = self._clock.now_s() + self._settings.start_delay_s
        while self._clock.now_s() < until_s:
            self._receive()  # what it says while it starts is nobody's
        command = command_bytes(self._settings.start_command)
        if command:
            self._send(command)

    def _take_in(self) -> None:
        came = self._receive()
        if came is not None:
            data, arrival_s = came
            self._bytes += len(data)
            records = self._reader.datagram(data) if self.DATAGRAMS else self._reader.feed(data)
            if records is not None:
                self._heard_s = arrival_s
                self._make_chunks(records, arrival_s)
        self._look_for_silence()

    def _make_chunks(self, records: Records, arrival_s: float) -> None:
        values, times = records.values, records.times
        if self._count is None or records.counters is None:
            counters = self._received + np.arange(len(values), dtype=np.int64)
            self._received += len(values)
        else:
            counters, kept = self._count.next(records.counters)
            values, times = values[kept], None if times is None else times[kept]
        # where the device began to count anew, so does a chunk
        borders = np.flatnonzero(np.diff(counters) <= 0) + 1
        for first, end in zip((0, *borders.tolist()), (*borders.tolist(), len(counters)), strict=True):
            if first == end:
                continue
            time_s = float("nan")
            if self._time is not None and times is not None:
                time_s = [self._time.seconds(time) for time in times[first:end].tolist()][-1]
            with np.errstate(over="ignore"):
                part = values[first:end].astype(self._dtype)
            self._ready.append(Chunk("", part, counters[first:end], arrival_s, time_s))

    def _look_for_silence(self) -> None:
        silent_s = self._clock.now_s() - self._heard_s
        if silent_s <= self._settings.stall_s:
            return
        if not self._bytes:
            raise DeviceError(f"{self._what} has sent nothing for {silent_s:.1f} s; {self._help}")
        unusable = self._reader.unusable
        if not unusable.example:
            raise DeviceError(f"{self._what} has sent no record for {silent_s:.1f} s; {self._help}")
        raise DeviceError(
            f"{self._what} has sent no record that fits for {silent_s:.1f} s: {unusable.example}; "
            "correct the description in the rig, or what the device sends"
        )

    def _is_wide(self) -> bool:
        return any(
            isinstance(quantity, BinaryField)
            and quantity.role == "value"
            and quantity.size * 8 > _EXACT_BITS
            and quantity.type != "f32"
            for quantity in self._settings.quantities
        )
