"""Faults that an operator meets: what is kept, what is said, and what marks the take afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest

from small_rigs import CAMERA, EMG, MOCAP
from storage.checksums import verify_sums
from storage.raw_take import read_raw_take
from storage.recording_lock import RECORDING_LOCK_NAME, recording_lock
from storage.salvage_xdf import scan_xdf
from storage.take_folder import list_takes, part_path, read_record, write_record
from storage.xdf_reader import read_xdf

COMMAND = [sys.executable, "-c", "from capture.cli import main; main()"]


_RECORDED: dict[tuple[str, ...], Path] = {}


@pytest.fixture(scope="module", autouse=True)
def _recorded_once() -> Iterator[None]:
    """Keep what is recorded in this module, so that tests that change it afterwards need not record it again."""
    _RECORDED.clear()
    yield
    _RECORDED.clear()


def recorded(tmp_path: Path, rig: Path, flex_capture: Callable[..., object], *more: object) -> Path:
    """Return the newest take below ``tmp_path/out``, recorded there or copied from where it was recorded before."""
    out, key = tmp_path / "out", (rig.read_text(encoding="utf-8"), *map(str, more))
    if not out.exists() and key in _RECORDED:
        shutil.copytree(_RECORDED[key], out)
        return list_takes(out / "raw")[-1]
    first = not out.exists()
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--duration", 2, *more)
    assert outcome.code in {0, 1}, outcome
    if first:
        _RECORDED[key] = shutil.copytree(out, tmp_path.parent / f"{tmp_path.name}-recorded")
    return list_takes(out / "raw")[-1]


def cut_off(take: Path) -> None:
    """Make a closed take what it would be had its recorder been killed a minute ago."""
    (take / "SHA256SUMS").unlink()
    for name in ("streams.xdf", "view1.mov", "view1.frames"):
        if (take / name).exists():
            (take / name).rename(part_path(take / name))
    part = part_path(take / "streams.xdf")
    with part.open("r+b") as file:
        file.truncate(part.stat().st_size * 3 // 4)
    record = read_record(take)
    write_record(take, record.model_copy(update={"state": "recording", "stopped": None, "events": ()}))
    old_s = time.time() - 60
    for path in take.iterdir():
        os.utime(path, (old_s, old_s))


@pytest.mark.slow
def test_a_cut_off_take_is_recovered_and_stays_marked(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take = recorded(tmp_path, write_rig(MOCAP, CAMERA), flex_capture)
    cut_off(take)
    torn = part_path(take / "streams.xdf").read_bytes()
    ((_, whole_bytes),) = scan_xdf(part_path(take / "streams.xdf")).spans
    before = {stream.name: stream.stamps for stream in read_xdf(part_path(take / "streams.xdf")).streams}
    recovered = flex_capture("recover", tmp_path / "out" / "raw")
    assert recovered.code == 0, recovered
    assert "before the last sign of life" in recovered.out
    assert verify_sums(take) == []
    record = read_record(take)
    assert record.state == "recovered"
    assert record.stopped is None
    assert len(torn) * 0.9 < whole_bytes < len(torn)
    assert (take / "streams.xdf").read_bytes().startswith(torn[:whole_bytes])
    after = read_xdf(take / "streams.xdf")
    assert after.bytes_discarded == 0
    assert {stream.name: stream.stamps.tolist() for stream in after.streams} == {
        name: stamps.tolist() for name, stamps in before.items()
    }
    assert not list(take.glob("*.part"))
    again = flex_capture("resegment", take)
    assert again.code == 1
    assert "the take is recovered" in again.out
    assert "nothing to recover" in flex_capture("recover", take).out


@pytest.mark.parametrize("command", ["resegment", "verify", "show", "amend", "status"])
def test_whatever_command_meets_a_cut_off_take_recovers_it(
    command: str, write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take = recorded(tmp_path, write_rig(MOCAP), flex_capture)
    cut_off(take)
    out = tmp_path / "out"
    arguments = {
        "resegment": (out / "raw",),
        "verify": (out,),
        "show": (take, "--output", tmp_path / "page.html"),
        "amend": (take, "--note", "cut off"),
        "status": ("--out", out),
    }[command]
    met = flex_capture(command, *arguments)
    assert met.code in {0, 1}, met
    assert "cut off, and recovered" in met.out
    assert read_record(take).state == "recovered"
    assert verify_sums(take) == []


@pytest.mark.slow
def test_the_next_recording_recovers_first_and_offers_the_take_as_it_is(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig = write_rig(MOCAP)
    take = recorded(tmp_path, rig, flex_capture)
    cut_off(take)
    unbegun = take.parent / "A16-07"
    unbegun.mkdir()
    outcome = flex_capture(
        "record", "--subject", "S13", "--rig", rig, "--out", tmp_path / "out", "--yes", "--duration", 1
    )
    assert outcome.code in {0, 1}, outcome
    assert outcome.out.index("cut off, and recovered") < outcome.out.index("SIMULATED")
    assert f"flex-capture resegment {take}" in outcome.out
    assert f"{unbegun} has no take.json" in outcome.out
    assert read_record(take).state == "recovered"
    assert list(unbegun.iterdir()) == []
    assert not (tmp_path / "out" / "raw" / RECORDING_LOCK_NAME).exists()


def test_takes_that_never_began_break_no_command(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take = recorded(tmp_path, write_rig(MOCAP), flex_capture)
    out = tmp_path / "out"
    empty, unread = take.parent / "A16-02", take.parent / "A16-03"
    for folder, content in ((empty, None), (unread, b"")):
        folder.mkdir()
        shutil.copy(take / "take.json", folder)
        record = read_record(folder).model_copy(update={"state": "recording", "take": folder.name, "stopped": None})
        write_record(folder, record)
        if content is not None:
            path = part_path(folder / "streams.xdf")
            path.write_bytes(content)
            os.utime(path, (1e9, 1e9))
    (take.parent / "A16-04").mkdir()
    outcome = flex_capture("recover", out / "raw")
    assert outcome.code == 3
    assert outcome.out.count("cut off before anything was recorded") == 2
    assert "A16-04 has no take.json" in outcome.out
    for folder in (empty, unread):
        assert read_record(folder).state == "failed"
        assert verify_sums(folder) == []
    assert flex_capture("verify", out / "raw").code == 1  # A16-04
    assert flex_capture("status", "--out", out).code == 1
    outcome = flex_capture("resegment", out / "raw")
    assert outcome.code == 1  # A16-04
    assert outcome.out.count("cut off before anything was recorded") == 1
    assert "A16-02" in outcome.out
    takes = pd.read_parquet(out / "dataset" / "takes.parquet").set_index("take")
    assert takes.current.to_dict() == {"A16-01": True}


def test_a_take_under_way_is_not_recovered(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = recorded(tmp_path, write_rig(MOCAP), flex_capture)
    cut_off(take)
    before = {path.name: path.read_bytes() for path in take.iterdir()}
    with recording_lock(tmp_path / "out" / "raw"):  # as a recorder that is frozen holds it
        monkeypatch.setattr("capture.recovery.WAIT_S", 0.0)
        outcome = flex_capture("recover", take)
        assert outcome.code == 3
        assert "a recording is under way" in outcome.out
        assert "not touched" in flex_capture("verify", take).out
    monkeypatch.setattr("capture.recovery.is_being_written", lambda *_: True)  # by a recorder that knows no lock
    outcome = flex_capture("recover", take)
    assert outcome.code == 3
    assert "is being written" in outcome.out
    assert {path.name: path.read_bytes() for path in take.iterdir()} == before


def test_without_room_a_take_stays_as_it_is(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = recorded(tmp_path, write_rig(MOCAP, CAMERA), flex_capture)
    cut_off(take)
    before = {path.name: path.read_bytes() for path in take.iterdir()}
    usage = shutil.disk_usage(take)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: usage._replace(free=1_100_000))
    outcome = flex_capture("recover", take)
    assert outcome.code == 3
    assert "make room" in outcome.out
    assert {path.name: path.read_bytes() for path in take.iterdir()} == before


@pytest.mark.slow
def test_two_recorders_at_once_in_one_folder_are_refused(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out, rig = tmp_path / "out", write_rig(MOCAP)
    with start(rig, out) as process:
        assert process.stdout is not None
        while "recording" not in process.stdout.readline():
            pass
        second = flex_capture("record", "--subject", "S13", "--rig", rig, "--out", out, "--yes")
        assert second.code == 2
        assert f"a recording is under way in {out / 'raw'} by process {process.pid} on host" in second.err
        withdrawn = flex_capture("withdraw", "S12", "--out", out, "--confirm", "S12")
        assert withdrawn.code == 2
        assert "a recording is under way" in withdrawn.err
        process.communicate(timeout=90)
    (take,) = list_takes(out / "raw")
    assert read_record(take).state == "complete"
    assert sorted(path.name for path in (out / "raw").iterdir()) == ["S12"]


@pytest.mark.slow
def test_a_killed_recorder_is_salvaged_by_the_next_one_at_once(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out, rig = tmp_path / "out", write_rig(MOCAP, CAMERA)
    with start(rig, out) as process:
        assert process.stdout is not None
        while "recording" not in process.stdout.readline():
            pass
        time.sleep(2.0)
        process.kill()
        process.communicate()
    outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--duration", 1)
    assert outcome.code in {0, 1}, outcome
    first, second = list_takes(out / "raw")
    assert (read_record(first).state, read_record(second).state) == ("recovered", "complete")
    assert verify_sums(first) == []
    read = read_raw_take(first)
    (view,) = read.views
    assert len(view.frame_id) > 10
    assert (view.index >= 0).sum() >= len(view.index) - 1
    assert read.notes == ()


def test_changed_raw_bytes_mark_the_take(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take = recorded(tmp_path, write_rig(MOCAP, CAMERA), flex_capture)
    assert flex_capture("verify", take).code == 0
    data = bytearray((take / "view1.mov").read_bytes())
    data[len(data) // 2] ^= 0x10
    (take / "view1.mov").write_bytes(data)
    outcome = flex_capture("verify", tmp_path / "out")
    assert outcome.code == 1
    assert "view1.mov has changed" in outcome.out
    outcome = flex_capture("resegment", take)
    assert outcome.code == 1
    assert "view1.mov has changed" in outcome.out


@pytest.mark.slow
def test_one_bad_take_does_not_stop_the_others(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    good = recorded(tmp_path, write_rig(MOCAP), flex_capture)
    bad = good.parent / "A16-00"
    shutil.copytree(good, bad)
    record = json.loads((bad / "take.json").read_text())
    record |= {"take": bad.name}
    record["rig"]["device"] = "x"
    (bad / "take.json").write_text(json.dumps(record))
    outcome = flex_capture("resegment", tmp_path / "out" / "raw")
    assert outcome.code == 3
    assert "could not be processed" in outcome.out
    assert "0 of 10 repetitions" in outcome.out


def test_rebuild_brings_lost_tables_back(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    recorded(tmp_path, write_rig(MOCAP), flex_capture)
    dataset = tmp_path / "out" / "dataset"
    before = (dataset / "takes.parquet").read_bytes()
    (dataset / "takes.parquet").unlink()
    (dataset / "dataset.json").unlink()
    assert flex_capture("validate", dataset).code == 1
    assert flex_capture("rebuild", dataset).code == 0
    assert flex_capture("validate", dataset).code == 0
    assert (dataset / "takes.parquet").read_bytes() == before


def start(rig: Path, out: Path, **options: object) -> subprocess.Popen[str]:
    command = [*COMMAND, "record", "--subject", "S12", "--yes", "--rig", str(rig), "--out", str(out), "--reps", "1"]
    defaults: dict[str, object] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, text=True, **(defaults | options))  # type: ignore[call-overload, no-any-return]


@pytest.mark.slow
def test_a_device_that_dies_is_named_and_marks_the_take_for_good(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out = tmp_path / "out"
    with start(write_rig(MOCAP, EMG), out) as process:
        assert process.stdout is not None
        while "recording S12" not in process.stdout.readline():
            assert process.poll() is None
        time.sleep(1.0)
        victims = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "resource_tracker" not in " ".join(child.cmdline())
        ]
        victims[0].kill()
        shown, _ = process.communicate(timeout=90)
    assert process.returncode == 3, shown
    assert "the process of device" in shown
    (take,) = list_takes(out / "raw")
    assert verify_sums(take) == []
    assert len(read_raw_take(take).streams) == 2
    outcome = flex_capture("resegment", take)
    assert outcome.code == 1
    assert "the process of device" in outcome.out
    notes = pd.read_parquet(out / "dataset" / "takes.parquet").faults.iloc[0]
    assert any("the process of device" in note for note in notes)


@pytest.mark.slow
def test_a_console_that_goes_away_leaves_a_sealed_take(write_rig: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with start(write_rig(MOCAP), out) as process:
        assert process.stdout is not None
        while "recording" not in process.stdout.readline():
            pass
        process.stdout.close()
        process.wait(60)
    (take,) = list_takes(out / "raw")
    assert verify_sums(take) == []
    assert read_record(take).state == "complete"
    assert read_record(take).stop_reason == "all devices ended"
    assert process.returncode == 0
    assert len(pd.read_parquet(out / "dataset" / "repetitions.parquet")) == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no groups of processes")
@pytest.mark.parametrize("signal_name", ["SIGHUP", "SIGTERM"])
def test_what_ends_all_of_a_terminal_or_computer_stops_the_take_properly(
    write_rig: Callable[..., Path], tmp_path: Path, signal_name: str
) -> None:
    out = tmp_path / "out"
    with start(write_rig(MOCAP, CAMERA), out, start_new_session=True) as process:
        assert process.stdout is not None
        while "recording S12" not in process.stdout.readline():
            assert process.poll() is None
        os.killpg(process.pid, getattr(signal, signal_name))  # to the workers as well
        shown, _ = process.communicate(timeout=60)
    (take,) = list_takes(out / "raw")
    assert verify_sums(take) == []
    record = read_record(take)
    assert record.stop_reason == "interrupted", shown
    assert record.faults == ()
    assert all(stream.ended for stream in record.streams)
    assert [view.frames - view.encoded for view in record.views] == [0]


@pytest.mark.slow
def test_enter_stops_a_take_in_a_terminal_but_not_one_typed_before(
    write_rig: Callable[..., Path], tmp_path: Path
) -> None:
    out, (ours, theirs) = tmp_path / "out", pty.openpty()
    with start(write_rig(MOCAP), out, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.write(ours, b"\n\n")
        began_s, shown = time.monotonic(), b""
        while time.monotonic() - began_s < 7.0:
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 65536)
        assert process.poll() is None, shown
        assert b"Enter stops the take" in shown
        os.write(ours, b"\n")
        while process.poll() is None and time.monotonic() - began_s < 60:
            if select.select([ours], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    shown += os.read(ours, 65536)
    os.close(ours)
    os.close(theirs)
    (take,) = list_takes(out / "raw")
    assert read_record(take).stop_reason == "operator"
    assert process.returncode in {0, 1}, shown  # a fidget may pass for the only repetition


@pytest.mark.slow
def test_a_retake_that_was_cut_off_does_not_replace_a_complete_take(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig = write_rig(MOCAP)
    for _ in range(2):
        take = recorded(tmp_path, rig, flex_capture)
    cut_off(take)
    assert flex_capture("recover", take).code == 0
    assert flex_capture("resegment", take).code == 1
    takes = pd.read_parquet(tmp_path / "out" / "dataset" / "takes.parquet").set_index("take")
    assert takes.current.to_dict() == {"A16-01": True, "A16-02": False}
    assert flex_capture("validate", tmp_path / "out" / "dataset").code == 0


def test_a_damaged_description_is_made_anew(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    recorded(tmp_path, write_rig(MOCAP), flex_capture)
    description = tmp_path / "out" / "dataset" / "dataset.json"
    before = description.read_bytes()
    description.write_text("{")
    assert "flex-capture rebuild" in flex_capture("validate", tmp_path / "out" / "dataset").out
    assert flex_capture("rebuild", tmp_path / "out" / "dataset").code == 0
    assert description.read_bytes() == before
