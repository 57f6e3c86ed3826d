"""Right before a take: is there room for it, memory, and does each stream's clock answer? Nothing is played for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from capture.lsl_settings import probe_clock
from capture.readiness.disk_room import disk_room
from capture.readiness.free_memory import free_memory_bytes
from capture.readiness.size_in_words import size_in_words
from capture.readiness.take_size import past_sizes, take_size
from capture.running_take import TakePlan
from capture.stream_state import ExpectedStream
from capture.visible_streams import SeenStream, visible_streams
from lab.errors import RequestError
from lab.streams import StreamSpec
from storage.os_errors import reason

_LOOK_S: Final = 0.2
_LOOKS: Final = 3
#: liblsl takes 0.64 s for its first answer, more where the network loses some.
_PROBE_S: Final = 1.5
#: What the recorder, and the making of the dataset after the take, need besides what runs already.
_MEMORY_BYTES: Final = 500_000_000
#: Seconds of frames that a camera's queue may hold, and the largest frame thought of, in bytes a pixel.
_QUEUE_S: Final = 2.0
_FRAME_BYTES_A_PIXEL: Final = 0.5


@dataclass(frozen=True)
class Preflight:
    """What was found before a take: ``problems`` forbid it, ``warnings`` are read and the take goes on."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def require(self) -> None:
        """Raise RequestError with the problems, if there are any."""
        if self.problems:
            raise RequestError(*self.problems)


def begin_preflight(
    plan: TakePlan, expected: Sequence[ExpectedStream], specs: Mapping[str, tuple[StreamSpec, ...]]
) -> PreflightUnderWay:
    """Begin to look at disk, memory, clocks, channels and twins of a take whose streams are there.

    ``specs`` are the streams by the name of the device or of the stream of others. The clocks take most of a second, in
    which the recorder can connect.
    """
    return PreflightUnderWay(plan, expected, specs)


class PreflightUnderWay:
    """What is looked at in threads of its own; ``finish`` waits for them, about a second at most."""

    def __init__(
        self, plan: TakePlan, expected: Sequence[ExpectedStream], specs: Mapping[str, tuple[StreamSpec, ...]]
    ) -> None:
        self._plan = plan
        self._expected = expected
        self._specs = [spec for sent in specs.values() for spec in sent]
        self._probing = _Probing(expected)

    def finish(self) -> Preflight:
        """Return what was found.

        That the smallest take that is to be expected has no room is a problem, and so is a stream that is not what it
        promised; what may go well is a warning.
        """
        plan = self._plan
        problems: list[str] = []
        warnings: list[str] = []
        try:
            past = past_sizes(plan.raw, plan.rig)
            size = take_size(self._specs, past, plan.expected_repetitions, duration_s=plan.duration_s)
            room = disk_room(plan.raw, size)
            if room.problem:
                (problems if room.cannot_fit else warnings).append(room.problem)
        except OSError as error:
            advice = "check the disk, or name another with --out"
            problems.append(f"{plan.raw} cannot be looked at ({reason(error)}); {advice}")
        warnings += memory_problems(self._specs)
        self._probing.end()
        problems += self._probing.channel_problems
        warnings += [*twin_problems(self._expected, self._probing.seen), *self._probing.unanswered]
        return Preflight(tuple(problems), tuple(warnings))


def memory_problems(specs: Sequence[StreamSpec]) -> list[str]:
    """Say that there is too little memory for the queues of the cameras among ``specs`` and for the dataset."""
    free = free_memory_bytes()
    queues = sum(
        _QUEUE_S * spec.rate_hz * spec.video.width * spec.video.height * _FRAME_BYTES_A_PIXEL
        for spec in specs
        if spec.video is not None
    )
    needed = _MEMORY_BYTES + queues
    if free is None or free >= needed:
        return []
    return [
        f"{size_in_words(free)} of memory are free, and a take may need {size_in_words(needed)}; close other programs"
    ]


def twin_problems(expected: Sequence[ExpectedStream], seen: Sequence[SeenStream]) -> list[str]:
    """Name the outlets that a lost inlet would take for an expected stream: same source id, name and type."""
    problems = []
    for stream in expected:
        alike: dict[tuple[str, str], list[SeenStream]] = {}
        for other in seen:
            if stream.source_id and other.source_id == stream.source_id:
                alike.setdefault((other.name, other.content_type), []).append(other)
        for twins in alike.values():
            ours = stream.info is None or any(twin.uid == stream.info.uid() for twin in twins)
            if ours and len(twins) > 1:
                hosts = ", ".join(sorted(twin.host for twin in twins))
                problems.append(
                    f"stream '{stream.name}': {twins[0]} is published {len(twins)} times under one source id (on"
                    f" {hosts}); if one is lost, LSL goes on with another; stop all but one"
                )
    return problems


def channel_problem(stream: ExpectedStream, channel_count: int) -> str:
    """Say that one of our own streams has not the channels its device promised; empty where it has."""
    if stream.spec is None or stream.of_others:
        return ""  # what others promise is what the rig says of them, which is compared when they are described
    promised = len(stream.spec.channels) + (stream.spec.counted and stream.spec.video is None)
    if channel_count == promised:
        return ""
    return (
        f"stream '{stream.name}' of device '{stream.device}' has {channel_count} channels, but its device promised"
        f" {promised}; stop other programs that publish under its source id"
    )


def clock_problem(stream: ExpectedStream) -> str:
    """Say that the clock of a stream's host did not answer."""
    return (
        f"stream '{stream.name}': the clock of its computer does not answer, and without it its times cannot be put on"
        " one clock; check its publisher, and the firewall for UDP ports 16571 to 16699"
    )


class _Probing:
    """Looks for the streams and asks their clocks, all at the same time, while other things are looked at."""

    def __init__(self, expected: Sequence[ExpectedStream]) -> None:
        self._expected = expected
        self._answered: set[str] = set()
        self.seen: list[SeenStream] = []
        self.channel_problems: list[str] = []
        self._thread = threading.Thread(target=self._run, name="preflight", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._thread.join()

    @property
    def unanswered(self) -> list[str]:
        return [clock_problem(stream) for stream in self._expected if stream.name not in self._answered]

    def _run(self) -> None:
        infos = self._look()
        self.channel_problems += [
            problem
            for stream in self._expected
            if stream.name in infos and (problem := channel_problem(stream, infos[stream.name].channel_count()))
        ]
        probes = [
            threading.Thread(target=self._probe, args=(name, info), name=f"preflight-{name}", daemon=True)
            for name, info in infos.items()
        ]
        for probe in probes:
            probe.start()
        for probe in probes:
            probe.join()

    def _look(self) -> dict[str, Any]:
        infos = {stream.name: stream.info for stream in self._expected if stream.info is not None}
        for _ in range(_LOOKS):
            self.seen = visible_streams(_LOOK_S)
            by_source = {stream.source_id: stream.info for stream in self.seen}
            infos |= {
                stream.name: by_source[stream.source_id]
                for stream in self._expected
                if stream.info is None and stream.source_id in by_source
            }
            if len(infos) == len(self._expected):
                break
        return infos

    def _probe(self, name: str, info: Any) -> None:
        import pylsl

        inlet = pylsl.StreamInlet(info, max_buflen=1, recover=False)
        deadline_s = time.monotonic() + _PROBE_S
        while (left_s := deadline_s - time.monotonic()) > 0:
            if probe_clock(inlet, left_s) is not None:
                self._answered.add(name)
                return
            time.sleep(0.01)
