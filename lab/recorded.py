"""A raw take as it was read back: recorded streams and frames, stamps untouched."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.marks import Mark
from lab.streams import Channel, CounterOrigin, SampleFormat, VideoFormat
from lab.take import TakeRecord

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RecordedStream:
    """One LSL stream out of ``streams.xdf``, with its ``.clock`` stream beside it.

    ``stamps`` (samples,) are LSL's, in host time: interpolated inside a chunk, not precise. ``values``
    (samples, channels) are without ``sample_counter``, which is ``counter`` (samples,), modulo
    ``counter_modulus``, or None for a stream without one. ``chunk_last`` indexes the last sample of each chunk
    in the file. ``clock_rows`` (chunks, 3) are counter of the last sample (unwrapped), arrival host time and device
    time or NaN. ``probes`` (probes, 3) are host time, offset to session time and round trip (NaN where unknown), in the
    order of the file; ``probe_after`` (probes,) is how many of the stream's samples lie before each in the file, empty
    where that is not known. ``stream_id`` is its id in the file, -1 where it comes from none.
    """

    name: str
    device: str
    source_id: str
    host: str
    content_type: str
    channels: tuple[Channel, ...]
    rate_hz: float
    format: SampleFormat
    counter_origin: CounterOrigin
    counter_modulus: int
    simulated: bool
    video: VideoFormat | None
    stamps: Float64
    values: npt.NDArray[Any]
    counter: Int64 | None
    chunk_last: Int64
    clock_rows: Float64 | None
    probes: Float64
    probe_after: Int64 = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    stream_id: int = -1


@dataclass(frozen=True)
class RecordedView:
    """One camera: its stream and, row by row, what its frame records and its video hold.

    All arrays are (frames,), one entry a frame record, in order. ``index`` is the frame's position in the video file
    or -1 where the frame is not in it; ``device_time_s`` is NaN where the camera has no clock.
    """

    view: str
    video_path: Path
    stream: RecordedStream
    frame_id: Int64
    device_time_s: Float64
    arrival_s: Float64
    pts_us: Int64
    index: Int64


@dataclass(frozen=True)
class RecordedTake:
    """A whole raw take. ``digest`` is the SHA-256 (hex) over the raw files' own hashes; ``marks`` are no raw file.

    ``bytes_discarded`` are those of ``streams.xdf`` that could not be used.
    """

    folder: Path
    record: TakeRecord
    streams: tuple[RecordedStream, ...]
    views: tuple[RecordedView, ...]
    digest: str
    notes: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    bytes_discarded: int = 0
