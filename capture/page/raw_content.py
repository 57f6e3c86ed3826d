"""A raw take, processed in memory as for the dataset -> what a page shows of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from capture.page.shown_take import MOMENTS, Moment, PictureRequest, ShownEvent, ShownTake, ShownView, Signal
from capture.page.utc import utc_text
from capture.process_take import ProcessedTake, Progress, process_in_memory
from capture.verdict import judge
from lab.actions import ACTIONS
from lab.aligned import AlignedStream, AlignedTake
from lab.marks import FACTS, Mark
from lab.repetitions import Repetition
from lab.take import FAULTS, TakeRecord
from storage.flex.versions import BOUND_TOLERANCE_S
from storage.flex.view_frames import ViewFrames
from storage.marks_file import read_marks
from storage.take_folder import view_video_path

#: Texts of one stream that are shown as events; a stream of words may hold millions.
_MOST_TEXTS: Final = 100


def raw_take(folder: Path, progress: Progress) -> ShownTake:
    """Process the take in ``folder`` and return what a page shows; nothing is written. Raises TakeError."""
    processed = process_in_memory(folder, progress, verify=True)
    aligned, record = processed.aligned, processed.aligned.record
    verdict = judge(processed, None)
    views = {view.view: ViewFrames.of(view) for view in aligned.views}
    from_s, to_s = _span(aligned, views)
    zero_s = record.recording_s if record.recording_s is not None else from_s
    action = ACTIONS.get(record.action)
    return ShownTake(
        take_id=record.id,
        title=f"{record.subject} · {action.title if action else record.action} · {record.take}",
        source="the raw take, processed for this page as it is for the dataset",
        simulated_devices=record.simulated_devices,
        verdict=verdict.line,
        marks=verdict.marks,
        remarks=verdict.remarks,
        facts=_facts(processed, record, from_s, to_s),
        phases=action.phases if action else ("first phase", "second phase"),
        from_s=from_s,
        to_s=to_s,
        zero_s=zero_s,
        zero=_zero(record, zero_s),
        repetitions=processed.segmentation.repetitions,
        pose=aligned.pose,
        emg=_signal("sEMG", aligned.emg),
        envelope=_envelope(aligned),
        others=_others(aligned),
        views=tuple(ShownView(name, frames.time_s, frames.period_s) for name, frames in sorted(views.items())),
        reports=aligned.reports,
        events=(*_events(record), *_texts(aligned.others), *_marks(folder)),
        pictures=_pictures(folder, record, views, processed.segmentation.repetitions, from_s, to_s),
    )


def _span(aligned: AlignedTake, views: dict[str, ViewFrames]) -> tuple[float, float]:
    """Return first and last time of anything recorded, a few seconds around the recording at most."""
    record = aligned.record
    streams = (aligned.emg, aligned.heart_rate, aligned.breath_rate, *aligned.others)
    times = [stream.time_s for stream in streams if stream is not None]
    times += [frames.time_s for frames in views.values()]
    if aligned.pose is not None:
        times.append(aligned.pose.time_s)
    ends = [(float(time_s[0]), float(time_s[-1])) for time_s in times if len(time_s) and np.isfinite(time_s).all()]
    started_s = record.started.session_s
    from_s = min((first for first, _ in ends), default=started_s)
    to_s = max((last for _, last in ends), default=started_s + 1.0)
    if math.isfinite(started_s):
        from_s = max(from_s, started_s - 5.0)
    if record.stopped is not None and math.isfinite(record.stopped.session_s):
        to_s = min(to_s, record.stopped.session_s + 5.0)
    return from_s, max(to_s, from_s + 0.1)


def _zero(record: TakeRecord, zero_s: float) -> str:
    what = '"recording" was announced' if record.recording_s is not None else "the first sample was taken"
    if record.started.utc is None:
        return f"0 s is when {what}: session time {zero_s:.3f} s; nobody knows its UTC."
    try:
        utc = datetime.fromisoformat(record.started.utc) + timedelta(seconds=zero_s - record.started.session_s)
    except (ValueError, OverflowError):
        return f"0 s is when {what}: session time {zero_s:.3f} s."
    return f"0 s is when {what}: session time {zero_s:.3f} s, {utc_text(utc.isoformat())}."


def _facts(processed: ProcessedTake, record: TakeRecord, from_s: float, to_s: float) -> tuple[tuple[str, str], ...]:
    segmentation = processed.segmentation
    facts = (
        ("subject", record.subject),
        ("session", record.session),
        ("take", record.take),
        ("skill", record.skill or ""),
        ("load", "" if record.load_kg is None else f"{record.load_kg:g} kg"),
        ("started", utc_text(record.started.utc or "")),
        ("recorded", f"{to_s - from_s:.1f} s"),
        ("state", record.state),
        ("stopped by", record.stop_reason),
        ("rig", str(record.rig.get("name", ""))),
        ("pose from", processed.aligned.pose.stream if processed.aligned.pose else ""),
        ("sEMG from", processed.aligned.emg.name if processed.aligned.emg else ""),
        ("reference view", processed.aligned.reference_view or ""),
        ("segmenter", segmentation.segmenter),
        (
            "recorded with" if record.imported is None else "imported with",
            "flex-capture " + record.software.get("flex-capture", "?"),
        ),
        ("imported from", "" if record.imported is None else record.imported.file.name),
        ("raw digest", processed.aligned.raw_digest[:16]),
    )
    return tuple((name, value) for name, value in facts if value)


def _signal(name: str, stream: AlignedStream | None) -> Signal | None:
    if stream is None:
        return None
    return Signal(
        name=name,
        unit=_unit(stream),
        labels=tuple(channel.label for channel in stream.channels),
        rate_hz=stream.rate_hz,
        time_s=stream.time_s,
        values=stream.values,
    )


def _unit(stream: AlignedStream) -> str:
    units = {channel.unit for channel in stream.channels}
    unit = units.pop() if len(units) == 1 else ""
    return {"microvolts": "µV", "meters": "m"}.get(unit, unit)


def _envelope(aligned: AlignedTake) -> Signal | None:
    emg = aligned.emg
    if emg is None or aligned.emg_envelope is None:
        return None
    labels = tuple(channel.label for channel in emg.channels)
    return Signal("sEMG envelope", "µV", labels, emg.rate_hz, emg.time_s, aligned.emg_envelope)


def _others(aligned: AlignedTake) -> tuple[Signal, ...]:
    named = [("Heart rate", aligned.heart_rate), ("Breath rate", aligned.breath_rate)]
    named += [(stream.name, stream) for stream in aligned.others if stream.values.dtype.kind in "iuf"]
    signals = (_signal(name, stream) for name, stream in named)
    return tuple(signal for signal in signals if signal is not None)


def _events(record: TakeRecord) -> list[ShownEvent]:
    return [ShownEvent(event.session_s, event.kind, event.text, event.kind in FAULTS) for event in record.events]


def _texts(streams: Sequence[AlignedStream]) -> list[ShownEvent]:
    """Return the samples of streams of text, such as markers, as events."""
    events = []
    for stream in streams:
        if stream.values.dtype.kind in "iuf":
            continue
        for when_s, row in zip(stream.time_s[:_MOST_TEXTS].tolist(), stream.values.tolist(), strict=False):
            events.append(ShownEvent(when_s, stream.name, ", ".join(str(value) for value in row)))
        if len(stream.time_s) > _MOST_TEXTS:
            events.append(ShownEvent(math.nan, stream.name, f"and {len(stream.time_s) - _MOST_TEXTS} more"))
    return events


def _marks(folder: Path) -> list[ShownEvent]:
    """Return what was said later in ``marks.jsonl``, and by whom."""
    return [ShownEvent(math.nan, "mark", _said(mark)) for mark in read_marks(folder)[0]]


def _said(mark: Mark) -> str:
    facts = [f"{FACTS[name]} {value}" for name, value in mark.facts.items()]
    cleared = [f"{FACTS[name]} not given" for name in mark.clear]
    said = ", ".join((mark.kind, *facts, *cleared)) + (f": {mark.text}" if mark.text else "")
    return f"{said} ({mark.who}, {utc_text(mark.utc)})"


def _pictures(
    folder: Path,
    record: TakeRecord,
    views: dict[str, ViewFrames],
    repetitions: Sequence[Repetition],
    from_s: float,
    to_s: float,
) -> tuple[PictureRequest, ...]:
    """Ask for each view's frames at start, turn and end of each repetition: those that the dataset names.

    Without repetitions: at the beginning, in the middle and at the end of the take.
    """
    wanted: list[tuple[int, Moment, float]] = []
    for number, one in enumerate(repetitions, start=1):
        wanted += [(number, moment, at_s) for moment, at_s in zip(MOMENTS, (one.start_s, one.turn_s, one.end_s))]  # noqa: B905
    tolerance_s = BOUND_TOLERANCE_S
    if not repetitions:
        wanted = [(0, "start", from_s), (0, "middle", (from_s + to_s) / 2), (0, "end", to_s)]
        tolerance_s = math.inf
    requests = []
    for number, moment, at_s in wanted:
        for name, frames in sorted(views.items()):
            index = -1
            if len(frames.time_s):
                position = int(frames.nearest(np.array([at_s]))[0])
                if abs(float(frames.time_s[position]) - at_s) <= tolerance_s:
                    index = int(frames.index[position])
            requests.append(PictureRequest(number, moment, name, view_video_path(folder, record, name), index))
    return tuple(requests)
