"""Devices looked after from afar: who stands still, and who only was not heard."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from capture.device_process import DeviceProcess, close_all
from capture.device_start import wait_for_devices
from capture.supervision import Restart, SupervisedDevice, supervise
from capture.worker import WorkerTask

RESTART = Restart(None, 30.0)


@contextmanager
def standing_still() -> Iterator[DeviceProcess]:
    """Start a device and stop its process."""
    process = DeviceProcess(WorkerTask("mocap", "simulated.mocap", {}, "run", ""))
    workers: list[psutil.Process] = []
    while not workers:  # between its fork and its exec a child has another's command line
        workers = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
    (worker,) = workers
    try:
        wait_for_devices([process], 30.0)
        os.kill(worker.pid, signal.SIGSTOP)
        process.poll()
        yield process
    finally:
        worker.kill()
        close_all([process])


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes are stopped by a signal")
def test_a_worker_is_given_up_when_it_stands_still_and_not_when_all_did() -> None:
    with standing_still() as process:
        device = SupervisedDevice(process)
        assert supervise(device, RESTART, {}) == []
        process.heard_s -= 60.0
        device.looked_s -= 60.0  # the recorder stood still as well: Ctrl-Z and fg, a suspended computer
        assert supervise(device, RESTART, {}) == []
        process.heard_s -= 60.0
        (change,) = supervise(device, RESTART, {})
    assert change.kind == "device_failed"
    assert "has not answered for 10 s; its process stands still" in change.text
