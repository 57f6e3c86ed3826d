"""Room that is held for the end of a take, and files that use it when the disk is full."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lab.errors import TakeError
from storage import append_file
from storage.append_file import AppendFile
from storage.reserve import RESERVE_BYTES, RESERVE_NAME, give_up_reserve, hold_reserve


def test_the_reserve_takes_up_room_and_is_given_up_once(tmp_path: Path) -> None:
    hold_reserve(tmp_path)
    reserve = tmp_path / RESERVE_NAME
    assert reserve.stat().st_size == RESERVE_BYTES
    if hasattr(reserve.stat(), "st_blocks"):
        assert reserve.stat().st_blocks * 512 >= RESERVE_BYTES
    assert give_up_reserve(tmp_path)
    assert not give_up_reserve(tmp_path)
    assert not list(tmp_path.iterdir())


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
