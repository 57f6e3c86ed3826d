"""What recording costs, what it loses at the end, and what a kill leaves: figures of ``flex-capture record``.

Run from the project's root: ``python benchmarks/recorder.py --work FOLDER [--figures cost tail kills …]``. Where
LabRecorder can do the same, it does it in the same run on the same streams at the same time (extra ``bench``); a ratio
is ours to its. ``--quick`` makes each figure a matter of seconds: it shows that the benchmark works, and its figures
mean little.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kill_judge import SMALL_RIG, Killing, Verdict
from side_by_side import PUBLISHER, Round, record_both
from two_recorders import OURS, PEER, environment, labrecorder

#: LabRecorder writes twice a second; a stop at a random moment between two of its writes is fair to both.
_PEER_PERIOD_S: Final = 0.5


def cost(asked: argparse.Namespace) -> None:
    """Print processor time and memory of recording the mix, beside LabRecorder's."""
    seconds, rounds = (3.0, 1) if asked.quick else (asked.seconds, asked.rounds)
    env = environment(asked.work)
    found = [record_both(asked.work / f"cost{number}", env, seconds) for number in range(rounds)]
    print(f"recording 8 streams and markers for {seconds:g} s, median of {rounds}; CPU seconds until the stop")
    print(f"{'process':14}{'CPU s':>9}{'of a core':>11}{'ratio':>8}{'peak MB':>10}{'ratio':>8}")
    for name in (OURS, PEER, PUBLISHER):
        usage = [one.usage[name] for one in found if name in one.usage]
        if not usage:
            continue
        cpu_s = statistics.median(one.cpu_s for one in usage)
        share = statistics.median(one.cpu_s / one.span_s for one in usage)
        peak = statistics.median(one.peak_mb for one in usage)
        ratios = _ratios(found) if name == OURS else None
        cpu_ratio, peak_ratio = (f"{ratio:>8.2f}" for ratio in ratios) if ratios else (f"{'':>8}", f"{'':>8}")
        print(f"{name:14}{cpu_s:>9.2f}{share:>11.3f}{cpu_ratio}{peak:>10.1f}{peak_ratio}")
    _print_within(found)


def _ratios(found: Sequence[Round]) -> tuple[float, float] | None:
    both = [(one.usage[OURS], one.usage[PEER]) for one in found if PEER in one.usage]
    if not both:
        return None
    cpu = statistics.median(ours.cpu_s / max(theirs.cpu_s, 0.01) for ours, theirs in both)
    return cpu, statistics.median(ours.peak_mb / theirs.peak_mb for ours, theirs in both)


def _print_within(found: Sequence[Round]) -> None:
    for name in (OURS, PEER):
        within = sum(one.tails[name].within for one in found if name in one.tails)
        if within:
            print(f"{name} lost {within} samples in the middle of its recordings")


def tail(asked: argparse.Namespace) -> None:
    """Print what is lost at the end, of a stop and of a SIGKILL."""
    rounds = 1 if asked.quick else asked.ends
    env, rng = environment(asked.work), random.Random(asked.seed)
    found: dict[str, list[Round]] = {}
    for number in range(rounds):
        for end in ("stop", "SIGKILL"):
            seconds = 1.0 + _PEER_PERIOD_S * rng.random()
            work = asked.work / f"{end}{number}"
            found.setdefault(end, []).append(record_both(work, env, seconds, kill=end == "SIGKILL"))
    print(f"lost at the end, {rounds} times each: pushed before it and not in the file")
    print(f"{'end':10}{'recorder':14}{'median ms':>11}{'worst ms':>10}{'median samples':>16}{'worst':>8}")
    for end, ends in found.items():
        for name in (OURS, PEER):
            tails = [one.tails[name] for one in ends if name in one.tails]
            if tails:
                ms, samples = [one.tail_ms for one in tails], [one.samples for one in tails]
                print(
                    f"{end:10}{name:14}{statistics.median(ms):>11.1f}{max(ms):>10.1f}"
                    f"{statistics.median(samples):>16.0f}{max(samples):>8}"
                )
        _print_within(ends)


def kills(asked: argparse.Namespace) -> None:
    """Print what is left after SIGKILL at random moments."""
    count = 3 if asked.quick else asked.kills
    rig = asked.work / "small.toml"
    rig.write_text(SMALL_RIG, encoding="utf-8")
    killing = Killing(rig, asked.work / "kills", environment(asked.work))
    found: list[Verdict] = []
    for verdict in killing.many(count, asked.seed):
        found.append(verdict)
        whom = "recorder and workers" if verdict.group else "recorder"
        for problem in verdict.problems:
            print(f"kill {len(found)} ({verdict.moment}, {whom}): {problem}")
    print(f"{count} kills, every sample that arrived 100 ms before is demanded")
    print(f"{'moment':9}{'killed':22}{'kills':>7}{'demanded':>10}{'in order':>10}{'by itself':>11}{'survived s':>12}")
    for moment in ("start", "take", "stop"):
        for group in (False, True):
            some = [one for one in found if one.moment == moment and one.group == group]
            if some:
                whom = "recorder and workers" if group else "recorder"
                print(
                    f"{moment:9}{whom:22}{len(some):>7}{sum(one.demanded for one in some):>10}"
                    f"{sum(not one.problems for one in some):>10}{sum(one.by_itself for one in some):>11}"
                    f"{max(one.survived_s for one in some):>12.2f}"
                )


FIGURES: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "cost": cost,
    "tail": tail,
    "kills": kills,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table a figure."""
    parser = argparse.ArgumentParser(description="Figures of the recorder, beside LabRecorder's where it has them.")
    parser.add_argument("--work", type=Path, help="folder for what is recorded; a temporary one if not given")
    parser.add_argument("--figures", nargs="+", choices=list(FIGURES), default=list(FIGURES))
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the figures mean little")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the recordings of the cost")
    parser.add_argument("--rounds", type=int, default=3, help="recordings of the cost")
    parser.add_argument("--ends", type=int, default=10, help="stops, and kills, of the tail")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if labrecorder() is None:
        print("LabRecorder is not here, so that ours stands alone: pip install 'flex-capture[bench]'")
    if asked.work is not None:
        asked.work.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="flex-recorder-", dir=asked.work))
    try:
        for figure in asked.figures:
            asked.work = scratch / figure
            asked.work.mkdir()
            FIGURES[figure](asked)
            print()
            shutil.rmtree(asked.work)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
