"""``streams.xdf`` of a take that was cut off: a copy of all its whole chunks, closed with footers.

Bytes are copied, nothing is encoded anew: no sample and no stamp is made up. A sample whose stamp was left out, to be
told from the one before it, is not taken over where that one is lost.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from lab.errors import TakeError
from lab.streams import MARKERS_NAME
from lab.take import Event
from storage.atomic import sync_file, sync_folder, temporary_path, write_bytes_atomically
from storage.os_errors import reason
from storage.xdf_bytes import FileBytes, mapped_xdf
from storage.xdf_header import StreamHeader, footer_xml
from storage.xdf_rows import Rows, read_stamps
from storage.xdf_texts import Texts
from storage.xdf_walk import WalkedStream, XdfWalk
from storage.xdf_writer import FILE_HEADER, MAGIC, chunk, footer_chunk

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK_BYTES: Final = 4 << 20
_EMPTY: Final = b'<?xml version="1.0"?><info><version>1.0</version></info>'


@dataclass(frozen=True)
class ScannedStream:
    """What a stream holds: number of samples, first and last stamp (its host's clock), probes (time, offset).

    Stamps are NaN without samples. ``footer`` says whether the stream was closed.
    """

    stream_id: int
    header: StreamHeader
    samples: int
    first_s: float
    last_s: float
    offsets: tuple[tuple[float, float], ...]
    footer: bool

    @property
    def last_session_s(self) -> float:
        """Session time of the last sample, by the last clock probe; NaN without samples."""
        return self.last_s + (self.offsets[-1][1] if self.offsets else 0.0)


@dataclass(frozen=True)
class ScannedXdf:
    """What of an XDF file can be used: streams, the (start, stop) of whole chunks, events of ``FlexMarkers``.

    ``notes`` are sentences about what cannot.
    """

    streams: tuple[ScannedStream, ...]
    spans: tuple[tuple[int, int], ...]
    size: int
    events: tuple[Event, ...]
    notes: tuple[str, ...]

    @property
    def left_out(self) -> int:
        """Number of bytes that are no whole chunk, or of no use."""
        return self.size - len(MAGIC) - sum(stop - start for start, stop in self.spans)

    @property
    def closed(self) -> bool:
        """Whether the file is whole to its last byte and every stream has its footer."""
        return self.left_out == 0 and all(stream.footer for stream in self.streams)


def scan_xdf(path: Path) -> ScannedXdf:
    """Find what of an XDF file can be used, without reading the values of its samples.

    Raises FileFormatError where it cannot be read or is no XDF file.
    """
    with mapped_xdf(path) as data:
        walk = XdfWalk(data)
        found: list[_Ends] = []
        for _ in walk.stretches():
            found += map(_Ends, walk.streams[len(found) :])
            for ends in found:
                for samples in ends.stream.take_pending(walk.file):
                    ends.see(walk.file, samples)
        streams = tuple(ends.scanned() for ends in found)
        events = tuple(event for ends in found for event in ends.events)
        return ScannedXdf(streams, tuple(walk.spans), len(data), events, tuple(walk.notes))


def salvage_xdf(source: Path, target: Path) -> ScannedXdf:
    """Write the whole chunks of ``source`` and the footers that are missing as ``target``; return what it holds.

    The result's ``left_out`` and ``notes`` say what of ``source`` is not in it. ``source`` is not touched. ``target``
    appears whole, after it was read back and found to hold the same bytes, and replaces what has its name. Raises
    FileFormatError where ``source`` cannot be read, TakeError where ``target`` cannot be written; then nothing is left
    of it.
    """
    source_scan = scan_xdf(source)
    temporary = temporary_path(target)
    try:
        with mapped_xdf(source) as data, temporary.open("wb") as file:
            crc = _write(file, (MAGIC,), 0)
            for span in source_scan.spans:
                crc = _write(file, _blocks(data, *span), crc)
        scan = scan_xdf(temporary)
        with temporary.open("ab") as file:
            crc = _write(file, _footers(scan.streams), crc)
            file.flush()
            sync_file(file.fileno())
        if scan.left_out or len(scan.streams) != len(source_scan.streams) or _crc32(temporary) != crc:
            raise TakeError(f"The copy of {source} does not hold the same; check the disk.")
        os.replace(temporary, target)  # noqa: PTH105 - the one act that tests interrupt
    except OSError as error:
        raise TakeError(f"{target} cannot be written ({reason(error)}); make room or check the disk.") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_folder(target.parent)
    return replace(scan, size=source_scan.size, notes=source_scan.notes)


def write_empty_xdf(target: Path) -> None:
    """Write an XDF file without streams, for a take of which nothing was recorded. Raises TakeError."""
    try:
        write_bytes_atomically(target, MAGIC + chunk(FILE_HEADER, _EMPTY))
    except OSError as error:
        raise TakeError(f"{target} cannot be written ({reason(error)}); make room or check the disk.") from None


class _Ends:
    """The first and the last stamp of a stream, and the events it tells if it is ours, while the file is walked."""

    def __init__(self, stream: WalkedStream) -> None:
        self.stream = stream
        self.events: list[Event] = []
        self._seen = False
        self._first_s = math.nan
        self._last_s = 0.0

    def see(self, file: FileBytes, samples: Rows | Texts) -> None:
        """Look at the stream's next samples."""
        interval_s = self.stream.interval_s
        if isinstance(samples, Texts):
            stamps = samples.all_stamps(self._last_s, interval_s)
            if _is_ours(self.stream.header):
                self.events += map(Event.of_marker, stamps.tolist(), samples.texts)
        elif samples.marks is None:  # as our recorder writes them
            stamps = file.f64[samples.places[[0, -1]] + 1]
        else:
            stamps = np.empty(len(samples.places))
            read_stamps(file, samples, self._last_s, interval_s, stamps)
        if not self._seen:
            self._seen, self._first_s = True, float(stamps[0])
        self._last_s = float(stamps[-1])

    def scanned(self) -> ScannedStream:
        """Return what was found of the stream."""
        stream = self.stream
        offsets = tuple(zip(stream.clock[::2], stream.clock[1::2], strict=True))
        last_s = self._last_s if self._seen else math.nan
        return ScannedStream(
            stream.stream_id, stream.header, stream.samples, self._first_s, last_s, offsets, stream.footer
        )


def _is_ours(header: StreamHeader) -> bool:
    """Whether this is the recorder's own stream of events, not another's that has its name."""
    return (
        header.name == MARKERS_NAME
        and header.source_id == f"flex-capture/{MARKERS_NAME}"
        and (header.format, header.channel_count) == ("string", 1)
    )


def _footers(streams: Iterable[ScannedStream]) -> Iterable[bytes]:
    for stream in streams:
        if not stream.footer:
            xml = footer_xml(stream.first_s, stream.last_s, stream.samples, stream.offsets)
            yield footer_chunk(stream.stream_id, xml)


def _write(file: BinaryIO, pieces: Iterable[bytes], crc: int) -> int:
    for piece in pieces:
        file.write(piece)
        crc = zlib.crc32(piece, crc)
    return crc


def _blocks(data: mmap.mmap, start: int, stop: int) -> Iterator[bytes]:
    for place in range(start, stop, _BLOCK_BYTES):
        yield data[place : min(place + _BLOCK_BYTES, stop)]


def _crc32(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
    return crc
