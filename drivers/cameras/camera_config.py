"""What configs of cameras share."""

from __future__ import annotations

from pydantic import Field

from drivers.driver import DriverConfig


class CameraConfig(DriverConfig):
    """Options of every camera."""

    stall_s: float = Field(5.0, ge=0.5, le=60, description="Seconds without a frame after which the camera has failed.")


class UsbCameraConfig(CameraConfig):
    """Options of USB cameras: which one, how its pictures are, and what is not left to its automatics."""

    device: str = Field(
        min_length=1,
        max_length=500,
        description="Which camera: serial:NUMBER, port:PLACE (the USB port, such as 1-2.3), or a path or index:N.",
    )
    width: int = Field(1280, ge=16, le=16384, description="Image width in pixels.")
    height: int = Field(720, ge=16, le=16384, description="Image height in pixels.")
    rate_hz: float = Field(30.0, gt=0, le=1000, description="Frames per second.")
    quality: int = Field(90, ge=1, le=100, description="JPEG quality where the camera does not compress.")
    exposure_s: float | None = Field(None, gt=0, le=10, description="Exposure in seconds; the camera's choice if none.")
    gain: int | None = Field(None, ge=-(2**31), lt=2**31, description="Gain in the camera's units; its choice if none.")
    focus: int | None = Field(
        None, ge=-(2**31), lt=2**31, description="Focus in the camera's units; the camera's choice if none."
    )
    white_balance_k: int | None = Field(
        None, ge=1000, le=20000, description="White balance in kelvin; the camera's choice if none."
    )
