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
#: How often the rate is measured before it is believed not to be the one that was asked for.
_WINDOWS: Final = 3
#: A camera of few frames a second is looked at for so many times ``stall_s`` at most.
_AT_MOST: Final = 2.0
#: A clock that goes so many times as fast or slow as the arrivals is not in seconds.
_CLOCK_TRUST: Final = 4.0
#: A camera is refused whose rate is further than this from what was asked.
RATE_TOLERANCE: Final = 0.1
#: A rate that nobody asked for is taken for the usual one that it is so near to.
_USUAL_HZ: Final = (
    *(1, 2, 5, 6, 7.5, 10, 12, 12.5, 15, 20, 24, 25, 30, 48, 50, 60),
    *(72, 75, 90, 100, 120, 150, 180, 200, 240),
)
_USUAL_NEAR: Final = 0.03

#: No camera's compressed picture is larger.
LARGEST_FRAME_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Connected:
    """What is known of a camera once it sends. ``rate_hz`` is 0 where nothing was asked or announced.

    ``clock`` says in words what the device time is, "" where there is none. ``help`` is what to try where the rate is
    not the one that was asked. A clock that is not ``clock_is_real`` may be made of the nominal rate. A camera that
    ``may_be_silent`` waits for a trigger: silence is no failure.
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
    clock_is_real: bool = True
    help: str = ""
    may_be_silent: bool = False
    simulated: bool = False
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    """What the first frames show: frames per second, and pixels, 0 where they do not say."""

    rate_hz: float
    width: int = 0
    height: int = 0


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
        #: While it is set, nobody sees the pictures: what is not compressed need not be.
        self._looking = False
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
            self._spec = self._spec_of(connected, self._look(connected))
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

    def _look(self, connected: Connected) -> _Seen:
        """Look at the first frames. Raises DeviceError where none come.

        A rate that is not the one that was asked for is measured again, twice: while all devices of a rig start, the
        computer is busy.
        """
        self._looking = True
        try:
            began_s = self._clock.now_s()
            while (first := self._next(0.2)) is None:
                waited_s = self._clock.now_s() - began_s
                if self._may_be_silent and waited_s > _SETTLE_S:
                    return _Seen(connected.rate_hz)
                if waited_s > self._camera_settings.stall_s:
                    told = f" ({self.broken} were not whole)" if self.broken else ""
                    raise DeviceError(f"{self._what} sends no picture{told}; check its cable, power and settings")
            self._frames_for(_SETTLE_S, first)
            for _ in range(_WINDOWS):
                frames = self._frames_for(_MEASURE_S, None)
                seen = _Seen(measured_hz(frames, by_clock=connected.clock_is_real), *_size_of(frames, connected.codec))
                if not connected.rate_hz or abs(seen.rate_hz / connected.rate_hz - 1) <= RATE_TOLERANCE:
                    break
            return seen
        finally:
            self._looking = False

    def _frames_for(self, seconds: float, first: Frame | None) -> list[Frame]:
        """Return the frames of so many seconds; without ``first`` until they are enough, but not for ever."""
        began_s = self._clock.now_s()
        frames = [] if first is None else [first]
        while (passed_s := self._clock.now_s() - began_s) < _AT_MOST * self._camera_settings.stall_s:
            enough = bool(frames) and (
                frames[-1].arrival_s - frames[0].arrival_s >= seconds and len(frames) >= _LEAST_FRAMES
            )
            if enough or (first is not None and passed_s > seconds):
                break
            if (frame := self._next(0.2)) is not None:
                frames.append(frame)
        return frames

    def _spec_of(self, connected: Connected, seen: _Seen) -> StreamSpec:
        width, height = seen.width or connected.width, seen.height or connected.height
        if connected.width and (width, height) != (connected.width, connected.height):
            raise DeviceError(
                f"{self._what} sends {width}x{height} pixels instead of {connected.width}x{connected.height}; "
                f"ask for a size that it has{connected.help and ': '}{connected.help}"
            )
        rate_hz = seen.rate_hz
        if connected.rate_hz and not abs(rate_hz / connected.rate_hz - 1) <= RATE_TOLERANCE:
            raise DeviceError(
                f"{self._what} gives {rate_hz:.3g} frames per second instead of {connected.rate_hz:g}; "
                f"{connected.help or 'ask for a rate that it has'}"
            )
        if not rate_hz or not width or not height:
            raise DeviceError(f"{self._what} sends too few pictures to be looked at; check its settings")
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


def measured_hz(frames: Sequence[Frame], *, by_clock: bool = True) -> float:
    """Return frames per second, 0 for fewer than two.

    ``by_clock``: by the camera's own clock where it has one in seconds, since a busy computer delays arrivals. Where
    frames count themselves, one that is lost does not make the camera slower.
    """
    if len(frames) < 2:
        return 0.0
    count = frames[-1].frame_id - frames[0].frame_id
    arrived_s = frames[-1].arrival_s - frames[0].arrival_s
    passed_s = frames[-1].device_time_s - frames[0].device_time_s
    if not (by_clock and arrived_s / _CLOCK_TRUST <= passed_s <= arrived_s * _CLOCK_TRUST):  # also NaN
        passed_s = arrived_s
    return count / passed_s if passed_s > 0 else math.inf


def _size_of(frames: Sequence[Frame], codec: str) -> tuple[int, int]:
    found = whole_jpeg(frames[-1].data) if frames and codec == "mjpeg" else None
    return (0, 0) if found is None else (found[1], found[2])


def usual_rate_hz(rate_hz: float) -> float:
    """Return the usual rate that ``rate_hz`` is near to, or itself to two digits."""
    nearest = min(_USUAL_HZ, key=lambda usual: abs(usual - rate_hz))
    return float(nearest) if abs(rate_hz / nearest - 1) <= _USUAL_NEAR else float(f"{rate_hz:.2g}")
