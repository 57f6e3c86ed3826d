"""What the top tables say about one take: its rows, as they are kept in the take's own files too."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from lab.actions import ACTIONS
from lab.aligned import AlignedTake
from lab.repetitions import Segmentation
from storage.flex.canonical import canonical_json, plain, short_hash
from storage.flex.frames import FrameRows
from storage.flex.paths import clip_file, frames_file, group_name, signals_file, sync_file
from storage.flex.versions import LAYOUT_VERSION, WRITER_VERSION
from storage.flex.view_frames import ViewFrames

Row = dict[str, Any]


@dataclass(frozen=True)
class TakeEntry:
    """The rows of one take, without what depends on other takes: ``current`` and whether it was retaken."""

    take: Row
    streams: tuple[Row, ...]
    repetitions: tuple[Row, ...]

    @property
    def take_id(self) -> str:
        """Id of the take."""
        return str(self.take["take_id"])

    @property
    def revision(self) -> str:
        """Revision of the take's files."""
        return str(self.take["revision"])

    def to_json(self) -> str:
        """Encode for the metadata of the take's frames table."""
        return canonical_json(dataclasses.asdict(self))

    @classmethod
    def from_plain(cls, value: Any) -> TakeEntry:
        """Take the decoded JSON of ``to_json``. Raises KeyError, TypeError or ValueError for anything else."""
        take, streams, repetitions = dict(value["take"]), value["streams"], value["repetitions"]
        for key in ("take_id", "revision", "subject", "session", "take", "action", "frames_file", "signals_file"):
            if not isinstance(take[key], str):
                raise ValueError(f"'{key}' is not text")
        for key in ("sync_file", "made_from"):  # older takes have none
            if not isinstance(take.setdefault(key, None), str | None):
                raise ValueError(f"'{key}' is not text")
        repetitions = tuple({"excluded_itself": None} | dict(row) for row in repetitions)  # older ones do not say it
        return cls(take, tuple(dict(row) for row in streams), repetitions)

    def files(self) -> set[str]:
        """Return the files that the rows name, relative to the dataset."""
        clips = {value for row in self.repetitions for name, value in row.items() if name.endswith("_clip") and value}
        picture = {self.take["sync_file"]} - {None}
        return {self.take["frames_file"], self.take["signals_file"], *picture, *clips}


def content_digest(take: AlignedTake) -> str:
    """Return a hash (hex) of all numbers of a take.

    It is part of the revision so that a better sync gives new files instead of changing old ones under their readers.
    """
    digest = hashlib.sha256()

    def add(name: str, *arrays: np.ndarray[Any, Any]) -> None:
        digest.update(name.encode())
        for array in arrays:
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    if take.pose is not None:
        add("pose", take.pose.time_s, take.pose.positions_m)
    for name, stream in (("emg", take.emg), ("heart_rate", take.heart_rate), ("breath_rate", take.breath_rate)):
        if stream is not None:
            add(f"{name}{canonical_json([dataclasses.asdict(c) for c in stream.channels])}{stream.rate_hz}")
            add(name, stream.time_s, stream.values)
    if take.emg_envelope is not None:
        add("envelope", take.emg_envelope)
    for view in take.views:
        add(f"{view.view}{view.codec}{view.width}x{view.height}{view.rate_hz}", view.time_s, view.index)
    return digest.hexdigest()


def revision_of(
    take: AlignedTake,
    segmentation: Segmentation,
    excluded_reason: str | None,
    faults: tuple[str, ...],
    notes: tuple[str, ...],
    sync_picture: bytes | None,
    made_from: str | None,
) -> str:
    """Return the revision: 12 hex digits that stand for everything the take's files are made from."""
    return short_hash(
        take.raw_digest
        + canonical_json(
            {
                "layout": LAYOUT_VERSION,
                "writer": WRITER_VERSION,
                "segmentation": dataclasses.asdict(segmentation),
                "record": take.record.model_dump(mode="json"),
                "reports": [dataclasses.asdict(report) for report in take.reports],
                "reference_view": take.reference_view,
                "content": content_digest(take),
                "excluded_reason": excluded_reason,
                "faults": faults,
                "notes": notes,
                "sync_picture": None if sync_picture is None else hashlib.sha256(sync_picture).hexdigest(),
                "made_from": made_from,
            }
        )
    )


def _modalities(take: AlignedTake) -> list[str]:
    named = (
        ("pose", take.pose),
        ("emg", take.emg),
        ("heart_rate", take.heart_rate),
        ("breath_rate", take.breath_rate),
    )
    return [name for name, value in named if value is not None] + sorted(view.view for view in take.views)


def take_entry(
    take: AlignedTake,
    segmentation: Segmentation,
    views: dict[str, ViewFrames],
    rows: list[FrameRows],
    excluded_reason: str | None,
    faults: tuple[str, ...],
    notes: tuple[str, ...],
    sync_picture: bytes | None,
    made_from: str | None,
) -> TakeEntry:
    """Make the rows of a take; ``rows`` are its rows in the frames table, a repetition each."""
    record = take.record
    revision = revision_of(take, segmentation, excluded_reason, faults, notes, sync_picture, made_from)
    place = (record.action, record.subject, record.id, revision)
    shared = {
        "take_id": record.id,
        "subject": record.subject,
        "session": record.session,
        "action": record.action,
        "skill": record.skill,
        "load_kg": record.load_kg,
        "expected": segmentation.expected,
        "found": segmentation.found,
        "simulated": record.simulated,
        "in_sync": all(report.in_sync for report in take.reports),
        "segmenter": segmentation.segmenter,
        "segmenter_parameters": canonical_json(segmentation.parameters),
        "revision": revision,
        "frames_file": frames_file(*place),
        "signals_file": signals_file(*place),
    }
    take_row = shared | {
        "take": record.take,
        "doubts": segmentation.doubts,
        "excluded_reason": excluded_reason,
        "faults": faults,
        "notes": notes,
        "simulated_devices": record.simulated_devices,
        "state": record.state,
        "started_utc": record.started.utc,
        "modalities": _modalities(take),
        "reference_view": take.reference_view,
        "raw_digest": take.raw_digest,
        "made_from": made_from,
        "software": canonical_json(record.software),
        "sync_file": None if sync_picture is None else sync_file(*place),
        **{f"{name}_raw_frames": view.count for name, view in views.items()},
    }
    phases = ACTIONS[record.action].phases
    keysteps = ACTIONS[record.action].phase_keysteps or (None, None)
    repetition_rows = []
    for number, (repetition, its_rows) in enumerate(zip(segmentation.repetitions, rows, strict=True), start=1):
        row: Row = shared | {
            "repetition_id": f"{record.id}_rep{number:02d}",
            "repetition": number,
            "start_s": repetition.start_s,
            "turn_s": repetition.turn_s,
            "end_s": repetition.end_s,
            "first_phase": phases[0],
            "second_phase": phases[1],
            "first_keystep": keysteps[0],
            "second_keystep": keysteps[1],
            "confidence": repetition.confidence,
            "doubts": repetition.doubts,
            "provenance": repetition.provenance,
            "excluded_itself": repetition.excluded_reason,
            "signals_group": group_name(number),
            "frame_rows": len(its_rows.time_s),
        }
        for name, view in views.items():
            bounds = view.bounds_of(repetition)
            if bounds is not None:
                row |= zip((f"{name}_start_frame", f"{name}_turn_frame", f"{name}_end_frame"), bounds, strict=True)
                row[f"{name}_clip"] = clip_file(*place, number, name)
        repetition_rows.append(row)
    streams = [{"take_id": record.id, **dataclasses.asdict(report)} for report in take.reports]
    entry = {"take": take_row, "streams": streams, "repetitions": repetition_rows}
    return TakeEntry.from_plain(cast("Row", plain(entry)))
