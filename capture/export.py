"""Takes and repetitions -> files of other programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capture.console import Console
from capture.output_folder import plain_name, refuse_recorded_folder
from capture.recovery import recover_met
from capture.take_or_dataset import is_raw_take
from lab.actions import ACTIONS
from lab.errors import RequestError, TakeError
from lab.repetitions import Repetition
from storage.atomic import write_bytes_atomically
from storage.os_errors import reason
from storage.take_folder import read_record

if TYPE_CHECKING:
    from storage.flex.entries import TakeEntry
    from storage.flex.read_signals import StoredSignal
    from storage.flex.signals import Signal

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class ExportRequest:
    """What the operator asked for. ``take_id`` is a take of the dataset at ``place``; files go into ``output``."""

    place: Path
    take_id: str | None
    output: Path
    force: bool


@dataclass(frozen=True)
class _Part:
    """One file in the making: signals of a whole take, or of one repetition (``number``), with what names them."""

    name: str
    notes: dict[str, str]
    phases: tuple[str, str]
    pose: StoredSignal | None
    emg: StoredSignal | None
    repetitions: tuple[tuple[int, Repetition], ...]

    @property
    def span_s(self) -> tuple[float, float] | None:
        """First and last time of the pose, or of the sEMG where there is no pose; None where there is neither."""
        for signal in (self.pose, self.emg):
            if signal is not None and len(signal.time_s):
                return float(signal.time_s[0]), float(signal.time_s[-1])
        return None


def export_c3d(request: ExportRequest) -> int:
    """Write the C3D files that were asked for and say where they are; return the exit code.

    A raw take becomes one file, each repetition of a dataset one. Raises RequestError where there is nothing to export
    or a file may not be written, TakeError or LayoutError where it cannot be read or written. Files that are written
    are whole.
    """
    console = Console()
    recover_met([request.place], console)
    names, parts = _raw_part(request) if is_raw_take(request.place, request.take_id) else _dataset_parts(request)
    refuse_recorded_folder(request.output / "file", request.place)
    check_names(request, names)
    with console.progress() as progress:
        make_folder(request.output)
        remarks: list[str] = []
        for done, part in enumerate(parts(progress)):
            progress("exporting", done, len(names))
            remarks += _write(request.output / part.name, part)
        progress("exporting", len(names), len(names))
    for remark in remarks:
        console.warning(remark)
    written = sum((request.output / name).exists() for name in names)
    console.line(f"{written} C3D file{'s' if written != 1 else ''} in {request.output}")
    return 1 if remarks else 0


def make_folder(folder: Path) -> None:
    """Make the folder of the files. Raises RequestError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{folder} cannot be made ({reason(error)}); name another with --output") from None


def check_names(request: ExportRequest, names: Sequence[str]) -> None:
    """Raise RequestError where there is nothing to write, or a file that may not be replaced."""
    if not names:
        raise RequestError(f"{request.place} has no repetition to export")
    if request.output.exists() and not request.output.is_dir():
        raise RequestError(f"{request.output} is not a folder; name one with --output")
    there = [name for name in names if (request.output / name).exists()]
    if there and not request.force:
        raise RequestError(f"{request.output / there[0]} exists; name another folder with --output, or use --force")


_Parts = tuple[list[str], Callable[[Progress], Iterator[_Part]]]


def _raw_part(request: ExportRequest) -> _Parts:
    name = plain_name(read_record(request.place).id, ".c3d")

    def parts(progress: Progress) -> Iterator[_Part]:
        from capture.process_take import process_in_memory
        from storage.flex.signals import take_signals

        processed = process_in_memory(request.place, progress, verify=True)
        aligned, record = processed.aligned, processed.aligned.record
        signals = {signal.name: _stored(signal) for signal in take_signals(aligned)}
        pose, emg = signals.get("pose"), signals.get("emg")
        yield _Part(
            name=name,
            notes=_notes(record.id, record.subject, record.action, "all", record.simulated),
            phases=_phases(record.action),
            pose=pose,
            emg=emg,
            repetitions=tuple(enumerate(processed.segmentation.repetitions, start=1)),
        )

    return [name], parts


def _stored(signal: Signal) -> StoredSignal:
    from storage.flex.description import SIGNALS
    from storage.flex.read_signals import StoredSignal

    return StoredSignal(
        values=signal.values,
        time_s=signal.time_s,
        labels=signal.labels,
        unit=SIGNALS[signal.name][0],
        stream=signal.stream,
        rate_nominal_hz=signal.rate_nominal_hz,
        rate_measured_hz=signal.rate_measured_hz,
        simulated=signal.simulated,
    )


def _dataset_parts(request: ExportRequest) -> _Parts:
    from capture.dataset_rows import read_rows

    rows = read_rows(request.place)
    if request.take_id is not None:
        entries = [rows.entry(request.take_id)]
    else:
        wanted = [row for row in rows.takes if row["current"] and not row.get("excluded_reason")]
        entries = [rows.entries[str(row["take_id"])] for row in wanted]
    names = [_name(entry, number) for entry in entries for number in range(1, len(entry.repetitions) + 1)]

    def parts(_progress: Progress) -> Iterator[_Part]:
        for entry in entries:
            yield from _repetitions_of(request.place, entry)

    return names, parts


def _name(entry: TakeEntry, number: int) -> str:
    return plain_name(entry.take_id, f"_rep{number:02d}.c3d")


def _repetitions_of(dataset: Path, entry: TakeEntry) -> Iterator[_Part]:
    from capture.dataset_rows import repetitions_of
    from storage.flex.read_signals import read_signals

    action = str(entry.take["action"])
    simulated = bool(entry.take["simulated"])
    stored = read_signals(dataset, entry)
    for number, (one, signals) in enumerate(zip(repetitions_of(entry), stored, strict=True), start=1):
        yield _Part(
            name=_name(entry, number),
            notes=_notes(entry.take_id, str(entry.take["subject"]), action, str(number), simulated),
            phases=_phases(action),
            pose=signals.get("pose"),
            emg=signals.get("emg"),
            repetitions=((number, one),),
        )


def _phases(action: str) -> tuple[str, str]:
    return ACTIONS[action].phases if action in ACTIONS else ("first phase", "second phase")


def _notes(take_id: str, subject: str, action: str, repetition: str, simulated: bool) -> dict[str, str]:
    return {
        "TAKE_ID": take_id,
        "SUBJECT": subject,
        "ACTION": action,
        "REPETITION": repetition,
        "SIMULATED": "yes" if simulated else "no",
    }


def _write(path: Path, part: _Part) -> list[str]:
    """Write one file; return what is to be said about it."""
    from storage.c3d_writer import c3d_bytes
    from storage.take_c3d import INTERPOLATION, c3d_events, c3d_of

    if part.span_s is None:
        return [f"{part.name} is not written: there is neither a pose nor sEMG"]
    from_s, to_s = part.span_s
    content = c3d_of(part.pose, part.emg, from_s, to_s)
    events = c3d_events(part.repetitions, part.phases, from_s)
    notes = part.notes | {
        "INTERPOLATION": INTERPOLATION,
        "FIRST_FRAME_S": f"{from_s:.6f} of session time",
        "EMG_RATE_HZ": _rate(part.emg),
        "POSE_RATE_HZ": _rate(part.pose),
    }
    data = c3d_bytes(content, events, notes)
    try:
        write_bytes_atomically(path, data)
    except OSError as error:
        raise TakeError(f"{path} cannot be written ({reason(error)}); the files before it are whole") from None
    lacking = len(part.repetitions) - len(events) // 3
    return [f"{part.name} lacks the events of the last {lacking} repetitions: it has no room"] if lacking else []


def _rate(signal: StoredSignal | None) -> str:
    if signal is None:
        return "none"
    measured = signal.rate_measured_hz
    return f"{signal.rate_nominal_hz:g} asked" + (f", {measured:.6g} measured" if math.isfinite(measured) else "")
