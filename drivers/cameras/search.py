"""Which cameras are there: USB cameras with their modes, and Basler cameras. Network cameras are not looked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from drivers.cameras import v4l2_node
from drivers.cameras import v4l2_structs as v4l2
from drivers.cameras.usb_identity import list_cameras
from drivers.cameras.v4l2_settings import Mode, modes_of, modes_said
from drivers.discovery import Found
from lab.errors import DeviceError

#: Cameras of one computer that are looked for by number where the system tells no names.
_MOST_INDICES: Final = 6
_FORMATS: Final = {"MJPG": "mjpeg", "YUYV": "yuyv", "GREY": "grey"}
_WANTED: Final = (1280, 720, 30.0)


def find_usb_cameras(seconds: float, root: Path = Path("/")) -> list[Found]:
    """Return USB cameras: by their serial numbers or ports on Linux, by OpenCV's numbers elsewhere."""
    if not sys.platform.startswith("linux"):
        return _by_index(seconds)
    cameras = list_cameras(root)
    serials = [camera.serial for camera in cameras if camera.serial]
    found = []
    for camera in cameras:
        alone = camera.serial and serials.count(camera.serial) == 1
        device = f"serial:{camera.serial}" if alone else f"port:{camera.port}" if camera.port else camera.path
        options: dict[str, Any] = {"device": device}
        try:
            modes = _modes(camera.path)
        except OSError as error:
            remark = f"it cannot be asked for its modes ({(error.strerror or str(error)).lower()})"
            found.append(Found("camera.v4l2", camera.said, options, remark))
            continue
        if not modes:
            continue  # a node for metadata or output
        mode = _nearest(modes)
        remark = ""
        if mode is not None:
            rate_hz = min(mode.rates_hz, key=lambda rate: abs(rate - _WANTED[2])) if mode.rates_hz else _WANTED[2]
            options |= {"format": _FORMATS[mode.pixel_format], "width": mode.width, "height": mode.height}
            options["rate_hz"] = rate_hz
            remark = modes_said(modes, mode.pixel_format)
        else:
            remark = f"it sends {', '.join(sorted({mode.pixel_format for mode in modes}))}, which nothing here reads"
        found.append(Found("camera.v4l2", camera.said, options, remark))
    return found


def find_basler_cameras(seconds: float) -> list[Found]:  # noqa: ARG001 - pylon takes its own second
    """Return Basler cameras; none where pylon is not installed. Raises DeviceError where pylon cannot look."""
    from drivers.cameras.basler import import_pylon

    try:
        pylon, genicam = import_pylon()
    except DeviceError:
        return []
    try:
        devices = list(pylon.TlFactory.GetInstance().EnumerateDevices())
    except genicam.GenericException as error:
        raise DeviceError(f"Basler cameras cannot be looked for ({str(error)[:100]}); install pylon anew") from None
    return [
        Found(
            "camera.basler",
            f"{device.GetModelName()} {device.GetSerialNumber()} ({device.GetDeviceClass()})",
            {"serial": device.GetSerialNumber()},
        )
        for device in devices
    ]


def _modes(path: str) -> list[Mode]:
    node = v4l2_node.open_node(path)
    try:
        capability = v4l2.Capability()
        node.ioctl(v4l2.QUERYCAP, capability)
        own = capability.capabilities & v4l2.CAP_DEVICE_CAPS
        can = capability.device_caps if own else capability.capabilities
        return modes_of(node) if can & v4l2.CAP_VIDEO_CAPTURE else []
    finally:
        node.close()


def _nearest(modes: list[Mode]) -> Mode | None:
    """Return the mode to begin with: compressed before not, then the size nearest to 720p."""
    known = [mode for mode in modes if mode.pixel_format in _FORMATS]
    order = list(_FORMATS)
    width, height, _ = _WANTED
    return min(
        known,
        key=lambda mode: (order.index(mode.pixel_format), abs(mode.width * mode.height - width * height)),
        default=None,
    )


def _by_index(seconds: float) -> list[Found]:
    """Open one number after the other until one is missing or the time is up."""
    import time

    import cv2

    from drivers.cameras.opencv import open_capture

    end_s = time.monotonic() + seconds
    backend = {"win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}.get(sys.platform, cv2.CAP_ANY)
    found = []
    for index in range(_MOST_INDICES):
        if time.monotonic() > end_s:
            break
        capture = open_capture(index, backend)
        try:
            if not capture.isOpened():
                break
            width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        finally:
            capture.release()
        remark = f"it comes up with {width:.0f}x{height:.0f} pixels; numbers change when cameras are plugged in or out"
        found.append(Found("camera.opencv", f"camera {index}", {"device": f"index:{index}"}, remark))
    return found
