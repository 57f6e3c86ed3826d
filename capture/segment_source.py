"""What ``flex-capture segment`` reads: C3D, TRC, CSV, XDF or a raw take, as signals on one clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from capture.motion_signals import Columns, check_patterns, chosen, signals_of, signals_of_points
from lab.aligned import AlignedStream
from lab.errors import RequestError
from lab.motion_signal import MotionSignal

#: Streams that are no motion; they are looked at only if they are named.
NO_MOTION: Final = frozenset(
    ("eeg", "markers", "heartrate", "breathrate", "audio", "video", "videoraw", "videoexternal", "gaze", "ppg")
)
_SLOWEST_HZ: Final = 4.0
#: A column that fills less than this part of the rows is of a slower sensor.
_SPARSE: Final = 0.6


@dataclass(frozen=True)
class SegmentRequest:
    """What is to be read: ``rate_hz`` for a table without times, ``columns`` are patterns, ``stream`` is one's name."""

    place: Path
    rate_hz: float | None = None
    columns: tuple[str, ...] = ()
    stream: str | None = None


@dataclass(frozen=True)
class SegmentSource:
    """Signals on one clock. ``clock`` says in words which; ``notes`` what else is to be known of them."""

    signals: tuple[MotionSignal, ...]
    clock: str
    notes: tuple[str, ...] = ()


def read_signals(request: SegmentRequest) -> SegmentSource:
    """Read a file's signals. Raises RequestError or FileFormatError for what cannot be read, or was asked wrongly."""
    suffix = request.place.suffix.lower()
    reader = _READERS.get(suffix)
    if reader is None:
        raise RequestError(
            f"{request.place} is of no kind that can be read ({suffix or 'no ending'}); give a .c3d, .trc, .csv, .tsv,"
            " .txt or .xdf file, or the folder of a raw take"
        )
    if request.rate_hz is not None and reader is not _from_csv:
        raise RequestError(f"--rate is for tables without times; {request.place} says its own, leave it out")
    if request.stream is not None and reader is not _from_xdf:
        raise RequestError(f"--stream is for XDF files and takes; {request.place} has no streams, leave it out")
    return reader(request)


def _from_c3d(request: SegmentRequest) -> SegmentSource:
    from storage.c3d_file import read_c3d

    file = read_c3d(request.place)
    check_patterns((*file.labels, *file.analog_labels), request.columns, str(request.place))
    clock = "the file's frames, in seconds from the first"
    signals: list[MotionSignal] = []
    notes: list[str] = []
    points = chosen(file.labels, request.columns)
    if points and file.positions.shape[0]:
        time_s = np.arange(file.positions.shape[0]) / file.rate_hz
        labels = [file.labels[index] for index in points]
        signals, notes = signals_of_points(request.place.name, time_s, file.positions[:, points], labels, file.units)
    columns = chosen(file.analog_labels, request.columns)
    if columns and file.analog.size:
        analog = Columns(
            request.place.name,
            np.arange(len(file.analog)) / file.analog_rate_hz,
            file.analog[:, columns],
            tuple(file.analog_labels[index] for index in columns),
            tuple(file.analog_units[index] for index in columns),
        )
        more, said = signals_of(analog)
        signals, notes = signals + more, notes + said
    return SegmentSource(tuple(signals), clock, tuple(notes))


def _from_trc(request: SegmentRequest) -> SegmentSource:
    from storage.trc_file import read_trc

    file = read_trc(request.place)
    check_patterns(file.labels, request.columns, str(request.place))
    points = chosen(file.labels, request.columns)
    signals, notes = signals_of_points(
        request.place.name,
        file.time_s,
        file.positions[:, points],
        [file.labels[index] for index in points],
        file.units,
    )
    return SegmentSource(tuple(signals), "the file's own column of times", tuple(notes))


def _from_csv(request: SegmentRequest) -> SegmentSource:
    from capture.table_times import timed_columns
    from storage.csv_table import read_csv_table

    table = read_csv_table(request.place)
    groups, clock = timed_columns(table.columns, table.values, request.rate_hz, str(request.place))
    named = [table.columns[column] for group in groups for column in group.columns]
    check_patterns(named, request.columns, str(request.place))
    signals: list[MotionSignal] = []
    notes: list[str] = []
    for group in groups:
        wanted = set(chosen([table.columns[column] for column in group.columns], request.columns))
        columns = [column for place, column in enumerate(group.columns) if place in wanted]
        for rows, own in _by_rows(table.values, group.rows, columns):
            more, said = signals_of(
                Columns(
                    request.place.name,
                    group.time_s[rows],
                    table.values[group.rows[rows]][:, own],
                    tuple(table.columns[column] for column in own),
                )
            )
            signals, notes = signals + more, notes + said
    return SegmentSource(tuple(signals), clock, tuple(notes))


def _by_rows(
    values: npt.NDArray[np.float64], rows: npt.NDArray[np.intp], columns: Sequence[int]
) -> list[tuple[npt.NDArray[np.intp], list[int]]]:
    """Return columns together with the places in ``rows`` that they fill: a slow sensor beside a fast one fills few."""
    groups: dict[bytes, tuple[npt.NDArray[np.intp], list[int]]] = {}
    for column in columns:
        there = np.isfinite(values[rows, column])
        sparse = 0 < np.count_nonzero(there) < _SPARSE * there.size
        key = there.tobytes() if sparse else b""
        if key not in groups:
            groups[key] = (np.flatnonzero(there) if sparse else np.arange(rows.size), [])
        groups[key][1].append(column)
    return list(groups.values())


def _from_xdf(request: SegmentRequest) -> SegmentSource:
    from capture.sync_source import open_source
    from storage.recorded_streams import is_camera
    from sync.align import align_stream

    source = open_source(request.place, None)
    names = [stream.name for stream in source.streams]
    if request.stream is not None and request.stream not in names:
        raise RequestError(
            f"{request.place} has no stream '{request.stream}'; it has {', '.join(names[:20]) or 'none'}"
        )
    aligned: list[AlignedStream] = []
    while source.streams:
        recorded = source.streams.pop(0)
        if request.stream not in (None, recorded.name) or is_camera(recorded) or recorded.values.dtype == object:
            continue
        terms = source.terms[recorded.name]
        if request.stream is None and recorded.content_type.lower() in NO_MOTION:
            continue
        aligned.append(align_stream(terms.described(recorded), *terms.limits)[0])
    notes = [*source.findings, *source.notes]
    if source.bytes_discarded:
        notes.append(f"{source.path.name}: {source.bytes_discarded} bytes could not be used.")
    found = signals_of_streams(aligned, request)
    return replace(found, notes=(*notes, *found.notes))


def signals_of_streams(streams: Sequence[AlignedStream], request: SegmentRequest) -> SegmentSource:
    """Return the signals in streams on session time. Raises RequestError where ``--columns`` fits none."""
    labels = [channel.label for stream in streams for channel in stream.channels]
    check_patterns(labels, request.columns, str(request.place))
    signals: list[MotionSignal] = []
    notes: list[str] = []
    for stream in streams:
        columns = chosen([channel.label for channel in stream.channels], request.columns)
        if not columns or stream.time_s.size < 2 or stream.values.dtype == object:
            continue
        if stream.time_s.size / max(float(stream.time_s[-1] - stream.time_s[0]), 1e-9) < _SLOWEST_HZ:
            continue
        channels = [stream.channels[index] for index in columns]
        more, said = signals_of(
            Columns(
                stream.name,
                stream.time_s,
                stream.values[:, columns],
                tuple(channel.label for channel in channels),
                tuple(channel.unit for channel in channels),
                tuple(channel.type for channel in channels),
                tuple(channel.marker for channel in channels),
                stream.content_type,
            )
        )
        signals, notes = signals + more, notes + said
    return SegmentSource(tuple(signals), "session time, LSL's clock of the recording host", tuple(notes))


_READERS: Final[dict[str, Callable[[SegmentRequest], SegmentSource]]] = {
    ".c3d": _from_c3d,
    ".trc": _from_trc,
    ".csv": _from_csv,
    ".tsv": _from_csv,
    ".txt": _from_csv,
    ".xdf": _from_xdf,
}
