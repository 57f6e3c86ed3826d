"""A motion at its own rate, as it was recorded: where exact times are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sync.drive_signal import Body, relative_to_centroid

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NativeMotion:
    """All columns of a recording: ``values`` (n, columns) at ``time_s`` (n,), NaN where absent.

    ``of_points`` says that they are the coordinates of points, three a point, in metres; they are then looked at
    relative to their centroid.
    """

    time_s: Float64
    values: Float64
    of_points: bool

    def course(self, body: Body, from_s: float, to_s: float) -> tuple[Float64, Float64]:
        """Return the own times (k,) from ``from_s`` to ``to_s``, and the body's columns (k, columns) there."""
        first, end = np.searchsorted(self.time_s, (from_s, to_s))
        part = self.values[first:end][:, body.columns]
        when_s = self.time_s[first:end]
        if bool(np.isfinite(part).all()):
            return when_s, relative_to_centroid(part) if self.of_points else part
        # Where something is absent the coarse motion, interpolated, stands in.
        return when_s, self._filled(body, when_s, part)

    def present(self) -> Float64:
        """Return the part (n,) of all columns that is there at each time, of those that ever are."""
        seen = np.isfinite(self.values)
        ever = seen.any(axis=0)  # a point that a rig never has is no fault of a repetition
        return np.asarray(np.mean(seen[:, ever], axis=1)) if ever.any() else np.zeros(len(self.time_s))

    def _filled(self, body: Body, time_s: Float64, part: Float64) -> Float64:
        coarse = np.stack([np.interp(time_s, body.time_s, column) for column in body.motion.T], axis=1)
        missing = np.isnan(part)
        if not self.of_points:
            return np.where(missing, coarse, part)
        points, known = part.reshape(len(time_s), -1, 3), coarse.reshape(len(time_s), -1, 3)
        there = ~np.isnan(points).any(axis=2, keepdims=True)
        # The centroid of all points, from those that are there and where they should be.
        count = np.maximum(there.sum(axis=1, keepdims=True), 1)
        centroid = np.where(there, points - known, 0.0).sum(axis=1, keepdims=True) / count
        return np.asarray(np.where(there, points - centroid, known).reshape(part.shape))
