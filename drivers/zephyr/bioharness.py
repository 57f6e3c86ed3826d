"""A BioHarness 3 or BioModule, paired by Bluetooth, on its serial port."""

from __future__ import annotations

from collections import deque
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field, field_validator

from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.links.serial_link import SerialLink
from drivers.zephyr import bioharness_codec as wire
from drivers.zephyr.strap_clock import PacketCount, StrapClock
from lab.errors import DeviceError
from lab.streams import Channel, Chunk, StreamSpec

Signal = Literal["rates", "ecg", "breathing", "rr", "accel"]

#: Packet, order that switches it, and what says "on" and "off" in it; a summary comes every so many seconds.
_ORDERS: Final[dict[Signal, tuple[int, int, bytes, bytes]]] = {
    "rates": (wire.SUMMARY, wire.SET_SUMMARY, b"\x01\x00", b"\x00\x00"),
    "ecg": (wire.ECG, wire.SET_ECG, b"\x01", b"\x00"),
    "breathing": (wire.BREATHING, wire.SET_BREATHING, b"\x01", b"\x00"),
    "rr": (wire.RR, wire.SET_RR, b"\x01", b"\x00"),
    "accel": (wire.ACCEL, wire.SET_ACCEL, b"\x01", b"\x00"),
}

_CONTENT: Final[dict[Signal, tuple[str, tuple[Channel, ...]]]] = {
    "rates": (
        "Physio",
        (
            Channel("heart_rate", "1/min", "HeartRate"),
            Channel("breath_rate", "1/min", "BreathRate"),
            Channel("heart_rate_confidence", "percent", "Confidence"),
            Channel("breath_rate_confidence", "percent", "Confidence"),
        ),
    ),
    "ecg": ("ECG", (Channel("ecg", "microvolts", "ECG"),)),
    "breathing": ("Respiration", (Channel("breathing", "counts", "Respiration"),)),
    "rr": ("RR", (Channel("rr", "milliseconds", "RR"),)),
    "accel": ("Accelerometer", tuple(Channel(axis, "g", f"Acceleration{axis.upper()}") for axis in "xyz")),
}

_BAUD: Final = 115200
#: The strap's own life sign comes every 3 s, and it hangs up after a time that its owner sets, 30 s in the manual.
_LIFE_SIGN_S: Final = 2.0
_ANSWER_S: Final = 1.5
_TRIES: Final = 3


class BioHarnessConfig(DriverConfig):
    """The strap's serial port, and what of it is recorded."""

    port: str = Field(min_length=1, description="Its serial port, such as COM5 or /dev/rfcomm0, or socket://host:port.")
    signals: tuple[Signal, ...] = Field(
        ("rates",), min_length=1, description="What it sends; each becomes a stream of that name."
    )
    stall_s: float = Field(
        5.0, ge=2.5, le=600, description="Seconds without one of the signals after which the strap is started again."
    )

    @field_validator("signals")
    @classmethod
    def _each_once(cls, signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
        twice = sorted({signal for signal in signals if signals.count(signal) > 1})
        if twice:
            raise ValueError(f"'{twice[0]}' is listed twice; list each signal once")
        return signals


class BioHarness:
    """Heart and breath rate once a second; on request ECG (250 Hz), breathing, R-R (18 Hz) and acceleration (50 Hz).

    Counters are the strap's: its 8-bit count of packets, made long by its own clock, times the samples in a packet.
    Device time is seconds since 2000 by the strap's calendar. A rate that the strap has not got is NaN. `rr` is the
    last interval between two beats, its sign changes with each beat.
    """

    Config: ClassVar[type[DriverConfig]] = BioHarnessConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        """Touch nothing yet; ``open`` connects."""
        self._config = config_of(config, BioHarnessConfig)
        self._clock = clock
        self._what = "the BioHarness"
        self._link = SerialLink(self._config.port, _BAUD, self._what, clock)
        self._serial = ""
        self._open = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._reader = wire.PacketReader()
        self._strap_clock = StrapClock()
        self._signals = {_ORDERS[name][0]: name for name in self._config.signals}
        self._counts = {kind: PacketCount(wire.WAVEFORMS[kind].packet_s) for kind in self._signals}
        self._heard_s: dict[int, float] = {}
        self._unusable = 0
        self._ready: deque[Chunk] = deque()
        self._next_life_sign_s = 0.0

    def open(self) -> None:
        """Connect, switch on what is wanted and off what is not. Raises DeviceError."""
        self.close()
        self._begin_anew()
        try:
            self._link.open()
            self._open = True
            self._link.drain()
            self._serial = self._ask_serial()
            for name, (_, order, on, off) in _ORDERS.items():
                wanted = name in self._config.signals
                answer = self._order(order, on if wanted else off, _TRIES if wanted else 1)
                if wanted and answer != wire.ACK:
                    said = "does not answer" if answer is None else "refuses"
                    raise DeviceError(
                        f"{self._what} on {self._config.port} {said} when it is told to send {name}; "
                        "check that it is switched on and worn, and that the port is the strap's"
                    )
        except DeviceError:
            self.close()
            raise
        now_s = self._clock.now_s()
        self._heard_s = dict.fromkeys(self._signals, now_s)

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return a stream for each signal."""
        return tuple(
            StreamSpec(
                content_type=_CONTENT[name][0],
                channels=_CONTENT[name][1],
                rate_hz=1.0 / wire.WAVEFORMS[_ORDERS[name][0]].period_s,
                name=name,
                manufacturer="Zephyr",
                model="BioHarness",
                serial=self._serial,
            )
            for name in self._config.signals
        )

    def start(self, take: TakeStart) -> None:
        """Do nothing: the strap runs by itself."""

    def read(self) -> Chunk | None:
        """Return the next packet's samples, None after 0.2 s without any.

        Raises DeviceError where the line is gone or one of the signals has been silent for ``stall_s``.
        """
        if not self._open:
            raise DeviceError(f"{self._what} is not open; open it first")
        if not self._ready:
            self._receive()
            self._look_for_silence()
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        """Tell the strap to be quiet, which spares its battery, and let go of the port; any number of times."""
        if self._open:
            self._open = False
            try:
                for _, order, _, off in _ORDERS.values():
                    self._link.send(wire.encode(order, off))
            except DeviceError:
                pass  # it is gone
        self._link.close()

    # -- what is sent ------------------------------------------------------------------------------------------

    def _live(self) -> None:
        now_s = self._clock.now_s()
        if now_s >= self._next_life_sign_s:
            self._next_life_sign_s = now_s + _LIFE_SIGN_S
            self._link.send(wire.encode(wire.LIFE_SIGN))

    def _ask_serial(self) -> str:
        """Return the serial number, "" from a strap that does not say it."""
        answer = self._answer(wire.SERIAL_NUMBER, b"", tries=1)
        if answer is None or answer.end == wire.NAK:
            return ""
        return "".join(letter for letter in answer.payload.decode("ascii", "replace") if letter.isalnum())[:32]

    def _order(self, order: int, payload: bytes, tries: int) -> int | None:
        answer = self._answer(order, payload, tries)
        return None if answer is None else answer.end

    def _answer(self, order: int, payload: bytes, tries: int) -> wire.Packet | None:
        for _ in range(tries):
            self._link.send(wire.encode(order, payload))
            until_s = self._clock.now_s() + _ANSWER_S
            while self._clock.now_s() < until_s:
                self._live()
                came = self._link.receive()
                for packet in self._reader.feed(came[0]) if came is not None else ():
                    if packet.id == order:
                        return packet
        return None

    # -- what is received --------------------------------------------------------------------------------------

    def _receive(self) -> None:
        self._live()
        came = self._link.receive()
        if came is None:
            return
        data, arrival_s = came
        for packet in self._reader.feed(data):
            if packet.id in self._signals:
                self._take(packet, arrival_s)

    def _take(self, packet: wire.Packet, arrival_s: float) -> None:
        stamp, samples = wire.stamp_of(packet.payload), wire.samples_of(packet)
        if stamp is None or samples is None:
            self._unusable += 1
            return
        self._heard_s[packet.id] = arrival_s
        time_s = self._strap_clock.time_s(stamp.time_s)
        number = self._counts[packet.id].number(stamp.sequence, time_s)
        if number is None:
            return
        form = wire.WAVEFORMS[packet.id]
        counters = number * form.samples + np.arange(form.samples, dtype=np.int64)
        last_s = time_s + (form.samples - 1) * form.period_s
        self._ready.append(Chunk(self._signals[packet.id], samples, counters, arrival_s, last_s))

    def _look_for_silence(self) -> None:
        now_s = self._clock.now_s()
        for packet_id, name in self._signals.items():
            silent_s = now_s - self._heard_s[packet_id]
            if silent_s > self._config.stall_s:
                lost = [f"{self._reader.skipped} bytes of noise"] if self._reader.skipped else []
                lost += [f"{self._unusable} packets of an unknown kind"] if self._unusable else []
                instead = f" but {' and '.join(lost)}" if lost else ""
                raise DeviceError(
                    f"{self._what} on {self._config.port} has sent no {name}{instead} for {silent_s:.1f} s; "
                    "check that it is worn, charged and near enough"
                )
