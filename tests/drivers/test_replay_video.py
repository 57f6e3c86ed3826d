"""Replays of video files: Motion JPEG byte for byte, anything else as JPEG, at the file's own times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from playing import played

from drivers.driver import EndOfStream, TakeStart
from drivers.host_clock import VirtualClock
from drivers.replay.video_file import ReplayVideo, ReplayVideoConfig
from lab.errors import DeviceError
from lab.streams import FRAME_LABELS, VideoFormat

T0_S = 2000.0
#: Presentation times in milliseconds, with a lost frame after the third.
TIMES_MS = (0, 33, 66, 133, 166, 200)


def jpegs(count: int) -> list[bytes]:
    import simplejpeg

    images = np.random.default_rng(1).integers(0, 255, (count, 48, 64, 3), dtype=np.uint8)
    return [simplejpeg.encode_jpeg(image, quality=80, colorsubsampling="420") for image in images]


@pytest.fixture
def mjpeg(tmp_path: Path) -> tuple[Path, list[bytes]]:
    """A Motion JPEG file of 64x48 with the given frames."""
    import av

    path = tmp_path / "camera.mkv"
    frames = jpegs(len(TIMES_MS))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.time_base = Fraction(1, 1000)
        for data, time_ms in zip(frames, TIMES_MS, strict=True):
            packet = av.Packet(data)
            packet.stream = stream
            packet.pts = packet.dts = time_ms
            packet.time_base = Fraction(1, 1000)
            packet.is_keyframe = True
            container.mux(packet)
    return path, frames


def started(config: ReplayVideoConfig, clock: VirtualClock | None = None) -> ReplayVideo:
    driver = ReplayVideo(config, clock or VirtualClock())
    driver.open()
    driver.start(TakeStart("view1", T0_S))
    return driver


def test_mjpeg_passes_byte_for_byte_at_its_own_times(mjpeg: tuple[Path, list[bytes]]) -> None:
    path, images = mjpeg
    driver = started(ReplayVideoConfig(file=str(path), loop=False, max_side=64))
    frames = played(driver, 100)
    assert [frame.data for frame in frames] == images
    assert [frame.frame_id for frame in frames] == list(range(6))
    np.testing.assert_allclose([frame.device_time_s * 1000 for frame in frames], TIMES_MS, atol=1e-6)
    np.testing.assert_allclose([(frame.arrival_s - T0_S) * 1000 for frame in frames], TIMES_MS, atol=1e-6)
    with pytest.raises(EndOfStream):
        driver.read()
    (spec,) = driver.streams()
    assert spec.video == VideoFormat("mjpeg", 64, 48)
    assert (spec.name, spec.content_type, spec.format) == ("", "VideoCompressed", "double64")
    assert tuple(channel.label for channel in spec.channels) == FRAME_LABELS
    assert spec.rate_hz == 25.0  # what the file holds: 5 intervals in 0.2 s
    assert spec.details["source"] == "mjpeg 64x48"
    assert "loops" not in spec.details


def test_loop_goes_on_at_the_mean_period(mjpeg: tuple[Path, list[bytes]]) -> None:
    path, images = mjpeg
    driver = started(ReplayVideoConfig(file=str(path)))
    frames = played(driver, 15)
    assert [frame.data for frame in frames] == (images * 3)[:15]
    assert [frame.frame_id for frame in frames] == list(range(15))
    expected_ms = [time_ms + lap * 240 for lap in range(3) for time_ms in TIMES_MS][:15]
    np.testing.assert_allclose([frame.device_time_s * 1000 for frame in frames], expected_ms, atol=1e-6)
    np.testing.assert_allclose([(frame.arrival_s - T0_S) * 1000 for frame in frames], expected_ms, atol=1e-6)
    assert driver.streams()[0].details["loops"] == "yes"


def test_start_s_and_a_late_start(mjpeg: tuple[Path, list[bytes]]) -> None:
    path, images = mjpeg
    driver = started(ReplayVideoConfig(file=str(path), start_s=0.1))
    frames = played(driver, 4)
    assert [frame.data for frame in frames] == [*images[3:], images[3]]
    assert [frame.frame_id for frame in frames] == [3, 4, 5, 6]
    assert frames[0].arrival_s == T0_S
    clock = VirtualClock(T0_S + 240 * 0.24 + 0.05)
    (frame,) = played(started(ReplayVideoConfig(file=str(path)), clock), 1)
    assert frame.frame_id == 240 * 6 + 2
    with pytest.raises(DeviceError, match=r"camera\.mkv ends before 9 s"):
        started(ReplayVideoConfig(file=str(path), start_s=9))


@pytest.mark.parametrize(
    ("name", "size", "codec"), [("cam01.mp4", (360, 640), "h264"), ("cam02.mp4", (360, 640), "vp9")]
)
def test_long_gop_video_becomes_jpeg(data_folder: Path, name: str, size: tuple[int, int], codec: str) -> None:
    import cv2

    from storage.video_reader import decode_frames, read_video_index

    path = data_folder / "video" / name
    driver = started(ReplayVideoConfig(file=str(path), loop=False))
    frames = played(driver, 1000)
    assert len(frames) == 100
    (spec,) = driver.streams()
    assert spec.video == VideoFormat("mjpeg", *size)
    assert spec.rate_hz == pytest.approx(60.0, rel=1e-4)
    assert spec.details["source"].startswith(codec)
    index = read_video_index(path)
    np.testing.assert_allclose([frame.device_time_s for frame in frames], index.pts_us * 1e-6, atol=1e-9)
    for number in (0, 57):
        shown = cv2.imdecode(np.frombuffer(frames[number].data, np.uint8), cv2.IMREAD_COLOR)
        assert shown.shape[:2] == size[::-1]
        (source,) = decode_frames(path, [number], index)
        small = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
        assert np.abs(shown.astype(float) - small).mean() < 4.0


def test_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video" * 100)
    with pytest.raises(DeviceError, match=r"text\.mp4"):
        ReplayVideo(ReplayVideoConfig(file=str(path)), VirtualClock()).open()


def test_close_forgets(mjpeg: tuple[Path, list[bytes]]) -> None:
    driver = ReplayVideo(ReplayVideoConfig(file=str(mjpeg[0])), VirtualClock())
    driver.close()
    driver.open()
    driver.close()
    driver.close()
    assert driver.streams() == ()
    assert driver.read() is None
    with pytest.raises(DeviceError, match="'view1' was started before it was opened"):
        driver.start(TakeStart("view1", T0_S))
    driver.open()
    assert driver.read() is None  # it holds its first frame until it is started
