"""Room that is held for the end of a take, and files that use it when the disk is full."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lab.errors import TakeError
from storage import append_file, reserve
from storage.append_file import AppendFile
from storage.reserve import RESERVE_BYTES, give_up_reserve, hold_reserve, make_room, reserve_files


def test_the_reserve_takes_up_room_and_is_given_up(tmp_path: Path) -> None:
    hold_reserve(tmp_path)
    held = [path.stat() for path in reserve_files(tmp_path)]
    assert sum(piece.st_size for piece in held) == RESERVE_BYTES
    if hasattr(held[0], "st_blocks"):
        assert sum(piece.st_blocks for piece in held) * 512 >= RESERVE_BYTES
    give_up_reserve(tmp_path)
    give_up_reserve(tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_as_much_is_given_up_as_others_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_reserve(tmp_path)
    whole = len(reserve_files(tmp_path))
    monkeypatch.setattr(reserve, "_OTHERS_S", 0.0)
    found = iter([0, 0, 1000, 4 << 20])  # full; somebody took the first piece, and then most of the second
    monkeypatch.setattr(reserve, "free_bytes", lambda folder: next(found))
    assert make_room(tmp_path)
    assert len(reserve_files(tmp_path)) == whole - 3
    monkeypatch.setattr(reserve, "free_bytes", lambda folder: 0)
    assert not make_room(tmp_path)
    assert not reserve_files(tmp_path)


def test_without_a_folder_nothing_is_held(tmp_path: Path) -> None:
    with pytest.raises(TakeError, match="has no room for a take"):
        hold_reserve(tmp_path / "none")


class FullDisk:
    """A disk that takes ``room`` bytes and then no more, until ``free`` gives some."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.asked = 0

    def write(self, file: AppendFile, piece: bytes) -> None:
        fits = piece[: self.room]
        self.room -= len(fits)
        file._file.write(fits)
        if len(fits) < len(piece):
            raise OSError(errno.ENOSPC, "No space left on device")

    def free(self, room: int) -> bool:
        self.asked += 1
        self.room += room
        return room > 0


@pytest.mark.parametrize(("gives", "kept"), [(100, True), (0, False)])
def test_a_piece_that_finds_the_disk_full_is_tried_again_in_the_room_that_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gives: int, kept: bool
) -> None:
    disk = FullDisk(15)

    def write(file: AppendFile, piece: bytes) -> None:
        disk.write(file, piece)

    monkeypatch.setattr(append_file.AppendFile, "_write_all", write)
    file = AppendFile(tmp_path / "a", lambda: disk.free(gives))
    file.append(b"0123456789")
    if kept:
        file.append(b"abcdefghij")
    else:
        with pytest.raises(TakeError, match="No space left"):
            file.append(b"abcdefghij")
    file.close()
    assert disk.asked == 1
    assert (tmp_path / "a").read_bytes() == (b"0123456789abcdefghij" if kept else b"0123456789")


def test_another_failure_of_the_disk_asks_for_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(file: AppendFile, piece: bytes) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(append_file.AppendFile, "_write_all", fail)
    asked: list[bool] = []
    file = AppendFile(tmp_path / "a", lambda: asked.append(True) is None)
    with pytest.raises(TakeError, match="Input/output error"):
        file.append(b"abc")
    file.close()
    assert not asked
