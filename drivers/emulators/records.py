"""Devices that send records as a rig describes them, over a serial line, TCP or UDP; they watch the virtual athlete.

Bytes are put together here value by value with ``struct`` and checksums bit by bit, by other code than reads them.
"""

from __future__ import annotations

import contextlib
import math
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.serial_end import SerialEnd, end_of, line_at
from drivers.emulators.stage import Stage
from drivers.host_clock import LslClock
from drivers.links.tcp_link import said
from drivers.records.description import (
    BINARY_KEYS,
    CSV_KEYS,
    SECONDS,
    BinaryField,
    CsvColumn,
    Quantity,
    RecordsConfig,
    command_bytes,
    count_modulus,
)
from drivers.simulated.emg_signal import EmgSignal
from lab.errors import DeviceError

Float64 = npt.NDArray[np.float64]

_LOCAL: Final = "127.0.0.1"
_POLL_S: Final = 0.004
_MOST_BEHIND_S: Final = 2.0
#: Slower than this there is no sEMG to be seen.
_EMG_HZ: Final = 100.0
_KEPT: Final = 200_000

_EMG: Final = tuple(f"emg_{number}" for number in range(1, 5))
_LETTERS: Final = {"u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q"}


#: Polynomial, bits, beginning, and whether the lowest bit comes first.
_CRCS: Final[dict[str, tuple[int, int, int, bool]]] = {
    "crc8": (0x07, 8, 0, False),
    "crc8_maxim": (0x31, 8, 0, True),
    "crc16_ccitt": (0x1021, 16, 0xFFFF, False),
    "crc16_modbus": (0x8005, 16, 0xFFFF, True),
}


class RecordsEmulatorConfig(EmulatorConfig, RecordsConfig):
    """What it sends, in a rig's words, and what goes wrong; an amplifier of four channels if nothing is said."""

    port: int | str | None = Field(None, description="TCP or UDP port, or path of a serial line; any if not given.")
    rate_hz: float = Field(1000.0, gt=0, le=1e6, description="Records per second.")
    format: Literal["csv", "binary"] = Field("csv", description="Lines of text, or binary records of one layout.")
    content_type: str = Field("EMG", description="XDF content type.")
    column: tuple[CsvColumn, ...] = Field(
        (CsvColumn(role="counter", modulus=65536), CsvColumn(label=_EMG, unit="microvolts", scale=0.5)),
        description="CSV: the columns of a line.",
    )
    field: tuple[BinaryField, ...] = Field(
        (BinaryField(type="u16", role="counter"), BinaryField(type="i16", label=_EMG, unit="microvolts", scale=0.5)),
        description="Binary: the fields of a record, without sync bytes and checksum.",
    )
    sync: tuple[int, ...] = Field((0xA5, 0x5A), description="Binary: bytes that every record begins with.")
    together: int = Field(10, ge=1, le=1000, description="Records that are sent at once.")
    drift_ppm: float = Field(0.0, ge=-1000, le=1000, description="How much its clock runs fast.")
    first_count: int = Field(0, ge=0, description="Its count of its first record.")
    header: str = Field("", description="CSV: a line that it begins with.")
    lose_every: int = Field(0, ge=0, description="Every so many records one is lost; 0: none.")
    spoil_every: int = Field(0, ge=0, description="Every so many records one is spoilt; 0: none.")
    noise_every: int = Field(0, ge=0, description="Every so many records noise comes before one; 0: none.")
    silent_after: int = Field(0, ge=0, description="After so many records it sends none; 0: never.")
    anew_after: int = Field(0, ge=0, description="After so many records it begins to count anew; 0: never.")


#: Keys of a driver's description, as opposed to what goes wrong.
_DESCRIBED: Final = tuple(key for key in RecordsConfig.model_fields)


class RecordsEmulator(ABC):
    """A device whose records a rig describes; ``sent`` holds the values of its latest records by their count.

    A channel of type HeartRate or BreathRate is what its name says, the others are sEMG of one muscle each, or slow
    waves where records come too slowly for that.
    """

    Config: ClassVar[type[EmulatorConfig]] = RecordsEmulatorConfig
    PORT_KEY: ClassVar[str] = "port"

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        """Touch nothing yet."""
        assert isinstance(config, RecordsEmulatorConfig)
        self.config = config
        self._stage = stage
        self._clock = LslClock()
        self._start_s = math.nan
        self._done = 0
        self._running = not config.start_command
        self.sent: dict[int, Float64] = {}
        self._order: deque[int] = deque()
        channels = [quantity for quantity in config.quantities if quantity.role == "value" for _ in quantity.labels]
        self._kinds = [quantity.channel_type or config.content_type for quantity in channels]
        # the filter's start takes time, which a device does not have once it runs
        self._emg = (
            EmgSignal(config.rate_hz, 16, np.random.default_rng(stage.seed)) if config.rate_hz >= _EMG_HZ else None
        )

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config of the device that a rig describes with ``options``, where it looks for it."""
        others = BINARY_KEYS if options["format"] == "csv" else CSV_KEYS
        described = {key: value for key, value in options.items() if key in _DESCRIBED and key not in others}
        return {**described, **cls._place(options)}

    @classmethod
    @abstractmethod
    def _place(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return where a rig looks for it."""

    @abstractmethod
    def open(self) -> None:
        """Bind the address. Raises DeviceError."""

    def rig_options(self) -> dict[str, Any]:
        """Return what a rig says to reach and read it."""
        described = RecordsConfig.model_fields
        said = {
            key: getattr(self.config, key)
            for key in _DESCRIBED
            if described[key].is_required() or getattr(self.config, key) != described[key].default
        }
        for key in BINARY_KEYS if self.config.format == "csv" else CSV_KEYS:
            said.pop(key, None)
        plain = {key: _plain(value) for key, value in said.items()}
        return {**self._reached(), **plain}

    @abstractmethod
    def _reached(self) -> dict[str, Any]:
        """Return the keys of its address."""

    def serve(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set."""
        start, end = (command_bytes(command) for command in (self.config.start_command, self.config.stop_command))
        heard = b""
        while not stop.is_set():
            heard = (heard + self._hear(_POLL_S))[-4096:]
            if start and start in heard:
                self._running, heard = True, heard.rpartition(start)[2]
            if end and end in heard:
                self._running, heard = False, heard.rpartition(end)[2]
            self._send_due()

    @abstractmethod
    def _hear(self, wait_s: float) -> bytes:
        """Return what was sent to it."""

    @abstractmethod
    def _say(self, pieces: list[bytes]) -> None:
        """Send records that go together."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the address; any number of times."""

    def host_s(self, number: int) -> float:
        """Return the host time of the record with this number, the first being 0."""
        return self._start_s + number / (self.config.rate_hz * (1 + self.config.drift_ppm * 1e-6))

    # -- records -----------------------------------------------------------------------------------------------

    def _send_due(self) -> None:
        now_s = self._clock.now_s()
        if math.isnan(self._start_s):
            self._start_s = now_s
        together = self.config.together
        while self.host_s(self._done + together - 1) <= now_s:
            numbers = np.arange(self._done, self._done + together)
            values = self._values(numbers)
            late = now_s - self.host_s(self._done + together - 1) > _MOST_BEHIND_S
            self._done += together
            if self._running and not late:
                pieces = [
                    piece
                    for number, row in zip(numbers.tolist(), values, strict=True)
                    for piece in self._with_faults(number, row)
                ]
                if self.config.header and self.config.format == "csv" and int(numbers[0]) == 0:
                    pieces.insert(0, self.config.header.encode("utf-8") + b"\r\n")
                if pieces:
                    self._say(pieces)

    def _values(self, numbers: npt.NDArray[np.int64]) -> Float64:
        """Return the values (n, channels) of records."""
        event_s = np.array([self.host_s(int(number)) for number in numbers])
        heart, breath = self._stage.rates_bpm(event_s)
        emg_uv = None if self._emg is None else self._emg.next_uv(self._stage.activation(event_s), event_s)
        columns = []
        for place, kind in enumerate(self._kinds):
            if kind == "HeartRate":
                columns.append(heart)
            elif kind == "BreathRate":
                columns.append(breath)
            elif emg_uv is not None:
                columns.append(emg_uv[:, place % emg_uv.shape[1]])
            else:
                columns.append(10.0 * np.sin(0.5 * event_s + place))
        return np.stack(columns, axis=1)

    def _with_faults(self, number: int, values: Float64) -> Iterator[bytes]:
        config = self.config
        if 0 < config.silent_after <= number or _each(config.lose_every, number):
            return
        count = config.first_count + number
        if 0 < config.anew_after <= number:
            count = number - config.anew_after
        if _each(config.noise_every, number):
            yield b"\xff" + bytes(config.sync[:1]) + b"no;record\n"
        piece = self._line(count, number, values) if config.format == "csv" else self._record(count, number, values)
        if _each(config.spoil_every, number):
            middle = len(piece) // 2
            piece = piece[:middle] + bytes((piece[middle] ^ 0x41,)) + piece[middle + 1 :]
        else:
            self._remember(count, values)
        yield piece

    def _remember(self, count: int, values: Float64) -> None:
        self.sent[count] = values
        self._order.append(count)
        if len(self._order) > _KEPT:
            self.sent.pop(self._order.popleft(), None)

    def _time(self, quantity: Quantity, number: int) -> int:
        """Return its clock in the unit of ``quantity``: 12.5 s when it was started."""
        ticks = round((12.5 + number / self.config.rate_hz) / SECONDS[quantity.unit])
        modulus = count_modulus(quantity)
        return ticks % modulus if modulus else ticks

    def _cells(self, count: int, number: int, values: Float64) -> Iterator[tuple[Quantity, float]]:
        """Give each column or field with what stands in it, before rounding."""
        left = iter(values.tolist())
        for quantity in self.config.quantities:
            if quantity.role == "value":
                for _ in quantity.labels:
                    yield quantity, next(left) / quantity.scale - quantity.offset
            elif quantity.role == "counter":
                modulus = count_modulus(quantity)
                yield quantity, count % modulus if modulus else count
            elif quantity.role == "device_time":
                yield quantity, self._time(quantity, number)
            else:
                for _ in range(quantity.times):
                    yield quantity, 0

    def _line(self, count: int, number: int, values: Float64) -> bytes:
        words = []
        for quantity, cell in self._cells(count, number, values):
            word = str(int(cell)) if quantity.role != "value" else f"{cell:.3f}"
            words.append(word.replace(".", ",") if self.config.decimal == "," else word)
        return (self.config.separator.join(words) + "\r\n").encode("ascii")

    def _record(self, count: int, number: int, values: Float64) -> bytes:
        order = "<" if self.config.byte_order == "little" else ">"
        fields = b""
        for quantity, cell in self._cells(count, number, values):
            assert isinstance(quantity, BinaryField)
            fields += _packed(order, quantity.type, cell)
        sync = bytes(self.config.sync)
        covered = sync + fields if self.config.checksum_covers == "all" else fields
        return sync + fields + _sum_of(self.config.checksum, covered, order)


class SerialRecordsEmulator(RecordsEmulator):
    """A device that sends records over a serial line."""

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        """Touch nothing yet."""
        super().__init__(config, stage)
        self.line = line_at(self.config.port)

    @classmethod
    def _place(cls, options: dict[str, Any]) -> dict[str, Any]:
        return {"port": end_of(str(options["port"]))}

    def open(self) -> None:
        """Make the line. Raises DeviceError."""
        self.line.open()

    def _reached(self) -> dict[str, Any]:
        return {"port": self.line.url}

    def _hear(self, wait_s: float) -> bytes:
        return self.line.receive(wait_s)

    def _say(self, pieces: list[bytes]) -> None:
        self.line.send(b"".join(pieces))

    def close(self) -> None:
        """Let go of the line; any number of times."""
        self.line.close()


class TcpRecordsEmulator(SerialRecordsEmulator):
    """A device that sends records to whoever connects, one client at a time."""

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        """Touch nothing yet."""
        super().__init__(config, stage)
        self.line = SerialEnd(int(self.config.port or 0))

    @classmethod
    def _place(cls, options: dict[str, Any]) -> dict[str, Any]:
        return {"port": options["port"]}

    def _reached(self) -> dict[str, Any]:
        return {"host": _LOCAL, "port": int(end_of(self.line.url))}


class UdpRecordsEmulatorConfig(RecordsEmulatorConfig):
    """What it sends, in a rig's words, and what goes wrong."""

    device_port: int = Field(0, ge=0, le=65535, description="Its own UDP port, where it takes commands; any if 0.")


class UdpRecordsEmulator(RecordsEmulator):
    """A device that sends records in datagrams to a port of this computer."""

    Config: ClassVar[type[EmulatorConfig]] = UdpRecordsEmulatorConfig

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        """Touch nothing yet."""
        super().__init__(config, stage)
        assert isinstance(config, UdpRecordsEmulatorConfig)
        self._own_port = config.device_port
        self._socket: socket.socket | None = None
        self._port = int(config.port or 0)

    @classmethod
    def _place(cls, options: dict[str, Any]) -> dict[str, Any]:
        return {"port": options["port"], "device_port": options.get("device_port") or 0}

    def open(self) -> None:
        """Bind its own port, and choose one to send to where none is said. Raises DeviceError."""
        self.close()
        try:
            if not self._port:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as some:
                    some.bind((_LOCAL, 0))
                    self._port = int(some.getsockname()[1])
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind((_LOCAL, self._own_port))
        except OSError as error:
            self.close()
            raise DeviceError(f"the emulated device cannot send by UDP ({said(error)})") from None

    def _reached(self) -> dict[str, Any]:
        assert self._socket is not None
        reached: dict[str, Any] = {"port": self._port, "interface": _LOCAL}
        if self.config.start_command or self.config.stop_command:
            reached |= {"device_host": _LOCAL, "device_port": int(self._socket.getsockname()[1])}
        return reached

    def _hear(self, wait_s: float) -> bytes:
        assert self._socket is not None
        self._socket.settimeout(wait_s)
        with contextlib.suppress(OSError):  # nothing, or nobody listens at the other end
            return self._socket.recv(4096)
        return b""

    def _say(self, pieces: list[bytes]) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.sendto(b"".join(pieces), (_LOCAL, self._port))

    def close(self) -> None:
        """Let go of the port; any number of times."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _packed(order: str, kind: str, cell: float) -> bytes:
    if kind.startswith("f"):
        return struct.pack(order + ("f" if kind == "f32" else "d"), cell)
    bits = int(kind[1:])
    least, most = (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    whole = max(least, min(most, round(cell)))
    if bits == 24:  # struct has no word for it
        return int(whole).to_bytes(3, "little" if order == "<" else "big", signed=least < 0)
    return struct.pack(order + _LETTERS[kind], whole)


def _sum_of(name: str, covered: bytes, order: str) -> bytes:
    """Return a checksum as a shift register makes it."""
    if name == "none":
        return b""
    if name in ("xor", "sum8"):
        total = 0
        for value in covered:
            total = total ^ value if name == "xor" else (total + value) % 256
        return bytes((total,))
    polynomial, bits, start, mirrored = _CRCS[name]
    register = start
    for value in covered:
        for place in range(8):
            bit = (value >> (place if mirrored else 7 - place)) & 1
            out = (register >> (bits - 1)) & 1
            register = (register << 1) & ((1 << bits) - 1)
            if bit ^ out:
                register ^= polynomial
    if mirrored:
        register = int(f"{register:0{bits}b}"[::-1], 2)
    return register.to_bytes(bits // 8, "little" if order == "<" else "big")


def _plain(value: Any) -> Any:
    """Return a value of a config as a rig file's TOML has it."""
    if isinstance(value, Quantity):
        return value.model_dump(mode="json", exclude_defaults=True)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


def _each(every: int, number: int) -> bool:
    return every > 0 and number % every == every - 1
