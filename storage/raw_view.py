"""Read one camera's files of a raw take: what the frame records say, and what the video really holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError
from lab.recorded import RecordedStream, RecordedView
from lab.streams import FRAME_LABELS, Channel, VideoFormat
from lab.take import ViewRecord
from storage.frame_records import KEPT, RECORD, read_frame_records
from storage.take_folder import frames_path, recorded_path, video_path
from storage.video_reader import VideoIndex, read_video_index


def read_view(
    folder: Path,
    name: str,
    camera: RecordedStream | None,
    record: ViewRecord | None,
    notes: list[str],
    *,
    imported: bool = False,
) -> RecordedView:
    """Read the view ``name``; what is damaged or missing goes to ``notes``.

    The frame records are the truth about the frames; where they cannot be read, the rows of the camera's stream stand
    in for them. ``camera`` is None where the stream was not recorded, ``record`` where take.json does not know it.
    """
    video = recorded_path(folder, record.video if record else "", video_path(folder, name))
    records = recorded_path(folder, record.records if record else "", frames_path(folder, name))
    if camera is None:
        notes.append(f"{name}: streams.xdf has no stream of this camera; its clock is not known.")
        camera = _stand_in(name, record)
    rows = _read_rows(records, name, camera, notes)
    try:
        index = read_video_index(video)
    except FileFormatError as error:
        if len(rows):
            notes.append(f"{name}: {error}")
        index = None
    positions = _positions(rows, index, name, notes)
    # Of an imported video nobody may have stamped some frames: they are in the records, and have no place in time.
    stamped = np.isfinite(rows["arrival_s"]) if imported else np.ones(len(rows), dtype=np.bool_)
    rows = rows[stamped]
    return RecordedView(
        view=name,
        video_path=video,
        stream=camera,
        frame_id=rows["frame_id"].astype(np.int64),
        device_time_s=rows["device_time_s"].astype(np.float64),
        arrival_s=rows["arrival_s"].astype(np.float64),
        pts_us=rows["pts_us"].astype(np.int64),
        index=positions[stamped],
    )


def frames_of_rows(camera: RecordedStream) -> RecordedView:
    """Return a camera's stream without the camera's files as a view; ``index`` is the place of each row in the stream.

    Rows that hold no frame are left out.
    """
    usable = np.flatnonzero(_usable_rows(camera))
    rows = _rows_of_stream(camera)
    return RecordedView(
        view=camera.name,
        video_path=Path(),
        stream=camera,
        frame_id=rows["frame_id"].astype(np.int64),
        device_time_s=rows["device_time_s"].astype(np.float64),
        arrival_s=rows["arrival_s"].astype(np.float64),
        pts_us=rows["pts_us"].astype(np.int64),
        index=usable.astype(np.int64),
    )


def _stand_in(name: str, record: ViewRecord | None) -> RecordedStream:
    video = VideoFormat(record.codec, record.width, record.height) if record else None
    return RecordedStream(
        name=name,
        device=name,
        source_id="",
        host="",
        content_type="",
        channels=tuple(Channel(label) for label in FRAME_LABELS),
        rate_hz=0.0,
        format="double64",
        counter_origin="host",
        counter_modulus=2**53,
        simulated=False,
        video=video,
        stamps=np.empty(0),
        values=np.empty((0, len(FRAME_LABELS))),
        counter=None,
        chunk_last=np.empty(0, dtype=np.int64),
        clock_rows=None,
        probes=np.empty((0, 3)),
    )


def _read_rows(path: Path, name: str, camera: RecordedStream, notes: list[str]) -> npt.NDArray[Any]:
    try:
        records = read_frame_records(path)
    except FileFormatError as error:
        notes.append(f"{name}: {error} The rows of its stream are used instead.")
        return _rows_of_stream(camera)
    if records.bytes_discarded:
        notes.append(f"{path.name}: {records.bytes_discarded} bytes were torn or damaged and are discarded.")
    return records.rows


def _usable_rows(camera: RecordedStream) -> npt.NDArray[np.bool_]:
    numbers = camera.values[:, [0, 3]]
    return np.asarray(np.isfinite(numbers).all(axis=1) & (np.abs(numbers) < 2**53).all(axis=1))


def _rows_of_stream(camera: RecordedStream) -> npt.NDArray[Any]:
    values = camera.values[_usable_rows(camera)]
    rows = np.zeros(len(values), dtype=RECORD)
    rows["frame_id"] = values[:, 0]
    rows["device_time_s"] = values[:, 1]
    rows["arrival_s"] = values[:, 2]
    rows["pts_us"] = values[:, 3]
    rows["flags"] = np.where(values[:, 4] > 0, KEPT, 0)
    return rows


def _positions(rows: npt.NDArray[Any], index: VideoIndex | None, name: str, notes: list[str]) -> npt.NDArray[np.int64]:
    """Find each frame in the video by its pts; -1 where it is not there, or is another frame by its size."""
    positions = np.full(len(rows), -1, dtype=np.int64)
    if index is None or not len(index.pts_us):
        return positions
    place = np.searchsorted(index.pts_us, rows["pts_us"]).clip(max=len(index.pts_us) - 1)
    kept = (rows["flags"] & KEPT) != 0
    found = kept & (index.pts_us[place] == rows["pts_us"])
    if index.codec == "mjpeg":  # other codecs are framed anew by the container, which may change their size
        other = found & (rows["size"] != 0) & (index.sizes[place] != rows["size"])
        if other.any():
            notes.append(f"{name}: {int(other.sum())} frames of the video are not as they were recorded.")
        found &= ~other
    positions[found] = place[found]
    lost = int(kept.sum()) - int(found.sum())
    if lost:
        notes.append(f"{name}: {lost} frames that were handed to the video are not in it.")
    unknown = len(index.pts_us) - len(np.unique(place[found]))
    if unknown:
        notes.append(f"{name}: {unknown} frames of the video have no frame record.")
    return positions
