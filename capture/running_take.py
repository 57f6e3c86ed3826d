"""The moving parts of one take, and what is said of it while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from capture.console import Console
from capture.device_process import DeviceProcess
from capture.interruption import Interruption
from capture.recorder import Recorder
from capture.rig_file import BoundRig
from lab.actions import Action, Skill
from lab.take import Event, TakeRecord


@dataclass(frozen=True)
class TakePlan:
    """What is to be recorded. ``duration_s`` None: until Enter, Ctrl-C or the end of all replays."""

    subject: str
    session: str
    action: Action
    skill: Skill | None
    load_kg: float | None
    expected_repetitions: int
    raw: Path
    rig: BoundRig
    duration_s: float | None
    truth: bool


@dataclass(frozen=True)
class FinishedTake:
    """A sealed raw take, and the sentences about devices or disks that failed in it."""

    folder: Path
    record: TakeRecord
    failures: tuple[str, ...]


@dataclass
class RunningTake:
    """A take under way. ``events`` go into ``take.json``; ``failures`` are sentences the operator must see."""

    plan: TakePlan
    console: Console
    interruption: Interruption
    processes: list[DeviceProcess]
    recorder: Recorder
    folder: Path
    events: list[Event] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def note(self, kind: str, text: str) -> None:
        """Keep an event of this moment."""
        from pylsl import local_clock

        self.events.append(Event(session_s=local_clock(), kind=kind, text=text))

    def fail(self, kind: str, sentence: str) -> None:
        """Keep a failure: an event, and a sentence for the operator. The same sentence counts once."""
        if sentence not in self.failures:
            self.failures.append(sentence)
            self.note(kind, sentence)

    def hear_devices(self) -> None:
        """Take in what the workers say, and keep what has failed."""
        for process in self.processes:
            process.poll()
            if process.failure is not None:
                self.fail("device_failed", process.failure.sentence)
            for problem in process.problems:
                self.fail("frames_not_kept", f"device '{process.device}': {problem}")
