"""What a video device can do, and setting it so that it does what was asked and nothing else."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from drivers.cameras import v4l2_structs as v4l2
from drivers.cameras.camera_config import UsbCameraConfig
from drivers.cameras.v4l2_node import Node
from lab.errors import DeviceError

#: No device has more of anything that is listed.
_MOST: Final = 128


@dataclass(frozen=True)
class Mode:
    """A size of one pixel format, and the rates it has, fastest first; none where the device does not list them."""

    pixel_format: str
    width: int
    height: int
    rates_hz: tuple[float, ...]

    @property
    def said(self) -> str:
        """The mode in words."""
        rates = "/".join(f"{rate:g}" for rate in self.rates_hz)
        return f"{self.width}x{self.height}{' at ' if rates else ''}{rates}"


def modes_of(node: Node) -> list[Mode]:
    """Return the discrete modes that the device lists, in its order."""
    modes = []
    for description in _listed(node, v4l2.ENUM_FMT, v4l2.FormatDescription(type=v4l2.BUF_TYPE_VIDEO_CAPTURE)):
        code = int(description.pixelformat)
        for size in _listed(node, v4l2.ENUM_FRAMESIZES, v4l2.FrameSize(pixel_format=code)):
            if size.type != v4l2.FRMSIZE_TYPE_DISCRETE:
                break
            width, height = int(size.size[0]), int(size.size[1])
            modes.append(Mode(v4l2.fourcc_text(code), width, height, _rates_hz(node, code, width, height)))
    return modes


def modes_said(modes: list[Mode], pixel_format: str, most: int = 12) -> str:
    """Return the modes of a pixel format in words, "" where none is listed."""
    said = [mode.said for mode in modes if mode.pixel_format == pixel_format]
    if not said:
        formats = sorted({mode.pixel_format for mode in modes})
        return f"it has no {pixel_format}, but {', '.join(formats)}" if formats else ""
    return f"its {pixel_format} modes are {', '.join(said[:most])}{' …' if len(said) > most else ''}"


def set_format(node: Node, settings: UsbCameraConfig, pixel_format: str, what: str) -> v4l2.Format:
    """Set size, pixel format and rate, read them back, and return the format.

    Raises DeviceError where the device made something else of them.
    """
    wanted = v4l2.Format(
        type=v4l2.BUF_TYPE_VIDEO_CAPTURE,
        width=settings.width,
        height=settings.height,
        pixelformat=v4l2.fourcc(pixel_format),
        field=v4l2.FIELD_ANY,
    )
    try:
        node.ioctl(v4l2.S_FMT, wanted)
        got = v4l2.Format(type=v4l2.BUF_TYPE_VIDEO_CAPTURE)
        node.ioctl(v4l2.G_FMT, got)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise DeviceError(f"{what} is in use by another program; close that, then try again") from None
        raise DeviceError(
            f"{what} refuses {pixel_format} {settings.width}x{settings.height} ({_said(error)})"
        ) from None
    is_format = v4l2.fourcc_text(got.pixelformat)
    if (is_format, got.width, got.height) != (pixel_format, settings.width, settings.height):
        modes = modes_said(modes_of(node), pixel_format)
        raise DeviceError(
            f"{what} gives {is_format} {got.width}x{got.height} instead of {pixel_format} "
            f"{settings.width}x{settings.height}{modes and '; '}{modes}"
        )
    _set_rate(node, settings, pixel_format, what)
    return got


def _set_rate(node: Node, settings: UsbCameraConfig, pixel_format: str, what: str) -> None:
    period = Fraction(1 / settings.rate_hz).limit_denominator(100_000)
    wanted = v4l2.StreamParameters(
        type=v4l2.BUF_TYPE_VIDEO_CAPTURE, numerator=period.numerator, denominator=period.denominator
    )
    got = v4l2.StreamParameters(type=v4l2.BUF_TYPE_VIDEO_CAPTURE)
    try:
        node.ioctl(v4l2.S_PARM, wanted)
        node.ioctl(v4l2.G_PARM, got)
    except OSError:
        return  # it sets no rates; what it gives is measured
    if not got.numerator or not got.denominator or not got.capability & v4l2.CAP_TIMEPERFRAME:
        return
    rate_hz = got.denominator / got.numerator
    if abs(rate_hz / settings.rate_hz - 1) > 0.02:
        modes = modes_said(modes_of(node), pixel_format)
        raise DeviceError(
            f"{what} sets itself to {rate_hz:.4g} frames per second instead of {settings.rate_hz:g} "
            f"at {settings.width}x{settings.height}{modes and '; '}{modes}"
        )


def set_controls(node: Node, settings: UsbCameraConfig, what: str) -> dict[str, str]:
    """Set what the rig says and switch its automatics off; return what was set, by name.

    Without a given exposure the camera may still not lower its rate for it. Raises DeviceError where the device has no
    such control, or made something else of a value.
    """
    done: dict[str, str] = {}
    if settings.exposure_s is None:
        with contextlib.suppress(OSError):
            node.ioctl(v4l2.S_CTRL, v4l2.Control(id=v4l2.CID_EXPOSURE_AUTO_PRIORITY, value=0))
    else:
        _set(node, v4l2.CID_EXPOSURE_AUTO, v4l2.EXPOSURE_MANUAL, "manual exposure", what, needed=True)
        units = max(1, round(settings.exposure_s * 10_000))  # of 100 us
        _set(node, v4l2.CID_EXPOSURE_ABSOLUTE, units, "exposure (in 0.1 ms)", what, needed=True)
        done["exposure_s"] = f"{units / 10_000:g}"
    for name, value, automatic, control in (
        ("gain", settings.gain, v4l2.CID_AUTOGAIN, v4l2.CID_GAIN),
        ("focus", settings.focus, v4l2.CID_FOCUS_AUTO, v4l2.CID_FOCUS_ABSOLUTE),
        (
            "white_balance_k",
            settings.white_balance_k,
            v4l2.CID_AUTO_WHITE_BALANCE,
            v4l2.CID_WHITE_BALANCE_TEMPERATURE,
        ),
    ):
        if value is not None:
            _set(node, automatic, 0, f"automatic {name}", what, needed=False)
            _set(node, control, value, name, what, needed=True)
            done[name] = str(value)
    return done


def _set(node: Node, control: int, value: int, name: str, what: str, *, needed: bool) -> None:
    query = v4l2.ControlQuery(id=control)
    try:
        node.ioctl(v4l2.QUERYCTRL, query)
        missing = bool(query.flags & (v4l2.CTRL_FLAG_DISABLED | v4l2.CTRL_FLAG_READ_ONLY))
    except OSError:
        missing = True
    if missing:
        if needed:
            raise DeviceError(f"{what} has no {name} that can be set; leave it out in the rig")
        return
    reach = f"; it goes from {query.minimum} to {query.maximum} in steps of {query.step}"
    got = v4l2.Control(id=control)
    try:
        node.ioctl(v4l2.S_CTRL, v4l2.Control(id=control, value=value))
        node.ioctl(v4l2.G_CTRL, got)
    except OSError as error:
        raise DeviceError(f"{what} refuses {name} {value} ({_said(error)}){reach}") from None
    if got.value != value:
        raise DeviceError(f"{what} makes {name} {got.value} instead of {value}{reach}")


def _rates_hz(node: Node, pixel_format: int, width: int, height: int) -> tuple[float, ...]:
    rates = []
    blank = v4l2.FrameInterval(pixel_format=pixel_format, width=width, height=height)
    for interval in _listed(node, v4l2.ENUM_FRAMEINTERVALS, blank):
        if interval.type != v4l2.FRMIVAL_TYPE_DISCRETE:
            break
        if interval.interval[0]:
            rates.append(round(interval.interval[1] / interval.interval[0], 3))
    return tuple(sorted(set(rates), reverse=True))


def _listed(node: Node, request: int, blank: Any) -> Iterator[Any]:
    """Yield the entries of a list of the device; ``blank`` says of what."""
    for index in range(_MOST):
        entry = type(blank).from_buffer_copy(blank)
        entry.index = index
        try:
            node.ioctl(request, entry)
        except OSError:
            return
        yield entry


def _said(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
