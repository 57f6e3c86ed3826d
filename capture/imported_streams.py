"""The streams of an XDF file, called and described as a rig says: what the dataset will know them by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from capture.rig_file import BoundRig
from capture.stream_check import check_streams, signal_problems
from capture.stream_description import describe
from capture.stream_query import matches_query
from capture.visible_streams import shown
from drivers.publish import clock_source_id
from lab.device_names import VIEW_NAME
from lab.errors import FlexCaptureError, RigError
from lab.rig import StreamEntry
from lab.streams import CLOCK_LABELS, CLOCK_SUFFIX, MARKERS_SOURCE, PROBES_LABELS, PROBES_NAME, StreamSpec
from storage.xdf_header import StreamHeader
from storage.xdf_reader import XdfStream

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME: Final = 60
_MOST_NAMED: Final = 8


@dataclass(frozen=True)
class NamedStream:
    """A stream of the file, and what it is called from now on.

    ``device`` is whose latency and tolerance count: a device or stream of the rig, or the stream's own name. ``entry``
    is the ``[[stream]]`` of the rig that means it, if one does.
    """

    stream: XdfStream
    name: str
    device: str
    entry: StreamEntry | None = None

    @property
    def is_clock(self) -> bool:
        """Whether it runs beside a stream of flex-capture and tells when its chunks arrived."""
        return _is_clock(self.stream)

    def __str__(self) -> str:
        """Name it in a sentence."""
        return f"'{self.name}'"


@dataclass(frozen=True)
class NamedStreams:
    """All streams of a file that a take has by name; ``missing`` are those of the rig that the file has not."""

    streams: tuple[NamedStream, ...]
    missing: tuple[str, ...]


def name_streams(streams: Sequence[XdfStream], rig: BoundRig | None) -> NamedStreams:
    """Find for each ``[[stream]]`` of the rig its stream in a file, and name all the others.

    A stream of flex-capture that the rig has no ``[[stream]]`` for is that of the rig's device of the same name. Other
    streams keep their own name, with their type, then their id, where several have it. The ``.clock`` stream beside a
    stream follows its name. Raises RigError with a sentence for each entry that means several streams, or one that
    another means.
    """
    usable = [stream for stream in streams if stream.header.format is not None and stream.header.channel_count]
    ordinary = [stream for stream in usable if not _is_ours(stream)]
    clocks = {stream.header.source_id: stream for stream in ordinary if _is_clock(stream)}
    clock_of = {
        stream.stream_id: clocks[clock_source_id(stream.header.source_id)]
        for stream in ordinary
        if stream.header.source_id and clock_source_id(stream.header.source_id) in clocks
    }
    beside = {stream.stream_id for stream in clock_of.values()}
    plain = [stream for stream in ordinary if stream.stream_id not in beside]
    meant, missing = _meant(plain, rig)
    names = _own_names([stream for stream in plain if stream.stream_id not in meant], rig)
    named: list[NamedStream] = []
    for stream in plain:
        entry = meant.get(stream.stream_id)
        found = (
            NamedStream(stream, entry.name, entry.name, entry)
            if entry is not None
            else NamedStream(stream, names[stream.stream_id], _device(stream, names[stream.stream_id], rig))
        )
        named.append(found)
        clock = clock_of.get(stream.stream_id)
        if clock is not None:
            named.append(NamedStream(clock, found.name + CLOCK_SUFFIX, found.device))
    return NamedStreams(tuple(named), missing)


def check_named_streams(named: Sequence[NamedStream], rig: BoundRig | None) -> None:
    """Check that the dataset can be made of the streams. Raises RigError with a sentence a mistake."""
    problems: list[str] = []
    specs: dict[str, tuple[StreamSpec, ...]] = {}
    devices = set() if rig is None else {device.entry.name for device in rig.devices}
    for one in named:
        header = one.stream.header
        if header.video is not None or one.is_clock:
            continue
        try:
            if one.entry is not None:
                specs[one.name] = (describe(one.entry, header).spec,)
            elif one.device in devices:
                specs[one.device] = (*specs.get(one.device, ()), _spec(header))
            else:
                problems += [f"stream {one} {problem}" for problem in signal_problems(None, _spec(header))]
        except FlexCaptureError as error:
            problems += error.problems if one.entry is not None else [f"stream {one}: {it}" for it in error.problems]
    if problems and rig is None:
        problems[-1] += "; say what the stream does not say with a [[stream]] in a rig file, and name it with --rig"
    if rig is not None:
        try:
            check_streams(rig, specs)
        except RigError as error:
            problems += error.problems
    if problems:
        raise RigError(*problems)


def _is_ours(stream: XdfStream) -> bool:
    """Tell the recorder's own streams, which are no device's: probes and events."""
    labels = tuple(channel.label for channel in stream.header.channels)
    probes = stream.name == PROBES_NAME and labels == PROBES_LABELS and stream.format == "double64"
    # its own events are in session time; those that another recorder received have their clock probed
    own = stream.header.source_id == MARKERS_SOURCE and stream.format == "string" and not len(stream.clock_times)
    return probes or own


def _is_clock(stream: XdfStream) -> bool:
    labels = tuple(channel.label for channel in stream.header.channels)
    return stream.name.endswith(CLOCK_SUFFIX) and labels == CLOCK_LABELS and bool(stream.header.source_id)


def _meant(streams: Sequence[XdfStream], rig: BoundRig | None) -> tuple[dict[int, StreamEntry], tuple[str, ...]]:
    """Return the rig's entry for each stream, by stream id, and the entries that mean none."""
    meant: dict[int, StreamEntry] = {}
    missing, problems = [], []
    for bound in () if rig is None else rig.streams:
        entry = bound.entry
        try:
            found = [stream for stream in streams if _is_meant(entry, stream.header)]
        except RigError as error:
            problems += [f"stream '{entry.name}': {problem}" for problem in error.problems]
            continue
        # A stream that went and came back is in a file twice, and may be empty once.
        found = [stream for stream in found if len(stream.stamps)] or found
        if not found:
            missing.append(entry.name)
        elif len(found) > 1:
            there = "; ".join(_described(stream) for stream in found[:_MOST_NAMED])
            problems.append(
                f"stream '{entry.name}': {len(found)} streams of the file match: {there}; say more in its 'query'"
            )
        elif found[0].stream_id in meant:
            other = meant[found[0].stream_id].name
            problems.append(
                f"streams '{other}' and '{entry.name}' of the rig are the same: {_described(found[0])}; correct the rig"
            )
        else:
            meant[found[0].stream_id] = entry
    if problems:
        raise RigError(*problems)
    return meant, tuple(missing)


def _is_meant(entry: StreamEntry, header: StreamHeader) -> bool:
    if entry.source_id is not None and entry.source_id != header.source_id:
        return False
    return entry.query is None or matches_query(entry.query, header)


def _described(stream: XdfStream) -> str:
    header = stream.header
    source = f"source_id '{shown(header.source_id)}'" if header.source_id else "no source_id"
    where = f" on {shown(header.hostname)}" if header.hostname else ""
    return f"'{shown(header.name)}' ({shown(header.content_type) or 'no type'}, {source}, id {stream.stream_id}){where}"


def _own_names(streams: Sequence[XdfStream], rig: BoundRig | None) -> dict[int, str]:
    """Name streams by what they are called, their type and their id.

    No name is that of a view, nor one of the rig's for another stream.
    """
    taken = set() if rig is None else {bound.entry.name for bound in rig.streams}
    devices = set() if rig is None else {device.entry.name for device in rig.devices}
    plain = {stream.stream_id: _plain(stream.name) or f"stream{stream.stream_id}" for stream in streams}
    typed = {
        stream.stream_id: f"{plain[stream.stream_id]}.{_plain(stream.header.content_type)}".rstrip(".")
        for stream in streams
    }
    once, once_typed = Counter(plain.values()), Counter((*plain.values(), *typed.values()))
    names: dict[int, str] = {}
    for stream in streams:
        number = stream.stream_id
        of_device = bool(stream.header.flex_version) and stream.header.device in devices
        reserved = taken if of_device else taken | devices
        name = plain[number]
        if once[name] > 1 or name in reserved or VIEW_NAME.fullmatch(name):
            name = typed[number]
            if once_typed[name] > 1 or name in reserved or VIEW_NAME.fullmatch(name):
                name = f"{plain[number]}-{number}"
        while name in names.values():
            name += "_"
        names[number] = name
    return names


def _plain(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text).strip("_")[:_LONGEST_NAME]


def _device(stream: XdfStream, name: str, rig: BoundRig | None) -> str:
    devices = set() if rig is None else {device.entry.name for device in rig.devices}
    header = stream.header
    return header.device if header.flex_version and header.device in devices else name


def _spec(header: StreamHeader) -> StreamSpec:
    return StreamSpec(
        content_type=header.content_type,
        channels=header.channels[:-1] if header.has_counter else header.channels,
        rate_hz=header.rate_hz,
        format=header.format or "double64",
        simulated=header.simulated,
        counted=header.has_counter,
    )
