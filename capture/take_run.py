"""One take from plugged-in devices to a sealed raw folder."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from pathlib import Path
from typing import Final

from capture.console import Console
from capture.device_process import DeviceProcess, close_all, remarks_of
from capture.device_start import expected_streams, wait_for_devices, wait_for_subscriptions
from capture.interruption import Interruption
from capture.live_count import LiveCount, count_task
from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.marker_outlet import MarkerOutlet
from capture.messages import Start
from capture.readiness.preflight import begin_preflight
from capture.recorder import Recorder
from capture.running_take import FinishedTake, RunningTake, TakePlan
from capture.stream_check import check_streams
from capture.streams_of_others import find_streams_of_others
from capture.supervision import SupervisedDevice
from capture.take_close import finish_take
from capture.take_json import opening_record
from capture.take_watch import run_until_stopped
from capture.worker import WorkerTask
from lab.errors import DeviceError, TakeError
from storage.reserve import hold_reserve, make_room
from storage.take_folder import create_take, part_path, streams_path, write_record

_LEAD_S: Final = 0.5
TRUTH_FOLDER: Final = "truth"


def record_take(plan: TakePlan, console: Console, interruption: Interruption, *, countdown_s: int = 0) -> FinishedTake:
    """Start all devices, record one take and seal it.

    Raises DeviceError where a device or stream does not come, TakeError where the disk refuses; then no folder
    of this take remains. KeyboardInterrupt before "recording" is announced leaves nothing either. From the creation of
    the take's folder on, interruptions are deferred, and still are when this returns.
    """
    configuration = lsl_configuration(plan.rig.rig.lsl)
    configure_lsl(configuration)
    run = secrets.token_hex(4)
    processes: list[DeviceProcess] = []
    counting: LiveCount | None = None
    try:
        with console.waiting(f"starting {len(plan.rig.devices)} devices"):
            for device in plan.rig.devices:
                entry = device.entry
                work = WorkerTask(entry.name, entry.driver, device.config.model_dump(), run, configuration)
                processes.append(DeviceProcess(work))
            wait_for_devices(processes, plan.rig.rig.wait_s)
            expected = expected_streams(processes)
            of_others = find_streams_of_others(plan.rig.rig, {stream.source_id for stream in expected})
            specs = {process.device: process.specs for process in processes}
            specs |= {stream.device: (stream.spec,) for stream in of_others if stream.spec is not None}
            check_streams(plan.rig, specs)
            markers = MarkerOutlet(f"{plan.subject}-{plan.session}")
            task = count_task(plan, expected, configuration) if console.interactive else None
            counting = None if task is None else LiveCount(task)
            looking = begin_preflight(plan, [*expected, *of_others], specs)
            recorder = Recorder([*expected, *of_others])
            recorder.connect(plan.rig.rig.wait_s)
            wait_for_subscriptions(processes)
            ready = looking.finish()
        ready.require()
        for remark in (*ready.warnings, *remarks_of(processes)):
            console.warning(remark)
        # that a recording or somebody else's stream is simulated is known only now
        driven = {device.entry.name for device in plan.rig.devices if device.simulated}
        simulated = sorted(
            name for name, sent in specs.items() if name not in driven and any(spec.simulated for spec in sent)
        )
        if simulated:
            console.simulated(simulated)
        console.countdown(countdown_s)
        interruption.check()
        interruption.defer()
        made = _missing_folders(plan.raw / plan.subject / plan.session)
        folder = create_take(plan.raw, plan.subject, plan.session, plan.action.id)
        devices = [SupervisedDevice(process, specs=process.specs) for process in processes]
        return _record(RunningTake(plan, console, interruption, devices, recorder, folder, markers, counting), made)
    finally:
        if counting is not None:
            counting.close()
        close_all(processes)


def _record(running: RunningTake, made: list[Path]) -> FinishedTake:
    """Record into the take's folder; it and the folders ``made`` for it go again if "recording" is never announced."""
    from pylsl import local_clock

    plan, folder = running.plan, running.folder
    announced = False
    try:
        record = opening_record(running)
        write_record(folder, record)
        truth = folder / TRUTH_FOLDER if plan.truth else None
        if truth is not None:
            truth.mkdir()
        hold_reserve(folder)
        running.recorder.start(part_path(streams_path(folder)), lambda: make_room(folder))
        running.note("session", f"{plan.subject} {plan.session}")
        running.note("action", f"{plan.action.id} {plan.action.name}")
        running.note("take", folder.name)
        for remark in remarks_of(running.processes):
            running.note("remark", remark)
        t0_s = local_clock() + _LEAD_S
        running.note("t0", "replays and simulations play their first sample", t0_s)
        running.start = Start(t0_s, folder, truth)
        for process in running.processes:
            process.send(running.start)
        with running.console.waiting("waiting for every stream to deliver"):
            _wait_for_first_samples(running)
        announced = True
        record = record.model_copy(update={"recording_s": local_clock()})
        running.note("recording", "every stream has delivered")
        if running.counting is not None:
            running.counting.begin()
        try:
            reason = run_until_stopped(running)
        except BaseException as error:  # whatever happens to the watching, the take is closed
            running.fail("watch_failed", f"watching the take failed ({type(error).__name__}: {error}); it was stopped")
            finished = finish_take(running, record, "watching failed")
            if isinstance(error, Exception):
                return finished
            raise
        if running.counting is not None:
            running.counting.hang_up()
        return finish_take(running, record, reason)
    finally:
        if not announced:
            with contextlib.suppress(TakeError):
                running.recorder.close()
            close_all(running.processes)  # they write into the folder
            shutil.rmtree(folder, ignore_errors=True)
            _remove_empty(made)


def _missing_folders(folder: Path) -> list[Path]:
    """Return those of a folder and its parents that are not there yet, the innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _wait_for_first_samples(running: RunningTake) -> None:
    wait_s = running.plan.rig.rig.wait_s
    deadline_s = time.monotonic() + wait_s
    while not running.recorder.all_delivered():
        if running.interruption.requested.is_set():
            raise KeyboardInterrupt
        for process in running.processes:
            process.poll()
        failed = [process.failure.sentence for process in running.processes if process.failure is not None]
        if failed:
            raise DeviceError(*failed)
        if running.recorder.failure is not None:
            raise TakeError(running.recorder.failure)
        if time.monotonic() > deadline_s:
            raise DeviceError(
                *(
                    f"stream '{state.expected.name}' of device '{state.expected.device}' sent nothing within"
                    f" {wait_s:.0f} s; check the device, then record again"
                    for state in running.recorder.streams
                    if state.samples == 0 and not state.expected.may_be_silent
                )
            )
        time.sleep(0.01)
