"""The end of a take: what fails while it is stopped is kept as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.console import Console
from capture.device_process import DeviceProcess
from capture.interruption import Interruption
from capture.recorder import Recorder
from capture.rig_file import load_rig
from capture.running_take import RunningTake, TakePlan
from capture.salvaged_take import is_unfinished, salvage_take
from capture.supervision import SupervisedDevice
from capture.take_close import finish_take
from capture.take_json import opening_record
from capture.worker import WorkerTask
from lab.actions import ACTIONS
from lab.errors import FileFormatError, TakeError
from lab.take import ViewRecord
from storage.checksums import verify_sums
from storage.take_folder import create_take, part_path, streams_path, write_record


def test_a_device_that_dies_while_it_is_stopped_is_a_failure(tmp_path: Path) -> None:
    folder = create_take(tmp_path / "raw", "S12", "s1", "A16")
    plan = TakePlan("S12", "s1", ACTIONS["A16"], None, None, 1, tmp_path / "raw", load_rig(None), None, truth=False)
    dying = DeviceProcess(WorkerTask("mocap", "no.such.driver", {}, "run", ""))
    running = RunningTake(plan, Console(), Interruption(), [SupervisedDevice(dying)], Recorder([]), folder)
    running.recorder.start(part_path(streams_path(folder)))
    finished = finish_take(running, opening_record(running), "operator")
    assert any("no driver 'no.such.driver'" in sentence for sentence in finished.failures)
    assert any("no driver 'no.such.driver'" in fault for fault in finished.record.faults)


def test_a_video_that_cannot_be_made_whole_does_not_keep_the_take_from_being_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbles(_folder: Path, _view: ViewRecord) -> None:
        raise FileFormatError("view1.frames cannot be read (Input/output error)")

    monkeypatch.setattr("capture.take_json.merge_view", stumbles)
    folder = create_take(tmp_path / "raw", "S12", "s1", "A16")
    plan = TakePlan("S12", "s1", ACTIONS["A16"], None, None, 1, tmp_path / "raw", load_rig(None), None, truth=False)
    running = RunningTake(plan, Console(), Interruption(), [], Recorder([]), folder)
    running.recorder.start(part_path(streams_path(folder)))
    view = ViewRecord(view="view1", video="view1.mov", records="view1.frames", codec="mjpeg", width=64, height=48)
    finished = finish_take(running, opening_record(running).model_copy(update={"views": (view,)}), "operator")
    assert finished.record.state == "complete"
    assert any("view1 are kept as they are: view1.frames cannot be read" in fault for fault in finished.record.faults)
    assert verify_sums(folder) == []


def test_a_video_without_room_to_be_made_whole_leaves_the_take_to_be_recovered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has_no_room(_folder: Path, _view: ViewRecord) -> None:
        raise TakeError("view1.mov cannot be made whole (No space left on device); make room or check the disk.")

    monkeypatch.setattr("capture.take_json.merge_view", has_no_room)
    folder = create_take(tmp_path / "raw", "S12", "s1", "A16")
    plan = TakePlan("S12", "s1", ACTIONS["A16"], None, None, 1, tmp_path / "raw", load_rig(None), None, truth=False)
    running = RunningTake(plan, Console(), Interruption(), [], Recorder([]), folder)
    view = ViewRecord(view="view1", video="view1.mov", records="view1.frames", codec="mjpeg", width=64, height=48)
    record = opening_record(running).model_copy(update={"views": (view,)})
    write_record(folder, record)
    running.recorder.start(part_path(streams_path(folder)))
    with pytest.raises(TakeError, match="make room on the disk, then run `flex-capture recover"):
        finish_take(running, record, "operator")
    assert is_unfinished(folder)
    salvage_take(folder)
    assert not is_unfinished(folder)
    assert verify_sums(folder) == []
