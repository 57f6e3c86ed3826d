"""What a process and those it started cost, looked at from outside: processor time by thread, resident memory.

Processor time by thread needs an operating system that counts it (Linux does).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

import psutil
from two_recorders import clock_s

PERIOD_S: Final = 0.1


@dataclass(frozen=True)
class Look:
    """One look at a process and those it started: {pid: …}, processor seconds whole and of the main thread, bytes."""

    at_s: float
    whole: dict[int, float]
    main: dict[int, float]
    resident: dict[int, int]


@dataclass
class Watch:
    """Looks at processes again and again while a block lasts; ``names`` says whose process it is, where that is seen.

    Only ``pid`` itself is looked at unless ``family`` is set.
    """

    pid: int
    name: str
    family: bool = False
    looks: list[Look] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing is looked at yet."""
        self.names[self.pid] = self.name
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{self.name}")

    def __enter__(self) -> Watch:  # noqa: PYI034 - Self is not in the typing of Python 3.10
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def between(self, from_s: float, to_s: float) -> list[Look]:
        """Return the looks from ``from_s`` to ``to_s`` (LSL clock). Raises RuntimeError for less than two."""
        found = [look for look in self.looks if from_s <= look.at_s <= to_s]
        if len(found) < 2:
            raise RuntimeError(f"{self.name} was looked at {len(found)} times in {to_s - from_s:.1f} s; measure longer")
        return found

    def _run(self) -> None:
        while True:
            look = _look(self.pid, self.family, self.names)
            if look is not None:
                self.looks.append(look)
            if self._ended.wait(PERIOD_S):
                return


def cpu_s(looks: Sequence[Look], pid: int) -> float:
    """Return the processor seconds that a process took from the first look to the last."""
    return looks[-1].whole[pid] - looks[0].whole[pid]


def by_name(looks: Sequence[Look], names: dict[int, str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return {name: processor seconds a second}, whole and off the main thread, of processes there at both ends."""
    first, last = looks[0], looks[-1]
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


def peak_mb(looks: Sequence[Look], pid: int) -> float:
    """Return the largest resident memory of a process that was seen, in MB."""
    return max(look.resident.get(pid, 0) for look in looks) / 1e6


def _look(pid: int, family: bool, names: dict[int, str]) -> Look | None:
    found = Look(clock_s(), {}, {}, {})
    try:
        process = psutil.Process(pid)
        members = [process, *process.children(recursive=True)] if family else [process]
    except psutil.Error:
        return None
    for member in members:
        try:
            with member.oneshot():
                times = member.cpu_times()
                threads = member.threads() if family else ()
                resident = member.memory_info().rss
            if family and member.pid not in names:
                name = _whose(member)
                if name:
                    names[member.pid] = name
        except psutil.Error:
            continue
        found.whole[member.pid] = times.user + times.system
        found.main[member.pid] = sum(one.user_time + one.system_time for one in threads if one.id == member.pid)
        found.resident[member.pid] = resident
    return found if pid in found.whole else None


def _whose(member: psutil.Process) -> str:
    """Tell whose worker a process is by a file that it keeps open: a camera's video, a simulated device's truth."""
    for file in member.open_files():
        path = Path(file.path)
        if path.name.endswith((".mov.part", ".frames.part")):
            return path.name.split(".")[0].split("-")[0]
        if path.parent.name == "truth":
            return path.stem
    return ""
