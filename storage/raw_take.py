"""Read a raw take back: streams with their clocks and probes, views with their frame records. Nothing is corrected."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError, TakeError
from lab.recorded import RecordedStream, RecordedTake
from lab.streams import (
    CLOCK_LABELS,
    CLOCK_SUFFIX,
    FRAME_LABELS,
    MARKERS_SOURCE,
    PROBES_LABELS,
    PROBES_NAME,
)
from storage.checksums import digest_of
from storage.imported_views import read_imported_views
from storage.marks_file import read_marks
from storage.raw_view import read_view
from storage.take_folder import part_path, read_record, streams_path
from storage.take_window import within
from storage.xdf_reader import XdfFile, XdfStream, read_xdf

if TYPE_CHECKING:
    from pathlib import Path

    from lab.take import TakeRecord

_ROUND_TRIPS = dict[tuple[int, float], float]


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
    recorded = _recorded_streams(_named_as_recorded(file, record), notes)
    _note_missing(record, recorded, notes)
    if record.imported is None:
        cameras = {stream.name: stream for stream in recorded if _is_camera(stream) and stream.device not in of_others}
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


def _is_camera(stream: RecordedStream) -> bool:
    return stream.video is not None and tuple(channel.label for channel in stream.channels) == FRAME_LABELS


def _note_missing(record: TakeRecord, recorded: list[RecordedStream], notes: list[str]) -> None:
    present = {stream.name for stream in recorded}
    notes.extend(
        f"Stream {expected.name} of take.json is not in streams.xdf."
        for expected in record.streams
        if expected.name not in present and expected.name.removesuffix(CLOCK_SUFFIX) not in present
    )


def _recorded_streams(file: XdfFile, notes: list[str]) -> list[RecordedStream]:
    usable = []
    for stream in file.streams:
        if stream.header.format is None or stream.header.channel_count is None:
            notes.append(f"Stream {stream.stream_id} is left out: its header does not say how to read it.")
        else:
            usable.append(stream)
    names = {stream.name for stream in usable}
    clocks = {stream.name: stream for stream in usable if _is_clock(stream, names)}
    probes = [stream for stream in usable if _is_probes(stream)]
    ordinary = [
        stream
        for stream in usable
        if not _is_probes(stream) and not is_markers(stream) and clocks.get(stream.name) is not stream
    ]
    round_trips = _round_trips(probes)
    shared = {name for name, count in Counter(stream.name for stream in ordinary).items() if count > 1}
    notes.extend(f"Several streams are called '{name}'; their ids are added to their names." for name in sorted(shared))
    return [
        _recorded_stream(
            stream,
            f"{stream.name}#{stream.stream_id}" if stream.name in shared else stream.name,
            None if stream.name in shared else clocks.get(stream.name + CLOCK_SUFFIX),
            round_trips,
            notes,
        )
        for stream in ordinary
    ]


def _labels(stream: XdfStream) -> tuple[str, ...]:
    return tuple(channel.label for channel in stream.header.channels)


def _is_clock(stream: XdfStream, names: set[str]) -> bool:
    """Tell a ``.clock`` stream by its name, what it runs beside, and its three channels."""
    return (
        stream.name.endswith(CLOCK_SUFFIX)
        and stream.name.removesuffix(CLOCK_SUFFIX) in names
        and _labels(stream) == CLOCK_LABELS
        and stream.format == "double64"
    )


def _is_probes(stream: XdfStream) -> bool:
    return stream.name == PROBES_NAME and _labels(stream) == PROBES_LABELS and stream.format == "double64"


def is_markers(stream: XdfStream) -> bool:
    """Tell the recorder's own ``FlexMarkers``, whose events stand in ``take.json`` as well."""
    return stream.header.source_id == MARKERS_SOURCE and stream.format == "string"


def _round_trips(probes: list[XdfStream]) -> _ROUND_TRIPS:
    return {
        (int(stream_id), remote_s): round_trip_s
        for stream in probes
        for stream_id, remote_s, _, round_trip_s in stream.values.tolist()
        if math.isfinite(stream_id)
    }


def _recorded_stream(
    stream: XdfStream, name: str, clock: XdfStream | None, round_trips: _ROUND_TRIPS, notes: list[str]
) -> RecordedStream:
    header = stream.header
    values, channels, counter = stream.values, header.channels, None
    if header.has_counter:
        counter = read_counts(values[:, -1])
        values, channels = np.ascontiguousarray(values[:, :-1]), channels[:-1]
        if counter is None:
            notes.append(f"{name}: its sample counter holds what is no count; it is not used.")
    probes = np.full((len(stream.clock_times), 3), np.nan)
    probes[:, 0], probes[:, 1] = stream.clock_times, stream.clock_offsets
    for row, remote_s in enumerate(stream.clock_times.tolist()):
        probes[row, 2] = round_trips.get((stream.stream_id, remote_s), np.nan)
    assert header.format is not None
    return RecordedStream(
        name=name,
        device=header.device,
        source_id=header.source_id,
        host=header.hostname,
        content_type=header.content_type,
        channels=channels,
        rate_hz=header.rate_hz,
        format=header.format,
        counter_origin=header.counter_origin,
        counter_modulus=header.counter_modulus,
        simulated=header.simulated,
        video=header.video,
        stamps=stream.stamps,
        values=values,
        counter=counter,
        chunk_last=stream.chunk_last,
        clock_rows=clock.values if clock is not None else None,
        probes=probes,
    )


def read_counts(column: npt.NDArray[Any]) -> npt.NDArray[np.int64] | None:
    """Return a channel that counts, (samples,), as whole numbers; None where one is none."""
    try:
        numbers = column.astype(np.float64) if column.dtype == object else column
    except ValueError:
        return None
    if numbers.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            if not bool(np.all((np.abs(numbers) < 2**62) & (numbers == np.rint(numbers)))):
                return None
    return np.asarray(numbers.astype(np.int64))
