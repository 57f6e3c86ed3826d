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
from typing import Any, Final

from kill_judge import SMALL_RIG, Killing, Verdict
from long_recording import record_long
from side_by_side import PUBLISHER, Round, record_both
from take_cost import RECORDER, TakeCost, kept, measure, write_camera_rig
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


def cameras(asked: argparse.Namespace) -> None:
    """Print what five cameras at 1080p and 60 frames/s cost the recording side, and that nothing of them is lost."""
    size: dict[str, Any] = {"width": 1920, "height": 1080, "rate_hz": 60.0, "loop_s": 2.0}
    if asked.quick:
        size = {"width": 320, "height": 240, "rate_hz": 30.0, "loop_s": 0.5}
    rig, size_kb = write_camera_rig(asked.work, **size)
    seconds = 3.0 if asked.quick else asked.camera_seconds
    cost = measure(asked.work / "out", environment(asked.work), ["--rig", str(rig), "--duration", str(seconds)])
    print(
        f"five loops of {size['width']}x{size['height']} at {size['rate_hz']:g} frames/s, {size_kb:.0f} kB a frame,"
        f" sEMG and MoCap, for {seconds:g} s"
    )
    print(f"{'stream':10}{'kept':>9}{'lost':>7}{'a second':>11}")
    for one in kept(cost.take):
        print(f"{one.name:10}{one.count:>9}{one.lost:>7}{one.rate_hz:>11.2f}")
    _print_take(cost)


def waiting(asked: argparse.Namespace) -> None:
    """Print how long the operator waits, with the packaged rig, and what its take costs."""
    options = ["--reps", "1", "--duration", "3"] if asked.quick else []
    if asked.quick:
        rig = asked.work / "small.toml"
        rig.write_text(SMALL_RIG, encoding="utf-8")
        options += ["--rig", str(rig)]
    print("the packaged rig" if not asked.quick else "a small rig")
    _print_take(measure(asked.work / "out", environment(asked.work), options))


def _print_take(cost: TakeCost) -> None:
    print(f"{'process':10}{'of a core':>11}{'off main thread':>17}{'MB at first':>13}{'at last':>9}")
    for name in sorted(cost.whole, key=lambda one: (one != RECORDER, one)):
        first, last = cost.memory_mb[name]
        print(f"{name:10}{cost.whole[name]:>11.3f}{cost.beside_main[name]:>17.3f}{first:>13.0f}{last:>9.0f}")
    print(
        f"recording side {cost.recording_side:.3f} of a core (the recorder, and the workers off their main threads),"
        f" the devices {cost.devices:.3f}; over {cost.take_s:.1f} s of take"
    )
    print(
        f"start to 'recording' {cost.start_s:.2f} s; stop to saved {cost.saved_s:.2f} s, to the verdict"
        f" {cost.verdict_s:.2f} s; exit code {cost.code}"
    )


def hour(asked: argparse.Namespace) -> None:
    """Print the recorder's memory over an hour of the mix, compressed unless ``--speed 1``."""
    seconds, speed = (120.0, 40.0) if asked.quick else (3600.0, asked.speed)
    found = record_long(asked.work, environment(asked.work), seconds, speed)
    print(
        f"{found.seconds:g} s of the mix at {speed:g} times real speed: {found.samples} samples, {found.lost} lost,"
        f" {found.file_mb:.0f} MB"
    )
    print(f"{'of the time':>12}{'resident MB':>13}")
    for share, resident_mb in found.memory_mb:
        print(f"{share:>12.0%}{resident_mb:>13.1f}")
    print(f"growth in the second half {found.growth_mb:+.2f} MB; probes of clocks and the display went at real speed")


FIGURES: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "cost": cost,
    "tail": tail,
    "kills": kills,
    "cameras": cameras,
    "waiting": waiting,
    "hour": hour,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table a figure."""
    parser = argparse.ArgumentParser(description="Figures of the recorder, beside LabRecorder's where it has them.")
    parser.add_argument("--work", type=Path, help="folder for what is recorded; a temporary one if not given")
    parser.add_argument("--figures", nargs="+", choices=list(FIGURES), help="all but the hour if not given")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the figures mean little")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the recordings of the cost")
    parser.add_argument("--rounds", type=int, default=3, help="recordings of the cost")
    parser.add_argument("--ends", type=int, default=10, help="stops, and kills, of the tail")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--camera-seconds", type=float, default=30.0, help="length of the recording of five cameras")
    parser.add_argument("--speed", type=float, default=20.0, help="of the hour; 1 takes an hour")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if labrecorder() is None:
        print("LabRecorder is not here, so that ours stands alone: pip install 'flex-capture[bench]'")
    if asked.work is not None:
        asked.work.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="flex-recorder-", dir=asked.work))
    try:
        for figure in asked.figures or [name for name in FIGURES if asked.quick or name != "hour"]:
            asked.work = scratch / figure
            asked.work.mkdir()
            FIGURES[figure](asked)
            print()
            shutil.rmtree(asked.work)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
