"""A recording as LabRecorder makes it, of streams of others whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.streams import Channel
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

OFFSET_S = 1234.5
START_S = 50.0
SECONDS = 40.0


def true_times(rate_hz: float, seconds: float = SECONDS) -> np.ndarray:
    """Session time of each sample of a device, with those that are lost."""
    return START_S + OFFSET_S + np.arange(int(rate_hz * seconds)) / rate_hz


def write_recording(
    path: Path, *, lost: tuple[int, int] = (3000, 3137), names: tuple[str, str] = ("amp", "amp")
) -> Path:
    """Write two amplifiers and a stream of texts, all on a host that is ``OFFSET_S`` behind.

    The first, of 500 Hz, sends a sine of 20 Hz, a count modulo 4096 and a trigger; those of its samples that are
    ``lost`` are not there. The second, of 200 Hz, sends int16 and counts nothing. They arrive in chunks of 25 samples,
    late by a millisecond or so.
    """
    rng = np.random.default_rng(7)
    writer = XdfWriter(path)
    channels = [Channel("emg:1", "microvolts", "EMG"), Channel("count"), Channel("trigger")]
    writer.stream_header(1, build_header("amp", "EMG", channels, 500.0, "float32", source_id="amp-1", hostname="lab2"))
    writer.stream_header(2, build_header("amp", "Force", [Channel("")], 200.0, "int16", hostname="lab2"))
    writer.stream_header(3, build_header("cues", "Markers", [Channel("cue")], 0.0, "string", hostname="lab2"))
    for stream_id, rate_hz, dtype in ((1, 500.0, np.float32), (2, 200.0, np.int16)):
        host_s = true_times(rate_hz) - OFFSET_S
        count = np.arange(host_s.size)
        for sent in np.array_split(count, count.size // 25):
            chunk = sent[(sent < lost[0]) | (sent >= lost[1])] if stream_id == 1 else sent
            if not chunk.size:
                continue
            stamps = host_s[chunk[-1]] + rng.exponential(0.0008) - (chunk[-1] - chunk) / rate_hz
            sine = np.sin(2 * np.pi * 20 * host_s[chunk])
            columns = (sine, chunk % 4096, chunk % 3) if stream_id == 1 else (1000 * sine,)
            writer.samples(stream_id, stamps, np.column_stack(columns).astype(dtype))
    for number in range(5):
        writer.samples(3, [START_S + 5 * number], [[f"cue {number} \u00fc"]])
    for stream_id in (1, 2, 3):
        for second in range(0, int(SECONDS), 5):
            writer.clock_offset(stream_id, START_S + second, OFFSET_S + rng.normal(0, 2e-5))
    writer.close()
    return path
