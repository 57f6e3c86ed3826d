"""Time stamps against the truth, and how long they take: ``sync`` and pyxdf on the same files in one run.

Run from the project's root: ``python benchmarks/sync_figures.py``. (``benchmarks/sync.py`` would hide the room of that
name from all benchmarks.) The truth is absolute: the mean delay of arrivals counts as error. pyxdf is asked for its
defaults, which synchronise clocks and remove jitter.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from simulated_links import Recording, recording_of, scenarios, write_recording

from sync.align import align_stream

Float64 = npt.NDArray[np.float64]


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


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Accuracy and cost of synchronisation, beside pyxdf.")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenario", default="", help="only those whose name contains this")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        accuracy(asked.seeds, asked.scenario, Path(folder))


if __name__ == "__main__":
    main()
