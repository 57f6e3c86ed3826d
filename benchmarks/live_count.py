"""The count while a set is done: how far it is from the truth at every second, and what it costs.

Run from the project's root: ``python benchmarks/live_count.py [--seeds N] [--first SEED] [--actions A01,A05]``. The
poses are the virtual athlete's. A count is right if it lies between the repetitions that are over and those begun.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import numpy as np

from capture.live_count import COARSE_HZ, RunningCount, repetitions_so_far
from drivers.simulated.athlete import Athlete
from lab.actions import ACTIONS, SKILLS

NOISE_M = 0.0003
REPETITIONS = 10


def main() -> None:
    """Print a row for each action, then all together."""
    parser = argparse.ArgumentParser(description="Count repetitions of simulated sets at every second of them.")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--actions", default=",".join(ACTIONS))
    asked = parser.parse_args()
    whole: Counter[int] = Counter()
    costs_s: list[float] = []
    print(f"{'':8}{'seconds':>9}{'right':>9}{'off by 1':>10}{'by more':>9}")
    for action in asked.actions.split(","):
        rows: Counter[int] = Counter()
        for skill in SKILLS:
            for seed in range(asked.first, asked.first + asked.seeds):
                athlete = Athlete(seed, action, REPETITIONS, skill)
                time_s = np.arange(0.0, athlete.duration_s, 1 / COARSE_HZ)
                joints_m = athlete.joints_m(time_s)
                joints_m += np.random.default_rng(seed).normal(0.0, NOISE_M, joints_m.shape)
                running = RunningCount()
                for end in range(int(2 * COARSE_HZ), time_s.size, int(COARSE_HZ)):
                    began_s = time.process_time()
                    in_turn = ACTIONS[action].sides == "right_then_left"
                    found = repetitions_so_far(time_s[:end], joints_m[:end], in_turn=in_turn)
                    count = running.after(time_s[end - 1], found)
                    costs_s.append(time.process_time() - began_s)
                    over = sum(one.end_s <= time_s[end - 1] for one in athlete.repetitions)
                    begun = sum(one.start_s <= time_s[end - 1] for one in athlete.repetitions)
                    rows[max(0, over - count, count - begun)] += 1
        _row(action, rows)
        whole += rows
    _row("all", whole)
    print(f"one count takes {np.median(costs_s) * 1e3:.0f} ms, at most {np.max(costs_s) * 1e3:.0f} ms")


def _row(name: str, rows: Counter[int]) -> None:
    count = rows.total()
    more = sum(number for off, number in rows.items() if off > 1)
    print(f"{name:8}{count:>9}{rows[0] / count:>9.1%}{rows[1]:>10}{more:>9}", flush=True)


if __name__ == "__main__":
    main()
