"""A dataset's tables and files -> what a page shows of one of its takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from capture.dataset_rows import DatasetRows, repetitions_of, reports_of
from capture.page.shown_take import MOMENTS, PictureRequest, ShownTake, ShownView, Signal
from capture.page.utc import utc_text
from capture.verdict import stream_marks, verdict_line
from lab.actions import ACTIONS
from lab.aligned import Pose, StreamReport
from lab.errors import LayoutError
from lab.repetitions import Repetition
from lab.streams import Channel
from storage.flex.entries import Row, TakeEntry
from storage.flex.frames import emg_columns
from storage.flex.read_signals import StoredSignal, file_of, read_signals
from storage.flex.tables import read_parquet

Float64 = npt.NDArray[np.float64]

_TITLES: Final = {"emg": "sEMG", "heart_rate": "Heart rate", "breath_rate": "Breath rate"}


def dataset_take(
    dataset: Path, rows: DatasetRows, take_id: str, progress: Callable[[str, int, int], None]
) -> ShownTake:
    """Read one take of a dataset. Raises RequestError for one that is not there, LayoutError for damaged files."""
    entry = rows.entry(take_id)
    progress("reading", 0, 1)
    try:
        return _shown(dataset, entry, next(row for row in rows.takes if row["take_id"] == take_id))
    except (KeyError, TypeError, ValueError) as error:
        raise LayoutError(
            f"{dataset}: the rows of take {take_id} cannot be used ({error}); run `flex-capture rebuild`."
        ) from error


def _shown(dataset: Path, entry: TakeEntry, take: Row) -> ShownTake:
    repetitions = repetitions_of(entry)
    reports = reports_of(entry)
    stored = read_signals(dataset, entry)
    whole = {
        name: _joined([one[name] for one in stored if name in one]) for name in ("emg", "heart_rate", "breath_rate")
    }
    from_s = min((one.start_s for one in repetitions), default=0.0)
    to_s = max((one.end_s for one in repetitions), default=1.0)
    frames = read_parquet(file_of(dataset, take["frames_file"])) if repetitions else None
    action = ACTIONS.get(str(take["action"]))
    others = (_signal(_TITLES[name], whole[name]) for name in ("heart_rate", "breath_rate"))
    return ShownTake(
        take_id=entry.take_id,
        title=f"{take['subject']} · {action.title if action else take['action']} · {take['take']}",
        source="the dataset, which holds the repetitions and nothing between them; the raw take has it all",
        simulated_devices=tuple(str(name) for name in take.get("simulated_devices") or ()),
        verdict=verdict_line(int(take["found"]), take["expected"], reports),
        marks=_marks(take, reports),
        remarks=_remarks(take, repetitions),
        facts=_facts(take),
        phases=action.phases if action else ("first phase", "second phase"),
        from_s=from_s - 0.5,
        to_s=to_s + 0.5,
        zero_s=from_s,
        zero=f"0 s is the start of the first repetition: session time {from_s:.3f} s.",
        repetitions=repetitions,
        pose=_pose([one["pose"] for one in stored if "pose" in one]),
        emg=_signal("sEMG", whole["emg"]),
        envelope=_envelope(frames, whole["emg"]),
        others=tuple(signal for signal in others if signal is not None),
        views=_views(frames, take, reports),
        reports=reports,
        events=(),
        pictures=_pictures(dataset, entry),
    )


def _marks(take: Row, reports: Sequence[StreamReport]) -> tuple[str, ...]:
    marks = [str(note) for note in take["faults"] or ()]
    if take["state"] != "complete":
        marks.append(f"the take is {take['state']}: it was cut off or could not be written to its end")
    if take["expected"] is not None and take["found"] != take["expected"]:
        marks += [str(doubt) for doubt in take["doubts"] or ()]
    if take.get("excluded_reason"):
        marks.append(f"it is not to be used: {take['excluded_reason']}")
    return tuple(dict.fromkeys((*marks, *stream_marks(reports))))


def _remarks(take: Row, repetitions: Sequence[Repetition]) -> tuple[str, ...]:
    remarks = [] if take["current"] else ["another take of the same subject, session and action replaces this one"]
    if take["expected"] is None or take["found"] == take["expected"]:
        remarks += [str(doubt) for doubt in take["doubts"] or ()]
    for number, repetition in enumerate(repetitions, start=1):
        remarks += [f"repetition {number}: {doubt}" for doubt in repetition.doubts]
    return (*remarks, *(str(note) for note in take["notes"] or ()))


def _facts(take: Row) -> tuple[tuple[str, str], ...]:
    load = take.get("load_kg")
    facts = (
        ("subject", take["subject"]),
        ("session", take["session"]),
        ("take", take["take"]),
        ("skill", take.get("skill")),
        ("load", None if load is None else f"{load:g} kg"),
        ("started", utc_text(take["started_utc"] or "")),
        ("state", take["state"]),
        ("modalities", ", ".join(str(name) for name in take["modalities"] or ())),
        ("reference view", take.get("reference_view")),
        ("segmenter", take["segmenter"]),
        ("revision", take["revision"]),
        ("raw digest", str(take["raw_digest"])[:16]),
    )
    return tuple((name, str(value)) for name, value in facts if value)


def _joined(parts: Sequence[StoredSignal]) -> StoredSignal | None:
    """Put the repetitions of one signal in a row, with absent values in between, where the dataset holds nothing."""
    if not parts:
        return None
    first = parts[0]
    rates = [rate for rate in (first.rate_measured_hz, first.rate_nominal_hz) if math.isfinite(rate) and rate > 0]
    times: list[Float64] = []
    values: list[npt.NDArray[np.float32]] = []
    last_s = -math.inf
    for part in parts:
        if part.labels != first.labels or not len(part.time_s):
            continue
        new = part.time_s > last_s  # a rate's last value before a repetition may stand in the one before, too
        if not new.any():
            continue
        begin_s = float(part.time_s[new][0])
        if rates and math.isfinite(last_s) and begin_s - last_s < 24 * 3600:
            between_s = np.arange(last_s + 1 / rates[0], begin_s - 0.5 / rates[0], 1 / rates[0])
            times.append(between_s)
            values.append(np.full((len(between_s), *part.values.shape[1:]), np.nan, dtype=np.float32))
        times.append(part.time_s[new])
        values.append(part.values[new])
        last_s = float(part.time_s[-1])
    if not times:
        return None
    return StoredSignal(
        values=np.concatenate(values),
        time_s=np.concatenate(times),
        labels=first.labels,
        unit=first.unit,
        stream=first.stream,
        rate_nominal_hz=rates[0] if rates else 0.0,
        rate_measured_hz=first.rate_measured_hz,
        simulated=first.simulated,
    )


def _signal(name: str, stored: StoredSignal | None) -> Signal | None:
    if stored is None:
        return None
    unit = {"uV": "µV"}.get(stored.unit, stored.unit)
    return Signal(name, unit, stored.labels, stored.rate_nominal_hz, stored.time_s, stored.values)


def _pose(parts: Sequence[StoredSignal]) -> Pose | None:
    whole = _joined(parts)
    if whole is None:
        return None
    positions_m = whole.values.astype(np.float64)
    return Pose(whole.stream, whole.rate_nominal_hz, whole.time_s, positions_m, simulated=whole.simulated)


def _envelope(frames: Any, emg: StoredSignal | None) -> Signal | None:
    """Return the envelope that the frames table holds, at the times of its rows."""
    if frames is None or emg is None:
        return None
    columns = [column.name for column in emg_columns([Channel(label) for label in emg.labels])]
    if not set(columns) <= set(frames.column_names) or frames.num_rows < 2:
        return None
    time_s, rows = np.unique(_numbers(frames, "time_s"), return_index=True)
    values = np.stack([_numbers(frames, name)[rows] for name in columns], axis=1)
    rate_hz = 1 / float(np.median(np.diff(time_s)))
    return Signal("sEMG envelope", "µV", emg.labels, rate_hz, time_s, values)


def _numbers(frames: Any, name: str) -> Float64:
    """Return a column as numbers, NaN where it is null."""
    column = frames.column(name)
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _views(frames: Any, take: Row, reports: Sequence[StreamReport]) -> tuple[ShownView, ...]:
    if frames is None or not frames.num_rows:
        return ()
    time_s = _numbers(frames, "time_s")
    step_s = float(np.median(np.diff(np.unique(time_s)))) if len(np.unique(time_s)) > 1 else 0.04
    views = []
    for view in sorted(str(name) for name in take["modalities"] or () if f"{name}_frame" in frames.column_names):
        seen = np.unique(time_s[np.isfinite(_numbers(frames, f"{view}_frame"))])
        rate_hz = next((report.rate_measured_hz for report in reports if report.stream == view), math.nan)
        period_s = max(step_s, 1 / rate_hz) if rate_hz > 0 else step_s
        views.append(ShownView(view, seen, period_s))
    return tuple(views)


def _pictures(dataset: Path, entry: TakeEntry) -> tuple[PictureRequest, ...]:
    """Ask for the first, the turn's and the last frame of each clip."""
    requests = []
    views = sorted(name for name in entry.take["modalities"] or () if str(name).startswith("view"))
    for number, row in enumerate(entry.repetitions, start=1):
        for moment in MOMENTS:
            for view in views:
                clip, index = row.get(f"{view}_clip"), -1
                if clip:
                    index = int(row[f"{view}_{moment}_frame"]) - int(row[f"{view}_start_frame"])
                path = file_of(dataset, clip) if clip else dataset
                requests.append(PictureRequest(number, moment, view, path, index))
    return tuple(requests)
