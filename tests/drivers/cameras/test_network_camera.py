"""The driver of network cameras against the emulated one, hostile servers, and RTSP; the emulator against others."""

from __future__ import annotations

import contextlib
import itertools
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from pictures import HEIGHT, WIDTH, number_in, picture
from pydantic import ValidationError
from rtsp_server import KEYFRAME_EVERY, RtspServer, film

from capture.camera_files import CameraFiles
from drivers.cameras.ffmpeg_packets import FfmpegPackets
from drivers.cameras.network import NetworkCamera, NetworkCameraConfig
from drivers.driver import TakeStart
from drivers.emulators.emulator import find_emulator, serving
from drivers.emulators.network_camera import EmulatedNetworkCamera, EmulatedNetworkCameraConfig
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.simulated.barcode import read_barcode
from lab.errors import DeviceError
from lab.streams import Frame, VideoFormat
from storage.frame_records import read_frame_records
from storage.video_reader import read_video_index
from storage.video_writer import VideoWriter

Emulated = Callable[..., EmulatedNetworkCamera]
CLOCK = LslClock()


def emulated(**options: Any) -> EmulatedNetworkCamera:
    config = {"width": WIDTH, "height": HEIGHT, **options}
    return EmulatedNetworkCamera(
        EmulatedNetworkCameraConfig.model_validate(config), Stage(StageConfig(), CLOCK.now_s())
    )


@contextlib.contextmanager
def camera_at(url: str, **options: Any) -> Iterator[NetworkCamera]:
    config = NetworkCameraConfig.model_validate({"url": url, "stall_s": 1.0, **options})
    camera = NetworkCamera(config, CLOCK)
    try:
        yield camera
    finally:
        camera.close()
        camera.close()


def frames_of(camera: NetworkCamera, count: int, wait_s: float = 20.0) -> list[Frame]:
    camera.start(TakeStart("view1", 0.0))
    frames: list[Frame] = []
    deadline_s = time.monotonic() + wait_s
    while len(frames) < count and time.monotonic() < deadline_s:
        frame = camera.read()
        if frame is not None:
            frames.append(frame)
    return frames


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"lengths": False, "padding": 300}, {"chunked": True}, {"lengths": False, "chunked": True}],
    ids=["as usual", "no lengths, padded", "chunked", "no lengths, chunked"],
)
def test_pictures_come_with_the_cameras_time(options: dict[str, Any]) -> None:
    emulator = emulated(**options)
    with serving(emulator) as rig, camera_at(**rig) as camera:
        camera.open()
        (spec,) = camera.streams()
        assert spec.video is not None
        assert (spec.video.codec, spec.video.width, spec.video.height) == ("mjpeg", WIDTH, HEIGHT)
        assert (spec.rate_hz, spec.counter_origin) == (30.0, "host")
        frames = frames_of(camera, 20)
    for frame in frames:
        number = number_in(frame.data)
        assert frame.device_time_s == pytest.approx(emulator.device_time_s(number), abs=2e-6)
        assert frame.arrival_s > emulator.exposure_s(number) + 0.04
        assert frame.data[-2:] == b"\xff\xd9"
    assert (np.diff([frame.frame_id for frame in frames]) == 1).all()


def test_views_have_names_and_a_wrong_one_says_which_there_are() -> None:
    emulator = emulated(views=("view1", "left"))
    assert find_emulator("camera.network") is EmulatedNetworkCamera
    with serving(emulator):
        with camera_at(emulator.url("left")) as camera:
            camera.open()
            assert frames_of(camera, 1)
        with camera_at(emulator.url("view9")) as camera, pytest.raises(DeviceError, match="says 404 Not Found"):
            camera.open()


def test_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    emulator = emulated(password="sesame street")
    with serving(emulator) as rig:
        bare = rig["url"].replace("flex:sesame street@", "")
        with camera_at(bare) as camera, pytest.raises(DeviceError, match="wants a password"):
            camera.open()
        wrong = bare.replace("http://", "http://flex:wrong@")
        with camera_at(wrong) as camera, pytest.raises(DeviceError, match="refuses the user or the password") as caught:
            camera.open()
        assert "wrong" not in str(caught.value)
        monkeypatch.setenv("CAMERA_PASSWORD", "sesame%20street")
        with camera_at(bare.replace("http://", "http://flex:$CAMERA_PASSWORD@")) as camera:
            camera.open()
            assert "sesame" not in str(camera.streams())
            assert frames_of(camera, 1)


@pytest.mark.slow
def test_a_cut_picture_is_a_missing_number_and_a_lost_one_a_gap_in_time() -> None:
    emulator = emulated(cut_every=7, lose_every=11)
    with serving(emulator) as rig, camera_at(**rig) as camera:
        camera.open()
        frames = frames_of(camera, 40)
    ids = np.array([frame.frame_id for frame in frames])
    numbers = np.array([number_in(frame.data) for frame in frames])
    expected = [n for n in range(numbers[0], numbers[-1] + 1) if n % 7 != 6 and n % 11 != 10]
    assert numbers.tolist() == expected
    # what was cut was counted, what never came was not
    cut = [sum(n % 7 == 6 and n % 11 != 10 for n in range(a + 1, b)) for a, b in itertools.pairwise(numbers)]
    assert (np.diff(ids) == 1 + np.array(cut)).all()
    steps = np.diff([frame.device_time_s for frame in frames])
    assert np.allclose(steps, np.diff(numbers) / 30, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"stamps": False}, {"stamps_zero": True}])
def test_a_camera_without_a_clock_has_no_device_time(options: dict[str, Any]) -> None:
    with serving(emulated(**options)) as rig, camera_at(**rig) as camera:
        camera.open()
        assert all(math.isnan(frame.device_time_s) for frame in frames_of(camera, 3))


@pytest.mark.slow
def test_another_rate_is_refused_or_taken_where_none_was_asked() -> None:
    with serving(emulated(rate_hz=25.0)) as rig:
        refused = pytest.raises(DeviceError, match=r"gives 2\d(\.\d)? frames per second instead of 60; set its rate")
        with camera_at(rig["url"], rate_hz=60.0) as camera, refused:
            camera.open()
        with camera_at(rig["url"]) as camera:
            camera.open()
            assert camera.streams()[0].rate_hz == 25.0


@pytest.mark.slow
def test_hanging_up_stalling_and_coming_back() -> None:
    emulator = emulated(hang_up_after_s=1.5)
    with serving(emulator) as rig, camera_at(**rig) as camera:
        camera.open()
        with pytest.raises(DeviceError, match="closed the connection"):
            frames_of(camera, 1000)
        camera.open()
        assert len(frames_of(camera, 3)) == 3
    with serving(emulated(stall_after_s=1.5)) as rig, camera_at(**rig) as camera:
        camera.open()
        with pytest.raises(DeviceError, match="no whole frame for 1 s"):
            frames_of(camera, 1000)
        camera.open()
        assert len(frames_of(camera, 3)) == 3
    with camera_at(**rig) as camera, pytest.raises(DeviceError, match="does not answer"):
        camera.open()


@pytest.mark.slow
def test_switched_off_and_on_again_it_is_the_same_camera() -> None:
    emulator = emulated()
    with serving(emulator) as rig, camera_at(**rig) as camera:
        camera.open()
        first = number_in(frames_of(camera, 1)[0].data)
    with serving(emulator) as again, camera_at(**again) as camera:
        assert again == rig
        camera.open()
        assert number_in(frames_of(camera, 1)[0].data) > first


@contextlib.contextmanager
def server(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """Answer every client by ``answer`` once its request is there."""
    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.1)

    def serve() -> None:
        while not stop.is_set():
            try:
                line, _ = listening.accept()
            except TimeoutError:
                continue
            with line, contextlib.suppress(OSError):
                line.settimeout(2.0)
                line.recv(4096)
                answer(line, stop)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/video"
    finally:
        stop.set()
        thread.join()
        listening.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=edge\r\n\r\n"


def part(image: bytes) -> bytes:
    return b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(image), image)


def _endless(line: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        line.sendall(b"a" * 65536)


def _drip(line: socket.socket, stop: threading.Event) -> None:
    line.sendall(OK)
    while not stop.wait(0.05):
        line.sendall(b"-")


def _empty_parts(line: socket.socket, stop: threading.Event) -> None:
    line.sendall(OK)
    while not stop.is_set():
        line.sendall(b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: 0\r\n\r\n\r\n" * 100)


def _huge_length(line: socket.socket, stop: threading.Event) -> None:
    line.sendall(OK + b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: 4294967296\r\n\r\n")
    while not stop.is_set():
        line.sendall(b"\xff\xd8" + b"\0" * 65536)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda line, stop: None, "closed the connection"),
        (lambda line, stop: line.sendall(b"SSH-2.0-OpenSSH\r\n\r\n"), "is no camera"),
        (
            lambda line, stop: line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"),
            "text/html and no",
        ),
        (lambda line, stop: line.sendall(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"), "says 302 Found"),
        (_endless, "is no camera"),
        (_drip, "sends no picture"),
        (_empty_parts, "sends no picture"),
        (_huge_length, "sends no picture"),
        (lambda line, stop: line.sendall(OK + part(picture(1)[:-9]) * 3), "closed the connection"),
    ],
)
def test_a_hostile_server_costs_one_sentence_and_bounded_time(
    answer: Callable[[socket.socket, threading.Event], None], sentence: str
) -> None:
    with server(answer) as url, camera_at(url) as camera:
        with pytest.raises(DeviceError, match=sentence) as caught:
            camera.open()
        assert len(caught.value.problems) == 1
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_size_that_changes_meanwhile_is_a_failure() -> None:
    def change(line: socket.socket, stop: threading.Event) -> None:
        line.sendall(OK)
        for number in range(200):
            line.sendall(part(picture(number, 320 if number < 60 else 640, 240)))
            if stop.wait(1 / 30):
                return

    with server(change) as url, camera_at(url) as camera:
        camera.open()
        with pytest.raises(DeviceError, match="now sends 640x240 pixels instead of 320x240"):
            frames_of(camera, 200)


def test_pyav_and_opencv_read_the_emulator_as_we_do() -> None:
    """Two independent readers, both FFmpeg's mpjpeg; they see whole pictures with consecutive numbers."""
    emulator = emulated()
    with serving(emulator) as rig:
        with av.open(rig["url"], timeout=5.0) as container:
            assert container.format.name == "mpjpeg"
            numbers = []
            for frame in container.decode(video=0):
                numbers.append(_barcode(frame.to_ndarray(format="bgr24")))
                if len(numbers) == 15:
                    break
        assert (np.diff(numbers) == 1).all()
        capture = cv2.VideoCapture(rig["url"], cv2.CAP_FFMPEG)
        try:
            numbers = [_barcode(capture.read()[1]) for _ in range(10)]
        finally:
            capture.release()
        assert (np.diff(numbers) == 1).all()


def _barcode(image: Any) -> int:
    return read_barcode(image)


@pytest.mark.slow
def test_rtsp_keeps_h264_as_it_is_and_each_frame_can_be_decoded(tmp_path: Path) -> None:
    played = film(240)
    rows: list[tuple[Any, ...]] = []
    with RtspServer(played).serving() as rtsp, camera_at(rtsp.url, rate_hz=30.0) as camera:
        camera.open()
        (spec,) = camera.streams()
        assert spec.video is not None
        assert (spec.video.codec, spec.video.width, spec.video.height) == ("h264", WIDTH, HEIGHT)
        assert "next keyframe" in camera.remarks[0]
        files = CameraFiles(tmp_path, "view1", spec, lambda *row, **more: rows.append(row))
        frames = frames_of(camera, 60)
        for frame in frames:
            files.put(frame)
        files.close()
        assert files.problems == []
    numbers = [round(frame.device_time_s * 30) for frame in frames]
    assert frames[0].keyframe
    assert [frame.keyframe for frame in frames] == [number % KEYFRAME_EVERY == 0 for number in numbers]
    for frame, number in zip(frames, numbers, strict=True):  # the units of the wire, to the byte
        sent = b"".join(b"\0\0\0\1" + unit for unit in played.frames[number])
        assert frame.data.replace(b"\0\0\0\1", b"\0\0\1").endswith(sent.replace(b"\0\0\0\1", b"\0\0\1"))
    assert len(rows) == len(frames)
    records = read_frame_records(tmp_path / "view1.frames")
    index = read_video_index(tmp_path / "view1.mov")
    assert index.codec == "h264"
    assert (records.keyframe == index.keyframes).all()
    assert (records.rows["pts_us"] == index.pts_us).all()
    with av.open(str(tmp_path / "view1.mov")) as video:
        seen = [_barcode(image.to_ndarray(format="bgr24")) for image in video.decode(video=0)]
    assert seen == numbers


@pytest.mark.slow
def test_rtsp_that_ends_or_stands_still_fails_in_time() -> None:
    with RtspServer(film(60)).serving() as rtsp, camera_at(rtsp.url) as camera:
        camera.open()
        with pytest.raises(DeviceError, match=r"ended its stream|broke off"):
            frames_of(camera, 1000)
    with RtspServer(film(200), stall_after=60).serving() as rtsp, camera_at(rtsp.url) as camera:
        camera.open()
        with pytest.raises(DeviceError, match=r"no whole frame|broke off|ended"):
            frames_of(camera, 1000)


def test_frames_out_of_order_are_refused() -> None:
    refused = pytest.raises(DeviceError, match="switch B-frames off")
    with RtspServer(film(120, b_frames=2)).serving() as rtsp, camera_at(rtsp.url) as camera, refused:
        camera.open()


def test_what_is_packed_with_lengths_becomes_a_byte_stream(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    played = film(30)
    writer = VideoWriter(path, VideoFormat("h264", WIDTH, HEIGHT), 30.0)
    for number, frame in enumerate(played.frames):
        sets = [played.sps, played.pps] if played.keyframes[number] else []
        data = b"".join(b"\0\0\0\1" + unit for unit in [*sets, *frame])
        writer.write(data, number * 33_333, keyframe=played.keyframes[number])
    writer.close()
    packets = FfmpegPackets(str(path), {}, 2.0, "the film", CLOCK)
    packets.open()
    got = [packet for packet in (packets.next(5.0) for _ in range(30)) if packet is not None]
    with pytest.raises(DeviceError, match="ended its stream"):
        packets.next(5.0)
    packets.close()
    assert [packet.keyframe for packet in got] == played.keyframes
    assert all(played.sps in packet.data and played.pps in packet.data for packet in got if packet.keyframe)
    decoder = av.CodecContext.create("h264", "r")
    images = [image for packet in got for image in decoder.decode(av.Packet(packet.data))] + decoder.decode(None)
    assert [_barcode(image.to_ndarray(format="bgr24")) for image in images] == list(range(30))


@pytest.mark.parametrize("container", ["mp4", "mpegts"])
@pytest.mark.parametrize("encoder", ["libx264", "libx265"])
def test_h264_and_h265_out_of_containers_are_recorded_to_the_frame(
    tmp_path: Path, encoder: str, container: str
) -> None:
    if encoder not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {encoder}")
    path = tmp_path / "film.dat"
    with av.open(str(path), "w", format=container) as muxer:
        stream = muxer.add_stream(encoder, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        quiet = "bframes=0:keyint=10:scenecut=0:log-level=none"
        stream.options = {
            "preset": "ultrafast",
            "crf": "12",
            "x265-params": quiet,
            "x264-params": "bframes=0:keyint=10",
        }
        for number in range(40):
            image = cv2.imdecode(np.frombuffer(picture(number), np.uint8), cv2.IMREAD_COLOR)
            muxer.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        muxer.mux(stream.encode(None))
    source = FfmpegPackets(str(path), {}, 2.0, "the film", CLOCK)
    source.open()
    assert source.codec == {"libx264": "h264", "libx265": "hevc"}[encoder]
    writer = VideoWriter(tmp_path / "view1.mov", VideoFormat(source.codec, WIDTH, HEIGHT), 30.0)
    times, keyframes = [], 0
    for number in range(40):
        packet = source.next(5.0)
        assert packet is not None
        assert packet.keyframe or number
        assert not packet.reordered
        writer.write(packet.data, number * 33_333, keyframe=packet.keyframe)
        times.append(packet.device_time_s)
        keyframes += packet.keyframe
    source.close()
    writer.close()
    assert np.allclose(np.diff(times), 1 / 30, atol=1e-4)
    assert keyframes == 4
    with av.open(str(tmp_path / "view1.mov")) as video:
        assert [_barcode(image.to_ndarray(format="bgr24")) for image in video.decode(video=0)] == list(range(40))


def test_an_unreachable_rtsp_camera_is_one_sentence_without_its_password() -> None:
    refused = pytest.raises(DeviceError, match="cannot be opened")
    with camera_at("rtsp://me:secret@127.0.0.1:9/stream") as camera, refused as caught:
        camera.open()
    assert "secret" not in str(caught.value)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("url", ["10.0.0.5", "/dev/video0", "file:///x.mp4", "", "a b://x"])
def test_what_is_no_address_is_refused_by_the_rig(url: str) -> None:
    with pytest.raises(ValidationError):
        NetworkCameraConfig(url=url)


def test_the_emulator_outlives_its_clients() -> None:
    emulator = emulated()
    with serving(emulator) as rig:
        address = ("127.0.0.1", int(rig["url"].rsplit(":", 1)[1].partition("/")[0]))
        for sent in (
            b"",
            b"x" * 10_000,
            b"GET\r\n\r\n",
            b"\r\n\r\n",
            b"GET /view1.mjpg HTTP/1.1\r\n\r\n",
            b"\xff\0\r\n\r\n",
        ):
            with socket.create_connection(address, timeout=5) as line, contextlib.suppress(OSError):
                line.sendall(sent)
        with camera_at(**rig) as camera:
            camera.open()
            assert frames_of(camera, 2)
