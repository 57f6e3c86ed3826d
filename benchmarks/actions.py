"""Segmenter on all twenty actions at three skill levels, beside peaks of the first principal component.

Run from the project's root: ``python benchmarks/actions.py [--seeds N] [--actions A01,A05] [--first SEED]``. The poses
are the virtual athlete's at 100 Hz with 0.3 mm noise; the segmenter and the athlete come from the same hands.
"""

from __future__ import annotations

import argparse

import numpy as np
from repetitions import NOISE_M, RATE_HZ, REPETITIONS, by_peaks

from drivers.simulated.athlete import Athlete
from lab.actions import ACTIONS, SKILLS, Skill
from sync.repetitions import find_repetitions

_OURS, _PEERS = "flex-capture", "find_peaks on PC 1"


def one_set(action: str, skill: Skill, seed: int) -> dict[str, np.ndarray | None]:
    """Return errors (repetitions, 3) in ms of start, turn and end for each method; None where its count is wrong."""
    athlete = Athlete(seed, action, REPETITIONS, skill)
    time_s = np.arange(0.0, athlete.duration_s, 1 / RATE_HZ)
    joints_m = athlete.joints_m(time_s)
    joints_m = joints_m + np.random.default_rng(seed).normal(0.0, NOISE_M, joints_m.shape)
    truth = np.array([(one.start_s, one.turn_s, one.end_s) for one in athlete.repetitions])
    in_turn = ACTIONS[action].sides == "right_then_left"
    found = find_repetitions(time_s, joints_m, REPETITIONS, in_turn=in_turn).repetitions
    ours = np.array([(one.start_s, one.turn_s, one.end_s) for one in found]).reshape(-1, 3)
    results: dict[str, np.ndarray | None] = {}
    for name, times in ((_OURS, ours), (_PEERS, by_peaks(time_s, joints_m))):
        results[name] = (times - truth) * 1e3 if len(times) == len(truth) else None
    return results


def main() -> None:
    """Print a row for each action and level, then all together."""
    parser = argparse.ArgumentParser(description="Find repetitions of all actions in simulated poses.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--actions", default=",".join(ACTIONS))
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    whole: dict[str, list[np.ndarray | None]] = {_OURS: [], _PEERS: []}
    print(f"{len(seeds)} sets of {REPETITIONS} each; exact counts, and errors in ms as median/95th percentile")
    print(f"{'':32}{'exact':>6}{'peaks':>6}{'start':>12}{'turn':>12}{'end':>12}  wrong seeds")
    for action in asked.actions.split(","):
        for skill in SKILLS:
            rows = [one_set(action, skill, seed) for seed in seeds]
            for name, parts in whole.items():
                parts += [row[name] for row in rows]
            ours = [row[_OURS] for row in rows]
            wrong = [seed for seed, row in zip(seeds, ours, strict=True) if row is None]
            title = f"{ACTIONS[action].title}, {skill}"
            exact = sum(row[_PEERS] is not None for row in rows)
            print(f"{title:32}{len(seeds) - len(wrong):>6}{exact:>6}{_columns(ours)}  {wrong or ''}", flush=True)
    for name, parts in whole.items():
        counted = sum(part is not None for part in parts)
        print(f"{name:32}{counted:>6} of {len(parts)}{_columns(parts)}")
        inside = [part for part in parts if part is not None]
        if inside:
            every = np.abs(np.concatenate(inside))
            print(f"{'':32}all boundaries: median {np.median(every):.0f} ms, worst {np.max(every):.0f} ms")


def _columns(parts: list[np.ndarray | None]) -> str:
    inside = [part for part in parts if part is not None]
    if not inside:
        return ""
    every = np.abs(np.concatenate(inside))
    return "".join(f"{np.median(part):>6.0f}/{np.percentile(part, 95):<5.0f}" for part in every.T)


if __name__ == "__main__":
    main()
