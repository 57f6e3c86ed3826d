"""USB cameras through OpenCV: on Windows and macOS, and on Linux where Video4Linux2 itself will not do.

OpenCV tells no frame numbers: ``frame_id`` counts what was fetched, and a loss shows in time alone. On Linux take
``camera.v4l2``. Where OpenCV hands out a camera's JPEG images (Linux) they are recorded as they are; elsewhere it
decodes them, and they are compressed again.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Any, ClassVar, Final, Literal

import numpy as np
from pydantic import Field, field_validator

from drivers.cameras.camera import Camera, Connected
from drivers.cameras.camera_config import UsbCameraConfig
from drivers.cameras.picture_encoding import encode_bgr, encode_grey
from drivers.cameras.usb_identity import UsbCamera, find_camera
from drivers.cameras.waiting_frames import WaitingFrames
from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import Frame

#: OpenCV itself gives a camera up after ten seconds.
_JOIN_S: Final = 12.0
_RETRY_S: Final = 0.02
_RATE_HELP: Final = "give a shorter exposure_s or more light, which limit the rate, or a smaller picture"


class OpencvCameraConfig(UsbCameraConfig):
    """A camera that OpenCV opens; ``index:N`` is the N-th one and the only name that Windows and macOS have."""

    format: Literal["mjpeg", "yuyv"] = Field(
        "mjpeg", description="What to ask of the camera: compressed pictures, or uncompressed ones."
    )

    @field_validator("device")
    @classmethod
    def _index_is_a_number(cls, device: str) -> str:
        if device.startswith("index:") and not (device[6:].isdecimal() and int(device[6:]) < 100):
            raise ValueError("device is index:N with a number from 0 to 99, serial:…, port:… or a path")
        return device


class OpencvCamera(Camera):
    """One view."""

    Config: ClassVar[type[DriverConfig]] = OpencvCameraConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        super().__init__(config, clock)
        self._settings = config_of(config, OpencvCameraConfig)
        self._capture: Any = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._waiting = WaitingFrames[tuple[int, float, float, Any]]()
        self._compressed = False
        self._last_stamp_s = math.nan

    def _connect(self) -> Connected:
        import cv2

        settings = self._settings
        where, backend, camera = self._place()
        self._what = f"the camera {camera.name} at {camera.path}" if camera else f"the camera {settings.device}"
        self._capture = open_capture(where, backend)
        if not self._capture.isOpened():
            raise DeviceError(f"{self._what} cannot be opened; is it plugged in, and used by no other program?")
        done = self._set_up()
        self._waiting, self._last_stamp_s = WaitingFrames(), math.nan
        self._stop.clear()
        self._thread = threading.Thread(target=self._fetch, name="opencv-camera", daemon=True)
        self._thread.start()
        self.remarks = (f"{self._what} numbers no frames through OpenCV: a lost one shows in time alone",)
        return Connected(
            width=settings.width,
            height=settings.height,
            rate_hz=settings.rate_hz,
            counter_origin="host",
            manufacturer=camera.manufacturer if camera else "",
            model=camera.name if camera else "",
            serial=camera.serial if camera else "",
            clock="OpenCV's CAP_PROP_POS_MSEC, where there is one",
            clock_is_real=False,
            help=_RATE_HELP,
            details={"backend": self._capture.getBackendName(), "opencv": cv2.__version__, **done},
        )

    def _place(self) -> tuple[str | int, int, UsbCamera | None]:
        """Return what OpenCV calls the camera, through what it opens it, and what is known of it."""
        import cv2

        device = self._settings.device
        if device.startswith("index:"):
            own = {"win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
            return int(device[6:]), own.get(sys.platform, cv2.CAP_V4L2), None
        if not sys.platform.startswith("linux"):
            raise DeviceError(f"{device} cannot be told on this system; say index:0, or index:1 and so on, in the rig")
        camera = find_camera(device)
        return camera.path, cv2.CAP_V4L2, camera

    def _set_up(self) -> dict[str, str]:
        """Set what the rig says, and read it back. Raises DeviceError."""
        import cv2

        settings, capture = self._settings, self._capture
        code = "MJPG" if settings.format == "mjpeg" else "YUYV"
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*code))  # first: sizes and rates depend on it
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, settings.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, settings.height)
        capture.set(cv2.CAP_PROP_FPS, settings.rate_hz)
        size = round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if size != (settings.width, settings.height):
            raise DeviceError(
                f"{self._what} gives {size[0]}x{size[1]} pixels instead of {settings.width}x{settings.height}; "
                "ask for a size that it has"
            )
        done = {"asked": code}
        linux = capture.getBackendName() == "V4L2"
        if settings.exposure_s is not None:
            # V4L2 counts 0.1 ms, Windows powers of two of a second
            value = settings.exposure_s * 10_000 if linux else math.log2(settings.exposure_s)
            self._set(cv2.CAP_PROP_AUTO_EXPOSURE, 1 if linux else 0.25, "manual exposure", read_back=False)
            self._set(cv2.CAP_PROP_EXPOSURE, round(value), "exposure")
            done["exposure_s"] = f"{round(value) / 10_000 if linux else 2.0 ** round(value):g}"
        if settings.gain is not None:
            self._set(cv2.CAP_PROP_GAIN, settings.gain, "gain")
            done["gain"] = str(settings.gain)
        if settings.focus is not None:
            self._set(cv2.CAP_PROP_AUTOFOCUS, 0, "automatic focus", read_back=False)
            self._set(cv2.CAP_PROP_FOCUS, settings.focus, "focus")
            done["focus"] = str(settings.focus)
        if settings.white_balance_k is not None:
            self._set(cv2.CAP_PROP_AUTO_WB, 0, "automatic white balance", read_back=False)
            self._set(cv2.CAP_PROP_WB_TEMPERATURE, settings.white_balance_k, "white balance")
            done["white_balance_k"] = str(settings.white_balance_k)
        got = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        # only Video4Linux2 hands out the bytes themselves
        self._compressed = (
            linux and got == cv2.VideoWriter.fourcc(*"MJPG") and bool(capture.set(cv2.CAP_PROP_CONVERT_RGB, 0))
        )
        done["passed_through"] = "yes" if self._compressed else "no"
        return done

    def _set(self, setting: int, value: float, name: str, *, read_back: bool = True) -> None:
        taken = self._capture.set(setting, value)
        got = self._capture.get(setting)
        if read_back and (not taken or round(got) != round(value)):
            raise DeviceError(f"{self._what} makes {name} {got:g} instead of {value:g}; give another, or leave it out")

    def _fetch(self) -> None:
        """Fetch frames until told to stop; runs in a thread, since OpenCV waits as long as it likes."""
        import cv2

        capture, waiting, number = self._capture, self._waiting, 0
        while not self._stop.is_set():
            if not capture.grab():
                time.sleep(_RETRY_S)  # silence is noticed by who reads
                continue
            arrival_s = self._clock.now_s()
            stamp_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) * 1e-3
            fetched, image = capture.retrieve()
            if fetched and image is not None:
                content = image.tobytes() if self._compressed else image
                waiting.put((number, stamp_s, arrival_s, content), len(content) if self._compressed else image.nbytes)
            number += 1

    def _next(self, wait_s: float) -> Frame | None:
        taken = self._waiting.take(wait_s)
        if taken is None:
            return None
        number, stamp_s, arrival_s, content = taken
        image = self._whole(content) if self._compressed else self._encoded(content)
        if image is None:
            return None
        device_time_s = stamp_s if stamp_s > 0 and not stamp_s <= self._last_stamp_s else math.nan
        self._last_stamp_s = stamp_s
        return Frame("", number, device_time_s, arrival_s, image)

    def _encoded(self, image: Any) -> bytes | None:
        picture = np.asarray(image, dtype=np.uint8)
        if self._looking and picture.shape[:2] == (self._settings.height, self._settings.width):
            return b""
        data = (
            encode_grey(picture, self._settings.quality)
            if picture.ndim == 2
            else encode_bgr(picture, self._settings.quality)
        )
        return self._whole(data)

    def _free(self) -> None:
        self._stop.set()
        thread, self._thread = self._thread, None
        capture, self._capture = self._capture, None
        if thread is not None:
            thread.join(_JOIN_S)
            if thread.is_alive():
                return  # it still uses the camera, which nobody else may let go of meanwhile
        if capture is not None:
            capture.release()


def open_capture(where: str | int, backend: int) -> Any:
    """Return OpenCV's capture of a camera; tests put one of their own in its place."""
    import cv2

    log = cv2.utils.logging
    log.setLogLevel(log.LOG_LEVEL_SILENT)  # our own sentence says it better
    return cv2.VideoCapture(where, backend)
