"""The driver of USB cameras against a device that is faked below the ioctls."""

from __future__ import annotations

import errno
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from fake_v4l2 import FakeCamera, FakeNode, Sent, as_asked, plug_in
from pictures import number_in, picture, without_tables

from drivers.cameras import search, usb_identity, v4l2, v4l2_node
from drivers.cameras import v4l2_structs as numbers
from drivers.cameras.v4l2 import V4l2Camera, V4l2CameraConfig
from drivers.driver import TakeStart
from drivers.host_clock import LslClock
from lab.errors import DeviceError
from lab.streams import Frame

Opened = Callable[..., V4l2Camera]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeCamera]:
    plug_in(tmp_path, 0, "1-2", "AB12")
    camera = FakeCamera()
    monkeypatch.setattr(v4l2_node, "open_node", lambda path: FakeNode(camera))
    monkeypatch.setattr(v4l2, "find_camera", lambda wanted: usb_identity.find_camera(wanted, tmp_path))
    yield camera
    assert camera.opened == 0


@pytest.fixture
def opened(fake: FakeCamera) -> Iterator[Opened]:
    made: list[V4l2Camera] = []

    def open_camera(**options: Any) -> V4l2Camera:
        config = {"device": "serial:AB12", "width": 320, "height": 240, "rate_hz": 30.0, "stall_s": 1.0, **options}
        made.append(V4l2Camera(V4l2CameraConfig.model_validate(config), LslClock()))
        made[-1].open()
        return made[-1]

    yield open_camera
    for camera in made:
        camera.close()


def frames_of(camera: V4l2Camera, count: int) -> list[Frame]:
    camera.start(TakeStart("view1", 0.0))
    frames: list[Frame] = []
    deadline_s = time.monotonic() + 20
    while len(frames) < count and time.monotonic() < deadline_s:
        frame = camera.read()
        if frame is not None:
            frames.append(frame)
    return frames


def test_the_very_bytes_come_with_the_kernels_count_and_time(fake: FakeCamera, opened: Opened) -> None:
    camera = opened()
    (spec,) = camera.streams()
    assert spec.video is not None
    assert (spec.video.codec, spec.video.width, spec.video.height, spec.rate_hz) == ("mjpeg", 320, 240, 30.0)
    assert (spec.manufacturer, spec.model, spec.serial) == ("Maker", "Fake camera", "AB12")
    assert spec.counter_origin == "device"
    for frame in frames_of(camera, 10):
        assert frame.data == picture(frame.frame_id)
        assert 0 <= frame.arrival_s - frame.device_time_s < 1.0  # both are the monotonic clock on Linux


def test_padding_goes_and_missing_tables_stay_missing(fake: FakeCamera, opened: Opened) -> None:
    fake.frame = lambda number: Sent(
        without_tables(picture(number)) + bytes(777) + picture(number - 1)[-50:], number, 5.0 + number / 30
    )
    frame = frames_of(opened(), 1)[0]
    assert frame.data == without_tables(picture(frame.frame_id))
    assert number_in(frame.data) == frame.frame_id


@pytest.mark.slow
def test_frames_that_are_lost_cut_or_marked_bad_are_missing_numbers(fake: FakeCamera, opened: Opened) -> None:
    bad = numbers.BUF_FLAG_TIMESTAMP_MONOTONIC | numbers.BUF_FLAG_ERROR

    def frame(number: int) -> Sent:
        number += number // 7  # the kernel saw one that never came
        whole = picture(number)
        if number % 10 == 3:
            return Sent(whole[: len(whole) // 2], number, time.monotonic())
        if number % 10 == 5:
            return Sent(whole, number, time.monotonic(), bad)
        return Sent(b"" if number % 10 == 6 else whole, number, time.monotonic())

    fake.frame, fake.really_hz = frame, 60.0 * 7 / 8
    camera = opened(rate_hz=60.0)
    got = [frame.frame_id for frame in frames_of(camera, 40)]
    possible = [n for n in range(got[0], got[-1] + 1) if n % 10 not in {3, 5, 6} and n % 8 != 7]
    assert got == possible
    assert camera.broken > 5


@pytest.mark.slow
def test_the_count_goes_on_over_its_end_and_repeated_frames_are_dropped(fake: FakeCamera, opened: Opened) -> None:
    start = 2**32 - 70

    def frame(number: int) -> Sent:
        stale = number % 9 == 8
        return Sent(picture(number), start + number - (3 if stale else 0), time.monotonic())

    fake.frame = frame
    got = np.array([frame.frame_id for frame in frames_of(opened(), 40)])
    assert got[-1] > 2**32
    assert (np.diff(got) > 0).all()
    assert not ((got - start) % 9 == 8).any()


@pytest.mark.slow
@pytest.mark.parametrize(("stamp_s", "flags"), [(0.0, numbers.BUF_FLAG_TIMESTAMP_MONOTONIC), (12.5, 0), (12.5, 0x4000)])
def test_a_time_that_is_none_is_none(fake: FakeCamera, opened: Opened, stamp_s: float, flags: int) -> None:
    fake.frame = lambda number: Sent(picture(number), number, stamp_s, flags)
    assert math.isnan(frames_of(opened(), 1)[0].device_time_s)


@pytest.mark.slow
def test_a_camera_that_silently_gives_another_rate_is_refused(fake: FakeCamera, opened: Opened) -> None:
    fake.really_hz = 25.0
    with pytest.raises(
        DeviceError,
        match=r"gives 25(\.\d)? frames per second instead of 60; .*exposure_s.*MJPG modes are 320x240 at 60/30",
    ) as caught:
        opened(rate_hz=60.0)
    assert len(caught.value.problems) == 1


def test_lost_frames_do_not_make_a_camera_slow(fake: FakeCamera, opened: Opened) -> None:
    fake.frame = lambda number: Sent(picture(number), number + number // 3, time.monotonic())
    fake.really_hz = 30.0 * 3 / 4
    assert opened().streams()[0].rate_hz == 30.0


def test_what_is_not_set_as_asked_is_refused_with_what_there_is(fake: FakeCamera, opened: Opened) -> None:
    with pytest.raises(DeviceError, match=r"MJPG 1280x720 instead of MJPG 1920x1080; its MJPG modes are 320x240 at 60"):
        opened(width=1920, height=1080)
    fake.sets_hz = 15.0
    with pytest.raises(DeviceError, match=r"sets itself to 15 frames per second instead of 30 at 320x240"):
        opened()
    fake.sets_hz = None
    del fake.modes["GREY"]
    with pytest.raises(DeviceError, match=r"gives MJPG .* instead of GREY .*; it has no GREY, but MJPG, YUYV"):
        opened(format="grey")


def test_a_picture_of_another_size_than_was_set_is_refused(fake: FakeCamera, opened: Opened) -> None:
    fake.frame = lambda number: Sent(picture(number, 640, 480), number, time.monotonic())
    with pytest.raises(DeviceError, match="sends 640x480 pixels instead of 320x240"):
        opened()


def test_a_size_that_changes_meanwhile_is_a_failure(fake: FakeCamera, opened: Opened) -> None:
    camera = opened()
    fake.frame = lambda number: Sent(picture(number, 640, 480), number, time.monotonic())
    with pytest.raises(DeviceError, match="now sends 640x480 pixels instead of 320x240"):
        frames_of(camera, 5)


def test_controls_are_set_with_their_automatics_off_and_read_back(fake: FakeCamera, opened: Opened) -> None:
    camera = opened(exposure_s=0.008, gain=33, focus=20)
    assert fake.values[numbers.CID_EXPOSURE_AUTO] == numbers.EXPOSURE_MANUAL
    assert fake.values[numbers.CID_EXPOSURE_ABSOLUTE] == 80
    assert (fake.values[numbers.CID_GAIN], fake.values[numbers.CID_FOCUS_ABSOLUTE]) == (33, 20)
    assert fake.values[numbers.CID_FOCUS_AUTO] == 0
    assert camera.streams()[0].details["exposure_s"] == "0.008"
    fake.sticky = {numbers.CID_GAIN: 10}
    with pytest.raises(DeviceError, match="makes gain 10 instead of 33; it goes from 0 to 255"):
        opened(gain=33)
    with pytest.raises(DeviceError, match=r"refuses focus 999 .*; it goes from 0 to 250"):
        opened(focus=999)
    with pytest.raises(DeviceError, match="has no white_balance_k that can be set"):
        opened(white_balance_k=4500)


def test_automatic_exposure_may_not_lower_the_rate(fake: FakeCamera, opened: Opened) -> None:
    opened()
    assert fake.values[numbers.CID_EXPOSURE_AUTO_PRIORITY] == 0


@pytest.mark.parametrize(
    ("request_number", "error", "sentence"),
    [
        (numbers.STREAMON, errno.ENOSPC, "no room on its USB bus"),
        (numbers.S_FMT, errno.EBUSY, "in use by another program"),
        (numbers.REQBUFS, errno.EBUSY, "in use by another program"),
        (numbers.QUERYCAP, errno.ENOTTY, "no video device"),
        (numbers.S_FMT, errno.EINVAL, "refuses MJPG 320x240"),
        (numbers.QUERYBUF, errno.EINVAL, "cannot be opened"),
    ],
)
def test_refusals_of_the_kernel_are_one_sentence(
    fake: FakeCamera, opened: Opened, request_number: int, error: int, sentence: str
) -> None:
    fake.fails = {request_number: error}
    with pytest.raises(DeviceError, match=sentence) as caught:
        opened()
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "sentence"), [(errno.EACCES, "group video"), (errno.ENOENT, "is not there"), (errno.EIO, "cannot be op")]
)
def test_a_node_that_cannot_be_opened_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, fake: FakeCamera, opened: Opened, error: int, sentence: str
) -> None:
    def refuse(path: str) -> v4l2_node.Node:
        raise OSError(error, "no")

    monkeypatch.setattr(v4l2_node, "open_node", refuse)
    with pytest.raises(DeviceError, match=sentence):
        opened()


def test_a_node_that_gives_no_pictures_is_refused(fake: FakeCamera, opened: Opened) -> None:
    fake.capabilities = numbers.CAP_STREAMING
    with pytest.raises(DeviceError, match="gives no pictures"):
        opened()


@pytest.mark.slow
def test_unplugged_silent_and_back(fake: FakeCamera, opened: Opened) -> None:
    camera = opened()
    frames_of(camera, 3)
    fake.gone = True
    with pytest.raises(DeviceError, match="is gone; check its cable"):
        frames_of(camera, 3)
    fake.gone = False
    camera.open()
    frames_of(camera, 3)
    fake.silent = True
    with pytest.raises(DeviceError, match="no whole frame for 1 s"):
        frames_of(camera, 300)
    with pytest.raises(DeviceError, match="sends no picture"):
        camera.open()


def test_only_broken_pictures_are_no_pictures(fake: FakeCamera, opened: Opened) -> None:
    fake.frame = lambda number: Sent(picture(number)[:-2], number, time.monotonic())
    with pytest.raises(DeviceError, match=r"sends no picture \(\d+ were not whole\)"):
        opened()


def test_a_stray_buffer_number_is_a_failure(fake: FakeCamera, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    camera = opened()
    honest = FakeNode._dequeue

    def stray(self: FakeNode, it: Any) -> None:
        honest(self, it)
        it.index = 99

    monkeypatch.setattr(FakeNode, "_dequeue", stray)
    with pytest.raises(DeviceError, match="a buffer that it never had"):
        frames_of(camera, 3)


@pytest.mark.slow
def test_uncompressed_pictures_keep_their_colours(fake: FakeCamera, opened: Opened) -> None:
    plane = np.empty((240, 320, 2), np.uint8)
    plane[..., 0] = 128
    plane[:, 0::2, 1], plane[:, 1::2, 1] = 90, 200  # U, V: a strong red
    fake.frame = lambda number: Sent(plane.tobytes(), number, time.monotonic())
    frame = frames_of(opened(format="yuyv"), 1)[0]
    shown = simplejpeg.decode_jpeg(frame.data, colorspace="RGB").reshape(-1, 3).mean(axis=0)
    # ITU-T T.871: R = Y + 1.402 (Cr - 128), G = Y - 0.344136 (Cb - 128) - 0.714136 (Cr - 128), B = Y + 1.772 (Cb - 128)
    assert np.allclose(shown, [128 + 1.402 * 72, 128 + 0.344136 * 38 - 0.714136 * 72, 128 - 1.772 * 38], atol=3)
    ramp = np.linspace(0, 255, 320, dtype=np.uint8)[None, :].repeat(240, axis=0)
    fake.frame = lambda number: Sent(ramp.tobytes(), number, time.monotonic())
    grey = simplejpeg.decode_jpeg(frames_of(opened(format="grey"), 1)[0].data, colorspace="GRAY")[..., 0]
    assert np.abs(grey.astype(int) - ramp).max() < 6
    fake.frame = lambda number: Sent(ramp.tobytes()[:-1], number, time.monotonic())
    with pytest.raises(DeviceError, match="were not whole"):
        opened(format="grey")


def test_the_search_lists_cameras_with_a_mode_to_begin_with(
    fake: FakeCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_in(tmp_path, 2, "1-4", "TWIN")
    plug_in(tmp_path, 4, "1-5", "TWIN")
    found = search.find_usb_cameras(1.0, tmp_path)
    assert [entry.options["device"] for entry in found] == ["serial:AB12", "port:1-4", "port:1-5"]
    assert all(entry.driver == "camera.v4l2" for entry in found)
    assert found[0].options == {
        "device": "serial:AB12", "format": "mjpeg", "width": 1280, "height": 720, "rate_hz": 30.0
    }  # fmt: skip
    assert V4l2CameraConfig.model_validate(found[0].options)
    assert "1280x720 at 30/15" in found[0].remark
    fake.capabilities = numbers.CAP_STREAMING
    assert search.find_usb_cameras(1.0, tmp_path) == []

    def refuse(path: str) -> v4l2_node.Node:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(v4l2_node, "open_node", refuse)
    assert "permission denied" in search.find_usb_cameras(1.0, tmp_path)[0].remark


def test_a_real_file_that_is_no_video_device_is_refused(tmp_path: Path) -> None:
    """The real system calls, as far as they can be had without a camera."""
    path = tmp_path / "file"
    path.touch()
    node = v4l2_node.open_node(str(path))
    with pytest.raises(OSError, match="ioctl"):
        node.ioctl(numbers.QUERYCAP, numbers.Capability())
    node.close()
    node.close()
    camera = V4l2Camera(V4l2CameraConfig(device=str(path)), LslClock())
    with pytest.raises(DeviceError, match="is no video device"):
        camera.open()


def test_as_asked_is_what_the_fake_sends() -> None:
    assert number_in(as_asked(77).data) == 77
