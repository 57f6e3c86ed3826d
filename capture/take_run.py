"""One take from plugged-in devices to a sealed raw folder."""

from __future__ import annotations

import contextlib
import math
import platform
import secrets
import shutil
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Final

from capture.console import Console, LiveStatus, StreamRow
from capture.device_process import DeviceProcess, close_all
from capture.device_start import POLL_S, expected_streams, wait_for_devices, wait_for_subscriptions
from capture.interruption import Interruption
from capture.keyboard import enter_pressed
from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.messages import Start, Stop
from capture.recorder import Recorder
from capture.rig_file import BoundRig
from capture.worker import WorkerTask
from lab.actions import Action, Skill
from lab.errors import DeviceError, TakeError
from lab.streams import CLOCK_SUFFIX
from lab.take import ClockAnchor, Event, StreamRecord, TakeRecord, ViewRecord
from storage.checksums import write_sums
from storage.frame_records import read_frame_records
from storage.take_folder import create_take, write_record

_LEAD_S: Final = 0.5
_STOP_GRACE_S: Final = 10.0
_DRAIN_GRACE_S: Final = 3.0
TRUTH_FOLDER: Final = "truth"


@dataclass(frozen=True)
class TakePlan:
    """What is to be recorded. ``duration_s`` None: until Enter, Ctrl-C or the end of all replays."""

    subject: str
    session: str
    action: Action
    skill: Skill | None
    load_kg: float | None
    expected_repetitions: int
    raw: Path
    rig: BoundRig
    duration_s: float | None
    truth: bool


@dataclass(frozen=True)
class FinishedTake:
    """A sealed raw take, and the sentences about devices or disks that failed in it."""

    folder: Path
    record: TakeRecord
    failures: tuple[str, ...]


@dataclass
class _Running:
    """The moving parts of one take."""

    plan: TakePlan
    console: Console
    interruption: Interruption
    processes: list[DeviceProcess]
    recorder: Recorder
    folder: Path
    events: list[Event] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


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
    try:
        with console.waiting(f"starting {len(plan.rig.devices)} devices"):
            for device in plan.rig.devices:
                entry = device.entry
                task = WorkerTask(entry.name, entry.driver, device.config.model_dump(), run, configuration)
                processes.append(DeviceProcess(task))
            wait_for_devices(processes, plan.rig.rig.wait_s)
            recorder = Recorder(expected_streams(processes))
            recorder.connect(plan.rig.rig.wait_s)
            wait_for_subscriptions(processes)
        console.countdown(countdown_s)
        interruption.defer()
        folder = create_take(plan.raw, plan.subject, plan.session, plan.action.id)
        return _record(_Running(plan, console, interruption, processes, recorder, folder))
    finally:
        close_all(processes)


def _record(running: _Running) -> FinishedTake:
    """Record into the take's folder; it is removed again if "recording" is never announced."""
    from pylsl import local_clock

    plan, folder = running.plan, running.folder
    announced = False
    try:
        record = _opening_record(running, folder.name)
        write_record(folder, record)
        truth = folder / TRUTH_FOLDER if plan.truth else None
        if truth is not None:
            truth.mkdir()
        running.recorder.start(folder / "streams.xdf.part")
        t0_s = local_clock() + _LEAD_S
        running.events.append(Event(session_s=t0_s, kind="t0", text="replays and simulations play their first sample"))
        for process in running.processes:
            process.send(Start(t0_s, folder, truth))
        with running.console.waiting("waiting for every stream to deliver"):
            _wait_for_first_samples(running)
        announced = True
        record = record.model_copy(update={"recording_s": local_clock()})
        _event(running, "recording", "every stream has delivered")
        reason = _run_until_stopped(running)
        return _finish(running, record, reason)
    finally:
        if not announced:
            with contextlib.suppress(TakeError):
                running.recorder.close()
            close_all(running.processes)  # they write into the folder
            shutil.rmtree(folder, ignore_errors=True)
            _remove_if_empty(folder.parent, plan.raw)


def _remove_if_empty(folder: Path, top: Path) -> None:
    """Take back the folders that were made for a take that never began, up to and with ``raw``."""
    while folder.is_relative_to(top) and folder.exists() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _opening_record(running: _Running, take: str) -> TakeRecord:
    plan = running.plan
    simulated = tuple(device.entry.name for device in plan.rig.devices if device.simulated)
    views = []
    for process in running.processes:
        assert process.ready is not None
        for spec in process.ready.specs:
            if spec.video is not None:
                name, video = process.device, spec.video
                views.append(
                    ViewRecord(
                        view=name,
                        video=f"{name}.mov",
                        records=f"{name}.frames",
                        codec=video.codec,
                        width=video.width,
                        height=video.height,
                    )
                )
    return TakeRecord(
        subject=plan.subject,
        session=plan.session,
        take=take,
        action=plan.action.id,
        skill=plan.skill,
        load_kg=plan.load_kg,
        expected_repetitions=plan.expected_repetitions,
        state="recording",
        simulated=bool(simulated),
        simulated_devices=simulated,
        rig=plan.rig.as_recorded(),
        software=_software(),
        started=read_anchor(),
        streams=tuple(
            StreamRecord(
                stream_id=state.stream_id,
                name=state.expected.name,
                device=state.expected.device,
                source_id=state.expected.source_id,
            )
            for state in running.recorder.streams
        ),
        views=tuple(views),
    )


def read_anchor() -> ClockAnchor:
    """Read session time and UTC together."""
    from pylsl import local_clock

    before_s = local_clock()
    utc = datetime.now(timezone.utc)
    after_s = local_clock()
    return ClockAnchor(
        session_s=(before_s + after_s) / 2, utc=utc.isoformat(timespec="microseconds"), width_s=after_s - before_s
    )


def _software() -> dict[str, str]:
    import pylsl

    return {
        "flex-capture": version("flex-capture"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "liblsl": str(pylsl.library_version()),
        "pylsl": version("pylsl"),
        "av": version("av"),
    }


def _event(running: _Running, kind: str, text: str) -> None:
    from pylsl import local_clock

    running.events.append(Event(session_s=local_clock(), kind=kind, text=text))


def _fail(running: _Running, kind: str, sentence: str) -> None:
    if sentence not in running.failures:
        running.failures.append(sentence)
        _event(running, kind, sentence)


def _wait_for_first_samples(running: _Running) -> None:
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
                    if state.samples == 0
                )
            )
        time.sleep(0.01)


def _run_until_stopped(running: _Running) -> str:
    """Watch the take until something ends it; return what did."""
    plan, console = running.plan, running.console
    began_s = time.monotonic()
    title = f"{plan.subject} · {plan.action.title} · recording"
    hint = "Enter stops the take" if console.interactive else "Ctrl-C stops the take"
    if not console.interactive:
        console.line(f"recording {plan.subject} {plan.action.title}; {hint}")
    with console.live():
        while True:
            for process in running.processes:
                process.poll()
                if process.failure is not None:
                    _fail(running, "device_failed", process.failure.sentence)
            elapsed_s = time.monotonic() - began_s
            reason = _reason_to_stop(running, elapsed_s)
            if reason:
                return reason
            console.show(_status(running, title, hint, elapsed_s))
            time.sleep(POLL_S)


def _reason_to_stop(running: _Running, elapsed_s: float) -> str:
    finite = [process for process in running.processes if not process.loops]
    if running.recorder.failure is not None:
        _fail(running, "recorder_failed", running.recorder.failure)
        return "the recorder failed"
    if running.interruption.requested.is_set():
        return "interrupted"
    if running.console.interactive and enter_pressed():
        return "operator"
    if running.plan.duration_s is not None and elapsed_s >= running.plan.duration_s:
        return "duration reached"
    if finite and all(process.ended or process.failure is not None for process in finite):
        return "all devices ended"
    if all(process.failure is not None for process in running.processes):
        return "all devices failed"
    return ""


def _status(running: _Running, title: str, hint: str, elapsed_s: float) -> LiveStatus:
    now_s = time.monotonic()
    silent = {device.entry.name: device.entry.silent_after_s for device in running.plan.rig.devices}
    by_name = {process.device: process for process in running.processes}
    rows, alarms = [], list(running.failures)
    for state in running.recorder.streams:
        name, device = state.expected.name, state.expected.device
        if name.endswith(CLOCK_SUFFIX):
            continue
        age_s = now_s - state.last_seen_s
        allowed_s = silent[device] + (2 / state.rate_hz if state.rate_hz else 0)
        word = "ok"
        if by_name[device].failure is not None:
            word = "FAILED"
        elif by_name[device].ended:
            word = "ended"
        elif age_s > allowed_s:
            word = "SILENT"
            alarms.append(f"device '{device}' has sent nothing for {age_s:.0f} s; check it")
        rows.append(StreamRow(name, word, state.rate_hz, state.rate_measured_hz(), state.samples, state.lost, age_s))
    return LiveStatus(
        title=title,
        elapsed_s=elapsed_s,
        rows=tuple(rows),
        disk_left_bytes=shutil.disk_usage(running.plan.raw).free,
        take_bytes=_bytes_in(running.folder),
        queue_fill=max((process.progress.queue_fill for process in running.processes), default=0.0),
        hint=hint,
        alarms=tuple(alarms),
    )


def _bytes_in(folder: Path) -> int:
    """Add up what the take has written so far; files are renamed while it ends."""
    total = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def _finish(running: _Running, record: TakeRecord, reason: str) -> FinishedTake:
    """Stop, drain, close and seal. Nothing that arrived is given up, whatever has failed."""
    folder = running.folder
    _event(running, "stop", reason)
    for process in running.processes:
        process.send(Stop())
    deadline_s = time.monotonic() + _STOP_GRACE_S
    while any(process.stopped is None and process.failure is None for process in running.processes):
        if time.monotonic() > deadline_s:
            break
        for process in running.processes:
            process.poll()
        time.sleep(0.01)
    published: dict[str, int] = {}
    for process in running.processes:
        if process.stopped is None and process.failure is None:
            _fail(running, "device_failed", f"device '{process.device}' did not stop within {_STOP_GRACE_S:.0f} s")
        stopped = process.stopped.published if process.stopped is not None else process.progress.published
        published |= stopped
        for problem in process.stopped.problems if process.stopped is not None else ():
            _fail(running, "frames_not_kept", f"device '{process.device}': {problem}")
    if running.recorder.failure is None:
        for problem in running.recorder.drain(published, _DRAIN_GRACE_S):
            _fail(running, "tail_lost", problem)
    try:
        running.recorder.close()
    except TakeError as error:
        _fail(running, "recorder_failed", str(error))
    (folder / "streams.xdf.part").rename(folder / "streams.xdf")
    close_all(running.processes)
    final = _closing_record(running, folder, record, reason)
    write_record(folder, final)
    write_sums(folder)
    return FinishedTake(folder, final, tuple(running.failures))


def _closing_record(running: _Running, folder: Path, record: TakeRecord, reason: str) -> TakeRecord:
    samples = {state.stream_id: state for state in running.recorder.streams}
    ended = {process.device: process.failure is None for process in running.processes}
    return record.model_copy(
        update={
            "state": "complete",
            "stopped": read_anchor(),
            "stop_reason": reason,
            "streams": tuple(
                stream.model_copy(
                    update={"samples": samples[stream.stream_id].samples, "ended": ended.get(stream.device, False)}
                )
                for stream in record.streams
            ),
            "views": tuple(_closed_view(folder, view) for view in record.views),
            "events": tuple(running.events),
        }
    )


def _closed_view(folder: Path, view: ViewRecord) -> ViewRecord:
    """Give the files of a camera whose worker died their names, and count what every camera kept."""
    for name in (view.video, view.records):
        part = folder / f"{name}.part"
        if part.exists():
            part.rename(folder / name)
    records = folder / view.records
    if not records.exists():
        return view
    rows = read_frame_records(records)
    return view.model_copy(update={"frames": len(rows.rows), "encoded": int(rows.kept.sum())})


def take_length_s(record: TakeRecord) -> float:
    """Return the length of a take in seconds of session time, NaN where it has no end."""
    return record.stopped.session_s - record.started.session_s if record.stopped is not None else math.nan
