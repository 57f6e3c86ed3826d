"""What ``import`` does: a file that another program recorded becomes a raw take, and that goes into the dataset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from capture.console import Console
from capture.import_plan import ImportPlan, PlannedView, plan_import
from capture.import_request import ImportRequest, check_import, require_room, session_of
from capture.interruption import Interruption
from capture.one_take import INTERRUPTED, take_into_dataset
from capture.running_take import FinishedTake
from capture.take_history import read_history
from capture.take_json import software_versions
from lab.errors import RequestError, TakeError
from lab.take import ClockAnchor, Event, ImportRecord, StreamRecord, TakeRecord, ViewRecord
from storage.atomic import write_bytes_atomically
from storage.checksums import write_sums
from storage.frame_records import frame_records_bytes
from storage.import_folder import begin_import, drop_import, finish_import, left_imports
from storage.original_copy import copy_original
from storage.os_errors import reason
from storage.recording_lock import recording_lock
from storage.take_folder import frames_path, streams_path, write_record

_MB: Final = 1_000_000


def import_take(request: ImportRequest) -> int:
    """Import what was asked for and return the exit code. Raises FlexCaptureError where nothing was imported.

    Nobody records into the folder meanwhile. The take is there whole or not at all.
    """
    console = Console()
    checked = check_import(request)
    interruption = Interruption()
    with interruption.installed():
        try:
            with console.progress() as report:

                def progress(stage: str, done: int, total: int) -> None:
                    interruption.check()
                    report(stage, done, total)

                plan = plan_import(checked, progress)
            with recording_lock(request.raw, "import"):
                finished = _import(plan, console, interruption)
                del plan  # all samples of the file: it is read again for the dataset
                return take_into_dataset(finished, request.dataset, console, interruption)
        except KeyboardInterrupt:
            console.warning("interrupted; nothing was imported")
            return INTERRUPTED


def _import(plan: ImportPlan, console: Console, interruption: Interruption) -> FinishedTake:
    """Make the raw take and say what it is. Raises FlexCaptureError, KeyboardInterrupt; then nothing is left of it."""
    request = plan.checked.request
    _require_new(plan)
    require_room(request.out, plan.size)
    for left in left_imports(request.raw / request.subject):
        drop_import(left)
        console.line(f"{left}: what an import that was cut off had left is removed")
    session, remark = session_of(plan.checked, plan.header_datetime, plan.original.sha256)
    with console.progress() as report:

        def progress(stage: str, done: int, total: int) -> None:
            interruption.check()
            report(stage, done, total)

        folder, record = _write(plan, session, progress, interruption)
    _say(plan, folder, record, remark, console)
    return FinishedTake(folder, record, ())


def _require_new(plan: ImportPlan) -> None:
    """Raise RequestError where this part of the file is a take of the subject already, unless that is wanted."""
    request, window = plan.checked.request, plan.window
    if request.again:
        return
    takes, _ = read_history(request.raw, request.subject)
    for take in takes:
        before = take.standing.record.imported
        if before is None or before.file.sha256 != plan.original.sha256 or take.standing.excluded_reason is not None:
            continue
        if before.overlaps(window.from_s, window.to_s):
            raise RequestError(
                f"{request.file} was imported already, as {take.folder}; if it is to be a take once more, say"
                " --again, and for another part of it --from and --to"
            )


def _write(
    plan: ImportPlan, session: str, progress: Callable[[str, int, int], None], interruption: Interruption
) -> tuple[Path, TakeRecord]:
    """Make the take's folder, whole; return it and what its ``take.json`` says.

    Raises TakeError where the disk refuses, RequestError where a file changed meanwhile; nothing is left of it then.
    """
    request = plan.checked.request
    folder = begin_import(request.raw, request.subject, session, plan.checked.action.id)
    try:
        hear = _meter(plan, progress)
        copy_original(request.file, streams_path(folder), plan.original, hear)
        for view in plan.views:
            copy_original(view.request.file, folder / view.video_name, view.video, hear)
            if view.table is not None and view.request.table is not None:
                copy_original(view.request.table, folder / view.table_name, view.table, hear)
            try:
                write_bytes_atomically(frames_path(folder, view.request.view), frame_records_bytes(view.frames.rows))
            except OSError as error:
                raise TakeError(f"{folder} cannot be written ({reason(error)}); make room, import again") from None
        progress("closing", 0, 1)
        record = imported_record(plan, session, folder.name.partition(".")[0])
        write_record(folder, record)
        write_sums(folder)
        interruption.defer()  # from here on it is a take
        interruption.check()
        return finish_import(folder), record
    except BaseException:
        drop_import(folder)
        raise


def _meter(plan: ImportPlan, progress: Callable[[str, int, int], None]) -> Callable[[int], None]:
    """Return what hears of bytes written and of bytes read back, and draws one bar of megabytes."""
    total = 2 * plan.size // _MB + 1
    done = 0

    def hear(count: int) -> None:
        nonlocal done
        before, done = done // _MB, done + count
        if done // _MB != before:
            progress("copying and reading back, MB", min(done // _MB, total - 1), total)

    return hear


def imported_record(plan: ImportPlan, session: str, take: str) -> TakeRecord:
    """Return what ``take.json`` says of an imported take. No time in it was measured but those in the file."""
    checked, window = plan.checked, plan.window
    request = checked.request
    simulated = dict.fromkeys(one.device for one in plan.named.streams if one.stream.header.simulated)
    utc = None if checked.recorded_utc is None else checked.recorded_utc.isoformat(timespec="microseconds")
    return TakeRecord(
        subject=request.subject,
        session=session,
        take=take,
        action=checked.action.id,
        skill=checked.skill,
        load_kg=request.load_kg,
        expected_repetitions=request.reps,
        state="recovered" if plan.damage else "complete",
        simulated=bool(simulated),
        simulated_devices=tuple(simulated),
        rig=plan.rig,
        software=software_versions(),
        started=ClockAnchor(session_s=window.begins_s, utc=utc, width_s=None),
        stopped=ClockAnchor(session_s=window.ends_s, utc=None, width_s=None),
        streams=tuple(
            StreamRecord(
                stream_id=one.stream.stream_id,
                name=one.name,
                device=one.device,
                source_id=one.stream.header.source_id,
                samples=len(one.stream.stamps),
            )
            for one in plan.named.streams
        ),
        views=tuple(_view(view) for view in plan.views),
        events=_events(plan),
        imported=ImportRecord(
            file=plan.original,
            imported_utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            header_datetime=plan.header_datetime,
            from_s=window.from_s,
            to_s=window.to_s,
            from_marker=request.window.from_marker,
            to_marker=request.window.to_marker,
            videos=tuple(view.entry() for view in plan.views),
        ),
    )


def _view(view: PlannedView) -> ViewRecord:
    index = view.frames.index
    return ViewRecord(
        view=view.request.view,
        video=view.video_name,
        records=f"{view.request.view}.frames",
        codec=index.codec,
        width=index.width,
        height=index.height,
        frames=len(view.frames.rows),
        encoded=view.frames.encoded,
        stamped_by=None if view.channel is None else view.channel.stream.name,
    )


def _events(plan: ImportPlan) -> tuple[Event, ...]:
    file, begins_s = plan.checked.request.file.name, plan.window.begins_s
    said = [("imported", f"imported from {file}; nothing of it was observed while it was recorded")]
    said += [("recovered", plan.damage)] if plan.damage else []
    said += [("silent", f"stream '{name}' of the rig is not in {file}") for name in plan.named.missing]
    for view in plan.views:
        said += [("frames_not_kept", f"{view.request.view}: {fault}") for fault in view.frames.faults]
        said += [("remark", f"{view.request.view}: {remark}") for remark in view.frames.remarks]
    bound = {view.channel.stream.name for view in plan.views if view.channel is not None}
    cameras = [one.name for one in plan.named.streams if one.stream.header.video is not None and one.name not in bound]
    said += [("remark", f"stream '{name}' is of a camera, whose video was not given with --video") for name in cameras]
    return tuple(Event(session_s=begins_s, kind=kind, text=text) for kind, text in said)


def _say(plan: ImportPlan, folder: Path, record: TakeRecord, remark: str, console: Console) -> None:
    """Tell what was found, and what nobody knows."""
    if record.simulated_devices:
        console.simulated(record.simulated_devices)
    streams = [one for one in plan.named.streams if len(one.stream.stamps) and not one.is_clock]
    parts = [f"{len(streams)} streams with samples", f"{plan.window.ends_s - plan.window.begins_s:.1f} s"]
    parts += [f"{len(plan.views)} videos"] if plan.views else []
    console.line(f"{plan.checked.request.file} · {' · '.join(parts)} · imported as {folder}")
    for event in record.events:
        if event.kind == "remark":
            console.line(f"  {event.text}")
    if record.started.utc is None:
        hint = f"; its header says {plan.header_datetime}, a hint" if plan.header_datetime else ""
        console.line(f"  when it was recorded is not known{hint}: say it with --recorded-utc, if you know")
    if remark:
        console.line(f"  session {record.session}: {remark}")
    number = int(record.take.rpartition("-")[2])
    if number > 1:
        console.line(f"  it is take {number} of {record.action} in this session and replaces the ones before")
