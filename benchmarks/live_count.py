"""The count while a set is done: how far it is from the truth at every second, and what it costs.

Run from the project's root: ``python benchmarks/live_count.py [--seeds N] [--first SEED] [--actions A01,A05] [--emg]``.
The poses are the virtual athlete's; with ``--emg`` its target muscles' envelopes are counted on instead, which no
command does. A count is right if it lies between the repetitions that are over and those begun.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
from sensor_views import muscles

from capture.live_count import COARSE_HZ, RunningCount, repetitions_so_far
from drivers.simulated.athlete import Athlete
from lab.actions import ACTIONS, SKILLS
from lab.motion_signal import MotionSignal
from lab.repetitions import Repetition
from sync.envelope import emg_envelope
from sync.signal_repetitions import find_in_signals

NOISE_M = 0.0003
REPETITIONS = 10
#: An envelope holds nothing faster.
ENVELOPE_HZ = 50.0


class Pose:
    """An athlete's joints as they come in."""

    def __init__(self, athlete: Athlete, action: str, seed: int) -> None:
        """Perform the set."""
        self.time_s = np.arange(0.0, athlete.duration_s, 1 / COARSE_HZ)
        self._joints_m = athlete.joints_m(self.time_s)
        self._joints_m += np.random.default_rng(seed).normal(0.0, NOISE_M, self._joints_m.shape)
        self._in_turn = ACTIONS[action].sides == "right_then_left"

    def found(self, end: int) -> Sequence[Repetition]:
        """Return what the first ``end`` samples hold."""
        return repetitions_so_far(self.time_s[:end], self._joints_m[:end], in_turn=self._in_turn)


class Muscles:
    """An athlete's sEMG as it comes in."""

    def __init__(self, athlete: Athlete, action: str, seed: int) -> None:
        """Perform the set."""
        (self._emg,) = muscles(athlete, action, seed)
        self._step = round(self._emg.rate_hz / ENVELOPE_HZ)
        self.time_s = np.arange(0.0, self._emg.time_s[-1], 1 / COARSE_HZ)

    def found(self, end: int) -> Sequence[Repetition]:
        """Return what is found until the sample ``end`` of ``time_s``: no envelope knows what comes later."""
        samples = int(np.searchsorted(self._emg.time_s, self.time_s[end - 1], side="right"))
        envelope = emg_envelope(self._emg.values[:samples], self._emg.rate_hz)[:: self._step]
        times_s = self._emg.time_s[: samples : self._step]
        signal = MotionSignal("emg", "emg_envelope", times_s, envelope, self._emg.labels)
        return find_in_signals([signal]).repetitions


def main() -> None:
    """Print a row for each action, then all together."""
    parser = argparse.ArgumentParser(description="Count repetitions of simulated sets at every second of them.")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--actions", default=",".join(ACTIONS))
    parser.add_argument("--emg", action="store_true", help="count on sEMG")
    asked = parser.parse_args()
    whole: Counter[int] = Counter()
    costs_s: list[float] = []
    print(f"{'':8}{'seconds':>9}{'right':>9}{'off by 1':>10}{'by more':>9}{'at most':>9}")
    for action in asked.actions.split(","):
        rows: Counter[int] = Counter()
        for skill in SKILLS:
            for seed in range(asked.first, asked.first + asked.seeds):
                athlete = Athlete(seed, action, REPETITIONS, skill)
                stream = (Muscles if asked.emg else Pose)(athlete, action, seed)
                running = RunningCount()
                for end in range(int(2 * COARSE_HZ), stream.time_s.size, int(COARSE_HZ)):
                    now_s = stream.time_s[end - 1]
                    began_s = time.process_time()
                    count = running.after(now_s, stream.found(end))
                    costs_s.append(time.process_time() - began_s)
                    over = sum(one.end_s <= now_s for one in athlete.repetitions)
                    begun = sum(one.start_s <= now_s for one in athlete.repetitions)
                    rows[max(0, over - count, count - begun)] += 1
        _row(action, rows)
        whole += rows
    _row("all", whole)
    print(f"one count takes {np.median(costs_s) * 1e3:.0f} ms, at most {np.max(costs_s) * 1e3:.0f} ms")


def _row(name: str, rows: Counter[int]) -> None:
    count = rows.total()
    more = sum(number for off, number in rows.items() if off > 1)
    print(f"{name:8}{count:>9}{rows[0] / count:>9.1%}{rows[1]:>10}{more:>9}{max(rows):>9}", flush=True)


if __name__ == "__main__":
    main()
