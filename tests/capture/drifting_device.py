"""A device whose computer's clock is faked: run as a process of its own, under libfaketime.

    drifting_device.py NAME SIDE_FILE

Publishes three streams of 500 Hz in chunks of 25 samples, each chunk some milliseconds late: ``NAME.own`` counts by the
computer's faked clock, ``NAME.true`` by the true one, and so does ``NAME.timed``, whose chunks carry device times as
well. Says which source ids they have, then answers each line of its standard input with a line of JSON: ``clock``,
``start``, ``stop`` (how much was published). Ends when its standard input closes.

A row of the side file for each chunk: stream, count of its last sample, when that was due (by the clock that the stream
counts by), and one moment by the true and by the faked clock.
"""

from __future__ import annotations

import ctypes
import functools
import json
import select
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

import numpy as np
import pylsl

from drivers.publish import SampledPublisher
from lab.streams import Channel, Chunk, StreamSpec

RATE_HZ: Final = 500.0
CHUNK: Final = 25
KINDS: Final = ("own", "true", "timed")
#: Device time starts anywhere.
DEVICE_BEGAN_S: Final = 1000.0
_MEAN_DELAY_S: Final = 2e-3
_WORST_DELAY_S: Final = 0.04
#: A sleeping process wakes late; so much before a chunk is due it is awake.
_AWAKE_S: Final = 0.5e-3
_LONGEST_SLEEP_S: Final = 0.02
#: One moment by two clocks is read again where the readings lie further apart.
_APART_S: Final = 10e-6
_READINGS: Final = 10
_MONOTONIC: Final = 1


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


@functools.cache
def _library() -> ctypes.CDLL:
    """Return the C library itself: what is preloaded stands before it only for who asks the whole process."""
    return ctypes.CDLL("libc.so.6")


def true_s() -> float:
    """Return what ``local_clock`` of a process that nobody fakes is now."""
    now = _Timespec()
    _library().clock_gettime(_MONOTONIC, ctypes.byref(now))
    return float(now.seconds + now.nanoseconds * 1e-9)


def one_moment() -> tuple[float, float]:
    """Return the true and the faked time of one moment, the best of some readings."""
    best = (np.inf, 0.0, 0.0)
    for _ in range(_READINGS):
        before_s, host_s, after_s = true_s(), pylsl.local_clock(), true_s()
        best = min(best, (after_s - before_s, (before_s + after_s) / 2, host_s))
        if best[0] < _APART_S:
            break
    return best[1], best[2]


@dataclass
class Playing:
    """A stream under way: ``sent`` samples, and when the next chunk goes out by the clock that it counts by."""

    publisher: SampledPublisher
    kind: str
    begin_s: float = 0.0
    sent: int = 0
    late_s: float = 0.0

    def due_s(self) -> float:
        return self.begin_s + (self.sent + CHUNK - 1) / RATE_HZ

    def remaining_s(self) -> float:
        now_s = pylsl.local_clock() if self.kind == "own" else true_s()
        return self.due_s() + self.late_s - now_s

    def send(self, side: TextIO, rng: np.random.Generator) -> None:
        now_s, arrival_s = one_moment()
        due_s, last = self.due_s(), self.sent + CHUNK - 1
        device_s = due_s - self.begin_s + DEVICE_BEGAN_S if self.kind == "timed" else np.nan
        counts = np.arange(self.sent, last + 1)
        self.publisher.publish(Chunk("", np.sin(counts / 50.0)[:, None], counts, arrival_s, device_s))
        side.write(f"{self.kind} {last} {due_s!r} {now_s!r} {arrival_s!r}\n")
        self.sent = last + 1
        self.late_s = min(rng.exponential(_MEAN_DELAY_S), _WORST_DELAY_S)

    def start(self, wait_s: float) -> None:
        now_s = pylsl.local_clock() if self.kind == "own" else true_s()
        self.begin_s = now_s + wait_s


def say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main() -> None:
    device, side_file = sys.argv[1:3]
    streams = []
    for kind in KINDS:
        spec = StreamSpec("EMG", (Channel("a", "microvolts", "EMG"),), RATE_HZ, name=kind, simulated=True)
        streams.append(Playing(SampledPublisher(device, spec, "drift"), kind))
    say({name: source for one in streams for name, source in one.publisher.sources.items()})
    rng = np.random.default_rng(len(device))
    playing = False
    with Path(side_file).open("w", encoding="utf-8") as side:
        while True:
            following = min(streams, key=Playing.remaining_s)
            wait_s = following.remaining_s() - _AWAKE_S if playing else _LONGEST_SLEEP_S
            if playing and wait_s <= 0:
                while following.remaining_s() > 0:
                    pass
                following.send(side, rng)
                continue
            time.sleep(min(wait_s, _LONGEST_SLEEP_S))
            if not select.select([sys.stdin], [], [], 0)[0]:
                continue
            order = sys.stdin.readline().strip()
            if not order:
                return
            if order == "clock":
                say(dict(zip(("true_s", "host_s"), one_moment(), strict=True)))
            elif order == "start":
                for number, one in enumerate(streams):
                    one.start(0.1 + number * CHUNK / RATE_HZ / len(streams))
                playing = True
                say({})
            elif order == "stop":
                playing = False
                say({name: count for one in streams for name, count in one.publisher.published.items()})


if __name__ == "__main__":
    main()
