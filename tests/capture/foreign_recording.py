"""A recording that others made: an XDF file with what a lab sends, and a video beside it with a stream of its frames.

Two hosts: the recorder's clock is session time, the other host's is ``OFFSET_S`` behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np

from lab.streams import Channel
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

#: Session time is host time plus this, for all streams of the file.
OFFSET_S = 500.0
#: Session time at which sEMG and frames begin.
BEGIN_S = 1500.0
FRAME_S = 1 / 25
AMP = "amp-1"
CAMERA = "cam-1"
MARKERS: tuple[tuple[float, str], ...] = ((1500.5, "squat"), (1503.0, "end"), (1504.0, "rest"), (1505.0, "rest"))


def write_xdf(
    path: Path,
    *,
    seconds: float = 8.0,
    numbers: Sequence[float] | None = None,
    frame_times_s: Sequence[float] | None = None,
    unit: str = "microvolts",
) -> Path:
    """Write 2 channels of sEMG at 1,000 Hz with a count modulo 256, the numbers of frames, and markers."""
    writer = XdfWriter(path)
    emg = (Channel("biceps", unit, "EMG"), Channel("triceps", unit, "EMG"), Channel("count"))
    count = int(seconds * 1000)
    numbers = list(range(int(seconds / FRAME_S))) if numbers is None else list(numbers)
    times = np.asarray(BEGIN_S + FRAME_S * np.arange(len(numbers)) if frame_times_s is None else frame_times_s)
    headers = {
        1: build_header("Amplifier", "EMG", emg, 1000.0, "int16", source_id=AMP, hostname="lab2"),
        2: build_header("VideoStream", "VideoExternal", (Channel("frame"),), 0.0, "int32", source_id=CAMERA),
        3: build_header("Cues", "Markers", (Channel("text"),), 0.0, "string", source_id="cues"),
    }
    for number, header in headers.items():
        writer.stream_header(number, header)
    for host_s in np.arange(BEGIN_S - OFFSET_S - 2.0, BEGIN_S - OFFSET_S + seconds + 2.0, 1.0):
        for number in headers:
            writer.clock_offset(number, float(host_s), OFFSET_S)
    sample = np.arange(count)
    stamps = BEGIN_S - OFFSET_S + sample / 1000.0
    values = np.column_stack((100 * np.sin(sample / 3.0), 100 * np.cos(sample / 3.0), sample % 256)).astype("<i2")
    for start in range(0, count, 20):
        writer.samples(1, stamps[start : start + 20], values[start : start + 20])
    for number, time_s in zip(numbers, times.tolist(), strict=True):
        writer.samples(2, np.array([time_s - OFFSET_S]), np.array([[number]], dtype="<i4"))
    for time_s, text in MARKERS:
        writer.samples(3, np.array([time_s - OFFSET_S]), [[text]])
    writer.boundary()
    writer.close()
    return path


def grey(frame: int) -> int:
    """Return the brightness of a frame of the video: neighbours are told apart."""
    return 30 + (frame * 7) % 200


def write_video(path: Path, frames: int, codec: str = "libx264") -> Path:
    """Write a video of plain grey frames, with frames that depend on later ones, at a rate that is not the camera's."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options={"bf": "2", "g": "12"} if codec == "libx264" else {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p" if codec == "libx264" else "yuvj420p"
        for frame in range(frames):
            image = np.full((48, 64, 3), grey(frame), dtype=np.uint8)
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt))
            )
        container.mux(stream.encode(None))
    return path
