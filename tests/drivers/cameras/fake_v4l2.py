"""A USB camera below the ioctls: what a kernel would answer, and frames in real time. And a /sys that lists it."""

from __future__ import annotations

import ctypes
import errno
import math
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pictures import picture

from drivers.cameras import v4l2_structs as v4l2

BUFFER_BYTES = 200_000


@dataclass
class Sent:
    """One frame as the device gives it."""

    data: bytes
    sequence: int
    stamp_s: float
    flags: int = v4l2.BUF_FLAG_TIMESTAMP_MONOTONIC


def as_asked(number: int) -> Sent:
    return Sent(picture(number), number, time.monotonic())


@dataclass
class FakeCamera:
    """What the device is, and what is wrong with it."""

    modes: dict[str, dict[tuple[int, int], tuple[int, ...]]] = field(
        default_factory=lambda: {
            "MJPG": {(320, 240): (60, 30, 15), (1280, 720): (30, 15)},
            "YUYV": {(320, 240): (30,), (1280, 720): (10,)},
            "GREY": {(320, 240): (30,)},
        }
    )
    controls: dict[int, tuple[int, int, int]] = field(
        default_factory=lambda: {
            v4l2.CID_EXPOSURE_AUTO: (0, 3, 3),
            v4l2.CID_EXPOSURE_ABSOLUTE: (3, 2047, 250),
            v4l2.CID_EXPOSURE_AUTO_PRIORITY: (0, 1, 1),
            v4l2.CID_GAIN: (0, 255, 10),
            v4l2.CID_FOCUS_AUTO: (0, 1, 1),
            v4l2.CID_FOCUS_ABSOLUTE: (0, 250, 0),
        }
    )
    frame: Callable[[int], Sent] = as_asked
    sticky: dict[int, int] = field(default_factory=dict)  # controls that keep a value of their own
    really_hz: float | None = None  # what it gives, whatever it says
    sets_hz: float | None = None  # what it sets itself to, and says
    fails: dict[int, int] = field(default_factory=dict)  # ioctl -> errno
    capabilities: int = v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_STREAMING
    gone: bool = False
    silent: bool = False
    opened: int = 0
    values: dict[int, int] = field(default_factory=dict)


class FakeNode:
    """An open node of it; closing checks that the driver let go of everything."""

    def __init__(self, camera: FakeCamera) -> None:
        self.camera = camera
        self.maps: list[_Map] = []
        self.queued: deque[int] = deque()
        self.mode = ("MJPG", 320, 240)
        self.rate_hz = 30.0
        self.began_s = math.nan
        self.number = 0
        camera.opened += 1

    def ioctl(self, request: int, argument: Any) -> None:
        if self.camera.gone:
            raise OSError(errno.ENODEV, "No such device")
        if request in self.camera.fails:
            raise OSError(self.camera.fails[request], "said no")
        answers = {
            v4l2.QUERYCAP: self._capability,
            v4l2.ENUM_FMT: self._format_at,
            v4l2.ENUM_FRAMESIZES: self._size_at,
            v4l2.ENUM_FRAMEINTERVALS: self._interval_at,
            v4l2.S_FMT: self._set_format,
            v4l2.G_FMT: self._say_format,
            v4l2.S_PARM: self._set_rate,
            v4l2.G_PARM: self._say_rate,
            v4l2.QUERYCTRL: self._query,
            v4l2.S_CTRL: self._set_control,
            v4l2.G_CTRL: self._say_control,
            v4l2.REQBUFS: self._request,
            v4l2.QUERYBUF: self._query_buffer,
            v4l2.QBUF: lambda buffer: self.queued.append(buffer.index),
            v4l2.DQBUF: self._dequeue,
            v4l2.STREAMON: self._on,
            v4l2.STREAMOFF: self._off,
        }
        answers[request](argument)

    def map(self, length: int, offset: int) -> Any:
        assert length == BUFFER_BYTES
        mapped = _Map(length)
        assert offset == len(self.maps) * 4096
        self.maps.append(mapped)
        return mapped

    def ready(self, wait_s: float) -> bool:
        if self.camera.gone:
            return True
        due_s = self.began_s + (self.number + 1) / (self.camera.really_hz or self.rate_hz)
        if self.camera.silent or math.isnan(due_s) or not self.queued:
            time.sleep(wait_s)
            return False
        time.sleep(min(max(0.0, due_s - time.monotonic()), wait_s))
        return time.monotonic() >= due_s

    def close(self) -> None:
        assert all(mapped.closed for mapped in self.maps)
        self.camera.opened -= 1

    def _capability(self, it: Any) -> None:
        it.card, it.driver = b"Fake camera", b"uvcvideo"
        it.capabilities = self.camera.capabilities | v4l2.CAP_DEVICE_CAPS | v4l2.CAP_VIDEO_CAPTURE
        it.device_caps = self.camera.capabilities

    def _format_at(self, it: Any) -> None:
        it.pixelformat = v4l2.fourcc(_nth(list(self.camera.modes), it.index))

    def _size_at(self, it: Any) -> None:
        it.type = v4l2.FRMSIZE_TYPE_DISCRETE
        it.size[0], it.size[1] = _nth(list(self.camera.modes[v4l2.fourcc_text(it.pixel_format)]), it.index)

    def _interval_at(self, it: Any) -> None:
        it.type = v4l2.FRMIVAL_TYPE_DISCRETE
        rates = self.camera.modes[v4l2.fourcc_text(it.pixel_format)][(it.width, it.height)]
        it.interval[0], it.interval[1] = 1, _nth(rates, it.index)

    def _set_format(self, it: Any) -> None:
        code = v4l2.fourcc_text(it.pixelformat)
        code = code if code in self.camera.modes else next(iter(self.camera.modes))
        sizes = self.camera.modes[code]
        width, height = min(sizes, key=lambda size: abs(size[0] - it.width))
        self.mode = (code, width, height)
        self._say_format(it)

    def _say_format(self, it: Any) -> None:
        it.pixelformat, it.width, it.height = v4l2.fourcc(self.mode[0]), self.mode[1], self.mode[2]
        it.bytesperline = {"MJPG": 0, "YUYV": 2, "GREY": 1}[self.mode[0]] * self.mode[1]
        it.sizeimage = BUFFER_BYTES

    def _set_rate(self, it: Any) -> None:
        self.rate_hz = self.camera.sets_hz or it.denominator / it.numerator

    def _say_rate(self, it: Any) -> None:
        it.capability = v4l2.CAP_TIMEPERFRAME
        it.numerator, it.denominator = 1000, round(self.rate_hz * 1000)

    def _query(self, it: Any) -> None:
        if it.id not in self.camera.controls:
            raise OSError(errno.EINVAL, "Invalid argument")
        it.minimum, it.maximum, it.default_value = self.camera.controls[it.id]
        it.step = 1

    def _set_control(self, it: Any) -> None:
        low, high, _ = self.camera.controls.get(it.id, (1, 0, 0))
        if not low <= it.value <= high:
            raise OSError(errno.ERANGE, "Numerical result out of range")
        self.camera.values[it.id] = self.camera.sticky.get(it.id, it.value)

    def _say_control(self, it: Any) -> None:
        it.value = self.camera.values[it.id]

    def _request(self, it: Any) -> None:
        it.count = 4  # fewer than asked for, as drivers may

    def _query_buffer(self, it: Any) -> None:
        it.length, it.offset = BUFFER_BYTES, it.index * 4096

    def _on(self, it: Any) -> None:
        assert isinstance(it, ctypes.c_int)
        assert it.value == v4l2.BUF_TYPE_VIDEO_CAPTURE
        self.began_s, self.number = time.monotonic(), 0

    def _off(self, it: Any) -> None:
        self.began_s = math.nan

    def _dequeue(self, it: Any) -> None:
        index = self.queued.popleft()
        sent = self.camera.frame(self.number)
        self.number += 1
        self.maps[index].data[: len(sent.data)] = sent.data
        it.index, it.bytesused, it.flags, it.sequence = index, len(sent.data), sent.flags, sent.sequence % 2**32
        it.seconds, it.microseconds = int(sent.stamp_s), round(sent.stamp_s % 1 * 1e6) % 1_000_000


class _Map:
    def __init__(self, length: int) -> None:
        self.data = bytearray(length)
        self.closed = False

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, part: slice) -> bytes:
        return bytes(self.data[part])

    def close(self) -> None:
        self.closed = True


def _nth(entries: Any, index: int) -> Any:
    if index >= len(entries):
        raise OSError(errno.EINVAL, "Invalid argument")
    return entries[index]


def plug_in(root: Path, number: int, port: str, serial: str = "", name: str = "Fake camera") -> Path:
    """List a USB camera in a /sys and /dev below ``root`` as Linux does; return its node."""
    if sys.platform == "win32":
        pytest.skip("Video4Linux2 and its links need Linux")
    device = root / "sys/devices/pci0000:00/usb1" / port
    interface = device / f"{port}:1.0"
    for index, node_number in enumerate((number, number + 1)):  # pictures, then metadata
        node = interface / "video4linux" / f"video{node_number}"
        node.mkdir(parents=True)
        (node / "index").write_text(f"{index}\n")
        (node / "name").write_text(f"{name}: {name}\n")
        (node / "device").symlink_to(interface)
        listing = root / "sys/class/video4linux"
        listing.mkdir(parents=True, exist_ok=True)
        (listing / node.name).symlink_to(node)
        (root / "dev/v4l/by-path").mkdir(parents=True, exist_ok=True)
        (root / "dev/v4l/by-id").mkdir(parents=True, exist_ok=True)
        (root / "dev" / node.name).touch()
        by_path = root / f"dev/v4l/by-path/pci-0000:00:14.0-usb-0:{port}:1.0-video-index{index}"
        by_path.symlink_to(root / "dev" / node.name)
        by_id = root / f"dev/v4l/by-id/usb-Maker_{name.replace(' ', '_')}_{serial or '0'}-video-index{index}"
        if not by_id.is_symlink():
            by_id.symlink_to(root / "dev" / node.name)
    (device / "idVendor").write_text("046d\n")
    (device / "manufacturer").write_text("Maker\n")
    if serial:
        (device / "serial").write_text(f"{serial}\n")
    return root / "dev" / f"video{number}"
