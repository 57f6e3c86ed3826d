"""One recorded stream or view after the other onto session time, and into an aligned file if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from capture.sync_source import SyncSource
from capture.sync_terms import StreamTerms
from lab.aligned import AlignedStream, StreamReport, SyncEvidence
from lab.recorded import RecordedStream, RecordedView
from storage.aligned_file import MARKERS, AlignedFile, StreamOrigin, group_names
from storage.raw_view import frames_of_rows
from storage.recorded_streams import is_camera
from sync.align import align_stream, align_view


@dataclass(frozen=True)
class Gridded:
    """A stream in an aligned file that can be put on a grid, with its first and last time."""

    group: str
    from_s: float
    to_s: float


@dataclass(frozen=True)
class SynchronisedStream:
    """What is left of a stream when its samples are written.

    The ``evidence`` is without the places of the samples; ``on_grid`` is there only if it can be put on one.
    """

    report: StreamReport
    evidence: SyncEvidence
    on_grid: Gridded | None = None


def synchronised_streams(source: SyncSource, file: AlignedFile | None) -> Iterator[SynchronisedStream]:
    """Put one stream after the other on session time and into the file; each is let go of before the next.

    The report is by the name of the stream's group in the file, whether there is one or not.
    """
    named = [(stream.name, stream.stream_id) for stream in source.streams]
    named += [(view.view, view.stream.stream_id) for view in source.views]
    groups = group_names([*named, *([(MARKERS, 0)] if source.markers else [])])
    if file is not None and source.markers:
        file.add_markers(groups.pop(), source.markers)
    while source.streams:
        stream = source.streams.pop(0)
        yield _stream(stream, source.terms[stream.name], groups.pop(0), file)
        del stream
    while source.views:
        view = source.views.pop(0)
        yield _view(view, source.terms[view.view], groups.pop(0), file)


def _stream(recorded: RecordedStream, terms: StreamTerms, group: str, file: AlignedFile | None) -> SynchronisedStream:
    stream = terms.described(recorded)
    camera = is_camera(stream)
    aligned, report, evidence = (_camera_rows if camera else _samples)(stream, terms)
    report = replace(report, stream=group)
    if file is not None:
        counted = stream.counter is not None or camera
        file.add_stream(group, aligned, _origin(recorded), report, evidence, counted=counted)
    regular = stream.rate_hz > 0 and aligned.values.dtype != object and aligned.values.shape[1] and not camera
    if not regular or aligned.time_s.size < 2:
        return _left(report, evidence, None)
    return _left(report, evidence, Gridded(group, float(aligned.time_s[0]), float(aligned.time_s[-1])))


def _left(report: StreamReport, evidence: SyncEvidence, on_grid: Gridded | None) -> SynchronisedStream:
    return SynchronisedStream(report, replace(evidence, sample=np.zeros(0, dtype=np.intp)), on_grid)


def _samples(stream: RecordedStream, terms: StreamTerms) -> tuple[AlignedStream, StreamReport, SyncEvidence]:
    return align_stream(stream, *terms.limits)


def _camera_rows(stream: RecordedStream, terms: StreamTerms) -> tuple[AlignedStream, StreamReport, SyncEvidence]:
    """Put the rows of a camera, whose files are not here, on session time as those of a view: by its own clock."""
    rows = frames_of_rows(stream)
    view, report, evidence = align_view(rows, *terms.limits)
    evidence = replace(evidence, sample=rows.index[evidence.sample])
    aligned = AlignedStream(
        name=stream.name,
        device=stream.device,
        content_type=stream.content_type,
        channels=stream.channels,
        rate_hz=stream.rate_hz,
        time_s=view.time_s,
        values=stream.values[evidence.sample],
        counter=view.frame_id,
        simulated=stream.simulated,
    )
    return aligned, report, evidence


def _view(view: RecordedView, terms: StreamTerms, group: str, file: AlignedFile | None) -> SynchronisedStream:
    aligned, report, evidence = align_view(view, *terms.limits)
    report = replace(report, stream=group)
    if file is not None:
        file.add_view(group, aligned, view.video_path.name, _origin(view.stream), report, evidence)
    return _left(report, evidence, None)


def _origin(stream: RecordedStream) -> StreamOrigin:
    return StreamOrigin(stream.name, stream.stream_id, stream.source_id, stream.host, stream.format)
