"""Video4Linux2's structures and numbers, as far as a camera needs them, on 64-bit Linux.

Facts from the kernel's ``include/uapi/linux/videodev2.h`` and ``v4l2-controls.h``; a test compiles those headers and
compares.
"""

from __future__ import annotations

import ctypes
from typing import ClassVar, Final

CAP_VIDEO_CAPTURE: Final = 0x1
CAP_STREAMING: Final = 0x04000000
CAP_DEVICE_CAPS: Final = 0x80000000
BUF_TYPE_VIDEO_CAPTURE: Final = 1
MEMORY_MMAP: Final = 1
FIELD_ANY: Final = 0
BUF_FLAG_ERROR: Final = 0x40
BUF_FLAG_TIMESTAMP_MASK: Final = 0xE000
BUF_FLAG_TIMESTAMP_MONOTONIC: Final = 0x2000
FRMSIZE_TYPE_DISCRETE: Final = 1
FRMIVAL_TYPE_DISCRETE: Final = 1
CAP_TIMEPERFRAME: Final = 0x1000
CTRL_FLAG_DISABLED: Final = 0x1
CTRL_FLAG_READ_ONLY: Final = 0x4

CID_AUTO_WHITE_BALANCE: Final = 0x0098090C
CID_AUTOGAIN: Final = 0x00980912
CID_GAIN: Final = 0x00980913
CID_WHITE_BALANCE_TEMPERATURE: Final = 0x0098091A
CID_EXPOSURE_AUTO: Final = 0x009A0901
CID_EXPOSURE_ABSOLUTE: Final = 0x009A0902
CID_EXPOSURE_AUTO_PRIORITY: Final = 0x009A0903
CID_FOCUS_ABSOLUTE: Final = 0x009A090A
CID_FOCUS_AUTO: Final = 0x009A090C
EXPOSURE_MANUAL: Final = 1

_u32 = ctypes.c_uint32
_Fields = list[tuple[str, type]]


def fourcc(code: str) -> int:
    """Return a pixel format's number from its four letters."""
    return int.from_bytes(code.encode("ascii"), "little")


def fourcc_text(number: int) -> str:
    """Return a pixel format's four letters."""
    return number.to_bytes(4, "little").decode("latin-1").strip()


class Capability(ctypes.Structure):
    """``v4l2_capability``."""

    _fields_: ClassVar[_Fields] = [
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", _u32),
        ("capabilities", _u32),
        ("device_caps", _u32),
        ("reserved", _u32 * 3),
    ]


class FormatDescription(ctypes.Structure):
    """``v4l2_fmtdesc``."""

    _fields_: ClassVar[_Fields] = [
        ("index", _u32),
        ("type", _u32),
        ("flags", _u32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", _u32),
        ("mbus_code", _u32),
        ("reserved", _u32 * 3),
    ]


class FrameSize(ctypes.Structure):
    """``v4l2_frmsizeenum``; ``size`` is width and height where ``type`` is discrete, a range otherwise."""

    _fields_: ClassVar[_Fields] = [
        ("index", _u32),
        ("pixel_format", _u32),
        ("type", _u32),
        ("size", _u32 * 6),
        ("reserved", _u32 * 2),
    ]


class FrameInterval(ctypes.Structure):
    """``v4l2_frmivalenum``; ``interval`` is numerator and denominator where ``type`` is discrete."""

    _fields_: ClassVar[_Fields] = [
        ("index", _u32),
        ("pixel_format", _u32),
        ("width", _u32),
        ("height", _u32),
        ("type", _u32),
        ("interval", _u32 * 6),
        ("reserved", _u32 * 2),
    ]


class Format(ctypes.Structure):
    """``v4l2_format`` with its ``v4l2_pix_format``; the union is as long as its longest member and on 8 bytes."""

    _fields_: ClassVar[_Fields] = [
        ("type", _u32),
        ("_gap", _u32),
        ("width", _u32),
        ("height", _u32),
        ("pixelformat", _u32),
        ("field", _u32),
        ("bytesperline", _u32),
        ("sizeimage", _u32),
        ("colorspace", _u32),
        ("_rest", ctypes.c_uint8 * 172),
    ]


class StreamParameters(ctypes.Structure):
    """``v4l2_streamparm`` with its ``v4l2_captureparm``."""

    _fields_: ClassVar[_Fields] = [
        ("type", _u32),
        ("capability", _u32),
        ("capturemode", _u32),
        ("numerator", _u32),
        ("denominator", _u32),
        ("_rest", ctypes.c_uint8 * 184),
    ]


class RequestBuffers(ctypes.Structure):
    """``v4l2_requestbuffers``."""

    _fields_: ClassVar[_Fields] = [
        ("count", _u32),
        ("type", _u32),
        ("memory", _u32),
        ("capabilities", _u32),
        ("flags", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8 * 3),
    ]


class Buffer(ctypes.Structure):
    """``v4l2_buffer`` with a ``struct timeval`` of two 64-bit numbers and the union ``m`` as an offset."""

    _fields_: ClassVar[_Fields] = [
        ("index", _u32),
        ("type", _u32),
        ("bytesused", _u32),
        ("flags", _u32),
        ("field", _u32),
        ("_gap", _u32),
        ("seconds", ctypes.c_int64),
        ("microseconds", ctypes.c_int64),
        ("timecode", ctypes.c_uint8 * 16),
        ("sequence", _u32),
        ("memory", _u32),
        ("offset", ctypes.c_uint64),
        ("length", _u32),
        ("reserved2", _u32),
        ("request_fd", ctypes.c_int32),
        ("_end", _u32),
    ]


class ControlQuery(ctypes.Structure):
    """``v4l2_queryctrl``."""

    _fields_: ClassVar[_Fields] = [
        ("id", _u32),
        ("type", _u32),
        ("name", ctypes.c_char * 32),
        ("minimum", ctypes.c_int32),
        ("maximum", ctypes.c_int32),
        ("step", ctypes.c_int32),
        ("default_value", ctypes.c_int32),
        ("flags", _u32),
        ("reserved", _u32 * 2),
    ]


class Control(ctypes.Structure):
    """``v4l2_control``."""

    _fields_: ClassVar[_Fields] = [("id", _u32), ("value", ctypes.c_int32)]


def _request(direction: int, number: int, kind: type) -> int:
    """Return the number of an ioctl: direction (1 write, 2 read), size of what it takes, 'V', its own number."""
    return direction << 30 | ctypes.sizeof(kind) << 16 | ord("V") << 8 | number


QUERYCAP: Final = _request(2, 0, Capability)
ENUM_FMT: Final = _request(3, 2, FormatDescription)
G_FMT: Final = _request(3, 4, Format)
S_FMT: Final = _request(3, 5, Format)
REQBUFS: Final = _request(3, 8, RequestBuffers)
QUERYBUF: Final = _request(3, 9, Buffer)
QBUF: Final = _request(3, 15, Buffer)
DQBUF: Final = _request(3, 17, Buffer)
STREAMON: Final = _request(1, 18, ctypes.c_int)
STREAMOFF: Final = _request(1, 19, ctypes.c_int)
G_PARM: Final = _request(3, 21, StreamParameters)
S_PARM: Final = _request(3, 22, StreamParameters)
G_CTRL: Final = _request(3, 27, Control)
S_CTRL: Final = _request(3, 28, Control)
QUERYCTRL: Final = _request(3, 36, ControlQuery)
ENUM_FRAMESIZES: Final = _request(3, 74, FrameSize)
ENUM_FRAMEINTERVALS: Final = _request(3, 75, FrameInterval)
