"""Takes to write into datasets: numbers whose right answer is known, and real videos of numbered frames."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import numpy as np

from lab.aligned import AlignedStream, AlignedTake, AlignedView, Pose, StreamReport
from lab.joints import JOINTS
from lab.repetitions import Repetition, Segmentation
from lab.streams import Channel
from lab.take import ClockAnchor, TakeRecord

FPS = 30
FRAMES = 300
T0_S = 1000.0
BITS = 9
BLOCK = 16


def write_numbered_video(path: Path, frames: int = FRAMES) -> None:
    """Write an MJPEG MOV whose frame n shows n in black and white columns, most significant bit first."""
    import av
    import simplejpeg

    with av.open(str(path), "w", format="mov", options={"video_track_timescale": "1000000"}) as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = BITS * BLOCK, 48, "yuvj420p"
        stream.time_base = Fraction(1, 1_000_000)
        for number in range(frames):
            bits = [(number >> bit) & 1 for bit in reversed(range(BITS))]
            row = np.repeat(np.array(bits, dtype=np.uint8) * 255, BLOCK)
            image = np.ascontiguousarray(np.broadcast_to(row[None, :, None], (48, BITS * BLOCK, 3)))
            packet = av.Packet(simplejpeg.encode_jpeg(image, quality=90, colorspace="RGB", colorsubsampling="420"))
            packet.pts = packet.dts = round(number * 1_000_000 / FPS)
            packet.time_base = Fraction(1, 1_000_000)
            packet.is_keyframe = True
            packet.stream = stream
            container.mux(packet)


def number_shown(image: np.ndarray) -> int:
    """Read the number out of a decoded frame (height, width[, 3])."""
    gray = image if image.ndim == 2 else image.mean(axis=2)
    bits = [int(gray[24, block * BLOCK + BLOCK // 2] > 127) for block in range(BITS)]
    return int("".join(map(str, bits)), 2)


def squat_height_m(time_s: np.ndarray) -> np.ndarray:
    """Height of the head in the takes made here."""
    return 1.6 + 0.25 * np.cos(2 * np.pi * (time_s - T0_S) / 3.0)


def make_pose(rate_hz: float = 100.0, seconds: float = 10.0) -> Pose:
    time_s = T0_S + np.arange(int(seconds * rate_hz)) / rate_hz
    positions_m = np.zeros((len(time_s), len(JOINTS), 3))
    positions_m[:, :, 0] = np.linspace(-0.5, 0.5, len(JOINTS))
    positions_m[:, :, 2] = squat_height_m(time_s)[:, None]
    return Pose("mocap", rate_hz, time_s, positions_m, simulated=True)


def make_stream(name: str, content: str, channels: tuple[Channel, ...], rate_hz: float, seed: int) -> AlignedStream:
    count = int(10 * rate_hz)
    time_s = T0_S + 0.2 / rate_hz + np.arange(count) / rate_hz
    generator = np.random.default_rng(seed)
    values = generator.normal(60 if rate_hz < 10 else 0, 2 if rate_hz < 10 else 50, (count, len(channels)))
    return AlignedStream(
        name, name, content, channels, rate_hz, time_s, values.astype(np.float32), np.arange(count), simulated=True
    )


def make_view(name: str, offset_s: float = 0.0, missing: tuple[int, ...] = ()) -> AlignedView:
    """A view with a record for each exposure; ``missing`` exposures are not in the video, which so is shorter."""
    exposures = FRAMES + len(missing)
    time_s = T0_S + offset_s + np.arange(exposures) / FPS
    index = np.full(exposures, -1, dtype=np.int64)
    kept = np.setdiff1d(np.arange(exposures), missing)
    index[kept] = np.arange(len(kept))
    pts_us = np.where(index >= 0, np.round(index * 1e6 / FPS), -1).astype(np.int64)
    return AlignedView(
        name, "mjpeg", BITS * BLOCK, 48, float(FPS), np.arange(exposures), time_s, index, pts_us, simulated=True
    )


def make_report(stream: str, rate_hz: float, *, in_sync: bool = True) -> StreamReport:
    return StreamReport(
        stream=stream,
        rate_asked_hz=rate_hz,
        rate_measured_hz=rate_hz * 1.00001,
        samples=1000,
        lost=0,
        lost_ambiguous=False,
        gaps=0,
        drift_ppm=10.0,
        arrival_spread_ms=float("nan"),
        uncertainty_p50_ms=0.1,
        uncertainty_p99_ms=0.3,
        latency_s=0.0,
        method="counter",
        in_sync=in_sync,
    )


def make_record(**changes: object) -> TakeRecord:
    record = TakeRecord(
        subject="S12",
        session="20261122-0930",
        take="A16-01",
        action="A16",
        skill="expert",
        load_kg=60.0,
        expected_repetitions=3,
        state="complete",
        simulated=True,
        simulated_devices=("emg", "mocap"),
        rig={"name": "bench"},
        software={"flex-capture": "0.1.0"},
        started=ClockAnchor(session_s=T0_S, utc="2026-11-22T09:30:00+00:00", width_s=0.001),
    )
    return record.model_copy(update=changes)


def make_take(record: TakeRecord | None = None, *, cameras: bool = True) -> AlignedTake:
    record = record or make_record()
    emg_channels = tuple(Channel(label, "microvolts", "EMG") for label in ("L1", "L2", "R1 (long)", "R1_long"))
    emg = make_stream("emg", "EMG", emg_channels, 2000.0, 1)
    views = (make_view("view1"), make_view("view2", offset_s=0.004, missing=(50, 51, 52))) if cameras else ()
    return AlignedTake(
        record=record,
        raw_digest=hashlib.sha256(record.id.encode()).hexdigest(),
        pose=make_pose(),
        emg=emg,
        emg_envelope=np.abs(emg.values).astype(np.float64),
        heart_rate=make_stream("vest.heart", "HeartRate", (Channel("hr", "1/min"),), 1.0, 2),
        breath_rate=make_stream("vest.breath", "BreathRate", (Channel("br", "1/min"),), 1.0, 3),
        views=views,
        reports=(make_report("mocap", 100.0), make_report("emg", 2000.0), *(make_report(v.view, FPS) for v in views)),
        reference_view="view1" if cameras else None,
    )


def make_segmentation(count: int = 3, expected: int | None = 3) -> Segmentation:
    """Repetitions of 3 s that touch, beginning 0.5 s into the take."""
    starts = T0_S + 0.5 + 3.0 * np.arange(count)
    repetitions = tuple(
        Repetition(float(s), float(s + 1.4), float(s + 3.0), 0.9, ("the tempo changed",) if i == 1 else ())
        for i, s in enumerate(starts)
    )
    doubts = () if expected in (None, count) else (f"{count} found, {expected} expected",)
    return Segmentation(repetitions, expected, "turning-points", {"prior": 0.5, "hysteresis": 0.1}, doubts)


def tree_hashes(folder: Path) -> dict[str, str]:
    """Hash every file of a tree; the lock file is empty between writes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


#: How the times of a take were found, as far as a dataset is concerned.
PICTURE = b'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg"><text>times</text></svg>\n'
