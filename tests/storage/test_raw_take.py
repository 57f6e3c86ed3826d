from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from lab.errors import TakeError
from lab.streams import (
    CLOCK_LABELS,
    CLOCK_SUFFIX,
    COUNTER_LABEL,
    FRAME_LABELS,
    PROBES_LABELS,
    PROBES_NAME,
    Channel,
    VideoFormat,
)
from lab.take import ClockAnchor, StreamRecord, TakeRecord, ViewRecord
from storage.checksums import digest_of, write_sums
from storage.frame_records import FrameRecordWriter
from storage.raw_take import read_raw_take
from storage.take_folder import frames_path, part_path, streams_path, video_path, write_record
from storage.video_writer import VideoWriter
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

FACTS = {"version": "0.1.0", "device": "amp", "stream": "emg", "counter_origin": "device", "simulated": "yes"}
ENCODING = "<encoding><width>64</width><height>48</height><codec>mjpeg</codec></encoding>"
COUNT = 12


def plain(labels: tuple[str, ...]) -> list[Channel]:
    return [Channel(label) for label in labels]


def record(**changes: object) -> TakeRecord:
    given: dict[str, object] = {
        "subject": "S1",
        "session": "s",
        "take": "A16-01",
        "action": "A16",
        "state": "complete",
        "simulated": True,
        "rig": {},
        "software": {},
        "started": ClockAnchor(session_s=1.0, utc="2026-11-22T09:30:00Z", width_s=1e-6),
        "streams": (StreamRecord(stream_id=1, name="emg", device="amp", source_id="x", samples=5),),
        "views": (
            ViewRecord(
                view="view1",
                video="view1.mov",
                records="view1.frames",
                codec="mjpeg",
                width=64,
                height=48,
                frames=COUNT,
            ),
        ),
    }
    return TakeRecord.model_validate(given | changes)


def write_streams(folder: Path, camera: bool = True) -> None:
    writer = XdfWriter(streams_path(folder))
    channels = [Channel("biceps", "microvolts", "EMG"), Channel(COUNTER_LABEL, "count")]
    facts = FACTS | {"counter_modulus": "1024"}
    writer.stream_header(
        1, build_header("emg", "EMG", channels, 100.0, "float32", hostname="bench", source_id="x", flex_capture=facts)
    )
    writer.stream_header(2, build_header("emg" + CLOCK_SUFFIX, "Clock", plain(CLOCK_LABELS), 0.0, "double64"))
    xml = build_header("view1", "Video", plain(FRAME_LABELS), 60.0, "double64", flex_capture={"device": "view1"})
    if camera:
        writer.stream_header(3, xml.replace("</channels>", "</channels>" + ENCODING))
    writer.stream_header(4, build_header("somebody.clock", "Other", [Channel("x")], 0.0, "string"))
    writer.stream_header(5, build_header(PROBES_NAME, "ClockProbes", plain(PROBES_LABELS), 0.0, "double64"))
    for piece in range(2):
        counter = np.arange(3) + 1022 + 3 * piece
        values = np.stack([counter * 0.5, counter % 1024], axis=1).astype(np.float32)
        writer.samples(1, counter / 100, values)
        writer.samples(2, [10.0 + piece], np.array([[float(counter[-1]), 10.0 + piece, math.nan]]))
        writer.clock_offset(1, 5.0 + piece, -0.125)
        writer.clock_offset(2, 5.0 + piece, -0.25)
    writer.samples(5, [0.0, 0.0], np.array([[1.0, 6.0, -0.125, 0.0005], [2.0, 5.0, -0.25, 0.75]]))
    writer.samples(4, [1.0], [["hello"]])
    if camera:
        for number in range(COUNT):
            writer.samples(
                3, [number / 60], np.array([[number, math.nan, number / 60, number * 16_667.0, number != 5]])
            )
    writer.close()


@pytest.fixture(scope="module")
def jpegs() -> list[bytes]:
    import simplejpeg

    noise = np.random.default_rng(1).integers(0, 255, (COUNT, 48, 64, 3), dtype=np.uint8)
    return [simplejpeg.encode_jpeg(image, quality=80) for image in noise]


def write_view(folder: Path, jpegs: list[bytes], lost: tuple[int, ...] = ()) -> None:
    records = FrameRecordWriter(frames_path(folder, "view1"))
    video = VideoWriter(video_path(folder, "view1"), VideoFormat("mjpeg", 64, 48), 60.0)
    for number, data in enumerate(jpegs):
        kept = number != 5
        records.append(number, math.nan, number / 60, number * 16_667, data, kept=kept, keyframe=True)
        if kept and number not in lost:
            video.write(data, number * 16_667)
    video.close()
    records.close()


@pytest.fixture
def take(tmp_path: Path, jpegs: list[bytes]) -> Path:
    folder = tmp_path / "A16-01"
    folder.mkdir()
    write_record(folder, record())
    write_streams(folder)
    write_view(folder, jpegs)
    write_sums(folder)
    return folder


def test_a_take_is_read_with_clocks_and_probes(take: Path) -> None:
    whole = read_raw_take(take)
    assert whole.notes == ()
    assert whole.record == record()
    assert whole.digest == digest_of(take)
    assert [stream.name for stream in whole.streams] == ["emg", "somebody.clock"]
    emg, other = whole.streams
    assert (emg.device, emg.host, emg.source_id, emg.content_type) == ("amp", "bench", "x", "EMG")
    assert (emg.rate_hz, emg.format, emg.counter_origin, emg.counter_modulus) == (100.0, "float32", "device", 1024)
    assert emg.channels == (Channel("biceps", "microvolts", "EMG"),)
    assert emg.values.dtype == np.float32
    assert emg.values.tolist() == [[number * 0.5] for number in range(1022, 1028)]
    assert emg.counter is not None
    assert emg.counter.tolist() == [1022, 1023, 0, 1, 2, 3]
    assert emg.counter.dtype == np.int64
    assert emg.stamps.tolist() == [number / 100 for number in range(1022, 1028)]
    assert emg.chunk_last.tolist() == [2, 5]
    assert emg.clock_rows is not None
    assert emg.clock_rows[:, :2].tolist() == [[1024, 10.0], [1027, 11.0]]
    assert np.isnan(emg.clock_rows[:, 2]).all()
    assert emg.probes[:, :2].tolist() == [[5.0, -0.125], [6.0, -0.125]]
    assert np.isnan(emg.probes[0, 2])
    assert emg.probes[1, 2] == 0.0005
    assert emg.simulated
    assert emg.video is None
    assert (other.counter, other.clock_rows, other.probes.shape) == (None, None, (0, 3))
    assert other.values.tolist() == [["hello"]]


def test_a_view_says_which_frames_the_video_holds(take: Path) -> None:
    (view,) = read_raw_take(take).views
    assert (view.view, view.video_path, view.stream.name) == ("view1", take / "view1.mov", "view1")
    assert view.stream.video == VideoFormat("mjpeg", 64, 48)
    assert view.frame_id.tolist() == list(range(COUNT))
    assert view.index.tolist() == [0, 1, 2, 3, 4, -1, 5, 6, 7, 8, 9, 10]
    assert view.pts_us.tolist() == [number * 16_667 for number in range(COUNT)]
    assert view.arrival_s.tolist() == [number / 60 for number in range(COUNT)]
    assert np.isnan(view.device_time_s).all()


def test_frames_that_the_muxer_lost_are_not_in_the_video(take: Path, jpegs: list[bytes]) -> None:
    frames_path(take, "view1").unlink()
    video_path(take, "view1").unlink()
    write_view(take, jpegs, lost=(0, 11))
    whole = read_raw_take(take)
    assert whole.views[0].index.tolist() == [-1, 0, 1, 2, 3, -1, 4, 5, 6, 7, 8, -1]
    assert whole.notes == ("view1: 2 frames that were handed to the video are not in it.",)


def test_a_video_of_other_frames_is_not_believed(take: Path, jpegs: list[bytes]) -> None:
    video_path(take, "view1").unlink()
    frames = frames_path(take, "view1").read_bytes()
    frames_path(take, "view1").unlink()
    write_view(take, [data + b"\0\0" if number == 3 else data for number, data in enumerate(jpegs)])
    frames_path(take, "view1").write_bytes(frames)
    whole = read_raw_take(take)
    assert whole.views[0].index.tolist() == [0, 1, 2, -1, 4, -1, 5, 6, 7, 8, 9, 10]
    assert "view1: 1 frames of the video are not as they were recorded." in whole.notes


def test_a_torn_record_is_discarded_and_said(take: Path) -> None:
    path = frames_path(take, "view1")
    path.write_bytes(path.read_bytes()[:-30])
    whole = read_raw_take(take)
    assert whole.views[0].index.tolist() == [0, 1, 2, 3, 4, -1, 5, 6, 7, 8, 9]
    assert whole.notes == (
        "view1.frames: 34 bytes were torn or damaged and are discarded.",
        "view1: 1 frames of the video have no frame record.",
    )


def test_without_frame_records_the_stream_stands_in(take: Path) -> None:
    before = read_raw_take(take).views[0]
    frames_path(take, "view1").unlink()
    whole = read_raw_take(take)
    (view,) = whole.views
    assert view.index.tolist() == before.index.tolist()
    assert view.arrival_s.tolist() == before.arrival_s.tolist()
    assert len(whole.notes) == 1
    assert "rows of its stream are used instead" in whole.notes[0]


def test_without_a_video_no_frame_is_in_it(take: Path) -> None:
    video_path(take, "view1").unlink()
    whole = read_raw_take(take)
    assert whole.views[0].index.tolist() == [-1] * COUNT
    assert len(whole.notes) == 1


def test_a_view_whose_stream_is_missing_keeps_its_frames(take: Path) -> None:
    streams_path(take).unlink()
    write_streams(take, camera=False)
    whole = read_raw_take(take)
    (view,) = whole.views
    assert view.index.tolist() == [0, 1, 2, 3, 4, -1, 5, 6, 7, 8, 9, 10]
    assert view.stream.probes.shape == (0, 3)
    assert view.stream.video == VideoFormat("mjpeg", 64, 48)
    assert whole.notes == ("view1: streams.xdf has no stream of this camera; its clock is not known.",)


def test_files_outside_the_take_are_never_opened(take: Path) -> None:
    shutil.move(take / "view1.mov", take.parent / "elsewhere.mov")
    view = record().views[0].model_copy(update={"video": "../elsewhere.mov"})
    write_record(take, record(views=(view,)))
    whole = read_raw_take(take)
    assert whole.views[0].video_path == take / "view1.mov"
    assert whole.views[0].index.tolist() == [-1] * COUNT


def test_a_camera_that_the_record_does_not_know_is_a_view_all_the_same(take: Path) -> None:
    write_record(take, record(views=(), streams=()))
    assert read_raw_take(take).views[0].index.tolist() == [0, 1, 2, 3, 4, -1, 5, 6, 7, 8, 9, 10]


def test_a_cut_recording_is_read_up_to_its_last_whole_chunk(take: Path) -> None:
    data = streams_path(take).read_bytes()
    for size in (len(data) - 5, len(data) // 2, 200, 4):
        streams_path(take).write_bytes(data[:size])
        whole = read_raw_take(take)
        for stream in whole.streams:
            assert len(stream.values) == len(stream.stamps)
            assert stream.counter is None or len(stream.counter) == len(stream.stamps)
        assert whole.notes


def test_a_counter_that_is_no_count_is_not_used(take: Path) -> None:
    streams_path(take).unlink()
    writer = XdfWriter(streams_path(take))
    channels = plain(("a", COUNTER_LABEL))
    for stream_id, bad in enumerate((math.nan, 0.5, math.inf)):
        writer.stream_header(stream_id, build_header(f"s{stream_id}", "", channels, 1.0, "double64"))
        writer.samples(stream_id, [1.0, 2.0], np.array([[1.0, 7.0], [2.0, bad]]))
    writer.stream_header(8, build_header("texts", "", channels, 0.0, "string"))
    writer.samples(8, [1.0, 2.0], [["a", "7"], ["b", "8"]])
    writer.stream_header(9, build_header("words", "", channels, 0.0, "string"))
    writer.samples(9, [1.0], [["a", "seven"]])
    writer.close()
    whole = read_raw_take(take)
    counters = {stream.name: stream.counter for stream in whole.streams}
    assert counters.pop("texts").tolist() == [7, 8]  # type: ignore[union-attr]
    assert set(counters.values()) == {None}
    assert sum("no count" in note for note in whole.notes) == 4
    assert "Stream emg of take.json is not in streams.xdf." in whole.notes


def test_takes_that_cannot_be_read_say_what_to_do(take: Path) -> None:
    sums = take / "SHA256SUMS"
    kept = sums.read_bytes()
    sums.unlink()
    with pytest.raises(TakeError, match="flex-capture recover"):
        read_raw_take(take)
    sums.write_bytes(kept)
    shutil.move(streams_path(take), part_path(streams_path(take)))
    with pytest.raises(TakeError, match="never closed; run `flex-capture recover`"):
        read_raw_take(take)
    part_path(streams_path(take)).unlink()
    with pytest.raises(TakeError, match="has no readable streams") as caught:
        read_raw_take(take)
    assert str(take) in str(caught.value)
    with pytest.raises(TakeError, match="is missing"):
        read_raw_take(take.parent / "none")


def test_other_peoples_recordings_are_read(data_folder: Path, tmp_path: Path) -> None:
    write_record(tmp_path, record(views=(), streams=()))
    shutil.copy(data_folder / "xdf" / "P001_late.xdf", streams_path(tmp_path))
    write_sums(tmp_path)
    whole = read_raw_take(tmp_path)
    assert [stream.name for stream in whole.streams] == ["Muse-2", "Muse-1", "Muse-3", "Muse-4"]
    assert {stream.counter for stream in whole.streams} == {None}
    assert all(len(stream.probes) and np.isnan(stream.probes[:, 2]).all() for stream in whole.streams)
    assert [len(stream.values) for stream in whole.streams] == [1302, 1302, 6408, 1602]
