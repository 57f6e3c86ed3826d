"""A camera's two files and its LSL rows, written off the thread that reads the camera.

Nothing blocks the camera: frames wait in a bounded queue. A frame that finds it full, or the disk, is given up, but
keeps its record and its row, so that no later frame moves. A camera that comes back in its take goes on in files of its
own, which become one when the take is closed.
"""

from __future__ import annotations

import math
import queue
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from lab.errors import FileFormatError, TakeError
from lab.streams import Frame, StreamSpec
from storage.frame_records import FrameRecordWriter, read_frame_records
from storage.reserve import free_bytes, make_room
from storage.take_folder import finish_part, frames_path, part_path, segment_name, video_path
from storage.video_writer import VideoWriter

_QUEUE_S: Final = 2.0
#: More frames than that may wait while they are small: after a pause of the computer all that waited come at once.
_QUEUE_BYTES: Final = 64 << 20
#: Rows of frames without their bytes may wait this much longer than frames with them.
_ROWS_FACTOR: Final = 100
_SYNC_PERIOD_S: Final = 1.0
#: A camera's clock that is further than this from the arrivals is not believed for the video's own time.
_CLOCK_TRUST_S: Final = 5.0
#: Frames leave this much of the disk to the other streams and to the closing of the take.
LEFT_BY_FRAMES_BYTES: Final = 16 << 20


class PublishRow(Protocol):
    """``FramePublisher.publish``, or what stands in for it."""

    def __call__(self, frame_id: int, device_time_s: float, arrival_s: float, pts_us: int, *, encoded: bool) -> None:
        """Push one row."""


@dataclass(frozen=True)
class _Waiting:
    frame: Frame
    kept: bool


class CameraFiles:
    """Writes ``<view>.mov.part`` and ``<view>.frames.part`` in a folder; ``close`` gives them their names."""

    def __init__(self, folder: Path, view: str, spec: StreamSpec, publish: PublishRow, piece: int = 1) -> None:
        """Create both files exclusively; ``piece`` counts how often the camera began in this take. Raises TakeError."""
        if spec.video is None:
            raise TakeError(f"camera {view} says nothing of its video format; its driver is at fault")
        stem = segment_name(view, piece)
        self._folder = folder
        self._piece = piece
        self._video_path = video_path(folder, stem)
        self._records_path = frames_path(folder, stem)
        self._take_began_s, self._last_pts_us = _where_it_was(folder, view, piece)
        self._first_device_s = self._first_arrival_s = math.nan
        self._begin_us = 0
        self._records = FrameRecordWriter(part_path(self._records_path), lambda: make_room(folder))
        self._video = VideoWriter(part_path(self._video_path), spec.video, spec.rate_hz)
        self._publish = publish
        self._capacity = max(8, int(_QUEUE_S * max(spec.rate_hz, 1.0)))
        self._put_bytes = self._taken_bytes = 0  # each counted by one thread alone
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(self._capacity * _ROWS_FACTOR)
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write, name=f"{view}-writer", daemon=True)
        self._syncer = threading.Thread(target=self._sync, name=f"{view}-sync", daemon=True)
        self._writer.start()
        self._syncer.start()

    @property
    def fill(self) -> float:
        """How full the queue of frames is, 0 to 1; a frame that finds it full is given up."""
        waiting_bytes = self._put_bytes - self._taken_bytes
        return min(1.0, self._queue.qsize() / self._capacity, waiting_bytes / _QUEUE_BYTES)

    def put(self, frame: Frame) -> None:
        """Hand over a frame; never blocks."""
        kept = self.fill < 1.0
        self._put_bytes += len(frame.data) if kept else 0
        waiting = _Waiting(frame, kept) if kept else _Waiting(replace(frame, data=b""), kept)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            self._put_bytes -= len(waiting.frame.data)
            # minutes of rows are waiting: the disk has been gone for long, and the recorder shows it
            self._problem("the disk did not keep up; rows of frames were lost as well")

    def close(self, *, finished: bool = True) -> None:
        """Write all that waits and close both files; where ``finished``, a camera's only ones get their final names."""
        if self._writer.is_alive():
            self._queue.put(None)
            self._writer.join()
        if not self._stop.is_set():
            self._stop.set()
            self._syncer.join()
            for file, path in ((self._video, self._video_path), (self._records, self._records_path)):
                try:
                    file.close()
                except (OSError, TakeError) as error:
                    self._problem(f"{path.name} could not be closed properly: {error}")
                if finished and self._piece == 1:
                    finish_part(path)

    def _problem(self, sentence: str) -> None:
        if sentence not in self.problems and len(self.problems) < 20:
            self.problems.append(sentence)

    def _pts_us(self, frame: Frame) -> int:
        """Microseconds since the take's first frame, by the camera's clock where it has one; strictly increasing.

        A camera that came back may have a clock set anew: its first frame then is placed by its arrival.
        """
        if math.isnan(self._first_arrival_s):
            self._first_device_s, self._first_arrival_s = frame.device_time_s, frame.arrival_s
            if not math.isnan(self._take_began_s):
                self._begin_us = round((frame.arrival_s - self._take_began_s) * 1e6)
        since_s = frame.device_time_s - self._first_device_s
        arrived_s = frame.arrival_s - self._first_arrival_s
        if not abs(since_s - arrived_s) < _CLOCK_TRUST_S:  # NaN, a reset or a garbled time of the camera's clock
            since_s = arrived_s
        self._last_pts_us = max(self._last_pts_us + 1, self._begin_us + round(since_s * 1e6))
        return self._last_pts_us

    def _write(self) -> None:
        while (waiting := self._queue.get()) is not None:
            try:
                self._keep(waiting)
            except Exception as error:  # noqa: BLE001 - the thread must outlive any failure of the disk or muxer
                self._problem(f"frame {waiting.frame.frame_id} could not be kept: {error}")
            self._taken_bytes += len(waiting.frame.data)

    def _keep(self, waiting: _Waiting) -> None:
        frame, pts_us = waiting.frame, self._pts_us(waiting.frame)
        encoded = recorded = False
        kept = waiting.kept and self._has_room(len(frame.data))
        try:
            self._records.append(
                frame_id=frame.frame_id,
                device_time_s=frame.device_time_s,
                arrival_s=frame.arrival_s,
                pts_us=pts_us,
                data=frame.data,
                kept=kept,
                keyframe=frame.keyframe,
            )
            recorded = True
        except (OSError, TakeError) as error:
            self._problem(f"the record of frame {frame.frame_id} could not be written: {error}")
        if kept and recorded:
            try:
                self._video.write(frame.data, pts_us, keyframe=frame.keyframe)
                encoded = True
            except Exception as error:  # noqa: BLE001 - whatever the muxer says, the row must follow
                self._problem(f"the video refused frame {frame.frame_id}: {error}")
        elif recorded and not waiting.kept:
            self._problem("the disk did not keep up; frames were given up and are marked encoded = 0")
        self._publish(frame.frame_id, frame.device_time_s, frame.arrival_s, pts_us, encoded=encoded)

    def _has_room(self, size: int) -> bool:
        try:
            room = free_bytes(self._folder) - size > LEFT_BY_FRAMES_BYTES
        except OSError as error:
            self._problem(f"the disk is gone ({error.strerror or error})")
            return False
        if not room:
            self._problem("the disk is full; frames were given up and are marked encoded = 0")
        return room

    def _sync(self) -> None:
        while not self._stop.wait(_SYNC_PERIOD_S):
            try:
                self._records.sync()
                self._video.sync()
            except (OSError, TakeError) as error:
                self._problem(f"the disk refused to sync: {error}")


def _where_it_was(folder: Path, view: str, piece: int) -> tuple[float, int]:
    """Return the arrival of the first frame of a camera's pieces before this one, NaN without any, and the last pts."""
    first_arrival_s, last_pts_us = math.nan, -1
    for number in range(1, piece):
        try:
            rows = read_frame_records(part_path(frames_path(folder, segment_name(view, number)))).rows
        except FileFormatError:
            continue  # it died before its first frame
        if len(rows):
            if math.isnan(first_arrival_s):
                first_arrival_s = float(rows["arrival_s"][0])
            last_pts_us = int(rows["pts_us"].max())
    return first_arrival_s, last_pts_us
