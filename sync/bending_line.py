"""A line whose slope wanders: the smoothest that the measurements allow, and its standard error."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

#: How fast a slope may wander, as the variance that it gains in a second. The least is a computer's crystal in a room
#: that stays as warm as it is (its frequency changes by 0.1 ppm in five minutes), the most one that is blown at.
LEAST_WANDER: Final = 3e-17
MOST_WANDER: Final = 1e-12
#: A line that can bend by less than this share of what one measurement is good to is straight.
_STRAIGHT: Final = 0.02
_MOST_KNOTS: Final = 100
#: Measurements this near to each other (seconds, where x is a time) are of one place.
_ONE_PLACE: Final = 1e-6
#: A bend that the measurements make less than this many times as probable as none is not followed.
_EVIDENT: Final = np.log(20.0)
_PASSES: Final = 30
_SETTLED: Final = 1e-3


@dataclass(frozen=True)
class BendingLine:
    """Values between knots are linear: ``knot`` (knots,), ``value`` (knots,) and its standard error ``error`` (knots,).

    Outside, ``slope_before`` and ``slope_after`` go on, both with the standard error ``slope_error``; ``wander`` is the
    variance that the slope gains in a unit of the abscissa. ``weight`` (measurements,) from 0 to 1 says how far each
    measurement was believed, ``scale`` how many times worse than they claim the measurements are, ``bends`` whether
    they show that its slope wanders more than was asked for at least.
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
    bends: bool

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

    Where the measurements disagree by so much, or leave such gaps, that float64 cannot weigh them against the slope's
    steadiness, the line is straight, or if need be a constant.
    """
    for apart in (spacing, np.inf):
        with contextlib.suppress(np.linalg.LinAlgError):
            return _fitted(x, y, sigma, slope_sigma, start, apart, least_wander, least_scale)
    return _constant(x, y, sigma, np.ones_like(y), slope_sigma)


def _fitted(
    x: Float64,
    y: Float64,
    sigma: Float64,
    slope_sigma: float,
    start: Float64,
    spacing: float,
    least_wander: float,
    least_scale: float,
) -> BendingLine:
    trusted = _weight(y - start, sigma * _scale(y - start, sigma))
    knot = _knots(x[trusted > 0] if np.any(trusted > 0) else x, spacing)
    if knot.size == 1:
        return _constant(x, y, sigma, trusted, slope_sigma)
    # stiffer than this no measurement would notice, and no matrix could be inverted
    stiffest = 3 * (_STRAIGHT * float(np.min(sigma))) ** 2 / float(knot[-1] - knot[0]) ** 3
    least_wander = float(np.clip(stiffest, least_wander, MOST_WANDER))
    place = _Places.of(knot, x)
    weight, scale = trusted, 1.0

    def settled(prior: Float64, weight: Float64, scale: float) -> tuple[_Posterior, Float64, float]:
        """Return the posterior with the weights and the scale at which it stays as it is."""
        for _ in range(_PASSES):
            posterior = _posterior(place, y, weight / (sigma * scale) ** 2, prior)
            residual = y - place.value(posterior.mean)
            scale = max(least_scale, _scale(residual[trusted > 0], sigma[trusted > 0]))
            previous, weight = weight, _weight(residual, sigma * scale)
            if np.max(np.abs(weight - previous)) < _SETTLED:
                break
        return posterior, weight, scale

    flexible = _prior(knot, slope_sigma, float(np.sqrt(LEAST_WANDER * MOST_WANDER)))
    _, weight, scale = settled(flexible, weight, scale)
    precision = weight / (sigma * scale) ** 2
    wanders = [least_wander, *np.geomspace(max(LEAST_WANDER, least_wander), MOST_WANDER, 10).tolist()]
    priors = [_prior(knot, slope_sigma, wander) for wander in wanders]
    evidence = [
        _posterior(place, y, precision, prior).evidence - 0.5 * (knot.size - 2) * np.log(wander)
        for prior, wander in zip(priors, wanders, strict=True)
    ]
    best = int(np.argmax(evidence))
    best = best if evidence[best] > evidence[0] + _EVIDENT else 0
    posterior, weight, scale = settled(priors[best], weight, scale)
    value, covariance = posterior.mean, posterior.covariance()
    slopes, slope_errors = [], []
    for end in (slice(0, 2), slice(-2, None)):
        apart = np.array([-1.0, 1.0]) / np.diff(knot[end])
        slopes.append(float(apart @ value[end]))
        slope_errors.append(float(np.sqrt(apart @ covariance[end, end] @ apart)))
    error = np.sqrt(np.diagonal(covariance))
    return BendingLine(
        knot, value, error, slopes[0], slopes[1], max(slope_errors), wanders[best], weight, scale, bends=best > 0
    )


@dataclass(frozen=True)
class _Places:
    """Where measurements lie between knots: knot to the left of each, and the share of the way to the next."""

    left: npt.NDArray[np.intp]
    share: Float64
    knots: int

    @classmethod
    def of(cls, knot: Float64, x: Float64) -> _Places:
        left = np.clip(np.searchsorted(knot, x, side="right") - 1, 0, knot.size - 2)
        return cls(left, (x - knot[left]) / (knot[left + 1] - knot[left]), knot.size)

    def value(self, at_knots: Float64) -> Float64:
        """Return the values at the measurements, straight on outside the knots."""
        return np.asarray((1 - self.share) * at_knots[self.left] + self.share * at_knots[self.left + 1])

    def summed(self, left: Float64, right: Float64) -> Float64:
        """Return for each knot the sum of what its measurements give it."""
        to_left = np.bincount(self.left, left, self.knots)
        return np.asarray(to_left + np.bincount(self.left + 1, right, self.knots))


@dataclass(frozen=True)
class _Posterior:
    """Mean (knots,) of the values at the knots, their precision's factor, and log p(y) up to the prior's volume."""

    mean: Float64
    factor: Float64
    evidence: float

    def covariance(self) -> Float64:
        """Return the covariance (knots, knots)."""
        from scipy.linalg import cho_solve_banded

        return np.asarray(cho_solve_banded((self.factor, False), np.eye(self.mean.size)))


def _posterior(place: _Places, y: Float64, precision: Float64, prior: Float64) -> _Posterior:
    """Return the posterior; matrices are banded, as LAPACK keeps the upper half: row 2 - k is the k-th diagonal."""
    from scipy.linalg import cho_solve_banded, cholesky_banded

    share = place.share
    total = prior.copy()
    total[2] += place.summed(precision * (1 - share) ** 2, precision * share**2)
    total[1, 1:] += np.bincount(place.left, precision * share * (1 - share), place.knots)[:-1]
    moment = place.summed(precision * (1 - share) * y, precision * share * y)
    factor = cholesky_banded(total)
    mean = np.asarray(cho_solve_banded((factor, False), moment))
    return _Posterior(mean, factor, 0.5 * float(moment @ mean) - float(np.sum(np.log(factor[2]))))


def _prior(knot: Float64, slope_sigma: float, wander: float) -> Float64:
    """Return the prior's precision of the values at the knots, banded, (3, knots)."""
    banded = np.zeros((3, knot.size))
    step = np.diff(knot)
    rise = np.array([-1.0, 1.0]) / step[0] / slope_sigma
    banded[2, :2] += rise**2
    banded[1, 1] += rise[0] * rise[1]
    turn = np.stack((1 / step[:-1], -1 / step[:-1] - 1 / step[1:], 1 / step[1:])) / np.sqrt(
        wander * (step[:-1] + step[1:]) / 2
    )
    for one in range(3):
        for other in range(one, 3):
            banded[2 - other + one, other : knot.size - 2 + other] += turn[one] * turn[other]
    return banded


def _knots(x: Float64, spacing: float) -> Float64:
    span = float(x[-1] - x[0])
    count = int(np.clip(span / spacing, 1, _MOST_KNOTS - 1)) + 1 if span > _ONE_PLACE else 1
    return np.asarray(np.linspace(float(x[0]), float(x[-1]), count))


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
    return BendingLine(*one, 0.0, 0.0, slope_sigma, LEAST_WANDER, weight, 1.0, bends=False)
