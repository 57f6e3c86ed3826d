"""The driver of cameras through OpenCV: against a capture that is faked, and one that is OpenCV's own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_v4l2 import plug_in
from pictures import HEIGHT, WIDTH, number_in, picture
from pydantic import ValidationError

from drivers.cameras import opencv, search, usb_identity
from drivers.cameras.opencv import OpencvCamera, OpencvCameraConfig
from drivers.driver import TakeStart
from drivers.host_clock import LslClock
from lab.errors import DeviceError
from lab.streams import Frame, VideoFormat
from storage.video_writer import VideoWriter

Opened = Callable[..., OpencvCamera]


class FakeCapture:
    """OpenCV's capture of a camera of 320 x 240 pixels, with what may be wrong with one."""

    def __init__(self, backend: str = "V4L2") -> None:
        self.backend = backend
        self.values: dict[int, float] = {cv2.CAP_PROP_GAIN: 10.0}
        self.refuses: set[int] = set()
        self.sizes = {(320, 240), (640, 480)}
        self.rate_hz = 30.0
        self.stamps: Callable[[int], float] = lambda number: 1000.0 + number * 33.3
        self.content: Callable[[int], bytes] = picture
        self.number = -1
        self.there = True
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return self.there

    def getBackendName(self) -> str:  # noqa: N802 - OpenCV's name
        return self.backend

    def set(self, setting: int, value: float) -> bool:
        if setting in self.refuses:
            return False
        self.values[setting] = value
        return True

    def get(self, setting: int) -> float:
        if setting == cv2.CAP_PROP_POS_MSEC:
            return self.stamps(self.number)
        size = self.values.get(cv2.CAP_PROP_FRAME_WIDTH, 0), self.values.get(cv2.CAP_PROP_FRAME_HEIGHT, 0)
        size = size if size in self.sizes else (320, 240)
        if setting == cv2.CAP_PROP_FRAME_WIDTH:
            return size[0]
        if setting == cv2.CAP_PROP_FRAME_HEIGHT:
            return size[1]
        return self.values.get(setting, 0.0)

    def grab(self) -> bool:
        if not self.there:
            return False
        time.sleep(1 / self.rate_hz)
        self.number += 1
        return True

    def retrieve(self) -> tuple[bool, Any]:
        data = self.content(self.number)
        if self.values.get(cv2.CAP_PROP_CONVERT_RGB) == 0:
            return True, np.frombuffer(data, np.uint8)[None, :]
        return True, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def release(self) -> None:
        self.released = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCapture:
    capture = FakeCapture()
    plug_in(tmp_path, 0, "1-2", "AB12")
    monkeypatch.setattr(opencv, "open_capture", lambda where, backend: capture)
    monkeypatch.setattr(opencv, "find_camera", lambda wanted: usb_identity.find_camera(wanted, tmp_path))
    return capture


@pytest.fixture
def opened() -> Iterator[Opened]:
    made: list[OpencvCamera] = []

    def open_camera(**options: Any) -> OpencvCamera:
        config = {"device": "serial:AB12", "width": WIDTH, "height": HEIGHT, "stall_s": 1.0, **options}
        made.append(OpencvCamera(OpencvCameraConfig.model_validate(config), LslClock()))
        made[-1].open()
        return made[-1]

    yield open_camera
    for camera in made:
        camera.close()


def frames_of(camera: OpencvCamera, count: int, wait_s: float = 15.0) -> list[Frame]:
    camera.start(TakeStart("view1", 0.0))
    frames: list[Frame] = []
    deadline_s = time.monotonic() + wait_s
    while len(frames) < count and time.monotonic() < deadline_s:
        frame = camera.read()
        if frame is not None:
            frames.append(frame)
    return frames


def test_on_linux_the_very_bytes_come(fake: FakeCapture, opened: Opened) -> None:
    fake.content = lambda number: picture(number) + bytes(100)
    camera = opened()
    (spec,) = camera.streams()
    assert (spec.serial, spec.model, spec.counter_origin) == ("AB12", "Fake camera", "host")
    assert spec.details["passed_through"] == "yes"
    assert "numbers no frames" in camera.remarks[0]
    for frame in frames_of(camera, 5):
        assert frame.data == picture(frame.frame_id)
        assert frame.device_time_s == pytest.approx((1000 + frame.frame_id * 33.3) / 1000)
    camera.close()
    assert fake.released


def test_elsewhere_pictures_are_compressed_again(fake: FakeCapture, opened: Opened) -> None:
    fake.backend = "DSHOW"
    camera = opened(device="index:1", exposure_s=1 / 128)
    assert fake.values[cv2.CAP_PROP_EXPOSURE] == -7  # 2^-7 s
    assert camera.streams()[0].details["passed_through"] == "no"
    frame = frames_of(camera, 1)[0]
    assert number_in(frame.data) == frame.frame_id
    assert frame.data != picture(frame.frame_id)


@pytest.mark.slow
@pytest.mark.parametrize("stamps", [lambda number: 0.0, lambda number: -1.0, lambda number: math.nan])
def test_a_time_that_is_none_is_none(fake: FakeCapture, opened: Opened, stamps: Callable[[int], float]) -> None:
    fake.stamps = stamps
    assert all(math.isnan(frame.device_time_s) for frame in frames_of(opened(), 3))


def test_times_that_stand_still_or_go_back_are_none(fake: FakeCapture, opened: Opened) -> None:
    fake.stamps = lambda number: 1000.0 + (number // 2) * 66.6
    times = np.array([frame.device_time_s for frame in frames_of(opened(), 20)])
    assert np.isnan(times).sum() in {9, 10, 11}
    assert (np.diff(times[np.isfinite(times)]) > 0).all()


@pytest.mark.slow
def test_what_is_cut_short_is_a_missing_number(fake: FakeCapture, opened: Opened) -> None:
    fake.content = lambda number: picture(number)[: -2 if number % 5 == 4 else None]
    ids = [frame.frame_id for frame in frames_of(opened(), 20)]
    assert ids == [n for n in range(ids[0], ids[-1] + 1) if n % 5 != 4]


@pytest.mark.slow
def test_other_sizes_rates_and_values_are_refused(fake: FakeCapture, opened: Opened) -> None:
    with pytest.raises(DeviceError, match="gives 320x240 pixels instead of 1920x1080"):
        opened(width=1920, height=1080)
    fake.rate_hz = 15.0
    with pytest.raises(DeviceError, match=r"gives 1\d(\.\d)? frames per second instead of 30; .*shorter exposure"):
        opened()
    fake.refuses = {cv2.CAP_PROP_GAIN}
    with pytest.raises(DeviceError, match="makes gain 10 instead of 33"):
        opened(gain=33)
    fake.there = False
    with pytest.raises(DeviceError, match="cannot be opened"):
        opened()
    with pytest.raises(DeviceError, match=r"no camera 'serial:ZZ'; there is .*serial:AB12"):
        opened(device="serial:ZZ")
    for device in ("index:x", "index:", "index:-1", "index:100", ""):
        with pytest.raises(ValidationError):
            OpencvCameraConfig(device=device)


@pytest.mark.slow
def test_unplugged_it_fails_in_time_and_comes_back(fake: FakeCapture, opened: Opened) -> None:
    threads = set(threading.enumerate())
    camera = opened()
    frames_of(camera, 2)
    fake.there = False
    with pytest.raises(DeviceError, match="no whole frame for 1 s"):
        frames_of(camera, 100)
    fake.there = True
    camera.open()
    assert len(frames_of(camera, 2)) == 2
    camera.close()
    assert set(threading.enumerate()) == threads


class Paced:
    """OpenCV's own capture of a file, at the rate of a camera."""

    def __init__(self, path: Path) -> None:
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)

    def grab(self) -> bool:
        time.sleep(1 / 30)
        return bool(self._capture.grab())


def test_opencvs_own_capture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "film.mov"
    writer = VideoWriter(path, VideoFormat("mjpeg", WIDTH, HEIGHT), 30.0)
    for number in range(300):
        writer.write(picture(number), number * 33_333)
    writer.close()
    monkeypatch.setattr(opencv, "open_capture", lambda where, backend: Paced(path))
    frames = frames_of(opened(device="index:0"), 10)
    for frame in frames:
        assert number_in(frame.data) == frame.frame_id
        assert frame.device_time_s == pytest.approx(frame.frame_id / 30, abs=1e-3)


def test_a_camera_that_is_not_there_through_opencv_itself(opened: Opened) -> None:
    with pytest.raises(DeviceError, match="cannot be opened"):
        opened(device="index:77")


def test_elsewhere_cameras_are_looked_for_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    captures = [FakeCapture("DSHOW"), FakeCapture("DSHOW")]

    def open_capture(where: int, backend: int) -> FakeCapture:
        if where < 2:
            return captures[where]
        missing = FakeCapture()
        missing.there = False
        return missing

    monkeypatch.setattr(search.sys, "platform", "win32")
    monkeypatch.setattr(opencv, "open_capture", open_capture)
    found = search.find_usb_cameras(2.0)
    assert [entry.options for entry in found] == [{"device": "index:0"}, {"device": "index:1"}]
    assert all(capture.released for capture in captures)
