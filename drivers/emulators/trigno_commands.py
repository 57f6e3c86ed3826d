"""What an emulated Trigno base is like, and what it answers on its command port. No I/O.

Written from Delsys's guide MAN-025-3-5, as the driver is, but without the driver's code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import Field

from drivers.emulators.emulator import EmulatorConfig

SLOTS: Final = 16
FRAME_S: Final = 0.0135
GREETING: Final = "Delsys Trigno System Digital Protocol Version 3.6.0"
_OK: Final = "OK"
_INVALID: Final = "INVALID COMMAND"
_CANNOT: Final = "CANNOT COMPLETE"
_ALL: Final = tuple(range(1, SLOTS + 1))
#: What servers of some age answer to beside these is INVALID COMMAND.
_OLD: Final = ("START", "STOP", "QUIT", "TRIGGER", "MASTER", "UPSAMP", "ENDIAN", "SENSOR")
_OLD_SENSOR: Final = ("TYPE?", "PAIRED?", "SERIAL?", "MODE?")
_EMG_TYPES: Final = "ABCDJLMOQR"

Slots = tuple[int, ...]


class TrignoEmulatorConfig(EmulatorConfig):
    """A base with 16 Avanti sensors, each with sEMG and an accelerometer."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    command_port: int = Field(0, ge=0, le=65535, description="Command port; 0: any that is free, as for the others.")
    emg_port: int = Field(0, ge=0, le=65535, description="EMG data port.")
    aux_port: int = Field(0, ge=0, le=65535, description="AUX data port.")
    legacy_emg_port: int = Field(0, ge=0, le=65535, description="Legacy EMG data port.")
    legacy_aux_port: int = Field(0, ge=0, le=65535, description="Legacy AUX data port.")
    paired: Slots = Field(_ALL, description="Sensors that are paired.")
    inactive: Slots = Field((), description="Paired sensors that are not active.")
    silent: Slots = Field((), description="Active sensors that send zeros.")
    quattro: Slots = Field((), description="Sensors of four EMG channels; 1 takes slots 1, 5, 9 and 13.")
    types: dict[int, str] = Field(default_factory=dict, description="Type letter or number of sensors, O if not given.")
    index_base: Literal[0, 1] = Field(0, description="What STARTINDEX counts from.")
    aux_channels: Literal[0, 3, 6] = Field(3, description="Auxiliary channels a sensor: accelerometer, gyroscope.")
    backwards_compatibility: bool = Field(default=True, description="Whether rates are fixed at first.")
    upsample: bool = Field(default=True, description="Whether sEMG is brought to 2,000 Hz then, at first.")
    emg_samples: int = Field(26, ge=1, le=60, description="The sensors' own samples a frame of 13.5 ms.")
    aux_samples: int = Field(2, ge=1, le=14, description="The same of the auxiliary channels.")
    drift_ppm: float = Field(0.0, ge=-1000, le=1000, description="How much the base's clock runs fast, in ppm.")
    first_data_s: float = Field(2.0, ge=0, le=60, description="Seconds from START to the first samples.")
    old: bool = Field(default=False, description="An old server: legacy ports alone, and few questions are understood.")
    streaming: bool = Field(default=False, description="It is sending already, for a program that was killed.")
    armed: bool = Field(default=False, description="The start trigger is armed.")
    refuses_start: bool = Field(default=False, description="START cannot be completed.")
    segment_bytes: tuple[int, int] | None = Field(None, description="Data go out in pieces of so many bytes.")
    mss: int | None = Field(None, ge=88, le=65495, description="Maximum segment size of data connections.")
    stall_after_s: float | None = Field(None, ge=0, description="Seconds after the first sample when it falls silent.")
    disconnect_after_s: float | None = Field(None, ge=0, description="The same, when it drops its clients, once.")
    kept_rows: int = Field(0, ge=0, le=1_000_000, description="Rows of each port kept to compare with.")


@dataclass
class BaseState:
    """What clients have set, and what they are told."""

    config: TrignoEmulatorConfig
    streaming: bool = False
    big_endian: bool = False
    backwards: bool = True
    upsample: bool = True
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin as the config says."""
        self.backwards, self.upsample = self.config.backwards_compatibility, self.config.upsample
        self.streaming = self.config.streaming

    @property
    def emg_samples(self) -> int:
        """Samples a frame on the EMG port."""
        return (27 if self.upsample else 15) if self.backwards else self.config.emg_samples

    @property
    def legacy_emg_samples(self) -> int:
        """Samples a frame on the legacy EMG port."""
        return (27 if self.upsample else 26) if self.backwards else self.config.emg_samples

    @property
    def aux_samples(self) -> int:
        """Samples a frame on both AUX ports."""
        return 2 if self.backwards else self.config.aux_samples

    def places(self) -> dict[int, tuple[int, int]]:
        """Return by slot where a sensor's EMG channels begin in a row, from 0, and how many there are.

        Slots that no sensor is in keep their place; the channels of a sensor that takes several slots stand together.
        """
        taken = {slot + 4 * more for slot in self.config.quattro for more in (1, 2, 3)}
        places, first = {}, 0
        for slot in _ALL:
            if slot not in taken:
                count = 4 if slot in self.config.quattro else 1
                if slot in self.config.paired:
                    places[slot] = (first, count)
                first += count
        return places

    def type_of(self, slot: int) -> str:
        """Return a sensor's type as the server says it."""
        return self.config.types.get(slot, "Q" if slot in self.config.quattro else "O")

    def reply(self, command: str) -> str:
        """Return the reply to a command, and do what it says; START and STOP change ``streaming`` alone."""
        words = command.upper().split()
        text = " ".join(words)
        if not words or (self.config.old and not words[0].startswith(_OLD)):
            return self._refuse(text)
        fixed = {
            "MASTER?": "YES",
            "MASTER": _CANNOT if self.streaming else "NEW MASTER",
            "TRIGGER?": f"START {'ON' if self.config.armed else 'OFF'} STOP OFF",
            "BACKWARDS COMPATIBILITY?": "YES" if self.backwards else "NO",
            "UPSAMPLING?": f"UPSAMPLING {'ON' if self.upsample else 'OFF'}",
            "FRAME INTERVAL?": str(FRAME_S),
            "MAX SAMPLES EMG?": str(self.legacy_emg_samples),
            "MAX SAMPLES AUX?": str(self.aux_samples),
            "ENDIANNESS?": "BIG" if self.big_endian else "LITTLE",
            "BASE SERIAL?": "BID: 0222",
            "BASE FIRMWARE?": "Firmware: MA2902-BE1500-DS0801-US2001-DA0900",
            "VERSION?": GREETING,
            "QUIT": "BYE",
        }
        if text in fixed:
            return fixed[text]
        if words[0] == "SENSOR":
            return self._sensor(words[1:]) or self._refuse(text)
        return self._set(text) or self._refuse(text)

    def _set(self, text: str) -> str | None:
        if text == "START":
            if self.streaming or self.config.refuses_start:
                return _CANNOT
            self.streaming = True
            return _OK
        if text == "STOP":
            if not self.streaming:
                return _CANNOT
            self.streaming = False
            return _OK
        settings = {
            "ENDIAN LITTLE": ("big_endian", False),
            "ENDIAN BIG": ("big_endian", True),
            "BACKWARDS COMPATIBILITY ON": ("backwards", True),
            "BACKWARDS COMPATIBILITY OFF": ("backwards", False),
            "UPSAMPLE ON": ("upsample", True),
            "UPSAMPLE OFF": ("upsample", False),
        }
        if text not in settings:
            return None
        if self.streaming:
            return _CANNOT
        setattr(self, *settings[text])
        return _OK

    def _sensor(self, words: list[str]) -> str | None:
        if len(words) < 2 or not words[0].isdigit() or int(words[0]) not in _ALL:
            return None
        slot, place = int(words[0]), self.places().get(int(words[0]))
        if self.config.old and words[1] not in _OLD_SENSOR:
            return None
        if words[1] == "PAIRED?":
            return "NO" if place is None else "YES"
        if place is None:
            return _CANNOT
        first, emg = place
        aux = self.config.aux_channels
        answers = {
            "ACTIVE?": "NO" if slot in self.config.inactive else "YES",
            "TYPE?": self.type_of(slot),
            "MODE?": f"MODE {40 if aux == 0 else 42}",
            "SERIAL?": f"SID-{1000 + slot}",
            "FIRMWARE?": "40-34",
            "STARTINDEX?": str(first + self.config.index_base),
            "CHANNELCOUNT?": str(emg + aux),
            "EMGCHANNELCOUNT?": str(emg),
            "AUXCHANNELCOUNT?": str(aux),
        }
        if words[1] in answers:
            return answers[words[1]]
        if len(words) != 4 or words[1] != "CHANNEL" or not words[2].isdigit():
            return None
        channel = int(words[2])
        if not 1 <= channel <= emg + aux:  # 0 is said to crash the server; no client may ask for it
            return None
        is_emg = channel <= emg
        unit = "Volts" if is_emg else ("g" if channel - emg <= 3 else "?/s")
        samples = self.config.emg_samples if is_emg else self.config.aux_samples
        return {
            "UNITS?": unit,
            "GAIN?": "300" if is_emg else "16.4",
            "SAMPLES?": str(samples),
            "RATE?": f"{samples / FRAME_S:.11f}",
        }.get(words[3])

    def _refuse(self, text: str) -> str:
        self.refused.append(text[:80])
        del self.refused[:-100]
        return _INVALID
