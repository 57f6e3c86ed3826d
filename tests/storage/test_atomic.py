from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.atomic import sync_file, sync_folder, write_bytes_atomically


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_bytes_atomically(path, b"one")
    write_bytes_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def fail(*args: object) -> None:
        assert (tmp_path / f"a.json.tmp-{os.getpid()}").exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(f"storage.atomic.os.{step}", fail)
    with pytest.raises(OSError, match="No space"):
        write_bytes_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_raises(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        write_bytes_atomically(tmp_path / "none" / "a", b"")


def test_syncing(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb", buffering=0) as file:
        sync_file(file.fileno())
        descriptor = file.fileno()
    with pytest.raises(OSError, match="descriptor"):
        sync_file(descriptor)
    sync_folder(tmp_path)
    sync_folder(tmp_path / "none")  # where the system cannot, nothing happens
