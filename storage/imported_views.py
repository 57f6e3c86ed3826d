"""The views of an imported take: videos that came beside a file of streams, placed in time by one of these."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from lab.recorded import RecordedStream, RecordedView
from lab.streams import FRAME_LABELS, Channel, VideoFormat
from storage.frame_records import read_frame_records
from storage.raw_view import read_view
from storage.take_folder import frames_path

if TYPE_CHECKING:
    from pathlib import Path

    from lab.take import TakeRecord, ViewRecord

_SESSION_PROBES: Final = 50


def read_imported_views(
    folder: Path, record: TakeRecord, recorded: list[RecordedStream], notes: list[str]
) -> tuple[tuple[RecordedStream, ...], list[RecordedView]]:
    """Return the streams and the views of an imported take; what is damaged or missing goes to ``notes``.

    A stream that does nothing but count the frames of a video appears within its view. The rows of a camera whose
    pictures were not imported are numbers like others.
    """
    by_name = {stream.name: stream for stream in recorded}
    devices = {str(device.get("name")) for device in record.rig.get("device", ())}
    views, within = [], set()
    for view in record.views:
        source = _session_clock(folder, view) if view.stamped_by is None else by_name.get(view.stamped_by)
        camera = None if source is None else _camera(source, view, named_in_rig=view.view in devices)
        views.append(read_view(folder, view.view, camera, view, notes, imported=True))
        if source is not None and (len(source.channels) == 1 or _labels(source) == FRAME_LABELS):
            within.add(source.name)
    return tuple(stream for stream in recorded if stream.name not in within), views


def _labels(stream: RecordedStream) -> tuple[str, ...]:
    return tuple(channel.label for channel in stream.channels)


def _camera(source: RecordedStream, view: ViewRecord, *, named_in_rig: bool) -> RecordedStream:
    """Return the stream as that of the camera: the rig's latency for the view counts, or else for the stream."""
    return replace(
        source,
        name=view.view,
        device=view.view if named_in_rig else source.device,
        channels=tuple(Channel(label) for label in FRAME_LABELS),
        video=VideoFormat(view.codec, view.width, view.height),
        clock_rows=None,
    )


def _session_clock(folder: Path, view: ViewRecord) -> RecordedStream:
    """Return a stream whose host's clock is session time: whoever gave the frames' times said so."""
    arrival_s = read_frame_records(frames_path(folder, view.view)).rows["arrival_s"]
    arrival_s = arrival_s[np.isfinite(arrival_s)]
    probes = np.zeros((0, 3))
    if arrival_s.size:
        probes = np.zeros((_SESSION_PROBES, 3))
        probes[:, 0] = np.linspace(arrival_s.min(), arrival_s.max(), _SESSION_PROBES)
    return RecordedStream(
        name=view.view,
        device=view.view,
        source_id="",
        host="",
        content_type="",
        channels=(),
        rate_hz=0.0,
        format="double64",
        counter_origin="host",
        counter_modulus=2**53,
        simulated=False,
        video=None,
        stamps=np.empty(0),
        values=np.empty((0, 0)),
        counter=None,
        chunk_last=np.empty(0, dtype=np.int64),
        clock_rows=None,
        probes=probes,
    )
