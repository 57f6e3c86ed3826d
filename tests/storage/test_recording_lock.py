"""One recorder at a time in a folder of raw takes, and no crash leaves it locked."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import RequestError
from storage.file_lock import HeldError, file_lock, is_locked
from storage.recording_lock import RECORDING_LOCK_NAME, recording_lock, recording_under_way

HOLDER = """
import sys, time
from pathlib import Path
from storage.recording_lock import recording_lock
with recording_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(raw: Path, purpose: str = "recording") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(raw), purpose], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    return process


def test_a_folder_that_was_not_there_goes_again(tmp_path: Path) -> None:
    raw = tmp_path / "out" / "raw"
    with recording_lock(raw):
        assert recording_under_way(raw)
        assert (
            raw / RECORDING_LOCK_NAME
        ).read_text() == f"recording by process {os.getpid()} on host {socket.gethostname()}\n"
    assert list(tmp_path.iterdir()) == []
    assert not recording_under_way(raw)
    with pytest.raises(KeyboardInterrupt), recording_lock(raw):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with recording_lock(raw):
        (raw / "S12").mkdir()
    assert [path.name for path in raw.iterdir()] == ["S12"]


def test_a_second_recorder_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with hold(raw) as process:
        assert recording_under_way(raw)
        with pytest.raises(RequestError) as refused, recording_lock(raw):
            raise AssertionError
        sentence = str(refused.value)
        assert f"a recording is under way in {raw} by process {process.pid} on host " in sentence
        assert "--out" in sentence
        assert recording_under_way(raw)
        process.communicate("\n")
    assert not raw.exists()
    with hold(raw, "recovery") as process:
        with pytest.raises(RequestError, match=f"a recovery of takes is under way .* by process {process.pid}"):
            recording_lock(raw, "withdrawal").__enter__()
        process.communicate("\n")


def test_a_killed_recorder_holds_nothing(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with hold(raw) as process:
        process.kill()
    assert (raw / RECORDING_LOCK_NAME).exists()
    assert not recording_under_way(raw)
    with recording_lock(raw):
        pass
    assert list(raw.iterdir()) == []


def test_who_waits_for_a_lock_that_goes_locks_the_next_file(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with hold(raw) as process:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        with recording_lock(raw, wait_s=30.0):
            process.wait()
            assert is_locked(raw / RECORDING_LOCK_NAME)


def test_a_folder_that_cannot_be_locked_is_said(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file")
    with pytest.raises(RequestError, match=r"cannot be locked.+ --out"), recording_lock(tmp_path / "raw"):
        raise AssertionError
    with (
        pytest.raises(RequestError, match="copy it to where you can write"),
        recording_lock(tmp_path / "raw", "recovery"),
    ):
        raise AssertionError
    (tmp_path / "raw").unlink()
    (tmp_path / "raw" / RECORDING_LOCK_NAME).mkdir(parents=True)
    with pytest.raises(RequestError, match="cannot be locked"), recording_lock(tmp_path / "raw"):
        raise AssertionError


def test_a_lock_that_is_kept_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with file_lock(path, "me", wait_s=0, keep=True):
        assert path.read_text() == "me\n"
        with pytest.raises(HeldError, match="me"), file_lock(path, "you", wait_s=0, keep=True):
            raise AssertionError
    assert path.read_bytes() == b""
