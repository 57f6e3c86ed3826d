"""The promises of a take's files: frames table, signals and clips agree with the row that names them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lab.joints import JOINTS
from storage.flex.columns import FRAMES, EmgColumn
from storage.flex.description import SIGNALS, TIME_DESCRIPTION
from storage.flex.entries import Row
from storage.flex.paths import clip_label, group_name
from storage.flex.validate_tables import schema_findings
from storage.flex.versions import BOUND_TOLERANCE_S
from storage.video_reader import read_video_index

if TYPE_CHECKING:
    import pyarrow as pa

Float64 = npt.NDArray[np.float64]

_EMG_COLUMN: Final = re.compile(r"emg_[a-z0-9_]+")

#: A dataset of one repetition with more numbers than this is not read: an hour of 64 channels at 4 kHz has fewer.
_MOST_NUMBERS: Final = 1 << 30

#: Largest magnitudes that anything in a laboratory has; beyond, the unit is wrong.
_LARGEST: Final = {"pose": 100.0, "emg": 1e6, "heart_rate": 400.0, "breath_rate": 400.0}

#: sEMG whose largest value is below this many microvolt was written in volt: amplifier noise alone is more.
_SMALLEST_EMG_UV: Final = 0.01

#: What a clip says of itself is cut to this many characters.
_LONGEST_LABEL: Final = 100

#: A picture is bounded by what it draws, however long the take was.
_LARGEST_PICTURE: Final = 50_000_000
_SVG: Final = "{http://www.w3.org/2000/svg}svg"

#: Less than this share of a joint's positions present is worth a finding, if it is present at all.
_PRESENT_SHARE: Final = 0.5


def _advances(values: npt.NDArray[Any]) -> bool:
    return bool((np.diff(values) > 0).all())


def frames_findings(dataset: Path, take: Row, repetitions: list[Row]) -> list[str]:
    """Check a frames table against the rows of its take and repetitions."""
    import pyarrow.parquet as pq

    file = take["frames_file"]
    with pq.ParquetFile(dataset / file) as parquet:
        groups = parquet.metadata.num_row_groups
        table = parquet.read()
    emg = [EmgColumn(name, "") for name in table.column_names if _EMG_COLUMN.fullmatch(name)]
    findings = schema_findings(file, table, FRAMES, emg)
    if findings:
        return findings
    if set(table.column("take_id").unique().to_pylist()) - {take["take_id"]}:
        findings.append(f"{file}: has rows of another take than {take['take_id']}.")
    if groups != sum(row["frame_rows"] > 0 for row in repetitions):
        findings.append(f"{file}: has {groups} row groups and should have one a repetition with rows.")
    numbers = table.column("repetition").to_numpy()
    if len(numbers) and (np.diff(numbers) < 0).any():
        return [*findings, f"{file}: rows are not in order of repetition."]
    for number in sorted(set(numbers.tolist()) - {row["repetition"] for row in repetitions}):
        findings.append(f"{file}: has rows of repetition {number}, which repetitions.parquet does not have.")
    for row in repetitions:
        first, last = np.searchsorted(numbers, [row["repetition"], row["repetition"] + 1])
        part = table.slice(int(first), int(last - first))
        findings += [f"{file}: {problem}" for problem in _rows_findings(part, take, row)]
    return findings + [f"{file}: {problem}" for problem in _plausibility_findings(table, take)]


def _column(table: pa.Table, name: str) -> Float64:
    """Return a number column as float64 with NaN for null."""
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def _rows_findings(part: pa.Table, take: Row, row: Row) -> list[str]:
    name = f"repetition {row['repetition']}"
    if part.num_rows != row["frame_rows"]:
        return [f"{name} has {part.num_rows} rows and should have {row['frame_rows']}."]
    if not part.num_rows:
        return []
    findings = []
    time_s, frame = _column(part, "time_s"), _column(part, "frame")
    phases = part.column("phase").to_pylist()
    if not np.isfinite(time_s).all() or not _advances(time_s):
        findings.append(f"times of {name} do not advance from row to row.")
    if not (row["start_s"] - BOUND_TOLERANCE_S <= time_s[0] and time_s[-1] <= row["end_s"] + BOUND_TOLERANCE_S):
        findings.append(f"times of {name} lie outside of it.")
    start, turn, end = (row.get(f"{take['reference_view']}_{bound}_frame") for bound in ("start", "turn", "end"))
    if start is None or turn is None:
        turned = time_s >= row["turn_s"]
        if np.isfinite(frame).any():
            findings.append(f"{name} has frames of a reference view that does not cover it.")
    else:
        turned = frame >= turn
        if frame[0] != start or frame[-1] != end or not _advances(frame):
            findings.append(f"frames of {name} do not run from {start} to {end}.")
    if phases != [row["second_phase"] if after else row["first_phase"] for after in turned.tolist()]:
        findings.append(f"phases of {name} do not change at the turn.")
    keysteps = part.column("keystep").to_pylist()
    if keysteps != [row["second_keystep"] if after else row["first_keystep"] for after in turned.tolist()]:
        findings.append(f"keysteps of {name} do not change at the turn.")
    for column in part.column_names:
        if not re.fullmatch(r"view\d_frame", column):
            continue
        count = take.get(f"{column.removesuffix('_frame')}_raw_frames") or 0
        index = _column(part, column)
        index = index[np.isfinite(index)]
        if len(index) and not (index[0] >= 0 and index[-1] < count and (np.diff(index) >= 0).all()):
            findings.append(f"{column} of {name} is not in order or not inside the video of {count} frames.")
    return findings


def _plausibility_findings(table: pa.Table, take: Row) -> list[str]:
    findings = []
    for joint in JOINTS:
        position_m = np.stack([_column(table, f"pose_{joint}_{axis}") for axis in "xyz"])
        present = np.isfinite(position_m).all(axis=0)
        if present.any() and present.mean() < _PRESENT_SHARE:
            findings.append(f"pose of {joint} is absent in more than half of the rows.")
        if np.abs(position_m[:, present]).max(initial=0) > _LARGEST["pose"]:
            findings.append(f"pose of {joint} is more than {_LARGEST['pose']:g} m away: its unit is not metres.")
    has_pose = any(table.column(f"pose_{joint}_x").null_count < table.num_rows for joint in JOINTS)
    if table.num_rows and "pose" in take["modalities"] and not has_pose:
        findings.append("pose is absent in all rows, but the take has a pose.")
    for column in (name for name in table.column_names if _EMG_COLUMN.fullmatch(name)):
        envelope_uv = _column(table, column)
        envelope_uv = envelope_uv[np.isfinite(envelope_uv)]
        if np.abs(envelope_uv).max(initial=0) > _LARGEST["emg"]:
            findings.append(f"column {column} exceeds {_LARGEST['emg']:g} uV: its unit is not microvolt.")
    for column in ("heart_rate", "breath_rate"):
        rate = _column(table, column)
        rate = rate[np.isfinite(rate)]
        if len(rate) and not (rate.min() >= 0 and rate.max() <= _LARGEST[column]):
            findings.append(f"column {column} is not a rate per minute of a person.")
    return findings


def signals_findings(dataset: Path, take: Row, repetitions: list[Row]) -> list[str]:
    """Check a signals file against the rows of its take and repetitions."""
    import h5py

    name = take["signals_file"]
    findings = []
    with h5py.File(dataset / name, "r") as file:
        if file.attrs.get("take_id") != take["take_id"] or file.attrs.get("revision") != take["revision"]:
            findings.append(f"{name}: is of another take or revision than {take['take_id']} {take['revision']}.")
        if bool(file.attrs.get("simulated")) != take["simulated"]:
            findings.append(f"{name}: does not say as its take does whether it is simulated.")
        expected = {group_name(row["repetition"]) for row in repetitions}
        findings += [f"{name}: has group {key}, which is no repetition." for key in file if key not in expected]
        for row in repetitions:
            group = file.get(group_name(row["repetition"]))
            if not isinstance(group, h5py.Group):
                findings.append(f"{name}: has no group {group_name(row['repetition'])}.")
                continue
            if group.attrs.get("take_id") != take["take_id"] or group.attrs.get("repetition") != row["repetition"]:
                findings.append(f"{name}: {group.name} does not state its take and repetition.")
            for modality in SIGNALS:
                if modality not in take["modalities"]:
                    continue
                findings += [f"{name}: {group.name}/{modality} {p}" for p in _signal_findings(group, modality, row)]
    return findings


def _signal_findings(group: Any, modality: str, row: Row) -> list[str]:
    import h5py

    part = group.get(modality)
    if not isinstance(part, h5py.Group):
        return ["is missing."]
    values, time = part.get("values"), part.get("time")
    if not isinstance(values, h5py.Dataset) or not isinstance(time, h5py.Dataset):
        return ["has no datasets values and time."]
    findings = []
    unit, shape, text = SIGNALS[modality]
    if values.attrs.get("unit") != unit or time.attrs.get("unit") != "s":
        findings.append(f"does not state its units '{unit}' and 's'.")
    if values.attrs.get("description") != text or time.attrs.get("description") != TIME_DESCRIPTION:
        findings.append("does not describe its values and times as the layout does.")
    if not all(isinstance(part.attrs.get(rate), float) for rate in ("rate_nominal_hz", "rate_measured_hz")):
        findings.append("does not state its nominal and measured rate.")
    labels = values.attrs.get("labels")
    count = len(labels) if labels is not None else -1
    inner = {"emg": (count,), "pose": (len(JOINTS), 3)}.get(modality, ())
    if values.shape[1:] != inner or time.shape != values.shape[:1] or count < 1:
        return [*findings, f"has values {values.shape} beside times {time.shape}; they should be {shape}."]
    if modality == "pose" and tuple(labels.tolist()) != JOINTS:
        findings.append("does not name its joints in the order of the layout.")
    if values.dtype.kind != "f" or time.dtype != np.float64 or math.prod(values.shape) > _MOST_NUMBERS:
        return [*findings, f"has values of type {values.dtype} and times of type {time.dtype}."]
    time_s, numbers = time[()], values[()]
    if not np.isfinite(time_s).all() or not _advances(time_s):
        findings.append("has times that do not advance.")
    # A stream of one value a second brings its last value before the start.
    inside = time_s[1:] if modality in ("heart_rate", "breath_rate") else time_s
    if len(inside) and not (inside[0] >= row["start_s"] and inside[-1] <= row["end_s"]):
        findings.append("has times outside of the repetition.")
    size = np.abs(numbers[np.isfinite(numbers)])
    if size.max(initial=0) > _LARGEST[modality]:
        findings.append(f"exceeds {_LARGEST[modality]:g} {unit}: its unit is not {unit}.")
    if modality == "emg" and 0 < size.max(initial=0) < _SMALLEST_EMG_UV:
        findings.append(f"stays below {_SMALLEST_EMG_UV:g} uV: its unit is not microvolt.")
    return findings


def sync_findings(dataset: Path, take: Row, _repetitions: list[Row]) -> list[str]:
    """Check that the picture of a take is an SVG that a browser can show."""
    from xml.etree import ElementTree as ET

    file = take["sync_file"]
    with (dataset / file).open("rb") as picture:
        data = picture.read(_LARGEST_PICTURE + 1)
    if len(data) > _LARGEST_PICTURE:
        return [f"{file}: is larger than {_LARGEST_PICTURE} bytes; it is no picture of a take."]
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:  # which can make a small text unfold without bound
        return [f"{file}: declares a document type, which no picture of a take does."]
    try:
        root = ET.fromstring(data)  # noqa: S314
    except ET.ParseError:
        return [f"{file}: is no whole SVG picture; write the take again."]
    return [] if root.tag == _SVG else [f"{file}: is no SVG picture; write the take again."]


def clip_findings(dataset: Path, row: Row, view: str) -> list[str]:
    """Check that a clip holds the frames from the view's start to its end frame, in order of time."""
    file = row[f"{view}_clip"]
    index = read_video_index(dataset / file)
    pts_us = index.pts_us
    start, end = row[f"{view}_start_frame"], row[f"{view}_end_frame"]
    wanted = end - start + 1
    findings = []
    label = clip_label(row["take_id"], view, start, end)
    if index.label != label:
        said = f"'{index.label[:_LONGEST_LABEL]}'" if index.label else "nothing"
        findings.append(f"{file}: says of itself {said} and should be '{label}'; write the take again.")
    if len(pts_us) != wanted:
        findings.append(f"{file}: has {len(pts_us)} frames and should have {wanted}.")
    if not _advances(pts_us):
        findings.append(f"{file}: its frames do not advance in time.")
    return findings
