"""What ``check`` does: the devices of a rig play for a few seconds as in a take, and nothing of it is kept."""

from __future__ import annotations

import math
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from capture.console import Console
from capture.device_process import DeviceProcess, close_all, remarks_of, wait_until
from capture.device_start import expected_streams
from capture.health import lsl_check, video_check
from capture.interruption import Interruption
from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.messages import Start, Stop, Subscribe
from capture.output_folder import folder_problems
from capture.readiness.disk_room import DiskRoom, disk_room
from capture.readiness.free_memory import free_memory_bytes
from capture.readiness.lab_report import Finding, LabReport, StreamRow
from capture.readiness.preflight import memory_problems, twin_problems
from capture.readiness.stream_findings import CameraFacts, stream_rows
from capture.readiness.stream_listening import HeardStream, Listening
from capture.readiness.take_size import past_sizes, take_size
from capture.rig_file import BoundRig, load_rig
from capture.salvaged_take import is_unfinished
from capture.stream_check import check_streams
from capture.stream_state import ExpectedStream
from capture.streams_of_others import look_for_streams
from capture.visible_streams import visible_streams
from capture.worker import WorkerTask
from lab.errors import FlexCaptureError, RigError
from lab.streams import StreamSpec
from storage.os_errors import reason
from storage.recording_lock import recording_under_way
from storage.take_folder import is_being_written, list_takes

INTERRUPTED: Final = 130
_LEAD_S: Final = 0.5
_LOOK_S: Final = 0.3
_POLL_S: Final = 0.05
_SUBSCRIBE_S: Final = 15.0
_STOP_GRACE_S: Final = 10.0
#: Samples that a slow stream is waited for, and for how long at most.
_ENOUGH_SAMPLES: Final = 3
_LONGEST_WAIT_S: Final = 60.0
_REPETITIONS: Final = 10
_FOLDER: Final = ".flex-capture-check-"
#: A folder of a check that was killed, in seconds: no check lasts so long.
_LEFT_BEHIND_S: Final = 7200.0
_FAILED: Final = 3
_WRONG_RIG: Final = 2


@dataclass(frozen=True)
class CheckRequest:
    """The options of ``check`` as they were typed."""

    rig: Path | None
    out: Path
    seconds: float
    as_json: bool


@dataclass
class _Check:
    """A check under way: what was found so far, and what is to be let go at its end."""

    request: CheckRequest
    rig: BoundRig
    findings: list[Finding] = field(default_factory=list)
    processes: list[DeviceProcess] = field(default_factory=list)
    expected: list[ExpectedStream] = field(default_factory=list)
    specs: dict[str, tuple[StreamSpec, ...]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    queue_fill: dict[str, float] = field(default_factory=dict)
    listened_s: float = 0.0

    @property
    def usable(self) -> list[DeviceProcess]:
        """The workers of devices that came and have not failed since."""
        return [
            process for process in self.processes if process.ready is not None and process.device not in self.absent
        ]

    def found(self, *sentences: str, code: int = 1) -> None:
        """Keep findings; ``code`` is the exit code that they ask for."""
        known = {finding.sentence for finding in self.findings}
        self.findings += [Finding(sentence, code) for sentence in sentences if sentence not in known]


def check_lab(request: CheckRequest) -> int:
    """Check a rig, say what was found and return the exit code. Raises RigError for a rig file with mistakes."""
    check = _Check(request, load_rig(request.rig))
    console = Console()
    interruption = Interruption()
    with interruption.installed():
        try:
            report = _checked(check, console, interruption)
        except KeyboardInterrupt:
            if not request.as_json:
                console.warning("interrupted; nothing is left of the check")
            return INTERRUPTED
    if request.as_json:
        console.line(report.as_json())
    else:
        report.show(console)
    return report.code


def _checked(check: _Check, console: Console, interruption: Interruption) -> LabReport:
    rig, quiet = check.rig, check.request.as_json
    configuration = lsl_configuration(rig.rig.lsl)
    configure_lsl(configuration)
    simulated = [device.entry.name for device in rig.devices if device.simulated]
    if simulated and not quiet:
        console.simulated(simulated)
    listening: Listening | None = None
    with _temporary_folder(check) as folder:
        try:
            with _waiting(console, f"starting {len(rig.devices)} devices", quiet=quiet):
                _start_devices(check, configuration)
                _find_others(check)
                listening = Listening(check.expected)
                listening.find(rig.rig.wait_s)
                _subscribe(check)
            with _waiting(console, f"listening for {check.request.seconds:g} s", quiet=quiet):
                _play(check, listening.streams, folder)
                cameras = _cameras(check, folder)
                listening.close()
                _stop(check)
            return _report(check, listening.streams, cameras)
        finally:
            interruption.defer()
            if listening is not None:
                listening.close()
            close_all(check.processes)


@contextmanager
def _waiting(console: Console, text: str, *, quiet: bool) -> Iterator[None]:
    if quiet:
        yield
        return
    with console.waiting(text):
        yield


@contextmanager
def _temporary_folder(check: _Check) -> Iterator[Path]:
    """Make a folder for the cameras on the disk of the takes, elsewhere where that cannot be; then remove it."""
    out = check.request.out
    check.found(*folder_problems(out, ""))
    beside = next((place for place in (out, *out.absolute().parents) if place.is_dir()), Path(tempfile.gettempdir()))
    _remove_left_behind(beside)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=beside))
    except OSError as error:
        if not check.findings:
            check.found(f"{beside} cannot be written ({reason(error)}); name another folder with --out")
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(beside: Path) -> None:
    with suppress(OSError):
        for folder in beside.glob(f"{_FOLDER}*"):
            if time.time() - folder.stat().st_mtime > _LEFT_BEHIND_S:
                shutil.rmtree(folder, ignore_errors=True)


def _start_devices(check: _Check, configuration: str) -> None:
    """Start all devices as a take does; those that do not come are said and the others go on."""
    run, wait_s = secrets.token_hex(4), check.rig.rig.wait_s
    for device in check.rig.devices:
        entry = device.entry
        task = WorkerTask(entry.name, entry.driver, device.config.model_dump(), run, configuration)
        check.processes.append(DeviceProcess(task))
    for process in wait_until(check.processes, lambda process: process.ready is not None, wait_s):
        check.absent[process.device] = (
            f"device '{process.device}' did not open within {wait_s:.0f} s; check that it is switched on and connected"
        )
    _hear(check)
    ready = check.usable
    try:
        check.expected += expected_streams(ready)
    except RigError as error:
        check.found(*error.problems, code=_WRONG_RIG)
    check.specs |= {process.device: process.specs for process in ready}


def _hear(check: _Check) -> None:
    """Take in what the workers say, and keep what has failed."""
    for process in check.processes:
        process.poll()
        if process.failure is not None:
            sentence = process.failure.sentence
            named = sentence if f"'{process.device}'" in sentence else f"device '{process.device}': {sentence}"
            check.absent.setdefault(process.device, named)
        fill = process.progress.queue_fill
        check.queue_fill[process.device] = max(check.queue_fill.get(process.device, 0.0), fill)
    check.found(*check.absent.values(), code=_FAILED)


def _find_others(check: _Check) -> None:
    try:
        others = look_for_streams(check.rig.rig, {stream.source_id for stream in check.expected})
    except RigError as error:
        check.found(*error.problems, code=_WRONG_RIG)
        return
    check.expected += others.expected
    check.specs |= {stream.device: (stream.spec,) for stream in others.expected if stream.spec is not None}
    for name, problems in others.problems.items():
        check.absent[name] = "; ".join(problems)
        check.found(*problems)
    try:
        check_streams(check.rig, check.specs)
    except RigError as error:
        check.found(*error.problems, code=_WRONG_RIG)


def _subscribe(check: _Check) -> None:
    ready = check.usable
    for process in ready:
        process.send(Subscribe())
    wait_until(ready, lambda process: process.subscribed is not None, _SUBSCRIBE_S)
    _hear(check)
    check.found(
        *(
            f"the streams of device '{process.device}' could not be subscribed to; check the firewall"
            for process in ready
            if not process.subscribed and process.failure is None
        )
    )


def _play(check: _Check, streams: Sequence[HeardStream], folder: Path) -> None:
    """Let the devices play until each stream has been heard for long enough."""
    from pylsl import local_clock

    t0_s = local_clock() + _LEAD_S
    began_s = time.monotonic() + _LEAD_S
    for process in check.usable:
        process.send(Start(t0_s, folder, None))
    silent_after_s: dict[str, float] = {entry.name: entry.silent_after_s for entry in check.rig.rig.device}
    silent_after_s |= {entry.name: entry.silent_after_s or 3.0 for entry in check.rig.rig.stream}
    while True:
        _hear(check)
        ended = {process.device for process in check.processes if process.ended or process.failure is not None}
        wait_s = max(
            (
                _wait_s(heard, silent_after_s.get(heard.expected.device, 3.0))
                for heard in streams
                if heard.expected.device not in ended
            ),
            default=0.0,
        )
        check.listened_s = time.monotonic() - began_s
        if check.listened_s >= max(check.request.seconds, min(wait_s, _LONGEST_WAIT_S)):
            return
        if not streams or ended == {heard.expected.device for heard in streams}:
            return  # nothing more will come
        time.sleep(_POLL_S)


def _wait_s(heard: HeardStream, silent_after_s: float) -> float:
    """Return how long a stream that has hardly sent anything is waited for."""
    spec = heard.expected.spec
    if spec is None or spec.rate_hz <= 0 or heard.missing or heard.gone or heard.samples >= _ENOUGH_SAMPLES:
        return 0.0
    return silent_after_s + 2 / spec.rate_hz


def _stop(check: _Check) -> None:
    running = check.usable
    for process in running:
        process.send(Stop())
    silent = wait_until(running, lambda process: process.stopped is not None, _STOP_GRACE_S)
    for process in silent:
        check.found(f"device '{process.device}' did not stop within {_STOP_GRACE_S:.0f} s; restart it", code=_FAILED)
    _hear(check)
    for process in check.processes:
        check.found(*(f"device '{process.device}': {problem}" for problem in process.problems))


def _cameras(check: _Check, folder: Path) -> dict[str, CameraFacts]:
    return {
        process.device: CameraFacts(_bytes_of(folder, process.device), check.queue_fill.get(process.device, 0.0))
        for process in check.processes
        if any(spec.video is not None for spec in process.specs)
    }


def _report(check: _Check, streams: Sequence[HeardStream], cameras: dict[str, CameraFacts]) -> LabReport:
    ended = {process.device for process in check.processes if process.ended}
    for heard in streams:
        heard.finished = heard.expected.device in ended
    rows = stream_rows(streams, cameras, check.listened_s)
    heard_of = {row.device for row in rows}
    names = [entry.name for entry in (*check.rig.rig.device, *check.rig.rig.stream)]
    rows += [
        StreamRow.absent(name, check.absent[name]) for name in names if name in check.absent and name not in heard_of
    ]
    rows.sort(key=lambda row: names.index(row.device) if row.device in names else len(names))
    for row in rows:
        check.found(*row.problems)
    check.found(*twin_problems([heard.expected for heard in streams], visible_streams(_LOOK_S)))
    specs = [spec for of_device in check.specs.values() for spec in of_device]
    check.found(*memory_problems(specs))
    installed = [lsl_check(), *([video_check()] if cameras else [])]
    check.found(*(f"{part.what}: {part.found}; {part.advice}" for part in installed if not part.ok))
    unfinished = _unfinished(check)
    written = sum(heard.bytes for heard in streams) + sum(facts.bytes for facts in cameras.values())
    room = _room(check, specs, written / check.listened_s if check.listened_s > 0 else math.nan)
    return LabReport(
        rig=check.rig.rig.name,
        listened_s=check.listened_s,
        streams=tuple(rows),
        room=room,
        free_memory_bytes=free_memory_bytes(),
        unfinished=tuple(unfinished),
        findings=tuple(check.findings),
        remarks=tuple(remarks_of(check.processes)),
    )


def _bytes_of(folder: Path, view: str) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.name.startswith((f"{view}.", f"{view}-")))


def _unfinished(check: _Check) -> list[Path]:
    """Name the takes that were cut off; ``record`` recovers them by itself. Nothing of them is touched."""
    raw = check.request.out / "raw"
    if not raw.is_dir():
        return []
    if recording_under_way(raw):
        check.found(f"somebody records into {raw}, or recovers there, and may use the devices; wait for the end of it")
    try:
        takes = [take for take in list_takes(raw) if is_unfinished(take) and not is_being_written(take)]
    except FlexCaptureError as error:
        check.found(*error.problems)
        return []
    check.found(*(f"{take} was cut off; type `flex-capture recover {take}`" for take in takes))
    return takes


def _room(check: _Check, specs: Sequence[StreamSpec], bytes_a_second: float) -> DiskRoom | None:
    raw = check.request.out / "raw"
    past = past_sizes(raw, check.rig)
    if not specs and not past:
        return None  # nothing is known of what will be written
    measured = bytes_a_second if bytes_a_second > 0 else None
    try:
        size = take_size(specs, past, _REPETITIONS, measured_bytes_a_second=measured, unmeasured=sorted(check.absent))
        room = disk_room(raw, size)
    except OSError as error:
        check.found(f"{raw} cannot be looked at ({reason(error)}); check the disk, or name another with --out")
        return None
    check.found(*([room.problem] if room.problem else []))
    return room
