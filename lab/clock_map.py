"""Host time to session time, piece by piece, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

#: Thirty years from the knots on, an offset stays as it is.
_FAR_S: Final = 1e9
#: Times and offsets beyond this (3,000 years) are no clock readings.
CLOCK_LIMIT_S: Final = 1e11


@dataclass(frozen=True)
class ClockPiece:
    """What one uninterrupted run of a host's clock is ahead of session time: ``session = host + offset``.

    The offset is linear between ``knot_s`` (knots,), host times in increasing order at which it is ``offset_s``
    (knots,) with the standard error ``error_s`` (knots,). Outside them it goes on with ``drift_before`` and
    ``drift_after`` (seconds a second), whose standard error is ``drift_error``, and which may change by
    ``wander`` * t (variance of the drift after t seconds). ``first_sample`` is the first sample of the stream, in the
    order of the file, that was stamped by this run of the clock.
    """

    knot_s: Float64
    offset_s: Float64
    error_s: Float64
    drift_before: float = 0.0
    drift_after: float = 0.0
    drift_error: float = 0.0
    wander: float = 0.0
    first_sample: int = 0

    def offset(self, host_s: npt.ArrayLike) -> Float64:
        """Return the offset to session time in seconds at host times; shape is kept."""
        host = np.asarray(host_s, dtype=np.float64)
        # a knot far away on both sides: one look-up for all of an hour's samples
        knot = np.concatenate(([self.knot_s[0] - _FAR_S], self.knot_s, [self.knot_s[-1] + _FAR_S]))
        first, last = self.offset_s[0] - self.drift_before * _FAR_S, self.offset_s[-1] + self.drift_after * _FAR_S
        return np.asarray(np.interp(host, knot, np.concatenate(([first], self.offset_s, [last]))))

    def standard_error(self, host_s: npt.ArrayLike) -> Float64:
        """Return the standard error in seconds at host times; it grows outside the knots. Shape is kept.

        Outside, the drift is a random walk: its integral over t has the variance ``wander`` t^3 / 3.
        """
        host = np.asarray(host_s, dtype=np.float64)
        error = np.array(np.interp(host, self.knot_s, self.error_s))
        outside = (host < self.knot_s[0]) | (host > self.knot_s[-1])
        if np.any(outside):
            away = np.maximum(self.knot_s[0] - host[outside], host[outside] - self.knot_s[-1])
            far = (self.drift_error * away) ** 2 + self.wander * away**3 / 3
            error[outside] = np.sqrt(error[outside] ** 2 + far)
        return error

    def drift(self, host_s: float) -> float:
        """Return the drift at a host time, in seconds a second."""
        index = int(np.searchsorted(self.knot_s, host_s))
        if index == 0:
            return self.drift_before
        if index == self.knot_s.size:
            return self.drift_after
        rise = np.diff(self.offset_s[index - 1 : index + 1]) / np.diff(self.knot_s[index - 1 : index + 1])
        return float(rise[0])


@dataclass(frozen=True)
class ClockMap:
    """Host time of one stream to session time. ``pieces`` are in the order of the file; resets lie between them."""

    pieces: tuple[ClockPiece, ...]

    @classmethod
    def identity(cls, error_s: float = 0.0) -> ClockMap:
        """Return the map of a clock to itself: no offset, and ``error_s`` (infinite where nothing was measured)."""
        return cls((ClockPiece(np.zeros(1), np.zeros(1), np.array([error_s])),))

    def piece_of(self, sample: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Return the number of the piece for each sample, named by its place in the file; shape is kept."""
        starts = np.array([piece.first_sample for piece in self.pieces[1:]], dtype=np.int64)
        return np.asarray(np.searchsorted(starts, np.asarray(sample), side="right"))

    def apply(self, host_s: npt.ArrayLike, sample: npt.ArrayLike = 0) -> Float64:
        """Map host times to session time; shape is kept.

        ``sample``, of a shape that fits, is the place in the file of the sample that each time belongs to: after a
        restart of the host, the same time may come twice.
        """
        host = np.asarray(host_s, dtype=np.float64)
        if len(self.pieces) == 1:
            return np.asarray(host + self.pieces[0].offset(host))
        owner = self.piece_of(np.broadcast_to(sample, host.shape))
        return np.asarray(host + _picked(owner, [piece.offset(host) for piece in self.pieces]))

    def standard_error(self, host_s: npt.ArrayLike, sample: npt.ArrayLike = 0) -> Float64:
        """Return the standard error in seconds at each time; ``sample`` as in ``apply``."""
        host = np.asarray(host_s, dtype=np.float64)
        if len(self.pieces) == 1:
            return self.pieces[0].standard_error(host)
        owner = self.piece_of(np.broadcast_to(sample, host.shape))
        return _picked(owner, [piece.standard_error(host) for piece in self.pieces])


def _picked(owner: npt.NDArray[np.intp], candidates: list[Float64]) -> Float64:
    return np.asarray(np.take_along_axis(np.stack(candidates), owner[None], axis=0)[0])
