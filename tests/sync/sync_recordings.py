"""Recorded streams made of a known truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.recorded import RecordedStream, RecordedView
from lab.streams import COUNTER_MODULUS, Channel, VideoFormat


@dataclass(frozen=True)
class Made:
    stream: RecordedStream
    true_host_s: np.ndarray


def made_stream(
    seed=0,
    *,
    rate_hz=1000.0,
    drift=0.0,
    seconds=30.0,
    chunk=20,
    jitter_s=0.005,
    start_s=1000.0,
    first_counter=0,
    modulus=COUNTER_MODULUS,
    lost=(),
    origin="device",
    device_clock=False,
    clock_rows=True,
    counter=True,
    delay_s=0.0,
):
    """A device that counts at ``rate_hz * (1 + drift)``; ``lost`` are (first, end) of samples that never arrived."""
    rng = np.random.default_rng(seed)
    total = max(chunk, int(rate_hz * seconds))
    index = np.arange(total)
    truth = start_s + index / (rate_hz * (1 + drift))
    kept = np.ones(total, dtype=bool)
    for first, end in lost:
        kept[first:end] = False
    chunk_number = index // chunk
    last = np.flatnonzero(np.diff(np.append(chunk_number, -1)))
    # A chunk never overtakes the one before it.
    arrival = np.maximum.accumulate(truth[last] + delay_s + rng.exponential(jitter_s, last.size))
    stamps = arrival[chunk_number] - (last[chunk_number] - index) / rate_hz
    rows = np.column_stack(
        (first_counter + last, arrival, truth[last] * 1.0001 + 77.0 if device_clock else last * np.nan)
    )
    whole = np.bincount(chunk_number[kept], minlength=last.size) > 0
    index, truth, stamps = index[kept], truth[kept], stamps[kept]
    chunk_number = chunk_number[kept]
    file_last = np.flatnonzero(np.diff(np.append(chunk_number, -1)))
    values = np.column_stack((np.sin(index / 7), index)).astype(np.float32)
    if origin == "host":
        true_count = np.arange(index.size)
        rows = np.column_stack((true_count[file_last], arrival[whole], np.full(file_last.size, np.nan)))
    else:
        true_count = first_counter + index
        rows = rows[whole]
    stream = RecordedStream(
        name="emg",
        device="emg",
        source_id="emg-1",
        host="lab",
        content_type="EMG",
        channels=(Channel("a", "microvolts"), Channel("b", "microvolts")),
        rate_hz=rate_hz,
        format="float32",
        counter_origin=origin,
        counter_modulus=modulus,
        simulated=True,
        video=None,
        stamps=stamps,
        values=values,
        counter=true_count % modulus if counter else None,
        chunk_last=file_last,
        clock_rows=rows if clock_rows else None,
        probes=np.zeros((0, 3)),
    )
    return Made(stream, truth)


def made_view(seed=0, *, rate_hz=60.0, seconds=20.0, jitter_s=0.004, start_s=500.0, lost=(), device_clock=True):
    rng = np.random.default_rng(seed)
    frame_id = np.arange(int(rate_hz * seconds))
    # Exposures follow the light: real intervals vary, which only the camera's own clock sees.
    wobble = rng.uniform(-0.002, 0.002, frame_id.size) if device_clock else 0.0
    truth = start_s + frame_id / rate_hz + wobble
    arrival = np.maximum.accumulate(truth + rng.exponential(jitter_s, frame_id.size))
    kept = np.ones(frame_id.size, dtype=bool)
    for first, end in lost:
        kept[first:end] = False
    frame_id, truth, arrival = frame_id[kept], truth[kept], arrival[kept]
    stream = made_stream(rate_hz=rate_hz, seconds=1.0).stream
    stream = RecordedStream(
        **{**vars(stream), "video": VideoFormat("mjpeg", 640, 480), "probes": np.array([[510.0, 2.0, 1e-3]] * 9)}
    )
    view = RecordedView(
        view="view1",
        video_path=Path("view1.mov"),
        stream=stream,
        frame_id=frame_id,
        device_time_s=truth - 123.0 if device_clock else np.full(frame_id.size, np.nan),
        arrival_s=arrival,
        pts_us=np.round((truth - truth[0]) * 1e6).astype(np.int64),
        index=np.arange(frame_id.size),
    )
    return view, truth
