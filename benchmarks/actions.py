"""Segmenter on all twenty actions at three skill levels, beside peaks of the first principal component.

Run from the project's root: ``python benchmarks/actions.py [--seeds N] [--first SEED] [--actions A01,A05]``. The poses
are the virtual athlete's at 100 Hz with 0.3 mm noise; the segmenter and the athlete come from the same hands.
``--partial``, ``--failed`` and ``--paused`` let that many repetitions of each set go wrong; what was said about them is
counted. ``--worst N --pictures FOLDER`` draws the N sets with a wrong count or else the largest boundary errors: the
repetition with that error, or the first that went wrong.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hardships import NOISE_M, RATE_HZ
from repetitions import REPETITIONS
from simple_segmenters import by_peaks, first_component

from drivers.simulated.athlete import Athlete
from drivers.simulated.tempo import Mishaps
from lab.actions import ACTIONS, SKILLS, Skill
from lab.repetitions import Repetition, Segmentation
from sync.repetitions import find_repetitions

_OURS, _PEERS = "flex-capture", "find_peaks on PC 1"
_MOMENTS = ("start", "turn", "end")


@dataclass(frozen=True)
class PlayedSet:
    """One set: who performed what, and the poses ``joints_m`` (n, 21, 3) at ``time_s`` (n,)."""

    action: str
    skill: Skill
    seed: int
    truth: tuple[Repetition, ...]
    time_s: np.ndarray
    joints_m: np.ndarray

    @property
    def first_mishap(self) -> int | None:
        """The first repetition, from 1, that went wrong."""
        return next((number for number, one in enumerate(self.truth, start=1) if one.doubts), None)

    @property
    def title(self) -> str:
        """What the set is, for people."""
        return f"{ACTIONS[self.action].title}, {self.skill}, seed {self.seed}"


@dataclass(frozen=True)
class Outcome:
    """What came out of one set.

    ``errors`` (repetitions, 3) in ms of start, turn and end for each method; None where its count is wrong. ``said``
    counts pairs of what happened ("" for a plain repetition) and whether it was found and doubted. ``first_missed`` is
    the first repetition, from 1, that was not found.
    """

    action: str
    skill: Skill
    seed: int
    errors: dict[str, np.ndarray | None]
    said: Counter[tuple[str, str]]
    doubted: bool
    first_missed: int | None

    @property
    def worst(self) -> tuple[float, int, str]:
        """The largest error of ours in ms, the repetition it is of, from 1, and which moment."""
        ours = self.errors[_OURS]
        if ours is None:
            return float("inf"), self.first_missed or 1, "count"
        row, column = np.unravel_index(np.argmax(np.abs(ours)), ours.shape)
        return float(abs(ours[row, column])), int(row) + 1, _MOMENTS[int(column)]


def play(action: str, skill: Skill, seed: int, mishaps: Mishaps = Mishaps()) -> PlayedSet:  # noqa: B008 - frozen
    """Return a performed set."""
    athlete = Athlete(seed, action, REPETITIONS, skill, mishaps)
    time_s = np.arange(0.0, athlete.duration_s, 1 / RATE_HZ)
    joints_m = athlete.joints_m(time_s)
    joints_m = joints_m + np.random.default_rng(seed).normal(0.0, NOISE_M, joints_m.shape)
    return PlayedSet(action, skill, seed, athlete.repetitions, time_s, joints_m)


def find(played: PlayedSet) -> Segmentation:
    """Return what the segmenter finds in a set, asked for the usual count."""
    in_turn = ACTIONS[played.action].sides == "right_then_left"
    return find_repetitions(played.time_s, played.joints_m, REPETITIONS, in_turn=in_turn)


def judge(played: PlayedSet) -> Outcome:
    """Compare what both methods find with what was performed."""
    truth = np.array([(one.start_s, one.turn_s, one.end_s) for one in played.truth])
    found = find(played)
    ours = np.array([(one.start_s, one.turn_s, one.end_s) for one in found.repetitions]).reshape(-1, 3)
    errors: dict[str, np.ndarray | None] = {}
    for name, times in ((_OURS, ours), (_PEERS, _by_peaks(played))):
        errors[name] = (times - truth) * 1e3 if len(times) == len(truth) else None
    standings = [_standing(one, found) for one in played.truth]
    kinds = [one.doubts[0] if one.doubts else "" for one in played.truth]
    first_missed = standings.index("missed") + 1 if "missed" in standings else None
    doubted = bool(found.doubts) or any(one.doubts for one in found.repetitions)
    said = Counter(zip(kinds, standings, strict=True))
    return Outcome(played.action, played.skill, played.seed, errors, said, doubted, first_missed)


def _by_peaks(played: PlayedSet) -> np.ndarray:
    joints_m = played.joints_m - played.joints_m.mean(axis=1, keepdims=True)
    return by_peaks(played.time_s, first_component(joints_m.reshape(len(joints_m), -1), RATE_HZ))


def _standing(one: Repetition, found: Segmentation) -> str:
    """Say whether a performed repetition was found, which takes an overlap of one half, and doubted."""
    for other in found.repetitions:
        both = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
        if both > 0.5 * (max(one.end_s, other.end_s) - min(one.start_s, other.start_s)):
            return "found, doubted" if other.doubts else "found"
    return "missed"


def main() -> None:
    """Print a row for each action and level, then all together; draw the worst if asked."""
    parser = argparse.ArgumentParser(description="Find repetitions of all actions in simulated poses.")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--actions", default=",".join(ACTIONS))
    for kind in ("partial", "failed", "paused"):
        parser.add_argument(f"--{kind}", type=int, default=0, help="how many of each set")
    parser.add_argument("--worst", type=int, default=0, help="name so many of the worst sets")
    parser.add_argument("--pictures", type=Path, help="folder for pictures of them")
    asked = parser.parse_args()
    mishaps = Mishaps(asked.partial, asked.failed, asked.paused)
    seeds = range(asked.first, asked.first + asked.seeds)
    whole: list[Outcome] = []
    print(f"{len(seeds)} sets of {REPETITIONS} each; exact counts, and errors in ms as median/95th percentile")
    print(f"{'':32}{'exact':>6}{'peaks':>6}{'start':>12}{'turn':>12}{'end':>12}  wrong seeds")
    for action in asked.actions.split(","):
        for skill in SKILLS:
            rows = [judge(play(action, skill, seed, mishaps)) for seed in seeds]
            whole += rows
            ours = [row.errors[_OURS] for row in rows]
            wrong = [row.seed for row in rows if row.errors[_OURS] is None]
            title = f"{ACTIONS[action].title}, {skill}"
            exact = sum(row.errors[_PEERS] is not None for row in rows)
            print(f"{title:32}{len(seeds) - len(wrong):>6}{exact:>6}{_columns(ours)}  {wrong or ''}", flush=True)
    _print_all(whole)
    worst = sorted(whole, key=lambda one: -one.worst[0])[: asked.worst]
    for outcome in worst:
        error_ms, number, moment = outcome.worst
        played = play(outcome.action, outcome.skill, outcome.seed, mishaps)
        what = "wrong count" if moment == "count" else f"{moment} of repetition {number}, {error_ms:.0f} ms"
        print(f"{played.title}: {what}")
        if asked.pictures is not None:
            draw(played, played.first_mishap or number, asked.pictures)


def draw(played: PlayedSet, number: int, folder: Path) -> Path:
    """Draw repetition ``number`` (from 1) of a set into a PNG in ``folder``, and return its path."""
    import cv2
    from set_picture import picture_of

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{played.action}-{played.skill}-{played.seed}.png"
    image = picture_of(played.time_s, played.joints_m, played.truth, find(played).repetitions, number, played.title)
    done, encoded = cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert done
    path.write_bytes(encoded.tobytes())
    return path


def _print_all(whole: list[Outcome]) -> None:
    for name in (_OURS, _PEERS):
        parts = [one.errors[name] for one in whole]
        inside = [part for part in parts if part is not None]
        print(f"{name:32}{len(inside):>6} of {len(parts)}{_columns(parts)}")
        if inside:
            every = np.abs(np.concatenate(inside))
            print(f"{'':32}all boundaries: median {np.median(every):.0f} ms, worst {np.max(every):.0f} ms")
    said: Counter[tuple[str, str]] = sum((one.said for one in whole), Counter())
    for (kind, standing), count in sorted(said.items()):
        print(f"{kind or 'plain'} repetitions {standing}: {count}")
    wrong = [one for one in whole if one.errors[_OURS] is None]
    print(f"wrong counts that nothing was said about: {sum(not one.doubted for one in wrong)}")


def _columns(parts: list[np.ndarray | None]) -> str:
    inside = [part for part in parts if part is not None]
    if not inside:
        return ""
    every = np.abs(np.concatenate(inside))
    return "".join(f"{np.median(part):>6.0f}/{np.percentile(part, 95):<5.0f}" for part in every.T)


if __name__ == "__main__":
    main()
