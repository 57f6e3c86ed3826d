"""A take that was cut off becomes one that can be used; not a byte of what was recorded is changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from capture.resegmentation import takes_below
from capture.take_json import closed_view
from lab.errors import FlexCaptureError, RequestError, TakeError
from lab.take import Event, TakeRecord
from storage.checksums import SUMS_NAME, write_sums
from storage.take_folder import (
    ALIVE_S,
    finish_part,
    is_being_written,
    part_path,
    read_record,
    streams_path,
    write_record,
)
from storage.xdf_reader import XdfFile, read_xdf


def recover_takes(paths: Sequence[Path]) -> tuple[list[str], bool]:
    """Recover every unfinished take at or below ``paths``; return what to say, and whether all went well."""
    said: list[str] = []
    fine = True
    for take in takes_below(paths):
        try:
            said += recover_take(take)
        except RequestError as error:
            said += error.problems
            fine = False
        except (FlexCaptureError, OSError) as error:
            said.append(f"{take} could not be recovered ({error}); its files are as they were")
            fine = False
    return said, fine


def recover_take(folder: Path) -> list[str]:
    """Close a take whose recorder died: files get their names, ``take.json`` its end, all of it its checksums.

    The readers stop at the last whole chunk and frame. Returns sentences with the seconds each stream lacks to the last
    sign of life of any. Raises RequestError while the take is being written, TakeError where it cannot be done.
    """
    record = read_record(folder)
    if record.state != "recording":
        if not (folder / SUMS_NAME).exists():
            write_sums(folder)
            return [f"{folder}: its checksums were missing and are written now"]
        return [f"{folder} is {record.state}; there is nothing to recover"]
    part = part_path(streams_path(folder))
    if is_being_written(folder):
        raise RequestError(f"{folder} is being written; if its recorder is gone, try again in {ALIVE_S:.0f} s")
    if part.exists():
        finish_part(streams_path(folder))
    if not streams_path(folder).exists():
        raise TakeError(f"{folder} has no streams.xdf; nothing of its streams reached the disk")
    file = read_xdf(streams_path(folder))
    views = tuple(closed_view(folder, view) for view in record.views)
    last_s = max((float(stream.stamps[-1]) for stream in file.streams if len(stream.stamps)), default=0.0)
    lines = _losses(file, record, last_s)
    event = Event(session_s=last_s, kind="recovered", text=f"the recording was cut off; {'; '.join(lines)}")
    samples = {stream.stream_id: len(stream.stamps) for stream in file.streams}
    streams = tuple(
        stream.model_copy(update={"samples": samples.get(stream.stream_id, 0), "ended": False})
        for stream in record.streams
    )
    changes = {"state": "recovered", "streams": streams, "views": views, "events": (*record.events, event)}
    write_record(folder, record.model_copy(update=changes))
    write_sums(folder)
    return [f"{folder}: recovered", *(f"  {line}" for line in lines)]


def _losses(file: XdfFile, record: TakeRecord, last_s: float) -> list[str]:
    ends = {stream.name: float(stream.stamps[-1]) if len(stream.stamps) else math.nan for stream in file.streams}
    lines = []
    for stream in record.streams:
        end_s = ends.get(stream.name, math.nan)
        missing = "has no samples" if math.isnan(end_s) else f"ends {last_s - end_s:.2f} s before the last sign of life"
        lines.append(f"stream '{stream.name}' {missing}")
    if file.bytes_discarded:
        lines.append(f"{file.bytes_discarded} bytes at the end of streams.xdf are no whole chunk and are passed over")
    return lines
