"""What a check of the lab found, as a table at a terminal, as plain lines, as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capture.console import Console
from capture.readiness.disk_room import DiskRoom
from capture.readiness.size_in_words import size_in_words


@dataclass(frozen=True)
class Finding:
    """A sentence about something that is not in order, and the exit code that it asks for."""

    sentence: str
    code: int


@dataclass(frozen=True)
class Camera:
    """What a camera's frames came to: their mean size, how full its queue became (0 to 1), how many were given up."""

    bytes_a_frame: float
    queue_fill: float
    not_kept: int


@dataclass(frozen=True)
class StreamRow:
    """One expected stream. ``lost`` is None where nothing counts its samples; what was not measured is NaN."""

    name: str
    device: str
    source_id: str
    state: str
    rate_promised_hz: float
    rate_measured_hz: float
    rate_note: str
    channels: int
    samples: int
    lost: int | None
    clock_offset_s: float
    round_trip_s: float
    camera: Camera | None
    problems: tuple[str, ...]

    @classmethod
    def absent(cls, device: str, problem: str) -> StreamRow:
        """Return the row of a device, or stream of others, of which nothing came."""
        return cls(
            device, device, "", "FAILED", math.nan, math.nan, "", 0, 0, None, math.nan, math.nan, None, (problem,)
        )


@dataclass(frozen=True)
class LabReport:
    """All that a check found.

    ``room`` is None where the disk could not be looked at; ``remarks`` are the drivers' own, and nothing that is wrong.
    """

    rig: str
    listened_s: float
    streams: tuple[StreamRow, ...]
    room: DiskRoom | None
    free_memory_bytes: int | None
    unfinished: tuple[Path, ...]
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """The exit code: the highest that a finding asks for, 0 without any."""
        return max((finding.code for finding in self.findings), default=0)

    @property
    def verdict(self) -> str:
        """The last line."""
        if not self.findings:
            return f"'{self.rig}' is ready to record · {len(self.streams)} streams"
        return f"findings: {len(self.findings)}; '{self.rig}' is not ready to record"

    def show(self, console: Console) -> None:
        """Print the table at a terminal, else a line a stream; then disk, memory, what was found, the verdict."""
        if console.interactive:
            console.render(_table(self))
        else:
            for row in self.streams:
                console.line(_plain(row))
        wrap = console.interactive
        if self.room is not None and not self.room.problem:
            console.line(self.room.sentence, wrap=wrap)
        if self.free_memory_bytes is not None:
            console.line(f"{size_in_words(self.free_memory_bytes)} of memory are free")
        for remark in self.remarks:
            console.warning(remark)
        for finding in self.findings:
            console.line(finding.sentence, style="bold red", wrap=wrap)
        console.line(self.verdict, style="bold red" if self.findings else "bold green")

    def as_json(self) -> str:
        """Return all of it as one JSON object; what was not measured is null."""
        room = self.room
        content = {
            "rig": self.rig,
            "ready": not self.findings,
            "exit_code": self.code,
            "listened_s": self.listened_s,
            "streams": [asdict(row) for row in self.streams],
            "disk": None
            if room is None
            else {
                "folder": str(room.folder),
                "free_bytes": room.free_bytes,
                "take_bytes_least": room.size.least_bytes,
                "take_bytes_likely": room.size.likely_bytes,
                "take_bytes_most": room.size.most_bytes,
                "basis": room.size.basis,
                "fits": not room.problem,
                "takes_left": room.takes_left,
                "minutes_left": room.minutes_left,
            },
            "free_memory_bytes": self.free_memory_bytes,
            "unfinished": [str(take) for take in self.unfinished],
            "remarks": list(self.remarks),
            "findings": [asdict(finding) for finding in self.findings],
        }
        return json.dumps(_without_nan(content), indent=2, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inside) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _rate(row: StreamRow) -> str:
    return row.rate_note if math.isnan(row.rate_measured_hz) else _hz(row.rate_measured_hz)


def _hz(rate_hz: float) -> str:
    if math.isnan(rate_hz):
        return ""
    return f"{rate_hz:.2f}".rstrip("0").rstrip(".") if rate_hz else "irregular"


def _clock(row: StreamRow) -> str:
    if math.isnan(row.clock_offset_s):
        return "no answer" if row.source_id else ""
    certain = "" if math.isnan(row.round_trip_s) else f" ±{row.round_trip_s / 2 * 1e3:.2f}"
    return f"{row.clock_offset_s * 1e3:+.2f}{certain}"


def _camera(row: StreamRow) -> str:
    if row.camera is None or math.isnan(row.camera.bytes_a_frame):
        return ""
    return f"{size_in_words(row.camera.bytes_a_frame)} a frame, queue {row.camera.queue_fill:.0%}"


def _table(report: LabReport) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{report.rig} · {report.listened_s:.0f} s", title_style="bold", expand=False)
    table.add_column("stream", no_wrap=True)
    table.add_column("state", no_wrap=True)
    cameras = any(row.camera is not None for row in report.streams)
    video = ("a frame", "queue") if cameras else ()
    for heading in ("promised Hz", "measured Hz", "channels", "samples", "lost", "clock ms", *video):
        table.add_column(heading, justify="right", no_wrap=heading == "clock ms")
    for row in report.streams:
        camera = row.camera
        size = "" if camera is None or math.isnan(camera.bytes_a_frame) else size_in_words(camera.bytes_a_frame)
        fill = "" if camera is None else f"{camera.queue_fill:.0%}"
        table.add_row(
            Text(row.name),
            Text(row.state, style="green" if row.state in {"ok", "quiet"} else "bold red"),
            _hz(row.rate_promised_hz),
            "" if row.rate_promised_hz == 0 else _rate(row).partition(" to ")[0],
            str(row.channels or ""),
            f"{row.samples:,}" if row.source_id else "",
            Text("-" if row.lost is None else f"{row.lost:,}", style="bold red" if row.lost else ""),
            _clock(row),
            *((size, fill) if cameras else ()),
        )
    return table


def _plain(row: StreamRow) -> str:
    if not row.source_id and not row.samples:
        return f"{row.state:<7} {row.name}"
    parts = [f"{row.channels} channels", f"promised {_hz(row.rate_promised_hz)} Hz", f"measured {_rate(row)}"]
    if row.rate_promised_hz == 0:
        parts = [f"{row.channels} channels", "irregular"]
    parts += [f"{row.samples:,} samples", "losses not counted" if row.lost is None else f"{row.lost:,} lost"]
    parts += [f"clock offset {_clock(row)} ms" if not math.isnan(row.clock_offset_s) else "clock does not answer"]
    parts += [_camera(row)] if row.camera is not None else []
    return f"{row.state:<7} {row.name} [{row.source_id}]: {', '.join(part for part in parts if part)}"
