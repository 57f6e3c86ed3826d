"""A piecewise linear map from one clock to another, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClockPiece:
    """``target = source + offset_s + slope * (source - centre_s)`` for sources from ``from_s`` on.

    The standard error at a source time t is ``hypot(offset_se_s, slope_se * (t - centre_s))``.
    """

    from_s: float
    centre_s: float
    offset_s: float
    slope: float
    offset_se_s: float
    slope_se: float


@dataclass(frozen=True)
class ClockMap:
    """Host time to session time. ``pieces`` are in order of ``from_s``; the first starts at -inf."""

    pieces: tuple[ClockPiece, ...]

    @classmethod
    def identity(cls) -> ClockMap:
        """Return the map of a clock to itself: no offset, no error."""
        return cls((ClockPiece(-np.inf, 0.0, 0.0, 0.0, 0.0, 0.0),))

    def _piece_of(self, source_s: Float64) -> npt.NDArray[np.intp]:
        starts = np.array([piece.from_s for piece in self.pieces[1:]])
        return np.searchsorted(starts, source_s, side="right")

    def apply(self, source_s: npt.ArrayLike) -> Float64:
        """Map times; shape and order are kept."""
        source = np.asarray(source_s, dtype=np.float64)
        index = self._piece_of(source)
        centre = np.array([piece.centre_s for piece in self.pieces])[index]
        offset = np.array([piece.offset_s for piece in self.pieces])[index]
        slope = np.array([piece.slope for piece in self.pieces])[index]
        return np.asarray(source + (offset + slope * (source - centre)))

    def standard_error(self, source_s: npt.ArrayLike) -> Float64:
        """Return the standard error in seconds at each time; it grows outside the probes."""
        source = np.asarray(source_s, dtype=np.float64)
        index = self._piece_of(source)
        centre = np.array([piece.centre_s for piece in self.pieces])[index]
        offset_se = np.array([piece.offset_se_s for piece in self.pieces])[index]
        slope_se = np.array([piece.slope_se for piece in self.pieces])[index]
        return np.asarray(np.hypot(offset_se, slope_se * (source - centre)))
