"""``flex-capture backup`` as an operator types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capture import backup
from sealed_takes import content, write_sealed_take
from storage import backup_copy
from storage.checksums import verify_sums
from storage.file_lock import file_lock

SESSION = Path("raw", "S12", "20261122-0930")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Two takes of S12, one of S13, a sheet, annotations and a dataset that can be made again."""
    out = tmp_path / "flex-data"
    for place in (SESSION / "A16-01", SESSION / "A17-01", Path("raw", "S13", "visit", "A16-01")):
        write_sealed_take(out / place, marks=b"{}\n")
    for name in (
        "subjects/S12.toml",
        "subjects/S12-consent.pdf",
        "dataset/annotations.parquet",
        "dataset/other.json",
    ):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(name)
    return out


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    dest = tmp_path / "disk"
    dest.mkdir()
    return dest


def backed_up(dest: Path) -> dict[str, bytes]:
    return {name: data for name, data in content(dest).items() if name != ".lock"}


def test_all_that_cannot_be_made_again_is_copied(out: Path, dest: Path, flex_capture: Callable[..., Any]) -> None:
    (out / "lab.toml").write_text("a rig")
    done = flex_capture("backup", out, dest)
    assert done.code == 0, done.out
    wanted = {name: data for name, data in content(out).items() if name not in {"dataset/other.json", "lab.toml"}}
    assert backed_up(dest) == wanted
    assert "3 takes copied and compared, 0.2 MB · 3 other files copied" in done.out
    assert f"not copied: {out / 'lab.toml'}\n" in done.out
    assert "on the same disk" in done.out
    again = flex_capture("backup", out, dest)
    assert again.code == 0
    assert "3 takes there already, compared byte by byte\n" in again.out
    assert "3 takes there already, compared by size\n" in flex_capture("backup", "--quick", out, dest).out
    assert backed_up(dest) == wanted


@pytest.mark.parametrize(
    ("paths", "takes"),
    [(["raw"], 3), (["raw/S12"], 2), (["raw/S12/20261122-0930"], 2), (["raw/S13/visit/A16-01", "raw/S13"], 1)],
)
def test_parts_go_to_the_same_places(
    out: Path,
    dest: Path,
    flex_capture: Callable[..., Any],
    paths: list[str],
    takes: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(out)
    done = flex_capture("backup", *paths, dest)
    assert done.code == 0, done.out
    assert content(dest / "raw").items() <= content(out / "raw").items()
    assert len(list(dest.rglob("take.json"))) == takes
    assert {path.name for path in dest.iterdir()} == {"raw", ".lock"}


def test_a_backup_is_restored_as_it_was_made(out: Path, dest: Path, flex_capture: Callable[..., Any]) -> None:
    assert flex_capture("backup", out, dest).code == 0
    before = content(out / "raw")
    (out / SESSION / "A16-01" / "view1.mov").unlink()
    done = flex_capture("backup", dest, out)
    assert done.code == 0, done.out
    assert content(out / "raw") == before


def test_what_cannot_be_is_refused_and_nothing_touched(
    out: Path, dest: Path, tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    before = content(tmp_path)
    inside = out / "backups"
    inside.mkdir()
    for arguments, sentence in (
        ((out, tmp_path / "none"), "plug the disk in"),
        ((out, out / "subjects" / "S12.toml"), "is not there or no folder"),
        ((out, inside), "a backup cannot be inside what it is of"),
        ((out, out), "a backup cannot be inside what it is of"),
        ((out / SESSION / "A16-01", out), "lies in"),
        ((tmp_path / "none", dest), "is not there or no folder"),
        ((dest, inside), "does not lie in a raw folder and holds none"),
    ):
        refused = flex_capture("backup", *arguments)
        assert refused.code == 2, refused.out
        assert sentence in refused.err
    assert content(tmp_path) == before
    both = flex_capture("backup", tmp_path / "none", dest, tmp_path / "nowhere")
    assert both.err.count("\n") == 3  # all mistakes at once
    empty = tmp_path / "raw"
    empty.mkdir()
    assert "nothing to back up" in flex_capture("backup", empty, dest).err


def test_takes_that_are_not_closed_are_left_alone_and_named(
    out: Path, dest: Path, flex_capture: Callable[..., Any]
) -> None:
    running, cut_off = out / SESSION / "A17-01", out / SESSION / "A18-01"
    (running / "streams.xdf.part").write_bytes(b"XDF:")
    cut_off.mkdir()
    (cut_off / "streams.xdf.part").write_bytes(b"XDF:")
    os.utime(cut_off / "streams.xdf.part", (0, 0))
    done = flex_capture("backup", out, dest)
    assert done.code == 1
    assert f"{running} is being recorded and is left alone" in done.out
    assert f"{cut_off} was not closed and is left alone" in done.out
    assert "2 takes copied and compared, 0.2 MB · 3 other files copied · 2 takes not in the backup" in done.out
    assert sorted(path.name for path in (dest / SESSION).iterdir()) == ["A16-01"]


def test_what_changed_on_either_side_is_said(out: Path, dest: Path, flex_capture: Callable[..., Any]) -> None:
    damaged = out / SESSION / "A17-01" / "streams.xdf"
    damaged.write_bytes(b"XDF;")
    done = flex_capture("backup", out, dest)
    assert done.code == 1
    assert f"{damaged} has changed since it was recorded; it is not copied" in done.out
    assert "1 take not in the backup" in done.out
    theirs = dest / SESSION / "A16-01" / "streams.xdf"
    theirs.write_bytes(b"rot")
    done = flex_capture("backup", out / SESSION / "A16-01", dest)
    assert done.code == 1
    assert f"{theirs} differs from what was recorded and is not overwritten" in done.out
    assert theirs.read_bytes() == b"rot"


def test_marks_and_sheets_follow(out: Path, dest: Path, flex_capture: Callable[..., Any]) -> None:
    assert flex_capture("backup", out, dest).code == 0
    marks, sheet = SESSION / "A16-01" / "marks.jsonl", Path("subjects", "S12.toml")
    (out / marks).write_bytes(b"{}\n{}\n")
    (out / sheet).write_text("consent = false")
    done = flex_capture("backup", out, dest)
    assert done.code == 0
    assert "copied · S12/20261122-0930/A16-01 · what was said of it since" in done.out
    assert (dest / marks).read_bytes() == b"{}\n{}\n"
    assert (dest / sheet).read_text() == "consent = false"
    (earlier,) = (dest / "subjects").glob("S12.toml.earlier-*")
    assert earlier.read_text() == "subjects/S12.toml"
    (out / marks).write_bytes(b"{}\n")
    done = flex_capture("backup", out, dest)
    assert done.code == 1
    assert "has more lines than" in done.out
    assert (dest / marks).read_bytes() == b"{}\n{}\n"


def test_two_backups_into_one_folder_are_refused(out: Path, dest: Path, flex_capture: Callable[..., Any]) -> None:
    with file_lock(dest / ".lock", "process 1 on host bench", wait_s=0.0, keep=True):
        refused = flex_capture("backup", out, dest)
    assert refused.code == 2
    assert f"another backup into {dest} is under way, by process 1 on host bench" in refused.err
    assert flex_capture("backup", out, dest).code == 0


def test_a_disk_that_is_full_or_gone(
    out: Path, dest: Path, flex_capture: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = backup_copy._write_all, 0

    def full(write_some: Callable[[memoryview], int], block: bytes) -> None:
        nonlocal written
        written += len(block)
        if written > 100_000:  # the first take fits
            raise OSError(28, "No space left on device")
        write(write_some, block)

    with monkeypatch.context() as patch:
        patch.setattr(backup_copy, "_write_all", full)
        done = flex_capture("backup", out, dest)
    assert done.code == 3
    assert done.out.count("No space left on device") == 1
    assert "1 take copied and compared, 0.1 MB · 2 takes not in the backup" in done.out
    assert not [path for path in dest.rglob("*.copying") if path.is_file()]
    with monkeypatch.context() as patch:
        patch.setattr(backup, "_device", lambda path: None if path == dest else 1)
        done = flex_capture("backup", out, dest)
    assert done.code == 3
    assert f"the disk of {dest} is gone; plug it in" in done.out
    assert flex_capture("backup", out, dest).code == 0


def test_what_will_not_fit_is_said_beforehand(
    out: Path, dest: Path, flex_capture: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 10_000

    monkeypatch.setattr("capture.backup.shutil.disk_usage", lambda _: Usage)
    assert "0.2 MB are to be copied and" in flex_capture("backup", out, dest).out


@pytest.fixture
def big_out(out: Path) -> Iterator[Path]:
    """A take that takes a while to copy, behind one that does not."""
    take = out / "raw" / "S14" / "visit" / "A01-01"
    take.mkdir(parents=True)
    with (take / "view1.mov").open("wb") as file:
        file.truncate(3_000_000_000)  # a hole: no room on this disk, much on the backup's
    (take / "SHA256SUMS").write_text(f"{'0' * 64}  view1.mov\n")
    yield out
    (take / "view1.mov").unlink()


def test_ctrl_c_leaves_nothing_half_written(big_out: Path, dest: Path) -> None:
    command = [sys.executable, "-c", "from capture.cli import main; main()", "backup", str(big_out), str(dest)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        half = dest / "raw" / "S14" / "visit" / "A01-01.copying" / "view1.mov.copying"
        while not (half.exists() and half.stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        shown, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in shown
    assert "3 takes copied and compared" in shown
    assert "interrupted; the same command goes on where it ended" in shown
    assert not [path for path in dest.rglob("*.copying") if path.is_file()]
    assert verify_sums(dest / SESSION / "A16-01") == []
