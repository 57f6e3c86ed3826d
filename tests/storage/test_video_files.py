from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from lab.errors import FileFormatError, LayoutError, TakeError
from lab.streams import VideoFormat
from storage.video_reader import cut_clip, decode_frames, packets, read_video_index, transcode_to_jpeg
from storage.video_writer import VideoWriter

WIDTH, HEIGHT, COUNT = 64, 48, 20
#: Uneven, with a gap as lost frames leave it, not starting at 0.
PTS_US = [
    1_234_567 + number * 16_667 + (number * number) % 7 + (400_000 if number > 8 else 0) for number in range(COUNT)
]


def picture(number: int) -> np.ndarray:
    """Return a plain picture whose brightness is the frame's number."""
    return np.full((HEIGHT, WIDTH, 3), 10 * number + 20, dtype=np.uint8)


def number_of(image: np.ndarray) -> int:
    return round((float(image.mean()) - 20) / 10)


@pytest.fixture(scope="module")
def jpegs() -> list[bytes]:
    import simplejpeg

    return [simplejpeg.encode_jpeg(picture(number), quality=90, colorspace="BGR") for number in range(COUNT)]


@pytest.fixture(scope="module")
def h264() -> list[tuple[bytes, bool]]:
    """Return frames as a camera with an H.264 encoder sends them: Annex B, a keyframe every six."""
    import av

    with av.open(io.BytesIO(), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=60, options={"tune": "zerolatency", "g": "6"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        frames = []
        for number in range(COUNT):
            frames += stream.encode(av.VideoFrame.from_ndarray(picture(number), format="bgr24"))
        frames += stream.encode(None)
    assert len(frames) == COUNT
    return [(bytes(packet), packet.is_keyframe) for packet in frames]


@pytest.fixture(params=["mjpeg", "h264"])
def video(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "mjpeg":
        frames = [(data, True) for data in request.getfixturevalue("jpegs")]
    else:
        frames = request.getfixturevalue("h264")
    path = tmp_path / f"{request.param}.mov"
    writer = VideoWriter(path, VideoFormat(request.param, WIDTH, HEIGHT), 59.94)
    for (data, keyframe), pts_us in zip(frames, PTS_US, strict=True):
        writer.write(data, pts_us, keyframe)
    writer.sync()
    assert writer.frames == COUNT
    writer.close()
    writer.close()
    writer.sync()
    return path


def test_the_index_holds_every_frame_at_its_exact_time(video: Path) -> None:
    index = read_video_index(video)
    assert index.pts_us.tolist() == PTS_US
    assert (index.codec, index.width, index.height, index.discarded) == (video.stem, WIDTH, HEIGHT, 0)
    assert index.all_intra == (video.stem == "mjpeg")
    assert index.keyframes.tolist() == [video.stem == "mjpeg" or number % 6 == 0 for number in range(COUNT)]


def test_jpeg_frames_come_back_byte_for_byte(video: Path, jpegs: list[bytes]) -> None:
    index = read_video_index(video)
    got = list(packets(video, 3, 11, index))
    assert [pts for pts, _ in got] == PTS_US[3:12]
    assert [len(data) for _, data in got] == index.sizes[3:12].tolist()
    if video.stem == "mjpeg":
        assert [data for _, data in got] == jpegs[3:12]
    assert [pts for pts, _ in packets(video, 0, COUNT - 1)] == PTS_US


def test_frames_are_found_by_time_in_any_order(video: Path) -> None:
    wanted = [17, 0, 9, 8, 19, 9]
    images = decode_frames(video, wanted)
    assert [number_of(image) for image in images] == wanted
    assert images[0].shape == (HEIGHT, WIDTH, 3)
    assert decode_frames(video, []) == []
    for number in range(COUNT):
        assert number_of(decode_frames(video, [number])[0]) == number


@pytest.mark.parametrize(("first", "last"), [(-1, 3), (3, 20), (5, 4)])
def test_frames_that_are_not_there_are_an_index_error(video: Path, tmp_path: Path, first: int, last: int) -> None:
    with pytest.raises(IndexError, match="20"):
        list(packets(video, first, last))
    with pytest.raises(IndexError, match="20"):
        cut_clip(video, tmp_path / "clip.mov", first, last)
    if first < 0 or last >= COUNT:
        with pytest.raises(IndexError, match="20"):
            decode_frames(video, [first, last])
    assert not (tmp_path / "clip.mov").exists()


@pytest.mark.parametrize(("first", "last"), [(0, 19), (5, 14), (7, 7), (19, 19)])
def test_a_clip_holds_its_frames_from_time_0_on_and_is_the_same_every_time(
    video: Path, tmp_path: Path, first: int, last: int
) -> None:
    hashes = set()
    for name in ("a.mov", "b.mov"):
        clip = tmp_path / name
        cut_clip(video, clip, first, last)
        hashes.add(hashlib.sha256(clip.read_bytes()).hexdigest())
    assert len(hashes) == 1
    index = read_video_index(clip)
    assert index.pts_us.tolist() == [pts - PTS_US[first] for pts in PTS_US[first : last + 1]]
    assert [number_of(image) for image in decode_frames(clip, range(last - first + 1))] == list(range(first, last + 1))
    if video.stem == "mjpeg":
        whole = [data for _, data in packets(video, first, last)]
        assert [data for _, data in packets(clip, 0, last - first)] == whole
    else:
        assert index.codec == "h264"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mov", "b.mov", video.name]


def test_opencv_reads_a_clip_from_start_to_end(video: Path, tmp_path: Path) -> None:
    import cv2

    clip = tmp_path / "clip.mov"
    cut_clip(video, clip, 2, 12)
    capture = cv2.VideoCapture(str(clip))
    seen = []
    while (got := capture.read())[0]:
        seen.append(number_of(got[1]))
    capture.release()
    assert seen == list(range(2, 13))


def test_a_clip_replaces_an_older_one_and_a_failure_leaves_it(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.mov"
    clip.write_bytes(b"older")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("storage.video_reader.os.replace", fail)
        with pytest.raises(LayoutError, match="No space"):
            cut_clip(video, clip, 2, 12)
    assert clip.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mov", video.name]
    cut_clip(video, clip, 2, 12)
    assert len(read_video_index(clip).pts_us) == 11


KILLED = """
    import os, sys, time
    from pathlib import Path
    from lab.streams import VideoFormat
    from storage.video_writer import VideoWriter

    folder, codec = Path(sys.argv[1]), sys.argv[2]
    writer = VideoWriter(folder / "killed.mov", VideoFormat(codec, 64, 48), 60.0)
    for number, path in enumerate(sorted(folder.glob("*.frame"))):
        writer.write(path.read_bytes(), 500_000 + number * 16_667, path.name.endswith("key.frame"))
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("codec", ["mjpeg", "h264"])
def test_a_kill_loses_the_last_frame_alone(
    tmp_path: Path, jpegs: list[bytes], h264: list[tuple[bytes, bool]], codec: str
) -> None:
    frames = [(data, True) for data in jpegs] if codec == "mjpeg" else h264
    for number, (data, keyframe) in enumerate(frames):
        (tmp_path / f"{number:03d}{'key' if keyframe else ''}.frame").write_bytes(data)
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), codec], stdout=subprocess.PIPE, cwd=root
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"written"
        process.kill()
    path = tmp_path / "killed.mov"
    index = read_video_index(path)
    assert index.pts_us.tolist() == [500_000 + number * 16_667 for number in range(COUNT - 1)]
    assert [number_of(image) for image in decode_frames(path, range(COUNT - 1))] == list(range(COUNT - 1))
    if codec == "mjpeg":
        assert [data for _, data in packets(path, 0, COUNT - 2)] == jpegs[: COUNT - 1]
        # A power cut may leave less: every cut gives whole frames from the start on, or no video at all.
        whole = path.read_bytes()
        torn = tmp_path / "torn.mov"
        counts = set()
        for size in range(0, len(whole), 97):
            torn.write_bytes(whole[:size])
            try:
                cut = read_video_index(torn)
            except FileFormatError:
                continue
            assert cut.pts_us.tolist() == index.pts_us[: len(cut.pts_us)].tolist()
            assert cut.sizes.tolist() == index.sizes[: len(cut.pts_us)].tolist()
            counts.add(len(cut.pts_us))
        assert counts >= set(range(1, COUNT - 1))


def test_times_must_increase(tmp_path: Path, jpegs: list[bytes]) -> None:
    writer = VideoWriter(tmp_path / "a.mov", VideoFormat("mjpeg", WIDTH, HEIGHT), 30.0)
    writer.write(jpegs[0], 100)
    for pts_us in (100, 99, -1):
        with pytest.raises(ValueError, match="does not come after"):
            writer.write(jpegs[1], pts_us)
    with pytest.raises(ValueError, match="without bytes"):
        writer.write(b"", 200)
    writer.write(jpegs[1], 101)
    writer.close()
    with pytest.raises(ValueError, match="is closed"):
        writer.write(jpegs[1], 300)
    assert read_video_index(tmp_path / "a.mov").pts_us.tolist() == [100, 101]


def test_files_are_made_exclusively_and_odd_codecs_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    path.write_bytes(b"precious")
    with pytest.raises(TakeError, match="exists already"):
        VideoWriter(path, VideoFormat("mjpeg", WIDTH, HEIGHT), 30.0)
    assert path.read_bytes() == b"precious"
    with pytest.raises(TakeError, match="cannot be created"):
        VideoWriter(tmp_path / "none" / "a.mov", VideoFormat("mjpeg", WIDTH, HEIGHT), 30.0)
    with pytest.raises(TakeError, match=r"nonsense cannot be written into MOV.+\.$"):
        VideoWriter(tmp_path / "b.mov", VideoFormat("nonsense", WIDTH, HEIGHT), 30.0)


@pytest.mark.parametrize("content", [b"", b"not a video at all", b"\0" * 5000, b"RIFF\x24\0\0\0WAVEfmt "])
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mov"
    path.write_bytes(content)
    for read in (read_video_index, lambda path: decode_frames(path, [0]), lambda path: transcode_to_jpeg(path, 100)):
        with pytest.raises(FileFormatError, match=r".+\.$") as caught:
            read(path)
        assert str(path) in str(caught.value)
    with pytest.raises(FileFormatError):
        read_video_index(tmp_path / "none.mov")


def test_a_video_becomes_small_jpeg_frames(video: Path) -> None:
    import simplejpeg

    frames, pts_us, width, height = transcode_to_jpeg(video, 32)
    assert (width, height) == (32, 24)
    assert pts_us.tolist() == PTS_US
    assert [number_of(simplejpeg.decode_jpeg(data, colorspace="BGR")) for data in frames] == list(range(COUNT))
    assert simplejpeg.decode_jpeg_header(frames[0])[:2] == (24, 32)
    assert transcode_to_jpeg(video, 5000)[2:] == (WIDTH, HEIGHT)
    assert len(transcode_to_jpeg(video, 32, limit=3)[0]) == 3


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_honoured_as_players_do(tmp_path: Path, degrees: int) -> None:
    import av
    import cv2
    import simplejpeg

    image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    image[: HEIGHT // 2, : WIDTH // 2] = 255  # the top left corner is bright
    path = tmp_path / "turned.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a rotation")
        stream.set_display_rotation(degrees)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    frames, _, width, height = transcode_to_jpeg(path, 1000)
    got = simplejpeg.decode_jpeg(frames[0], colorspace="BGR")
    capture = cv2.VideoCapture(str(path))  # turns by itself
    expected = capture.read()[1]
    capture.release()
    assert (height, width) == got.shape[:2] == expected.shape[:2]
    assert float(np.abs(got.astype(int) - expected).mean()) < 5


def test_real_videos_are_indexed_without_decoding(data_folder: Path) -> None:
    for name, codec in (("cam01", "h264"), ("cam02", "vp9")):
        index = read_video_index(data_folder / "video" / f"{name}.mp4")
        assert (index.codec, index.width, index.height, len(index.pts_us)) == (codec, 1080, 1920, 100)
        assert (np.diff(index.pts_us) > 0).all()
        (image,) = decode_frames(data_folder / "video" / f"{name}.mp4", [57])
        assert image.shape == (1920, 1080, 3)
