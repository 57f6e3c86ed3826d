"""What one take costs with all its workers, and how long the operator waits: by process and thread, from outside.

Of a camera's worker the main thread reads the device, which here draws images or paces a loop, as no real camera needs;
its other threads write the files and send the rows. Of the other workers the main thread simulates the device and
pushes its samples. The recording side is therefore the recorder and what all workers do off their main threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from process_cost import Look, Watch, by_name
from two_recorders import COMMAND, recording

from storage.frame_records import read_frame_records
from storage.take_folder import frames_path, list_takes, read_record, streams_path, video_path
from storage.video_reader import read_video_index
from storage.video_writer import VideoWriter
from storage.xdf_reader import read_xdf

RECORDER: Final = "recorder"
_COUNTER_MODULUS: Final = 2**24
_END_S: Final = 600.0
#: The picture is moved by up to so many pixels from frame to frame, and is as noisy as gives frames of the size meant.
_SHAKE_PX: Final = 64
_NOISE: Final = 11.5


@dataclass(frozen=True)
class TakeCost:
    """Processor seconds a second of take, by process, whole and off the main thread; waiting times in seconds.

    ``memory_mb`` is each process's resident memory at the first and the last look of the take.
    """

    take: Path
    take_s: float
    whole: dict[str, float]
    beside_main: dict[str, float]
    memory_mb: dict[str, tuple[float, float]]
    start_s: float
    saved_s: float
    verdict_s: float
    code: int

    @property
    def recording_side(self) -> float:
        """What recording itself takes of a core."""
        return self.whole[RECORDER] + sum(share for name, share in self.beside_main.items() if name != RECORDER)

    @property
    def devices(self) -> float:
        """What the devices take of a core: the workers' main threads."""
        return sum(self.whole.values()) - self.recording_side


@dataclass(frozen=True)
class Kept:
    """What a take holds of one stream: samples or frames, how many are lacking, and frames a second of a view."""

    name: str
    count: int
    lost: int
    rate_hz: float


def measure(out: Path, env: dict[str, str], options: Sequence[str] = ()) -> TakeCost:
    """Record one take and return what it cost. Raises RuntimeError where it did not come to a verdict."""
    command = [*COMMAND, "record", "--subject", "S12", "--yes", "--truth", "--out", str(out), *options]
    before = set(_takes(out))
    with recording(RECORDER, command, env) as running, Watch(running.process.pid, RECORDER, family=True) as watch:
        code = running.wait(_END_S)
    recording_s, sealed_s = running.heard("recording S12"), running.heard("reading …")
    verdict_s = running.heard("repetitions ·")
    takes = [take for take in _takes(out) if take not in before]
    if recording_s is None or sealed_s is None or verdict_s is None or len(takes) != 1:
        raise RuntimeError(f"the take did not come to a verdict:\n{running.said}")
    (stop_s,) = (event.session_s for event in read_record(takes[0]).events if event.kind == "stop")
    looks = watch.between(recording_s, stop_s)
    whole, beside = by_name(looks, watch.names)
    return TakeCost(
        take=takes[0],
        take_s=looks[-1].at_s - looks[0].at_s,
        whole=whole,
        beside_main=beside,
        memory_mb=_memory_mb(looks, watch.names),
        start_s=recording_s - running.began_s,
        saved_s=sealed_s - stop_s,
        verdict_s=verdict_s - stop_s,
        code=code,
    )


def _takes(out: Path) -> list[Path]:
    return list_takes(out / "raw") if (out / "raw").is_dir() else []


def _memory_mb(looks: Sequence[Look], names: dict[int, str]) -> dict[str, tuple[float, float]]:
    first, last = looks[0].resident, looks[-1].resident
    return {names.get(pid, "other"): (first[pid] / 1e6, last[pid] / 1e6) for pid in first.keys() & last.keys()}


def kept(take: Path) -> list[Kept]:
    """Return what a closed take holds of each counted stream of ours; a frame must be in records, rows and video."""
    found = []
    for stream in read_xdf(streams_path(take)).streams:
        labels = [channel.label for channel in stream.header.channels]
        if video_path(take, stream.name).exists():
            rows = read_frame_records(frames_path(take, stream.name)).rows
            frames = len(read_video_index(video_path(take, stream.name)).pts_us)
            whole = int(rows["frame_id"][-1] - rows["frame_id"][0]) + 1 if len(rows) else 0
            encoded = int(np.sum(stream.values[:, labels.index("encoded")] == 1))
            span_s = float(rows["arrival_s"][-1] - rows["arrival_s"][0]) if len(rows) > 1 else np.nan
            count = min(frames, encoded, len(rows))
            found.append(Kept(stream.name, count, whole - count, (len(rows) - 1) / span_s))
        elif labels and labels[-1] == "sample_counter" and len(stream.values):
            counts = np.unwrap(stream.values[:, -1].astype(np.float64), period=_COUNTER_MODULUS)
            span_s = float(stream.stamps[-1] - stream.stamps[0])
            lost = round(counts[-1] - counts[0]) + 1 - len(counts)
            found.append(Kept(stream.name, len(counts), lost, (len(counts) - 1) / span_s if span_s > 0 else np.nan))
    return found


def write_loop(path: Path, seed: int, *, width: int, height: int, rate_hz: float, frames: int) -> float:
    """Write a Motion JPEG loop of noisy pictures as a camera would compress them; return kilobytes a frame.

    1920x1080 gives some 400 kB a frame.
    """
    import simplejpeg

    from lab.streams import VideoFormat

    rng = np.random.default_rng(seed)
    down, across = np.mgrid[0 : height + _SHAKE_PX, 0 : width + _SHAKE_PX]
    room = 96 + 64 * np.sin(across / width * 9 + seed) + 48 * np.cos(down / height * 7)
    scene = np.clip(room[:, :, None] + rng.normal(0, _NOISE, (*room.shape, 3)), 0, 255).astype(np.uint8)
    writer, total = VideoWriter(path, VideoFormat("mjpeg", width, height), rate_hz), 0
    try:
        for number in range(frames):
            top, left = number * 37 % _SHAKE_PX, number * 61 % _SHAKE_PX
            image = np.ascontiguousarray(scene[top : top + height, left : left + width])
            data = simplejpeg.encode_jpeg(image, quality=80, colorspace="BGR", colorsubsampling="420", fastdct=True)
            writer.write(data, round(number * 1e6 / rate_hz))
            total += len(data)
    finally:
        writer.close()
    return total / frames / 1e3


def write_camera_rig(folder: Path, *, width: int, height: int, rate_hz: float, loop_s: float) -> tuple[Path, float]:
    """Write a rig of five looped cameras, 16 channels of sEMG at 2 kHz and 21 joints at 200 Hz, and its loops.

    Returns its path and the kilobytes a frame.
    """
    lines = ['name = "five cameras"', "wait_s = 60.0", "max_uncertainty_ms = 1000.0", ""]
    lines += ["[[device]]", 'name = "mocap"', 'driver = "simulated.mocap"', "rate_hz = 200.0", ""]
    lines += ["[[device]]", 'name = "emg"', 'driver = "simulated.emg"', "rate_hz = 2000.0", ""]
    size_kb = 0.0
    for view in range(1, 6):
        file = folder / f"loop{view}.mov"
        size_kb = write_loop(file, view, width=width, height=height, rate_hz=rate_hz, frames=round(loop_s * rate_hz))
        lines += ["[[device]]", f'name = "view{view}"', 'driver = "replay.video"', f'file = "{file.as_posix()}"', ""]
    path = folder / "cameras.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path, size_kb
