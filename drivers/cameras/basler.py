"""Basler cameras through pylon (extra ``basler``): the camera's count of its frames and its own clock.

They send uncompressed pictures, which are compressed here. A frame that arrived incompletely is no frame: its number is
missing.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from drivers.cameras.camera import RATE_TOLERANCE, Camera, Connected
from drivers.cameras.camera_config import CameraConfig
from drivers.cameras.frame_count import FrameCount
from drivers.cameras.picture_encoding import encode_bayer, encode_bgr, encode_grey
from drivers.cameras.pylon_settings import PylonSettings
from drivers.driver import DriverConfig, config_of
from drivers.host_clock import HostClock
from lab.errors import DeviceError
from lab.streams import Frame

_BUFFERS: Final = 60
_NO_BLOCK_ID: Final = 2**64 - 1
#: GigE cameras without extended ids count 1 … 65535 and then 1 again.
_SHORT_IDS: Final = 65535
_NS_HZ: Final = 1e9
#: Class of the cameras that pylon makes up where PYLON_CAMEMU says how many.
_EMULATED: Final = "BaslerCamEmu"

PixelFormat = Literal["BayerRG8", "BayerBG8", "BayerGR8", "BayerGB8", "Mono8", "BGR8", "RGB8"]


class BaslerCameraConfig(CameraConfig):
    """A camera that is named by its serial number."""

    serial: str = Field("", max_length=64, description="Serial number on its label; may be left out for the only one.")
    width: int = Field(1280, ge=16, le=16384, description="Image width in pixels.")
    height: int = Field(720, ge=16, le=16384, description="Image height in pixels.")
    rate_hz: float = Field(30.0, gt=0, le=1000, description="Frames per second, also where a trigger makes them.")
    pixel_format: PixelFormat = Field("BayerRG8", description="How it sends pixels; 8 bits, mosaic where it has one.")
    quality: int = Field(85, ge=1, le=100, description="JPEG quality.")
    exposure_s: float | None = Field(None, gt=0, le=10, description="Exposure in seconds; the camera's choice if none.")
    gain: float | None = Field(None, ge=-100, le=100_000, description="Gain in dB, or the raw value of older cameras.")
    trigger: str = Field(
        "", max_length=32, description="Input that triggers each frame, such as Line1; the camera's own rate if none."
    )


class BaslerCamera(Camera):
    """One view. ``frame_id`` is the camera's BlockID."""

    Config: ClassVar[type[DriverConfig]] = BaslerCameraConfig

    def __init__(self, config: DriverConfig, clock: HostClock) -> None:
        super().__init__(config, clock)
        self._settings = config_of(config, BaslerCameraConfig)
        self._camera: Any = None
        self._pylon: Any = None
        self._genicam: Any = None
        self._count = FrameCount(1 << 64)
        self._tick_hz = _NS_HZ

    def _connect(self) -> Connected:
        self._pylon, self._genicam = import_pylon()
        settings = self._settings
        if settings.pixel_format.startswith("Bayer"):
            import cv2

            cv2.setNumThreads(1)  # five cameras share the processor
        info = self._device_info()
        self._what = f"the Basler camera {info.GetModelName()} {info.GetSerialNumber()}"
        try:
            self._camera = self._pylon.InstantCamera(self._pylon.TlFactory.GetInstance().CreateDevice(info))
            self._camera.Open()
        except self._genicam.GenericException as error:
            raise DeviceError(
                f"{self._what} cannot be opened ({_said(error)}); does another program hold it?"
            ) from None
        done = self._set_up()
        short = "GigE" in info.GetDeviceClass() and self._short_ids()
        self._count = FrameCount(_SHORT_IDS if short else 1 << 64)
        try:
            self._camera.MaxNumBuffer.SetValue(_BUFFERS)
            self._camera.StartGrabbing(self._pylon.GrabStrategy_OneByOne)
        except self._genicam.GenericException as error:
            raise DeviceError(f"{self._what} does not begin to send ({_said(error)}); unplug it for a moment") from None
        return Connected(
            width=settings.width,
            height=settings.height,
            rate_hz=settings.rate_hz,
            manufacturer="Basler",
            model=info.GetModelName(),
            serial=info.GetSerialNumber(),
            clock="camera's own, where it has one",
            help="give a shorter exposure_s, a smaller picture or a link of its own, which limit the rate",
            may_be_silent=bool(settings.trigger),
            simulated=info.GetDeviceClass() == _EMULATED,
            details=done,
        )

    def _device_info(self) -> Any:
        try:
            devices = list(self._pylon.TlFactory.GetInstance().EnumerateDevices())
        except self._genicam.GenericException as error:
            raise DeviceError(f"Basler cameras cannot be looked for ({_said(error)}); install pylon anew") from None
        wanted = self._settings.serial
        matching = [device for device in devices if wanted in {"", device.GetSerialNumber()}]
        if len(matching) == 1:
            return matching[0]
        there = ", ".join(f"{device.GetModelName()} {device.GetSerialNumber()}" for device in devices) or "none"
        if not matching:
            of_serial = f" with serial number {wanted}" if wanted else ""
            raise DeviceError(f"there is no Basler camera{of_serial}; there is {there}; check its cable and power")
        raise DeviceError(f"there are {len(matching)} Basler cameras; say 'serial' in the rig: {there}")

    def _set_up(self) -> dict[str, str]:
        settings, nodes = self._settings, PylonSettings(self._camera, self._what)
        for offset in ("OffsetX", "OffsetY"):
            nodes.set([offset], 0, needed=False)
        nodes.set(["Width"], settings.width)
        nodes.set(["Height"], settings.height)
        packed = {"BGR8": ["BGR8", "BGR8Packed"], "RGB8": ["RGB8", "RGB8Packed"]}
        names = packed.get(settings.pixel_format, [settings.pixel_format])
        has = [name for name in names if name in self._camera.PixelFormat.GetSymbolics()]
        nodes.set(["PixelFormat"], (has or names)[0])
        nodes.set(["AcquisitionMode"], "Continuous", needed=False)
        if settings.exposure_s is not None:
            nodes.set(["ExposureAuto"], "Off", needed=False)
            nodes.set(["ExposureTime", "ExposureTimeAbs"], settings.exposure_s * 1e6, tolerance=0.02)
        if settings.gain is not None:
            nodes.set(["GainAuto"], "Off", needed=False)
            if nodes.value("Gain") is not None:
                nodes.set(["Gain"], settings.gain, tolerance=0.05)
            else:
                nodes.set(["GainRaw"], round(settings.gain))
        nodes.set(["TriggerSelector"], "FrameStart", needed=bool(settings.trigger))
        nodes.set(["TriggerMode"], "On" if settings.trigger else "Off", needed=bool(settings.trigger))
        if settings.trigger:
            nodes.set(["TriggerSource"], settings.trigger)
            nodes.set(["TriggerActivation"], "RisingEdge", needed=False)
            nodes.set(["AcquisitionFrameRateEnable"], False, needed=False)  # noqa: FBT003 - the camera's own word
        else:
            nodes.set(["AcquisitionFrameRateEnable"], True, needed=False)  # noqa: FBT003 - the camera's own word
            nodes.set(["AcquisitionFrameRate", "AcquisitionFrameRateAbs"], settings.rate_hz, tolerance=0.01)
        possible_hz = nodes.value("ResultingFrameRate", "ResultingFrameRateAbs", "BslResultingAcquisitionFrameRate")
        if possible_hz is not None and possible_hz < settings.rate_hz * (1 - RATE_TOLERANCE):
            raise DeviceError(
                f"{self._what} can give {possible_hz:.4g} frames per second and not {settings.rate_hz:g} with these "
                "settings; give a shorter exposure_s or a smaller picture"
            )
        self._tick_hz = float(nodes.value("GevTimestampTickFrequency") or _NS_HZ)
        return nodes.done

    def _short_ids(self) -> bool:
        extended = PylonSettings(self._camera, self._what).value("GevGVSPExtendedIDMode", "BslGevGVSPExtendedIDMode")
        return extended is None or str(extended) == "Off"

    def _next(self, wait_s: float) -> Frame | None:
        camera = self._camera
        if camera is None:
            raise DeviceError(f"{self._what} is not open; open it first")
        try:
            result = camera.RetrieveResult(max(1, round(wait_s * 1000)), self._pylon.TimeoutHandling_Return)
            arrival_s = self._clock.now_s()
            if not result.IsValid():
                if camera.IsCameraDeviceRemoved():
                    raise DeviceError(f"{self._what} is gone; check its cable and its power")
                return None
            with contextlib.closing(_Released(result)):
                return self._frame(result, arrival_s)
        except self._genicam.GenericException as error:
            raise DeviceError(f"{self._what} broke off ({_said(error)}); check its cable and its power") from None

    def _frame(self, result: Any, arrival_s: float) -> Frame | None:
        block_id = int(result.BlockID)
        if block_id == _NO_BLOCK_ID:
            raise DeviceError(f"{self._what} does not number its frames; update its firmware")
        frame_id = self._count.next(block_id)
        if not result.GrabSucceeded():
            self.broken += 1
            return None
        if frame_id is None:
            return None
        ticks = int(result.TimeStamp)
        device_time_s = ticks / self._tick_hz if ticks else math.nan
        return Frame("", frame_id, device_time_s, arrival_s, b"" if self._looking else self._encoded(result))

    def _encoded(self, result: Any) -> bytes:
        kind, quality = self._settings.pixel_format, self._settings.quality
        with result.GetArrayZeroCopy() as image:
            if kind.startswith("Bayer"):
                return encode_bayer(image, kind[5:7], quality)
            if kind == "Mono8":
                return encode_grey(image, quality)
            return encode_bgr(image if kind == "BGR8" else image[:, :, ::-1], quality)

    def _free(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            for step in (camera.StopGrabbing, camera.Close, camera.DestroyDevice):
                with contextlib.suppress(self._genicam.GenericException):
                    step()


class _Released:
    """A grab result that goes back to its camera at the end."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def close(self) -> None:
        self._result.Release()


def import_pylon() -> tuple[Any, Any]:
    """Return pypylon's two modules. Raises DeviceError where it is not installed."""
    try:
        # its types warn as they are made, and it crashes where warnings are errors
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pypylon import genicam, pylon
    except ImportError:
        raise DeviceError("pypylon is not installed; `pip install 'flex-capture[basler]'`") from None
    return pylon, genicam


def _said(error: Exception) -> str:
    return str(error).partition(" : ")[0].strip().rstrip(".").lower()[:120] or type(error).__name__
