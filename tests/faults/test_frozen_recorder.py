"""A recorder that stands still, as a computer does that is suspended: nothing is lost, and nobody is blamed."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from judging import JudgedTake, assert_bystander_whole
from running_recorder import lives, recording, wait_for

from small_rigs import CAMERA, EMG, MOCAP
from storage.frame_records import read_frame_records
from storage.video_reader import read_video_index

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

VEST = """
[[device]]
name = "vest"
driver = "simulated.vest"
latency_s = 0.25
delay_s = 0.25
max_uncertainty_ms = 100.0
silent_after_s = 2.0
"""


@pytest.fixture
def rig(tmp_path: Path) -> Path:
    path = tmp_path / "rig.toml"
    path.write_text('name = "frozen"\nwait_s = 60.0\n' + MOCAP + EMG + VEST + CAMERA, encoding="utf-8")
    return path


def test_twenty_seconds_of_standing_still_lose_no_sample(rig: Path, tmp_path: Path, installed: dict[str, str]) -> None:
    with recording(rig, tmp_path / "out", installed) as recorder:
        time.sleep(3.0)
        before = [worker.pid for worker in recorder.workers()]
        recorder.process.send_signal(signal.SIGSTOP)
        time.sleep(20.0)
        recorder.process.send_signal(signal.SIGCONT)
        time.sleep(4.0)
        assert [worker.pid for worker in recorder.workers()] == before
        recorder.stop()
        take = JudgedTake.of(recorder.take())
        shown = recorder.shown
    said = [(event.kind, event.text) for event in take.record.events]
    for device in ("mocap", "emg", "vest", "view1"):
        assert_bystander_whole(take, device)
    records = read_frame_records(take.folder / "view1.frames")
    assert records.rows["frame_id"].tolist() == take.counts("view1")
    assert records.kept.all()
    assert len(read_video_index(take.folder / "view1.mov").pts_us) == len(records.rows)
    (stalled,) = take.events("recorder_stalled")
    assert stalled.text.startswith("the recorder stood still for 20."), said
    assert stalled.text in shown
    kinds = {kind for kind, _ in said}
    assert kinds == {"session", "action", "take", "t0", "recording", "recorder_stalled", "stop"}, said
    assert take.record.faults == ()
    assert "SILENT" not in shown


def test_the_workers_of_a_frozen_recorder_that_is_killed_are_gone(
    rig: Path, tmp_path: Path, installed: dict[str, str]
) -> None:
    with recording(rig, tmp_path / "out", installed) as recorder:
        workers = recorder.workers()
        assert len(workers) == 4
        recorder.process.send_signal(signal.SIGSTOP)
        time.sleep(4.0)
        assert all(lives(worker) for worker in workers)  # they wait for it
        recorder.process.kill()
        recorder.process.wait()
        wait_for("all workers are gone", lambda: not any(lives(worker) for worker in workers), 2.0)
