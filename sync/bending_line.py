"""A line whose slope wanders: the smoothest that the measurements allow, and its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

#: How fast a slope may wander, as the variance that it gains in a second. The least is a computer's crystal in a room
#: that stays as warm as it is (its frequency changes by 0.1 ppm in five minutes), the most one that is blown at.
LEAST_WANDER: Final = 3e-17
MOST_WANDER: Final = 1e-12
NO_WANDER: Final = 0.0
_MOST_KNOTS: Final = 100
#: A bend that the measurements make less than this many times as probable as none is not followed.
_EVIDENT: Final = np.log(20.0)
_PASSES: Final = 30
_SETTLED: Final = 1e-3


@dataclass(frozen=True)
class BendingLine:
    """Values between knots are linear: ``knot`` (knots,), ``value`` (knots,) and its standard error ``error`` (knots,).

    Outside, ``slope_before`` and ``slope_after`` go on, both with the standard error ``slope_error``; ``wander`` is the
    variance that the slope gains in a unit of the abscissa. ``weight`` (measurements,) from 0 to 1 says how far each
    measurement was believed, ``scale`` how many times worse than they claim the measurements are.
    """

    knot: Float64
    value: Float64
    error: Float64
    slope_before: float
    slope_after: float
    slope_error: float
    wander: float
    weight: Float64
    scale: float

    def at(self, x: npt.ArrayLike) -> Float64:
        """Return the values at ``x``; shape is kept."""
        where = np.asarray(x, dtype=np.float64)
        before, after = np.maximum(self.knot[0] - where, 0.0), np.maximum(where - self.knot[-1], 0.0)
        within = np.interp(where, self.knot, self.value)
        return np.asarray(within - self.slope_before * before + self.slope_after * after)

    def standard_error(self, x: npt.ArrayLike) -> Float64:
        """Return the standard error at ``x``; it grows outside the knots. Shape is kept."""
        where = np.asarray(x, dtype=np.float64)
        away = np.maximum(self.knot[0] - where, 0.0) + np.maximum(where - self.knot[-1], 0.0)
        within = np.interp(where, self.knot, self.error)
        return np.asarray(np.sqrt(within**2 + (self.slope_error * away) ** 2 + self.wander * away**3 / 3))


def fit_bending_line(
    x: Float64,
    y: Float64,
    sigma: Float64,
    slope_sigma: float,
    start: Float64,
    spacing: float,
    least_wander: float = LEAST_WANDER,
    least_scale: float = 0.0,
) -> BendingLine:
    """Fit a line whose slope wanders through measurements, some of which may be wrong.

    ``x`` (n,) increasing, ``y`` (n,) and their standard deviations ``sigma`` (n,), near zero so that products keep
    their digits. ``slope_sigma`` is the standard deviation of the slope before anything was measured, ``start`` (n,) a
    first idea of the values, from which what is wrong is told; knots lie at least ``spacing`` apart. ``least_scale``
    bounds the scale from below.

    Model: y_i = f(x_i) + e_i with f linear between knots, its slope a random walk: s_(k+1) - s_k ~ N(0, q h), h the
    distance of the knots' middles (an integrated Wiener process, the spline of Wahba 1978, J. R. Statist. Soc. B
    40:364). f is the posterior mean, its error the posterior standard deviation. e_i has Tukey's biweight (Beaton &
    Tukey 1974), at a scale told by the median absolute residual beside four imaginary measurements that are exactly as
    good as they claim. q is the one of ten from ``LEAST_WANDER`` to ``MOST_WANDER`` with the largest evidence
    p(y | q), if it is twenty times that of ``least_wander``, and ``least_wander`` otherwise.
    """
    trusted = _weight(y - start, sigma * _scale(y - start, sigma))
    knot = _knots(x[trusted > 0] if np.any(trusted > 0) else x, spacing)
    if knot.size == 1:
        return _constant(x, y, sigma, trusted, slope_sigma)
    rows = _interpolation(knot, x)
    level_sigma = 1e3 * (float(np.ptp(y[trusted > 0])) + float(np.max(sigma)))
    weight, scale = trusted, 1.0

    def settled(shape: Float64, weight: Float64, scale: float) -> tuple[Float64, Float64, Float64, float]:
        """Return values and covariance at the knots, with the weights and the scale at which they stay."""
        for _ in range(_PASSES):
            value, covariance = _posterior(rows, shape, y, weight / (sigma * scale) ** 2)
            residual = y - rows @ value
            scale = max(least_scale, _scale(residual[trusted > 0], sigma[trusted > 0]))
            previous, weight = weight, _weight(residual, sigma * scale)
            if np.max(np.abs(weight - previous)) < _SETTLED:
                break
        return value, covariance, weight, scale

    flexible = _shape(knot, level_sigma, slope_sigma, float(np.sqrt(LEAST_WANDER * MOST_WANDER)))
    _, _, weight, scale = settled(flexible, weight, scale)
    precision = weight / (sigma * scale) ** 2
    wanders = [least_wander, *np.geomspace(LEAST_WANDER, MOST_WANDER, 10).tolist()]
    shapes = [_shape(knot, level_sigma, slope_sigma, wander) for wander in wanders]
    evidence = [_evidence(rows, shape, y, precision) for shape in shapes]
    best = int(np.argmax(evidence))
    best = best if evidence[best] > evidence[0] + _EVIDENT else 0
    value, covariance, weight, scale = settled(shapes[best], weight, scale)
    ends = (np.diff(np.eye(knot.size), axis=0) / np.diff(knot)[:, None])[[0, -1]]
    slope_before, slope_after = (ends @ value).tolist()
    slope_error = float(np.sqrt(np.max(np.einsum("ij,jk,ik->i", ends, covariance, ends))))
    error = np.sqrt(np.diagonal(covariance))
    return BendingLine(knot, value, error, slope_before, slope_after, slope_error, wanders[best], weight, scale)


def _knots(x: Float64, spacing: float) -> Float64:
    span = float(x[-1] - x[0])
    count = int(np.clip(span / spacing, 1, _MOST_KNOTS - 1)) + 1 if span > 0 else 1
    return np.asarray(np.linspace(float(x[0]), float(x[-1]), count))


def _interpolation(knot: Float64, x: Float64) -> Float64:
    """Return the matrix (n, knots) that takes values at knots to values at ``x``, straight on outside them."""
    left = np.clip(np.searchsorted(knot, x, side="right") - 1, 0, knot.size - 2)
    share = (x - knot[left]) / (knot[left + 1] - knot[left])
    rows = np.zeros((x.size, knot.size))
    places = np.arange(x.size)
    rows[places, left], rows[places, left + 1] = 1 - share, share
    return rows


def _shape(knot: Float64, level_sigma: float, slope_sigma: float, wander: float) -> Float64:
    """Return the matrix (knots, knots) that takes independent standard normal numbers to values at the knots."""
    shape = np.maximum(knot[:, None] - knot[None, :], 0.0)  # a turn at each knot but the last
    shape = np.column_stack((np.ones(knot.size), shape[:, :-1]))
    turns = np.sqrt(wander * (knot[2:] - knot[:-2]) / 2)
    return np.asarray(shape * np.concatenate(([level_sigma, slope_sigma], turns)))


def _posterior(rows: Float64, shape: Float64, y: Float64, precision: Float64) -> tuple[Float64, Float64]:
    """Return the mean (knots,) and covariance (knots, knots) of the values at the knots."""
    seen = rows @ shape
    covariance = np.linalg.inv((seen.T * precision) @ seen + np.eye(shape.shape[1]))
    mean = shape @ (covariance @ (seen.T @ (precision * y)))
    return np.asarray(mean), np.asarray(shape @ covariance @ shape.T)


def _evidence(rows: Float64, shape: Float64, y: Float64, precision: Float64) -> float:
    """Return log p(y | shape) up to what is the same for all shapes."""
    seen = rows @ shape
    posterior = (seen.T * precision) @ seen + np.eye(shape.shape[1])
    moment = seen.T @ (precision * y)
    _, volume = np.linalg.slogdet(posterior)
    return 0.5 * (float(moment @ np.linalg.solve(posterior, moment)) - float(volume))


def _scale(residual: Float64, sigma: Float64) -> float:
    typical = 1.4826 * float(np.median(np.abs(residual / sigma)))
    return float(np.sqrt((4.0 + residual.size * typical**2) / (4.0 + residual.size)))


def _weight(residual: Float64, sigma: Float64) -> Float64:
    """Return Tukey's biweight."""
    ratio = np.minimum(np.abs(residual) / (4.685 * sigma), 1.0)
    return np.asarray((1 - ratio**2) ** 2)


def _constant(x: Float64, y: Float64, sigma: Float64, trusted: Float64, slope_sigma: float) -> BendingLine:
    """Return the line through measurements of one place."""
    weight = trusted if np.any(trusted > 0) else np.ones_like(trusted)
    precision = weight / sigma**2
    middle, value = (float(np.average(what, weights=precision)) for what in (x, y))
    error = float(np.hypot(1 / np.sqrt(np.sum(precision)), np.ptp(y[weight > 0]) / 2))
    one = np.array([middle]), np.array([value]), np.array([error])
    return BendingLine(*one, 0.0, 0.0, slope_sigma, LEAST_WANDER, weight, 1.0)
