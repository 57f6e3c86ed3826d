"""flex-capture and LabRecorder on the same streams at the same time: what they cost, and what each loses at the end.

A sample is lost at the end if its push had returned before the stop was asked for, or the recorder killed, and it is
not in the file. The tail is the age, at that moment, of the oldest such sample. LabRecorder's file of a kill is read to
its last whole chunk by our reader, which is more than most readers do for it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from lsl_mix import LAYOUT, MODULUS, pushes_of
from process_cost import Watch, cpu_s, peak_mb
from two_recorders import (
    OURS,
    PEER,
    Running,
    clock_s,
    labrecorder,
    our_command,
    peer_command,
    publishing,
    recording,
    the_take,
    wait_until_recording,
    write_mix_rig,
)

from storage.take_folder import part_path, streams_path
from storage.xdf_reader import read_xdf

#: Both recorders have settled, and the display has been drawn, before anything is counted.
_SETTLE_S: Final = 1.0
PUBLISHER: Final = "publisher"


@dataclass(frozen=True)
class Tail:
    """What one recorder lost: ``samples`` at the end, the oldest ``tail_ms`` old then; ``within`` the recording."""

    samples: int
    tail_ms: float
    within: int


@dataclass(frozen=True)
class Usage:
    """Processor seconds over ``span_s`` of recording, and the peak of resident memory until the stop."""

    span_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Round:
    """One recording by both: {recorder: what it lost}, {process: what it cost}."""

    tails: dict[str, Tail]
    usage: dict[str, Usage]


def record_both(work: Path, env: dict[str, str], seconds: float, *, kill: bool = False) -> Round:
    """Record the mix for ``seconds`` with both recorders, into the new folder ``work``; stop or kill both.

    Without LabRecorder ours records alone. Raises RuntimeError where one of them does not record.
    """
    work.mkdir(parents=True)
    side, out, theirs = work / "pushed", work / "out", work / "labrecorder.xdf"
    rig = write_mix_rig(work / "rig.toml")
    program = labrecorder()
    ended_s: dict[str, float] = {}
    with publishing(side, env) as publisher, contextlib.ExitStack() as stack:
        running = [stack.enter_context(recording(OURS, our_command(rig, out), env))]
        if program is not None:
            running.append(stack.enter_context(recording(PEER, peer_command(program, theirs), env)))
        watches = [stack.enter_context(Watch(one.process.pid, one.name)) for one in running]
        watches.append(stack.enter_context(Watch(publisher.pid, PUBLISHER)))
        from_s = max(wait_until_recording(one) for one in running) + _SETTLE_S
        time.sleep(_SETTLE_S + seconds)
        until_s = clock_s()
        for one in running:
            ended_s[one.name] = one.kill(group=True) if kill else one.stop()
        if not kill:
            _finish(running)
    take = the_take(out)
    files = {OURS: streams_path(take), PEER: theirs}
    if not files[OURS].exists():
        files[OURS] = part_path(files[OURS])
    return Round(
        tails={name: lost_at_the_end(files[name], side, at_s) for name, at_s in ended_s.items()},
        usage={watch.name: _usage(watch, from_s, until_s) for watch in watches},
    )


def _finish(running: list[Running]) -> None:
    for one in running:
        if one.name == OURS:
            one.wait_for("reading …")  # the raw take is sealed; the dataset is not measured here
            one.interrupt()
        one.wait()


def _usage(watch: Watch, from_s: float, until_s: float) -> Usage:
    looks = watch.between(from_s, until_s)
    until = [look for look in watch.looks if look.at_s <= until_s]
    return Usage(looks[-1].at_s - looks[0].at_s, cpu_s(looks, watch.pid), peak_mb(until, watch.pid))


def lost_at_the_end(file: Path, side: Path, end_s: float) -> Tail:
    """Compare a recording of the mix with what was pushed before ``end_s`` (LSL clock).

    Raises RuntimeError where a stream of the mix is not in the file.
    """
    pushes = pushes_of(side)
    streams = {stream.header.source_id: stream for stream in read_xdf(file).streams}
    lost, within, oldest_s = 0, 0, end_s
    for number, stream in enumerate(LAYOUT):
        if stream.source_id not in streams:
            raise RuntimeError(f"{file} has no stream {stream.name}")
        mine = pushes[(pushes["stream"] == number) & (pushes["pushed_s"] < end_s)]
        values = streams[stream.source_id].values
        if not len(values):
            counts = np.empty(0, dtype=np.int64)
        else:
            counts = np.unwrap(values[:, stream.counter], period=MODULUS).astype(np.int64)
        reached = int(counts[-1]) + 1 if len(counts) else 0
        late = mine[mine["count"] > reached]
        if len(late):
            lost += int(mine["count"][-1]) - reached
            oldest_s = min(oldest_s, float(late["pushed_s"][0]))
        within += int(np.sum(np.diff(counts) - 1)) if len(counts) else 0
    return Tail(lost, (end_s - oldest_s) * 1e3, within)
