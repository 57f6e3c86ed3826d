"""Frames of an imported video: found by their numbers, whatever is missing where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from foreign_recording import BEGIN_S, OFFSET_S, write_video, write_xdf
from hypothesis import given
from hypothesis import strategies as st

from capture.imported_video import NumberedFrames, frames_of_stream, frames_of_table, place_frames
from capture.video_binding import parse_first_frames, parse_videos
from lab.errors import FileFormatError, RequestError
from storage.frame_records import KEPT
from storage.video_reader import read_video_index
from storage.xdf_reader import XdfStream, read_xdf

FRAMES = 24


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "cam1.mp4", FRAMES)


def numbered(numbers: list[int]) -> NumberedFrames:
    count = len(numbers)
    return NumberedFrames(
        np.array(numbers, dtype=np.int64),
        100.0 + 0.04 * np.array(numbers),
        np.full(count, np.nan),
        np.full(count, -1, dtype=np.int64),
        np.ones(count, dtype=np.bool_),
    )


@given(numbers=st.sets(st.integers(0, 60), min_size=1), first=st.integers(0, 30))
def test_each_frame_of_the_video_has_one_row_and_none_has_anothers_time(
    video: Path, numbers: set[int], first: int
) -> None:
    frames = numbered(sorted(numbers))
    if not any(first <= number < first + FRAMES for number in numbers):
        with pytest.raises(RequestError, match="none of the numbers"):
            place_frames(video, frames, first, lambda _: None)
        return
    placed = place_frames(video, frames, first, lambda _: None)
    rows, index = placed.rows, read_video_index(video)
    kept = rows[(rows["flags"] & KEPT) != 0]
    np.testing.assert_array_equal(np.sort(kept["pts_us"]), index.pts_us)
    np.testing.assert_array_equal(index.pts_us[kept["frame_id"] - first], kept["pts_us"])
    np.testing.assert_array_equal(kept["size"], index.sizes[np.searchsorted(index.pts_us, kept["pts_us"])])
    stamped = rows[np.isfinite(rows["arrival_s"])]
    np.testing.assert_array_equal(stamped["frame_id"], sorted(numbers))
    np.testing.assert_allclose(stamped["arrival_s"], 100.0 + 0.04 * stamped["frame_id"])
    outside = sum(not first <= number < first + FRAMES for number in numbers)
    assert bool(placed.faults) == bool(outside)
    assert len(rows) == FRAMES + outside
    assert placed.encoded == FRAMES


@given(low=st.integers(0, 3), count=st.integers(1, 40))
def test_the_first_number_is_asked_for_where_two_are_possible(video: Path, low: int, count: int) -> None:
    frames = numbered(list(range(low, low + count)))
    if low == 0 or count == FRAMES:
        assert place_frames(video, frames, None, lambda _: None).first_frame == low
    else:
        with pytest.raises(RequestError, match="first-frame"):
            place_frames(video, frames, None, lambda _: None)


def frames_stream(path: Path, numbers: list[float], times_s: list[float]) -> XdfStream:
    file = read_xdf(write_xdf(path, seconds=1.0, numbers=numbers, frame_times_s=times_s))
    return next(stream for stream in file.streams if stream.name == "VideoStream")


def test_a_program_that_was_started_anew_counts_anew(tmp_path: Path) -> None:
    numbers = [*range(10), *range(6)]
    times = [BEGIN_S + 0.1 * place for place in range(16)]
    stream = frames_stream(tmp_path / "a.xdf", numbers, times)
    with pytest.raises(RequestError, match="begins to count anew 1 times"):
        frames_of_stream(stream, 0, None, None)
    second = frames_of_stream(stream, 0, BEGIN_S + 1.05, None)
    np.testing.assert_array_equal(second.number, range(6))
    np.testing.assert_allclose(second.arrival_s, np.array(times[10:]) - OFFSET_S)
    with pytest.raises(RequestError, match="counts no frame in this part"):
        frames_of_stream(stream, 0, BEGIN_S + 50, None)


def test_numbers_that_come_twice_or_are_none_are_said(tmp_path: Path) -> None:
    stream = frames_stream(tmp_path / "a.xdf", [0, 1, 1, -1, 2], [BEGIN_S + 0.1 * place for place in range(5)])
    frames = frames_of_stream(stream, 0, None, None)
    np.testing.assert_array_equal(frames.number, [0, 1, 2])
    np.testing.assert_allclose(frames.arrival_s - (BEGIN_S - OFFSET_S), [0, 0.1, 0.4])
    assert len(frames.remarks) == 2


@pytest.mark.parametrize(
    "text",
    ["", "frame,time\n0,1\n", "frame,time_s\n0,\n", "frame,time_s\n0,2\n1,1\n", "frame,time_s\n1,1\n0,2\n", "\0\xff"],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    table = tmp_path / "times.csv"
    table.write_text(text, encoding="latin-1")
    with pytest.raises((RequestError, FileFormatError), match=r"times\.csv"):
        frames_of_table(table)


def test_what_is_no_video_is_refused(tmp_path: Path, video: Path) -> None:
    data = video.read_bytes()
    for name, content in (("text.mp4", b"no video"), ("empty.mp4", b""), ("torn.mp4", data[: len(data) // 3])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match=name):
            place_frames(tmp_path / name, numbered([0]), None, lambda _: None)


def test_a_videos_file_and_what_follows_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("cam1.mp4", "a:b.mp4", "times.csv"):
        Path(name).write_bytes(b"")
    found = parse_videos(
        ["view1=cam1.mp4:Video:1:frame", "view2=a:b.mp4:Video", "view3=cam1.mp4:times.csv", "view4=cam1.mp4"]
    )
    assert [(one.file.name, one.times) for one in found] == [
        ("cam1.mp4", "Video:1:frame"), ("a:b.mp4", "Video"), ("cam1.mp4", "times.csv"), ("cam1.mp4", "")
    ]  # fmt: skip
    assert [one.table is not None for one in found] == [False, False, True, False]
    for text in ("cam1.mp4:Video", "view0=cam1.mp4:x", "front=cam1.mp4:x", r"view1=C:\none.mp4:Video"):
        with pytest.raises(RequestError):
            parse_videos([text])
    with pytest.raises(RequestError, match="given twice"):
        parse_videos(["view1=cam1.mp4:x", "view1=cam1.mp4:y"])
    assert parse_first_frames(["view1=0", "view2=17"]) == {"view1": 0, "view2": 17}
    for text in ("view1", "view1=-1", "view1=x", "one=1", "view1=" + "9" * 40):
        with pytest.raises(RequestError):
            parse_first_frames([text])
