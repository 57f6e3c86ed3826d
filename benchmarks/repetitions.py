"""Segmenter against the virtual athlete's truth, beside peaks of the first principal component.

Run from the project's root: ``python benchmarks/repetitions.py [seeds]``, or with ``--real FOLDER`` on the two real
recordings ``squats1.trc`` and ``uiprmd_vicon_positions_s02_50hz.npz`` in that folder. The segmenter was built with both
at hand: they show that it works there, not how well it does elsewhere.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.signal import butter, find_peaks, sosfiltfilt

from drivers.simulated.athlete import Athlete
from storage.trc_file import read_trc
from sync.repetitions import find_repetitions

RATE_HZ = 100.0
NOISE_M = 0.3e-3
REPETITIONS = 10

#: Where the five squats of ``squats1.trc`` are deepest, by eye, in seconds of the file.
SQUAT_BOTTOMS_S = (1.35, 3.95, 6.7, 9.35, 12.25)


def by_peaks(time_s: np.ndarray, joints_m: np.ndarray, rate_hz: float = RATE_HZ) -> np.ndarray:
    """Peer: peaks of the first principal component; starts and ends are the lowest points half-way between them."""
    flat = (joints_m - joints_m.mean(axis=1, keepdims=True)).reshape(time_s.size, -1)
    deviation = flat - flat.mean(axis=0)
    signal = deviation @ np.linalg.svd(deviation, full_matrices=False)[2][0]
    signal = sosfiltfilt(butter(2, 3.0, fs=rate_hz, output="sos"), signal)
    signal *= np.sign(np.mean(signal) - np.median(signal))  # the body stands most of the time
    peaks, _ = find_peaks(signal, prominence=0.5 * np.ptp(signal), distance=int(rate_hz))
    if not len(peaks):
        return np.empty((0, 3))
    edges = [0, *((peaks[:-1] + peaks[1:]) // 2), time_s.size - 1]
    rows = []
    for peak, left, right in zip(peaks, edges[:-1], edges[1:], strict=True):
        start = left + int(np.argmin(signal[left : peak + 1]))
        rows.append((time_s[start], time_s[peak], time_s[peak + int(np.argmin(signal[peak : right + 1]))]))
    return np.array(rows).reshape(-1, 3)


def on_athletes(seeds: int) -> None:
    """Print count and boundary errors of both on the virtual athlete."""
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


def on_real_recordings(folder: Path) -> None:
    """Print how both agree with what people listed for real recordings."""
    squats = read_trc(folder / "squats1.trc")
    found = find_repetitions(squats.time_s, squats.positions, len(SQUAT_BOTTOMS_S)).repetitions
    ours = np.array([one.turn_s for one in found])
    theirs = by_peaks(squats.time_s, np.nan_to_num(squats.positions))[:, 1]
    for name, turns in (("flex-capture", ours), ("find_peaks on PC 1", theirs)):
        print(f"squats1.trc, {name}: {len(turns)} of {len(SQUAT_BOTTOMS_S)}; turns {np.round(turns, 2).tolist()} s")
        if len(turns) == len(SQUAT_BOTTOMS_S):
            print(f"  less the listed bottoms: {np.round((turns - SQUAT_BOTTOMS_S) * 1e3).astype(int).tolist()} ms")
    archive = np.load(folder / "uiprmd_vicon_positions_s02_50hz.npz")
    rate_hz = float(archive["fs"])
    print(
        f"UI-PRMD subject 2, ten exercises x 10: {'exact':>14}{'F1':>7}{'start p50/p95 ms':>18}{'end p50/p95 ms':>17}"
    )
    for name in ("flex-capture", "find_peaks on PC 1"):
        exact, total, errors = 0, 0, []
        for exercise in range(1, 11):
            points = archive[f"m{exercise:02d}s02_X"]
            points_m, time_s = points.reshape(len(points), -1, 3) / 1e3, np.arange(len(points)) / rate_hz
            if name == "flex-capture":
                spans = [(one.start_s, one.end_s) for one in find_repetitions(time_s, points_m, 10).repetitions]
            else:
                spans = [(row[0], row[2]) for row in by_peaks(time_s, points_m, rate_hz)]
            truth = archive[f"m{exercise:02d}s02_T"]
            exact += len(spans) == len(truth)
            total += len(spans) + len(truth)
            errors += _matched_ms(spans, truth)
        table = np.abs(np.array(errors).reshape(-1, 2))
        line = f"{name:39}{exact:>10}/10{2 * len(errors) / total:>7.3f}"
        print(line + "".join(f"{np.median(part):>11.0f} /{np.percentile(part, 95):>5.0f}" for part in table.T))


def _matched_ms(spans: list[tuple[float, float]], truth: np.ndarray) -> list[tuple[float, float]]:
    """Return start and end errors of every true repetition that a found one overlaps by more than half."""
    errors = []
    for start_s, end_s in truth:
        for found_start_s, found_end_s in spans:
            both = min(end_s, found_end_s) - max(start_s, found_start_s)
            if both > 0.5 * (max(end_s, found_end_s) - min(start_s, found_start_s)):
                errors.append(((found_start_s - start_s) * 1e3, (found_end_s - end_s) * 1e3))
                break
    return errors


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description="Find repetitions in simulated or real poses.")
    parser.add_argument("seeds", type=int, nargs="?", default=20)
    parser.add_argument("--real", type=Path, help="folder of the two real recordings")
    asked = parser.parse_args()
    if asked.real is not None:
        on_real_recordings(asked.real)
    else:
        on_athletes(asked.seeds)


if __name__ == "__main__":
    main()
