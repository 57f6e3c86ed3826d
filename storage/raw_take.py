"""Read a raw take back: streams with their clocks and probes, views with their frame records. Nothing is corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lab.errors import FileFormatError, TakeError
from lab.recorded import RecordedStream, RecordedTake
from lab.streams import CLOCK_SUFFIX
from storage.checksums import digest_of
from storage.imported_views import read_imported_views
from storage.marks_file import read_marks
from storage.raw_view import read_view
from storage.recorded_streams import is_camera, recorded_streams
from storage.take_folder import part_path, read_record, streams_path
from storage.take_window import within
from storage.xdf_reader import XdfFile, read_xdf

if TYPE_CHECKING:
    from pathlib import Path

    from lab.take import TakeRecord


def read_raw_take(folder: Path) -> RecordedTake:
    """Read a closed take.

    ``.clock`` streams and ``FlexClockProbes`` appear within the streams they belong to, cameras' streams within the
    views, ``FlexMarkers`` in the events of ``take.json``. Streams of others have the name that ``take.json`` gives
    them, and are no views, whatever they send: their pictures are elsewhere. Of an imported take the part that it is
    of its file is returned. What was damaged or missing stands in the notes. Raises TakeError, naming the folder and
    the next step, where the take cannot be read at all.
    """
    record = read_record(folder)
    path = streams_path(folder)
    if not path.exists() and part_path(path).exists():
        raise TakeError(f"{folder} was never closed; run `flex-capture recover`, then try again.")
    try:
        file = read_xdf(path)
    except FileFormatError as error:
        raise TakeError(f"{folder} has no readable streams: {error} Run `flex-capture verify {folder}`.") from None
    notes = list(file.notes)
    if file.bytes_discarded:
        notes.append(f"{path.name}: {file.bytes_discarded} bytes could not be used.")
    of_others = {str(entry.get("name")) for entry in record.rig.get("stream", ())}
    recorded = recorded_streams(_named_as_recorded(file, record), notes)
    _note_missing(record, recorded, notes)
    if record.imported is None:
        cameras = {stream.name: stream for stream in recorded if is_camera(stream) and stream.device not in of_others}
        streams = tuple(stream for stream in recorded if cameras.get(stream.name) is not stream)
        views = [read_view(folder, view.view, cameras.pop(view.view, None), view, notes) for view in record.views]
        views += [read_view(folder, name, camera, None, notes) for name, camera in cameras.items()]
    else:
        streams, views = read_imported_views(folder, record, recorded, notes)
    marks, mark_notes = read_marks(folder)
    take = RecordedTake(
        folder=folder,
        record=record,
        streams=streams,
        views=tuple(views),
        digest=digest_of(folder),
        notes=(*notes, *mark_notes),
        marks=tuple(marks),
        bytes_discarded=file.bytes_discarded,
    )
    return take if record.imported is None else within(take, record.imported.from_s, record.imported.to_s)


def _named_as_recorded(file: XdfFile, record: TakeRecord) -> XdfFile:
    """Call each stream as ``take.json`` does: publishers far away may well give two of theirs one name."""
    known = {stream.stream_id: stream for stream in record.streams}
    streams = []
    for stream in file.streams:
        entry = known.get(stream.stream_id)
        if entry is not None and stream.header.source_id == entry.source_id:
            header = replace(stream.header, name=entry.name, device=entry.device)
            streams.append(replace(stream, header=header))
        else:
            streams.append(stream)
    return replace(file, streams=tuple(streams))


def _note_missing(record: TakeRecord, recorded: list[RecordedStream], notes: list[str]) -> None:
    present = {stream.name for stream in recorded}
    notes.extend(
        f"Stream {expected.name} of take.json is not in streams.xdf."
        for expected in record.streams
        if expected.name not in present and expected.name.removesuffix(CLOCK_SUFFIX) not in present
    )
