"""What an emulated QTM is set to, and what it says of that as parameters."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from drivers.emulators import qtm_packets as wire
from drivers.emulators.emulator import EmulatorConfig
from drivers.emulators.qtm_scene import FIRST_SEGMENT
from lab.joints import JOINTS

PLATE_HZ: Final = 1000.0


class QtmEmulatorConfig(EmulatorConfig):
    """What the emulated QTM measures, and what goes wrong with it."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    base_port: int = Field(0, ge=0, le=65000, description="Base port; 1 is added. 0: any that is free.")
    discovery_port: int = Field(0, ge=0, le=65535, description="UDP port that discovery is answered on; 0: it is not.")
    rate_hz: float = Field(100.0, gt=0, le=2000, description="Frames per second by QTM's own clock.")
    drift_ppm: float = Field(12.0, ge=-500, le=500, description="How much QTM's clock runs fast, in ppm.")
    first_frame: int = Field(1, ge=0, lt=2**32, description="Number of a measurement's first frame.")
    extra_markers: int = Field(0, ge=0, le=1000, description="Markers beside those on the joints.")
    hidden: float = Field(0.0, ge=0, lt=1, description="Share of the markers that no camera sees.")
    y_up: bool = Field(default=False, description="Whether Y points up instead of Z.")
    skeleton: bool = Field(default=True, description="Whether there is a skeleton.")
    analog_hz: float = Field(2000.0, ge=0, le=20000, description="Rate of the analogue board; 0: there is none.")
    analog_channels: int = Field(16, ge=1, le=64, description="Channels of the analogue board.")
    plates: int = Field(0, ge=0, le=8, description="Force plates.")
    newest_version: int = Field(28, ge=0, le=99, description="Newest version of the protocol that is known: 1.this.")
    oldest_version: int = Field(0, ge=0, le=99, description="Oldest version that is known.")
    period: bool = Field(
        default=True, description="Whether the greeting ends with a full stop, as Qualisys' document says."
    )
    greets: bool = Field(default=True, description="Whether it greets at all.")
    measuring: bool = Field(default=True, description="Whether a measurement is running from the start.")
    password: str = Field("", description="What TakeControl needs; empty: nothing.")
    lose: tuple[int, ...] = Field((), description="Frames of a measurement that are never sent, from 0.")
    numbered: bool = Field(default=True, description="Whether frames are numbered; else all have the number 1.")
    split_udp: bool = Field(default=False, description="Whether each component of a frame gets a datagram of its own.")
    piece_bytes: int = Field(0, ge=0, le=65536, description="Most bytes that TCP carries at once; 0: as it comes.")
    padding_bytes: int = Field(
        0, ge=0, le=2**21, description="Size of a component beside the others that no client knows."
    )


def sections(settings: QtmEmulatorConfig, labels: tuple[str, ...], version: str) -> dict[str, str]:
    """Return what each word of GetParameters asks for as XML, empty where there is nothing of it."""
    minor = version.partition(".")[2]
    segments = [(FIRST_SEGMENT + place, joint) for place, joint in enumerate(JOINTS)]
    channels = [f"EMG {number + 1}" for number in range(settings.analog_channels)]
    plates = [(plate + 1, f"plate {plate + 1}", PLATE_HZ) for plate in range(settings.plates)]
    board = (1, "EMG board", settings.analog_hz, channels, "volts")
    nested = minor.isdigit() and int(minor) > 20
    return {
        "general": wire.general_xml(settings.rate_hz, 8),
        "3d": wire.three_d_xml(labels, "+Y" if settings.y_up else "+Z"),
        "analog": wire.analog_xml([board]) if settings.analog_hz else "",
        "force": wire.force_xml(plates) if plates else "",
        "skeleton": wire.skeletons_xml("athlete", segments, nested=nested) if settings.skeleton else "",
    }
