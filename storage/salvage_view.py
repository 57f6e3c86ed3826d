"""One whole video and one whole file of frame records out of the pieces of a view.

A camera that died in its take and came back, or a recorder that was killed, leaves pieces: ``view1.mov.part``,
``view1-2.mov.part`` …, each with its ``.frames``. Packets are copied with the very times they have. The records are set
right by what the video really holds: one whose frame is not in it, or is not as it was recorded, is no longer KEPT.

The pieces stay until ``drop_pieces``. Whatever moment this is interrupted at, it can be done again.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError, TakeError
from lab.streams import VideoFormat
from lab.take import ViewRecord
from storage.atomic import sync_file, sync_folder, temporary_path
from storage.frame_bytes import extradata_of, frame_check
from storage.frame_records import KEPT, RECORD, frame_records_bytes, read_frame_records, scan_frame_records
from storage.os_errors import reason
from storage.take_folder import frames_path, part_path, video_path
from storage.video_reader import open_video, pts_us_of, read_video_index
from storage.video_writer import INTRA_CODECS, add_copied_stream, copied_packet, mov_options
from storage.view_pieces import ViewPiece, is_merged, view_pieces

if TYPE_CHECKING:
    from pathlib import Path

Rows = npt.NDArray[Any]
_Packet = tuple[int, bytes, bool]

#: Frames that are looked at to learn whether the camera's bytes can be made again from the container's.
_LOOKED_AT: Final = 30
#: A MOV without a frame, and a file of records without a record, are smaller.
_EMPTY_BYTES: Final = 4096


@dataclass(frozen=True)
class MergedView:
    """A view that is whole: what ``take.json`` says of it, and what was found.

    ``last_arrival_s`` is the host time of the last frame, NaN without one. ``lost`` counts frames that were handed to
    the video and are not in it, ``damaged`` those that are there but not as they were recorded, ``unrecorded`` frames
    of the video without a record, ``torn_bytes`` what of the records is no whole record. ``unreadable`` names videos of
    which nothing could be read.
    """

    record: ViewRecord
    pieces: int = 1
    last_arrival_s: float = math.nan
    lost: int = 0
    damaged: int = 0
    unrecorded: int = 0
    torn_bytes: int = 0
    unreadable: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not as it should be, in sentences without a full stop."""
        view = self.record.view
        said = [
            (self.lost, f"{view}: {_frames(self.lost)} handed to the video, but not in it"),
            (self.damaged, f"{view}: {_frames(self.damaged)} of the video not as recorded, and left out"),
            (self.unrecorded, f"{view}: {_frames(self.unrecorded)} of the video without a record"),
            (self.torn_bytes, f"{view}: {self.torn_bytes} bytes of the frame records were torn or damaged"),
        ]
        unreadable = [f"{view}: {name} cannot be read as video and is kept as it is" for name in self.unreadable]
        return (*(sentence for count, sentence in said if count), *unreadable)


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


@dataclass
class _Found:
    """What has been found while the pieces were copied."""

    pts_us: list[int] = field(default_factory=list)
    crc32: list[int] = field(default_factory=list)
    lost: int = 0
    damaged: int = 0
    unrecorded: int = 0
    torn_bytes: int = 0
    unreadable: list[str] = field(default_factory=list)


def bytes_to_copy(folder: Path, view: ViewRecord) -> int:
    """Return how much room ``merge_view`` needs beside the pieces, in bytes; 0 where nothing is copied."""
    pieces = view_pieces(folder, view.view)
    if is_merged(folder, view.view) or _as_it_is(folder, view, pieces) is not None:
        return 0
    return sum(piece.size for piece in pieces)


def merge_view(folder: Path, view: ViewRecord) -> MergedView:
    """Make ``view1.mov`` and ``view1.frames`` out of all pieces of a view that lie in ``folder``.

    No frame's time is changed unless a piece would begin before the one before it ends: its times are then moved
    together, by the arrivals of the first frames. Where there is one piece, closed and in order, nothing is copied.
    The files appear whole, after every frame was read back; the pieces stay beside them under ``.part`` names until
    ``drop_pieces``. Raises TakeError where the copy cannot be written or is not as it should be; all is then as it was.
    """
    try:
        pieces = view_pieces(folder, view.view)
        if is_merged(folder, view.view):
            return _counted(folder, view, len(pieces))
        return _as_it_is(folder, view, pieces) or _merged(folder, view, pieces)
    except OSError as error:
        raise TakeError(
            f"{video_path(folder, view.view)} cannot be made whole ({reason(error)}); make room or check the disk."
        ) from None


def replaced_pieces(folder: Path, view: str) -> list[Path]:
    """Return the files of a view's pieces that ``merge_view`` has made one of, in the order in which they may go.

    None where that is not done; and no video or records that hold something, but nothing that can be read.
    """
    video, records = video_path(folder, view), frames_path(folder, view)
    if not records.exists():
        return []
    pieces = view_pieces(folder, view)
    later = [path for piece in pieces if piece.number > 1 for path in (piece.video, piece.records)]
    return [
        path
        for path in (part_path(video), *later, part_path(records))
        if path.exists()
        and not _is_riddle(path)
        and (video.exists() or path.stat().st_size <= _EMPTY_BYTES or ".frames" in path.name)
    ]


def drop_pieces(folder: Path, view: str) -> None:
    """Remove the pieces that ``merge_view`` has made one of. Raises TakeError."""
    try:
        for path in replaced_pieces(folder, view):
            path.unlink()
    except OSError as error:
        raise TakeError(f"{folder}: the pieces of {view} cannot be removed ({reason(error)}); try again.") from None
    sync_folder(folder)


def _is_riddle(path: Path) -> bool:
    """Whether a piece holds something, but nothing that can be read."""
    if path.stat().st_size <= _EMPTY_BYTES:
        return False
    if ".frames" in path.name:
        return not len(scan_frame_records(path).rows)
    try:
        with _open_mov(path) as (container, stream):
            return next(_packets(container, stream), None) is None
    except FileFormatError:
        return True


def _counted(folder: Path, view: ViewRecord, pieces: int) -> MergedView:
    rows = read_frame_records(frames_path(folder, view.view)).rows
    return _result(folder, view, rows, _Found(), pieces)


def _result(folder: Path, view: ViewRecord, rows: Rows, found: _Found, pieces: int) -> MergedView:
    names = {"video": video_path(folder, view.view).name, "records": frames_path(folder, view.view).name}
    kept = int(((rows["flags"] & KEPT) != 0).sum())
    return MergedView(
        record=view.model_copy(update=names | {"frames": len(rows), "encoded": kept}),
        pieces=pieces,
        last_arrival_s=float(rows["arrival_s"][-1]) if len(rows) else math.nan,
        lost=found.lost,
        damaged=found.damaged,
        unrecorded=found.unrecorded,
        torn_bytes=found.torn_bytes,
        unreadable=tuple(found.unreadable),
    )


def _as_it_is(folder: Path, view: ViewRecord, pieces: list[ViewPiece]) -> MergedView | None:
    """Return what a single piece holds that its camera's worker closed, None where it must be written anew."""
    video, records = video_path(folder, view.view), frames_path(folder, view.view)
    if [(piece.video, piece.records) for piece in pieces] != [(video, records)]:
        return None
    try:
        read, index = read_frame_records(records), read_video_index(video)
    except FileFormatError:
        return None
    kept = read.rows[read.kept]
    in_order = not read.bytes_discarded and np.array_equal(kept["pts_us"], index.pts_us)
    if index.codec in INTRA_CODECS:
        in_order = in_order and np.array_equal(kept["size"], index.sizes)
    return _result(folder, view, read.rows, _Found(), 1) if in_order else None


def _merged(folder: Path, view: ViewRecord, pieces: list[ViewPiece]) -> MergedView:
    video, records = video_path(folder, view.view), frames_path(folder, view.view)
    new_video, new_records = temporary_path(video), temporary_path(records)
    found = _Found()
    try:
        with contextlib.closing(_Copy(new_video)) as copy:
            rows = np.concatenate([np.zeros(0, dtype=RECORD), *_copied(pieces, copy, found)])
        new_records.write_bytes(frame_records_bytes(rows))
        _put_on_disk(new_records)
        if found.pts_us:
            _put_on_disk(new_video)
            _check(new_video, found)
        for original in (video, records):  # of the first piece, if its worker had closed them
            if original.exists() and not part_path(original).exists():
                original.rename(part_path(original))
        os.replace(new_records, records)  # noqa: PTH105 - the acts that tests interrupt
        if found.pts_us:
            os.replace(new_video, video)  # noqa: PTH105
    finally:
        for path in (new_video, new_records):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    sync_folder(folder)
    return _result(folder, view, rows, found, len(pieces))


def _put_on_disk(path: Path) -> None:
    with path.open("r+b") as file:
        sync_file(file.fileno())


def _check(path: Path, found: _Found) -> None:
    """Read a new video back. Raises TakeError where a frame is not the one that was copied."""
    try:
        with open_video(path) as (container, stream):
            read = [(pts_us, zlib.crc32(data)) for pts_us, data, _ in _packets(container, stream)]
    except FileFormatError as error:
        raise TakeError(*error.problems) from None
    if read != list(zip(found.pts_us, found.crc32, strict=True)):
        raise TakeError(f"The copy {path} does not hold the same frames; check the disk.")


class _Copy:
    """The new video: opened with its first frame, for a MOV without frames is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container: Any = None
        self._stream: Any = None

    def close(self) -> None:
        """Write the index."""
        container, self._container = self._container, None
        if container is not None:
            with self._readable_errors():
                container.close()

    def write(self, source: Any, data: bytes, pts_us: int, keyframe: bool) -> None:
        """Copy a frame; ``source`` is the stream it comes from."""
        with self._readable_errors():
            if self._container is None:
                self._open(source)
            self._container.mux_one(copied_packet(self._stream, data, pts_us, keyframe))

    def _open(self, source: Any) -> None:
        import av

        codec = source.codec_context.name
        self._container = av.open(str(self._path), "w", format="mov", options=mov_options(codec))
        if codec in INTRA_CODECS:
            rate = source.average_rate
            video = VideoFormat(codec, source.width, source.height)
            self._stream = add_copied_stream(self._container, video, float(rate) if rate else 0.0)
        else:  # parameter sets come from the source
            self._stream = self._container.add_stream_from_template(source)
            self._stream.time_base = source.time_base
        self._container.start_encoding()

    @contextlib.contextmanager
    def _readable_errors(self) -> Iterator[None]:
        import av

        try:
            yield
        except (av.FFmpegError, ValueError) as error:
            raise TakeError(f"{self._path} cannot be written ({reason(error)}); make room or check the disk.") from None


def _copied(pieces: list[ViewPiece], copy: _Copy, found: _Found) -> Iterator[Rows]:
    """Copy the frames of each piece and yield its records, set right."""
    first_s, last_us = math.nan, -1
    for piece in pieces:
        read = scan_frame_records(piece.records)
        found.torn_bytes += read.bytes_discarded
        rows = read.rows.copy()
        shift_us = 0
        if len(rows):
            if int(rows["pts_us"][0]) <= last_us:
                later_us = (float(rows["arrival_s"][0]) - first_s) * 1e6  # NaN where the records before are lost
                shift_us = max(last_us + 1, round(later_us) if math.isfinite(later_us) else 0) - int(rows["pts_us"][0])
            if math.isnan(first_s):
                first_s = float(rows["arrival_s"][0])
        here = _copy_frames(piece, rows, shift_us, copy, found)
        lost = ((rows["flags"] & KEPT) != 0) & ~here
        found.lost += int(lost.sum())
        rows["flags"][lost] &= ~np.uint32(KEPT)
        rows["pts_us"] += shift_us
        last_us = max([last_us, *found.pts_us[-1:], *rows["pts_us"].tolist()[-1:]])
        yield rows


def _copy_frames(piece: ViewPiece, rows: Rows, shift_us: int, copy: _Copy, found: _Found) -> npt.NDArray[np.bool_]:
    """Copy the frames of one piece that are as they were recorded; return of which rows the frame is in the video."""
    here = np.zeros(len(rows), dtype=bool)
    before = len(found.pts_us) + found.damaged
    try:
        with _open_mov(piece.video) as (container, stream):  # open as long as its packets and its header are used
            _copy_packets(_packets(container, stream), stream, rows, shift_us, copy, found, here)
    except FileFormatError:
        pass  # it holds no frame, or is a riddle
    if piece.video.exists() and len(found.pts_us) + found.damaged == before and _is_riddle(piece.video):
        found.unreadable.append(piece.video.name)
    return here


def _copy_packets(
    packets: Iterator[_Packet],
    stream: Any,
    rows: Rows,
    shift_us: int,
    copy: _Copy,
    found: _Found,
    here: npt.NDArray[np.bool_],
) -> None:
    place_of = {int(rows["pts_us"][place]): place for place in np.flatnonzero(rows["flags"] & KEPT).tolist()}
    begun = list(itertools.islice(packets, _LOOKED_AT))
    known = [
        (data, int(rows["size"][place_of[pts_us]]), int(rows["crc32"][place_of[pts_us]]))
        for pts_us, data, _ in begun
        if pts_us in place_of
    ]
    check = frame_check(stream.codec_context.name, extradata_of(stream), known)
    damaged = 0
    for pts_us, data, keyframe in itertools.chain(begun, packets):
        place = place_of.get(pts_us)
        moved_us = pts_us + shift_us
        if place is not None and not check.fits(data, int(rows["size"][place]), int(rows["crc32"][place])):
            damaged += 1
        elif not found.pts_us or moved_us > found.pts_us[-1]:  # of two with one time, the first one counts
            copy.write(stream, data, moved_us, keyframe)
            found.pts_us.append(moved_us)
            found.crc32.append(zlib.crc32(data))
            if place is None:
                found.unrecorded += 1
            else:
                here[place] = True
    found.damaged += damaged
    found.lost -= damaged  # they are named on their own


@contextlib.contextmanager
def _open_mov(path: Path) -> Iterator[tuple[Any, Any]]:
    """Open a piece as what it is; in a damaged one FFmpeg may see another format, whose times mean nothing."""
    with open_video(path) as (container, stream):
        if "mov" not in container.format.name.split(","):
            raise FileFormatError(f"{path} is no MOV any more; it is damaged.")
        yield container, stream


def _packets(container: Any, stream: Any) -> Iterator[_Packet]:
    """Yield (pts in microseconds, bytes, keyframe) of all whole frames up to a torn end."""
    import av

    with contextlib.suppress(av.FFmpegError, OSError):
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None and not packet.is_corrupt and not packet.is_discard:
                yield pts_us_of(packet.pts, stream.time_base), bytes(packet), packet.is_keyframe
