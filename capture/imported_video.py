"""Frame records of a video that others recorded, out of a stream that counts its frames or a table of their times.

A frame is found by its number, never by its place in the stream or a rate of the file. What has a number and is not in
the video, and what is in the video and was numbered by nobody, keeps its row: nothing else moves.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import RequestError
from lab.streams import FRAME_LABELS
from storage.csv_file import read_csv_signals
from storage.frame_records import KEPT, KEYFRAME, RECORD
from storage.take_window import rough_session_s
from storage.video_reader import VideoIndex, packets, read_video_index
from storage.xdf_reader import XdfStream

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_MOST_NUMBER: Final = 2**52
_CLOCK_LIMIT_S: Final = 1e11


@dataclass(frozen=True)
class NumberedFrames:
    """Frames with the numbers that were given to them and host times, (frames,) each, numbers increasing.

    ``device_time_s`` is NaN, and ``pts_us`` -1, where nothing tells it; where ``pts_us`` does, it says which frame of
    the video it is. ``kept`` is False for frames that the recorder itself says are not in the video.
    """

    number: Int64
    arrival_s: Float64
    device_time_s: Float64
    pts_us: Int64
    kept: npt.NDArray[np.bool_]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportedFrames:
    """The records of a view, a structured array of ``RECORD`` (frames,), and what is to be said of them.

    ``faults`` mark the take. ``first_frame`` is the number of the video's first frame.
    """

    rows: npt.NDArray[Any]
    index: VideoIndex
    first_frame: int
    remarks: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def encoded(self) -> int:
        """Number of frames in the video."""
        return len(self.index.pts_us)


def frames_of_stream(stream: XdfStream, column: int, from_s: float | None, to_s: float | None) -> NumberedFrames:
    """Return the frames that a stream counts in one of its channels, ``column`` from 0.

    A program that was started anew counts anew; the count that runs between ``from_s`` and ``to_s`` (session time,
    None: all of the stream) is meant. Raises RequestError, to follow the view's name, where there is none or several.
    """
    probes = np.column_stack((stream.clock_times, stream.clock_offsets))
    if tuple(channel.label for channel in stream.header.channels) == FRAME_LABELS and column == 0:
        return _camera_rows(stream)
    numbers = _numbers(stream.values[:, column])
    stamps = np.asarray(stream.stamps, dtype=np.float64)
    usable = np.isfinite(numbers) & (np.abs(stamps) < _CLOCK_LIMIT_S)
    remarks = []
    if not usable.all():
        remarks.append(f"{int((~usable).sum())} samples of its stream hold no number of a frame")
    count, stamps = numbers[usable].astype(np.int64), stamps[usable]
    again = np.concatenate(([False], np.diff(count) == 0)) if count.size else np.zeros(0, dtype=np.bool_)
    if again.any():
        remarks.append(f"{int(again.sum())} numbers came twice in a row; the first time counts")
        count, stamps = count[~again], stamps[~again]
    if not count.size:
        raise RequestError("no sample of its stream holds the number of a frame; name another stream or channel")
    session_s = rough_session_s(stamps, probes)
    runs = np.split(np.arange(count.size), np.flatnonzero(np.diff(count) < 0) + 1)
    low, high = (-np.inf if from_s is None else from_s), (np.inf if to_s is None else to_s)
    meant = [run for run in runs if session_s[run[-1]] >= low and session_s[run[0]] <= high]
    if len(meant) != 1:
        if not meant:
            raise RequestError("its stream counts no frame in this part of the file; choose another with --from, --to")
        raise RequestError(
            f"its stream begins to count anew {len(meant) - 1} times, and one video cannot have the frames of several"
            " counts; choose the part with one of them by --from and --to"
        )
    run = meant[0]
    nothing = np.full(run.size, np.nan)
    unknown = np.full(run.size, -1, dtype=np.int64)
    return NumberedFrames(count[run], stamps[run], nothing, unknown, np.ones(run.size, dtype=np.bool_), tuple(remarks))


def frames_of_table(path: Path) -> NumberedFrames:
    """Return the frames of a CSV table with the columns ``frame`` and ``time_s``, session time in seconds.

    An empty cell says that nobody knows the time. Raises FileFormatError.
    """
    table = read_csv_signals(path, ["time_s"], "frame")
    assert table.counter is not None
    known = np.isfinite(table.values[:, 0])
    count = int(known.sum())
    if not count:
        raise RequestError(f"{path} holds no time; give the session time of each frame in column time_s")
    times = table.values[known, 0]
    if not bool(np.all(np.abs(times) < _CLOCK_LIMIT_S)) or bool(np.any(np.diff(times) <= 0)):
        raise RequestError(f"{path}: its times do not increase from frame to frame; correct column time_s")
    return NumberedFrames(
        table.counter[known],
        times,
        np.full(count, np.nan),
        np.full(count, -1, dtype=np.int64),
        np.ones(count, dtype=np.bool_),
    )


def _numbers(column: npt.NDArray[Any]) -> Float64:
    """Return what a channel holds as whole numbers (samples,), NaN for what is none."""
    if column.dtype == object:
        numbers = np.array([_number(str(text)) for text in column], dtype=np.float64)
    else:
        numbers = column.astype(np.float64)
    with np.errstate(invalid="ignore"):
        whole = (np.abs(numbers) < _MOST_NUMBER) & (numbers == np.rint(numbers)) & (numbers >= 0)
    return np.where(whole, numbers, np.nan)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _camera_rows(stream: XdfStream) -> NumberedFrames:
    """Take in the rows of a camera of flex-capture, which name each frame of its video by its time there."""
    values = stream.values.astype(np.float64)
    with np.errstate(invalid="ignore"):
        usable = (np.abs(values[:, [0, 3]]) < _MOST_NUMBER).all(axis=1) & (np.abs(values[:, 2]) < _CLOCK_LIMIT_S)
    values = values[usable]
    values = values[np.concatenate(([True], np.diff(values[:, 0]) > 0))] if len(values) else values
    if not len(values):
        raise RequestError("no sample of its stream holds the number of a frame; name another stream or channel")
    return NumberedFrames(
        values[:, 0].astype(np.int64),
        values[:, 2],
        values[:, 1],
        values[:, 3].astype(np.int64),
        values[:, 4] > 0,
        () if usable.all() else (f"{int((~usable).sum())} samples of its stream hold no frame",),
    )


def place_frames(
    video: Path, frames: NumberedFrames, first_frame: int | None, hear: Callable[[int], object]
) -> ImportedFrames:
    """Find each numbered frame in the video and make the records of all.

    ``first_frame`` is the number of the video's first frame, None: found out where only one can be. ``hear`` hears of
    bytes read. Raises RequestError, to follow the view's name, where it cannot be told; FileFormatError where the video
    cannot be read.
    """
    index = read_video_index(video)
    count = len(index.pts_us)
    if not count:
        raise RequestError(f"{video} holds no frame; name another video")
    if len(np.unique(index.pts_us)) < count:
        raise RequestError(f"two frames of {video} have the same time in it and cannot be told apart; convert it")
    by_pts = bool((frames.pts_us >= 0).all())
    first = 0 if by_pts else _first_number(frames.number, count, first_frame, video.name)
    if by_pts:
        place = np.searchsorted(index.pts_us, frames.pts_us).clip(max=count - 1)
        inside = frames.kept & (index.pts_us[place] == frames.pts_us)
    else:
        place = frames.number - first
        inside = (place >= 0) & (place < count)
        place = place.clip(0, count - 1)
    sizes, checks = _packets(video, index, hear)
    rows = np.zeros(len(frames.number), dtype=RECORD)
    rows["frame_id"], rows["arrival_s"], rows["device_time_s"] = frames.number, frames.arrival_s, frames.device_time_s
    rows["pts_us"] = np.where(inside, index.pts_us[place], frames.pts_us)
    rows["size"], rows["crc32"] = np.where(inside, sizes[place], 0), np.where(inside, checks[place], 0)
    rows["flags"] = np.where(inside, KEPT | np.where(index.keyframes[place], KEYFRAME, 0), 0)
    unstamped = np.setdiff1d(np.arange(count), place[inside])
    extra = np.zeros(unstamped.size, dtype=RECORD)
    extra["frame_id"] = -1 if by_pts else unstamped + first
    extra["arrival_s"] = extra["device_time_s"] = np.nan
    extra["pts_us"], extra["size"], extra["crc32"] = index.pts_us[unstamped], sizes[unstamped], checks[unstamped]
    extra["flags"] = KEPT | np.where(index.keyframes[unstamped], KEYFRAME, 0)
    rows = np.concatenate((rows, extra))
    rows = rows[np.argsort(rows["frame_id"], kind="stable")]
    remarks, faults = _said(frames, index, inside, unstamped, place, video.name)
    if not inside.any():
        raise RequestError(
            f"none of the numbers {frames.number[0]} to {frames.number[-1]} is a frame of {video.name}, which has"
            f" {count}; name another stream or --first-frame"
        )
    if not by_pts:
        remarks = (f"{video.name} has {count} frames, of which the first is number {first}", *remarks)
    return ImportedFrames(rows, index, first, (*frames.remarks, *remarks), faults)


def _first_number(numbers: Int64, count: int, asked: int | None, name: str) -> int:
    if asked is not None:
        return asked
    low, high = int(numbers[0]), int(numbers[-1])
    if low == 0 or high - low + 1 == count:
        return low
    raise RequestError(
        f"the numbers run from {low} to {high} and {name} has {count} frames, so it cannot be told which number the"
        " first frame has; say it with --first-frame, mostly 0 or 1"
    )


def _packets(video: Path, index: VideoIndex, hear: Callable[[int], object]) -> tuple[Int64, Int64]:
    """Return size and CRC-32 of each frame's compressed bytes, (frames,) each, in order of presentation."""
    sizes = np.zeros(len(index.pts_us), dtype=np.int64)
    checks = np.zeros(len(index.pts_us), dtype=np.int64)
    for pts_us, data in packets(video, 0, len(index.pts_us) - 1, index):
        place = int(np.searchsorted(index.pts_us, pts_us))
        sizes[place], checks[place] = len(data), zlib.crc32(data)
        hear(len(data))
    return sizes, checks


def _said(
    frames: NumberedFrames,
    index: VideoIndex,
    inside: npt.NDArray[np.bool_],
    unstamped: Int64,
    place: Int64,
    name: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return remarks and faults about frames that only the stream or only the video has."""
    remarks, faults = [], []
    lacking = int((frames.kept & ~inside).sum())
    if lacking:
        faults.append(
            f"{lacking} frames that were counted are not in {name}: if they are missing within it, and not at its ends,"
            " later frames have the times of earlier ones"
        )
    given_up = int((~frames.kept).sum())
    if given_up:
        faults.append(f"{given_up} frames were not kept by their recorder")
    if unstamped.size:
        stamped = place[inside]
        within = int(((unstamped > stamped.min()) & (unstamped < stamped.max())).sum()) if stamped.size else 0
        ends = int(unstamped.size) - within
        parts = [f"{within} within it"] if within else []
        parts += [f"{ends} at its ends"] if ends else []
        remarks.append(f"{unstamped.size} frames of {name} have no time and are left out: {', '.join(parts)}")
    if index.discarded:
        faults.append(f"{index.discarded} frames of {name} are torn and left out")
    return tuple(remarks), tuple(faults)
