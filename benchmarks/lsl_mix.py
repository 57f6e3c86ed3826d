"""The streams of a lab from a plain pylsl program, nothing of flex-capture: what two recorders record at the same time.

    python benchmarks/lsl_mix.py SIDE [--speed 1] [--seconds 0]

Every regular stream counts its samples in a channel of its own (see ``LAYOUT``). What was pushed is written beside, to
the file SIDE, at once: a ``PUSH`` for every push, after it returned. Says ``{"ready": true}`` when the streams can be
found; ends when its standard input closes, or by itself after ``--seconds`` of its own time, which runs ``--speed``
times as fast as the clock: the stamps then do too.
"""

from __future__ import annotations

import argparse
import heapq
import json
import struct
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

#: What float32 counts exactly; all counters are modulo this.
MODULUS: Final = 2**24
#: In SIDE: number of the stream, samples pushed so far, LSL clock after the push.
PUSH: Final = np.dtype([("stream", "u1"), ("count", "<i8"), ("pushed_s", "<f8")])
_PUSH: Final = struct.Struct("<Bqd")
_CATCH_UP_S: Final = 0.2


@dataclass(frozen=True)
class MixStream:
    """One stream. ``counter`` is the channel with the count, from 0; ``chunk`` how many samples are pushed at once."""

    name: str
    content_type: str
    channels: int
    rate_hz: float
    format: str
    counter: int
    chunk: int = 1

    @property
    def source_id(self) -> str:
        """Its LSL source id."""
        return f"mix/{self.name}"


#: 16 channels at 2 kHz, 63 at 200 Hz, five cameras' rows and a vest; with counters as flex-capture appends them.
LAYOUT: Final = (
    MixStream("emg", "EMG", 17, 2000.0, "float32", 16, chunk=20),
    MixStream("mocap", "MoCap", 64, 200.0, "float32", 63),
    *(MixStream(f"rows{view}", "VideoCompressed", 5, 60.0, "double64", 0) for view in range(1, 6)),
    MixStream("vest", "Physio", 3, 1.0, "float32", 2),
)
#: Beside them, a text every half second.
MARKERS: Final = MixStream("cues", "Markers", 1, 0.0, "string", 0)
_MARKER_PERIOD_S: Final = 0.5


def pushes_of(side: Path) -> npt.NDArray[Any]:
    """Return all that was pushed, an array of ``PUSH``; a torn end is left out."""
    data = side.read_bytes()
    return np.frombuffer(data, dtype=PUSH, count=len(data) // PUSH.itemsize)


def publish(side: Path, speed: float, seconds: float, ended: threading.Event) -> None:
    """Push until ``ended``, or for ``seconds`` of the streams' own time where that is not 0."""
    import pylsl

    outlets = [_outlet(stream) for stream in (*LAYOUT, MARKERS)]
    chunks = [max(1, round(stream.chunk * speed)) for stream in LAYOUT]
    blocks = [_block(stream, chunk) for stream, chunk in zip(LAYOUT, chunks, strict=True)]
    counts = [0] * len(outlets)
    print(json.dumps({"ready": True}), flush=True)
    t0_s = pylsl.local_clock()
    marker = len(LAYOUT)
    due = [(chunk / stream.rate_hz, number) for number, (stream, chunk) in enumerate(zip(LAYOUT, chunks, strict=True))]
    due.append((_MARKER_PERIOD_S, marker))
    heapq.heapify(due)
    with side.open("xb", buffering=0) as file:
        while not ended.is_set():
            at_s, number = due[0]  # the streams' own time
            if seconds and at_s > seconds:
                break
            wait_s = t0_s + at_s / speed - pylsl.local_clock()
            if wait_s > 0 and ended.wait(wait_s):
                break
            if number == marker:
                outlets[number].push_sample([f"cue {counts[number]}"], t0_s + at_s)
                counts[number] += 1
                next_s = at_s + _MARKER_PERIOD_S
            else:
                stream, block, chunk = LAYOUT[number], blocks[number], chunks[number]
                block[:, stream.counter] = (counts[number] + np.arange(chunk)) % MODULUS
                outlets[number].push_chunk(block, t0_s + at_s)
                counts[number] += chunk
                next_s = (counts[number] + chunk) / stream.rate_hz
            file.write(_PUSH.pack(number, counts[number], pylsl.local_clock()))
            heapq.heapreplace(due, (next_s, number))
        ended.wait(_CATCH_UP_S)


def _outlet(stream: MixStream) -> Any:
    import pylsl

    info = pylsl.StreamInfo(
        stream.name, stream.content_type, stream.channels, stream.rate_hz, stream.format, stream.source_id
    )
    if stream.rate_hz:
        channels = info.desc().append_child("channels")
        for number in range(stream.channels):
            channel = channels.append_child("channel")
            for key, value in _channel(stream, number).items():
                channel.append_child_value(key, value)
    return pylsl.StreamOutlet(info)


def _channel(stream: MixStream, number: int) -> dict[str, str]:
    if number == stream.counter:
        return {"label": "counter", "unit": "count", "type": "Counter"}
    if stream.content_type == "MoCap":
        axis = "XYZ"[number % 3]
        return {"label": f"J{number // 3:02}_{axis}", "unit": "meters", "type": f"Position{axis}"}
    return {"label": f"c{number}", "unit": {"EMG": "microvolts"}.get(stream.content_type, ""), "type": ""}


def _block(stream: MixStream, chunk: int) -> npt.NDArray[Any]:
    dtype = {"float32": np.float32, "double64": np.float64}[stream.format]
    return np.random.default_rng(0).standard_normal((chunk, stream.channels)).astype(dtype)


def main() -> None:
    """Publish until standard input closes."""
    parser = argparse.ArgumentParser(description="Publish the streams of a lab with plain pylsl.")
    parser.add_argument("side", type=Path, help="new file for what was pushed and when")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=0.0)
    asked = parser.parse_args()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    publish(asked.side, asked.speed, asked.seconds, ended)


if __name__ == "__main__":
    main()
