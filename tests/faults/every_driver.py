"""A rig with every kind of driver in it, each wrapped in ``faulty``, beside one device that nothing happens to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import simplejpeg

from lab.joints import JOINTS
from lab.streams import CLOCK_LABELS, COUNTER_LABEL, Channel, VideoFormat
from storage.c3d_file import C3dFile
from storage.c3d_writer import c3d_bytes
from storage.video_writer import VideoWriter
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

#: Longer than any take of these tests.
_SECONDS: Final = 120

BYSTANDER: Final = """
name = "every driver"
wait_s = 60.0
max_uncertainty_ms = 100.0
[[device]]
name = "bystander"
driver = "simulated.emg"
rate_hz = 1000.0
repetitions = 60
latency_s = 0.048
delay_s = 0.048
"""

_SMALL_CAMERA: Final = {"width": 320, "height": 240, "focal_px": 260.0, "quality": 30}


@dataclass(frozen=True)
class Kind:
    """A device of the rig; ``streams`` are the regular streams it sends and their rates, ``delay_s`` what they take.

    ``first`` is the count of the sample that is played at t0: the last of an XDF file's first packet.
    """

    device: str
    wraps: str
    streams: dict[str, float]
    options: dict[str, Any]
    delay_s: float = 0.0
    drift_ppm: float = 0.0
    first: int = 0

    @property
    def is_camera(self) -> bool:
        return self.device.startswith("view")


def every_kind(folder: Path) -> tuple[Kind, ...]:
    """Write the files that are replayed and return one device of each kind of driver."""
    simulated: dict[str, Any] = {"repetitions": 60, "jitter_s": 0.002}
    return (
        Kind("mocap", "simulated.mocap", {"mocap": 50.0}, {**simulated, "rate_hz": 50.0, "delay_s": 0.01}, 0.01, 18.0),
        Kind("emg", "simulated.emg", {"emg": 1000.0}, {**simulated, "rate_hz": 1000.0, "delay_s": 0.03}, 0.03, -25.0),
        Kind("vest", "simulated.vest", {"vest": 5.0}, {**simulated, "rate_hz": 5.0, "delay_s": 0.05}, 0.05, 40.0),
        Kind(
            "view1",
            "simulated.camera",
            {"view1": 10.0},
            {**simulated, **_SMALL_CAMERA, "rate_hz": 10.0, "delay_s": 0.04},
            0.04,
            9.0,
        ),
        Kind(
            "csv",
            "replay.csv",
            {"csv": 200.0},
            {
                "file": str(_csv(folder)),
                "rate_hz": 200.0,
                "columns": ["v"],
                "counter": "n",
                "content_type": "Misc",
                "chunk_samples": 10,
            },
        ),
        Kind("c3d", "replay.c3d", {"c3d.markers": 50.0, "c3d.analog": 200.0}, {"file": str(_c3d(folder))}),
        Kind("trc", "replay.trc", {"trc": 50.0}, {"file": str(_trc(folder))}),
        Kind("xdf", "replay.xdf", {"xdf.force": 100.0}, {"file": str(_xdf(folder))}, first=9),
        Kind("view2", "replay.video", {"view2": 10.0}, {"file": str(_video(folder))}),
    )


def rig_of(kinds: tuple[Kind, ...], folder: Path, bystander: str = BYSTANDER) -> str:
    """Return the rig file; orders and what was delivered go into ``folder``."""
    entries = [bystander]
    for kind in kinds:
        options = {
            "name": kind.device,
            "driver": "faulty",
            "wraps": kind.wraps,
            "folder": str(folder),
            "latency_s": kind.delay_s,
            **kind.options,
        }
        entries.append("[[device]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items()))
    return "\n".join(entries)


def _csv(folder: Path) -> Path:
    path = folder / "a.csv"
    path.write_text("n,v\n" + "".join(f"{n},{n % 1000}\n" for n in range(200 * _SECONDS)), encoding="utf-8")
    return path


def _trc(folder: Path) -> Path:
    path, frames = folder / "a.trc", 50 * _SECONDS
    head = (
        "PathFileType\t4\t(X/Y/Z)\ta.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"50\t50\t{frames}\t{len(JOINTS)}\tm\t50\t1\t{frames}",
        "Frame#\tTime\t" + "\t\t\t".join(JOINTS) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{number + 1}" for number in range(len(JOINTS)) for axis in "XYZ"),
    )
    rows = (
        f"{frame + 1}\t{frame / 50:.3f}\t" + "\t".join([f"{frame % 100 / 100 + 0.01}\t1.0\t0.5"] * len(JOINTS))
        for frame in range(frames)
    )
    path.write_text("\n".join([*head, *rows]) + "\n", encoding="utf-8")
    return path


def _c3d(folder: Path) -> Path:
    path, frames = folder / "a.c3d", 50 * _SECONDS
    positions = np.ones((frames, len(JOINTS), 3), dtype=np.float32)
    positions += (np.arange(frames, dtype=np.float32) % 100 / 100)[:, None, None]
    analog = (np.arange(frames * 4, dtype=np.float64) % 1000)[:, None]
    content = C3dFile(50.0, 1, JOINTS, "m", positions, 200.0, ("Force",), ("N",), analog, "someone", "something 1.0")
    path.write_bytes(c3d_bytes(content))
    return path


def _xdf(folder: Path) -> Path:
    path = folder / "a.xdf"
    writer = XdfWriter(path)
    force = (Channel("Fz", "newtons", "Force"), Channel(COUNTER_LABEL, "count", "Counter"))
    flex = {"version": "1", "device": "p", "stream": "force", "counter_origin": "device", "counter_modulus": "16777216"}
    writer.stream_header(1, build_header("force", "Force", force, 100.0, "float32", flex_capture=flex))
    clock = tuple(Channel(label, "s", "Clock") for label in CLOCK_LABELS)
    writer.stream_header(2, build_header("force.clock", "Clock", clock, 0.0, "double64"))
    writer.stream_header(3, build_header("cues", "Markers", (Channel("text", "", "Marker"),), 0.0, "string"))
    for first in range(0, 100 * _SECONDS, 10):
        counts = np.arange(first, first + 10)
        arrival_s = 50 + counts[-1] / 100
        writer.samples(1, 50 + counts / 100, np.stack([counts % 1000, counts], axis=1).astype(np.float32))
        writer.samples(2, [arrival_s], np.array([[counts[-1], arrival_s, counts[-1] / 100]]))
        if first % 50 == 0:
            writer.samples(3, [arrival_s], [[f"cue {first}"]])
    writer.close()
    return path


def _video(folder: Path) -> Path:
    path = folder / "a.mov"
    writer = VideoWriter(path, VideoFormat("mjpeg", 64, 48), 10.0)
    for number in range(10 * _SECONDS):
        image = np.full((48, 64, 3), number % 250, np.uint8)
        writer.write(simplejpeg.encode_jpeg(image, 85), number * 100_000)
    writer.close()
    return path
