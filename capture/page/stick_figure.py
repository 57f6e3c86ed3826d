"""A pose as a stick figure from the front and from the side."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from capture.page.markup import Markup, element
from lab.joints import BONES, JOINT_INDEX

Float64 = npt.NDArray[np.float64]

#: Pairs of joints, right and left, whose line tells the body's own left; the first pair that is there counts.
_ACROSS: Final = ("hip", "shoulder", "knee", "ankle")


def stick_figure(positions_m: Float64, height: float, about: str) -> Markup:
    """Draw joints (21, 3) in metres, z up, from the front and, beside that, from the side; left limbs are dashed."""
    present = np.asarray(np.isfinite(positions_m).all(axis=1))
    if not present.any():
        return element("span", "no pose", class_="nothing")
    left = _left_of(positions_m)
    forward = np.array([left[1], -left[0], 0.0])
    centred = positions_m - positions_m[present].mean(axis=0)
    flat = [np.stack((centred @ axis, -centred[:, 2]), axis=1) for axis in (left, forward)]
    low, high = ([func(view[present], axis=0) for view in flat] for func in (np.min, np.max))
    tall = max(float(high[0][1] - low[0][1]), 0.3)
    widths = [max(float(top[0] - bottom[0]), 0.25 * tall) for bottom, top in zip(low, high, strict=True)]
    scale = (height - 10) / tall
    parts, x = [element("title", about)], 5.0
    for view, bottom, top, wide in zip(flat, low, high, widths, strict=True):
        middle = (bottom[0] + top[0]) / 2
        points = np.stack(((view[:, 0] - middle + wide / 2) * scale + x, (view[:, 1] - bottom[1]) * scale + 5), axis=1)
        parts += _limbs(points, present)
        x += wide * scale + 14
    total = x - 4
    return element(
        "svg", *parts, class_="figure", role="img", viewBox=f"0 0 {total:.0f} {height:g}", style=f"height:{height:g}px"
    )


def _limbs(points: Float64, present: npt.NDArray[np.bool_]) -> list[Markup]:
    drawn = {"bone": "", "bone left": ""}
    for one, other in BONES:
        first, second = JOINT_INDEX[one], JOINT_INDEX[other]
        if present[first] and present[second]:
            style = "bone left" if other.startswith("left") else "bone"
            ends = (*points[first], *points[second])
            drawn[style] += "M{:.1f} {:.1f}L{:.1f} {:.1f}".format(*ends)
    parts = [element("path", class_=style, d=Markup(data)) for style, data in drawn.items() if data]
    head = JOINT_INDEX["head"]
    if present[head]:
        parts.append(element("circle", class_="head", cx=f"{points[head, 0]:.1f}", cy=f"{points[head, 1]:.1f}", r=3.5))
    return parts


def _left_of(positions_m: Float64) -> Float64:
    """Return the horizontal unit vector to the body's left; along y where no pair of joints tells it."""
    for pair in _ACROSS:
        across = positions_m[JOINT_INDEX[f"left_{pair}"]] - positions_m[JOINT_INDEX[f"right_{pair}"]]
        length = float(np.hypot(across[0], across[1]))
        if np.isfinite(length) and length > 1e-3:
            return np.array([across[0] / length, across[1] / length, 0.0])
    return np.array([0.0, 1.0, 0.0])
