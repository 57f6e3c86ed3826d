"""Delsys Trigno through the server of the Trigno Control Utility: sEMG and auxiliary channels of up to 16 sensors.

The protocol has no counter, no time stamp and no checksum: counts are of samples received since the base was started,
so a sample that the radio or the server loses is not seen here, and silence is told by time alone. TCP loses no bytes,
and rows are put together by their length however they are cut.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
from pydantic import Field, field_validator

from drivers.delsys.base import Base, describe_base, free_base, set_up
from drivers.delsys.command_port import SLOW_REPLY_S, CommandPort
from drivers.delsys.first_look import Alive, aux_remarks, check_sense, fitting_rate, zero_remarks
from drivers.delsys.sensors import Column, aux_columns, emg_columns, label_of, other_columns
from drivers.delsys.trigno_codec import AUX_WIDTH, LEGACY_AUX_WIDTH, SLOTS, ByteOrder, RowReader
from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.links.tcp_link import TcpLink
from lab.errors import DeviceError
from lab.streams import Channel, Chunk, StreamSpec

_WAIT_S: Final = 0.2
#: The first samples come about two seconds after the start.
_FIRST_DATA_S: Final = 8.0
#: The first samples are looked at for so long: channels at zero, and the rate where the base contradicts itself; again
#: where the rate is not what the base says, so often at most.
_LOOK_S: Final = 0.7
_LOOKS: Final = 3
#: What has piled up while the base got going comes first, and all at once.
_SETTLED_S: Final = 0.3
_POLITE_S: Final = 2.0
#: What had come on the other ports when one failed is read for so long at most.
_DRAIN_S: Final = 0.5
_MOST_DRAINED: Final = 64
_PORT_RANGE: Final[dict[str, Any]] = {"ge": 1, "le": 65535}


class TrignoConfig(DriverConfig):
    """Where the Trigno Control Utility runs, and what the sensors are called."""

    host: str = Field("127.0.0.1", min_length=1, description="Computer on which the Trigno Control Utility runs.")
    command_port: int = Field(50040, **_PORT_RANGE, description="Its command port.")
    emg_port: int = Field(50043, **_PORT_RANGE, description="Its EMG data port.")
    aux_port: int = Field(50044, **_PORT_RANGE, description="Its AUX data port.")
    legacy_emg_port: int = Field(50041, **_PORT_RANGE, description="EMG port of an old server that has no emg_port.")
    legacy_aux_port: int = Field(50042, **_PORT_RANGE, description="AUX port of an old server that has no emg_port.")
    labels: dict[int, str] = Field(
        default_factory=dict, description='What sensors are called, by number: { 1 = "left_biceps" }; else sensor_1 …'
    )
    aux: bool = Field(default=True, description="Whether accelerometers and the like are recorded.")
    backwards_compatibility: bool | None = Field(
        None, description="Switches it on (rates fixed) or off (the sensors' own rates); as it is if not given."
    )
    upsample: bool | None = Field(
        None, description="With backwards compatibility: whether sEMG is brought to 2,000 Hz; as it is if not given."
    )
    stall_s: float = Field(5.0, ge=0.5, le=600, description="Seconds of silence after which the base is started anew.")

    @field_validator("labels")
    @classmethod
    def _of_sensors(cls, labels: dict[int, str]) -> dict[int, str]:
        for slot, label in labels.items():
            if not 1 <= slot <= SLOTS:
                raise ValueError(f"there is no sensor {slot}; sensors are numbered from 1 to {SLOTS}")
            if not label.isprintable() or not 1 <= len(label.strip()) <= 60:
                raise ValueError(f"the label of sensor {slot} is not 1 to 60 printable letters")
            if list(labels.values()).count(label) > 1:
                raise ValueError(f"two sensors are called '{label}'; give each its own label")
        return labels


@dataclass
class _DataPort:
    """One data port: its connection, its rows, and what has come so far."""

    link: TcpLink
    what: str
    rows: RowReader
    streams: list[tuple[StreamSpec, tuple[Column, ...]]] = field(default_factory=list)
    count: int = 0
    heard_s: float = 0.0

    @property
    def columns(self) -> tuple[Column, ...]:
        """The channels of all its streams."""
        return tuple(column for _, columns in self.streams for column in columns)


class Trigno:
    """Streams ``emg`` (microvolts), ``aux`` (g, degrees/s …) and ``other`` (hearts, forces …) of one base."""

    Config: ClassVar[type[DriverConfig]] = TrignoConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, TrignoConfig)
        self._clock = clock
        self._command: CommandPort | None = None
        self._ports: list[_DataPort] = []
        self._selector: selectors.BaseSelector | None = None
        self._pieces: deque[Chunk] = deque()
        self._started = False
        self._failure: DeviceError | None = None
        self._failed_s = 0.0
        self.remarks: tuple[str, ...] = ()

    def open(self) -> None:
        """Free the base, ask it what it has, start it, and look at what comes. Raises DeviceError."""
        self.close()
        settings = self._settings
        self._command = command = CommandPort(settings.host, settings.command_port, self._clock)
        try:
            command.open()
            order, remarks = free_base(command)
            set_up(command, settings.backwards_compatibility, settings.upsample)
            legacy = self._connect(order)
            base = describe_base(command, order, legacy=legacy)
            self._check_labels(base)
            self._selector = selectors.DefaultSelector()
            self._selector.register(command, selectors.EVENT_READ, command)
            for port in self._ports[: 2 if settings.aux else 1]:
                self._selector.register(port.link, selectors.EVENT_READ, port)
            self._arrange(base, base.rates_hz[0])
            self._start()
            looked = self._look(base)
        except BaseException:
            self.close()
            raise
        ports = f"nobody answers at the Trigno server's EMG port {settings.emg_port}"
        old = (f"{ports}; the legacy ports of an old server are read instead",) if legacy else ()
        self.remarks = (*remarks, *old, *base.remarks, *looked)

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the streams of the sensors that are active."""
        return tuple(spec for port in self._ports for spec, _ in port.streams)

    def start(self, take: TakeStart) -> None:
        """Do nothing: the base runs since it was opened."""

    def read(self) -> Chunk | None:
        """Return the next samples of one stream. Raises DeviceError where the base is gone, silent or senseless."""
        if not self._pieces:
            self._receive(_WAIT_S)
            now_s = time.monotonic()
            for port in self._ports:
                # a port that never sent is left alone: starting anew would cost the others their samples, for nothing
                if port.streams and port.count and now_s - port.heard_s > self._settings.stall_s:
                    raise DeviceError(
                        f"the Trigno base has sent nothing on its {port.what} port for {self._settings.stall_s:g} s; "
                        "check that the Trigno Control Utility still collects data"
                    )
        return self._pieces.popleft() if self._pieces else None

    def close(self) -> None:
        """Stop the base and take leave of it; any number of times, and whatever state it is in."""
        if self._command is not None:
            with contextlib.suppress(DeviceError, OSError):
                self._take_leave()
        if self._selector is not None:
            self._selector.close()
        if self._command is not None:
            self._command.close()
        for port in self._ports:
            port.link.close()
        self._command, self._selector, self._ports, self._started, self._failure = None, None, [], False, None
        self._pieces.clear()

    def _connect(self, order: ByteOrder) -> bool:
        """Connect to the data ports; return whether they are the legacy ones of an old server."""
        settings, what = self._settings, "the Trigno server"
        link = TcpLink(settings.host, settings.emg_port, what, self._clock)
        legacy = False
        try:
            link.open()
        except DeviceError as missing:
            link = TcpLink(settings.host, settings.legacy_emg_port, what, self._clock)
            try:
                link.open()
            except DeviceError:
                raise missing from None
            legacy = True
        self._ports.append(_DataPort(link, "EMG", RowReader(SLOTS, order)))
        aux = TcpLink(settings.host, settings.legacy_aux_port if legacy else settings.aux_port, what, self._clock)
        width = LEGACY_AUX_WIDTH if legacy else AUX_WIDTH
        self._ports.append(_DataPort(aux, "AUX", RowReader(SLOTS * width, order)))
        if settings.aux:
            aux.open()
        return legacy

    def _check_labels(self, base: Base) -> None:
        there = {sensor.slot for sensor in base.sensors}
        missing = {slot: label for slot, label in self._settings.labels.items() if slot not in there}
        if missing:
            names = ", ".join(f"{slot} ('{label}')" for slot, label in sorted(missing.items()))
            raise DeviceError(
                f"sensor {names} is not paired and active on the Trigno base; take it out of the charger, or its label "
                "out of the rig"
            )

    def _arrange(self, base: Base, emg_hz: float) -> None:
        """Lay the sensors' channels out as streams."""
        settings = self._settings
        emg, aux = self._ports
        named = {slot: label.strip() for slot, label in settings.labels.items()}
        tables = (
            (emg, "emg", "EMG", emg_columns(base.sensors, named), emg_hz),
            (emg, "other", "Misc", other_columns(base.sensors, named), emg_hz),
            (aux, "aux", "IMU", aux_columns(base.sensors, named) if settings.aux else (), base.aux_hz),
        )
        emg.streams, aux.streams = [], []
        for port, name, content_type, columns, rate_hz in tables:
            channels = tuple(column.channel for column in columns)
            _check_distinct(channels)
            if columns and rate_hz > 0:
                spec = StreamSpec(
                    content_type=content_type,
                    channels=channels,
                    rate_hz=rate_hz,
                    name=name,
                    counter_origin="host",
                    manufacturer="Delsys",
                    model="Trigno",
                    serial=base.serial,
                    details=self._details(base, port.what),
                )
                port.streams.append((spec, columns))

    def _details(self, base: Base, port: str) -> dict[str, str]:
        facts = {
            "server": base.greeting,
            "base_firmware": base.firmware,
            "settings": base.settings,
            "port": f"{'legacy ' if base.legacy else ''}{port}",
            "lost_samples": "cannot be seen: the protocol has no counter",
        }
        sensors = {
            f"sensor_{sensor.slot}": f"{label_of(sensor.slot, self._settings.labels)}; {sensor.described()}"
            for sensor in base.sensors
        }
        return {name: value for name, value in {**facts, **sensors}.items() if value}

    def _start(self) -> None:
        assert self._command is not None
        reply = self._command.ask("START", SLOW_REPLY_S)
        if reply.upper() != "OK":
            raise DeviceError(
                f"the Trigno base does not start ({reply}); look at the Trigno Control Utility: is the base connected, "
                "does another program collect data?"
            )
        self._started = True

    def _look(self, base: Base) -> tuple[str, ...]:
        """Wait for the first samples and look at them for a second; return what to tell the operator.

        Raises DeviceError where nothing comes on the EMG port.
        """
        emg, aux = self._ports
        deadline_s = time.monotonic() + _FIRST_DATA_S
        seen: dict[str, Alive] = {}
        while not emg.count:
            if time.monotonic() > deadline_s:
                raise DeviceError(
                    f"the Trigno base was started and sends no sEMG within {_FIRST_DATA_S:.0f} s; check that sensors "
                    "are switched on, and no other program collects data"
                )
            self._receive(_WAIT_S, seen)
        self._read_on(_SETTLED_S, seen)
        for _ in range(_LOOKS):  # a computer that was busy elsewhere for a moment is no reason to doubt the base
            first, first_s = emg.count, emg.heard_s
            self._read_on(_LOOK_S, seen)
            rate_hz, remarks = fitting_rate(base.rates_hz, (emg.count - first) / max(emg.heard_s - first_s, 0.1))
            if rate_hz == base.rates_hz[0] and not remarks:
                break
        if rate_hz != base.rates_hz[0]:
            self._arrange(base, rate_hz)
        where = "legacy EMG port" if base.legacy else f"EMG port {self._settings.emg_port}"
        return (
            *remarks,
            *zero_remarks(emg.columns, seen[emg.what], where),
            *aux_remarks(aux.columns, seen.get(aux.what)),
        )

    def _read_on(self, seconds: float, seen: dict[str, Alive]) -> None:
        """Look at what comes for so long; it is of no take."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self._receive(_WAIT_S, seen)
            self._pieces.clear()

    def _receive(self, wait_s: float, seen: dict[str, Alive] | None = None) -> None:
        """Take what has come on all ports, once each, so that none waits for the other.

        Raises DeviceError where one of them has failed, once what had come on the others is taken.
        """
        if self._selector is None or self._command is None:
            raise DeviceError("the Trigno server is not connected; open it first")
        if self._failure is not None and time.monotonic() > self._failed_s + _DRAIN_S:
            raise self._failure
        came = False
        for key, _ in self._selector.select(wait_s if self._failure is None else 0.0):
            try:
                came |= self._hear(key.data, seen)
            except DeviceError as failure:
                self._selector.unregister(key.fileobj)
                if self._failure is None:
                    self._failure, self._failed_s = failure, time.monotonic()
        if self._failure is not None and not came:
            raise self._failure

    def _hear(self, port: _DataPort | CommandPort, seen: dict[str, Alive] | None) -> bool:
        """Take what has come on one port; return whether samples may have. Raises DeviceError where it has failed."""
        if isinstance(port, CommandPort):
            port.listen()
            if port.stopped:
                raise DeviceError("the Trigno base was stopped by its stop trigger; disarm it")
            return False
        piece = port.link.receive(0.0)
        if piece is not None:
            self._take(port, *piece, seen)
        return piece is not None

    def _take(self, port: _DataPort, data: bytes, arrival_s: float, seen: dict[str, Alive] | None) -> None:
        rows = port.rows.feed(data)
        if not len(rows):
            return
        port.heard_s = time.monotonic()
        counters = np.arange(port.count, port.count + len(rows), dtype=np.int64)
        port.count += len(rows)
        for spec, columns in port.streams:
            with np.errstate(invalid="ignore"):  # bytes may also mean what is no number
                values = rows[:, [column.column for column in columns]].astype(np.float64)
                values *= [column.factor for column in columns]
            check_sense(values, columns, port.what)
            self._pieces.append(Chunk(spec.name, values.astype(np.float32), counters, arrival_s))
        if seen is not None:
            alive = (rows != 0).any(axis=0)
            seen[port.what] = seen.get(port.what, np.zeros_like(alive)) | alive

    def _take_leave(self) -> None:
        """Say STOP and QUIT; what the base still sends meanwhile is read, so that it can hear us."""
        assert self._command is not None
        if self._started:
            self._say("STOP", _POLITE_S)
        self._say("QUIT", _POLITE_S / 4)

    def _say(self, command: str, wait_s: float) -> None:
        assert self._command is not None
        for port in self._ports:
            with contextlib.suppress(DeviceError):
                for _ in range(_MOST_DRAINED):
                    if port.link.receive(0.0) is None:
                        break
        self._command.ask(command, wait_s)


def _check_distinct(channels: Sequence[Channel]) -> None:
    labels = [channel.label for channel in channels]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise DeviceError(f"two channels of the Trigno are called '{twice[0]}'; give the sensors other labels")
