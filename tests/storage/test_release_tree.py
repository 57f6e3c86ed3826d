"""Pictures of a release from clips of every kind; a new folder that is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import flex_takes
import numpy as np
import pytest

from lab.errors import FileFormatError, RequestError
from storage.file_lock import file_lock
from storage.new_folder import new_folder, unfinished_folder
from storage.release_tree import emg_csv, skeleton_csv, write_pictures
from storage.video_reader import cut_clip


def pictures(folder: Path) -> list[int]:
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"img_{number:05d}.JPG" for number in range(1, len(names) + 1)]
    return [flex_takes.number_shown(cv2.imread(str(folder / name))) for name in names]


def write_h264(path: Path, count: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"bf": "3", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = flex_takes.BITS * flex_takes.BLOCK, 48, "yuv420p"
        for number in range(count):
            bits = [(number >> bit) & 1 for bit in reversed(range(flex_takes.BITS))]
            row = np.repeat(np.array(bits, dtype=np.uint8) * 255, flex_takes.BLOCK)
            image = np.ascontiguousarray(np.broadcast_to(row[None, :, None], (48, len(row), 3)))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))


NUMBERS = [0, 0, 3, 7, 8, 8, 8, 29, 40, 59, 99]


@pytest.mark.parametrize("kind", ["mjpeg", "mjpeg without Huffman tables", "h264", "clip of h264"])
def test_pictures_are_the_frames_that_were_asked_for(tmp_path: Path, kind: str) -> None:
    clip = tmp_path / "clip.mov"
    if kind == "h264":
        write_h264(clip, 60)
    elif kind == "clip of h264":
        write_h264(tmp_path / "source.mp4", 80)
        cut_clip(tmp_path / "source.mp4", clip, 0, 59)
    else:
        flex_takes.write_numbered_video(clip, 60)
        if "without" in kind:  # as cameras send it: a decoder knows the tables
            clip.write_bytes(clip.read_bytes().replace(b"\xff\xc4", b"\xff\xe4"))
    write_pictures(clip, tmp_path / "View-1", NUMBERS)
    assert pictures(tmp_path / "View-1") == [*NUMBERS[:-1], 59]  # beyond the last frame is the last
    assert all(b"\xff\xc4" in path.read_bytes() for path in (tmp_path / "View-1").iterdir())


def test_motion_jpeg_is_copied_bit_for_bit(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mov"
    flex_takes.write_numbered_video(clip, 10)
    write_pictures(clip, tmp_path / "View-1", [4])
    with av.open(str(clip)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    assert (tmp_path / "View-1" / "img_00001.JPG").read_bytes() == packets[4]


def test_a_clip_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mov"
    clip.write_bytes(b"x" * 1000)
    with pytest.raises(FileFormatError, match=r"clip\.mov"):
        write_pictures(clip, tmp_path / "View-1", [0])


def test_tables_are_read_back_by_numpy(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    positions_m = generator.normal(size=(103, 21, 3))
    positions_m[5, 3] = np.nan
    (tmp_path / "s.csv").write_bytes(skeleton_csv(positions_m))
    header = (tmp_path / "s.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert (len(header), header[:3], header[-1]) == (63, ["head_x", "head_y", "head_z"], "left_toe_z")
    read = np.genfromtxt(tmp_path / "s.csv", delimiter=",", skip_header=1).reshape(103, 21, 3)
    np.testing.assert_allclose(read, positions_m, rtol=1e-6)
    values_uv = generator.normal(0, 100, (500, 2)).astype(np.float32)
    (tmp_path / "e.csv").write_bytes(emg_csv(values_uv))
    np.testing.assert_allclose(np.loadtxt(tmp_path / "e.csv", delimiter=","), values_uv, rtol=1e-6)


def test_a_new_folder_has_its_name_at_the_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "new"
    with new_folder(path) as folder:
        (folder / "a").write_text("a")
        assert not path.exists()
    assert [entry.name for entry in path.iterdir()] == ["a"]
    assert [entry.name for entry in path.parent.iterdir()] == ["new"]
    with pytest.raises(RequestError, match="exists; name a new folder"), new_folder(path):
        pass


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def make() -> None:
        with new_folder(tmp_path / "new") as folder:
            (folder / "a").write_text("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_maker_left_goes_and_a_strangers_folder_stays(tmp_path: Path) -> None:
    path = tmp_path / "new"
    part = unfinished_folder(path)
    part.mkdir()
    (part / "mine").write_text("x")
    with pytest.raises(RequestError, match="was not made for"), new_folder(path):
        pass
    assert (part / "mine").exists()
    (tmp_path / "new.lock").write_text("process 1 on host x\n")  # as a killed maker leaves it
    with new_folder(path) as folder:
        assert list(folder.iterdir()) == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]


def test_two_do_not_make_the_same_folder(tmp_path: Path) -> None:
    path = tmp_path / "new"
    with (
        file_lock(tmp_path / "new.lock", "process 7 on host bench", wait_s=0.0, keep=False),
        pytest.raises(RequestError, match="is being made by process 7 on host bench"),
        new_folder(path),
    ):
        pass
    assert not path.exists()
