"""OpenBCI's Cyton, with or without a Daisy, through its USB dongle.

The device's own count is 8 bits long, and 7 with a Daisy: a loss may hide whole turns of it, which the sync stage tells
from time. With ``board_time`` packets carry the board's millisecond clock, and the driver tells them by that. The
acceleration is under the count of the packets that it came in, NaN in those in which none came. Nothing here has met a
board: it was tested with an emulator made from the firmware's source, to which brainflow speaks as well.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.links.serial_link import SerialLink
from drivers.links.usb_port import find_port
from drivers.openbci.cyton_codec import CHANNELS, NUMBERS, PacketSplitter
from drivers.openbci.cyton_dialogue import (
    BAUD,
    DEFAULT_MODE,
    DEFAULTS,
    GAINS,
    NO_DAISY,
    RESET,
    START,
    STOP,
    TIMES_OFF,
    TIMES_ON,
    Banner,
    ChannelSettings,
    Dialogue,
    banner_of,
)
from drivers.openbci.cyton_samples import SampleBuilder, Samples
from lab.errors import DeviceError
from lab.streams import COUNTER_LABEL, COUNTER_MODULUS, Channel, Chunk, StreamSpec

_RATE_HZ: Final = 250.0
_DAISY_RATE_HZ: Final = 125.0
_OLDEST_FIRMWARE: Final = (2,)
#: From this firmware on the board has modes that outlive a reset.
_MODES_FIRMWARE: Final = (3,)
#: Before this firmware a packet with a time always held the axis x.
_AXES_FIRMWARE: Final = (3, 1, 2)
_FIRST_PACKET_S: Final = 3.0
_QUIET_S: Final = 1.0
_WHAT: Final = "the Cyton"


def _known_gain(gain: int) -> int:
    if gain not in GAINS:
        raise ValueError(f"the amplifier has no gain of {gain}, but {', '.join(map(str, GAINS))}")
    return gain


Gain = Annotated[int, AfterValidator(_known_gain)]


class CytonConfig(DriverConfig):
    """Where the dongle is, and what the electrodes are on."""

    port: str = Field(
        min_length=1,
        max_length=1000,
        description="The dongle's serial port, such as COM3 or /dev/ttyUSB0, or usb: and its USB serial number.",
    )
    channels: Literal[8, 16] | None = Field(
        None, description="8, or 16 with a Daisy; as many as the board has where not given."
    )
    use: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        (), description="Numbers of the channels that have electrodes; the others are switched off. All if not given."
    )
    labels: tuple[str, ...] = Field(
        (), description="What the electrodes are on, one label a channel that is used; ch1, ch2 … if not given."
    )
    gain: Gain | tuple[Gain, ...] = Field(
        24, description="Gain of the amplifiers: 1, 2, 4, 6, 8, 12 or 24; one for all, or one a channel that is used."
    )
    bias: bool | tuple[bool, ...] = Field(
        default=True,
        description="Whether channels take part in the bias drive; one for all, or one a channel that is used.",
    )
    srb2: bool | tuple[bool, ...] = Field(
        default=False,
        description="Whether N inputs are on the shared reference SRB2; false for a pair of electrodes each.",
    )
    srb1: bool = Field(default=False, description="Whether all P inputs are on the shared reference SRB1.")
    accelerometer: bool = Field(default=True, description="Whether the board's acceleration is a stream as well.")
    board_time: bool = Field(
        default=False,
        description="Whether packets carry the board's millisecond clock, which tells exactly what is lost.",
    )
    stall_s: float = Field(
        5.0, ge=0.5, le=60, description="Seconds without a packet after which the board counts as lost."
    )

    @model_validator(mode="after")
    def _lists_fit(self) -> CytonConfig:
        if len(set(self.use)) < len(self.use):
            raise ValueError("'use' names a channel twice")
        if self.channels is not None and any(channel > self.channels for channel in self.use):
            raise ValueError(f"'use' names channel {max(self.use)} of {self.channels}")
        if len(set(self.labels)) < len(self.labels) or not all(self.labels) or COUNTER_LABEL in self.labels:
            raise ValueError(f"'labels' must differ, and none be empty or '{COUNTER_LABEL}'")
        return self


class Cyton:
    """A Cyton: its sEMG in microvolts, 8 channels at 250 Hz or 16 at 125 Hz, and its acceleration in g."""

    Config: ClassVar[type[DriverConfig]] = CytonConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._settings = config_of(config, CytonConfig)
        self._clock = clock
        self._link: SerialLink | None = None
        self._name = _WHAT
        self._specs: tuple[StreamSpec, ...] = ()
        self._pending: deque[Chunk] = deque()
        self._builder = SampleBuilder([24] * CHANNELS, range(CHANNELS))
        self._accelerates = False
        self._packet_s = 0.0
        self.splitter = PacketSplitter()
        self.remarks: tuple[str, ...] = ()

    def open(self) -> None:
        """Find the port, reset the board, set it up and let it stream. Raises DeviceError."""
        self.close()
        port, serial = find_port(self._settings.port, _WHAT)
        self._name = f"{_WHAT} on {port}"
        link = SerialLink(port, BAUD, _WHAT, self._clock)
        try:
            link.open()
            self._link = link
            dialogue = Dialogue(link, self._name, self._clock)
            dialogue.hush()
            self._set_up(dialogue, serial)
            link.send(START)
            self._wait_for_packets()
        except BaseException:
            self.close()
            raise

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return ``emg``, and ``accel`` where it is wanted."""
        return self._specs

    def start(self, take: TakeStart) -> None:
        """Do nothing: the board runs by itself."""

    def read(self) -> Chunk | None:
        """Return the next samples of either stream, None after about 0.2 s without any.

        Raises DeviceError where the line is gone or no packet has come for ``stall_s``.
        """
        if self._pending:
            return self._pending.popleft()
        if self._link is None:
            raise DeviceError(f"{self._name} is not open; open it first")
        received = self._link.receive()
        if received is None:
            self._builder.forget_half()
        else:
            self._take_in(*received)
        now_s = self._clock.now_s()
        if now_s - self._packet_s > self._settings.stall_s:
            raise DeviceError(self._stalled(now_s - self._packet_s))
        return self._pending.popleft() if self._pending else None

    def close(self) -> None:
        """Stop the board and let go of the port; any number of times."""
        link, self._link = self._link, None
        self._pending.clear()
        if link is not None:
            try:
                link.send(STOP)
            except DeviceError:
                pass  # it is gone, and hears nothing
            finally:
                link.close()

    def _set_up(self, dialogue: Dialogue, serial: str) -> None:
        settings = self._settings
        answer = dialogue.ask(RESET)
        banner = banner_of(answer)
        if banner is None:
            raise DeviceError(f"what answers on {self._name.removeprefix(_WHAT + ' on ')} is no Cyton; check the port")
        if banner.firmware < _OLDEST_FIRMWARE:
            raise DeviceError(f"{self._name} has firmware of version 1; update it to version 3")
        channels = settings.channels or (2 * CHANNELS if banner.has_daisy else CHANNELS)
        if channels > CHANNELS and not banner.has_daisy:
            raise DeviceError(f"{self._name} has no Daisy that works; press it on, switch the board off and on")
        if channels == CHANNELS and banner.has_daisy:
            dialogue.ask(NO_DAISY)
        if banner.firmware >= _MODES_FIRMWARE:
            dialogue.ask(DEFAULT_MODE)
        dialogue.ask(DEFAULTS)
        used = [channel - 1 for channel in settings.use] or list(range(channels))
        wiring = self._wiring(channels, used)
        for channel, wired in enumerate(wiring):
            dialogue.ask(wired.command(channel))
        if settings.board_time:
            dialogue.ask(TIMES_ON)
        else:
            dialogue.try_to_ask(TIMES_OFF, _QUIET_S)
        self._accelerates = settings.accelerometer
        self.remarks = ()
        if settings.accelerometer and settings.board_time and banner.firmware < _AXES_FIRMWARE:
            self._accelerates = False
            said = f"the firmware {banner.firmware_name} of {self._name} sends no whole acceleration with its time"
            self.remarks = (f"{said}; there is no stream of it",)
        self.splitter = PacketSplitter()
        self._builder = SampleBuilder([wired.gain for wired in wiring], used)
        self._specs = self._described(banner, serial, wiring, used)

    def _wiring(self, channels: int, used: list[int]) -> list[ChannelSettings]:
        """Return the settings of all channels. Raises DeviceError where the rig's lists do not fit them."""
        settings = self._settings
        if max(used) >= channels:
            raise DeviceError(f"{self._name} has {channels} channels, but the rig uses channel {max(used) + 1}")
        each: dict[str, list[int]] = {}
        for key, value in (("gain", settings.gain), ("bias", settings.bias), ("srb2", settings.srb2)):
            each[key] = list(value) if isinstance(value, tuple) else [value] * len(used)
        for key, count in (*((key, len(values)) for key, values in each.items()), ("labels", len(settings.labels))):
            if count != len(used) and not (key == "labels" and count == 0):
                raise DeviceError(f"{self._name} uses {len(used)} channels, but the rig's '{key}' has {count}")
        wiring = [ChannelSettings(24, bias=False, srb2=False, srb1=False, off=True)] * channels
        for place, channel in enumerate(used):
            bias, srb2 = bool(each["bias"][place]), bool(each["srb2"][place])
            wiring[channel] = ChannelSettings(each["gain"][place], bias, srb2, settings.srb1)
        return wiring

    def _described(
        self, banner: Banner, serial: str, wiring: list[ChannelSettings], used: list[int]
    ) -> tuple[StreamSpec, ...]:
        daisy = len(wiring) > CHANNELS
        labels = self._settings.labels or tuple(f"ch{channel + 1}" for channel in used)
        model = "Cyton + Daisy" if daisy else "Cyton"
        board = {
            "firmware": banner.firmware_name,
            "board_id": banner.board_id,
            **({"daisy_id": banner.daisy_id} if daisy else {}),
        }
        each = [wiring[channel] for channel in used]
        emg = StreamSpec(
            content_type="EMG",
            channels=tuple(Channel(label, "microvolts", "EMG") for label in labels),
            rate_hz=_DAISY_RATE_HZ if daisy else _RATE_HZ,
            name="emg",
            counter_modulus=COUNTER_MODULUS if self._settings.board_time else NUMBERS // 2 if daisy else NUMBERS,
            manufacturer="OpenBCI",
            model=model,
            serial=serial,
            details={
                **board,
                "inputs": " ".join(str(channel + 1) for channel in used),
                "gain": " ".join(str(wired.gain) for wired in each),
                "bias": " ".join(f"{wired.bias:d}" for wired in each),
                "srb2": " ".join(f"{wired.srb2:d}" for wired in each),
                "srb1": f"{self._settings.srb1:d}",
                "board_time": "yes" if self._settings.board_time else "no",
            },
        )
        if not self._accelerates:
            return (emg,)
        accel = StreamSpec(
            content_type="Accelerometer",
            channels=tuple(Channel(axis, "g", f"Acceleration{axis.upper()}") for axis in "xyz"),
            rate_hz=_RATE_HZ,
            name="accel",
            counter_modulus=COUNTER_MODULUS if self._settings.board_time else NUMBERS,
            manufacturer="OpenBCI",
            model=model,
            serial=serial,
            details=board,
        )
        return emg, accel

    def _wait_for_packets(self) -> None:
        self._packet_s = self._clock.now_s()
        deadline_s = self._packet_s + _FIRST_PACKET_S
        assert self._link is not None
        while not self._pending:
            if self._clock.now_s() > deadline_s:
                raise DeviceError(f"{self._name} answers but sends no samples; switch the board off and on")
            received = self._link.receive()
            if received is not None:
                self._take_in(*received)

    def _take_in(self, data: bytes, arrival_s: float) -> None:
        packets = self.splitter.feed(data)
        if not len(packets):
            return
        silent_s, self._packet_s = arrival_s - self._packet_s, arrival_s
        emg, acceleration = self._builder.take_in(packets, silent_s)
        self._hand_on("emg", emg, arrival_s)
        if self._accelerates:
            self._hand_on("accel", acceleration, arrival_s)

    def _hand_on(self, stream: str, samples: Samples | None, arrival_s: float) -> None:
        if samples is not None:
            self._pending.append(Chunk(stream, samples.values, samples.counters, arrival_s, samples.device_time_s))

    def _stalled(self, silent_s: float) -> str:
        broken = f" ({self.splitter.skipped} bytes were no packets)" if self.splitter.skipped > 0 else ""
        return (
            f"{self._name} has sent no packet for {silent_s:.0f} s{broken}; "
            "check that the board is on, its battery, and its way to the dongle"
        )
