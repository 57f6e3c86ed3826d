"""``check``: every expected stream against its promise, disk, takes that were cut off; nothing is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pylsl
import pytest
from terminal import Operator

from lab.streams import Channel
from small_rigs import CAMERA, MOCAP
from storage.recording_lock import recording_lock
from storage.take_folder import list_takes, part_path, read_record, streams_path, write_record
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

SHORT = ("--seconds", 2)


@contextlib.contextmanager
def outlet(
    name: str,
    source: str,
    promised_hz: float,
    sent_hz: float,
    channels: int = 2,
    *,
    loses_each: int = 0,
    stamp: Callable[[float], float] = lambda now_s: now_s,
    ends_after_s: float = 1e9,
) -> Iterator[None]:
    """Publish as somebody's program does: it says one rate and sends another, loses each so-manieth, and counts."""
    info = pylsl.StreamInfo(name, "Misc", channels, promised_hz, "float32", source)
    ended, opened = threading.Event(), threading.Event()

    def send() -> None:
        published = pylsl.StreamOutlet(info)  # it is gone when the thread is
        opened.set()
        began_s, sent = time.monotonic(), 0
        while not ended.wait(0.02):
            due = int((time.monotonic() - began_s) * sent_hz) - sent
            if due > 0 and time.monotonic() - began_s < ends_after_s:
                counts = [sent + row for row in range(due) if not loses_each or (sent + row) % loses_each]
                rows = [[float(count)] * channels for count in counts]
                published.push_chunk(rows, stamp(pylsl.local_clock()))
                sent += due

    thread = threading.Thread(target=send)
    thread.start()
    assert opened.wait(10)
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def small_disk(place: Path, size: str, *, options: str = "") -> Iterator[Path]:
    """Mount a small disk; skip where this user cannot."""
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("a small disk is a tmpfs, which only Linux has")
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(place)]
    if subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user cannot mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def others(name: str, source: str, more: str = "") -> str:
    return f'\n[[stream]]\nname = "{name}"\nsource_id = "{source}"\n{more}\n'


def row_of(report: dict[str, Any], name: str) -> dict[str, Any]:
    (row,) = [row for row in report["streams"] if row["name"] == name]
    return row


def test_a_small_rig_is_ready_and_nothing_is_left(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    rig = write_rig(MOCAP)
    outcome = flex_capture("check", "--rig", rig, "--out", tmp_path / "out", "--seconds", 1, "--json")
    assert outcome.code == 0, outcome
    report = json.loads(outcome.out)
    row = row_of(report, "mocap")
    assert report["ready"]
    assert row["state"] == "ok"
    assert row["source_id"].startswith("flex-capture/")
    assert abs(row["rate_measured_hz"] - 100) < 1.5
    assert (row["channels"], row["lost"]) == (64, 0)
    assert abs(row["clock_offset_s"]) < 0.01
    assert report["disk"]["fits"]
    assert "60 to 80 s assumed for 10 repetitions" in report["disk"]["basis"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rig.toml"]


@pytest.mark.slow
def test_a_device_that_does_not_open_hides_no_other(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    gone = '\n[[device]]\nname = "old"\ndriver = "replay.trc"\nfile = "nowhere.trc"\n'
    outcome = flex_capture("check", "--rig", write_rig(MOCAP, gone, CAMERA), "--out", tmp_path / "out", *SHORT)
    assert outcome.code == 3, outcome
    lines = outcome.out.splitlines()
    assert any(line.startswith("ok      mocap [") for line in lines), outcome.out
    assert any(line.startswith("ok      view1 [") and "a frame, queue" in line for line in lines), outcome.out
    assert any(line == "FAILED  old" for line in lines), outcome.out
    assert any(line.startswith("device 'old': ") and "nowhere.trc" in line for line in lines)
    assert "findings: 1; 'test rig' is not ready to record" in outcome.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rig.toml"]


@pytest.mark.slow
def test_everything_that_is_wrong_with_streams_of_others_is_said_at_once(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    rig = write_rig(
        MOCAP,
        others("honest", "honest-1", "counter = 1"),
        others("liar", "liar-1"),
        others("skips", "skips-1", "counter = 1"),
        others("wide", "wide-1", 'labels = ["a", "b", "c"]'),
        others("twice", "twice-1"),
        others("mute", "mute-1"),
        others("cues", "cues-1"),
        others("absent", "nobody"),
        top='name = "x"\nwait_s = 4.0\n',
    )
    mute = pylsl.StreamOutlet(pylsl.StreamInfo("mute", "Misc", 1, 50.0, "float32", "mute-1"))
    cues = pylsl.StreamOutlet(pylsl.StreamInfo("cues", "Markers", 1, 0.0, "string", "cues-1"))
    with (
        outlet("honest", "honest-1", 200.0, 200.0),
        outlet("liar", "liar-1", 1000.0, 500.0),
        outlet("skips", "skips-1", 200.0, 200.0, loses_each=10),
        outlet("wide", "wide-1", 100.0, 100.0, 4),
        outlet("one", "twice-1", 100.0, 100.0),
        outlet("other", "twice-1", 100.0, 100.0),
    ):
        outcome = flex_capture("check", "--rig", rig, "--out", tmp_path / "out", "--seconds", 3, "--json")
    del mute, cues
    assert outcome.code == 1, outcome
    report = json.loads(outcome.out)
    states = {row["name"]: row["state"] for row in report["streams"]}
    assert states == {
        "mocap": "ok", "honest": "ok", "liar": "FOUND", "skips": "FOUND", "wide": "FAILED", "twice": "FAILED",
        "mute": "SILENT", "cues": "quiet", "absent": "FAILED",
    }  # fmt: skip
    said = [finding["sentence"] for finding in report["findings"]]
    assert len(said) == 6
    about = {sentence.split("'")[1]: sentence for sentence in said}
    assert "promises 1000 Hz, but sends" in about["liar"]
    assert abs(row_of(report, "liar")["rate_measured_hz"] - 500) < 25
    assert "samples by its counter" in about["skips"]
    assert "'labels' names 3 channels, but the stream has 4" in about["wide"]
    assert "2 streams match source_id 'twice-1'" in about["twice"]
    assert "sent nothing in" in about["mute"]
    assert "no stream matches source_id 'nobody' within 4 s; there are" in about["absent"]
    assert row_of(report, "honest")["lost"] == 0
    assert row_of(report, "liar")["lost"] is None


@pytest.mark.parametrize("rate_hz", [1e-9, 0.01])
def test_a_rate_that_would_hang_liblsl_is_refused(
    rate_hz: float, write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    slow = pylsl.StreamOutlet(pylsl.StreamInfo("slow", "Misc", 1, rate_hz, "float32", "slow-1"))
    rig = write_rig(others("slow", "slow-1"), top='name = "x"\nwait_s = 4.0\n')
    outcome = flex_capture("check", "--rig", rig, "--out", tmp_path / "out", "--seconds", 1)
    del slow
    assert outcome.code == 1, outcome
    assert "samples a second, which LSL cannot buffer" in outcome.out


@pytest.mark.slow
def test_stamps_that_are_no_times_and_an_old_clock(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    rig = write_rig(
        others("nan", "nan-1"), others("late", "late-1"), others("once", "once-1"), top='name = "x"\nwait_s = 4.0\n'
    )
    with (
        outlet("nan", "nan-1", 100.0, 100.0, stamp=lambda _: float("nan")),
        outlet("late", "late-1", 100.0, 100.0, stamp=lambda now_s: now_s - 1000.0),
        outlet("once", "once-1", 100.0, 100.0, ends_after_s=5.0),
    ):
        outcome = flex_capture("check", "--rig", rig, "--out", tmp_path / "out", "--seconds", 6, "--json")
    assert outcome.code == 1, outcome
    report = json.loads(outcome.out)
    said = " ".join(finding["sentence"] for finding in report["findings"])
    assert "stream 'nan': it sends stamps that are no times" in said
    assert "stream 'late': its stamps are 1,000.0 s behind the clock of its computer" in said
    assert "stream 'once' sent nothing in the last" in said
    for name in ("nan", "late"):  # measured by when it came
        assert abs(row_of(report, name)["rate_measured_hz"] - 100) < 5


@pytest.mark.slow
def test_what_a_driver_has_to_say_is_told_and_is_no_finding(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    writer = XdfWriter(tmp_path / "a.xdf")
    channels = (Channel("force", "newtons", "Force"),)
    for number, name in ((1, "plate"), (2, "empty")):
        writer.stream_header(number, build_header(name, "Force", channels, 100.0, "float32"))
    writer.samples(1, np.arange(2000) / 100, np.ones((2000, 1), np.float32))
    writer.close()
    rig = write_rig(f'[[device]]\nname = "old"\ndriver = "replay.xdf"\nfile = {json.dumps(str(tmp_path / "a.xdf"))}\n')
    asked = ("check", "--rig", rig, "--out", tmp_path / "out", "--seconds", 3)
    outcome = flex_capture(*asked)
    assert outcome.code == 0, outcome
    assert "device 'old'" in outcome.out
    assert "stream 'empty' holds no samples and is not played" in outcome.out
    assert any("'empty'" in remark for remark in json.loads(flex_capture(*asked, "--json").out)["remarks"])


@pytest.mark.slow
def test_a_device_that_dies_while_it_is_listened_to(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    def kill_soon() -> None:
        while not list(tmp_path.glob(".flex-capture-check-*/view1.mov.part")):
            time.sleep(0.02)
        own = psutil.Process()
        # every worker is a spawned Python; the camera's is the one that writes the video
        for child in own.children():
            with contextlib.suppress(psutil.Error):
                if any(file.path.endswith("view1.mov.part") for file in child.open_files()):
                    child.kill()

    killer = threading.Thread(target=kill_soon)
    killer.start()
    rig = write_rig(MOCAP, CAMERA)
    outcome = flex_capture("check", "--rig", rig, "--out", tmp_path / "out", "--seconds", 4, "--json")
    killer.join()
    assert outcome.code == 3, outcome
    report = json.loads(outcome.out)
    assert row_of(report, "mocap")["state"] == "ok"
    assert any("device 'view1' died" in finding["sentence"] for finding in report["findings"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rig.toml"]


@pytest.mark.slow
def test_a_disk_without_room_is_said_by_check_and_refused_by_record(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    rig = write_rig(MOCAP)
    with small_disk(tmp_path / "disk", "20M") as disk:
        checked = flex_capture("check", "--rig", rig, "--out", disk / "out", *SHORT)
        recorded = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", disk / "out", "--yes")
        left = list(disk.iterdir())
    assert checked.code == 1, checked
    assert "the next take does not fit on the disk of" in checked.out
    assert "make room, or name a folder on another disk with --out" in checked.out
    assert recorded.code == 2, recorded
    assert "the next take does not fit on the disk of" in recorded.err
    assert left == []


@pytest.mark.slow
def test_a_disk_that_may_be_too_small_is_a_warning(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    rig = write_rig(MOCAP, CAMERA)
    with small_disk(tmp_path / "disk", "72M") as disk:
        outcome = flex_capture(
            "record", "--subject", "S12", "--rig", rig, "--out", disk / "out", "--yes", "--reps", 1, "--duration", 200
        )
        takes = list_takes(disk / "out" / "raw")
    assert outcome.code in {0, 1}, outcome
    assert "the next take may not fit" in " ".join(outcome.out.split())
    assert "assumed for 1 x mjpeg 320x240, never measured here" in " ".join(outcome.out.split())
    assert len(takes) == 1


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_said_with_all_else(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    with small_disk(tmp_path / "disk", "100M", options=",ro") as disk:
        outcome = flex_capture("check", "--rig", write_rig(CAMERA), "--out", disk / "out", *SHORT, "--json")
    assert outcome.code == 1, outcome
    report = json.loads(outcome.out)
    assert row_of(report, "view1")["state"] == "ok"
    assert any("cannot be written" in finding["sentence"] for finding in report["findings"])


@pytest.mark.slow
def test_takes_that_were_cut_off_are_named(
    write_rig: Callable[..., Path],
    offline_take: Callable[..., Path],
    tmp_path: Path,
    flex_capture: Callable[..., Any],
) -> None:
    cut, sealed = offline_take(action="A16"), offline_take(action="A17")
    (cut / "SHA256SUMS").unlink()
    write_record(cut, read_record(cut).model_copy(update={"state": "recording", "stopped": None}))
    streams_path(cut).rename(part_path(streams_path(cut)))
    os.utime(part_path(streams_path(cut)), (time.time() - 60,) * 2)
    outcome = flex_capture("check", "--rig", write_rig(MOCAP), "--out", tmp_path / "out", *SHORT)
    assert outcome.code == 1, outcome
    assert f"{cut} was cut off; type `flex-capture recover {cut}`" in outcome.out
    assert str(sealed) not in outcome.out
    assert not list((tmp_path / "out").glob(".flex*"))


@pytest.mark.slow
def test_that_somebody_records_there_is_said(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    with recording_lock(tmp_path / "out" / "raw"):
        outcome = flex_capture("check", "--rig", write_rig(MOCAP), "--out", tmp_path / "out", *SHORT)
    assert outcome.code == 1, outcome
    assert f"somebody records into {tmp_path / 'out' / 'raw'}" in outcome.out


def test_a_wrong_rig_is_said_before_anything_is_started(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    rig = write_rig(MOCAP.replace("latency_s", "latency"), CAMERA.replace("320", "321"))
    outcome = flex_capture("check", "--rig", rig, "--out", tmp_path / "out")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 2
    assert flex_capture("check", "--rig", tmp_path / "no.toml").code == 2


@pytest.mark.slow
def test_a_rig_that_does_not_fit_what_is_sent(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    rig = write_rig(CAMERA.replace('"view1"', '"corner"'), MOCAP)
    outcome = flex_capture("check", "--rig", rig, "--out", tmp_path / "out", *SHORT)
    assert outcome.code == 2, outcome
    assert "device 'corner' is a camera; call it view1 … view9 in the rig file" in outcome.out
    assert "ok      mocap [" in outcome.out


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["starting", "listening"])
def test_ctrl_c_leaves_nothing(moment: str, write_rig: Callable[..., Path], tmp_path: Path) -> None:
    rig = write_rig(MOCAP, CAMERA)
    command = [sys.executable, "-u", "-c", "from capture.cli import main; main()", "check", "--rig", str(rig)]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(moment):
                break
        time.sleep(0.5)  # what was begun is under way then, or already over
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1] == "interrupted; nothing is left of the check"
    _, alive = psutil.wait_procs(workers, timeout=4.0)
    assert not alive
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rig.toml"]


@pytest.mark.slow
def test_what_a_killed_check_left_is_removed_by_a_later_one(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., Any]
) -> None:
    old, young = tmp_path / ".flex-capture-check-old", tmp_path / ".flex-capture-check-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "view1.mov.part").write_bytes(b"x")
    os.utime(old, (time.time() - 10_000,) * 2)
    assert flex_capture("check", "--rig", write_rig(MOCAP), "--out", tmp_path / "out", *SHORT).code == 0
    assert not old.exists()
    assert young.exists()  # it may be of a check that runs


@pytest.mark.slow
def test_the_table_at_a_terminal(write_rig: Callable[..., Path], tmp_path: Path) -> None:
    rig = write_rig(MOCAP, CAMERA)
    with contextlib.closing(Operator(tmp_path, "check", "--rig", rig, "--out", tmp_path / "out", *SHORT)) as operator:
        table = operator.sees("is ready to record")
        assert operator.leaves() == 0
    assert "SIMULATED DEVICES" in table
    for text in ("promised Hz", "mocap", "view1", "a frame", "queue"):
        assert text in table
