"""A BioHarness on a serial line, worn by the virtual athlete."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.serial_end import end_of, line_at
from drivers.emulators.stage import Stage
from drivers.host_clock import LslClock
from drivers.zephyr import bioharness_codec as wire

Float64 = npt.NDArray[np.float64]

_LIFE_SIGN_S: Final = 3.0
_MOST_BEHIND_S: Final = 5.0

#: Order that switches it -> packet.
_SWITCHES: Final = {
    wire.SET_SUMMARY: wire.SUMMARY,
    wire.SET_ECG: wire.ECG,
    wire.SET_BREATHING: wire.BREATHING,
    wire.SET_RR: wire.RR,
    wire.SET_ACCEL: wire.ACCEL,
}
_MIDDLE: Final = 512


class BioHarnessEmulatorConfig(EmulatorConfig):
    """The strap, its line, and what goes wrong with it."""

    port: int | str | None = Field(None, description="TCP port, path of a pty, or a nameless pty if not given.")
    serial: str = Field("BHT012345", description="Its serial number.")
    calendar: datetime = Field(datetime(2026, 11, 22, 10), description="Date and time that its clock begins at.")  # noqa: DTZ001 - it knows no zone
    dated: bool = Field(default=True, description="Whether its date was ever set.")
    drift_ppm: float = Field(40.0, ge=-1000, le=1000, description="How much its clock runs fast.")
    first_count: int = Field(250, ge=0, le=255, description="Count of its first packet of each kind.")
    summary_version: Literal[2, 3] = Field(2, description="Layout of its summaries.")
    link_timeout_s: float = Field(10.0, gt=0, description="Seconds without a word after which it hangs up.")
    no_rates: bool = Field(default=False, description="Whether it has found no rates yet.")
    lose_every: int = Field(0, ge=0, description="Every so many packets one is lost; 0: none.")
    spoil_every: int = Field(0, ge=0, description="Every so many packets one has a wrong CRC; 0: none.")
    noise_every: int = Field(0, ge=0, description="Every so many packets noise comes before one; 0: none.")
    away_after: int = Field(0, ge=0, description="After so many packets it was out of reach; 0: never.")
    away_s: float = Field(0.0, ge=0, description="For how long it then was, by its clock; no time passes here.")
    refuse: bool = Field(default=False, description="Whether it refuses to send anything.")
    deaf: bool = Field(default=False, description="Whether it answers no order.")
    silent_after: int = Field(0, ge=0, description="After so many packets it sends none; 0: never.")


class BioHarnessEmulator:
    """Heart and breath of the stage's athlete, with a waveform to each.

    ``sent`` counts the packets of each id that were due, lost ones too; a strap counts from the time it is switched on,
    here ``open``.
    """

    Config: ClassVar[type[EmulatorConfig]] = BioHarnessEmulatorConfig
    PORT_KEY: ClassVar[str] = "port"

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None:
        """Touch nothing yet."""
        assert isinstance(config, BioHarnessEmulatorConfig)
        self.config = config
        self._stage = stage
        self._clock = LslClock()
        self.line = line_at(config.port)
        self._start_s = float("nan")
        self.sent = dict.fromkeys(wire.WAVEFORMS, 0)
        self._all_sent = 0
        self._on: set[int] = set()
        self._wave = _Wave(stage)

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config that serves where a rig looks for the strap."""
        return {"port": end_of(str(options["port"]))}

    def open(self) -> None:
        """Make the line; switched on the first time. Raises DeviceError."""
        self.line.open()
        if np.isnan(self._start_s):
            self._start_s = self._clock.now_s()

    def rig_options(self) -> dict[str, Any]:
        """Return what a rig says to reach it."""
        return {"port": self.line.url}

    def serve(self, stop: threading.Event) -> None:
        """Serve until ``stop`` is set."""
        orders = wire.PacketReader()
        heard_s = life_s = monotonic()
        while not stop.is_set():
            data = self.line.receive(0.02)
            for packet in orders.feed(data):
                heard_s = monotonic()
                self._obey(packet)
            now_s = monotonic()
            if now_s - heard_s > self.config.link_timeout_s and self._on:
                self._on.clear()  # the link is given up
            if now_s - life_s > _LIFE_SIGN_S and self._on:
                life_s = now_s
                self.line.send(wire.encode(wire.LIFE_SIGN))
            self._send_due()

    def close(self) -> None:
        """Let go of the line; any number of times."""
        self.line.close()

    def host_s(self, packet_id: int, packets: int) -> float:
        """Return the host time at which so many packets of a kind are done, by the strap's own clock."""
        return self._start_s + packets * wire.WAVEFORMS[packet_id].packet_s / (1 + self.config.drift_ppm * 1e-6)

    def _obey(self, packet: wire.Packet) -> None:
        if packet.id == wire.LIFE_SIGN or self.config.deaf:
            return
        if packet.id == wire.SERIAL_NUMBER:
            self.line.send(wire.encode(packet.id, self.config.serial.encode("ascii"), wire.ACK))
            return
        switched = _SWITCHES.get(packet.id)
        on = any(packet.payload)
        if switched is None or (self.config.refuse and on):
            self.line.send(wire.encode(packet.id, b"", wire.NAK))
            return
        if on:
            self._on.add(switched)
        else:
            self._on.discard(switched)
        self.line.send(wire.encode(packet.id, b"", wire.ACK))

    def _send_due(self) -> None:
        now_s = self._clock.now_s()
        for packet_id in self.sent:
            while now_s >= (done_s := self.host_s(packet_id, self.sent[packet_id] + 1)):
                payload = self._payload(packet_id, self.sent[packet_id])  # made all the same: the waveforms go on
                self.sent[packet_id] += 1
                if packet_id in self._on and now_s - done_s < _MOST_BEHIND_S:
                    self._send(packet_id, payload)

    def _send(self, packet_id: int, payload: bytes) -> None:
        config = self.config
        self._all_sent += 1
        number = self._all_sent
        if _each(config.lose_every, number) or 0 < config.silent_after < number:
            return
        data = wire.encode(packet_id, payload)
        if _each(config.spoil_every, number):
            data = data[:-2] + bytes((data[-2] ^ 0x5A,)) + data[-1:]
        if _each(config.noise_every, number):
            data = b"\x00\x02\x02\x22\x58\xff" + data
        self.line.send(data)

    def _payload(self, packet_id: int, done: int) -> bytes:
        form = wire.WAVEFORMS[packet_id]
        first_s = self.host_s(packet_id, done)
        event_s = np.asarray(first_s + np.arange(form.samples) * form.period_s, dtype=np.float64)
        away = self.config.away_s if 0 < self.config.away_after < self._all_sent + 1 else 0.0
        number = done + round(away / form.packet_s)
        if packet_id == wire.SUMMARY:
            event_s = np.array([self.host_s(packet_id, done + 1)])
        return self._head(number, form.packet_s * number) + self._bodies[packet_id](self, event_s)

    def _head(self, number: int, strap_s: float) -> bytes:
        count = (self.config.first_count + number) % 256
        when = self.config.calendar + timedelta(seconds=strap_s)
        midnight = when.replace(hour=0, minute=0, second=0, microsecond=0)
        day_ms = int((when - midnight) / timedelta(milliseconds=1))
        date = (when.year, when.month, when.day) if self.config.dated else (0, 0, 0)
        return struct.pack("<BHBBI", count, *date, day_ms)

    def _summary(self, event_s: Float64) -> bytes:
        heart = breath = 0xFFFF
        if not self.config.no_rates:
            hearts, breaths = self._stage.rates_bpm(event_s)
            heart, breath = round(float(hearts[0])), round(10 * float(breaths[0]))
        # the rest as from a strap that is worn: battery at 3.9 V and 55 %, no skin temperature, no variability yet
        body = bytearray(62)
        struct.pack_into("<BHH", body, 0, self.config.summary_version, heart, breath)
        confidence = 0 if self.config.no_rates else 98
        if self.config.summary_version == 2:
            struct.pack_into("<h", body, 5, -(2**15))
            struct.pack_into("<HB", body, 13, 3933, 55)
            struct.pack_into("<H", body, 26, 0xFFFF)  # heart rate variability
            struct.pack_into("<H", body, 29, 0xFFFF)  # skin's conductance
            struct.pack_into("<H", body, 47, 0x0200)
            body[20], body[25], body[28] = confidence, confidence, 100
        else:
            struct.pack_into("<H", body, 23, 0x0200)
            body[11], body[18] = 55, confidence
        return bytes(body)

    def _ecg(self, event_s: Float64) -> bytes:
        return pack_ten_bit(_MIDDLE + self._wave.ecg(event_s))

    def _breathing(self, event_s: Float64) -> bytes:
        return pack_ten_bit(_MIDDLE + self._wave.breathing(event_s))

    def _rr(self, event_s: Float64) -> bytes:
        return self._wave.rr_ms(event_s).astype("<i2").tobytes()

    def _accel(self, event_s: Float64) -> bytes:
        lean = np.sin(0.7 * event_s)
        g = np.stack((-np.cos(0.2 * lean), np.sin(0.2 * lean), 0.1 * lean), axis=1)
        return pack_ten_bit(_MIDDLE + g.ravel() * 20.75)

    _bodies: ClassVar[dict[int, Callable[[BioHarnessEmulator, Float64], bytes]]] = {
        wire.SUMMARY: _summary,
        wire.ECG: _ecg,
        wire.BREATHING: _breathing,
        wire.RR: _rr,
        wire.ACCEL: _accel,
    }


class _Wave:
    """Beats and breaths that follow the stage's rates: their phases, summed up on a grid of 10 ms as time goes on."""

    _STEP_S: Final = 0.01
    _AHEAD: Final = 2000

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._times = np.empty(0)
        self._phases = np.empty((2, 0))

    def _phase(self, event_s: Float64) -> Float64:
        """Return the phases of heart and breath (2, n), in turns."""
        if not self._times.size:
            self._times, self._phases = np.array([float(event_s[0]) - 5.0]), np.zeros((2, 1))
        while self._times[-1] < event_s[-1]:
            more = self._times[-1] + self._STEP_S * np.arange(1, self._AHEAD + 1)
            turns = np.stack(self._stage.rates_bpm(more)) / 60 * self._STEP_S
            phases = np.concatenate((self._phases, self._phases[:, -1:] + np.cumsum(turns, axis=1)), axis=1)
            keep = slice(-3 * self._AHEAD, None)  # a minute: kinds of packets differ by a second or two
            self._times, self._phases = np.concatenate((self._times, more))[keep], phases[:, keep]
        return np.stack([np.interp(event_s, self._times, phase) for phase in self._phases])

    def ecg(self, event_s: Float64) -> Float64:
        """Return an ECG in counts around 0: P, Q, R, S and T of each beat."""
        beat = (self._phase(event_s)[0] + 0.5) % 1 - 0.5  # R at 0
        waves = ((-0.18, 0.025, 6.0), (-0.035, 0.01, -8.0), (0.0, 0.012, 60.0), (0.035, 0.01, -14.0), (0.3, 0.05, 14.0))
        return np.asarray(
            np.sum([height * np.exp(-(((beat - at) / width) ** 2)) for at, width, height in waves], axis=0)
        )

    def breathing(self, event_s: Float64) -> Float64:
        """Return the chest's extension in counts around 0."""
        return np.asarray(40.0 * np.sin(2 * np.pi * self._phase(event_s)[1]))

    def rr_ms(self, event_s: Float64) -> Float64:
        """Return the last interval between two beats in milliseconds, its sign that of the beat's number."""
        whole = np.floor(self._phase(event_s)[0])
        ends = np.stack([np.interp(whole - back, self._phases[0], self._times) for back in (0, 1)])
        sizes = np.clip(np.round((ends[0] - ends[1]) * 1000), 200, 3000)
        return np.asarray(np.where(whole % 2 == 0, sizes, -sizes))


def pack_ten_bit(values: Float64) -> bytes:
    """Return numbers as ten bits each, the first in the lowest bits; what is beyond 1 … 1023 ends there."""
    whole = np.clip(np.round(values), 1, 1023).astype(np.int64)
    bits = (whole[:, None] >> np.arange(10)) & 1
    return np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()


def _each(every: int, number: int) -> bool:
    return every > 0 and number % every == 0
