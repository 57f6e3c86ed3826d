"""What ``take.json`` says when a take opens and when it is closed."""

from __future__ import annotations

import platform
import sys
from datetime import datetime, timezone
from importlib.metadata import version

from capture.running_take import RunningTake
from lab.errors import TakeError
from lab.take import ClockAnchor, StreamRecord, TakeRecord, ViewRecord
from storage.salvage_view import drop_pieces, merge_view


def opening_record(running: RunningTake) -> TakeRecord:
    """Return what ``take.json`` says from the first moment on: what was asked and what runs."""
    plan = running.plan
    said = {process.device for process in running.processes if any(spec.simulated for spec in process.specs)}
    simulated = tuple(device.entry.name for device in plan.rig.devices if device.simulated or device.entry.name in said)
    of_others = [state.expected for state in running.recorder.streams if state.expected.of_others]
    simulated += tuple(stream.name for stream in of_others if stream.spec is not None and stream.spec.simulated)
    views = []
    for process in running.processes:
        for spec in process.specs:
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
        take=running.folder.name,
        action=plan.action.id,
        skill=plan.skill,
        load_kg=plan.load_kg,
        expected_repetitions=plan.expected_repetitions,
        state="recording",
        simulated=bool(simulated),
        simulated_devices=simulated,
        rig=plan.rig.as_recorded(),
        software=software_versions(),
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


def software_versions() -> dict[str, str]:
    """Return the versions of what a take is made with."""
    import pylsl

    return {
        "flex-capture": version("flex-capture"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "liblsl": str(pylsl.library_version()),
        "pylsl": version("pylsl"),
        "av": version("av"),
    }


def closing_record(running: RunningTake, record: TakeRecord, stopped: ClockAnchor, reason: str) -> TakeRecord:
    """Return what ``take.json`` says for good: what was kept and how it ended. Raises TakeError."""
    samples = {state.stream_id: state for state in running.recorder.streams}
    ended = {process.device: process.failure is None for process in running.processes}
    ended |= {state.expected.device: not state.gone for state in samples.values() if state.expected.of_others}
    views = tuple(_whole_view(running, view) for view in record.views)
    return record.model_copy(
        update={
            "state": "complete" if running.recorder.failure is None else "failed",
            "stopped": stopped,
            "stop_reason": reason,
            "streams": tuple(
                stream.model_copy(
                    update={"samples": samples[stream.stream_id].samples, "ended": ended.get(stream.device, False)}
                )
                for stream in record.streams
            ),
            "views": views,
            "events": tuple(running.events),
        }
    )


def _whole_view(running: RunningTake, view: ViewRecord) -> ViewRecord:
    """Make one video of what a camera wrote, whatever became of its worker, and count what it kept.

    Raises TakeError where the disk refuses: the take can be closed when there is room.
    """
    try:
        merged = merge_view(running.folder, view)
        drop_pieces(running.folder, view.view)
    except TakeError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one video, the take is closed
        running.fail("frames_not_kept", f"the files of {view.view} are kept as they are: {error}")
        return view
    for note in merged.notes:
        running.note("remark", note)
    return merged.record
