"""Channels of any kind -> one motion: on one time base, and weighted by how repetitive they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import TakeError
from lab.motion_signal import MotionSignal
from sync.drive_signal import (
    COARSE_HZ,
    LONGEST_S,
    SHAPE_COMPONENTS,
    SMOOTH_HZ,
    Body,
    coarse_means,
    on_grid,
    principal,
    smoothed,
)
from sync.envelope import emg_envelope
from sync.euler_angles import without_flips
from sync.native_motion import NativeMotion

Float64 = npt.NDArray[np.float64]

#: Faster signals are averaged down to this: a boundary is read from nothing faster than 6 Hz.
_NATIVE_HZ: Final = 100.0
_MIN_PRESENT: Final = 0.5
_SHORTEST_S: Final = 2.0
#: What is larger is of no sensor, and would overflow where it is squared.
_LARGEST: Final = 1e100
#: A gap between samples longer than this is a gap on the common time base.
_GAP_S: Final = 0.5
#: Repetitions of 0.7 to 15 s are what is looked for where a channel's weight is decided.
_PERIOD_S: Final = (0.7, 15.0)
_SLOWEST_HZ: Final = 0.05
_LEAST_WEIGHT: Final = 0.02
#: Range of a channel without motion that noise of its strength would have after smoothing, in standard deviations, and
#: how many times that it must be to be kept.
_NOISE_RANGE: Final = 4.7
_ABOVE_NOISE: Final = 2.0
#: A sample so many standard deviations of the noise away from the middle one of three is a spike.
_SPIKE: Final = 6.0
_DRIFT_HZ: Final = 0.03
#: What is less aside of its level at rest than this part of its range may be a rate. The level is that of the stillest
#: part, per cent, of all windows of so many seconds.
_ASIDE: Final = 0.08
_STILL_S: Final = 0.5
_STILLEST: Final = 20
_STEADY: Final = 0.5


@dataclass(frozen=True)
class _Reduced:
    """Channels (n, channels) of one signal at no more than 100 Hz.

    ``group`` is the same for signals whose sizes compare; ``counts`` (channels,) is how much each is to count, 0 … 1.
    """

    time_s: Float64
    values: Float64
    group: int
    counts: Float64


def channel_motion(signals: Sequence[MotionSignal]) -> tuple[Body, NativeMotion] | None:
    """Return what moves in all channels of ``signals``, none of which are positions; None if too little is there.

    A raw sEMG channel becomes its envelope, a rotation rate the angle that it leads to, angles lose their jumps. Each
    channel is then measured in its own range, of which half (on a logarithmic scale) is forgiven where channels share a
    unit: a joint that hardly moves is not to count as much as one that does. Its weight is how well it repeats itself.

    Raises TakeError for a span of more than six hours.
    """
    reduced = [part for number, one in enumerate(signals) if (part := _reduced(one, number)) is not None]
    if not reduced:
        return None
    reduced = _together(reduced)
    time_s, values = _on_one_base(reduced)
    groups = np.concatenate([np.full(part.values.shape[1], part.group) for part in reduced])
    counts = np.concatenate([part.counts for part in reduced])
    span_s = float(time_s[-1] - time_s[0])
    if not span_s < LONGEST_S:
        raise TakeError(f"The signals span {span_s:.0f} s, longer than a set can be; check their time stamps.")
    if span_s < _SHORTEST_S:
        return None
    present = np.isfinite(values)
    enough = np.flatnonzero(present.mean(axis=0) >= _MIN_PRESENT)
    values, groups, counts, present = values[:, enough], groups[enough], counts[enough], present[:, enough]
    if not enough.size:
        return None
    grid, when, mean, seen = coarse_means(time_s, values, present)
    coarse = smoothed(on_grid(grid, when, mean, seen))
    low, middle, high = np.percentile(coarse, (1, 50, 99), axis=0)
    noise = np.array([_noise(column[np.isfinite(column)]) for column in values.T])
    per_bin = max(1.0, time_s.size / max(1, when.size))
    # White noise keeps this part of its standard deviation in the mean of a bin, smoothed.
    left_over = noise / np.sqrt(per_bin) * np.sqrt(min(1.0, 2 * SMOOTH_HZ / COARSE_HZ))
    width = high - low
    moves = (width > _ABOVE_NOISE * _NOISE_RANGE * left_over) & (width > 1e-9 * (np.abs(middle) + width))
    kept = np.flatnonzero(moves & (width > 0))
    if not kept.size:
        return None
    groups, width = groups[kept], width[kept]
    widest = np.array([np.max(width[groups == group]) for group in groups])
    weight = np.array([max(_LEAST_WEIGHT, repetitiveness(column)) for column in coarse[:, kept].T])
    factor = counts[kept] * weight / np.sqrt(width * widest)
    native = (values[:, kept] - middle[kept]) * factor
    motion = (coarse[:, kept] - middle[kept]) * factor
    centred = motion - np.median(motion, axis=0)
    speed = np.sqrt(np.mean(np.gradient(motion, 1 / COARSE_HZ, axis=0) ** 2, axis=1))
    body = Body(grid + time_s[0], motion, centred @ principal(centred, SHAPE_COMPONENTS), speed, np.arange(kept.size))
    return body, NativeMotion(time_s, native, of_points=False)


def repetitiveness(coarse: Float64) -> float:
    """Return, between 0 and 1, how well a signal (m,) on the coarse grid repeats itself within 0.7 to 15 s.

    It is the highest peak of its autocorrelation, without what is slower than a repetition, behind its first descent.
    """
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    size = next_fast_len(2 * coarse.size)
    spectrum = rfft(coarse - coarse.mean(), size)
    spectrum[rfftfreq(size, 1 / COARSE_HZ) < _SLOWEST_HZ] = 0
    correlation = irfft(np.abs(spectrum) ** 2, size)[: coarse.size]
    if correlation[0] <= 0:
        return 0.0
    lags = np.arange(coarse.size)
    correlation = correlation / correlation[0] * coarse.size / np.maximum(coarse.size - lags, coarse.size / 2)
    fallen = np.flatnonzero(correlation < 0)
    first = max(int(fallen[0]) if fallen.size else coarse.size, round(_PERIOD_S[0] * COARSE_HZ))
    part = correlation[first : round(_PERIOD_S[1] * COARSE_HZ) + 1]
    return float(np.clip(part.max(), 0.0, 1.0)) if part.size else 0.0


def _noise(values: Float64) -> float:
    """Return the standard deviation of the noise in a channel (n,), from how its neighbours differ."""
    if values.size < 3:
        return 0.0
    second = np.abs(values[2:] - 2 * values[1:-1] + values[:-2])
    return float(np.median(second) / (0.6745 * np.sqrt(6.0)))


def _reduced(signal: MotionSignal, number: int) -> _Reduced | None:
    """Return a signal's channels as motions, at no more than 100 Hz; None where there is nothing of them."""
    usable = np.isfinite(signal.time_s)
    if int(np.count_nonzero(usable)) < 10:
        return None
    time_s = signal.time_s[usable]
    if not bool(np.all(np.diff(time_s) > 0)):
        raise ValueError("times must be increasing")
    bins = _bins(time_s)
    gone = _gone(signal.values)[usable]
    columns = []
    for column in range(signal.values.shape[1]):  # one after the other: an hour of sixteen muscles is much
        channel = signal.values[usable, column].astype(np.float64)
        channel[gone | ~(np.abs(channel) < _LARGEST)] = np.nan
        if np.count_nonzero(np.isfinite(channel)) < _MIN_PRESENT * channel.size:
            continue
        if signal.kind == "emg":
            channel = emg_envelope(channel[:, None], signal.rate_hz, time_s)[:, 0]
        columns.append(channel if signal.kind == "angle" else _mean_in(bins, _despiked(channel, signal.kind)))
    if not columns:
        return None
    values = np.stack(columns, axis=1)
    if signal.kind == "angle":
        values = _mean_of_angles(values, bins)
    time_s = _mean_in(bins, time_s)
    if signal.kind == "rotation_rate":
        values = _integrated(time_s, values)
    counts = np.ones(values.shape[1])
    if signal.kind == "other":
        values, counts = _told_apart(time_s, values)
    return _Reduced(time_s, values, number, counts)


def _gone(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Mark samples (n,) of three or more channels that are all exactly zero: a device that had nothing to say."""
    if values.shape[1] < 3:
        return np.zeros(values.shape[0], dtype=np.bool_)
    return np.asarray(~(values != 0).any(axis=1))  # NaN differs from 0


def _despiked(channel: Float64, kind: str) -> Float64:
    """Return a channel (n,) without single samples that are far from both neighbours."""
    if kind == "emg" or channel.size < 3:
        return channel
    middle = np.maximum(
        np.minimum(channel[:-2], channel[1:-1]),
        np.minimum(np.maximum(channel[:-2], channel[1:-1]), channel[2:]),
    )
    far = np.abs(channel[1:-1] - middle) > _SPIKE * _noise(channel[np.isfinite(channel)])
    inner = np.where(far, middle, channel[1:-1])
    return np.concatenate((channel[:1], inner, channel[-1:]))


def _bins(time_s: Float64) -> npt.NDArray[np.intp] | None:
    """Return where each bin of 1/100 s begins, or None where a signal is no faster than that."""
    if time_s.size / max(float(time_s[-1] - time_s[0]), 1e-9) <= 1.2 * _NATIVE_HZ:
        return None
    number = np.floor((time_s - time_s[0]) * _NATIVE_HZ)
    return np.asarray(np.concatenate(([0], np.flatnonzero(np.diff(number)) + 1)))


def _mean_in(bins: npt.NDArray[np.intp] | None, channel: Float64) -> Float64:
    if bins is None:
        return channel
    seen = np.isfinite(channel)
    count = np.add.reduceat(seen, bins, dtype=np.float64)
    total = np.add.reduceat(np.where(seen, channel, 0.0), bins)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_of_angles(values: Float64, bins: npt.NDArray[np.intp] | None) -> Float64:
    """Return angles (n, channels) without their jumps, averaged; what is absent is bridged before, and absent again."""
    absent = ~np.isfinite(values)
    places = np.arange(len(values))
    filled = values.copy()
    for column in range(values.shape[1]):
        seen = ~absent[:, column]
        filled[:, column] = np.interp(places, places[seen], values[seen, column])
    steady = without_flips(filled)
    if steady.shape == values.shape:
        steady = np.where(absent, np.nan, steady)
    return np.stack([_mean_in(bins, column) for column in steady.T], axis=1)


def _integrated(time_s: Float64, rates: Float64) -> Float64:
    """Return the angles (n, channels) that rotation rates lead to, less what drifts."""
    from scipy.signal import butter, sosfiltfilt

    step_s = np.diff(time_s, prepend=time_s[:1])
    moving = np.where(np.isfinite(rates), rates - np.nanmedian(rates, axis=0), 0.0)
    angles = np.cumsum(moving * step_s[:, None], axis=0)
    rate_hz = 1 / float(np.median(np.diff(time_s)))
    high = butter(1, min(_DRIFT_HZ, 0.1 * rate_hz), "highpass", fs=rate_hz, output="sos")
    steady = sosfiltfilt(high, angles, axis=0, padlen=min(len(angles) - 1, round(10 * rate_hz)))
    return np.where(np.isfinite(rates), steady, np.nan)


def _told_apart(time_s: Float64, values: Float64) -> tuple[Float64, Float64]:
    """Return channels (n, channels) of which nothing is told, and how much (channels,) each is to count, 0 … 1.

    What goes out from rest and comes back is on one side of its level at rest; a rate of it is as much on either side,
    and a quarter of a repetition ahead. Rates count little beside others; where there are only rates, those are
    integrated of which that makes a motion.
    """
    aside = np.array([_aside(time_s, column) for column in values.T])
    if bool((aside >= _ASIDE).any()):
        return values, np.clip(aside / _ASIDE, _LEAST_WEIGHT, 1.0)
    integrals = _integrated(time_s, values)
    moves = np.array([_aside(time_s, column) for column in integrals.T]) >= _ASIDE
    moves &= np.array([_steadiness(column) for column in values.T]) > _STEADY  # the sum of noise wanders as well
    return np.where(moves, integrals, values), np.ones(values.shape[1])


def _steadiness(channel: Float64) -> float:
    """Return how alike neighbours of a channel (n,) are: 0 for white noise, 1 for what changes slowly."""
    values = channel[np.isfinite(channel)]
    spread = float(np.var(values)) if values.size > 2 else 0.0
    return 1 - float(np.mean(np.diff(values) ** 2)) / (2 * spread) if spread > 0 else 0.0


def _aside(time_s: Float64, channel: Float64) -> float:
    """Return how far a channel (n,) is from its level at rest on average, in parts of its range."""
    finite = np.isfinite(channel)
    values = channel[finite]
    length = max(2, round(_STILL_S * values.size / max(float(time_s[-1] - time_s[0]), 1e-9)))
    if values.size < 5 * length:
        return 1.0
    windows = values[: values.size // length * length].reshape(-1, length)
    spread = windows.std(axis=1)
    rest = float(np.median(windows[spread <= np.percentile(spread, _STILLEST)]))
    low, high = np.percentile(values, (1, 99))
    return abs(float(values.mean()) - rest) / float(high - low) if high > low else 0.0


def _together(parts: list[_Reduced]) -> list[_Reduced]:
    """Return the parts that run together; the longest alone where they never all do."""
    from_s, to_s = max(float(part.time_s[0]) for part in parts), min(float(part.time_s[-1]) for part in parts)
    if to_s - from_s >= _SHORTEST_S:
        return parts
    return [max(parts, key=lambda part: float(part.time_s[-1] - part.time_s[0]))]


def _on_one_base(parts: list[_Reduced]) -> tuple[Float64, Float64]:
    """Return common times (n,) and all channels there; those of one signal keep their own times."""
    if len(parts) == 1:
        return parts[0].time_s, parts[0].values
    rates = [1 / float(np.median(np.diff(part.time_s))) for part in parts]
    from_s, to_s = max(float(part.time_s[0]) for part in parts), min(float(part.time_s[-1]) for part in parts)
    rate_hz = min(_NATIVE_HZ, max(rates))
    time_s = from_s + np.arange(int((to_s - from_s) * rate_hz)) / rate_hz
    columns = []
    for part in parts:
        after = np.clip(np.searchsorted(part.time_s, time_s), 1, part.time_s.size - 1)
        gap = part.time_s[after] - part.time_s[after - 1] > _GAP_S
        for channel in part.values.T:
            seen = np.isfinite(channel)
            there = np.interp(time_s, part.time_s[seen], channel[seen]) if seen.any() else np.full(time_s.size, np.nan)
            columns.append(np.where(gap, np.nan, there))
    return np.asarray(time_s), np.stack(columns, axis=1)
