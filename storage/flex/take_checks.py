"""What of a take cannot be written into a dataset, or would make a broken one: every problem, a sentence each."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from lab.actions import ACTIONS
from lab.aligned import AlignedStream, AlignedTake
from lab.device_names import VIEW_NAME
from lab.errors import LayoutError
from lab.joints import JOINTS
from lab.repetitions import Segmentation
from lab.take import SESSION, SUBJECT, TAKE

#: More repetitions than this are no set, but a segmentation gone wrong.
_MOST_REPETITIONS: Final = 999


def check_take(take: AlignedTake, segmentation: Segmentation) -> None:
    """Raise LayoutError, with all problems, for what would make a broken dataset or leave its folder."""
    record = take.record
    problems = [
        f"{what} '{value}' of the take cannot be part of a file's name; correct it with a mark on the take."
        for what, value, pattern in (
            ("Subject", record.subject, SUBJECT),
            ("Session", record.session, SESSION),
            ("Take", record.take, TAKE),
        )
        if not pattern.fullmatch(value)
    ]
    if record.action not in ACTIONS:
        problems.append(
            f"Action '{record.action}' of take {record.id} is not one of A01 to A20; correct it with a mark."
        )
    names = [view.view for view in take.views]
    if len(set(names)) < len(names) or not all(VIEW_NAME.fullmatch(name) for name in names):
        problems.append(f"The views of take {record.id} are not view1 to view9, each once; correct the rig.")
    if take.reference_view is not None and take.reference_view not in names:
        problems.append(
            f"Reference view '{take.reference_view}' of take {record.id} was not recorded; name another one."
        )
    problems += _bad_arrays(take) + _bad_repetitions(record.id, segmentation)
    if problems:
        raise LayoutError(*problems)


def _advances(time_s: npt.NDArray[np.float64]) -> bool:
    return bool(np.isfinite(time_s).all() and (np.diff(time_s) > 0).all())


def _bad_arrays(take: AlignedTake) -> list[str]:
    problems = []
    pose = take.pose
    if pose is not None and pose.positions_m.shape != (len(pose.time_s), len(JOINTS), 3):
        problems.append(f"Pose of take {take.record.id} is not (frames, {len(JOINTS)}, 3); check the marker map.")
    elif pose is not None and not _advances(pose.time_s):
        problems.append(f"Times of the pose of take {take.record.id} do not advance; synchronise the take again.")
    streams: tuple[AlignedStream | None, ...] = (take.emg, take.heart_rate, take.breath_rate)
    for stream in (stream for stream in streams if stream is not None):
        if stream.values.ndim != 2 or len(stream.values) != len(stream.time_s) or not stream.values.shape[1]:
            problems.append(f"Values of stream '{stream.name}' of take {take.record.id} do not fit its times.")
        elif stream.values.dtype.kind not in "iuf":
            problems.append(f"Values of stream '{stream.name}' of take {take.record.id} are not numbers.")
        elif len(stream.channels) != stream.values.shape[1]:
            problems.append(f"Stream '{stream.name}' of take {take.record.id} has values without a channel's name.")
        elif not _advances(stream.time_s):
            problems.append(f"Times of stream '{stream.name}' of take {take.record.id} do not advance.")
    if take.emg_envelope is not None and (take.emg is None or take.emg_envelope.shape != take.emg.values.shape):
        problems.append(f"The sEMG envelope of take {take.record.id} does not fit its sEMG.")
    problems += [
        f"Frames of {view.view} of take {take.record.id} do not fit their times."
        for view in take.views
        if len(view.time_s) != len(view.index)
    ]
    return problems


def _bad_repetitions(take_id: str, segmentation: Segmentation) -> list[str]:
    if segmentation.found > _MOST_REPETITIONS:
        return [
            f"Take {take_id} has {segmentation.found} repetitions, more than {_MOST_REPETITIONS}; segment it again."
        ]
    problems = []
    before_s = -np.inf
    for number, repetition in enumerate(segmentation.repetitions, start=1):
        bounds_s = (repetition.start_s, repetition.turn_s, repetition.end_s)
        if not (np.isfinite(bounds_s).all() and bounds_s[0] < bounds_s[1] < bounds_s[2] and bounds_s[0] > before_s):
            problems.append(
                f"Repetition {number} of take {take_id} does not run from start over turn to end; segment it again."
            )
        before_s = bounds_s[0]
    return problems
