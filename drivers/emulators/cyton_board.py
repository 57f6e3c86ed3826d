"""The board at the other end of the radio: what it answers, what its converters see, which packets it sends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.emulators.stage import Stage
from drivers.openbci.cyton_codec import ACCEL, ACCEL_TIME, ACCEL_TIME_SET, CHANNELS, packet_bytes
from drivers.openbci.cyton_samples import G_PER_COUNT, microvolts_per_count
from drivers.simulated.emg_signal import EmgSignal

Float64 = npt.NDArray[np.float64]

_RATE_HZ: Final = 250.0
_FULL_SCALE: Final = 2**23 - 1
_BLOCK: Final = 64
_ACCEL_PERIOD_S: Final = 1 / 25
_GAINS: Final = (1, 2, 4, 6, 8, 12, 24)
_NAMES: Final = b"12345678QWERTYUI"
_SETTINGS: Final = 9
#: A command of several letters is given up after this.
_MULTI_S: Final = 1.0


class Board:
    """A board in host time. ``clock_rate`` is how fast its crystal runs, 1 for exactly right; ``on_s`` when it came on.

    ``rate_hz`` is what it would send by an exact crystal, 250 for a real one. Its amplifiers see the virtual athlete.
    """

    def __init__(
        self, stage: Stage, channels: int, firmware: str, clock_rate: float, on_s: float, rate_hz: float
    ) -> None:
        self._stage = stage
        self._all = channels
        self._firmware = firmware
        self._clock_rate = clock_rate
        self._on_s = on_s
        self._rate_hz = rate_hz
        self._rng = np.random.default_rng((stage.seed, 811))
        self.daisy = channels > CHANNELS
        self.gains = [24] * channels
        self.off = [False] * channels
        self.commands: list[bytes] = []
        self.streaming = False
        self.began_s = 0.0
        self.sample = 0
        self._times = self._first_with_time = False
        self._multi = b""
        self._multi_s = 0.0
        self._signal: EmgSignal | None = None
        self._block: Float64 = np.zeros((0, channels))
        self._counts: npt.NDArray[np.int64] = np.zeros(channels, dtype=np.int64)
        self._next_accel_s = 0.0
        self._axes = np.zeros(3, dtype=np.int16)

    @property
    def period_s(self) -> float:
        """Host seconds from one sample to the next."""
        return 1 / (self._rate_hz * self._clock_rate)

    def sample_s(self, sample: int) -> float:
        """Return the host time at which the sample of this stream was taken."""
        return self.began_s + sample * self.period_s

    def hear(self, data: bytes, now_s: float) -> bytes:
        """Take in what came by radio; return what the board says to it."""
        return b"".join(self._hear(bytes((letter,)), now_s) for letter in data)

    def _hear(self, letter: bytes, now_s: float) -> bytes:
        if self._multi and now_s > self._multi_s:
            self._multi = b""
            return b"Timeout processing multi byte message - please send all commands at once as of v2$$$"
        if self._multi:
            self._multi += letter
            return self._several()
        if letter in (b"x", b"/", b"~"):
            self._multi, self._multi_s = letter, now_s + _MULTI_S
            return b""
        self.commands = [*self.commands[-999:], letter]
        answers: dict[bytes, Callable[[], bytes]] = {
            b"v": self._reset,
            b"d": self._defaults,
            b"c": self._remove_daisy,
            b"C": self._attach_daisy,
            b"<": lambda: self._set_times(on=True),
            b">": lambda: self._set_times(on=False),
            b"V": lambda: f"{self._firmware}$$$".encode("ascii"),
        }
        if letter == b"b":
            self._begin(now_s)
        elif letter == b"s":
            self.streaming = False
        elif letter in answers:
            said = answers[letter]()
            return b"" if self.streaming else said
        return b""

    def _several(self) -> bytes:
        command = self._multi
        if command[:1] in b"/~":
            self._multi = b""
            self.commands = [*self.commands[-999:], command]
            return b"Success: default$$$" if command == b"/0" else b"Failure: unknown$$$"
        if command[-1:] == b"X" and len(command) < _SETTINGS:
            self._multi = b""
            return b"Failure: too few chars$$$"
        if len(command) < _SETTINGS:
            return b""
        self._multi = b""
        self.commands = [*self.commands[-999:], command]
        channel, gain = _NAMES.find(command[1:2]), command[3] - ord("0")
        if command[-1:] != b"X" or not 0 <= channel < self._all or not 0 <= gain < len(_GAINS):
            return b"Failure: Err: 9th char not X$$$"
        self.gains[channel] = _GAINS[gain]
        self.off[channel] = command[2:3] == b"1"
        return f"Success: Channel set for {channel + 1}$$$".encode("ascii")

    def _reset(self) -> bytes:
        self.streaming = False
        self.daisy = self._all > CHANNELS
        self._defaults()
        daisy = "On Daisy ADS1299 Device ID: 0x3E\n" if self.daisy else ""
        return (
            "OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\n"
            f"{daisy}LIS3DH Device ID: 0x33\nFirmware: {self._firmware}\n$$$"
        ).encode("ascii")

    def _defaults(self) -> bytes:
        self.gains = [24] * self._all
        self.off = [False] * self._all
        return b"updating channel settings to default$$$"

    def _remove_daisy(self) -> bytes:
        had, self.daisy = self.daisy, False
        return b"daisy removed$$$" if had else b""

    def _attach_daisy(self) -> bytes:
        self.daisy = self._all > CHANNELS
        return b"16$$$" if self.daisy else b"8$$$"

    def _set_times(self, *, on: bool) -> bytes:
        self._times = self._first_with_time = on
        return b"Time stamp ON$$$" if on else b"Time stamp OFF$$$"

    def _begin(self, now_s: float) -> None:
        self.streaming, self.began_s, self.sample = True, now_s, 0
        self._next_accel_s = now_s
        self._block = np.zeros((0, self._all))
        self._signal = EmgSignal(min(self._rate_hz, 2000.0), self._all, self._rng)

    def next_packet(self) -> tuple[bytes, Float64]:
        """Return the next packet of the stream, and the microvolts (8,) in it by the converter's resolution."""
        if self.sample % _BLOCK == 0:
            times_s = self.sample_s(self.sample) + np.arange(_BLOCK, dtype=np.float64) * self.period_s
            assert self._signal is not None
            self._block = self._signal.next_uv(self._stage.activation(times_s)[:, : self._all], times_s)
        scale_uv = np.array([microvolts_per_count(gain) for gain in self.gains])
        counts = np.rint(self._block[self.sample % _BLOCK] / scale_uv)
        counts = np.where(self.off, 0, np.clip(counts, -_FULL_SCALE - 1, _FULL_SCALE)).astype(np.int64)
        first = 0
        sent = counts
        if self.daisy:
            # the board's own way to the half rate: each half is the mean of two conversions, cut towards zero
            total = counts + self._counts if self.sample else counts * 0
            sent = np.sign(total) * (np.abs(total) // 2)
            first = 0 if self.sample % 2 else CHANNELS
        self._counts = counts
        here = slice(first, first + CHANNELS)
        aux, kind = self._aux()
        packet = packet_bytes(self.sample, sent[here], aux, kind)
        self.sample += 1
        return packet, np.asarray(sent[here] * scale_uv[here])

    def acceleration_counts(self, host_s: float) -> npt.NDArray[np.int16]:
        """Return what the accelerometer reads (3,): a board that is tilted slowly; its x is 0 now and then."""
        tilt_rad = 0.3 * np.sin(2 * np.pi * 0.2 * host_s)
        axes_g = np.array((np.sin(tilt_rad), 0.02, np.cos(tilt_rad)))
        return np.asarray(np.rint(axes_g / G_PER_COUNT / 16) * 16, dtype=np.int16)

    def _aux(self) -> tuple[bytes, int]:
        at_s = self.sample_s(self.sample)
        fresh = at_s >= self._next_accel_s
        if fresh:
            self._next_accel_s += _ACCEL_PERIOD_S * (1 + int((at_s - self._next_accel_s) / _ACCEL_PERIOD_S))
            self._axes = self.acceleration_counts(at_s)
        if not self._times:
            return (self._axes.astype(">i2").tobytes() if fresh else bytes(6)), ACCEL
        digit = self.sample % 256 % 10
        axis = self._axes[digit - 7 : digit - 6].astype(">i2").tobytes() if digit >= 7 else bytes(2)
        board_ms = int((at_s - self._on_s) * self._clock_rate * 1e3) % 2**32
        kind = ACCEL_TIME_SET if self._first_with_time else ACCEL_TIME
        self._first_with_time = False
        return axis + board_ms.to_bytes(4, "big"), kind
