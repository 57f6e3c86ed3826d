"""A picture of one repetition of a set: true and found boundaries over the motion that they are read from.

Above the whole set with its true and found spans, in the middle the repetition, below its speed near zero, where starts
and ends are decided. Truth is green, what was found blue and dashed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np

from lab.repetitions import Repetition
from sync.drive_signal import relative_to_centroid

_WIDTH, _HEIGHT = 1000, 650
_LEFT, _RIGHT = 66, 980
_WHITE, _BLACK, _GREY, _PALE = (255, 255, 255), (40, 40, 40), (150, 150, 150), (238, 238, 238)
_TRUE, _FOUND = (60, 140, 20), (210, 90, 20)  # BGR
_AROUND_S: Final = 1.0  # shown before and after the repetition
#: How much of the speed's range is shown, and where a motion counts as at rest, in parts of its peak.
_SPEED_SHOWN, _SLOW = 0.30, 0.09
_MOMENTS: Final = ("start", "turn", "end")
_SMOOTH_S: Final = 0.08


@dataclass(frozen=True)
class _Panel:
    """A rectangle in pixels and the values at its edges."""

    top: int
    bottom: int
    from_s: float
    to_s: float
    low: float
    high: float

    def x(self, time_s: float) -> int:
        return round(_LEFT + (time_s - self.from_s) / (self.to_s - self.from_s) * (_RIGHT - _LEFT))

    def y(self, value: float) -> int:
        return round(self.bottom - (value - self.low) / (self.high - self.low) * (self.bottom - self.top))


def picture_of(
    time_s: np.ndarray,
    joints_m: np.ndarray,
    truth: Sequence[Repetition],
    found: Sequence[Repetition],
    number: int,
    title: str,
) -> np.ndarray:
    """Draw repetition ``number`` (from 1) of ``truth``; ``joints_m`` (n, joints, 3) at ``time_s`` (n,).

    Returns BGR (height, width, 3), uint8. The curve is the way along the main direction of this repetition's own
    motion, all joints relative to their mean.
    """
    one = truth[number - 1]
    matched = _matched(one, found)
    way_mm = _main_way_mm(time_s, joints_m, one)
    image = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    _text(image, title, (10, 24), 0.62)
    whole = _Panel(70, 166, float(time_s[0]), float(time_s[-1]), float(way_mm.min()), float(way_mm.max()))
    cv2.rectangle(image, (whole.x(one.start_s), whole.top), (whole.x(one.end_s), whole.bottom), _PALE, -1)
    _curve(image, whole, time_s, way_mm)
    for spans, colour, height, word in ((truth, _TRUE, 47, "true"), (found, _FOUND, 60, "found")):
        _text(image, word, (12, height + 4), 0.42, colour)
        for span in spans:
            # A pixel less at both ends, so that repetitions that touch each other are two.
            ends = (whole.x(span.start_s) + 3, height), (whole.x(span.end_s) - 3, height)
            cv2.line(image, *ends, colour, 4)
    _axes(image, whole, f"the whole set, mm ({len(found)} of {len(truth)} found)", 5.0)
    shown = [one] if matched is None else [one, matched]
    from_s = max(float(time_s[0]), min(part.start_s for part in shown) - _AROUND_S)
    to_s = min(float(time_s[-1]), max(part.end_s for part in shown) + _AROUND_S)
    inside = (time_s >= from_s) & (time_s <= to_s)
    low, high = float(way_mm[inside].min()), float(way_mm[inside].max())
    near = _Panel(254, 444, from_s, to_s, low - 0.04 * (high - low), high + 0.04 * (high - low))
    speed = np.gradient(_smooth(way_mm, time_s), time_s)
    peak = float(np.max(np.abs(speed[(time_s >= one.start_s) & (time_s <= one.end_s)])))
    slow = _Panel(498, 606, from_s, to_s, -_SPEED_SHOWN * 100, _SPEED_SHOWN * 100)
    cv2.rectangle(image, (_LEFT, slow.y(_SLOW * 100)), (_RIGHT, slow.y(-_SLOW * 100)), _PALE, -1)
    for moment in _MOMENTS:
        _true(image, (near, slow), moment, one)
        if matched is not None:
            _found(image, (near, slow), moment, one, matched)
    if matched is None:
        _others(image, (near, slow), found)
    _curve(image, near, time_s[inside], way_mm[inside])
    percent = np.clip(speed[inside] / peak, -_SPEED_SHOWN, _SPEED_SHOWN) * 100
    _curve(image, slow, time_s[inside], percent)
    _axes(image, near, f"repetition {number}: way along its own main direction, mm", 0.5)
    _axes(
        image,
        slow,
        "its speed in % of the largest, cut off at 30 %; grey: less than 9 %, taken for rest at both ends",
        0.5,
    )
    return image


def _main_way_mm(time_s: np.ndarray, joints_m: np.ndarray, one: Repetition) -> np.ndarray:
    flat = relative_to_centroid(joints_m.reshape(len(joints_m), -1))
    course = flat[(time_s >= one.start_s) & (time_s <= one.end_s)]
    direction = np.linalg.svd(course - course.mean(axis=0), full_matrices=False)[2][0]
    way = (flat - course[0]) @ direction * 1e3
    turn = int(np.argmin(np.abs(time_s - one.turn_s)))
    return np.asarray(way if way[turn] > 0 else -way)


def _smooth(values: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    width = max(1, round(_SMOOTH_S / float(np.median(np.diff(time_s)))))
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, window / window.sum(), mode="same")[width // 2 : width // 2 + len(values)]


def _matched(one: Repetition, found: Sequence[Repetition]) -> Repetition | None:
    """Return the found repetition that overlaps ``one`` by half or more."""
    for other in found:
        both = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
        if both > 0.5 * (max(one.end_s, other.end_s) - min(one.start_s, other.start_s)):
            return other
    return None


def _true(image: Any, panels: tuple[_Panel, _Panel], moment: str, one: Repetition) -> None:
    """Draw a true moment through both panels."""
    true_s = float(getattr(one, f"{moment}_s"))
    for panel in panels:
        cv2.line(image, (panel.x(true_s), panel.top), (panel.x(true_s), panel.bottom), _TRUE, 2)
    _text(image, f"true {moment} {true_s:.2f} s", (_beside(panels[0].x(true_s)), panels[0].top - 24), 0.45, _TRUE)


def _found(image: Any, panels: tuple[_Panel, _Panel], moment: str, one: Repetition, other: Repetition) -> None:
    """Draw a found moment through both panels, and say by how much it is off."""
    true_s, found_s = float(getattr(one, f"{moment}_s")), float(getattr(other, f"{moment}_s"))
    _dashed(image, panels, found_s)
    off_ms = (found_s - true_s) * 1e3
    words = f"found {abs(off_ms):.0f} ms {'late' if off_ms > 0 else 'early'}"
    _text(image, words, (_beside(panels[0].x(true_s)), panels[0].top - 8), 0.45, _FOUND)


def _others(image: Any, panels: tuple[_Panel, _Panel], found: Sequence[Repetition]) -> None:
    """Draw what was found where the repetition itself was not."""
    near = panels[0]
    for other in found:
        for moment in _MOMENTS:
            when_s = float(getattr(other, f"{moment}_s"))
            if near.from_s < when_s < near.to_s:
                _dashed(image, panels, when_s)
                _text(image, f"{moment} found", (_beside(near.x(when_s)), near.top - 8), 0.45, _FOUND)


def _dashed(image: Any, panels: tuple[_Panel, _Panel], when_s: float) -> None:
    for panel in panels:
        for top in range(panel.top, panel.bottom, 12):
            cv2.line(image, (panel.x(when_s), top), (panel.x(when_s), min(top + 6, panel.bottom)), _FOUND, 2)


def _beside(x: int) -> int:
    return int(np.clip(x - 60, _LEFT, _RIGHT - 150))


def _axes(image: Any, panel: _Panel, title: str, step_s: float) -> None:
    cv2.rectangle(image, (_LEFT, panel.top), (_RIGHT, panel.bottom), _GREY, 1)
    for tick_s in np.arange(np.ceil(panel.from_s / step_s) * step_s, panel.to_s, step_s):
        x = panel.x(float(tick_s))
        cv2.line(image, (x, panel.bottom), (x, panel.bottom + 4), _GREY, 1)
        _text(image, f"{tick_s:g}", (x - 10, panel.bottom + 18), 0.4)
    step = _round_step((panel.high - panel.low) / 4)
    for tick in step * np.arange(np.ceil(panel.low / step), panel.high / step):
        y = panel.y(float(tick))
        cv2.line(image, (_LEFT - 4, y), (_LEFT, y), _GREY, 1)
        _text(image, f"{tick + 0.0:g}", (_LEFT - 40, y + 4), 0.4)
    _text(image, title, (_LEFT, panel.bottom + 34), 0.42)
    _text(image, "s", (_RIGHT + 6, panel.bottom + 18), 0.4)


def _round_step(rough: float) -> float:
    ten = 10.0 ** np.floor(np.log10(rough))
    return float(next(ten * part for part in (1, 2, 5, 10) if ten * part >= rough))


def _curve(image: Any, panel: _Panel, time_s: np.ndarray, values: np.ndarray) -> None:
    points = [(panel.x(float(when)), panel.y(float(value))) for when, value in zip(time_s, values, strict=True)]
    cv2.polylines(image, [np.array(points, np.int32)], isClosed=False, color=_BLACK, thickness=2, lineType=cv2.LINE_AA)


def _text(image: Any, words: str, at: tuple[int, int], scale: float, colour: tuple[int, int, int] = _BLACK) -> None:
    cv2.putText(image, words, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
