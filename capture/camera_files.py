"""A camera's two files and its LSL rows, written off the thread that reads the camera.

Nothing blocks the camera: frames wait in a bounded queue. A frame that finds it full is given up, but keeps its
record and its row, so that no later frame moves.
"""

from __future__ import annotations

import math
import queue
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from lab.errors import TakeError
from lab.streams import Frame, StreamSpec
from storage.frame_records import FrameRecordWriter
from storage.take_folder import finish_part, part_path
from storage.video_writer import VideoWriter

_QUEUE_S: Final = 2.0
#: Rows of frames without their bytes may wait this much longer than frames with them.
_ROWS_FACTOR: Final = 100
_SYNC_PERIOD_S: Final = 1.0
#: A camera's clock that is further than this from the arrivals is not believed for the video's own time.
_CLOCK_TRUST_S: Final = 5.0


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

    def __init__(self, folder: Path, view: str, spec: StreamSpec, publish: PublishRow) -> None:
        """Create both files exclusively. Raises TakeError."""
        if spec.video is None:
            raise TakeError(f"camera {view} says nothing of its video format; its driver is at fault")
        self._video_path = folder / f"{view}.mov"
        self._records_path = folder / f"{view}.frames"
        self._records = FrameRecordWriter(part_path(self._records_path))
        self._video = VideoWriter(part_path(self._video_path), spec.video, spec.rate_hz)
        self._publish = publish
        self._capacity = max(8, int(_QUEUE_S * max(spec.rate_hz, 1.0)))
        self._queue: queue.Queue[_Waiting | None] = queue.Queue(self._capacity * _ROWS_FACTOR)
        self._first_device_s = math.nan
        self._first_arrival_s = math.nan
        self._last_pts_us = -1
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._writer = threading.Thread(target=self._write, name=f"{view}-writer", daemon=True)
        self._syncer = threading.Thread(target=self._sync, name=f"{view}-sync", daemon=True)
        self._writer.start()
        self._syncer.start()

    @property
    def fill(self) -> float:
        """How full the queue of frames is, 0 to 1."""
        return min(1.0, self._queue.qsize() / self._capacity)

    def put(self, frame: Frame) -> None:
        """Hand over a frame; never blocks."""
        kept = self._queue.qsize() < self._capacity
        waiting = _Waiting(frame, kept) if kept else _Waiting(replace(frame, data=b""), kept)
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            # minutes of rows are waiting: the disk has been gone for long, and the recorder shows it
            self._problem("the disk did not keep up; rows of frames were lost as well")

    def close(self) -> None:
        """Write all that waits, close both files and give them their final names."""
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
                finish_part(path)

    def _problem(self, sentence: str) -> None:
        if sentence not in self.problems and len(self.problems) < 20:
            self.problems.append(sentence)

    def _pts_us(self, frame: Frame) -> int:
        """Microseconds since the first frame, by the camera's clock where it has one; strictly increasing."""
        if math.isnan(self._first_arrival_s):
            self._first_device_s, self._first_arrival_s = frame.device_time_s, frame.arrival_s
        since_s = frame.device_time_s - self._first_device_s
        arrived_s = frame.arrival_s - self._first_arrival_s
        if not abs(since_s - arrived_s) < _CLOCK_TRUST_S:  # NaN, a reset or a garbled time of the camera's clock
            since_s = arrived_s
        self._last_pts_us = max(self._last_pts_us + 1, round(since_s * 1e6))
        return self._last_pts_us

    def _write(self) -> None:
        while (waiting := self._queue.get()) is not None:
            try:
                self._keep(waiting)
            except Exception as error:  # noqa: BLE001 - the thread must outlive any failure of the disk or muxer
                self._problem(f"frame {waiting.frame.frame_id} could not be kept: {error}")

    def _keep(self, waiting: _Waiting) -> None:
        frame, pts_us = waiting.frame, self._pts_us(waiting.frame)
        encoded = recorded = False
        try:
            self._records.append(
                frame_id=frame.frame_id,
                device_time_s=frame.device_time_s,
                arrival_s=frame.arrival_s,
                pts_us=pts_us,
                data=frame.data,
                kept=waiting.kept,
                keyframe=frame.keyframe,
            )
            recorded = True
        except (OSError, TakeError) as error:
            self._problem(f"the record of frame {frame.frame_id} could not be written: {error}")
        if waiting.kept and recorded:
            try:
                self._video.write(frame.data, pts_us, keyframe=frame.keyframe)
                encoded = True
            except Exception as error:  # noqa: BLE001 - whatever the muxer says, the row must follow
                self._problem(f"the video refused frame {frame.frame_id}: {error}")
        elif recorded:
            self._problem("the disk did not keep up; frames were given up and are marked encoded = 0")
        self._publish(frame.frame_id, frame.device_time_s, frame.arrival_s, pts_us, encoded=encoded)

    def _sync(self) -> None:
        while not self._stop.wait(_SYNC_PERIOD_S):
            try:
                self._records.sync()
                self._video.sync()
            except (OSError, TakeError) as error:
                self._problem(f"the disk refused to sync: {error}")
