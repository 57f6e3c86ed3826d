"""How fast takes are made into a dataset again, part by part: signals alone, with all clips cut, with clips that stay.

Run from the project's root: ``python benchmarks/resegment.py [--minutes 60] [--film-minutes 5]``. Takes are made
offline by the packaged simulated lab, ten squats each; a few different ones, copied under other names until there are
enough. The first table has processor and wall-clock seconds of one process with everything imported, and below each
line the processor time of its parts; the last one has the wall clock of the command itself.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from unittest.mock import patch

import one_thread  # noqa: F401
from offline_take import record_offline

from capture.resegment_job import TakeJob, run_job
from storage.checksums import write_sums
from storage.flex import commit_takes, committed_takes, dataset_staging, validate
from storage.take_folder import read_record, write_record

#: Different takes; the others are copies of them.
_DIFFERENT: Final = 4
_PICTURE: Final = {"width": 640, "height": 480, "focal_px": 520.0}
_COMMAND: Final = [sys.executable, "-c", "from capture.cli import main; main()", "resegment"]


def make_takes(out: Path, minutes: float, *, cameras: bool) -> list[Path]:
    """Make takes of at least so many minutes together."""
    takes: list[Path] = []
    seconds = 0.0
    while seconds < minutes * 60:
        number = len(takes)
        if number < _DIFFERENT:
            options = _PICTURE if cameras else None
            take = record_offline(out, seed=number + 1, cameras=cameras, options=options, subject=f"S{number:02d}")
        else:
            take = _copied(takes[number % _DIFFERENT], f"S{number:02d}")
        takes.append(take)
        seconds += seconds_of(take)
        print(f"  {take}", file=sys.stderr, flush=True)
    return takes


def _copied(take: Path, subject: str) -> Path:
    copy = take.parents[2] / subject / take.parent.name / take.name
    shutil.copytree(take, copy)
    write_record(copy, read_record(copy).model_copy(update={"subject": subject}))
    write_sums(copy)
    return copy


def seconds_of(take: Path) -> float:
    """Return how long a take was recorded."""
    record = read_record(take)
    assert record.stopped is not None
    return record.stopped.session_s - record.started.session_s


class Stages:
    """Sums the processor seconds of each stage; what lies between two counts as the first's."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seconds: dict[str, float] = {}
        self._stage, self._began_s = "starting", time.process_time()

    def __call__(self, stage: str, done: int, _total: int) -> None:
        """Hear of a stage."""
        if stage != self._stage or done == 0:
            self.enter(stage)

    def enter(self, stage: str) -> None:
        """Begin a stage."""
        now_s = time.process_time()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now_s - self._began_s
        self._stage, self._began_s = stage, now_s


def resegment(takes: Sequence[Path], dataset: Path) -> tuple[float, dict[str, float], tuple[int, int]]:
    """Make takes in this process; return seconds, those of each stage, and how many clips there are and were kept.

    The former are of the wall clock, the latter of processors.
    """
    began_s = time.perf_counter()
    stages = Stages()
    before = committed_takes(dataset)
    clips = carried = 0
    with dataset_staging(dataset) as staging:
        staged = []
        for take in takes:
            stages.enter("starting")
            result = run_job(TakeJob(take, dataset, staging, before.get(read_record(take).id)), stages)
            assert result.staged is not None, result.problems
            staged.append(result.staged)
            clips += result.staged.clips
            carried += result.staged.carried
        stages.enter("tables")
        assert commit_takes(dataset, staged) == {}
    stages.enter("")
    return time.perf_counter() - began_s, stages.seconds, (clips, carried)


@contextlib.contextmanager
def newer_program() -> Iterator[None]:
    """Let everything be made from something else, as after an update: the results stay the same."""
    from capture import made_from

    with patch.object(made_from, "programs", lambda: {"newer": "program"}):
        yield


def command(takes: Path, dataset: Path, workers: int) -> float:
    """Run the command; return its seconds."""
    began_s = time.perf_counter()
    words = [str(takes), "--dataset", str(dataset), "--workers", str(workers)]
    subprocess.run([*_COMMAND, *words], check=False, capture_output=True, env=os.environ)
    return time.perf_counter() - began_s


def _print_run(name: str, recorded_s: float, run: tuple[float, dict[str, float], tuple[int, int]]) -> None:
    seconds, stages, (clips, carried) = run
    parts = sorted(((part, name) for name, part in stages.items() if part >= 0.001), reverse=True)
    busy_s = sum(stages.values())
    print(
        f"| {name} | {recorded_s / 60:.1f} | {busy_s:.1f} | {recorded_s / busy_s:.0f} | {seconds:.1f} |"
        f" {recorded_s / seconds:.0f} | {clips} | {carried} |"
    )
    print("  " + ", ".join(f"{name} {part / busy_s:.0%}" for part, name in parts), flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="How fast raw takes are made into a dataset again.")
    parser.add_argument("--minutes", type=float, default=60.0, help="of signals")
    parser.add_argument("--film-minutes", type=float, default=5.0, help="with five cameras")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; a temporary folder if not given")
    asked = parser.parse_args()
    with contextlib.ExitStack() as held:
        folder = asked.folder or Path(held.enter_context(tempfile.TemporaryDirectory()))
        run_job_warm: Callable[..., object] = resegment
        signals = make_takes(folder / "signals", asked.minutes, cameras=False)
        run_job_warm(signals[:1], folder / "warm")
        recorded_s = sum(map(seconds_of, signals))
        print("| takes | minutes | processor s | times real time | wall s | times real time | clips | of these kept |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        _print_run("signals", recorded_s, resegment(signals, folder / "d1"))
        if asked.film_minutes:
            films = make_takes(folder / "films", asked.film_minutes, cameras=True)
            filmed_s = sum(map(seconds_of, films))
            size_mb = sum(path.stat().st_size for take in films for path in take.iterdir()) / 1e6
            print(f"  {len(films)} takes with five cameras, {size_mb:.0f} MB")
            _print_run("five cameras, all clips cut", filmed_s, resegment(films, folder / "d2"))
            with newer_program():
                _print_run("five cameras, no bounds changed", filmed_s, resegment(films, folder / "d2"))
            assert validate(folder / "d2") == []
        print("| the command on the signals | s | times real time |\n| --- | ---: | ---: |")
        for workers in (1, 2):
            seconds = command(folder / "signals" / "raw", folder / f"w{workers}", workers)
            print(f"| `--workers {workers}` | {seconds:.1f} | {recorded_s / seconds:.0f} |", flush=True)
        seconds = command(folder / "signals" / "raw", folder / "w2", 1)
        print(f"| again, all up to date | {seconds:.1f} | {recorded_s / seconds:.0f} |")


if __name__ == "__main__":
    main()
