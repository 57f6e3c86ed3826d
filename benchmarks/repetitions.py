"""Segmenter against the virtual athlete's truth and labelled recordings, beside two simple peers.

Run from the project's root: ``python benchmarks/repetitions.py [seeds]``. It plays all 20 actions at three levels of
skill with so many seeds, every hardship and every sensor with a quarter as many (one at least), each with the count
given and without, and sets of 8 and 12 that were asked to be ten. ``--first`` is the first seed, ``--only`` names
tables, ``--actions`` plays a few actions: a sample. ``--real FOLDER`` takes the real recordings in ``FOLDER/reps``,
``FOLDER/emg`` and ``FOLDER/c3d`` instead; the segmenter was built with them at hand.

``exact`` is the count right, ``perfect`` every repetition found (overlap over union above one half) and none too many.
Errors are median/95th percentile in ms of starts, turns and ends of those that were found.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from hardships import HARDSHIPS, Scene, plain, walking_in
from sensor_views import SENSORS
from set_scores import HEADER, Scores
from simple_segmenters import by_peaks, by_threshold, first_component

from drivers.simulated.athlete import Athlete
from lab.actions import ACTIONS, SKILLS, Skill
from lab.motion_signal import MotionSignal
from storage.c3d_file import read_c3d
from storage.csv_table import read_csv_table
from storage.trc_file import read_trc
from sync.envelope import emg_envelope
from sync.signal_repetitions import find_in_signals

REPETITIONS = 10
TABLES = ("actions", "hardships", "counts", "sensors")
GIVEN, FREE, PEAKS, LEVEL = "count given", "count not given", "find_peaks on PC 1", "threshold on PC 1"

#: Where the five squats of ``squats1.trc`` are deepest, by eye, in seconds of the file; also the elbow's four flexions.
SQUAT_BOTTOMS_S = (1.35, 3.95, 6.7, 9.35, 12.25)
FLEXIONS_S = (2.90, 6.96, 10.57, 13.95)
CONTRACTIONS = 9


class Table:
    """One row of each method for every name, and all rows together."""

    def __init__(self, title: str) -> None:
        print(f"\n{title}\n{'':58}{HEADER}", flush=True)
        self.whole = {method: Scores() for method in (GIVEN, FREE, PEAKS, LEVEL)}

    def row(self, name: str, sets: Sequence[tuple[str, Sequence[MotionSignal], np.ndarray]], asked: int) -> None:
        """Judge ``sets`` of one kind: their names, signals and truth (n, 3), of which ``asked`` are expected."""
        own = {method: Scores() for method in self.whole}
        for title, signals, truth in sets:
            for method, times in found_by_all(signals, asked).items():
                for scores in (own[method], self.whole[method]):
                    scores.add(times[0], truth, times[1], title)
        for method, scores in own.items():
            wrong = f"  {'; '.join(scores.wrong[:4])}" if method in (GIVEN, FREE) else ""
            print(f"{name:34}{method:24}{scores.line()}{wrong}", flush=True)

    def end(self) -> None:
        """Print all rows together, and how we stand to the peers."""
        for method, scores in self.whole.items():
            print(f"{'all':34}{method:24}{scores.line()}")
        ours = self.whole[FREE]
        for method in (PEAKS, LEVEL):
            peer = self.whole[method]
            print(
                f"count not given, against {method}: exact counts {_ratio(ours.exact, peer.exact)} times as many,"
                f" perfect sets {_ratio(ours.perfect, peer.perfect)}, median boundary error"
                f" {_ratio(ours.boundary_ms(), peer.boundary_ms())} of its own"
            )
        every = np.concatenate([scores[:, [0, 2]].ravel() for scores in [self.whole[GIVEN].errors_ms]])
        if every.size:
            print(f"count given: median over all starts and ends {np.nanmedian(every):.0f} ms", flush=True)


def _ratio(one: float, other: float) -> str:
    return f"{one / other:.2f}" if other else "infinitely"


def found_by_all(signals: Sequence[MotionSignal], asked: int) -> dict[str, tuple[np.ndarray, float]]:
    """Return what every method finds, (k, 3) start, turn and end, and in how many seconds."""
    matrix, time_s = _matrix(signals)
    methods: dict[str, Callable[[], np.ndarray]] = {
        GIVEN: lambda: _times(signals, asked),
        FREE: lambda: _times(signals, None),
        PEAKS: lambda: by_peaks(time_s, first_component(matrix, _rate(time_s))),
        LEVEL: lambda: by_threshold(time_s, first_component(matrix, _rate(time_s))),
    }
    answers = {}
    for method, find in methods.items():
        began = time.perf_counter()
        times = find()
        answers[method] = times, time.perf_counter() - began
    return answers


def _times(signals: Sequence[MotionSignal], asked: int | None) -> np.ndarray:
    found = find_in_signals(signals, asked).repetitions
    return np.array([(one.start_s, one.turn_s, one.end_s) for one in found]).reshape(-1, 3)


def _rate(time_s: np.ndarray) -> float:
    return (len(time_s) - 1) / float(time_s[-1] - time_s[0])


def _matrix(signals: Sequence[MotionSignal]) -> tuple[np.ndarray, np.ndarray]:
    """Return what the peers look at: centroid-relative positions, standardised channels, envelopes of sEMG."""
    time_s = signals[0].time_s
    columns = []
    for one in signals:
        values = np.asarray(one.values, dtype=np.float64)
        if one.kind == "positions":
            points = values.reshape(len(values), -1, 3)
            there = np.isfinite(points)
            middle = np.where(there, points, 0).sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1), 1)[:, None]
            columns.append((points - middle).reshape(len(values), -1))
        elif one.kind == "emg":
            columns.append(emg_envelope(values, one.rate_hz))
        else:
            columns.append(values / (np.nanstd(values, axis=0) + 1e-12))
    matrix = np.concatenate(columns, axis=1)
    places = np.arange(len(matrix))
    for column in matrix.T:
        seen = np.isfinite(column)
        column[~seen] = np.interp(places[~seen], places[seen], column[seen]) if seen.any() else 0.0
    return matrix, time_s


def _played(
    scene: Callable[..., Scene], actions: Sequence[str], skills: Sequence[Skill], seeds: Sequence[int], count: int
) -> list[tuple[str, Sequence[MotionSignal], np.ndarray]]:
    sets = []
    for action in actions:
        for skill in skills:
            for seed in seeds:
                one = scene(action, skill, seed, count)
                pose = MotionSignal("pose", "positions", one.time_s, one.joints_m.reshape(len(one.time_s), -1), ())
                sets.append((f"{action} {skill} {seed}", [pose], one.truth))
    return sets


def on_athletes(actions: Sequence[str], seeds: Sequence[int], tables: Sequence[str]) -> None:
    """Print the tables of the virtual athlete."""
    few = seeds[: max(1, len(seeds) // 4)]
    if "actions" in tables:
        table = Table(f"20 actions x 3 levels x {len(seeds)} seeds from {seeds[0]}, sets of ten, poses at 100 Hz")
        for action in actions:
            table.row(ACTIONS[action].title, _played(plain, [action], SKILLS, seeds, REPETITIONS), REPETITIONS)
        table.end()
    if "hardships" in tables:
        table = Table(f"hardships, {len(actions)} actions x {len(few)} seeds, the levels in turn")
        for name, scene in HARDSHIPS.items():
            sets = []
            for number, action in enumerate(actions):
                if name.startswith("right, left") and ACTIONS[action].sides == "together":
                    continue
                sets += _played(scene, [action], [SKILLS[number % 3]], few, REPETITIONS)
            if sets:
                table.row(name, sets, REPETITIONS)
        table.end()
    if "counts" in tables:
        table = Table("8 and 12 real ones where ten are expected, with walking in and racking")
        for count in (8, 12):
            sets = [
                one
                for number, action in enumerate(actions)
                for one in _played(walking_in, [action], [SKILLS[number % 3]], few, count)
            ]
            table.row(f"{count} of {REPETITIONS}", sets, REPETITIONS)
        table.end()
    if "sensors" in tables:
        table = Table("the same athlete as other sensors see it")
        for name, sensor in SENSORS.items():
            sets = [
                (f"{action} {seed}", *_sensed(sensor, action, SKILLS[number % 3], seed))
                for number, action in enumerate(actions)
                for seed in few
                if not _unseen(name, action)
            ]
            if sets:
                table.row(name, sets, REPETITIONS)
        table.end()


def _sensed(
    sensor: Callable[[Athlete, str, int], list[MotionSignal]], action: str, skill: Skill, seed: int
) -> tuple[list[MotionSignal], np.ndarray]:
    athlete = Athlete(seed, action, REPETITIONS, skill)
    truth = np.array([(one.start_s, one.turn_s, one.end_s) for one in athlete.repetitions])
    return sensor(athlete, action, seed), truth


def _unseen(name: str, action: str) -> bool:
    """Whether a sensor on the right side alone, or at the wrist, has nothing to see of an action."""
    one_side = name in ("wrist accelerometer", "goniometer")
    still_wrist = name == "wrist accelerometer" and ACTIONS[action].family in ("squat", "lunge", "horizontal_press")
    return (one_side and ACTIONS[action].sides != "together") or still_wrist


def on_real_recordings(folder: Path) -> None:
    """Print how all agree with what people listed for real recordings."""
    archive = np.load(folder / "reps" / "uiprmd_vicon_positions_s02_50hz.npz")
    for kind in ("positions", "other"):
        told = "" if kind == "positions" else ", coordinates as columns of which nothing is told"
        table = Table(f"UI-PRMD subject 2, ten exercises of ten{told} (their turns are not labelled)")
        sets = []
        for exercise in range(1, 11):
            points = archive[f"m{exercise:02d}s02_X"].astype(np.float64) / 1e3
            ends = archive[f"m{exercise:02d}s02_T"]
            truth = np.column_stack((ends[:, 0], np.full(len(ends), np.nan), ends[:, 1]))
            time_s = np.arange(len(points)) / float(archive["fs"])
            sets.append((f"m{exercise:02d}", [MotionSignal("pose", kind, time_s, points, ())], truth))
        table.row("UI-PRMD", sets, REPETITIONS)
        table.end()
    squats = read_trc(folder / "reps" / "squats1.trc")
    points = squats.positions.reshape(len(squats.time_s), -1)
    _listed("squats1.trc", [MotionSignal("pose", "positions", squats.time_s, points, squats.labels)], SQUAT_BOTTOMS_S)
    elbow = read_csv_table(folder / "emg" / "elbow_flexion_1000hz.csv").values[:, 1:]
    at_1000 = np.arange(len(elbow)) / 1000.0
    _listed("goniometer on the elbow", [MotionSignal("elbow", "other", at_1000, elbow, ("a", "b"))], FLEXIONS_S)
    bursts = read_csv_table(folder / "emg" / "emg_bursts_1000hz.csv").values[:, 1:]
    at_1000 = np.arange(len(bursts)) / 1000.0
    _listed("biceps sEMG", [MotionSignal("biceps", "emg", at_1000, bursts, ("biceps",))], (), CONTRACTIONS)
    box = read_c3d(folder / "c3d" / "markers_analogs.c3d")
    points = box.positions.reshape(len(box.positions), -1).astype(np.float64) / 1e3
    at_100 = np.arange(len(points)) / box.rate_hz
    _listed("lifting a box, C3D", [MotionSignal("pose", "positions", at_100, points, box.labels)], (), 1)


def _listed(name: str, signals: list[MotionSignal], turns_s: Sequence[float], count: int | None = None) -> None:
    wanted = len(turns_s) if count is None else count
    print()
    for method, (times, _) in found_by_all(signals, wanted).items():
        said = f"{name}, {method}: {len(times)} of {wanted}"
        if len(times) == len(turns_s):
            said += f"; turns less the listed ones {np.round((times[:, 1] - turns_s) * 1e3).astype(int).tolist()} ms"
        print(said)


def main() -> None:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(description="Find repetitions in simulated or real recordings.")
    parser.add_argument("seeds", type=int, nargs="?", default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--actions", default=",".join(ACTIONS))
    parser.add_argument("--only", default=",".join(TABLES), help=f"some of {', '.join(TABLES)}")
    parser.add_argument("--real", type=Path, help="folder of the real recordings")
    asked = parser.parse_args()
    if asked.real is not None:
        on_real_recordings(asked.real)
    else:
        seeds = range(asked.first, asked.first + asked.seeds)
        on_athletes(asked.actions.split(","), seeds, asked.only.split(","))


if __name__ == "__main__":
    main()
