"""The peers: what anybody would try first, on the first principal component of whatever was recorded."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

_SMOOTH_HZ = 3.0


def first_component(values: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return the smoothed first principal component (n,) of ``values`` (n, columns), low where it mostly is."""
    step = max(1, round(rate_hz / 50))
    deviation = np.nan_to_num(values - np.nanmean(values, axis=0))
    signal = deviation @ np.linalg.svd(deviation[::step], full_matrices=False)[2][0]
    signal = sosfiltfilt(butter(2, min(_SMOOTH_HZ, 0.4 * rate_hz), fs=rate_hz, output="sos"), signal)
    return signal * (np.sign(np.mean(signal) - np.median(signal)) or 1.0)  # the body is at rest most of the time


def by_peaks(time_s: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return start, turn and end (k, 3): peaks, and the lowest points between the middles of their distances."""
    rate_hz = (len(time_s) - 1) / (time_s[-1] - time_s[0])
    peaks, _ = find_peaks(signal, prominence=0.5 * np.ptp(signal), distance=int(rate_hz))
    if not len(peaks):
        return np.empty((0, 3))
    edges = [0, *((peaks[:-1] + peaks[1:]) // 2), time_s.size - 1]
    rows = []
    for peak, left, right in zip(peaks, edges[:-1], edges[1:], strict=True):
        start = left + int(np.argmin(signal[left : peak + 1]))
        rows.append((time_s[start], time_s[peak], time_s[peak + int(np.argmin(signal[peak : right + 1]))]))
    return np.array(rows).reshape(-1, 3)


def by_threshold(time_s: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return start, turn and end (k, 3): where the signal is above a fifth of its range, for half a second or more."""
    low, high = np.percentile(signal, (2, 98))
    above = np.concatenate(([False], signal > low + 0.2 * (high - low), [False]))
    edges = np.diff(above.astype(int))
    rows = []
    for first, end in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True):
        if time_s[end - 1] - time_s[first] >= 0.5:
            rows.append((time_s[first], time_s[first + int(np.argmax(signal[first:end]))], time_s[end - 1]))
    return np.array(rows).reshape(-1, 3)
