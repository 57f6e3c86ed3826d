"""What is to be synchronised: an XDF file by itself, or a raw take with its views, and what is known of each stream."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from capture.sync_terms import StreamTerms, terms_of_file, terms_of_take
from lab.errors import RequestError, TakeError
from lab.recorded import RecordedStream, RecordedView
from lab.rig import StreamEntry
from lab.streams import COUNTER_LABEL
from lab.take import Event
from storage.checksums import read_sums
from storage.raw_take import read_raw_take
from storage.recorded_streams import own_markers, recorded_streams
from storage.take_folder import STREAMS_NAME, record_path, streams_path
from storage.xdf_reader import read_xdf

_MODULUS: Final = re.compile(r"(.+):(\d{1,19})")
_LATEST_S: Final = 10.0


@dataclass
class SyncSource:
    """Recorded streams and views, and what was read around them.

    ``path`` is the XDF file; ``sha256`` what it has to be, where that is known. ``findings`` are what makes it less
    than whole, ``notes`` what else was said. ``facts`` are of the take.
    """

    path: Path
    streams: list[RecordedStream]
    views: list[RecordedView]
    markers: tuple[Event, ...]
    terms: dict[str, StreamTerms]
    bytes_discarded: int
    findings: tuple[str, ...]
    notes: tuple[str, ...]
    sha256: str | None = None
    facts: Mapping[str, Any] | None = None


def open_source(
    place: Path, rig: Mapping[str, Any] | None, counters: Sequence[str] = (), latencies: Sequence[str] = ()
) -> SyncSource:
    """Read an XDF file, or the folder of a raw take, with everything that is said of its streams.

    ``rig`` is as ``take.json`` holds it and counts instead of the take's own; ``counters`` are
    ``STREAM=CHANNEL[:MODULUS]`` and ``latencies`` ``STREAM=SECONDS``. Raises RequestError for what is no such file or
    folder, and for what does not fit its streams; TakeError for a take that cannot be read.
    """
    if place.is_dir():
        if not record_path(place).is_file():
            raise RequestError(f"{place} is no raw take; give the folder of one, or an XDF file")
        source = _of_take(place, rig)
    else:
        source = _of_file(place, rig or {})
    for text in counters:
        _count_by(source, text)
    for text in latencies:
        _delay_by(source, text)
    return source


def _of_file(path: Path, rig: Mapping[str, Any]) -> SyncSource:
    file = read_xdf(path)
    notes: list[str] = []
    left_out: list[str] = []
    streams = recorded_streams(file, notes, left_out)
    return SyncSource(
        path=path,
        streams=streams,
        views=[],
        markers=tuple(own_markers(file)),
        terms=terms_of_file(rig, streams),
        bytes_discarded=file.bytes_discarded,
        findings=tuple(left_out),
        notes=(*file.notes, *notes),
    )


def _of_take(folder: Path, rig: Mapping[str, Any] | None) -> SyncSource:
    take = read_raw_take(folder)
    record = take.record
    if record.state == "recording":
        raise TakeError(f"{folder} was never finished; it must be recovered before it can be used")
    said = record.rig if rig is None else rig
    terms = {stream.name: terms_of_take(said, stream.device) for stream in take.streams}
    terms |= {view.view: terms_of_take(said, view.stream.device) for view in take.views}
    return SyncSource(
        path=streams_path(folder),
        streams=list(take.streams),
        views=list(take.views),
        markers=record.events,
        terms=terms,
        bytes_discarded=take.bytes_discarded,
        findings=take.notes,
        notes=(),
        sha256=read_sums(folder)[0].get(STREAMS_NAME),
        facts={
            "take_id": record.id,
            "subject": record.subject,
            "action": record.action,
            "simulated": record.simulated,
            "started_session_s": record.started.session_s,
            # of an imported take nobody may know it
            **({} if record.started.utc is None else {"started_utc": record.started.utc}),
        },
    )


def _count_by(source: SyncSource, text: str) -> None:
    """Let a channel of a stream count its samples, as ``--counter`` says."""
    stream, said = _named_stream(source, text, "--counter", "STREAM=CHANNEL or STREAM=CHANNEL:MODULUS")
    labels = [channel.label for channel in stream.channels]
    if stream.counter is not None:
        labels.append(COUNTER_LABEL)
    match = _MODULUS.fullmatch(said)
    wanted = [(said, 0)] + ([(match[1], int(match[2]))] if match else [])
    for label, modulus in wanted:
        columns = [index for index, own in enumerate(labels) if own == label]
        if not columns and label.isdecimal() and 1 <= int(label[:9]) <= len(labels):
            columns = [int(label) - 1]
        if len(columns) > 1:
            raise RequestError(f"--counter: {stream.name} has {len(columns)} channels '{label}'; give its number")
        if columns and (modulus >= 2 or label == said):
            terms = source.terms[stream.name]
            entry = {"name": "counted", "query": "-"} if terms.entry is None else terms.entry.model_dump()
            entry |= {"counter": columns[0] + 1, "counter_modulus": modulus or None}
            source.terms[stream.name] = replace(terms, entry=StreamEntry(**entry))
            return
    raise RequestError(
        f"--counter: {stream.name} has no channel '{said}', but {len(labels)}: {', '.join(labels[:12])};"
        " give one by its label or number, with a modulus of at least 2 after a colon if it begins anew at 0"
    )


def _delay_by(source: SyncSource, text: str) -> None:
    """Set the latency of a stream or view, as ``--latency`` says."""
    name, _, said = text.rpartition("=")
    try:
        latency_s = float(said)
    except ValueError:
        latency_s = float("nan")
    if not abs(latency_s) <= _LATEST_S:
        raise RequestError(f"--latency '{text}' is not STREAM=SECONDS, with -10 to 10 seconds")
    if name not in source.terms:
        raise RequestError(f"--latency: there is no stream '{name}'; there are {_names(source)}")
    source.terms[name] = replace(source.terms[name], latency_s=latency_s)


def _named_stream(source: SyncSource, text: str, option: str, form: str) -> tuple[RecordedStream, str]:
    """Return the stream that stands before a ``=``, and what stands behind it; names may hold a ``=`` themselves."""
    for place in [index for index, letter in enumerate(text) if letter == "="]:
        for stream in source.streams:
            if stream.name == text[:place] and text[place + 1 :]:
                return stream, text[place + 1 :]
    if "=" not in text:
        raise RequestError(f"{option} '{text}' is not {form}")
    raise RequestError(f"{option}: there is no stream '{text.rpartition('=')[0]}'; there are {_names(source)}")


def _names(source: SyncSource) -> str:
    return ", ".join(list(source.terms)[:20]) or "none"
