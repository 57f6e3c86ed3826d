"""Which raw frames of a view belong to a repetition or a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lab.aligned import AlignedView
from lab.repetitions import Repetition
from storage.flex.versions import BOUND_TOLERANCE_S, MAX_FRAME_PERIODS

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ViewFrames:
    """The frames of a view that are really in its video: ``time_s`` and ``index``, both strictly increasing.

    ``count`` is the number of frames in the raw video and ``period_s`` the time between two of them.
    """

    time_s: Float64
    index: Int64
    count: int
    period_s: float

    @classmethod
    def of(cls, view: AlignedView) -> ViewFrames:
        """Keep the frames that are in the video, without those whose time does not advance."""
        kept = (view.index >= 0) & np.isfinite(view.time_s)
        time_s, index = view.time_s[kept].astype(np.float64), view.index[kept].astype(np.int64)
        count = int(view.index.max(initial=-1)) + 1
        if len(time_s):
            newest = np.concatenate(([-np.inf], np.maximum.accumulate(time_s)[:-1]))
            highest = np.concatenate(([-1], np.maximum.accumulate(index)[:-1]))
            advances = (time_s > newest) & (index > highest)
            time_s, index = time_s[advances], index[advances]
        if np.isfinite(view.rate_hz) and view.rate_hz > 0:
            period_s = 1.0 / view.rate_hz
        else:
            period_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
        return cls(time_s, index, count, period_s)

    def nearest(self, at_s: Float64) -> npt.NDArray[np.intp]:
        """Return the position (not index) of the frame nearest to each time; there must be a frame."""
        right = np.clip(np.searchsorted(self.time_s, at_s), 1, max(len(self.time_s) - 1, 1))
        right = np.minimum(right, len(self.time_s) - 1)
        left = np.maximum(right - 1, 0)
        return np.where(at_s - self.time_s[left] <= self.time_s[right] - at_s, left, right)

    def index_at(self, at_s: Float64) -> Int64:
        """Return the index of the frame nearest to each time, -1 where it is too far to be of that moment."""
        if not len(self.time_s):
            return np.full(len(at_s), -1, dtype=np.int64)
        position = self.nearest(at_s)
        near = np.abs(self.time_s[position] - at_s) <= MAX_FRAME_PERIODS * self.period_s
        return np.where(near, self.index[position], -1)

    def positions_of(self, repetition: Repetition) -> tuple[int, int, int] | None:
        """Return the positions of start, turn and end, or None if the view does not cover the repetition."""
        if not len(self.time_s):
            return None
        bounds_s = np.array([repetition.start_s, repetition.turn_s, repetition.end_s])
        position = self.nearest(bounds_s)
        if np.any(np.abs(self.time_s[position] - bounds_s) > BOUND_TOLERANCE_S):
            return None
        start, turn, end = (int(value) for value in position)
        return (start, turn, end) if start < turn < end else None

    def bounds_of(self, repetition: Repetition) -> tuple[int, int, int] | None:
        """Return the raw frames of start, turn and end, or None if the view does not cover the repetition."""
        positions = self.positions_of(repetition)
        if positions is None:
            return None
        start, turn, end = positions
        return int(self.index[start]), int(self.index[turn]), int(self.index[end])
