"""A device that is being opened when its take ends: what it says then does not hide that it was not back."""

from __future__ import annotations

import time

from capture.device_process import DeviceProcess
from capture.messages import Failed
from capture.worker import WorkerTask


def test_nothing_is_heard_of_a_process_that_was_let_go() -> None:
    task = WorkerTask("emg", "replay.csv", {"file": "/nowhere"}, "run", "")
    process = DeviceProcess(task)  # its config is not valid: it fails at once
    process.hang_up()
    process.failure = Failed("device 'emg' was not back when the take ended; check it")
    deadline_s = time.monotonic() + 20
    while process.alive and time.monotonic() < deadline_s:
        process.poll()
        time.sleep(0.05)
    process.poll()
    assert process.failure.sentence == "device 'emg' was not back when the take ended; check it"
    process.end(time.monotonic())
