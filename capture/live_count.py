"""How many repetitions a take has so far, counted beside it in a process of its own.

That process listens to the pose as any other program on the network could, from "recording" on. Whatever becomes of it,
the recording does not notice.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from capture.device_process import ignoring_interrupt
from capture.running_take import TakePlan
from capture.stream_state import ExpectedStream
from capture.worker import ignore_the_terminal
from lab.repetitions import Repetition
from lab.streams import Channel

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Float64 = npt.NDArray[np.float64]

#: Positions this often (Hz) tell repetitions apart; more only cost.
COARSE_HZ: Final = 20.0
_PERIOD_S: Final = 1.0
#: Counting takes no more than this share of a core.
_SHARE: Final = 0.1
#: No set takes so long; then the count ends.
_LONGEST_S: Final = 600.0
_RESOLVE_S: Final = 5.0
_POLL_S: Final = 0.2
_BUFFER_S: Final = 30
_END_S: Final = 1.0
_BEGIN: Final = "begin"


@dataclass(frozen=True)
class CountTask:
    """What the counting process needs to know: which stream, what its channels are, and how sides take turns."""

    source_id: str
    channels: tuple[Channel, ...]
    rate_hz: float
    marker_map: dict[str, Any] | None
    in_turn: bool
    lsl_configuration: str


def count_task(plan: TakePlan, expected: Sequence[ExpectedStream], lsl_configuration: str) -> CountTask | None:
    """Return what is to be counted on: the first MoCap stream with positions; None where there is none."""
    maps = {device.entry.name: device.marker_map for device in plan.rig.devices}
    for stream in expected:
        spec = stream.spec
        if spec is None or stream.of_others or spec.content_type.lower() != "mocap" or spec.rate_hz <= 0:
            continue
        if any(channel.type.startswith("Position") for channel in spec.channels):
            joints = maps.get(stream.device)
            return CountTask(
                stream.source_id,
                spec.channels,
                spec.rate_hz,
                None if joints is None else joints.model_dump(mode="json"),
                plan.action.sides == "right_then_left",
                lsl_configuration,
            )
    return None


class LiveCount:
    """The counting process, as the recorder sees it. No method ever raises for what happens to it."""

    def __init__(self, task: CountTask) -> None:
        """Spawn it; it counts nothing before ``begin``."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=count_repetitions, args=(task, theirs), name="flex-count", daemon=True)
        with ignoring_interrupt():
            self._process.start()
        theirs.close()
        self._count: int | None = None

    def begin(self) -> None:
        """Let it count from now on."""
        with contextlib.suppress(OSError):
            self._pipe.send(_BEGIN)

    @property
    def count(self) -> int | None:
        """Repetitions so far; None while, or where, nobody can tell."""
        with contextlib.suppress(EOFError, OSError):
            while self._pipe.poll():
                self._count = self._pipe.recv()
        return self._count

    def hang_up(self) -> None:
        """Let it go: it ends by itself."""
        self._pipe.close()

    def close(self) -> None:
        """Let it go, and wait until it has ended. May be called again."""
        self.hang_up()
        with contextlib.suppress(ValueError):  # it was closed already
            self._process.join(_END_S)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(_END_S)
            self._process.close()


def count_repetitions(task: CountTask, pipe: Connection) -> None:
    """Listen and count until the pipe closes. The entry point of the spawned process."""
    ignore_the_terminal()
    with contextlib.suppress(EOFError, OSError):
        _count(task, pipe)


class RunningCount:
    """The count as it is told, out of what is found second by second.

    Before a motion is over it may look like another: two repetitions like one with a sticking point, the first ones of
    the other side like none. A repetition that was there does not go away, so that fewer are believed no sooner than
    they have been found for as long as the longest repetition took.
    """

    def __init__(self) -> None:
        """Begin at no repetition."""
        self._told = 0
        self._longest_s = 0.0
        self._fewer_since_s: float | None = None

    def after(self, time_s: float, found: Sequence[Repetition]) -> int:
        """Return the count at ``time_s``, until when ``found`` were found; times increase from call to call."""
        if len(found) < self._told:
            if self._fewer_since_s is None:
                self._fewer_since_s = time_s
            if time_s - self._fewer_since_s < self._longest_s:
                return self._told
        self._told, self._fewer_since_s = len(found), None
        self._longest_s = max((one.end_s - one.start_s for one in found), default=0.0)
        return self._told


def repetitions_so_far(time_s: Float64, positions_m: Float64, *, in_turn: bool) -> tuple[Repetition, ...]:
    """Return the repetitions that ``positions_m`` (n, joints, 3) at ``time_s`` (n,) hold, in order.

    The one under way is there once it is over. No count is expected: nobody knows how far the set is. Rows that go back
    in time are left out.
    """
    import numpy as np

    from sync.repetitions import find_repetitions

    later = np.concatenate(([True], time_s[1:] > np.maximum.accumulate(time_s)[:-1]))
    time_s, positions_m = time_s[later], positions_m[later]
    found = find_repetitions(time_s, positions_m, in_turn=in_turn).repetitions
    if not in_turn or not found:
        return found
    # the other side's first repetitions are not yet enough to be seen as the second part of a set: looked at alone
    rest = time_s > found[-1].end_s
    beyond = find_repetitions(time_s[rest], positions_m[rest]).repetitions
    return (*found, *beyond) if len(beyond) > 1 else found


def _count(task: CountTask, pipe: Connection) -> None:
    import numpy as np
    import pylsl

    from capture.alignment import positions_of
    from capture.inlet_buffer import InletBuffer
    from capture.lsl_settings import configure_lsl

    pipe.recv()  # begin
    configure_lsl(task.lsl_configuration)
    found = pylsl.resolve_byprop("source_id", task.source_id, 1, _RESOLVE_S)
    if not found:
        return
    buffer = InletBuffer(pylsl.StreamInlet(found[0], max_buflen=_BUFFER_S, processing_flags=0))
    every = max(1, round(task.rate_hz / COARSE_HZ))
    times: list[Any] = []
    poses: list[Any] = []
    count = RunningCount()
    skip, next_s = 0, time.monotonic() + _PERIOD_S
    while not pipe.poll(_POLL_S):
        more = True
        while more:
            values, stamps, more = buffer.pull()
            if len(stamps):
                times.append(np.array(stamps[skip::every]))
                poses.append(np.array(values[skip::every, : len(task.channels)]))
                skip = (skip - len(stamps)) % every
        if time.monotonic() < next_s or not times:
            continue
        began_s = time.process_time()
        times, poses = [np.concatenate(times)], [np.concatenate(poses)]
        if times[0].size > _LONGEST_S * COARSE_HZ:
            pipe.send(None)
            return
        positions = positions_of(task.channels, poses[0], task.marker_map)
        if positions is None:
            return
        repetitions = repetitions_so_far(times[0], positions, in_turn=task.in_turn)
        pipe.send(count.after(float(times[0].max()), repetitions))
        next_s = time.monotonic() + max(_PERIOD_S, (time.process_time() - began_s) / _SHARE)
