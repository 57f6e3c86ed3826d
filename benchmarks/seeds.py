"""Many offline takes against their truth: repetition count, boundary errors, stamp errors.

Run from the project's root: ``python benchmarks/seeds.py --seeds 20 [--cameras]``. Every seed is another athlete, other
arrivals and other noise; each take goes through storage, sync and the segmenter as a recorded one does. Cameras get
small images, since drawing takes time and does not matter here.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from offline_take import record_offline
from truth import OURS, Evaluation, evaluate, print_boundaries, print_stamps

SMALL_IMAGES = {"width": 320, "height": 240}


@dataclass(frozen=True)
class Summary:
    """All takes together. ``exact`` counts those with as many repetitions as were performed."""

    takes: tuple[Evaluation, ...]

    @property
    def exact(self) -> int:
        """Takes whose count was right."""
        return sum(take.found == take.expected for take in self.takes)

    @property
    def boundaries(self) -> np.ndarray:
        """Errors (repetitions, 3) in ms."""
        return np.concatenate([take.boundaries for take in self.takes])

    @property
    def stamps(self) -> dict[str, dict[str, np.ndarray]]:
        """Errors by stream and method in ms."""
        first = self.takes[0].stamps
        return {
            stream: {method: np.concatenate([take.stamps[stream][method] for take in self.takes]) for method in methods}
            for stream, methods in first.items()
        }

    @property
    def claimed_ms(self) -> dict[str, float]:
        """The median of what the takes report as standard error."""
        streams = self.takes[0].stamps
        return {stream: float(np.median([take.claimed_ms[stream] for take in self.takes])) for stream in streams}

    def within_two_errors(self, stream: str) -> float:
        """Return the share of takes whose median stamp error is within twice the standard error they report."""
        inside = [
            np.median(np.abs(take.stamps[stream][OURS])) <= 2 * take.claimed_ms[stream] for take in self.takes
        ]  # fmt: skip
        return float(np.mean(inside))


def run(seeds: int, repetitions: int = 10, *, cameras: bool = False, first: int = 0) -> Summary:
    """Make and evaluate a take for each seed; nothing stays on the disk."""
    takes = []
    for seed in range(first, first + seeds):
        with tempfile.TemporaryDirectory() as scratch:
            folder = record_offline(
                Path(scratch), seed=seed, repetitions=repetitions, cameras=cameras, options=SMALL_IMAGES
            )
            takes.append(evaluate(folder))
    return Summary(tuple(takes))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="Offline takes of many seeds against their truth.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--reps", type=int, default=10)
    parser.add_argument("--cameras", action="store_true")
    asked = parser.parse_args()
    summary = run(asked.seeds, asked.reps, cameras=asked.cameras, first=asked.first)
    print(f"{summary.exact} of {asked.seeds} takes have exactly {asked.reps} repetitions")
    print_boundaries(summary.boundaries)
    print_stamps(summary.stamps, summary.claimed_ms)
    shares = ", ".join(f"{stream} {summary.within_two_errors(stream):.0%}" for stream in summary.stamps)
    print(f"takes whose median error is within twice the claimed standard error: {shares}")


if __name__ == "__main__":
    main()
