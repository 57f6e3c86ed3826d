"""Segmenter against the virtual athlete's truth, beside peaks of the first principal component.

Run from the project's root: ``python benchmarks/repetitions.py [seeds]``.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from drivers.simulated.athlete import Athlete
from sync.repetitions import find_repetitions

RATE_HZ = 100.0
NOISE_M = 0.3e-3
REPETITIONS = 10


def by_peaks(time_s: np.ndarray, joints_m: np.ndarray) -> np.ndarray:
    """Peer: peaks of the first principal component; starts and ends are the lowest points half-way between them."""
    flat = (joints_m - joints_m.mean(axis=1, keepdims=True)).reshape(time_s.size, -1)
    deviation = flat - flat.mean(axis=0)
    signal = deviation @ np.linalg.svd(deviation, full_matrices=False)[2][0]
    signal = sosfiltfilt(butter(2, 3.0, fs=RATE_HZ, output="sos"), signal)
    signal *= np.sign(np.mean(signal) - np.median(signal))  # the body stands most of the time
    peaks, _ = find_peaks(signal, prominence=0.5 * np.ptp(signal), distance=int(RATE_HZ))
    edges = [0, *((peaks[:-1] + peaks[1:]) // 2), time_s.size - 1]
    rows = []
    for peak, left, right in zip(peaks, edges[:-1], edges[1:], strict=True):
        start = left + int(np.argmin(signal[left : peak + 1]))
        rows.append((time_s[start], time_s[peak], time_s[peak + int(np.argmin(signal[peak : right + 1]))]))
    return np.array(rows).reshape(-1, 3)


def main() -> None:
    """Print count and boundary errors of both."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rows: dict[str, list[np.ndarray]] = {"flex-capture": [], "find_peaks on PC 1": []}
    exact = dict.fromkeys(rows, 0)
    seconds = dict.fromkeys(rows, 0.0)
    for seed in range(seeds):
        athlete = Athlete(seed, "A16", REPETITIONS)
        time_s = np.arange(0.0, athlete.duration_s, 1 / RATE_HZ)
        joints_m = athlete.joints_m(time_s)
        joints_m = joints_m + np.random.default_rng(seed).normal(0.0, NOISE_M, joints_m.shape)
        truth = np.array([(one.start_s, one.turn_s, one.end_s) for one in athlete.repetitions])
        for name, parts in rows.items():
            began = time.perf_counter()
            if name == "flex-capture":
                found = find_repetitions(time_s, joints_m, REPETITIONS).repetitions
                times = np.array([(one.start_s, one.turn_s, one.end_s) for one in found]).reshape(-1, 3)
            else:
                times = by_peaks(time_s, joints_m)
            seconds[name] += time.perf_counter() - began
            if len(times) == len(truth):
                exact[name] += 1
                parts.append(np.abs(times - truth) * 1e3)
    print(f"{seeds} sets of {REPETITIONS} squats at {RATE_HZ:g} Hz, {NOISE_M * 1e3:g} mm noise; errors in ms")
    print(f"{'':20}{'exact':>8}{'ms/set':>8}{'start p50/p95':>16}{'turn p50/p95':>16}{'end p50/p95':>16}")
    for name, parts in rows.items():
        line = f"{name:20}{exact[name]:>5}/{seeds:<2}{seconds[name] / seeds * 1e3:>8.0f}"
        errors = np.concatenate(parts) if parts else np.full((1, 3), np.nan)
        for column in errors.T:
            line += f"{np.median(column):>9.0f} /{np.percentile(column, 95):>5.0f}"
        print(line)


if __name__ == "__main__":
    main()
