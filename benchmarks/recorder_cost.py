"""What recording costs: processor time a second of take, start-up time, and the time from the stop to the verdict.

Run from the project's root: ``python benchmarks/recorder_cost.py --out FOLDER [record's options ...]``. It types
``flex-capture record --subject S12 --yes --truth --out FOLDER`` and watches the processes from outside. Of a camera's
worker the main thread draws the simulated image and compresses it, which no real camera would need; its other threads
write the files and send the rows, and are counted apart. Telling them apart needs an operating system that counts by
thread (Linux does).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

PERIOD_S: Final = 0.2
RECORDER: Final = "recorder"


@dataclass(frozen=True)
class Cost:
    """Processor seconds a second of take, by process, whole and off the main thread; times in seconds."""

    take_s: float
    whole: dict[str, float]
    beside_main: dict[str, float]
    start_s: float
    saved_s: float
    verdict_s: float
    code: int


@dataclass(frozen=True)
class _Look:
    """What one look at the processes found: {pid: processor seconds}, whole and of the main thread."""

    at_s: float
    whole: dict[int, float]
    main: dict[int, float]


def measure(out: Path, options: Sequence[str] = ()) -> Cost:
    """Record one take and return what it cost. Raises RuntimeError where the take did not come to a verdict."""
    from pylsl import local_clock

    program = shutil.which("flex-capture", path=str(Path(sys.executable).parent))
    if program is None:
        raise RuntimeError("flex-capture is not installed beside this Python; install the project first")
    command = [program, "record", "--subject", "S12", "--yes", "--truth", "--out", str(out), *options]
    before = set((out / "raw").glob("*/*/*"))
    began_s = float(local_clock())
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines: list[tuple[float, str]] = []
    reader = threading.Thread(target=_read, args=(process.stdout, lines, local_clock))
    reader.start()
    looks: list[_Look] = []
    names: dict[int, str] = {process.pid: RECORDER}
    while process.poll() is None:
        looks.append(_look(process.pid, float(local_clock()), names))
        time.sleep(PERIOD_S)
    reader.join()
    process.stdout.close()
    text = "\n".join(line for _, line in lines)
    recording_s, sealed_s, verdict_s = (
        _first(lines, words) for words in ("recording S12", "reading …", "repetitions ·")
    )
    takes = set((out / "raw").glob("*/*/*")) - before
    if recording_s is None or sealed_s is None or verdict_s is None or len(takes) != 1:
        raise RuntimeError(f"the take did not come to a verdict:\n{text}")
    (take,) = takes
    events = json.loads((take / "take.json").read_text(encoding="utf-8"))["events"]
    (stop_s,) = (event["session_s"] for event in events if event["kind"] == "stop")
    inside = [look for look in looks if recording_s <= look.at_s <= stop_s]
    whole, beside = _between(inside[0], inside[-1], names)
    return Cost(
        take_s=inside[-1].at_s - inside[0].at_s,
        whole=whole,
        beside_main=beside,
        start_s=recording_s - began_s,
        saved_s=sealed_s - stop_s,
        verdict_s=verdict_s - stop_s,
        code=process.returncode,
    )


def _read(stream: IO[str], lines: list[tuple[float, str]], clock: object) -> None:
    assert callable(clock)
    for line in stream:
        lines.append((float(clock()), line.rstrip()))  # noqa: PERF401 - the list is read meanwhile


def _first(lines: Sequence[tuple[float, str]], words: str) -> float | None:
    return next((at_s for at_s, line in lines if words in line), None)


def _look(pid: int, at_s: float, names: dict[int, str]) -> _Look:
    whole: dict[int, float] = {}
    main: dict[int, float] = {}
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        family = []
    for member in family:
        try:
            times = member.cpu_times()
            whole[member.pid] = times.user + times.system
            main[member.pid] = sum(
                thread.user_time + thread.system_time for thread in member.threads() if thread.id == member.pid
            )
            if member.pid not in names:
                # A simulated device keeps its truth file open; that tells whose worker it is.
                for file in member.open_files():
                    if Path(file.path).parent.name == "truth":
                        names[member.pid] = Path(file.path).stem
        except psutil.Error:
            continue
    return _Look(at_s, whole, main)


def _between(first: _Look, last: _Look, names: dict[int, str]) -> tuple[dict[str, float], dict[str, float]]:
    span_s = last.at_s - first.at_s
    whole: dict[str, float] = {}
    beside: dict[str, float] = {}
    for pid in first.whole.keys() & last.whole.keys():
        name = names.get(pid, "other")
        spent_s = last.whole[pid] - first.whole[pid]
        main_s = last.main[pid] - first.main[pid]
        whole[name] = whole.get(name, 0.0) + spent_s / span_s
        beside[name] = beside.get(name, 0.0) + (spent_s - main_s) / span_s
    return whole, beside


def main() -> None:
    """Record one take and print what it cost."""
    parser = argparse.ArgumentParser(description="Processor time and waiting times of one recording.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the raw takes and the dataset")
    asked, options = parser.parse_known_args()
    cost = measure(asked.out, options)
    print(f"{'process':10}{'cpu s/s':>9}{'off main thread':>17}   over {cost.take_s:.1f} s of take")
    for name in sorted(cost.whole, key=lambda one: (one != RECORDER, one)):
        print(f"{name:10}{cost.whole[name]:>9.3f}{cost.beside_main[name]:>17.3f}")
    print(f"start to 'recording': {cost.start_s:.2f} s")
    print(f"stop to sealed raw take: {cost.saved_s:.2f} s, to the verdict: {cost.verdict_s:.2f} s")
    print(f"exit code {cost.code}")


if __name__ == "__main__":
    main()
