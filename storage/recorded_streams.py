"""XDF streams -> recorded streams: of any XDF file, ours or somebody else's. Nothing is corrected.

``.clock`` streams and ``FlexClockProbes`` appear within the streams they belong to. ``FlexMarkers`` in the recorder's
own file are in session time and stand apart; recorded by somebody else, they are as any other stream.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lab.recorded import RecordedStream
from lab.streams import CLOCK_LABELS, CLOCK_SUFFIX, FRAME_LABELS, MARKERS_SOURCE, PROBES_LABELS, PROBES_NAME
from lab.take import Event

if TYPE_CHECKING:
    from storage.xdf_reader import XdfFile, XdfStream

_ROUND_TRIPS = dict[tuple[int, float], float]


def recorded_streams(file: XdfFile, notes: list[str], left_out: list[str] | None = None) -> list[RecordedStream]:
    """Return the streams of an XDF file in the order of their headers, without ``FlexMarkers`` in session time.

    Texts and irregular streams are there as any others; stamps are untouched. Streams that share a name are told apart
    by their ids: ``emg-3``. A ``.clock`` stream of which nobody can tell whose it is, is one among the others. Notes
    go to ``notes``, what had to be left out and why to ``left_out`` if given.
    """
    usable, said = [], notes if left_out is None else left_out
    for stream in file.streams:
        if stream.header.format is None or stream.header.channel_count is None:
            said.append(f"Stream {stream.stream_id} is left out: its header does not say how to read it.")
        else:
            usable.append(stream)
    clocks = _clocks(usable)
    taken = {id(clock) for clock in clocks.values()}
    probes = [stream for stream in usable if _is_probes(stream)]
    ordinary = [
        stream
        for stream in usable
        if not _is_probes(stream) and not _is_own_markers(stream) and id(stream) not in taken
    ]
    round_trips = _round_trips(probes)
    shared = {name for name, count in Counter(stream.name for stream in ordinary).items() if count > 1}
    notes.extend(f"Several streams are called '{name}'; their ids are added to their names." for name in sorted(shared))
    return [
        _recorded_stream(
            stream,
            f"{stream.name}-{stream.stream_id}" if stream.name in shared else stream.name,
            clocks.get(id(stream)),
            round_trips,
            notes,
        )
        for stream in ordinary
    ]


def _labels(stream: XdfStream) -> tuple[str, ...]:
    return tuple(channel.label for channel in stream.header.channels)


def _clocks(streams: list[XdfStream]) -> dict[int, XdfStream]:
    """Return the ``.clock`` stream of each stream that has one, by the stream's identity in memory.

    One runs beside the stream of its name; of several of that name, beside the one of its host. Where that is not one
    to one, nobody can tell.
    """
    clocks = [stream for stream in streams if _is_clock(stream)]
    out: dict[int, XdfStream] = {}
    for host_counts in (False, True):
        keys = {id(stream): (stream.name, stream.header.hostname if host_counts else "") for stream in streams}
        owners, own = _by_key(streams, keys), _by_key(clocks, keys)
        for name, host in owners:
            beside = own.get((name + CLOCK_SUFFIX, host), [])
            if len(owners[name, host]) == 1 and len(beside) == 1:
                out.setdefault(id(owners[name, host][0]), beside[0])
    return out


def _by_key(streams: list[XdfStream], keys: dict[int, tuple[str, str]]) -> dict[tuple[str, str], list[XdfStream]]:
    found: dict[tuple[str, str], list[XdfStream]] = {}
    for stream in streams:
        found.setdefault(keys[id(stream)], []).append(stream)
    return found


def _is_clock(stream: XdfStream) -> bool:
    """Tell a ``.clock`` stream by its name and its three channels."""
    return stream.name.endswith(CLOCK_SUFFIX) and _labels(stream) == CLOCK_LABELS and stream.format == "double64"


def _is_probes(stream: XdfStream) -> bool:
    return stream.name == PROBES_NAME and _labels(stream) == PROBES_LABELS and stream.format == "double64"


def is_camera(stream: RecordedStream) -> bool:
    """Tell the rows of a camera of flex-capture: no samples, but frame records."""
    return stream.video is not None and tuple(channel.label for channel in stream.channels) == FRAME_LABELS


def own_markers(file: XdfFile) -> list[Event]:
    """Return what ``FlexMarkers`` tells in the recorder's own file, in session time and in the order of the file."""
    return [
        Event.of_marker(float(stamp), str(row[0]))
        for stream in file.streams
        if _is_own_markers(stream) and stream.header.channel_count == 1
        for stamp, row in zip(stream.stamps, stream.values, strict=True)
        if math.isfinite(stamp)
    ]


def _is_own_markers(stream: XdfStream) -> bool:
    """Tell the recorder's own ``FlexMarkers``, whose events stand in ``take.json`` as well."""
    ours = stream.header.source_id == MARKERS_SOURCE and stream.format == "string"
    return ours and not len(stream.clock_times)


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
        values, channels = values[:, :-1], channels[:-1]  # no copy: a recording may fill half the memory
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
        probe_after=stream.clock_after,
        stream_id=stream.stream_id,
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
