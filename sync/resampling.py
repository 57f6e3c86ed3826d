"""Streams on one common grid of time: anti-aliased, and nothing made up where samples are missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
_Index = npt.NDArray[np.intp]

#: Attenuation beyond the stop band's edge, in dB; the ripple of the pass band is as small: 0.03 %.
_ATTENUATION_DB: Final = 70.0
#: Up to this part of the lower of both Nyquist frequencies a signal stays as it is.
_PASSED: Final = 0.8
#: What comes more slowly than this is a value that is held and renewed, such as a heart rate, and no waveform.
_WAVEFORM_HZ: Final = 20.0
#: Neighbours whose distance is this far from a sample period are no neighbours.
_STEPS: Final = (0.5, 1.5)
_TABLE_A_LOBE: Final = 2048
#: Weights that are worked out at once.
_BLOCK: Final = 1 << 20


class Rows(Protocol):
    """Values (samples, channels) of which a run can be read, such as an array or a dataset of a file."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples and channels."""

    def __getitem__(self, rows: slice) -> Any:
        """Return a run of samples."""


@dataclass(frozen=True)
class Grid:
    """Times at whole multiples of 1 / ``rate_hz`` of session time: ``count`` of them from number ``first``."""

    first: int
    count: int
    rate_hz: float

    def time_s(self, start: int, stop: int) -> Float64:
        """Return the times of the points ``start`` to ``stop`` of the grid, in seconds."""
        return np.arange(self.first + start, self.first + stop, dtype=np.float64) / self.rate_hz


def grid_over(from_s: float, to_s: float, rate_hz: float) -> Grid:
    """Return the grid of all multiples of 1 / ``rate_hz`` from ``from_s`` to ``to_s``.

    Whole multiples, so that two files of one session have the same points where they overlap.
    """
    first = math.ceil(from_s * rate_hz)
    return Grid(first, max(0, math.floor(to_s * rate_hz) - first + 1), rate_hz)


@dataclass(frozen=True)
class Kernel:
    """How a stream gets onto a grid. ``half_width`` is how many samples before and after each point it looks at.

    A signal stays as it is up to ``pass_hz`` and is gone from ``stop_hz`` on; ``beta`` is the window's. A linear one
    looks at the two neighbours alone and has no such limits: they are NaN.
    """

    half_width: float
    pass_hz: float = math.nan
    stop_hz: float = math.nan
    beta: float = 0.0
    cutoff: float = 0.0

    @property
    def linear(self) -> bool:
        """Whether it is the line between two neighbours."""
        return math.isnan(self.pass_hz)


def kernel_for(stream_hz: float, rate_hz: float) -> Kernel:
    """Choose the kernel for a stream of ``stream_hz`` on a grid of ``rate_hz``.

    A sinc under a Kaiser window, whose length and beta follow from attenuation and transition band (Kaiser 1974, after
    Oppenheim & Schafer, Discrete-Time Signal Processing): with A in dB and the band D in cycles a sample, length =
    (A - 7.95) / (14.36 D), beta = 0.1102 (A - 8.7). It passes up to 80 % of the lower Nyquist frequency, and stops at
    the grid's own; on a faster grid, it stops where the images of what it passes begin. Streams below 20 Hz on a faster
    grid are joined by lines: they are no waveforms, and a kernel of seconds would cost more around gaps than it gives.
    """
    if stream_hz < min(_WAVEFORM_HZ, rate_hz):
        return Kernel(1.0)
    pass_hz = _PASSED * min(stream_hz, rate_hz) / 2
    stop_hz = min(rate_hz / 2, stream_hz - pass_hz)
    length = (_ATTENUATION_DB - 7.95) / (14.36 * (stop_hz - pass_hz) / stream_hz)
    return Kernel(
        half_width=length / 2,
        pass_hz=pass_hz,
        stop_hz=stop_hz,
        beta=0.1102 * (_ATTENUATION_DB - 8.7),
        cutoff=(pass_hz + stop_hz) / 2 / stream_hz,
    )


def sample_period_s(time_s: Float64, counter: Int64) -> float:
    """Return the median time from one count to the next, in seconds; NaN for fewer than two samples."""
    if time_s.size < 2:
        return math.nan
    return float(np.median(np.diff(time_s) / np.maximum(np.diff(counter), 1)))


def resample(
    time_s: Float64, counter: Int64, values: Rows, grid: Grid, kernel: Kernel
) -> Iterator[tuple[int, Float64]]:
    """Yield (number of the first point, values (points, channels) float64) for the whole grid, block by block.

    ``time_s`` (samples,), strictly increasing, and ``counter`` (samples,) are those of the stream, ``values``
    (samples, channels) numbers of any type. A point's place among the samples follows from its time by a line between
    the two samples around it; there, the kernel's weights, divided by their sum, weigh the samples. So times that drift
    or waver are followed, and a constant stays one exactly.

    NaN where a sample within the kernel is missing (by the count, or because neighbours are not about one period
    apart), is not finite, or would lie before the first or after the last. Time and memory: both linear in samples and
    points, memory by blocks.
    """
    channels = values.shape[1]
    placed = _Placed(time_s, counter, kernel)
    table = None if kernel.linear else _Table(kernel)
    taps = 2 if table is None else 2 * math.ceil(kernel.half_width)
    step = max(1, _BLOCK // max(taps, channels, 1))
    for start in range(0, grid.count, step):
        at_s = grid.time_s(start, min(start + step, grid.count))
        out = np.full((at_s.size, channels), np.nan)
        points, left, place, low, high = placed.around(at_s)
        if points.size:
            first, end = int(low.min()), int(high.max()) + 1
            part = np.asarray(values[slice(first, end)]).astype(np.float64)
            if table is None:
                weights = np.stack((1 - (place - left), place - left), axis=1)
                index = np.stack((left, np.minimum(left + 1, high)), axis=1)
            else:
                index = left[:, None] + np.arange(1 - taps // 2, taps // 2 + 1)
                weights = table.at(np.abs(place[:, None] - index))
            out[points] = _weighed(part, weights, index - first, low - first, high - first)
        yield start, out


class _Placed:
    """Where times lie among the samples, and which samples the kernel needs there."""

    def __init__(self, time_s: Float64, counter: Int64, kernel: Kernel) -> None:
        self._time_s, self._kernel = time_s, kernel
        step_s, step = np.diff(time_s), np.diff(counter)
        period_s = sample_period_s(time_s, counter)
        with np.errstate(invalid="ignore"):
            broken = (step != 1) | (step_s < _STEPS[0] * period_s) | (step_s > _STEPS[1] * period_s)
        #: how many breaks lie before each sample
        self._breaks = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(broken)))

    def around(self, at_s: Float64) -> tuple[_Index, _Index, Float64, _Index, _Index]:
        """Return, of the times that the kernel has all samples for: number, sample before, place, first, last."""
        time_s, count = self._time_s, self._time_s.size
        points = np.flatnonzero((at_s >= time_s[0]) & (at_s <= time_s[-1])) if count else np.zeros(0, dtype=np.intp)
        at_s = at_s[points]
        left = np.searchsorted(time_s, at_s, side="right") - 1
        right = np.minimum(left + 1, count - 1)
        gap_s = time_s[right] - time_s[left]
        share = np.divide(at_s - time_s[left], gap_s, out=np.zeros(at_s.size), where=gap_s > 0)
        place: Float64 = left.astype(np.float64) + share
        low: _Index = left
        high: _Index = np.where(share > 0, right, left)
        if not self._kernel.linear:
            low = np.ceil(place - self._kernel.half_width).astype(np.intp)
            high = np.floor(place + self._kernel.half_width).astype(np.intp)
        whole = (low >= 0) & (high < count)
        whole[whole] = self._breaks[low[whole]] == self._breaks[high[whole]]
        return points[whole], left[whole], place[whole], low[whole], high[whole]


class _Table:
    """The kernel, worked out once at many places: between them it is a line, wrong by less than 1e-6."""

    def __init__(self, kernel: Kernel) -> None:
        lobes = max(1, math.ceil(2 * kernel.cutoff * kernel.half_width))
        size = lobes * _TABLE_A_LOBE
        away = np.linspace(0, kernel.half_width, size + 1)
        window = np.i0(kernel.beta * np.sqrt(np.maximum(1 - (away / kernel.half_width) ** 2, 0))) / np.i0(kernel.beta)
        self._values = np.concatenate((2 * kernel.cutoff * np.sinc(2 * kernel.cutoff * away) * window, np.zeros(2)))
        self._rises = np.diff(self._values)
        self._rises[size:] = 0.0
        self._steps, self._size = size / kernel.half_width, size

    def at(self, away: Float64) -> Float64:
        """Return the weights at distances in samples; 0 beyond the half width."""
        scaled = away * self._steps
        beyond = scaled > self._size
        index = np.minimum(scaled, self._size).astype(np.intp)
        out = self._values[index] + self._rises[index] * (scaled - index)
        out[beyond] = 0.0
        return np.asarray(out)


def _weighed(
    part: Float64,
    weights: Float64,
    index: _Index,
    low: _Index,
    high: _Index,
) -> Float64:
    """Return the weighed means (points, channels) of ``part`` (samples, channels); NaN where one of them is none."""
    from scipy.sparse import csr_matrix

    points, taps = weights.shape
    finite = np.isfinite(part)
    # About one of its own values, so that a constant stays exactly what it is.
    base = np.where(finite.any(axis=0), part[finite.argmax(axis=0), np.arange(part.shape[1])], 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = np.where(finite, part - base, 0.0)
        weights = weights / weights.sum(axis=1, keepdims=True)
        index = np.clip(index, 0, len(part) - 1)  # what lies outside has no weight
        starts = np.arange(0, points * taps + 1, taps)
        out = csr_matrix((weights.ravel(), index.ravel(), starts), shape=(points, len(part))) @ centred + base
    missing = np.concatenate((np.zeros((1, part.shape[1]), dtype=np.int64), np.cumsum(~finite, axis=0)))
    out[missing[high + 1] != missing[low]] = np.nan
    return np.asarray(out, dtype=np.float64)
