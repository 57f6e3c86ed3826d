"""Time stamps against the truth, and how long they take: ``sync`` and pyxdf on the same files in one run.

Run from the project's root: ``python benchmarks/sync_figures.py``. (``benchmarks/sync.py`` would hide the room of that
name from all benchmarks.) The truth is absolute: the mean delay of arrivals counts as error. pyxdf is asked for its
defaults, which synchronise clocks and remove jitter.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from peak_memory import Peak
from simulated_links import Link, Recording, recording_of, scenarios, write_recording

from storage.recorded_streams import recorded_streams
from storage.xdf_reader import read_xdf
from sync.align import align_stream

Float64 = npt.NDArray[np.float64]

#: A pose, sEMG, five cameras' rows and a vest, as a lab records them: (rate in Hz, channels, samples a chunk).
MIX: Final = ((100.0, 63, 5), (2000.0, 16, 54), *((30.0, 5, 1),) * 5, (1.0, 2, 1))
OURS, PEER = "flex-capture", "pyxdf"


@dataclass(frozen=True)
class Errors:
    """Absolute errors of time stamps in ms, and what was said of them."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    claimed_ms: float = float("nan")


def ours(recording: Recording) -> Errors:
    """Synchronise a recording with ours, without a detour over a file."""
    aligned, report = align_stream(recording.stream, 0.0, 5.0)[:2]
    return _errors(
        aligned.time_s - recording.true_s[aligned_rows(recording, aligned.counter)], report.uncertainty_p99_ms
    )


def aligned_rows(recording: Recording, counter: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Return which of the recorded samples were kept: exact duplicates are dropped."""
    if not recording.link.resent:
        return np.arange(counter.size)
    return np.unique(recording.true_s, return_index=True)[1]


def peer(path: Path, recording: Recording) -> Errors:
    """Synchronise the first stream of a file with pyxdf."""
    import pyxdf

    streams, _ = pyxdf.load_xdf(str(path))
    stamps = next(stream["time_stamps"] for stream in streams if stream["info"]["stream_id"] == 1)
    return _errors(stamps - recording.true_s)


def _errors(error_s: Float64, claimed_ms: float = float("nan")) -> Errors:
    wrong = np.abs(error_s) * 1e3
    p50, p99 = np.quantile(wrong, (0.5, 0.99))
    return Errors(float(p50), float(p99), float(wrong.max()), claimed_ms)


def accuracy(seeds: int, chosen: str, folder: Path) -> None:
    """Print a line a scenario: the median over the seeds."""
    print(
        f"{'':30}{'ours: p50':>11}{'p99':>9}{'max':>9}{'claimed':>9}{'pyxdf: p50':>12}{'p99':>9}{'max':>9}   p99 ratio"
    )
    for name, link in scenarios():
        if chosen not in name:
            continue
        found, others = [], []
        for seed in range(seeds):
            recording = recording_of(replace(link, seed=seed))
            path = folder / "link.xdf"
            write_recording(recording, path)
            found.append(ours(recording))
            others.append(peer(path, recording))
            path.unlink()
        mine, theirs = (
            np.median([[e.p50_ms, e.p99_ms, e.max_ms, e.claimed_ms] for e in es], axis=0) for es in (found, others)
        )
        print(
            f"{name:30}{mine[0]:11.4f}{mine[1]:9.4f}{mine[2]:9.3f}{mine[3]:9.4f}"
            f"{theirs[0]:12.2f}{theirs[1]:9.2f}{theirs[2]:9.1f}{theirs[1] / mine[1]:12.0f}"
        )


def write_mix(path: Path, minutes: float, streams: int) -> None:
    """Write a recording of the first ``streams`` of the mix."""
    plain = Link(seconds=60.0 * minutes, drift=30e-6, host_drift=-20e-6)
    recordings = [
        recording_of(replace(plain, rate_hz=rate_hz, channels=channels, chunk=chunk, seed=number))
        for number, (rate_hz, channels, chunk) in enumerate(MIX[:streams])
    ]
    write_recording(recordings[0], path, others=tuple(recordings[1:]))


def cost_here(method: str, path: Path) -> dict[str, float]:
    """Read and synchronise a file in this process; return processor seconds and growth of the peak memory in MB."""
    import psutil
    import pyxdf
    import scipy.linalg
    import scipy.ndimage  # noqa: F401 - both start with everything imported

    peak = Peak(psutil.Process())
    before = peak.now()
    began_s = time.process_time()
    size = 0
    if method == OURS:
        notes: list[str] = []
        for stream in recorded_streams(read_xdf(path), notes):
            aligned, *_ = align_stream(stream, 0.0, 5.0)
            size += aligned.values.nbytes + aligned.time_s.nbytes
            del aligned
    else:
        for stream in pyxdf.load_xdf(str(path))[0]:
            size += stream["time_series"].nbytes + stream["time_stamps"].nbytes
    return {"seconds": time.process_time() - began_s, "peak_mb": peak.highest() - before, "result_mb": size / 1e6}


def cost(path: Path, method: str) -> dict[str, float]:
    """Do so in a process of its own, on one core."""
    alone = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, __file__, "--method", method, "--file", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=alone)
    return dict(json.loads(done.stdout))


def costs(folder: Path, minutes: list[float], rounds: int) -> None:
    """Print what reading and synchronising takes, how it grows with length and streams, and pyxdf's the same."""
    print(f"{'minutes':>8}{'streams':>9}{'file MB':>9}{'':15}{'s':>8}{'ratio':>8}{'peak MB':>9}{'ratio':>8}")
    longest = max(minutes)
    for length, streams in [*((length, len(MIX)) for length in minutes), (longest, 2), (longest, 4)]:
        path = folder / "mix.xdf"
        write_mix(path, length, streams)
        found = {}
        for method in (OURS, PEER):
            rows = [cost(path, method) for _ in range(rounds if method == OURS else 1)]
            found[method] = min(rows, key=lambda row: row["seconds"])
        size_mb = path.stat().st_size / 1e6
        path.unlink()
        for method, row in found.items():
            own = found[OURS]
            print(
                f"{length:8g}{streams:9}{size_mb:9.0f}   {method:12}{row['seconds']:8.2f}"
                f"{row['seconds'] / own['seconds']:8.1f}{row['peak_mb']:9.0f}{row['peak_mb'] / own['peak_mb']:8.1f}",
                flush=True,
            )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Accuracy and cost of synchronisation, beside pyxdf.")
    parser.add_argument("--figures", choices=("accuracy", "cost"), help="only these")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenario", default="", help="only those whose name contains this")
    parser.add_argument("--minutes", type=float, nargs="+", default=[10.0, 30.0, 60.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--method", choices=(OURS, PEER), help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.method:
        print(json.dumps(cost_here(asked.method, asked.file)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.figures != "cost":
            accuracy(asked.seeds, asked.scenario, Path(folder))
        if asked.figures != "accuracy":
            costs(Path(folder), asked.minutes, asked.rounds)


if __name__ == "__main__":
    main()
