"""What a device says it sends, and the pieces in which it sends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

SampleFormat = Literal["float32", "double64", "int8", "int16", "int32", "int64", "string"]
CounterOrigin = Literal["device", "host"]

#: ``sample_counter`` is published modulo this, so that float32 holds it exactly.
COUNTER_MODULUS: Final = 2**24

#: Label of the last channel of every sampled stream.
COUNTER_LABEL: Final = "sample_counter"

#: Suffix and channels of the double64 stream that runs beside every sampled stream.
CLOCK_SUFFIX: Final = ".clock"
CLOCK_LABELS: Final = ("counter", "arrival", "device_time")

#: Channels of a camera's stream, one double64 row a frame.
FRAME_LABELS: Final = ("frame_id", "device_time", "arrival", "pts", "encoded")


@dataclass(frozen=True, slots=True)
class CountingChannel:
    """The channel of a stream that counts its samples: ``column`` from 0, ``modulus`` 0 where it never wraps."""

    column: int
    modulus: int


#: The irregular stream in which the recorder keeps each clock-offset probe with its round trip.
PROBES_NAME: Final = "FlexClockProbes"
PROBES_LABELS: Final = ("stream_id", "remote_time", "offset", "round_trip")

#: The irregular string stream of what happened, in session time: session, action, take, operator, gaps, alarms.
MARKERS_NAME: Final = "FlexMarkers"
MARKERS_LABELS: Final = ("event",)
#: Source id of the recorder's own; that of another recorder, recorded as a stream of others, has another.
MARKERS_SOURCE: Final = "flex-capture/FlexMarkers"


@dataclass(frozen=True)
class Channel:
    """One channel: XDF label, unit (``meters``, ``microvolts``, ``1/min`` …) and XDF type.

    ``marker`` names the marker or joint a position channel belongs to.
    """

    label: str
    unit: str = ""
    type: str = ""
    marker: str = ""


@dataclass(frozen=True)
class VideoFormat:
    """Format of a camera's compressed frames. ``codec`` is FFmpeg's name, such as ``mjpeg``."""

    codec: str
    width: int
    height: int


@dataclass(frozen=True)
class StreamSpec:
    """One stream of a device as its driver describes it.

    ``name`` is empty for a device's only stream; a device with several names each, and the stream is
    published as ``<device>.<name>``, or as ``publish_as`` where that is set. ``counter_modulus`` is what the device's
    own count wraps at where that is so short that a loss may hide whole turns of it; the stream's time tells them
    later. ``rate_hz`` is what was asked for, 0
    for irregular. ``channels`` are without ``sample_counter``, which the publisher appends unless ``counted`` is
    False: texts and events carry none, and no ``.clock`` runs beside them. ``video`` is set for a camera, whose
    stream then has ``FRAME_LABELS`` as channels.
    """

    content_type: str
    channels: tuple[Channel, ...]
    rate_hz: float
    name: str = ""
    publish_as: str = ""
    counter_modulus: int = COUNTER_MODULUS
    format: SampleFormat = "float32"
    counter_origin: CounterOrigin = "device"
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    simulated: bool = False
    counted: bool = True
    video: VideoFormat | None = None
    details: dict[str, str] = field(default_factory=dict)

    def published_name(self, device: str) -> str:
        """Name of the LSL stream when published by the device called ``device``."""
        return self.publish_as or (f"{device}.{self.name}" if self.name else device)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Samples that arrived together.

    ``stream`` is the ``StreamSpec.name``. ``values`` has shape (samples, channels) in the stream's
    format, without the counter. ``counters`` is int64 (samples,): the device's own count, unwrapped by the
    driver, or the host's where the device has none. ``arrival_s`` is the host time at which the last byte
    arrived; ``device_time_s`` the device time of the last sample, NaN where the device has no clock.
    """

    stream: str
    values: npt.NDArray[Any]
    counters: npt.NDArray[np.int64]
    arrival_s: float
    device_time_s: float = float("nan")


@dataclass(frozen=True, slots=True)
class Frame:
    """One compressed video frame as the camera gave it.

    ``frame_id`` is the camera's own count, unwrapped. ``device_time_s`` is the camera's own time of the
    exposure, NaN where it has none; ``arrival_s`` the host time at which the last byte arrived.
    """

    stream: str
    frame_id: int
    device_time_s: float
    arrival_s: float
    data: bytes
    keyframe: bool = True
