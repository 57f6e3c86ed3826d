"""A full disk, one that cannot be written, one that others record to: what fitted is kept, and one sentence says so."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyxdf

from lab.errors import TakeError
from small_rigs import CAMERA, EMG, MOCAP
from storage.checksums import verify_sums
from storage.raw_take import read_raw_take
from storage.reserve import reserve_files
from storage.take_folder import list_takes, read_record

RECORD = [sys.executable, "-c", "from capture.cli import main; main()", "record", "--subject", "S12", "--yes"]
RIG = f'name = "small devices"\nwait_s = 30.0\n{MOCAP}{EMG}{CAMERA}'


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own; the test is skipped where this user cannot make one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        pytest.skip("a small disk cannot be made here: that takes Linux and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def recording(out: Path, rig: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [*RECORD, "--rig", str(rig), "--out", str(out), "--reps", "20", *more]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    said = ""
    assert process.stdout is not None
    while text not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    return said


def fill(disk: Path) -> None:
    """Write as another program would that copies a large file here, until the system refuses."""
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    path = tmp_path / "rig.toml"
    path.write_text(RIG, encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_a_disk_that_is_full_in_mid_take(tmp_path: Path, rig: Path) -> None:
    with small_disk(tmp_path / "disk", 160) as disk, recording(disk / "out", rig, "--truth") as process:
        wait_for(process, "recording S12")
        time.sleep(3.0)
        fill(disk)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 3, said
        assert said.count("the disk is full: the take was stopped, and closed with what fitted; make room") == 1, said
        assert "Traceback" not in said
        assert "Errno" not in said
        (take,) = list_takes(disk / "out" / "raw")
        record = read_record(take)
        assert record.state == "complete"
        assert record.stop_reason == "the disk is full"
        assert verify_sums(take) == []
        assert not list(take.glob("*.part")) + reserve_files(take)
        recorded = read_raw_take(take)
        assert len(recorded.streams) == 2
        assert all(stream.counter is not None for stream in recorded.streams)
        for stream in recorded.streams:
            counts = stream.counter.tolist()  # type: ignore[union-attr]
            assert counts == list(range(len(counts)))  # not one sample is missing up to the stop
            assert counts[-1] > 2.5 * stream.rate_hz
        (view,) = recorded.views
        assert view.frame_id.tolist() == list(range(len(view.frame_id)))
        assert (view.index >= 0).sum() > 30
        assert len(pyxdf.load_xdf(take / "streams.xdf")[0]) == 7
        # the operator makes room and goes on
        (disk / "filler").unlink()
        again = subprocess.run(
            [*RECORD, "--rig", str(rig), "--out", str(disk / "out"), "--reps", "1"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip
        assert again.returncode in {0, 1}, again.stdout + again.stderr
        assert verify_sums(list_takes(disk / "out" / "raw")[-1]) == []


@pytest.mark.slow
@pytest.mark.timeout(100)
def test_a_disk_without_room_for_a_take_is_refused_before(tmp_path: Path, rig: Path) -> None:
    with small_disk(tmp_path / "disk", 40) as disk, recording(disk / "out", rig) as process:
        said, _ = process.communicate(timeout=60)
        assert process.returncode in {2, 3}, said
        assert "does not fit" in said
        assert not (disk / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(100)
def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path: Path, rig: Path) -> None:
    with small_disk(tmp_path / "disk", 40) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with recording(disk / "out", rig) as process:
            said, _ = process.communicate(timeout=60)
        assert process.returncode in {2, 3}, said
        assert len(said.strip().splitlines()) == 1, said
        assert "another folder with --out" in said


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_two_recorders_in_one_folder(tmp_path: Path, rig: Path) -> None:
    with recording(tmp_path / "out", rig) as first:
        wait_for(first, "recording S12")
        with recording(tmp_path / "out", rig) as second:
            said, _ = second.communicate(timeout=60)
        assert second.returncode == 2, said
        assert f"a recording is under way in {tmp_path / 'out' / 'raw'} by process {first.pid}" in said
        with recording(tmp_path / "elsewhere", rig, "--duration", "1") as third:
            said, _ = third.communicate(timeout=60)
        assert third.returncode in {0, 1}, said
        first.terminate()
        said, _ = first.communicate(timeout=60)
        assert first.returncode in {0, 1, 130}, said
    (take,) = list_takes(tmp_path / "out" / "raw")
    assert verify_sums(take) == []


@pytest.mark.slow
@pytest.mark.timeout(100)
def test_an_existing_take_is_never_recorded_over(tmp_path: Path, rig: Path) -> None:
    from storage.xdf_writer import XdfWriter

    session = tmp_path / "out" / "raw" / "S12" / "one"
    taken = session / "A16-01"
    taken.mkdir(parents=True)
    (taken / "streams.xdf").write_bytes(b"XDF:")
    with recording(tmp_path / "out", rig, "--session", "one", "--duration", "1") as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode in {0, 1}, said
    assert "this is retake A16-02" in said
    assert (taken / "streams.xdf").read_bytes() == b"XDF:"
    with pytest.raises(TakeError, match="exists already and is not overwritten"):
        XdfWriter(session / "A16-02" / "streams.xdf")
    assert verify_sums(session / "A16-02") == []
    assert [path.name for path in taken.iterdir()] == ["streams.xdf"]
