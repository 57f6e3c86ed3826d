"""What all cameras do alike: look at the first frames, watch for silence, and refuse what is not what was announced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from drivers.cameras.camera_config import CameraConfig
from drivers.cameras.jpeg_bytes import whole_jpeg
from drivers.channels import FRAME_CHANNELS
from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import CounterOrigin, Frame, StreamSpec, VideoFormat

#: What a camera sends at first is not yet regular: exposure settles, what had piled up comes at once.
_SETTLE_S: Final = 0.6
_MEASURE_S: Final = 1.4
_LEAST_FRAMES: Final = 5
#: A clock that goes further than this from the arrivals of a second is not believed.
_CLOCK_TRUST: Final = 0.3
#: A camera is refused whose rate is further than this from what was asked.
RATE_TOLERANCE: Final = 0.1
#: A rate that nobody asked for is taken for the usual one that it is so near to.
_USUAL_HZ: Final = (
    1,
    2,
    5,
    6,
    7.5,
    10,
    12,
    12.5,
    15,
    20,
    24,
    25,
    30,
    48,
    50,
    60,
    72,
    75,
    90,
    100,
    120,
    150,
    180,
    200,
    240,
)
_USUAL_NEAR: Final = 0.03

#: No camera's compressed picture is larger.
LARGEST_FRAME_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Connected:
    """What is known of a camera once it sends. ``rate_hz`` is 0 where nothing was asked or announced.

    ``clock`` says in words what the device time is, "" where there is none. ``help`` is what to try where the rate is
    not the one that was asked. A camera that ``may_be_silent`` waits for a trigger: silence is no failure.
    """

    codec: str = "mjpeg"
    width: int = 0
    height: int = 0
    rate_hz: float = 0.0
    counter_origin: CounterOrigin = "device"
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    clock: str = ""
    help: str = ""
    may_be_silent: bool = False
    simulated: bool = False
    details: dict[str, str] = field(default_factory=dict)


class Camera:
    """A driver without its device: a family gives ``_connect``, ``_next`` and ``_free``."""

    Config: ClassVar[type[DriverConfig]] = CameraConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        self._camera_settings = config_of(config, CameraConfig)
        self._clock = clock
        self._what = "the camera"
        self._spec: StreamSpec | None = None
        self._video: VideoFormat | None = None
        self._last_s = math.nan
        self._awaits_keyframe = self._may_be_silent = False
        self.remarks: tuple[str, ...] = ()
        #: Pictures that were cut short or otherwise not whole; their frame ids are missing.
        self.broken = 0

    def _connect(self) -> Connected:
        """Connect and let frames come. Raises DeviceError."""
        raise NotImplementedError

    def _next(self, wait_s: float) -> Frame | None:
        """Return the next frame that is whole, None after ``wait_s`` without one. Raises DeviceError."""
        raise NotImplementedError

    def _free(self) -> None:
        """Let go of the device; any number of times."""

    def open(self) -> None:
        """Connect, and look at the first frames: their size and rate. Raises DeviceError; takes about two seconds."""
        self.close()
        self.remarks, self.broken = (), 0
        try:
            connected = self._connect()
            self._may_be_silent = connected.may_be_silent
            self._spec = self._spec_of(connected, *self._look(connected.codec))
            self._video = self._spec.video
        except BaseException:
            self.close()
            raise
        self._last_s = self._clock.now_s()

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one stream of frames; valid once open."""
        return () if self._spec is None else (self._spec,)

    def start(self, take: TakeStart) -> None:  # noqa: ARG002 - the device runs by itself
        """Begin with a frame that stands alone."""
        self._awaits_keyframe = True

    def read(self) -> Frame | None:
        """Return the next frame, None after about 0.2 s without one. Raises DeviceError where the camera fails."""
        if self._video is None:
            raise DeviceError(f"{self._what} is not open; open it first")
        frame = self._next(0.2)
        now_s = self._clock.now_s()
        if frame is None:
            if now_s - self._last_s > self._camera_settings.stall_s and not self._may_be_silent:
                told = f" and {self.broken} that were not whole" if self.broken else ""
                raise DeviceError(
                    f"{self._what} has sent no whole frame for {self._camera_settings.stall_s:g} s{told}; "
                    "check its cable and its power"
                )
            return None
        self._last_s = now_s
        if self._awaits_keyframe and not frame.keyframe:
            return None  # nobody could decode it
        self._awaits_keyframe = False
        return frame

    def close(self) -> None:
        """Let go of the camera. May be called at any time and more than once."""
        self._free()
        self._spec, self._video = None, None

    def _whole(self, data: bytes) -> bytes | None:
        """Return a JPEG image without padding, None (and counted) where it is not whole.

        Raises DeviceError where its size is not the announced one.
        """
        found = whole_jpeg(data)
        if found is None:
            self.broken += 1
            return None
        image, width, height = found
        if self._video is not None and (width, height) != (self._video.width, self._video.height):
            raise DeviceError(
                f"{self._what} now sends {width}x{height} pixels instead of {self._video.width}x{self._video.height}; "
                "somebody has changed its settings: set them back"
            )
        return image

    def _look(self, codec: str) -> tuple[list[Frame], int, int]:
        """Return the frames of a second or so, and their width and height in pixels (0 where they do not say)."""
        began_s = self._clock.now_s()
        frames: list[Frame] = []
        seen_s = began_s
        first_s = math.nan
        while True:
            frame = self._next(0.2)
            now_s = self._clock.now_s()
            if frame is None:
                if self._may_be_silent and now_s - began_s > _SETTLE_S:
                    return [], 0, 0
                if now_s - seen_s > self._camera_settings.stall_s:
                    told = f" ({self.broken} were not whole)" if self.broken else ""
                    raise DeviceError(f"{self._what} sends no picture{told}; check its cable, power and settings")
                continue
            seen_s = now_s
            first_s = now_s if math.isnan(first_s) else first_s
            if frame.arrival_s - first_s < _SETTLE_S:
                continue
            frames.append(frame)
            # a camera of few frames a second needs longer, but not for ever
            long = frames[-1].arrival_s - frames[0].arrival_s >= _MEASURE_S
            if (long and len(frames) >= _LEAST_FRAMES) or now_s - began_s > 3 * self._camera_settings.stall_s:
                break
        if codec != "mjpeg":
            return frames, 0, 0
        found = whole_jpeg(frames[-1].data)  # for its size
        return (frames, 0, 0) if found is None else (frames, found[1], found[2])

    def _spec_of(self, connected: Connected, frames: Sequence[Frame], width: int, height: int) -> StreamSpec:
        width, height = width or connected.width, height or connected.height
        if connected.width and (width, height) != (connected.width, connected.height):
            raise DeviceError(
                f"{self._what} sends {width}x{height} pixels instead of {connected.width}x{connected.height}; "
                f"ask for a size that it has{connected.help and ': '}{connected.help}"
            )
        rate_hz = measured_hz(frames)
        if not frames and self._may_be_silent:
            rate_hz = connected.rate_hz
        if connected.rate_hz and not abs(rate_hz / connected.rate_hz - 1) <= RATE_TOLERANCE:
            raise DeviceError(
                f"{self._what} gives {rate_hz:.3g} frames per second instead of {connected.rate_hz:g}; "
                f"{connected.help or 'ask for a rate that it has'}"
            )
        details = dict(connected.details)
        details["device_time"] = connected.clock or "none"
        return StreamSpec(
            content_type="VideoCompressed",
            channels=FRAME_CHANNELS,
            rate_hz=connected.rate_hz or usual_rate_hz(rate_hz),
            format="double64",
            counter_origin=connected.counter_origin,
            manufacturer=connected.manufacturer,
            model=connected.model,
            serial=connected.serial,
            simulated=connected.simulated,
            video=VideoFormat(connected.codec, width, height),
            details=details,
        )


def measured_hz(frames: Sequence[Frame]) -> float:
    """Return frames per second, 0 for fewer than two.

    By the camera's own clock where it has one that goes as the arrivals do, since a busy computer delays those. Where
    frames count themselves, one that is lost does not make the camera slower.
    """
    if len(frames) < 2:
        return 0.0
    count = frames[-1].frame_id - frames[0].frame_id
    arrived_s = frames[-1].arrival_s - frames[0].arrival_s
    passed_s = frames[-1].device_time_s - frames[0].device_time_s
    if not (passed_s > 0 and abs(passed_s / max(arrived_s, 1e-9) - 1) <= _CLOCK_TRUST):
        passed_s = arrived_s
    return count / passed_s if passed_s > 0 else math.inf


def usual_rate_hz(rate_hz: float) -> float:
    """Return the usual rate that ``rate_hz`` is near to, or itself to two digits."""
    nearest = min(_USUAL_HZ, key=lambda usual: abs(usual - rate_hz))
    return float(nearest) if abs(rate_hz / nearest - 1) <= _USUAL_NEAR else float(f"{rate_hz:.2g}")
