"""Repetitions over the signal that shows them, as a PNG picture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.repetitions import Segmentation

Float64 = npt.NDArray[np.float64]

_WIDTH, _HEIGHT = 1400, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 1380, 80, 360
_BAR_TOP, _BAR_BOTTOM = 400, 440
_WHITE: Final = (255, 255, 255)
_BLACK, _GREY, _PALE = (40, 40, 40), (150, 150, 150), (232, 232, 232)
_SURE, _UNSURE, _TURN = (190, 225, 190), (150, 205, 250), (60, 60, 200)  # BGR
_SURE_FROM: Final = 0.5
_STEPS_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


def segment_picture(title: str, time_s: Float64, signal: Float64, found: Segmentation) -> bytes:
    """Return a PNG: the signal (n,), each repetition shaded from start to end with its turn, its confidence below."""
    import cv2

    image = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    from_s, to_s = float(time_s[0]), max(float(time_s[-1]), float(time_s[0]) + 1e-3)
    low, high = float(np.min(signal)), float(np.max(signal))

    def x(when_s: float) -> int:
        return round(_LEFT + (when_s - from_s) / (to_s - from_s) * (_RIGHT - _LEFT))

    asked = "" if found.expected is None else f" of {found.expected}"
    plural = "" if found.found == 1 and found.expected in (None, 1) else "s"
    _text(image, f"{title}: {found.found}{asked} repetition{plural}", (10, 26), 0.62)
    for row, doubt in enumerate(found.doubts[:2]):
        _text(image, doubt[:170], (10, 46 + 16 * row), 0.42, _TURN)
    for number, one in enumerate(found.repetitions, start=1):
        left, right = x(one.start_s), x(one.end_s)
        shade = _SURE if one.confidence >= _SURE_FROM and not one.doubts else _UNSURE
        cv2.rectangle(image, (left, _TOP), (right, _BOTTOM), shade, -1)
        for edge in (left, right):
            cv2.line(image, (edge, _TOP), (edge, _BOTTOM), _GREY, 1)
        height = round(one.confidence * (_BAR_BOTTOM - _BAR_TOP))
        cv2.rectangle(image, (left + 1, _BAR_BOTTOM - height), (right - 1, _BAR_BOTTOM), shade, -1)
        cv2.rectangle(image, (left + 1, _BAR_TOP), (right - 1, _BAR_BOTTOM), _PALE, 1)
        if right - left > 26:
            _text(image, f"{one.confidence:.2f}", ((left + right) // 2 - 14, _BAR_BOTTOM - 6), 0.38)
            _text(image, str(number), ((left + right) // 2 - 4, _TOP + 14), 0.42)
    level = _BOTTOM - 4 - (signal - low) / (high - low if high > low else 1.0) * (_BOTTOM - _TOP - 24)
    across = _LEFT + (time_s - from_s) / (to_s - from_s) * (_RIGHT - _LEFT)
    cv2.polylines(
        image,
        [np.stack((across, level), axis=1).round().astype(np.int32)],
        isClosed=False,
        color=_BLACK,
        thickness=1,
        lineType=cv2.LINE_AA,
    )
    for one in found.repetitions:
        cv2.line(image, (x(one.turn_s), _TOP), (x(one.turn_s), _BOTTOM), _TURN, 1)
    cv2.rectangle(image, (_LEFT, _TOP), (_RIGHT, _BOTTOM), _GREY, 1)
    step_s = next((step for step in _STEPS_S if (to_s - from_s) / step <= 20), _STEPS_S[-1])
    for tick in np.arange(np.ceil(from_s / step_s), to_s / step_s):
        at = x(float(tick) * step_s)
        cv2.line(image, (at, _BOTTOM), (at, _BOTTOM + 5), _GREY, 1)
        _text(image, f"{tick * step_s:g}", (at - 8, _BOTTOM + 20), 0.4)
    _text(image, "s", (_RIGHT - 2, _BOTTOM + 20), 0.4)
    _text(image, "confidence", (_LEFT, _BAR_TOP - 6), 0.4, _GREY)
    _text(image, "red: turns", (_LEFT + 110, _BAR_TOP - 6), 0.4, _TURN)
    done, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not done:
        raise ValueError("the picture could not be encoded")
    return encoded.tobytes()


def _text(image: Any, text: str, place: tuple[int, int], size: float, colour: tuple[int, int, int] = _BLACK) -> None:
    import cv2

    plain = text.encode("ascii", "replace").decode("ascii")
    cv2.putText(image, plain, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
