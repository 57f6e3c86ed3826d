"""A view in pieces becomes one video and one file of records that tell the truth of each other."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dying import KilledError, die_at
from lab.errors import TakeError
from lab.streams import VideoFormat
from lab.take import ViewRecord
from storage import salvage_view
from storage.frame_records import KEPT, RECORD, FrameRecordWriter, read_frame_records
from storage.salvage_view import bytes_to_copy, drop_pieces, merge_view
from storage.take_folder import frames_path, part_path, segment_name, video_path
from storage.video_reader import decode_frames, packets, read_video_index
from storage.video_writer import VideoWriter

WIDTH, HEIGHT, COUNT = 64, 48, 12
CODECS = ("mjpeg", "h264")
#: Uneven, with a gap, not beginning at 0.
PTS_US = [1_234_567 + number * 33_333 + number**2 % 7 + (400_000 if number > 8 else 0) for number in range(COUNT)]

Frames = list[tuple[bytes, bool]]


def view(codec: str) -> ViewRecord:
    return ViewRecord(view="view1", video="view1.mov", records="view1.frames", codec=codec, width=WIDTH, height=HEIGHT)


def picture(number: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), 15 * number + 20, dtype=np.uint8)


def number_of(image: np.ndarray) -> int:
    return round((float(image.mean()) - 20) / 15)


@pytest.fixture(scope="module")
def frames() -> dict[str, Frames]:
    """Return frames as cameras send them: JPEG, and H.264 with a keyframe every four."""
    import av
    import simplejpeg

    with av.open(io.BytesIO(), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=30, options={"tune": "zerolatency", "g": "4"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        encoded = [
            packet
            for number in range(COUNT)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture(number), format="bgr24"))
        ]
        encoded += stream.encode(None)
    return {
        "mjpeg": [(simplejpeg.encode_jpeg(picture(n), quality=90, colorspace="BGR"), True) for n in range(COUNT)],
        "h264": [(bytes(packet), packet.is_keyframe) for packet in encoded],
    }


def write_piece(
    folder: Path,
    codec: str,
    frames: Frames,
    numbers: range,
    *,
    piece: int = 1,
    killed: bool = True,
    pts_us: list[int] = PTS_US,
) -> None:
    """Write frames as a camera's worker does; ``killed`` before it closed anything, or closed but not renamed."""
    stem = segment_name("view1", piece)
    records = FrameRecordWriter(part_path(frames_path(folder, stem)))
    path = part_path(video_path(folder, stem))
    video = VideoWriter(path, VideoFormat(codec, WIDTH, HEIGHT), 30.0)
    for number in numbers:
        data, keyframe = frames[number]
        records.append(number, number * 0.1, 100.0 + number / 30, pts_us[number], data, kept=True, keyframe=keyframe)
        video.write(data, pts_us[number], keyframe)
    records.close()
    as_killed = path.read_bytes()
    video.close()
    if killed:
        path.write_bytes(as_killed)


def close_names(folder: Path, piece: int = 1) -> None:
    for name in (video_path, frames_path):
        path = name(folder, segment_name("view1", piece))
        part_path(path).rename(path)


def kept(folder: Path) -> list[int]:
    read = read_frame_records(frames_path(folder, "view1"))
    assert read.bytes_discarded == 0
    return [int(number) for number in read.rows["frame_id"][read.kept]]


@pytest.mark.parametrize("codec", CODECS)
def test_a_killed_view_becomes_whole_and_only_the_last_frame_is_lost(
    codec: str, frames: dict[str, Frames], tmp_path: Path
) -> None:
    write_piece(tmp_path, codec, frames[codec], range(COUNT))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    merged = merge_view(tmp_path, view(codec))
    assert (merged.record.frames, merged.record.encoded, merged.lost, merged.damaged) == (COUNT, COUNT - 1, 1, 0)
    assert "1 frame handed to the video, but not in it" in merged.notes[0]
    assert kept(tmp_path) == list(range(COUNT - 1))
    index = read_video_index(tmp_path / "view1.mov")
    assert index.pts_us.tolist() == PTS_US[: COUNT - 1]
    images = decode_frames(tmp_path / "view1.mov", range(COUNT - 1))
    assert [number_of(image) for image in images] == list(range(COUNT - 1))
    if codec == "mjpeg":
        data = [data for _, data in packets(tmp_path / "view1.mov", 0, COUNT - 2)]
        assert data == [frame for frame, _ in frames[codec][: COUNT - 1]]
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    drop_pieces(tmp_path, "view1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["view1.frames", "view1.mov"]
    again = merge_view(tmp_path, view(codec))
    assert (again.record, again.notes) == (merged.record, ())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("closed", [True, False])
def test_pieces_become_one_and_no_frame_moves(
    codec: str, closed: bool, frames: dict[str, Frames], tmp_path: Path
) -> None:
    write_piece(tmp_path, codec, frames[codec], range(4), killed=False)
    if closed:
        close_names(tmp_path)
    write_piece(tmp_path, codec, frames[codec], range(4, 8), piece=2)
    write_piece(tmp_path, codec, frames[codec], range(8, COUNT), piece=10, killed=False)
    merged = merge_view(tmp_path, view(codec))
    assert (merged.pieces, merged.record.frames, merged.lost) == (3, COUNT, 1)
    there = [number for number in range(COUNT) if number != 7]
    assert kept(tmp_path) == there
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == [PTS_US[number] for number in there]
    assert [number_of(image) for image in decode_frames(tmp_path / "view1.mov", range(COUNT - 1))] == there
    drop_pieces(tmp_path, "view1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["view1.frames", "view1.mov"]


def test_a_piece_whose_times_begin_anew_is_moved_as_one_by_its_arrivals(
    frames: dict[str, Frames], tmp_path: Path
) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(4), killed=False)
    anew = [0, 0, 0, 0, 0, 0, *(1_000 * number for number in range(6))]
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(6, COUNT), piece=2, killed=False, pts_us=anew)
    merged = merge_view(tmp_path, view("mjpeg"))
    assert (merged.lost, merged.unrecorded, merged.record.encoded) == (0, 0, 10)
    rows = read_frame_records(tmp_path / "view1.frames").rows
    assert rows["pts_us"].tolist()[4:] == [200_000 + PTS_US[0] - PTS_US[0] + 1_000 * n for n in range(6)] or (
        rows["pts_us"][4] > PTS_US[3]
    )
    assert np.diff(rows["pts_us"][4:]).tolist() == [1_000] * 5
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == rows["pts_us"].tolist()


def test_a_piece_after_one_whose_records_are_lost_comes_after_its_frames(
    frames: dict[str, Frames], tmp_path: Path
) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(6), killed=False)
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(4), piece=2, killed=False)
    part_path(frames_path(tmp_path, "view1")).write_bytes(b"")  # a power cut
    merged = merge_view(tmp_path, view("mjpeg"))
    assert (merged.record.frames, merged.unrecorded) == (4, 6)
    found = [int(pts_us) for pts_us in read_video_index(video_path(tmp_path, "view1")).pts_us]
    assert found[:6] == PTS_US[:6]
    assert found[6:] == [PTS_US[5] + 1 + pts_us - PTS_US[0] for pts_us in PTS_US[:4]]


def test_a_video_whose_metadata_are_no_text_is_still_one(frames: dict[str, Frames], tmp_path: Path) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(4))
    path = part_path(video_path(tmp_path, "view1"))
    damaged = path.read_bytes().replace(b"Lavf", b"L\xff\x88f")
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    assert merge_view(tmp_path, view("mjpeg")).record.encoded == 3  # the last one was not out yet


@pytest.mark.parametrize("codec", CODECS)
def test_a_frame_that_is_not_as_recorded_is_no_longer_kept(
    codec: str, frames: dict[str, Frames], tmp_path: Path
) -> None:
    write_piece(tmp_path, codec, frames[codec], range(COUNT), killed=False)
    path = part_path(tmp_path / "view1.mov")
    data = bytearray(path.read_bytes())
    frame = frames[codec][5][0]
    place = data.find(frame[-12:])
    assert place > 0
    data[place + 6] ^= 0x10
    path.write_bytes(data)
    merged = merge_view(tmp_path, view(codec))
    assert (merged.damaged, merged.lost, merged.record.encoded) == (1, 0, COUNT - 1)
    assert kept(tmp_path) == [number for number in range(COUNT) if number != 5]
    pts = [PTS_US[number] for number in range(COUNT) if number != 5]
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == pts


def test_frames_without_a_record_are_kept_and_told(frames: dict[str, Frames], tmp_path: Path) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(COUNT), killed=False)
    records = part_path(tmp_path / "view1.frames")
    whole = records.read_bytes()
    records.write_bytes(b"\0" * 64 + whole[64 : 64 + 64 * 7 + 13])  # the header is damaged, the end is torn
    merged = merge_view(tmp_path, view("mjpeg"))
    assert (merged.record.frames, merged.unrecorded, merged.torn_bytes, merged.lost) == (7, 5, 13, 0)
    assert read_video_index(tmp_path / "view1.mov").pts_us.tolist() == PTS_US
    assert len(merged.notes) == 2


def test_a_view_without_a_frame_has_records_alone(frames: dict[str, Frames], tmp_path: Path) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(1))
    merged = merge_view(tmp_path, view("mjpeg"))
    assert (merged.record.frames, merged.record.encoded, merged.lost) == (1, 0, 1)
    drop_pieces(tmp_path, "view1")
    assert [path.name for path in tmp_path.iterdir()] == ["view1.frames"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert merge_view(empty, view("mjpeg")).record.frames == 0


def test_a_video_that_cannot_be_read_is_never_dropped(frames: dict[str, Frames], tmp_path: Path) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(COUNT))
    riddle = part_path(tmp_path / "view1.mov")
    riddle.write_bytes(b"\0" * 100 + riddle.read_bytes()[100:])
    merged = merge_view(tmp_path, view("mjpeg"))
    assert merged.unreadable == ("view1.mov.part",)
    assert merged.record.encoded == 0
    drop_pieces(tmp_path, "view1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["view1.frames", "view1.mov.part"]


@pytest.mark.parametrize("codec", CODECS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(video_cut=st.floats(0, 1), records_cut=st.floats(0, 1))
def test_cut_anywhere_what_is_kept_is_what_was_recorded(
    codec: str,
    frames: dict[str, Frames],
    tmp_path_factory: pytest.TempPathFactory,
    video_cut: float,
    records_cut: float,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    write_piece(folder, codec, frames[codec], range(COUNT))
    for name, cut in (("view1.mov", video_cut), ("view1.frames", records_cut)):
        path = part_path(folder / name)
        data = path.read_bytes()
        path.write_bytes(data[: round(cut * len(data))])
    whole_records = max(0, (round(records_cut * (64 + 64 * COUNT)) - 64) // 64)
    merged = merge_view(folder, view(codec))
    rows = read_frame_records(folder / "view1.frames")
    assert len(rows.rows) == merged.record.frames == whole_records
    assert rows.rows["pts_us"].tolist() == PTS_US[:whole_records]
    video = folder / "view1.mov"
    there = read_video_index(video).pts_us.tolist() if video.exists() else []
    assert there == PTS_US[: len(there)]  # whole frames from the start on, each at its own time
    assert rows.rows["pts_us"][rows.kept].tolist() == PTS_US[: min(len(there), whole_records)]
    assert merged.unrecorded == max(0, len(there) - whole_records)
    if codec == "mjpeg" and there:
        assert [data for _, data in packets(video, 0, len(there) - 1)] == [d for d, _ in frames[codec][: len(there)]]
    shutil.rmtree(folder)


@pytest.mark.parametrize("closed", [True, False])
def test_killed_at_any_step_it_can_be_done_again(closed: bool, frames: dict[str, Frames], tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    write_piece(first, "mjpeg", frames["mjpeg"], range(5), killed=False)
    if closed:
        close_names(first)
    write_piece(first, "mjpeg", frames["mjpeg"], range(5, COUNT), piece=2)
    died = 0
    for number in range(1, 50):
        folder = tmp_path / f"died{number}"
        shutil.copytree(first, folder)
        with pytest.MonkeyPatch.context() as patch:
            calls = die_at(patch, number)
            try:
                merge_view(folder, view("mjpeg"))
                drop_pieces(folder, "view1")
            except KilledError:
                died += 1
            if calls() < number:
                break
        merged = merge_view(folder, view("mjpeg"))
        drop_pieces(folder, "view1")
        assert (merged.record.frames, merged.record.encoded) == (COUNT, COUNT - 1)
        assert read_video_index(folder / "view1.mov").pts_us.tolist() == PTS_US[: COUNT - 1]
        assert kept(folder) == list(range(COUNT - 1))
        names = {path.name for path in folder.iterdir() if ".tmp-" not in path.name}
        assert names == {"view1.frames", "view1.mov"}
    assert died >= 6


@pytest.mark.parametrize("closed", [True, False])
def test_without_room_all_stays_as_it_was(
    closed: bool, frames: dict[str, Frames], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(COUNT), killed=False)
    if closed:
        close_names(tmp_path)
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(COUNT), piece=2)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert bytes_to_copy(tmp_path, view("mjpeg")) == sum(len(data) for data in before.values())

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(salvage_view, "sync_file", full)
    with pytest.raises(TakeError, match="No space left on device"):
        merge_view(tmp_path, view("mjpeg"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_copy_that_differs_is_not_believed(
    frames: dict[str, Frames], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(COUNT))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        place = data.find(frames["mjpeg"][3][0])
        if place > 0:
            data[place + 200] ^= 1
            path.write_bytes(data)

    monkeypatch.setattr(salvage_view, "_put_on_disk", spoil)
    with pytest.raises(TakeError, match="does not hold the same frames"):
        merge_view(tmp_path, view("mjpeg"))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_records_of_frames_that_were_given_up_stay_as_they_are(frames: dict[str, Frames], tmp_path: Path) -> None:
    write_piece(tmp_path, "mjpeg", frames["mjpeg"], range(COUNT))
    path = part_path(tmp_path / "view1.frames")
    with path.open("ab") as file:
        row = np.zeros(1, dtype=RECORD)
        row["frame_id"], row["pts_us"], row["arrival_s"] = 99, 9_999_999, 777.0
        from storage.frame_records import frame_records_bytes

        file.write(frame_records_bytes(row)[64:])
    merged = merge_view(tmp_path, view("mjpeg"))
    rows = read_frame_records(tmp_path / "view1.frames").rows
    assert rows["frame_id"][-1] == 99
    assert rows["flags"][-1] & KEPT == 0
    assert merged.last_arrival_s == 777.0
