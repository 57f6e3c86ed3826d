"""Read video files by presentation time: index, packets, decoded frames, clips, JPEG frames for a replay.

Nothing here seeks by frame number or nominal rate; with lost frames both lead to the wrong frame.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError, LayoutError
from lab.streams import VideoFormat
from storage.atomic import sync_file, sync_folder
from storage.display_matrix import display_matrix, matrix_of_frame, upright, write_display_matrix
from storage.os_errors import reason
from storage.take_folder import part_path
from storage.video_writer import TIME_BASE, add_copied_stream, copied_packet

if TYPE_CHECKING:
    from pathlib import Path

_US = 1_000_000
_LARGEST_SIDE = 16_384
_MOST_FRAMES = 50_000_000

#: No clock times, no names of software versions: the same frames give the same bytes.
_OPTIONS = {
    "fflags": "+bitexact",
    "video_track_timescale": str(TIME_BASE.denominator),
    "movie_timescale": str(TIME_BASE.denominator),
}
#: A fixed number of threads: x264 notes it in the stream and cuts its work by it.
_X264 = {"preset": "veryfast", "crf": "18", "bf": "0", "threads": "2", "flags": "+bitexact"}
_JPEG_QUALITY = 85


@dataclass(frozen=True)
class VideoIndex:
    """What a video file holds, frames in order of presentation; found without decoding.

    ``pts_us``, ``sizes`` and ``keyframes`` are (frames,): presentation time in microseconds, bytes, and whether the
    frame stands alone. ``discarded`` counts torn packets at the end of a file that was not closed. ``label`` is the
    file's comment, such as ``cut_clip`` writes.
    """

    codec: str
    width: int
    height: int
    rate_hz: float
    pts_us: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    keyframes: npt.NDArray[np.bool_]
    discarded: int = 0
    label: str = ""

    @property
    def all_intra(self) -> bool:
        """Whether every frame stands alone."""
        return bool(self.keyframes.all())


@contextlib.contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a file and yield (container, first video stream).

    FFmpeg's errors inside the block become FileFormatError with one sentence that names the file.
    """
    import av

    try:
        with av.open(str(path), metadata_errors="replace") as container:
            if not container.streams.video:
                raise FileFormatError(f"{path} holds no video; name a video file.")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise FileFormatError(f"{path} holds video that no decoder here knows, or is torn; convert it first.")
            if not (0 < stream.width <= _LARGEST_SIDE and 0 < stream.height <= _LARGEST_SIDE):
                raise FileFormatError(
                    f"{path} claims a picture of {stream.width}x{stream.height}; it is not read, for it seems damaged."
                )
            # one thread: with several, FFmpeg 8.1 was seen waiting for ever for one of them as a decoder was let go,
            # and what decodes much (resegment) has a process for each core anyway
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise FileFormatError(f"{path} cannot be read as video ({reason(error)}); check the file.") from None


def read_video_index(path: Path) -> VideoIndex:
    """Find all frames of a video without decoding any.

    Frames without a time or with a torn end are left out. Raises FileFormatError where it cannot be read as video.
    """
    with open_video(path) as (container, stream):
        rows, discarded = _indexed_rows(container, stream) or _demuxed_rows(container, stream)
        rate = stream.average_rate
        codec = stream.codec_context.name
        width, height = stream.width, stream.height
        label = str(container.metadata.get("comment", ""))
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return VideoIndex(
        codec=codec,
        width=width,
        height=height,
        rate_hz=float(rate) if rate else 0.0,
        pts_us=np.ascontiguousarray(table[:, 0]),
        sizes=np.ascontiguousarray(table[:, 1]),
        keyframes=table[:, 2] != 0,
        discarded=discarded,
        label=label,
    )


def _indexed_rows(container: Any, stream: Any) -> tuple[list[tuple[int, int, int]], int] | None:
    """Take the index of a closed MOV, which spares reading every byte; None where it would not be the whole truth.

    It holds decoding times without the edit list's shift: with nothing but keyframes they are presentation times, and
    the first packet shows the shift.
    """
    entries = getattr(stream, "index_entries", None)
    if not entries or len(entries) != stream.frames or "mov" not in container.format.name.split(","):
        return None
    if not all(entry.is_keyframe for entry in entries):
        return None
    first = next((packet for packet in container.demux(stream) if packet.size), None)
    if first is None or first.pts is None or first.pts != first.dts or first.size != entries[0].size:
        return None
    shift = first.pts - entries[0].timestamp
    rows = [(pts_us_of(entry.timestamp + shift, stream.time_base), entry.size, 1) for entry in entries]
    return rows, 0


def _demuxed_rows(container: Any, stream: Any) -> tuple[list[tuple[int, int, int]], int]:
    import av

    rows: list[tuple[int, int, int]] = []
    discarded = 0
    container.seek(0)
    try:
        for packet in container.demux(stream):
            if not packet.size:
                continue
            if packet.is_corrupt or packet.pts is None or packet.is_discard:
                discarded += 1
            elif len(rows) < _MOST_FRAMES:
                rows.append((pts_us_of(packet.pts, stream.time_base), packet.size, int(packet.is_keyframe)))
    except (av.FFmpegError, OSError):
        discarded += 1  # a torn end: what came before it is whole
    return rows, discarded


def pts_us_of(pts: int, time_base: Fraction) -> int:
    """Return a time of a container in microseconds."""
    return round(pts * time_base * _US)


def _seek_before(container: Any, stream: Any, pts_us: int) -> None:
    """Go to a keyframe that is not shown later than ``pts_us``, or to the beginning where there is none.

    FFmpeg looks for decoding times in some containers. Where pictures shown before a keyframe come after it in the file
    (open groups, as H.265 has them), the keyframe found so may be shown too late, and what is before it cannot be
    decoded.
    """
    # One tick early: rounding to microseconds may have moved the frame's own keyframe behind the target.
    target = int(Fraction(pts_us, _US) / stream.time_base) - 1
    if stream.start_time is not None:
        target = max(target, stream.start_time)  # an AVI refuses what lies before its first frame
    while True:
        container.seek(target, stream=stream, backward=True, any_frame=False)
        packet = next((packet for packet in container.demux(stream) if packet.size), None)
        if packet is None or packet.pts is None or pts_us_of(packet.pts, stream.time_base) <= pts_us:
            break
        found = int(packet.pts if packet.dts is None else packet.dts)
        if found > target or (stream.start_time is not None and target <= stream.start_time):
            break  # there is nothing before it
        target = found - 1 if stream.start_time is None else max(found - 1, stream.start_time)
    container.seek(target, stream=stream, backward=True, any_frame=False)


def packets(path: Path, first: int, last: int, index: VideoIndex | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield (pts in microseconds, compressed bytes) of the frames ``first`` to ``last`` inclusive, in the file's order.

    Frames are counted in order of presentation. ``index`` spares reading it again. Raises IndexError for frames that
    the file does not have, FileFormatError where it cannot be read.
    """
    index = index or read_video_index(path)
    _check_range(index, first, last)
    low, high = int(index.pts_us[first]), int(index.pts_us[last])
    left = last - first + 1
    with open_video(path) as (container, stream):
        _seek_before(container, stream, low)
        for packet in container.demux(stream):
            if not packet.size or packet.pts is None or packet.is_corrupt or packet.is_discard:
                continue
            pts_us = pts_us_of(packet.pts, stream.time_base)
            if low <= pts_us <= high:
                yield pts_us, bytes(packet)
                left -= 1
                if left == 0:
                    return


def _check_range(index: VideoIndex, first: int, last: int) -> None:
    if not 0 <= first <= last < len(index.pts_us):
        raise IndexError(f"frames {first} to {last} are not within the video's {len(index.pts_us)} frames")


def frames_between(path: Path, low_us: int, high_us: int) -> Iterator[tuple[int, Any]]:
    """Decode and yield (pts in microseconds, av.VideoFrame) from ``low_us`` to ``high_us`` inclusive, in order."""
    with open_video(path) as (container, stream):
        _seek_before(container, stream, low_us)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            pts_us = pts_us_of(frame.pts, stream.time_base)
            if pts_us > high_us:
                return
            if pts_us >= low_us:
                yield pts_us, frame


def bgr_image(frame: Any) -> npt.NDArray[np.uint8]:
    """Return a decoded frame (av.VideoFrame) as a BGR image (height, width, 3), turned as the file says."""
    return upright(frame.to_ndarray(format="bgr24"), matrix_of_frame(frame))


def decode_frames(path: Path, indices: Sequence[int], index: VideoIndex | None = None) -> list[npt.NDArray[np.uint8]]:
    """Decode the frames of the given numbers, in the order given, as BGR images (height, width, 3), upright.

    Frames are counted in order of presentation and found by their pts. Neighbours are decoded in one go. Raises
    IndexError for a frame that the file does not have, FileFormatError where one cannot be decoded.
    """
    index = index or read_video_index(path)
    wanted = sorted({int(number) for number in indices})
    if not wanted:
        return []
    _check_range(index, wanted[0], wanted[-1])
    images: dict[int, npt.NDArray[np.uint8]] = {}
    for run in _runs(wanted, index):
        numbers = {int(index.pts_us[number]): number for number in run}
        for pts_us, frame in frames_between(path, int(index.pts_us[run[0]]), int(index.pts_us[run[-1]])):
            if pts_us in numbers:
                images[numbers[pts_us]] = bgr_image(frame)
    missing = [number for number in wanted if number not in images]
    if missing:
        raise FileFormatError(f"{path}: frame {missing[0]} cannot be decoded; leave it out.")
    return [images[int(number)] for number in indices]


def _runs(wanted: list[int], index: VideoIndex) -> list[list[int]]:
    """Group frame numbers so that no keyframe lies between two of one group without being needed."""
    keyframes = np.flatnonzero(index.keyframes)
    before = np.searchsorted(keyframes, wanted, side="right")
    runs = [[wanted[0]]]
    for place in range(1, len(wanted)):
        if before[place] - before[place - 1] <= 1:
            runs[-1].append(wanted[place])
        else:
            runs.append([wanted[place]])
    return runs


def cut_clip(
    source: Path, destination: Path, first: int, last: int, index: VideoIndex | None = None, label: str = ""
) -> None:
    """Write the frames ``first`` to ``last`` inclusive of ``source`` as an indexed MOV of its own.

    Times start at 0 and keep their spacing, and the clip is turned where it is shown as the source is. Where every
    frame stands alone (mjpeg) they are copied bit for bit, otherwise decoded and encoded again as H.264 (MJPEG where
    there is no such encoder). The same input gives the same bytes. Frames are counted in order of presentation;
    ``index`` spares reading it again; ``label`` says in the file what it is. An existing ``destination`` is replaced,
    in one act. Raises IndexError for frames that the source does not have, FileFormatError where it cannot be read,
    LayoutError where the clip cannot be written.
    """
    import av

    index = index or read_video_index(source)
    if not 0 <= first <= last < len(index.pts_us):
        raise IndexError(f"frames {first} to {last} are not within the {len(index.pts_us)} frames of {source}")
    part = part_path(destination)
    try:
        with av.open(str(part), "w", format="mov", options=_OPTIONS) as container:
            if label:
                container.metadata["comment"] = label
            written = (_copy if index.all_intra else _encode)(container, source, index, first, last)
        if written != last - first + 1:
            raise FileFormatError(f"{source}: {written} of the {last - first + 1} frames of a clip could be read.")
        matrix = display_matrix(source)
        if matrix is not None:
            write_display_matrix(part, matrix)
        back = len(read_video_index(part).pts_us)
        if back != written or display_matrix(part) != matrix:
            raise LayoutError(
                f"{destination} does not hold the {written} frames that were written; check the disk and cut it again."
            )
        with part.open("r+b") as file:
            sync_file(file.fileno())
        os.replace(part, destination)  # noqa: PTH105 - the one act that tests interrupt
    except (av.FFmpegError, OSError) as error:
        raise LayoutError(
            f"{destination} cannot be written ({reason(error)}); check the disk and cut it again."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    sync_folder(destination.parent)


def _copy(container: Any, source: Path, index: VideoIndex, first: int, last: int) -> int:
    if index.codec == "mjpeg":
        stream = add_copied_stream(container, VideoFormat("mjpeg", index.width, index.height), index.rate_hz)
    else:  # H.264 and the like need the source's parameter sets
        with open_video(source) as (_, original):
            stream = container.add_stream_from_template(original)
        stream.time_base = TIME_BASE
    start_us = int(index.pts_us[first])
    count = 0
    for pts_us, data in packets(source, first, last, index):
        container.mux_one(copied_packet(stream, data, pts_us - start_us, keyframe=True))
        count += 1
    return count


def _encode(container: Any, source: Path, index: VideoIndex, first: int, last: int) -> int:
    import av

    rate = Fraction(index.rate_hz).limit_denominator(1000) if index.rate_hz > 0 else Fraction(30)
    if "libx264" in av.codecs_available:
        stream = container.add_stream("libx264", rate=rate, options=_X264)
        stream.pix_fmt = "yuv420p"
        width, height = index.width // 2 * 2, index.height // 2 * 2  # 4:2:0 wants even sides
    else:
        stream = container.add_stream("mjpeg", rate=rate, options={"qmin": "2", "qmax": "3", "flags": "+bitexact"})
        stream.pix_fmt = "yuvj420p"
        width, height = index.width, index.height
    stream.width, stream.height = width, height
    stream.codec_context.time_base = TIME_BASE
    start_us = int(index.pts_us[first])
    count = 0
    for pts_us, frame in frames_between(source, start_us, int(index.pts_us[last])):
        picture = frame.reformat(width=width, height=height, format=stream.pix_fmt)
        picture.pts = pts_us - start_us
        picture.time_base = TIME_BASE
        picture.pict_type = 0  # the encoder decides anew
        container.mux(stream.encode(picture))
        count += 1
    container.mux(stream.encode(None))
    return count


def transcode_to_jpeg(
    path: Path, max_side: int, limit: int = 3000
) -> tuple[list[bytes], npt.NDArray[np.int64], int, int]:
    """Decode a video once and return (JPEG frames, pts in microseconds (frames,), width, height).

    Frames are turned and mirrored as the file says and made smaller, never larger, until no side is longer than
    ``max_side`` pixels. At most the first ``limit`` frames are returned. Raises FileFormatError where the file cannot
    be read or holds no frame.
    """
    import simplejpeg

    frames: list[bytes] = []
    times: list[int] = []
    width = height = 0
    for pts_us, frame in frames_between(path, -(2**62) // 1_000_000, 2**62):
        scale = min(1.0, max_side / max(frame.width, frame.height))
        small = frame.reformat(
            width=max(1, round(frame.width * scale)),
            height=max(1, round(frame.height * scale)),
            format="bgr24",
            interpolation="AREA",
        )
        image = np.ascontiguousarray(upright(small.to_ndarray(), matrix_of_frame(frame)))
        if frames and image.shape[:2] != (height, width):
            raise FileFormatError(f"{path} changes its picture size at frame {len(frames)}; convert it first.")
        height, width = image.shape[:2]
        frames.append(simplejpeg.encode_jpeg(image, quality=_JPEG_QUALITY, colorspace="BGR", colorsubsampling="420"))
        times.append(pts_us)
        if len(frames) >= limit:
            break
    if not frames:
        raise FileFormatError(f"{path} holds no frame that can be decoded; name another video.")
    return frames, np.array(times, dtype=np.int64), width, height
