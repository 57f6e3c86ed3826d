"""Simulated camera: the athlete in a drawn lab, as compressed MJPEG frames."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field, field_validator, model_validator

from drivers.channels import FRAME_CHANNELS
from drivers.driver import DriverConfig, TakeStart, config_of
from drivers.host_clock import HostClock
from drivers.simulated.device import MANUFACTURER, SimulatedDevice
from drivers.simulated.drawing import Image, View
from drivers.simulated.motion import Float64
from drivers.simulated.room import draw_room
from drivers.simulated.timing import ClockOffset, Delay, Drift, Jitter, Packet, SimulatedConfig
from lab.actions import ACTIONS
from lab.cameras import PinholeCamera
from lab.joints import JOINTS
from lab.streams import Frame, StreamSpec, VideoFormat

#: The pose is computed for this many frames at once: a call costs about as much for one as for a hundred.
_BLOCK: Final = 60


class SimulatedCameraConfig(SimulatedConfig):
    """A 720p camera at 30 frames per second whose clock is its own; 1.4 m high, 4.3 m in front of the athlete."""

    rate_hz: float = Field(30.0, gt=0, le=1000, description="Frames per second, by the camera's own clock.")
    chunk_samples: int = Field(1, ge=1, le=1, description="A camera sends each frame by itself.")
    clock_offset_s: ClockOffset = Field(5000.0, description="What the camera's clock says at its first frame.")
    drift_ppm: Drift = Field(9.0, description="How much the camera's clock runs fast, in ppm.")
    delay_s: Delay = Field(0.040, description="Constant delay from the exposure to the frame's arrival.")
    jitter_s: Jitter = 0.002
    width: int = Field(1280, ge=320, le=4096, description="Image width in pixels, even.")
    height: int = Field(720, ge=240, le=4096, description="Image height in pixels, even.")
    focal_px: float = Field(1100.0, ge=50, le=50000, description="Focal length in pixels.")
    position_m: tuple[float, float, float] = Field(
        (0.9, 4.2, 1.4), description="Where the camera is: to the athlete's right, ahead of the athlete, up."
    )
    target_m: tuple[float, float, float] = Field((0.0, 0.0, 0.95), description="What it looks at; same axes.")
    quality: int = Field(85, ge=1, le=100, description="JPEG quality.")

    @field_validator("width", "height")
    @classmethod
    def _even(cls, pixels: int) -> int:
        if pixels % 2:
            raise ValueError("width and height are even numbers of pixels")
        return pixels

    @model_validator(mode="after")
    def _aimed(self) -> SimulatedCameraConfig:
        values = np.array([self.position_m, self.target_m])
        if not np.all(np.abs(values) <= 100.0):  # also false for NaN
            raise ValueError("position_m and target_m are within 100 m of the athlete")
        if np.hypot(*(values[1] - values[0])[:2]) < 0.05:
            raise ValueError("target_m is straight above, below or at position_m; move one of them sideways")
        return self


class SimulatedCamera(SimulatedDevice[bytes]):
    """One view. The name that the device has in the rig is written into its images."""

    Config: ClassVar[type[DriverConfig]] = SimulatedCameraConfig
    KIND = "simulated.camera"
    NOISE_KEY = 4

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        camera = config_of(config, SimulatedCameraConfig)
        super().__init__(camera, clock)
        self._optics = camera
        self._room: Image | None = None
        self._view: View | None = None
        self._block: Float64 = np.empty((0, len(JOINTS), 3))
        self._block_first = 0

    @property
    def pinhole(self) -> PinholeCamera:
        """The camera's true geometry."""
        optics = self._optics
        return PinholeCamera.looking_at(
            optics.position_m, optics.target_m, optics.width, optics.height, optics.focal_px
        )

    def streams(self) -> tuple[StreamSpec, ...]:
        """Return the one stream of frames."""
        optics = self._optics
        return (
            StreamSpec(
                content_type="VideoCompressed",
                channels=FRAME_CHANNELS,
                rate_hz=optics.rate_hz,
                format="double64",
                manufacturer=MANUFACTURER,
                model="simulated camera",
                serial="SIM-CAMERA-1",
                simulated=True,
                video=VideoFormat("mjpeg", optics.width, optics.height),
                details={**self._details(), "focal_px": repr(optics.focal_px)},
            ),
        )

    def open(self) -> None:
        """Meet the athlete and draw the empty room. Raises RequestError for an action that is not simulated."""
        import cv2
        import simplejpeg  # noqa: F401 - loaded here so that the first frame is not late

        # A figure is too small to share among threads, and five cameras share the processor.
        cv2.setNumThreads(1)
        super().open()
        self._room = draw_room(self.pinhole)

    def close(self) -> None:
        """End the take and forget the room; may be called more than once."""
        super().close()
        self._room = None
        self._view = None

    def _noise_words(self, device: str) -> tuple[int, ...]:
        return tuple(device.encode())

    def _prepare(self, take: TakeStart, rng: np.random.Generator) -> None:  # noqa: ARG002 - a drawing has no noise
        self._block = self._block[:0]
        if self._view is None or self._view.name != take.device:
            self._view = View(self.pinhole, take.device, self._room, ACTIONS[self._settings.action].implement)

    def _render(self, packet: Packet) -> bytes:
        import simplejpeg

        if packet.lost or self._view is None:
            return b""
        image = self._view.draw(self._joints_m(packet.first), packet.first)
        data: bytes = simplejpeg.encode_jpeg(
            image, quality=self._optics.quality, colorspace="BGR", colorsubsampling="420", fastdct=True
        )
        return data

    def _joints_m(self, frame_id: int) -> Float64:
        if not 0 <= frame_id - self._block_first < len(self._block):
            self._block_first = frame_id
            self._block = self.athlete.joints_m(self._sampling.event_s(frame_id + np.arange(_BLOCK)))
        return np.asarray(self._block[frame_id - self._block_first])

    def _deliver(self, packet: Packet, content: bytes, arrival_s: float) -> Frame:
        return Frame("", packet.first, self._sampling.device_time_s(packet.first), arrival_s, content)
