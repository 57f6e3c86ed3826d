"""Which columns of a table are the coordinates of points."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

_LAST: Final = re.compile(r"(?i)(.*?)(?:[ _.:/-]|(?<=[a-z0-9])(?=[XYZ]))?(?:pos(?:ition)?)?[ _.:-]?\(?([xyz])\)?")
_FIRST: Final = re.compile(r"(?i)([xyz])[ _.:-]?(.*)")
_UNIT: Final = re.compile(r"\s*[\[(](?:m|mm|cm|meters|metres|millimet(?:er|re)s)[\])]\s*$", re.IGNORECASE)
_FEWEST: Final = 3
#: Samples looked at, and how much of how a point moves may be left in its distance to the point it is nearest to
#: moving with: two ends of a bone.
_LOOKED_AT: Final = 600
_MOST_POINTS: Final = 60
_RIGID: Final = 0.5
_ALIKE: Final = 0.05


def point_columns(labels: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Return for each point its columns x, y and z, where three or more are named ``knee_x``, ``knee_y``, ``knee_z``.

    ``x1``, ``y1``, ``z1`` do as well. Names that several columns share are no points.
    """
    names = [_UNIT.sub("", label.strip()) for label in labels]
    for pattern, axis, stem in ((_LAST, 2, 1), (_FIRST, 1, 2)):
        found: dict[str, dict[str, list[int]]] = {}
        for column, name in enumerate(names):
            match = pattern.fullmatch(name)
            if match is not None:
                found.setdefault(match[stem], {}).setdefault(match[axis].lower(), []).append(column)
        points = {
            stem: (axes["x"][0], axes["y"][0], axes["z"][0])
            for stem, axes in found.items()
            if set(axes) == set("xyz") and all(len(columns) == 1 for columns in axes.values())
        }
        if len(points) >= _FEWEST:
            return points
    return {}


def is_body(positions: Float64) -> bool:
    """Whether ``positions`` (n, points, 3) can be those of a body, whatever their unit.

    Angles or accelerations may be named in the same way. Points of a body keep their distance to some other point while
    they move, those that move most at least; accelerations at rest are all as long as each other.
    """
    step = max(1, len(positions) // _LOOKED_AT)
    part = positions[::step]
    part = part[:, np.isfinite(part).mean(axis=(0, 2)) > 0.5]
    if part.shape[1] < 2 or part.shape[0] < 3:
        return False
    length = np.nanmedian(np.linalg.norm(part, axis=2), axis=0)
    if part.shape[1] >= _FEWEST and float(np.ptp(length)) < _ALIKE * float(np.median(length)):
        return False
    relative = part - np.nanmean(part, axis=1, keepdims=True)
    moved = np.sqrt(np.nansum(np.nanvar(relative, axis=0), axis=1))
    most = np.argsort(-moved, kind="stable")[: min(_MOST_POINTS, max(2, part.shape[1] // 2))]
    left = []
    for index in most:
        apart = np.linalg.norm(part - part[:, index : index + 1], axis=2)
        spread = np.nanstd(apart, axis=0)
        spread[index] = np.inf
        # Beside another one all the time is no bone, but the same point twice; that may be, for one or two.
        left.append(float(np.min(spread)) / max(float(moved[index]), 1e-12))
    return float(np.median(left)) < _RIGID


def metres(positions: Float64) -> tuple[float, str]:
    """Return what to multiply positions (n, points, 3) of a body by to have metres, and the unit that they seem to be.

    The points of a person are a few tenths of a metre from their middle.
    """
    seen = positions[np.isfinite(positions).any(axis=(1, 2))]
    if not seen.size:
        return 1.0, "metres"
    relative = seen - np.nanmedian(seen, axis=1, keepdims=True)
    size = float(np.nanmedian(np.linalg.norm(relative, axis=2)))
    for factor, unit, least in ((1e-3, "millimetres", 120.0), (1e-2, "centimetres", 3.0)):
        if size > least:
            return factor, unit
    return 1.0, "metres"
