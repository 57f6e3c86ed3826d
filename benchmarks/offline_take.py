"""A complete raw take without real time: simulated devices on a virtual clock, the files of a real recording.

Run from the project's root: ``python benchmarks/offline_take.py --seed 3 --out offline [--cameras]``. It prints the
folder of the take. What differs from a real recording: arrivals are delay and exponential jitter alone, and no process
competes for a processor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from capture.camera_files import CameraFiles
from capture.rig_file import BoundDevice, BoundRig, load_rig
from capture.take_run import TRUTH_FOLDER
from drivers.driver import EndOfStream, TakeStart
from drivers.host_clock import VirtualClock
from drivers.publish import counter_modulus, source_id
from drivers.registry import find_driver
from lab.streams import (
    CLOCK_LABELS,
    CLOCK_SUFFIX,
    COUNTER_LABEL,
    PROBES_LABELS,
    PROBES_NAME,
    Channel,
    Chunk,
    Frame,
    StreamSpec,
)
from lab.take import ClockAnchor, Event, StreamRecord, TakeRecord, ViewRecord
from storage.checksums import write_sums
from storage.frame_records import read_frame_records
from storage.take_folder import create_take, finish_part, frames_path, part_path, streams_path, write_record
from storage.xdf_header import build_header, footer_xml
from storage.xdf_writer import XdfWriter

SUBJECT, SESSION, HOST = "S12", "offline", "offline"
START_S = 1000.0
LEAD_S = 0.5
PULL_S = 0.03
PROBE_PERIOD_S = 2.0
#: A probe over a network card: a fixed round trip, and each way an exponential delay on top.
ROUND_TRIP_S, WAY_JITTER_S = 60e-6, 50e-6
EPOCH = datetime(2026, 1, 1, tzinfo=timezone.utc)


@dataclass
class _Stream:
    """One stream of the file: its header, and pieces of (arrival, stamps, values) in order of arrival."""

    name: str
    device: str
    header: str
    pieces: list[tuple[float, np.ndarray, np.ndarray]] = field(default_factory=list)

    @property
    def samples(self) -> int:
        return sum(len(stamps) for _, stamps, _ in self.pieces)


def record_offline(
    out: Path,
    *,
    seed: int = 1,
    repetitions: int = 10,
    cameras: bool = False,
    rig_path: Path | None = None,
    options: dict[str, Any] | None = None,
    subject: str = SUBJECT,
    session: str = SESSION,
    action: str = "A16",
) -> Path:
    """Record one take below ``out``/raw and return its folder. Raises what a recording raises before it begins.

    ``options`` replace those of every device that has them, such as ``{"width": 320, "height": 240}``.
    """
    bound = load_rig(rig_path, {"seed": seed, "repetitions": repetitions, "action": action} | (options or {}))
    devices = tuple(device for device in bound.devices if cameras or not device.entry.is_view)
    reference = bound.rig.reference_view if cameras else None
    bound = BoundRig(bound.rig.model_copy(update={"reference_view": reference}), devices)
    folder = create_take(out / "raw", subject, session, action)
    truth = folder / TRUTH_FOLDER
    streams: list[_Stream] = []
    views: list[ViewRecord] = []
    for device in devices:
        found, view = _play(device, folder, truth)
        streams += found
        views += view
    stop_s = max(piece[0] for stream in streams for piece in stream.pieces)
    _write_streams(streams_path(folder), streams, stop_s, np.random.default_rng([seed, 77]))
    write_record(folder, _record(folder, bound, streams, views, repetitions, stop_s))
    write_sums(folder)
    return folder


def _play(device: BoundDevice, folder: Path, truth: Path) -> tuple[list[_Stream], list[ViewRecord]]:
    """Let one device play its whole performance; return its streams and, for a camera, its view."""
    name = device.entry.name
    driver: Any = find_driver(device.entry.driver)(device.config, VirtualClock(START_S))
    driver.open()
    (spec,) = driver.streams()
    driver.start(TakeStart(name, START_S + LEAD_S, truth))
    try:
        return _filmed(driver, name, spec, folder) if spec.video is not None else (_sampled(driver, name, spec), [])
    finally:
        driver.close()


def _sampled(driver: Any, device: str, spec: StreamSpec) -> list[_Stream]:
    name, modulus = spec.published_name(device), counter_modulus(spec)
    channels = (*spec.channels, Channel(COUNTER_LABEL, "count", "Counter"))
    beside = replace(spec, content_type="Clock", rate_hz=0.0, format="double64", details={})
    labels = tuple(Channel(label, unit, "Clock") for label, unit in zip(CLOCK_LABELS, ("count", "s", "s"), strict=True))
    samples = _Stream(name, device, _header(name, device, spec, channels, modulus))
    clock_name = name + CLOCK_SUFFIX
    clock = _Stream(clock_name, device, _header(clock_name, device, beside, labels, counter_modulus(beside)))
    dtype = np.dtype({"double64": "float64"}.get(spec.format, spec.format))
    for chunk in _pieces(driver):
        assert isinstance(chunk, Chunk)
        values = np.column_stack((chunk.values, chunk.counters % modulus)).astype(dtype)
        # LSL spreads the stamps of a chunk backwards from the one that was given, at the nominal rate.
        stamps = chunk.arrival_s - np.arange(len(values) - 1, -1, -1) / spec.rate_hz
        samples.pieces.append((chunk.arrival_s, stamps, values))
        row = np.array([[float(chunk.counters[-1]), chunk.arrival_s, chunk.device_time_s]])
        clock.pieces.append((chunk.arrival_s, np.array([chunk.arrival_s]), row))
    return [samples, clock]


def _filmed(driver: Any, device: str, spec: StreamSpec, folder: Path) -> tuple[list[_Stream], list[ViewRecord]]:
    assert spec.video is not None
    stream = _Stream(device, device, _header(device, device, spec, spec.channels, counter_modulus(spec)))

    def publish(frame_id: int, device_time_s: float, arrival_s: float, pts_us: int, encoded: bool) -> None:
        row = np.array([[float(frame_id), device_time_s, arrival_s, float(pts_us), float(encoded)]])
        stream.pieces.append((arrival_s, np.array([arrival_s]), row))

    files = CameraFiles(folder, device, spec, publish)
    try:
        for frame in _pieces(driver):
            assert isinstance(frame, Frame)
            while files.fill > 0.5:  # here the disk may take its time
                time.sleep(0.005)
            files.put(frame)
    finally:
        files.close()
    video, records = f"{device}.mov", f"{device}.frames"
    kept = read_frame_records(frames_path(folder, device)).kept
    record = ViewRecord(
        view=device,
        video=video,
        records=records,
        codec=spec.video.codec,
        width=spec.video.width,
        height=spec.video.height,
        frames=len(kept),
        encoded=int(kept.sum()),
    )
    return [stream], [record]


def _pieces(driver: Any) -> Any:
    while True:
        try:
            piece = driver.read()
        except EndOfStream:
            return
        if piece is not None:
            yield piece


def _header(name: str, device: str, spec: StreamSpec, channels: Sequence[Channel], modulus: int) -> str:
    """Build what ``drivers.publish`` has LSL say of the stream."""
    xml = build_header(
        name,
        spec.content_type,
        channels,
        spec.rate_hz,
        spec.format if spec.video is None else "double64",
        source_id=source_id(HOST, device, name, "offline"),
        hostname=HOST,
        flex_capture={
            "version": version("flex-capture"),
            "device": device,
            "stream": name,
            "counter_origin": spec.counter_origin,
            "counter_modulus": str(modulus),
            "simulated": "yes",
            **spec.details,
        },
    )
    if spec.video is None:
        return xml
    video = spec.video
    sizes = f"<width>{video.width}</width><height>{video.height}</height><codec>{video.codec}</codec>"
    return xml.replace("</desc>", f"<encoding>{sizes}</encoding></desc>")


def _write_streams(path: Path, streams: Sequence[_Stream], stop_s: float, rng: np.random.Generator) -> None:
    writer = XdfWriter(part_path(path), EPOCH + timedelta(seconds=START_S))
    probes_id = len(streams) + 1
    for number, stream in enumerate(streams, start=1):
        writer.stream_header(number, stream.header)
    labels = tuple(
        Channel(label, unit, "Clock") for label, unit in zip(PROBES_LABELS, ("", "s", "s", "s"), strict=True)
    )
    writer.stream_header(
        probes_id,
        build_header(PROBES_NAME, "Clock", labels, 0.0, "double64", source_id=f"flex-capture/{PROBES_NAME}"),
    )
    cursors = [0] * len(streams)
    offsets: list[list[tuple[float, float]]] = [[] for _ in streams]
    next_probe_s, probes = START_S, 0
    for pull_s in np.arange(START_S, stop_s + 2 * PULL_S, PULL_S).tolist():
        for index, stream in enumerate(streams):
            first = cursors[index]
            while cursors[index] < len(stream.pieces) and stream.pieces[cursors[index]][0] <= pull_s:
                cursors[index] += 1
            pulled = stream.pieces[first : cursors[index]]
            if pulled:
                stamps, values = (np.concatenate([piece[part] for piece in pulled]) for part in (1, 2))
                writer.samples(index + 1, stamps, values)
        if pull_s >= next_probe_s:
            next_probe_s += PROBE_PERIOD_S
            for index in range(len(streams)):
                there_s, back_s = rng.exponential(WAY_JITTER_S, 2)
                offset_s, round_trip_s = (there_s - back_s) / 2, ROUND_TRIP_S + there_s + back_s
                writer.clock_offset(index + 1, pull_s, offset_s)
                writer.samples(
                    probes_id, np.array([pull_s]), np.array([[index + 1, pull_s, offset_s, round_trip_s]], dtype=float)
                )
                offsets[index].append((pull_s, offset_s))
                probes += 1
            writer.boundary()
    for index, stream in enumerate(streams):
        first_s, last_s = float(stream.pieces[0][1][0]), float(stream.pieces[-1][1][-1])
        writer.stream_footer(index + 1, footer_xml(first_s, last_s, stream.samples, offsets[index]))
    writer.stream_footer(probes_id, footer_xml(None, None, probes))
    writer.close()
    finish_part(path)


def _record(
    folder: Path,
    bound: BoundRig,
    streams: Sequence[_Stream],
    views: Sequence[ViewRecord],
    repetitions: int,
    stop_s: float,
) -> TakeRecord:
    def anchor(session_s: float) -> ClockAnchor:
        utc = (EPOCH + timedelta(seconds=session_s)).isoformat(timespec="microseconds")
        return ClockAnchor(session_s=session_s, utc=utc, width_s=1e-6)

    return TakeRecord(
        subject=folder.parent.parent.name,
        session=folder.parent.name,
        take=folder.name,
        action=folder.name.partition("-")[0],
        expected_repetitions=repetitions,
        state="complete",
        simulated=True,
        simulated_devices=tuple(device.entry.name for device in bound.devices),
        rig=bound.as_recorded(),
        software={"flex-capture": version("flex-capture")},
        started=anchor(START_S),
        recording_s=START_S + LEAD_S,
        stopped=anchor(stop_s + PULL_S),
        stop_reason="all devices ended",
        streams=tuple(
            StreamRecord(
                stream_id=number,
                name=stream.name,
                device=stream.device,
                source_id=source_id(HOST, stream.device, stream.name, "offline"),
                samples=stream.samples,
            )
            for number, stream in enumerate(streams, start=1)
        ),
        views=tuple(views),
        events=(Event(session_s=START_S + LEAD_S, kind="t0", text="simulations play their first sample"),),
    )


def main() -> None:
    """Make one take and print its folder."""
    parser = argparse.ArgumentParser(description="Make a raw take of simulated devices without real time.")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets raw/")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reps", type=int, default=10)
    parser.add_argument("--cameras", action="store_true", help="the rig's cameras as well; each frame is drawn")
    parser.add_argument("--rig", type=Path, default=None, help="rig file of simulated devices; else the packaged one")
    asked = parser.parse_args()
    print(record_offline(asked.out, seed=asked.seed, repetitions=asked.reps, cameras=asked.cameras, rig_path=asked.rig))


if __name__ == "__main__":
    main()
