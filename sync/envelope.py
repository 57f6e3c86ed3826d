"""Surface EMG -> its linear envelope."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

BAND_HZ: Final = (20.0, 450.0)
ENVELOPE_HZ: Final = 6.0
#: Of the sampling rate; a filter's upper edge stays below it.
_EDGE_LIMIT: Final = 0.45
#: A step between samples longer than this many sample intervals parts the signal.
_GAP_STEPS: Final = 1.5
#: A piece shorter than this has no envelope: half a period of 6 Hz.
_SHORTEST_S: Final = 0.08


def emg_envelope(values_uv: npt.ArrayLike, rate_hz: float, time_s: npt.ArrayLike | None = None) -> Float64:
    """Return the linear envelope in microvolt, (samples, channels) as ``values_uv``.

    ``time_s`` (samples,) shows where samples were lost: pieces between gaps, and between values that are not finite,
    are filtered apart. What is not finite stays NaN; so does a piece shorter than 80 ms. Raises ValueError where
    shapes do not fit or the rate is too low for any band above 20 Hz.

    Band-pass 20–450 Hz (4th order Butterworth, run forward and backward, hence zero phase), full-wave rectification,
    low-pass 6 Hz (the same). The band follows SENIAM's recommendations for sEMG processing (Hermens et al. 1999,
    European Recommendations for Surface ElectroMyoGraphy), the name "linear envelope" and what to report ISEK's
    standards (Merletti & di Torino 1999, Standards for Reporting EMG Data). The upper edge is limited to 0.45 of
    the rate.
    """
    from scipy.signal import butter

    values = np.asarray(values_uv, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"values must have the shape (samples, channels), not {values.shape}")
    high_hz = min(BAND_HZ[1], _EDGE_LIMIT * rate_hz)
    if not np.isfinite(rate_hz) or high_hz <= BAND_HZ[0]:
        raise ValueError(f"an sEMG envelope needs more than {BAND_HZ[0] / _EDGE_LIMIT:.0f} Hz, not {rate_hz:g} Hz")
    band = butter(4, (BAND_HZ[0], high_hz), "bandpass", fs=rate_hz, output="sos")
    low = butter(4, ENVELOPE_HZ, "lowpass", fs=rate_hz, output="sos")
    breaks = np.zeros(0, dtype=np.intp)
    if time_s is not None:
        time = np.asarray(time_s, dtype=np.float64)
        if time.shape != (values.shape[0],):
            raise ValueError("time_s must have one entry a sample")
        breaks = np.flatnonzero(~(np.diff(time) < _GAP_STEPS / rate_hz)) + 1
    envelope = np.full(values.shape, np.nan)
    finite = np.isfinite(values)
    if bool(np.all(finite)):  # all channels at once
        for first, end in _runs(np.ones(values.shape[0], dtype=np.bool_), breaks):
            envelope[first:end] = _filtered(values[first:end], band, low, rate_hz)
        return envelope
    for channel in range(values.shape[1]):
        for first, end in _runs(finite[:, channel], breaks):
            piece = values[first:end, channel : channel + 1]
            envelope[first:end, channel : channel + 1] = _filtered(piece, band, low, rate_hz)
    return envelope


def _runs(present: npt.NDArray[np.bool_], breaks: npt.NDArray[np.intp]) -> list[tuple[int, int]]:
    """Return (first, end) of unbroken runs."""
    edges = np.flatnonzero(np.diff(present)) + 1
    bounds = np.unique(np.concatenate(([0], edges, breaks, [present.size])))
    return [(int(first), int(end)) for first, end in pairwise(bounds.tolist()) if present[first]]


def _filtered(piece: Float64, band: Float64, low: Float64, rate_hz: float) -> Float64:
    from scipy.signal import sosfiltfilt

    samples = piece.shape[0]
    if samples < _SHORTEST_S * rate_hz or samples < 4:
        return np.full(piece.shape, np.nan)
    # Reflected ends as long as the slow filter rings, where the piece is long enough.
    pad = min(samples - 1, round(rate_hz / ENVELOPE_HZ))
    in_band = sosfiltfilt(band, piece, axis=0, padlen=pad)
    smooth = sosfiltfilt(low, np.abs(in_band), axis=0, padlen=pad)
    return np.asarray(np.maximum(smooth, 0.0))
