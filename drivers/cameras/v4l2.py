"""USB cameras on Linux through Video4Linux2 itself: the very bytes, the kernel's count of frames, and its time stamps.

Sequence numbers of the UVC driver jump where frames are lost; time stamps are those of the kernel's monotonic clock at
the start of the exposure, or of the transfer, as the camera's driver has it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from drivers.cameras import v4l2_node
from drivers.cameras import v4l2_structs as v4l2
from drivers.cameras.camera import LARGEST_FRAME_BYTES, Camera, Connected
from drivers.cameras.camera_config import UsbCameraConfig
from drivers.cameras.frame_count import FrameCount
from drivers.cameras.picture_encoding import encode_grey, encode_yuyv
from drivers.cameras.usb_identity import find_camera
from drivers.cameras.v4l2_settings import modes_of, modes_said, set_controls, set_format
from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import Frame

_BUFFERS: Final = 8
_FOURCC: Final = {"mjpeg": "MJPG", "yuyv": "YUYV", "grey": "GREY"}


class V4l2CameraConfig(UsbCameraConfig):
    """A camera that Linux knows as /dev/video…; name it by serial number or port, not by that number, which changes."""

    format: Literal["mjpeg", "yuyv", "grey"] = Field(
        "mjpeg", description="What it sends: mjpeg is recorded as it is, yuyv and grey are compressed here."
    )


class V4l2Camera(Camera):
    """One view."""

    Config: ClassVar[type[DriverConfig]] = V4l2CameraConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        super().__init__(config, clock)
        self._settings = config_of(config, V4l2CameraConfig)
        self._node: v4l2_node.Node | None = None
        self._buffers: list[Any] = []
        self._count = FrameCount(1 << 32)
        self._line_bytes = 0

    def _connect(self) -> Connected:
        settings = self._settings
        camera = find_camera(settings.device)
        self._what = f"the camera {camera.name} at {camera.path}"
        try:
            self._node = v4l2_node.open_node(camera.path)
        except OSError as error:
            raise DeviceError(self._why_not(error)) from None
        capability = self._capability()
        pixel_format = _FOURCC[settings.format]
        form = set_format(self._node, settings, pixel_format, self._what)
        self._line_bytes = int(form.bytesperline)
        done = set_controls(self._node, settings, self._what)
        self._count = FrameCount(1 << 32)
        self._stream()
        modes = modes_said(modes_of(self._node), pixel_format)
        return Connected(
            width=settings.width,
            height=settings.height,
            rate_hz=settings.rate_hz,
            manufacturer=camera.manufacturer,
            model=capability.card.decode("utf-8", "replace"),
            serial=camera.serial,
            clock="kernel's monotonic clock",
            help="give a shorter exposure_s or more light, which limit the rate" + (f"; {modes}" if modes else ""),
            details={"port": camera.port, "pixel_format": pixel_format, **done},
        )

    def _next(self, wait_s: float) -> Frame | None:
        node = self._opened()
        if not node.ready(wait_s):
            return None
        buffer = v4l2.Buffer(type=v4l2.BUF_TYPE_VIDEO_CAPTURE, memory=v4l2.MEMORY_MMAP)
        try:
            node.ioctl(v4l2.DQBUF, buffer)
        except OSError as error:
            if error.errno in {errno.EAGAIN, errno.EINTR}:
                return None
            if error.errno == errno.EIO:  # the kernel lost a buffer; the next ones come
                self.broken += 1
                return None
            raise self._broke_off(error) from None
        arrival_s = self._clock.now_s()
        index = int(buffer.index)
        if index >= len(self._buffers):
            raise DeviceError(f"{self._what} hands out a buffer that it never had; unplug it and plug it in again")
        mapped = self._buffers[index]
        data = bytes(mapped[: min(int(buffer.bytesused), len(mapped))])
        flags = int(buffer.flags)
        stamp_s = int(buffer.seconds) + int(buffer.microseconds) * 1e-6
        monotonic = flags & v4l2.BUF_FLAG_TIMESTAMP_MASK == v4l2.BUF_FLAG_TIMESTAMP_MONOTONIC
        count = int(buffer.sequence)
        try:
            node.ioctl(v4l2.QBUF, buffer)
        except OSError as error:
            raise self._broke_off(error) from None
        frame_id = self._count.next(count)
        if frame_id is None:
            return None
        image = None if flags & v4l2.BUF_FLAG_ERROR else self._image(data)
        if image is None:
            self.broken += flags & v4l2.BUF_FLAG_ERROR != 0
            return None
        return Frame("", frame_id, stamp_s if monotonic and stamp_s > 0 else math.nan, arrival_s, image)

    def _image(self, data: bytes) -> bytes | None:
        settings = self._settings
        if settings.format == "mjpeg":
            return self._whole(data)
        channels = 2 if settings.format == "yuyv" else 1
        line = max(self._line_bytes, settings.width * channels)
        if len(data) < line * settings.height:
            self.broken += 1
            return None
        if self._looking:
            return b""
        lines = np.frombuffer(data, np.uint8, line * settings.height).reshape(settings.height, line)
        picture = lines[:, : settings.width * channels]
        if settings.format == "grey":
            return encode_grey(picture, settings.quality)
        return encode_yuyv(picture.reshape(settings.height, settings.width, 2), settings.quality)

    def _capability(self) -> Any:
        node = self._opened()
        capability = v4l2.Capability()
        try:
            node.ioctl(v4l2.QUERYCAP, capability)
        except OSError:
            raise DeviceError(f"{self._what} is no video device; name a camera, see `flex-capture devices`") from None
        own = capability.capabilities & v4l2.CAP_DEVICE_CAPS
        can = capability.device_caps if own else capability.capabilities
        if not can & v4l2.CAP_VIDEO_CAPTURE or not can & v4l2.CAP_STREAMING:
            raise DeviceError(f"{self._what} gives no pictures; name a camera, see `flex-capture devices`")
        return capability

    def _stream(self) -> None:
        """Map the kernel's buffers, hand them all to the device and let it send."""
        node = self._opened()
        request = v4l2.RequestBuffers(count=_BUFFERS, type=v4l2.BUF_TYPE_VIDEO_CAPTURE, memory=v4l2.MEMORY_MMAP)
        try:
            node.ioctl(v4l2.REQBUFS, request)
            for index in range(min(int(request.count), 32)):
                buffer = v4l2.Buffer(index=index, type=v4l2.BUF_TYPE_VIDEO_CAPTURE, memory=v4l2.MEMORY_MMAP)
                node.ioctl(v4l2.QUERYBUF, buffer)
                if not 0 < buffer.length <= LARGEST_FRAME_BYTES:
                    raise OSError(errno.EINVAL, f"a buffer of {buffer.length} bytes")
                self._buffers.append(node.map(int(buffer.length), int(buffer.offset)))
                node.ioctl(v4l2.QBUF, buffer)
            node.ioctl(v4l2.STREAMON, ctypes.c_int(v4l2.BUF_TYPE_VIDEO_CAPTURE))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DeviceError(
                    f"{self._what} finds no room on its USB bus; plug it into a port of another USB controller, or ask "
                    "for mjpeg, a smaller size or a lower rate"
                ) from None
            raise DeviceError(self._why_not(error)) from None

    def _free(self) -> None:
        node, self._node = self._node, None
        buffers, self._buffers = self._buffers, []
        if node is not None:
            with contextlib.suppress(OSError):  # it is gone, or never streamed
                node.ioctl(v4l2.STREAMOFF, ctypes.c_int(v4l2.BUF_TYPE_VIDEO_CAPTURE))
            for buffer in buffers:
                buffer.close()
            node.close()

    def _opened(self) -> v4l2_node.Node:
        if self._node is None:
            raise DeviceError(f"{self._what} is not open; open it first")
        return self._node

    def _broke_off(self, error: OSError) -> DeviceError:
        if error.errno == errno.ENODEV:
            return DeviceError(f"{self._what} is gone; check its cable, and plug it into the same port")
        return DeviceError(f"{self._what} broke off ({_said(error)}); check its cable")

    def _why_not(self, error: OSError) -> str:
        if error.errno in {errno.EACCES, errno.EPERM}:
            return (
                f"this user may not open {self._what}; the group video may: `sudo usermod -aG video $USER`, then log "
                "in again"
            )
        if error.errno == errno.EBUSY:
            return f"{self._what} is in use by another program; close that, then try again"
        if error.errno in {errno.ENOENT, errno.ENODEV, errno.ENXIO}:
            return f"{self._what} is not there; plug it in, and see `flex-capture devices`"
        return f"{self._what} cannot be opened ({_said(error)}); unplug it and plug it in again"


def _said(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
