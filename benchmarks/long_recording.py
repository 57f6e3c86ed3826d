"""Record an hour of the mix with ``flex-capture record``, in less than an hour, and look at its memory.

The publisher pushes N times as many samples a second, with stamps of the streams' own time; everything between it and
the file is as always. What the clock drives is not compressed: clock probes, boundaries, the disk's sync and the
display come as often a real second as always. Of these the recorder keeps each probe, about a hundred bytes every two
seconds and stream, which is 2 MB an hour for nine streams and is seen at speed 1 alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from lsl_mix import LAYOUT, MODULUS, pushes_of
from process_cost import Watch
from two_recorders import (
    OURS,
    our_command,
    publishing,
    recording,
    the_take,
    wait_until_recording,
    write_mix_rig,
)

from storage.take_folder import streams_path
from storage.xdf_reader import read_xdf

_SHARES: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class LongRecording:
    """``memory_mb`` is [(share of the recording, resident MB)]; ``growth_mb`` the rise of its trend in the last half.

    ``samples`` are those recorded of all regular streams, ``lost`` those that were pushed in between and are not there.
    """

    seconds: float
    samples: int
    lost: int
    file_mb: float
    memory_mb: tuple[tuple[float, float], ...]
    growth_mb: float


def record_long(work: Path, env: dict[str, str], seconds: float, speed: float) -> LongRecording:
    """Record ``seconds`` of the mix's own time at ``speed``. Raises RuntimeError where it does not record."""
    side, out = work / "pushed", work / "out"
    rig = write_mix_rig(work / "rig.toml")
    with publishing(side, env, speed=speed) as _, recording(OURS, our_command(rig, out), env) as running:
        with Watch(running.process.pid, OURS) as watch:
            began_s = wait_until_recording(running)
            time.sleep(seconds / speed)
            ended_s = running.stop()
        running.wait_for("reading …")
        running.interrupt()
        running.wait()
    looks = watch.between(began_s, ended_s)
    at_s = np.array([look.at_s for look in looks])
    memory_mb = np.array([look.resident[watch.pid] for look in looks]) / 1e6
    late = at_s >= (at_s[0] + at_s[-1]) / 2
    slope = float(np.polyfit(at_s[late], memory_mb[late], 1)[0]) if late.sum() > 2 else 0.0
    file = streams_path(the_take(out))
    samples, lost = _count(file, side)
    return LongRecording(
        seconds=seconds,
        samples=samples,
        lost=lost,
        file_mb=file.stat().st_size / 1e6,
        memory_mb=tuple((share, float(memory_mb[round(share * (len(looks) - 1))])) for share in _SHARES),
        growth_mb=slope * float(at_s[late][-1] - at_s[late][0]),
    )


def _count(file: Path, side: Path) -> tuple[int, int]:
    pushes = pushes_of(side)
    streams = {stream.header.source_id: stream for stream in read_xdf(file).streams}
    samples = lost = 0
    for number, stream in enumerate(LAYOUT):
        values = streams[stream.source_id].values
        counts = np.unwrap(values[:, stream.counter].astype(np.float64), period=MODULUS)
        assert counts[-1] < pushes["count"][pushes["stream"] == number][-1]
        samples += len(counts)
        lost += round(counts[-1] - counts[0]) + 1 - len(counts)
    return samples, lost
