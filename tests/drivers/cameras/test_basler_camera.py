"""The driver of Basler cameras against pylon's own emulation of them."""

from __future__ import annotations

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import simplejpeg

from drivers.cameras import basler, search
from drivers.cameras.basler import BaslerCamera, BaslerCameraConfig
from drivers.cameras.frame_count import FrameCount
from drivers.cameras.picture_encoding import encode_bayer
from drivers.driver import TakeStart
from drivers.host_clock import LslClock
from lab.errors import DeviceError
from lab.streams import Frame

Opened = Callable[..., BaslerCamera]


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    monkeypatch.setenv("PYLON_CAMEMU", "5")
    if importlib.util.find_spec("pypylon") is None:
        pytest.skip("pypylon is not installed")
    made: list[BaslerCamera] = []

    def opened(**options: Any) -> BaslerCamera:
        config = {"serial": "0815-0001", "width": 320, "height": 240, "stall_s": 1.0, **options}
        made.append(BaslerCamera(BaslerCameraConfig.model_validate(config), LslClock()))
        made[-1].open()
        return made[-1]

    yield opened
    for one in made:
        one.close()
        one.close()


def frames_of(one: BaslerCamera, count: int, wait_s: float = 10.0) -> list[Frame]:
    one.start(TakeStart("view1", 0.0))
    frames: list[Frame] = []
    deadline_s = time.monotonic() + wait_s
    while len(frames) < count and time.monotonic() < deadline_s:
        frame = one.read()
        if frame is not None:
            frames.append(frame)
    return frames


@pytest.mark.slow
@pytest.mark.parametrize("pixel_format", ["BayerRG8", "Mono8", "RGB8", "BGR8"])
def test_frames_carry_the_cameras_count_and_no_invented_time(camera: Opened, pixel_format: str) -> None:
    one = camera(pixel_format=pixel_format, exposure_s=0.004, gain=3.0)
    (spec,) = one.streams()
    assert spec.video is not None
    assert (spec.video.codec, spec.video.width, spec.video.height, spec.rate_hz) == ("mjpeg", 320, 240, 30.0)
    assert (spec.manufacturer, spec.model, spec.serial) == ("Basler", "Emulation", "0815-0001")
    assert spec.simulated
    assert spec.counter_origin == "device"
    assert spec.details["ExposureTime"] == "4000"
    frames = frames_of(one, 8)
    assert (np.diff([frame.frame_id for frame in frames]) == 1).all()
    assert all(math.isnan(frame.device_time_s) for frame in frames)  # the emulation's time stamp is 0
    assert simplejpeg.decode_jpeg(frames[0].data).shape == (240, 320, 3)


@pytest.mark.slow
def test_incomplete_frames_are_missing_numbers(camera: Opened) -> None:
    one = camera()
    nodes = one._camera.GetNodeMap()
    nodes.GetNode("ForceFailedBufferCount").SetValue(4)
    first = frames_of(one, 2)
    nodes.GetNode("ForceFailedBuffer").Execute()
    ids = [frame.frame_id for frame in [*first, *frames_of(one, 25)]]
    assert one.broken == 4
    assert ids[-1] - ids[0] + 1 - len(ids) == 4


def test_cameras_are_told_by_their_serial_numbers(camera: Opened) -> None:
    with pytest.raises(DeviceError, match=r"there are \d Basler cameras; say 'serial' in the rig: Emulation 0815-0000"):
        camera(serial="")
    with pytest.raises(DeviceError, match="no Basler camera with serial number 4711; there is Emulation 0815-0000"):
        camera(serial="4711")
    found = search.find_basler_cameras(1.0)
    assert {"serial": "0815-0001"} in [entry.options for entry in found]
    assert {entry.driver for entry in found} == {"camera.basler"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 5000}, r"refuses Width 5000; it goes from 1 to 4096 in steps of 1"),
        ({"gain": 99.0}, r"refuses Gain 99\.0; it goes from 0 to 48"),
        ({"trigger": "Line9"}, r"refuses TriggerSource Line9; it has Software, Line1"),
    ],
)
def test_settings_that_the_camera_does_not_have_are_one_sentence(
    camera: Opened, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DeviceError, match=sentence) as caught:
        camera(**options)
    assert len(caught.value.problems) == 1


@pytest.mark.slow
def test_closed_it_opens_again_and_counts_anew(camera: Opened) -> None:
    one = camera()
    frames_of(one, 30)
    one.close()
    with pytest.raises(DeviceError, match="is not open"):
        one.read()
    one.open()
    assert len(frames_of(one, 3)) == 3


@pytest.mark.slow
def test_a_triggered_camera_may_be_silent(camera: Opened) -> None:
    """The emulation has no lines: software triggers stand for the pulses."""
    one = camera(trigger="Software")
    one.start(TakeStart("view1", 0.0))
    for _ in range(8):  # longer than stall_s
        assert one.read() is None
    got = []
    for _ in range(5):
        one._camera.GetNodeMap().GetNode("TriggerSoftware").Execute()
        got.append(frames_of(one, 1)[0].frame_id)
    assert (np.diff(got) == 1).all()
    assert one.streams()[0].rate_hz == 30.0


@pytest.mark.slow
def test_a_camera_that_gives_another_rate_is_refused(camera: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = basler.PylonSettings.set

    def slower(self: Any, names: Any, value: Any, **options: Any) -> None:
        honest(self, names, value * 0.6 if "AcquisitionFrameRate" in names else value, **options)

    monkeypatch.setattr(basler.PylonSettings, "set", slower)
    with pytest.raises(DeviceError, match="can give 18 frames per second and not 30 with these settings; give a short"):
        camera()
    monkeypatch.setattr(basler.PylonSettings, "value", lambda self, *names: None)  # an older one that does not say
    with pytest.raises(DeviceError, match=r"gives 1[78](\.\d)? frames per second instead of 30; give a shorter exp"):
        camera()


def test_short_ids_of_gige_cameras_go_from_65535_to_1() -> None:
    count = FrameCount(65535)
    assert [count.next(block) for block in (65533, 65534, 65535, 1, 2, 5)] == [65533, 65534, 65535, 65536, 65537, 65540]
    assert count.next(4) is None  # handed out again after a stall
    assert count.stale == 1


@pytest.mark.slow
@pytest.mark.parametrize("ticks", [125_000_000, 1_000_000_000])
def test_ticks_become_seconds_by_the_cameras_own_rate(camera: Opened, ticks: int) -> None:
    one = camera()
    one._tick_hz = float(ticks)
    result = SimpleNamespace(
        BlockID=10**6, TimeStamp=3 * ticks // 2, GrabSucceeded=lambda: True, GetArrayZeroCopy=_Zero
    )
    frame = one._frame(result, 7.0)
    assert frame is not None
    assert (frame.frame_id, frame.device_time_s, frame.arrival_s) == (10**6, 1.5, 7.0)
    with pytest.raises(DeviceError, match="does not number its frames"):
        one._frame(SimpleNamespace(BlockID=2**64 - 1), 7.0)


class _Zero:
    def __enter__(self) -> Any:
        return np.zeros((240, 320), np.uint8)

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("pattern", ["RG", "BG", "GR", "GB"])
def test_mosaics_keep_their_colours(pattern: str) -> None:
    """A red, a green and a blue field, made into a mosaic by hand: the first row begins with ``pattern``."""
    colours = np.zeros((96, 96, 3), np.uint8)
    colours[:32, :, 0], colours[32:64, :, 1], colours[64:, :, 2] = 220, 220, 220  # R, G, B
    rows = pattern, {"RG": "GB", "BG": "GR", "GR": "BG", "GB": "RG"}[pattern]
    mosaic = np.zeros((96, 96), np.uint8)
    for y in range(2):
        for x in range(2):
            mosaic[y::2, x::2] = colours[y::2, x::2, "RGB".index(rows[y][x])]
    shown = simplejpeg.decode_jpeg(encode_bayer(mosaic, pattern, 95), colorspace="RGB")
    for place, channel in ((16, 0), (48, 1), (80, 2)):
        assert shown[place, 48].argmax() == channel
        assert shown[place, 48, channel] > 180
        assert np.delete(shown[place, 48], channel).max() < 60


def test_without_pypylon_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypylon", None)
    with pytest.raises(DeviceError, match=r"flex-capture\[basler\]"):
        BaslerCamera(BaslerCameraConfig(), LslClock()).open()
    assert search.find_basler_cameras(1.0) == []
