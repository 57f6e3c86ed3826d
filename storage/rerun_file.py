"""A take as a Rerun recording (``.rrd``): pose, sEMG, rates, pictures and repetitions on one time line.

Needs the package ``rerun-sdk`` (extra ``rerun``), which is large; it is imported here and nowhere else.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.aligned import AlignedStream, AlignedTake
from lab.errors import LayoutError, RequestError
from lab.joints import BONES, JOINT_INDEX, JOINTS
from lab.repetitions import Segmentation
from storage.os_errors import reason
from storage.take_folder import part_path

Float64 = npt.NDArray[np.float64]

#: The time line; its 0 is when "recording" was announced.
TIMELINE: Final = "take_time"
#: Samples of the envelope a second: it holds nothing above 6 Hz.
_ENVELOPE_HZ: Final = 100.0
#: Pictures sent at a time.
_PICTURES: Final = 200
_POINT_RADIUS_M: Final = 0.015


@dataclass(frozen=True)
class TimedPicture:
    """One JPEG picture of a view at a session time."""

    view: str
    time_s: float
    jpeg: bytes


def load_rerun() -> Any:
    """Return the package. Raises RequestError, which says how to install it, where it is missing."""
    try:
        import rerun
    except ImportError:
        raise RequestError(
            "the Rerun format needs the package rerun-sdk (this program's extra 'rerun'); "
            "install it with `pip install rerun-sdk`"
        ) from None
    return rerun


def write_rerun(path: Path, take: AlignedTake, segmentation: Segmentation, pictures: Iterator[TimedPicture]) -> None:
    """Write a take into ``path``, whole or not at all. Raises RequestError without rerun-sdk, LayoutError."""
    rr = load_rerun()
    part = part_path(path)
    record = take.record
    zero_s = record.recording_s if record.recording_s is not None else record.started.session_s
    recording = rr.RecordingStream("flex-capture", recording_id=record.id, send_properties=False)
    try:
        recording.save(part)
        _pose(rr, recording, take, zero_s)
        _signals(rr, recording, take, zero_s)
        _repetitions(rr, recording, segmentation, zero_s)
        _pictures(rr, recording, pictures, zero_s)
        recording.flush()
        recording.disconnect()
        os.replace(part, path)  # noqa: PTH105 - the one act
    except (OSError, RuntimeError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise LayoutError(f"{path} cannot be written ({why}); check the disk, or name another folder.") from None
    finally:
        recording.disconnect()
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _send(rr: Any, recording: Any, entity: str, time_s: Float64, columns: Any) -> None:
    times = rr.TimeColumn(TIMELINE, duration=np.asarray(time_s, dtype=np.float64))
    rr.send_columns(entity, indexes=[times], columns=columns, recording=recording)


def _pose(rr: Any, recording: Any, take: AlignedTake, zero_s: float) -> None:
    pose = take.pose
    if pose is None or not len(pose.time_s):
        return
    recording.log("pose", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    skeleton = rr.ClassDescription(
        info=rr.AnnotationInfo(id=0, label="body"),
        keypoint_annotations=[rr.AnnotationInfo(id=index, label=name) for index, name in enumerate(JOINTS)],
        keypoint_connections=[(JOINT_INDEX[one], JOINT_INDEX[other]) for one, other in BONES],
    )
    recording.log("pose", rr.AnnotationContext([skeleton]), static=True)
    recording.log("pose/joints", rr.Points3D.from_fields(radii=_POINT_RADIUS_M, class_ids=0), static=True)
    there = np.isfinite(pose.positions_m).all(axis=2)
    counts = there.sum(axis=1)
    numbers = np.broadcast_to(np.arange(len(JOINTS), dtype=np.uint16), there.shape)[there]
    columns = rr.Points3D.columns(positions=pose.positions_m[there].astype(np.float32), keypoint_ids=numbers)
    _send(rr, recording, "pose/joints", pose.time_s - zero_s, columns.partition(counts))


def _signals(rr: Any, recording: Any, take: AlignedTake, zero_s: float) -> None:
    if take.emg is not None:
        _scalars(rr, recording, "emg", take.emg, take.emg.values, zero_s)
        if take.emg_envelope is not None:
            few = slice(None, None, max(1, int(take.emg.rate_hz / _ENVELOPE_HZ)))
            fewer = replace(take.emg, time_s=take.emg.time_s[few])
            _scalars(rr, recording, "emg_envelope", fewer, take.emg_envelope[few], zero_s)
    for name, stream in (("heart_rate", take.heart_rate), ("breath_rate", take.breath_rate)):
        if stream is not None:
            _scalars(rr, recording, name, stream, stream.values, zero_s)


def _scalars(
    rr: Any, recording: Any, name: str, stream: AlignedStream, values: npt.NDArray[Any], zero_s: float
) -> None:
    for index, channel in enumerate(stream.channels):
        column = values[:, index].astype(np.float64)
        here = np.isfinite(column)
        if here.any():
            _send(
                rr,
                recording,
                rr.new_entity_path([name, channel.label or f"channel{index + 1}"]),
                stream.time_s[here] - zero_s,
                rr.Scalars.columns(scalars=column[here]),
            )


def _repetitions(rr: Any, recording: Any, segmentation: Segmentation, zero_s: float) -> None:
    times: list[float] = []
    texts: list[str] = []
    for number, one in enumerate(segmentation.repetitions, start=1):
        for name, when_s in (("start", one.start_s), ("turn", one.turn_s), ("end", one.end_s)):
            times.append(when_s - zero_s)
            texts.append(f"repetition {number}: {name}")
    if times:
        _send(rr, recording, "repetitions", np.array(times), rr.TextLog.columns(text=texts))


def _pictures(rr: Any, recording: Any, pictures: Iterator[TimedPicture], zero_s: float) -> None:
    waiting: dict[str, list[TimedPicture]] = {}
    for picture in pictures:
        group = waiting.setdefault(picture.view, [])
        group.append(picture)
        if len(group) == _PICTURES:
            _send_pictures(rr, recording, group, zero_s)
            group.clear()
    for group in waiting.values():
        _send_pictures(rr, recording, group, zero_s)


def _send_pictures(rr: Any, recording: Any, group: Sequence[TimedPicture], zero_s: float) -> None:
    if not group:
        return
    columns = rr.EncodedImage.columns(blob=[picture.jpeg for picture in group], media_type=["image/jpeg"] * len(group))
    times = np.array([picture.time_s - zero_s for picture in group])
    assert all(math.isfinite(when_s) for when_s in times.tolist())
    _send(rr, recording, f"views/{group[0].view}", times, columns)
