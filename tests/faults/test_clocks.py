"""Clocks that are set, reset or jump in a take: of a device, of another computer, of this one."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from every_driver import BYSTANDER, Kind, rig_of
from faulty_driver import read_delivered
from judging import JudgedTake, assert_bystander_whole, assert_times_right, counts_of
from publishing_oddly import entry, outlet, publishing
from running_recorder import recording

from capture.alignment import align_take
from storage.raw_take import read_raw_take
from sync.align import align_stream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
_COMPILER = shutil.which("cc")


def set_clock(path: Path, offset: str) -> None:
    """Set a faked clock, at once and whole."""
    written = path.with_suffix(".half")
    written.write_text(offset + "\n", encoding="utf-8")
    written.rename(path)


def test_a_device_that_counts_anew_and_whose_clock_begins_at_nought(tmp_path: Path, installed: dict[str, str]) -> None:
    resets = {"repetitions": 60, "resets": True, "delay_s": 0.01}
    kinds = (
        Kind("mocap", "simulated.mocap", {"mocap": 100.0}, {**resets, "rate_hz": 100.0, "drift_ppm": 18.0}),
        Kind("emg", "simulated.emg", {"emg": 1000.0}, {**resets, "rate_hz": 1000.0, "drift_ppm": -25.0}),
    )
    rig = tmp_path / "rig.toml"
    rig.write_text(rig_of(kinds, tmp_path), encoding="utf-8")
    with recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(4.0)
        for device in ("mocap", "emg"):
            (tmp_path / f"{device}.order").write_text("DeviceError", encoding="utf-8")
        for device in ("mocap", "emg"):
            recorder.shows(f"stream '{device}' has a gap of", 30.0)
        time.sleep(4.0)
        assert recorder.stop() == 3
        take = JudgedTake.of(recorder.take())
    for kind in kinds:
        name, rate_hz = kind.device, kind.streams[kind.device] * (1 + kind.options["drift_ppm"] * 1e-6)
        recorded = take.counts(name)
        begin = recorded.index(0, 1)
        assert recorded == [*range(begin), *range(len(recorded) - begin)]
        true = np.array(counts_of(read_delivered(tmp_path, name))[: len(recorded)])
        aligned, report, _ = align_stream(take.streams[name], 0.01, 1000.0)
        error_s = aligned.time_s - (take.t0_s + true / rate_hz)
        assert np.max(np.abs(error_s)) < 0.01, (report, np.quantile(error_s, [0, 0.5, 1]))
    assert_bystander_whole(take)


def test_a_publisher_that_dies_and_comes_back_has_a_gap(tmp_path: Path, installed: dict[str, str]) -> None:
    rig = tmp_path / "rig.toml"
    rig.write_text(BYSTANDER + entry("amp"), encoding="utf-8")
    with publishing(outlet("amp")) as first, recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(3.0)
        first.kill()
        first.wait()
        recorder.shows("device 'amp' has sent nothing for 3 s; check it", 15.0)
        time.sleep(1.0)
        with publishing(outlet("amp")):
            recorder.shows("stream 'amp' has a gap of", 30.0)
            time.sleep(3.0)
            assert recorder.stop() == 3
        take = JudgedTake.of(recorder.take())
    recorded = take.counts("amp")
    begin = int(np.argmax(np.diff(recorded) != 1)) + 1
    assert recorded[:begin] == list(range(recorded[0], recorded[0] + begin))
    assert recorded[begin:] == list(range(recorded[begin], recorded[begin] + len(recorded) - begin))
    assert recorded[begin] < 300  # what it sent before it was found again
    stamps = take.streams["amp"].stamps
    assert take.gaps_s("amp") == [pytest.approx(stamps[begin] - stamps[begin - 1], abs=0.3)]
    assert_bystander_whole(take)


@pytest.mark.skipif(not _LIBRARIES, reason="libfaketime is not installed (Debian's package faketime)")
def test_the_clock_of_another_computer_jumps(tmp_path: Path, installed: dict[str, str]) -> None:
    clock, rig = tmp_path / "clock", tmp_path / "rig.toml"
    set_clock(clock, "+0s")
    faked = {"LD_PRELOAD": str(_LIBRARIES[0]), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    rig.write_text(BYSTANDER + entry("amp"), encoding="utf-8")
    with publishing(outlet("amp"), environment=faked), recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(6.0)
        set_clock(clock, "+10s")
        recorder.shows("the clock of the host of stream 'amp' jumped by 10.0", 15.0)
        time.sleep(6.0)
        recorder.stop()
        take = JudgedTake.of(recorder.take())
    (jump,) = take.events("clock_jump")
    assert jump.text in take.record.faults
    assert take.gaps_s("amp") == []
    assert take.events("rate") == []
    stream = take.streams["amp"]
    assert np.max(np.diff(stream.stamps)) > 9.5  # as its publisher stamped them
    counts = take.counts("amp")
    assert counts == list(range(counts[0], counts[0] + len(counts)))
    sound = align_take(read_raw_take(take.folder))
    (aligned,) = (other for other in sound.others if other.name == "amp")
    (report,) = (report for report in sound.reports if report.stream == "amp")
    assert report.lost == 0
    error_s = aligned.time_s - aligned.time_s[0] - np.arange(len(counts)) / 100.0
    assert not report.in_sync or np.max(np.abs(error_s)) < 0.2, report  # right, or said not to be
    assert_bystander_whole(take)


@pytest.mark.skipif(_COMPILER is None, reason="there is no C compiler")
def test_the_clock_of_this_computer_is_set_back(tmp_path: Path, installed: dict[str, str]) -> None:
    library, clock, rig = tmp_path / "set_clock.so", tmp_path / "clock", tmp_path / "rig.toml"
    source = Path(__file__).with_name("set_clock.c")
    # libfaketime 0.9 cannot set the one clock without spoiling waits on the other
    subprocess.run([str(_COMPILER), "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    set_clock(clock, "0")
    rig.write_text(BYSTANDER, encoding="utf-8")
    faked = {"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(clock)}
    with recording(rig, tmp_path / "out", {**installed, **faked}) as recorder:
        time.sleep(3.0)
        set_clock(clock, "-3600")
        recorder.shows(
            "this computer's clock was set back by 3600.0 s; the take's own time does not depend on it", 10.0
        )
        time.sleep(2.0)
        recorder.stop()
        take = JudgedTake.of(recorder.take())
    assert len(take.events("clock_set")) == 1
    assert take.record.faults == ()
    assert_bystander_whole(take)
    assert_times_right(take, "bystander", 1000 * (1 - 38e-6), 0.048)
    assert take.record.stopped is not None
    hour_s = datetime.fromisoformat(take.record.started.utc) - datetime.fromisoformat(take.record.stopped.utc)
    assert hour_s.total_seconds() == pytest.approx(3600, abs=60)  # UTC is what the computer said
