"""The moving parts of one take, and what is said of it while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from capture.console import Console
from capture.device_process import DeviceProcess
from capture.interruption import Interruption
from capture.marker_outlet import MarkerOutlet
from capture.messages import Start
from capture.recorder import Recorder
from capture.rig_file import BoundRig
from capture.supervision import Restart, SupervisedDevice, supervise
from lab.actions import Action, Skill
from lab.take import FAULTS, Event, TakeRecord

if TYPE_CHECKING:
    from capture.live_count import LiveCount


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
    """A take under way.

    ``events`` go into ``take.json`` and ``FlexMarkers``; ``failures`` are sentences the operator must see, which mark
    the take; ``alarms`` those that the operator must see, no more. ``start`` is what devices were told at its begin.
    ``counting`` counts repetitions where somebody is there to see it.
    """

    plan: TakePlan
    console: Console
    interruption: Interruption
    devices: list[SupervisedDevice]
    recorder: Recorder
    folder: Path
    markers: MarkerOutlet | None = None
    counting: LiveCount | None = None
    start: Start | None = None
    events: list[Event] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    @property
    def processes(self) -> list[DeviceProcess]:
        """The workers of all devices."""
        return [device.process for device in self.devices]

    def note(self, kind: str, text: str, session_s: float | None = None) -> None:
        """Keep an event of this moment, or of ``session_s``."""
        from pylsl import local_clock

        self.keep(Event(session_s=local_clock() if session_s is None else session_s, kind=kind, text=text))

    def keep(self, event: Event) -> None:
        """Keep an event in the take, and tell it to whoever listens."""
        self.events.append(event)
        self.recorder.mark(event)
        if self.markers is not None:
            self.markers.push(event)

    def fail(self, kind: str, sentence: str) -> None:
        """Keep a failure: an event, and a sentence for the operator. The same sentence counts once."""
        if sentence not in self.failures:
            self.failures.append(sentence)
            self.note(kind, sentence)

    def warn(self, kind: str, sentence: str) -> None:
        """Keep something that the operator must see, but that harms no data. The same sentence counts once."""
        if sentence not in self.alarms:
            self.alarms.append(sentence)
            self.note(kind, sentence)

    def hear_devices(self) -> None:
        """Take in what the workers say, and keep what has failed."""
        for process in self.processes:
            process.poll()
            if process.failure is not None:
                self.fail("device_failed", process.failure.sentence)
        self._hear_of_frames()

    def look_after_devices(self) -> None:
        """Take in what the workers say, start again what has failed, and keep what happened."""
        if self.start is None:
            return self.hear_devices()
        restart = Restart(self.start, self.plan.rig.rig.wait_s)
        for device in self.devices:
            for change in supervise(device, restart, self._arrived(device)):
                if change.kind == "device_failed":
                    if change.text in self.failures:
                        self.note(change.kind, change.text)  # it failed once more
                    self.fail(change.kind, change.text)
                else:
                    self.note(change.kind, change.text)
            if device.state == "subscribing":
                self.recorder.source_died(device.name)  # not before: what its last process sent may come late
        self._hear_of_frames()
        return None

    def hear_recorder(self) -> None:
        """Keep what the recorder's threads noticed."""
        for event in self.recorder.noticed():
            self.keep(event)
            (self.failures if event.kind in FAULTS else self.alarms).append(event.text)

    def published(self) -> dict[str, int]:
        """Return how many samples each stream has sent in this take, by what the workers said last."""
        counts: dict[str, int] = {}
        for device in self.devices:
            process = device.process
            said = process.progress.published if process.stopped is None else process.stopped.published
            counts |= device.counted_before
            counts |= {name: device.counted_before.get(name, 0) + count for name, count in said.items()}
        return counts

    def _arrived(self, device: SupervisedDevice) -> dict[str, int]:
        streams = self.recorder.streams
        return {state.expected.name: state.samples for state in streams if state.expected.device == device.name}

    def _hear_of_frames(self) -> None:
        for process in self.processes:
            for problem in process.problems:
                self.fail("frames_not_kept", f"device '{process.device}': {problem}")
