"""A camera's files and rows: identity is kept whatever happens to a frame."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from capture import camera_files
from capture.camera_files import CameraFiles
from lab.errors import TakeError
from lab.streams import FRAME_LABELS, Channel, Frame, StreamSpec, VideoFormat
from storage.frame_records import read_frame_records
from storage.video_reader import read_video_index

SPEC = StreamSpec(
    content_type="VideoCompressed",
    channels=tuple(Channel(label) for label in FRAME_LABELS),
    rate_hz=10.0,
    format="double64",
    video=VideoFormat("mjpeg", 64, 48),
)
JPEG = simplejpeg.encode_jpeg(np.full((48, 64, 3), 90, np.uint8), 85)


def frame(number: int, device_time_s: float | None = None, arrival_s: float | None = None) -> Frame:
    device_s = number / 10 if device_time_s is None else device_time_s
    return Frame("", number, device_s, 100.0 + number / 10 if arrival_s is None else arrival_s, JPEG)


class Rows(list):  # type: ignore[type-arg]
    def publish(self, *row: object, encoded: bool) -> None:
        self.append((*row, encoded))


def test_every_frame_has_a_record_a_row_and_a_packet(tmp_path: Path) -> None:
    rows = Rows()
    files = CameraFiles(tmp_path, "view1", SPEC, rows.publish)
    for number in (0, 1, 2, 5, 6):
        files.put(frame(number))
    files.close()
    files.close()
    assert [row[0] for row in rows] == [0, 1, 2, 5, 6]
    assert all(row[4] for row in rows)
    records = read_frame_records(tmp_path / "view1.frames")
    assert records.rows["frame_id"].tolist() == [0, 1, 2, 5, 6]
    index = read_video_index(tmp_path / "view1.mov")
    assert index.pts_us.tolist() == [0, 100_000, 200_000, 500_000, 600_000] == records.rows["pts_us"].tolist()
    assert not list(tmp_path.glob("*.part"))


def test_a_full_queue_gives_up_bytes_but_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, gate = Rows(), threading.Event()
    original = camera_files.VideoWriter.write

    def slow(self: object, *args: object, **kwargs: object) -> None:
        gate.wait(20)
        original(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(camera_files.VideoWriter, "write", slow)
    monkeypatch.setattr(camera_files, "_QUEUE_BYTES", 30 * len(JPEG))
    files = CameraFiles(tmp_path, "view1", SPEC, rows.publish)
    for number in range(60):
        files.put(frame(number))
    assert files.fill == 1.0
    gate.set()
    files.close()
    assert [row[0] for row in rows] == list(range(60))
    kept = np.array([row[4] for row in rows])
    assert 0 < kept.sum() < 60
    assert not kept[-1]
    records = read_frame_records(tmp_path / "view1.frames")
    assert records.rows["frame_id"].tolist() == list(range(60))
    assert (records.kept == kept).all()
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == [row[3] for row in rows if row[4]]
    assert any("disk did not keep up" in problem for problem in files.problems)


def test_small_frames_that_come_all_at_once_are_kept(tmp_path: Path) -> None:
    rows = Rows()
    files = CameraFiles(tmp_path, "view1", SPEC, rows.publish)
    for number in range(600):  # a minute of them
        files.put(frame(number))
    files.close()
    assert files.problems == []
    assert [row[0] for row in rows if row[4]] == list(range(600))
    assert len(read_video_index(tmp_path / "view1.mov").pts_us) == 600


def test_a_frame_the_muxer_refuses_is_a_row_marked_not_encoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows()
    original = camera_files.VideoWriter.write

    def picky(self: object, data: bytes, pts_us: int, **kwargs: object) -> None:
        if pts_us == 100_000:
            raise TakeError("no")
        original(self, data, pts_us, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(camera_files.VideoWriter, "write", picky)
    files = CameraFiles(tmp_path, "view1", SPEC, rows.publish)
    for number in range(3):
        files.put(frame(number))
    files.close()
    assert [row[4] for row in rows] == [True, False, True]
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == [0, 200_000]
    assert "refused frame 1" in files.problems[0]


@pytest.mark.parametrize("device_times", [[0.0, 0.1, -5.0, 0.05], [float("nan")] * 4, [7.0, 1e12, 7.2, 7.3]])
def test_presentation_times_always_advance(tmp_path: Path, device_times: list[float]) -> None:
    rows = Rows()
    files = CameraFiles(tmp_path, "view1", SPEC, rows.publish)
    for number, device_s in enumerate(device_times):
        files.put(frame(number, device_s, 100.0 + number / 10))
    files.close()
    pts_us = [row[3] for row in rows]
    assert all(later > earlier for earlier, later in itertools.pairwise(pts_us))
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == pts_us


def test_existing_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "view1.frames.part").write_bytes(b"somebody's")
    with pytest.raises(TakeError):
        CameraFiles(tmp_path, "view1", SPEC, Rows().publish)
    assert (tmp_path / "view1.frames.part").read_bytes() == b"somebody's"


@pytest.mark.parametrize("reset", [False, True])
def test_a_camera_that_comes_back_goes_on_beside_what_it_wrote(tmp_path: Path, reset: bool) -> None:
    rows = Rows()
    first = CameraFiles(tmp_path, "view1", SPEC, rows.publish)
    for number in range(3):
        first.put(frame(number))
    first.close(finished=False)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(path.name for path in before) == ["view1.frames.part", "view1.mov.part"]
    second = CameraFiles(tmp_path, "view1", SPEC, rows.publish, 2)
    for number in (30, 31):
        second.put(frame(number, (number - 30) / 10 if reset else None))
    second.close()
    assert all(path.read_bytes() == content for path, content in before.items())
    assert [row[3] for row in rows] == [0, 100_000, 200_000, 3_000_000, 3_100_000]  # one time for the whole take
    assert read_video_index(tmp_path / "view1-2.mov.part").pts_us.tolist() == [3_000_000, 3_100_000]
    assert read_frame_records(tmp_path / "view1-2.frames.part").rows["frame_id"].tolist() == [30, 31]


def test_frames_leave_the_last_of_the_disk_to_the_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = Rows()
    files = CameraFiles(tmp_path, "view1", SPEC, rows.publish)
    room = itertools.chain([10**9, camera_files.LEFT_BY_FRAMES_BYTES], itertools.repeat(10**9))
    monkeypatch.setattr(camera_files, "free_bytes", lambda folder: next(room))
    for number in range(3):
        files.put(frame(number))
    files.close()
    assert [row[4] for row in rows] == [True, False, True]
    assert read_frame_records(tmp_path / "view1.frames").kept.tolist() == [True, False, True]
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == [0, 200_000]
    assert "the disk is full" in files.problems[0]
