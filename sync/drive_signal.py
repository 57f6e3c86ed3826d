"""Pose -> the few one-dimensional signals that may drive an exercise.

Everything is relative to the centroid of all points, so that walking through the room is no motion of the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lab.errors import TakeError

Float64 = npt.NDArray[np.float64]

COARSE_HZ: Final = 25.0
SMOOTH_HZ: Final = 3.0
SHAPE_COMPONENTS: Final = 8
LONGEST_S: Final = 6 * 3600.0
_MIN_PRESENT: Final = 0.5
#: A point this far, beyond this many of its own ranges (10th to 90th percentile), from its place on the body.
_MISPLACED_M: Final = 0.5
_MISPLACED_WIDTHS: Final = 3.0
_SAME_SIGNAL: Final = 0.97
#: From this part of absent coordinates on they are looked for in the others, so many times.
_ABSENT_AT_LEAST: Final = 0.002
_FILLINGS: Final = 2
_RIDGE: Final = 1e-4


@dataclass(frozen=True)
class Body:
    """A body's motion on a coarse uniform grid.

    ``time_s`` (m,); ``motion`` (m, columns) low-passed: of positions, their flattened coordinates relative to the
    centroid in metres, of other channels what they are weighted to, without a unit. ``shape`` (m, components) are its
    principal components; ``speed`` (m,) the root mean square speed of all points in m/s, or of all channels;
    ``columns`` (columns,) indexes the columns of the recording that were present often enough.
    """

    time_s: Float64
    motion: Float64
    shape: Float64
    speed: Float64
    columns: npt.NDArray[np.intp]


def body_of(time_s: Float64, positions_m: Float64) -> Body | None:
    """Return the motion of ``positions_m`` (n, points, 3), NaN where absent, at ``time_s`` (n,).

    None if too little is there.

    Raises TakeError for a span of more than six hours, which no set lasts.
    """
    span_s = float(time_s[-1] - time_s[0])
    if not span_s < LONGEST_S:
        raise TakeError(
            f"The pose spans {span_s:.0f} s, longer than a set can be; check the time stamps of its stream."
        )
    flat = positions_m.reshape(len(time_s), -1)
    present = np.isfinite(flat)
    enough = present.mean(axis=0).reshape(-1, 3).min(axis=1) >= _MIN_PRESENT
    columns = np.flatnonzero(np.repeat(enough, 3))
    if columns.size < 6 or span_s * COARSE_HZ < 2 * COARSE_HZ:
        return None
    flat, present = flat[:, columns], present[:, columns]
    grid, when, mean, seen = coarse_means(time_s, flat, present)
    points = on_grid(grid, when, mean, seen)
    misplaced = _misplaced(points)
    if bool(misplaced.any()):
        elsewhere = np.array([np.interp(when, grid, column) for column in misplaced.T.astype(np.float64)]).T > 0
        points = on_grid(grid, when, mean, seen & ~elsewhere)
        seen = seen & ~elsewhere
    points = relative_to_centroid(points)
    absent = on_grid(grid, when, (~seen).astype(np.float64), np.ones_like(seen)) > 0.5
    if float(absent.mean()) > _ABSENT_AT_LEAST:
        points = relative_to_centroid(_filled_in(points, absent))
    points = smoothed(points)
    centred = points - np.median(points, axis=0)
    speed = np.sqrt(np.mean(np.gradient(points, 1 / COARSE_HZ, axis=0) ** 2, axis=1) * 3)
    return Body(grid + time_s[0], points, centred @ principal(centred, SHAPE_COMPONENTS), speed, columns)


def _filled_in(points: Float64, absent: npt.NDArray[np.bool_]) -> Float64:
    """Return points (m, columns) with what was ``absent``, and is interpolated, read off the other points.

    A body has few ways to move: where a point is there, it is fitted by the first principal components of all others;
    where it is not, the fit stands in, and what it was wrong by beside the gap.
    """
    filled = points.copy()
    wanting = [point for point in range(points.shape[1] // 3) if bool(absent[:, 3 * point].any())]
    time = np.arange(len(points))
    for _ in range(_FILLINGS):
        mean = filled.mean(axis=0)
        gram = (filled - mean).T @ (filled - mean)
        for point in wanting:
            own = np.arange(3 * point, 3 * point + 3)
            others = np.delete(np.arange(points.shape[1]), own)
            there = ~absent[:, own[0]]
            if float(there.mean()) < _MIN_PRESENT / 2:
                continue
            scores = (filled[:, others] - mean[others]) @ _directions(gram[np.ix_(others, others)], SHAPE_COMPONENTS)
            scores = np.column_stack((scores, np.ones(len(points))))
            normal = scores[there].T @ scores[there]
            normal[np.diag_indices_from(normal)] += _RIDGE * float(np.trace(normal)) / len(normal)
            fit = scores @ np.linalg.solve(normal, scores[there].T @ points[there][:, own])
            for axis, column in enumerate(own):
                wrong = np.interp(time, time[there], points[there, column] - fit[there, axis])
                filled[~there, column] = (fit[:, axis] + wrong)[~there]
    return np.asarray(filled)


def coarse_means(
    time_s: Float64, values: Float64, present: npt.NDArray[np.bool_]
) -> tuple[Float64, Float64, Float64, npt.NDArray[np.bool_]]:
    """Return the means of ``values`` (n, columns), where ``present``, in bins of the coarse grid.

    They are the grid's times (m,) from 0 on, the mean times (bins,) of the bins that hold anything, the means (bins,
    columns), and where there is one (bins, columns).
    """
    bins = np.floor((time_s - time_s[0]) * COARSE_HZ).astype(np.int64)
    first = np.concatenate(([0], np.flatnonzero(np.diff(bins)) + 1))
    count = np.add.reduceat(present, first, axis=0, dtype=np.float64)
    total = np.add.reduceat(np.where(present, values, 0.0), first, axis=0)
    when = np.add.reduceat(time_s - time_s[0], first) / np.diff(np.concatenate((first, [time_s.size])))
    grid = np.arange(0.0, float(time_s[-1] - time_s[0]), 1 / COARSE_HZ)
    return grid, when, total / np.maximum(count, 1), count > 0


def on_grid(grid_s: Float64, when_s: Float64, mean: Float64, seen: npt.NDArray[np.bool_]) -> Float64:
    """Return bin means (bins, columns) on the grid, those not ``seen`` interpolated."""
    values = np.zeros((grid_s.size, mean.shape[1]))
    for column in range(mean.shape[1]):
        here = seen[:, column]
        if bool(here.any()):
            values[:, column] = np.interp(grid_s, when_s[here], mean[here, column])
    return values


def smoothed(coarse: Float64) -> Float64:
    """Return what is on the coarse grid (m, columns) without anything faster than a repetition."""
    from scipy.signal import butter, sosfiltfilt

    low = butter(2, SMOOTH_HZ, fs=COARSE_HZ, output="sos")
    return np.asarray(sosfiltfilt(low, coarse, axis=0, padlen=min(coarse.shape[0] - 1, 25)))


def _misplaced(flat_m: Float64) -> npt.NDArray[np.bool_]:
    """Mark coordinates (bins, columns) that belong to another marker: far from where the point ever is on the body."""
    points = flat_m.reshape(flat_m.shape[0], -1, 3)
    offset = points - np.median(points, axis=1, keepdims=True)
    low, middle, high = np.percentile(offset, (10, 50, 90), axis=0)
    far = np.abs(offset - middle) > _MISPLACED_WIDTHS * (high - low) + _MISPLACED_M
    return np.asarray(np.repeat(far.any(axis=2), 3, axis=1))


def relative_to_centroid(flat_m: Float64) -> Float64:
    """Return flattened positions (n, 3 points) less the mean of all points at each time."""
    points = flat_m.reshape(flat_m.shape[0], -1, 3)
    return np.asarray((points - points.mean(axis=1, keepdims=True)).reshape(flat_m.shape))


def drive_signals(body: Body) -> list[Float64]:
    """Return candidate drive signals, (m,) each in metres.

    They are principal components of position and of velocity, and the widest columns. Signals that say the same as an
    earlier one are left out. Each stands for both of its signs.
    """
    centred = body.motion - np.median(body.motion, axis=0)
    velocity = np.gradient(centred, axis=0)
    low, high = np.percentile(centred, (2, 98), axis=0)
    widest = np.argsort(-(high - low), kind="stable")[:2]
    candidates = [*body.shape.T[:3], *(centred @ principal(velocity, 2)).T, *centred.T[widest]]
    chosen: list[Float64] = []
    for signal in candidates:
        deviation = signal - signal.mean()
        norm = float(np.linalg.norm(deviation))
        if norm < 1e-9:
            continue
        unit = deviation / norm
        if all(
            abs(float(unit @ (other - other.mean())) / np.linalg.norm(other - other.mean())) < _SAME_SIGNAL
            for other in chosen
        ):
            chosen.append(signal)
    return chosen


def principal(data: Float64, components: int) -> Float64:
    """Return the directions (columns, components) of largest variance, each with a fixed sign."""
    deviation = data - data.mean(axis=0)
    return _directions(deviation.T @ deviation, components)


def _directions(gram: Float64, components: int) -> Float64:
    _, vectors = np.linalg.eigh(gram)
    directions = vectors[:, ::-1][:, :components]
    # eigh leaves the sign open: the largest entry is made positive, so that equal data give equal results.
    largest = directions[np.argmax(np.abs(directions), axis=0), np.arange(directions.shape[1])]
    return np.asarray(directions * np.where(largest < 0, -1.0, 1.0))
