"""A take's signals -> the panels of its timeline."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from capture.page.panels import Line, Panel, Row, frames_panel, lines_panel, rows_panel
from capture.page.shown_take import ShownTake, Signal
from capture.page.time_axis import TimeAxis
from capture.page.traces import GAP_STEPS
from lab.aligned import Pose
from lab.joints import JOINT_INDEX

Float64 = npt.NDArray[np.float64]

#: Joints whose heights tell the twenty actions apart, and stand-ins where a rig lacks them, in order of preference.
_HEIGHTS: Final = ("wrist", "head", "hip", "knee", "shoulder", "elbow", "ankle", "neck", "upper_spine", "hand", "toe")
_MOST_HEIGHTS: Final = 4
_STYLES: Final = ("c1", "c2", "c3", "c4")
#: More channels than these are named, not drawn.
MOST_EMG: Final = 32
MOST_OTHERS: Final = 8


def panels_of(axis: TimeAxis, take: ShownTake, *, detail: bool) -> list[Panel]:
    """Return all panels from top to bottom; with ``detail`` those that have room for it are higher."""
    panels = []
    if take.pose is not None:
        panels += _pose_panel(axis, take.pose, 190.0 if detail else 130.0)
    if take.emg is not None and take.emg.values.shape[1]:
        panels.append(_emg_panel(axis, take.emg, take.envelope, 42.0 if detail else 30.0))
    for signal in take.others:
        panels.append(_other_panel(axis, signal))
    if take.views:
        panels.append(frames_panel(axis, [(view.view, view.time_s, view.period_s) for view in take.views]))
    return panels


def max_step_s(time_s: Float64, rate_hz: float) -> float:
    """Return the longest step between samples that is no gap: of an irregular stream any step is none."""
    if not (math.isfinite(rate_hz) and rate_hz > 0) or len(time_s) < 2:
        return math.inf
    return GAP_STEPS * max(1 / rate_hz, float(np.median(np.diff(time_s))))


def _pose_panel(axis: TimeAxis, pose: Pose, height: float) -> list[Panel]:
    step_s = max_step_s(pose.time_s, pose.rate_hz)
    lines: list[Line] = []
    drawn = 0
    for name in _HEIGHTS:
        sides = [side for side in (name, f"right_{name}", f"left_{name}") if side in JOINT_INDEX]
        heights = {side: pose.positions_m[:, JOINT_INDEX[side], 2] for side in sides}
        heights = {side: height_m for side, height_m in heights.items() if np.isfinite(height_m).any()}
        if not heights or drawn == _MOST_HEIGHTS:
            continue
        for side, height_m in heights.items():
            dashed = " left" if side.startswith("left_") else ""
            label = side.replace("_", " ")
            lines.append(Line(label, pose.time_s, height_m, step_s, _STYLES[drawn] + dashed))
        drawn += 1
    if not lines:
        return []
    return [lines_panel(axis, "Height of joints", "m", lines, height)]


def _emg_panel(axis: TimeAxis, emg: Signal, envelope: Signal | None, row_height: float) -> Panel:
    step_s = max_step_s(emg.time_s, emg.rate_hz)
    rows = []
    for index, label in enumerate(emg.labels[:MOST_EMG]):
        line = Line(label, emg.time_s, emg.values[:, index].astype(np.float64), step_s, "band")
        over = None
        if envelope is not None and index < envelope.values.shape[1]:
            over_step_s = max_step_s(envelope.time_s, envelope.rate_hz)
            over = Line(label, envelope.time_s, envelope.values[:, index].astype(np.float64), over_step_s, "over")
        rows.append(Row(line, over))
    title = "sEMG" + _undrawn(len(emg.labels), MOST_EMG)
    return rows_panel(axis, title, emg.unit, rows, shared_scale=True, row_height=row_height)


def _other_panel(axis: TimeAxis, signal: Signal) -> Panel:
    step_s = max_step_s(signal.time_s, signal.rate_hz)
    columns = [signal.values[:, index].astype(np.float64) for index in range(min(len(signal.labels), MOST_OTHERS))]
    if len(columns) == 1:
        return lines_panel(axis, signal.name, signal.unit, [Line(signal.name, signal.time_s, columns[0], step_s)], 70.0)
    rows = [
        Row(Line(label, signal.time_s, column, step_s, "band"))
        for label, column in zip(signal.labels, columns, strict=False)
    ]
    title = signal.name + _undrawn(len(signal.labels), MOST_OTHERS)
    unit = signal.unit or "each channel's unit"
    return rows_panel(axis, title, unit, rows, shared_scale=False, row_height=30.0)


def _undrawn(channels: int, most: int) -> str:
    return f" ({channels - most} more channels are not drawn)" if channels > most else ""
