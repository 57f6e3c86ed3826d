"""The contract of drivers, kept by each camera against what stands in for it."""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_v4l2 import FakeCamera, FakeNode, plug_in
from test_opencv_camera import FakeCapture

from drivers.cameras import opencv, usb_identity, v4l2, v4l2_node
from drivers.driver import Driver, TakeStart
from drivers.emulators.emulator import find_emulator, serving
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.registry import find_driver
from lab.errors import DeviceError
from lab.streams import FRAME_LABELS, Frame

SMALL = {"width": 320, "height": 240, "rate_hz": 30.0}


@pytest.fixture(params=["camera.v4l2", "camera.opencv", "camera.basler", "camera.network"])
def driver(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    name: str = request.param
    if name == "camera.basler" and importlib.util.find_spec("pypylon") is None:
        pytest.skip("pypylon is not installed")
    monkeypatch.setenv("PYLON_CAMEMU", "5")
    plug_in(tmp_path, 0, "1-2", "AB12")
    camera = FakeCamera()
    capture = FakeCapture()
    monkeypatch.setattr(v4l2_node, "open_node", lambda path: FakeNode(camera))
    monkeypatch.setattr(v4l2, "find_camera", lambda wanted: usb_identity.find_camera(wanted, tmp_path))
    monkeypatch.setattr(opencv, "open_capture", lambda where, backend: capture)

    def made(options: dict[str, Any]) -> Driver:
        kind = find_driver(name)
        return kind(kind.Config.model_validate(options), LslClock())

    if name == "camera.network":
        kind = find_emulator(name)
        stage = Stage(StageConfig(), LslClock().now_s())
        with serving(kind(kind.Config.model_validate({"width": 320, "height": 240}), stage)) as options:
            one = made(options)
            yield one
            one.close()
        return
    options = {
        "camera.v4l2": {"device": "serial:AB12", **SMALL},
        "camera.opencv": {"device": "index:0", **SMALL},
        "camera.basler": {"serial": "0815-0001", **SMALL},
    }
    one = made(options[name])
    yield one
    one.close()


def _frames(driver: Driver, count: int) -> list[Frame]:
    frames: list[Frame] = []
    deadline_s = time.monotonic() + 15
    while len(frames) < count and time.monotonic() < deadline_s:
        piece = driver.read()
        if piece is not None:
            assert isinstance(piece, Frame)
            frames.append(piece)
    return frames


@pytest.mark.slow
def test_metadata_are_complete_and_frames_fit_them(driver: Driver) -> None:
    driver.open()
    (spec,) = driver.streams()
    assert tuple(channel.label for channel in spec.channels) == FRAME_LABELS
    assert (spec.content_type, spec.format, spec.rate_hz) == ("VideoCompressed", "double64", 30.0)
    assert spec.video is not None
    assert (spec.video.width, spec.video.height) == (320, 240)
    assert driver.streams() == (spec,)
    frames = _frames(driver, 3)  # before a take they come as well, and are thrown away by who reads
    driver.start(TakeStart("view1", 0.0))
    frames += _frames(driver, 8)
    assert all(frame.stream == spec.name and frame.data[:2] == b"\xff\xd8" for frame in frames)
    assert (np.diff([frame.frame_id for frame in frames]) > 0).all()
    assert (np.diff([frame.arrival_s for frame in frames]) >= 0).all()


@pytest.mark.slow
def test_it_is_closed_and_opened_whenever_one_likes(driver: Driver) -> None:
    threads = set(threading.enumerate())
    driver.close()
    with pytest.raises(DeviceError, match="is not open"):
        driver.read()
    assert driver.streams() == ()
    for _ in range(2):
        driver.open()
        assert _frames(driver, 1)
    driver.open()  # without closing
    assert _frames(driver, 1)
    driver.close()
    driver.close()
    assert {thread for thread in threading.enumerate() if thread.name != "camera-client"} <= threads
