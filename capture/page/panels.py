"""Panels of the shared time axis: lines with a scale of their own, rows of many channels, frames of views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from capture.page.markup import Markup, element, joined
from capture.page.time_axis import TimeAxis, number_text, round_numbers, round_up
from capture.page.traces import FINENESS, Trace, gaps_of, path_data, trace_of

Float64 = npt.NDArray[np.float64]

#: Id of what the timeline cuts lines off with at the ends of the axis.
CLIP_ID: Final = "axis"

_TITLE_HEIGHT: Final = 20.0
_LANE_HEIGHT: Final = 15.0
_LABEL_HEIGHT: Final = 12.0
_LONGEST_LABEL: Final = 21
#: A channel's scale holds all its samples unless the largest is an outlier: so many times what 99.9 % stay below. Then
#: it holds the second number of times that, and what lies beyond is marked.
_HELD: Final = 99.9
_OUTLIER: Final = 2.5
_BESIDE_OUTLIERS: Final = 1.5
_SAMPLED: Final = 50_000


@dataclass(frozen=True)
class Line:
    """One channel: ``style`` is a class of the style sheet, ``max_step_s`` the longest step that is no gap."""

    label: str
    time_s: Float64
    values: Float64
    max_step_s: float
    style: str = "c1"


@dataclass(frozen=True)
class Panel:
    """Something drawn on the axis: ``body`` lies between y = 0 and ``height``."""

    height: float
    body: Markup


@dataclass(frozen=True)
class Row:
    """One channel of a panel of rows; ``over`` (samples,) is drawn on top, such as the envelope of ``line``."""

    line: Line
    over: Line | None = None


def lines_panel(axis: TimeAxis, title: str, unit: str, lines: Sequence[Line], height: float = 110.0) -> Panel:
    """Draw lines on one scale, its numbers at the left and the lines' names at the right."""
    traces = [trace_of(axis, line.time_s, line.values, line.max_step_s) for line in lines]
    low, high = _range_of(traces)
    top, bottom = _TITLE_HEIGHT + 4, height - 6
    step = round_up((high - low) / 3)

    def place(values: Float64) -> Float64:
        return bottom - (np.clip(values, low, high) - low) / (high - low) * (bottom - top)

    parts = [_title(title, unit)]
    for number in round_numbers(low, high, 3):
        y = float(place(np.array([number]))[0])
        parts.append(element("line", class_="grid", x1=axis.left, x2=axis.right, y1=f"{y:.1f}", y2=f"{y:.1f}"))
        parts.append(element("text", number_text(number, step), class_="number", x=axis.left - 6, y=f"{y + 3.5:.1f}"))
    parts.append(_gaps(axis, lines[0], top, bottom) if lines else Markup())
    parts += [_path(axis, trace, place(trace.values), line.style) for line, trace in zip(lines, traces, strict=True)]
    if len(lines) > 1:
        parts += _names(axis, lines, traces, [place(trace.values) for trace in traces], top, bottom)
    return Panel(height, joined(parts))


def _range_of(traces: Sequence[Trace]) -> tuple[float, float]:
    values = np.concatenate([trace.values for trace in traces]) if traces else np.empty(0)
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or max(abs(high) * 0.05, 1e-6)
    return low - margin, high + margin


def _names(
    axis: TimeAxis,
    lines: Sequence[Line],
    traces: Sequence[Trace],
    places: Sequence[Float64],
    top: float,
    bottom: float,
) -> list[Markup]:
    """Write the names of lines where they end, moved apart where they would touch."""
    wanted = sorted(
        (round(float(place[-1]) / 4), index, float(place[-1]))
        for index, (trace, place) in enumerate(zip(traces, places, strict=True))
        if trace.time_s.size
    )
    out, lowest = [], top - _LABEL_HEIGHT
    heights = []
    for _, _, y in wanted:
        lowest = max(y, lowest + _LABEL_HEIGHT)
        heights.append(lowest)
    limit = bottom + 4
    for index in range(len(heights) - 1, -1, -1):
        heights[index] = min(heights[index], limit)
        limit = heights[index] - _LABEL_HEIGHT
    for y, (_, index, _) in zip(heights, wanted, strict=True):
        from_x, to_x, style = axis.right + 4, axis.right + 20, lines[index].style
        mark = element("line", class_=style, x1=from_x, x2=to_x, y1=f"{y:.1f}", y2=f"{y:.1f}")
        name = element("text", lines[index].label, class_="name", x=to_x + 4, y=f"{y + 3.5:.1f}")
        out += [mark, name]
    return out


def rows_panel(
    axis: TimeAxis, title: str, unit: str, rows: Sequence[Row], *, shared_scale: bool, row_height: float
) -> Panel:
    """Draw each channel in a row of its own, about its median.

    With ``shared_scale`` all rows reach to the same value, that of the loudest one; otherwise each has a scale of its
    own. A lone outlier does not set the scale: it is drawn at the row's edge and marked. The largest deviation of each,
    within the axis, stands at the right.
    """
    middles = [_median(row.line.values) for row in rows]
    reaches = [_reach(axis, row.line, middle) for row, middle in zip(rows, middles, strict=True)]
    common = max((reach[0] for reach in reaches), default=1.0) or 1.0
    said = f"{unit} about the channel's median" + (
        f"; each row reaches \u00b1{_short(common)} {unit}" if shared_scale else ""
    )
    parts = [_title(title, said), element("text", "largest", class_="number start", x=axis.right + 8, y=14)]
    for index, (row, middle, (reach, largest)) in enumerate(zip(rows, middles, reaches, strict=True)):
        scale = common if shared_scale else (reach if reach > 0 else 1.0)
        top = _TITLE_HEIGHT + index * row_height
        parts.append(_row(axis, row, (middle, scale, largest), (top, row_height)))
    return Panel(_TITLE_HEIGHT + len(rows) * row_height + 4, joined(parts))


def _row(axis: TimeAxis, row: Row, scaling: tuple[float, float, float], room: tuple[float, float]) -> Markup:
    """Draw a row; ``scaling`` is its middle, reach and largest deviation, ``room`` its top and height."""
    (middle, scale, largest), (top, height) = scaling, room
    line, centre, half = row.line, top + height / 2, height / 2 - 1
    trace = trace_of(axis, line.time_s, line.values - middle, line.max_step_s)
    beyond = np.abs(trace.values) > scale * (1 + 1e-9)
    name = line.label if len(line.label) <= _LONGEST_LABEL else line.label[: _LONGEST_LABEL - 1] + "…"
    parts = [
        element("text", name, element("title", line.label), class_="channel", x=axis.left - 6, y=f"{centre + 3.5:.1f}"),
        element("line", class_="base", x1=axis.left, x2=axis.right, y1=f"{centre:.1f}", y2=f"{centre:.1f}"),
        _gaps(axis, line, top + 1, top + height - 1),
        _path(axis, trace, centre - np.clip(trace.values / scale, -1, 1) * half, line.style),
    ]
    if row.over is not None:
        over = trace_of(axis, row.over.time_s, row.over.values, row.over.max_step_s)
        parts.append(_path(axis, over, centre - np.clip(over.values / scale, -1, 1) * half, row.over.style))
    if beyond.any():
        x = np.unique(np.round(np.clip(axis.place(trace.time_s[beyond]), axis.left, axis.right)))
        marks = "".join(f"M{value - 3:.0f} {top:.0f}h6l-3 5z" for value in x.tolist())
        parts.append(element("path", element("title", f"beyond \u00b1{scale:g}"), class_="beyond", d=Markup(marks)))
    text = "no values" if not trace.values.size else f"\u00b1{_short(largest)}"
    loud = "number start loud" if beyond.any() else "number start"
    parts.append(element("text", text, class_=loud, x=axis.right + 8, y=f"{centre + 3.5:.1f}"))
    return joined(parts)


def _short(value: float) -> str:
    return f"{value:,.0f}" if 100 <= value < 1e7 else f"{value:.3g}"


def _sampled(values: Float64) -> Float64:
    finite = values[:: max(1, len(values) // _SAMPLED)]
    return finite[np.isfinite(finite)]


def _median(values: Float64) -> float:
    finite = _sampled(values)
    return float(np.median(finite)) if finite.size else 0.0


def _reach(axis: TimeAxis, line: Line, middle: float) -> tuple[float, float]:
    """Return how far a row should reach from its middle, and how far its samples within the axis do."""
    first, end = np.searchsorted(line.time_s, (axis.from_s, axis.to_s))
    away = np.abs(line.values[int(first) : int(end) + 1] - middle)
    away = away[np.isfinite(away)]
    if not away.size:
        return 0.0, 0.0
    held, largest = float(np.percentile(_sampled(away), _HELD)), float(away.max())
    return (largest if largest <= _OUTLIER * held or held == 0 else _BESIDE_OUTLIERS * held), largest


def frames_panel(axis: TimeAxis, views: Sequence[tuple[str, Float64, float]]) -> Panel:
    """Draw a bar for each view (name, ``time_s`` (frames,), frame period in seconds) where it has frames."""
    parts = [_title("Frames", "of each view; white: no frame")]
    for index, (name, time_s, period_s) in enumerate(views):
        top = _TITLE_HEIGHT + index * _LANE_HEIGHT
        y = f"{top + 11:.1f}"
        parts.append(element("text", name, class_="channel", x=axis.left - 6, y=y))
        spans = _covered(axis, time_s, period_s)
        drawn = "".join(f"M{left:.1f} {top + 3:.1f}h{right - left:.1f}v8h{left - right:.1f}z" for left, right in spans)
        if drawn:
            parts.append(element("path", class_="frames", d=Markup(drawn)))
        count = int(np.count_nonzero((time_s >= axis.from_s) & (time_s <= axis.to_s)))
        parts.append(element("text", f"{count:,}", class_="number start", x=axis.right + 8, y=y))
    return Panel(_TITLE_HEIGHT + len(views) * _LANE_HEIGHT + 6, joined(parts))


def _covered(axis: TimeAxis, time_s: Float64, period_s: float) -> list[tuple[float, float]]:
    """Return (from, to) places where frames are; every gap is at least a unit wide, so that it is seen."""
    time_s = time_s[(time_s >= axis.from_s) & (time_s <= axis.to_s)]
    if not len(time_s):
        return []
    spans, left = [], axis.at(float(time_s[0]))
    for gap_left, gap_right in gaps_of(axis, time_s, 1.5 * period_s):
        middle, half = (gap_left + gap_right) / 2, max((gap_right - gap_left) / 2, 0.75)
        if middle - half > left:
            spans.append((left, middle - half))
        left = middle + half
    right = axis.at(float(time_s[-1]) + period_s)
    return [*spans, (left, max(right, left + 0.5))]


def _title(title: str, unit: str) -> Markup:
    said = element("tspan", unit, class_="unit", dx=6) if unit else Markup()
    return element("text", title, said, class_="panel", x=0, y=14)


def _path(axis: TimeAxis, trace: Trace, y: Float64, style: str) -> Markup:
    data = path_data(axis.place(trace.time_s), y, trace.breaks)
    if not data:
        return Markup()
    path = element("path", class_=style, transform=f"scale({1 / FINENESS:g})", d=Markup(data))
    return element("g", path, clip_path=f"url(#{CLIP_ID})")


def _gaps(axis: TimeAxis, line: Line, top: float, bottom: float) -> Markup:
    spans = gaps_of(axis, line.time_s, line.max_step_s)
    drawn = "".join(
        f"M{left:.1f} {top:.1f}h{max(right - left, 1.5):.1f}V{bottom:.1f}h{-max(right - left, 1.5):.1f}z"
        for left, right in spans
    )
    return (
        element("path", element("title", "samples are missing here"), class_="gap", d=Markup(drawn))
        if drawn
        else Markup()
    )
