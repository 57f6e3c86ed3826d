"""One take that was cut off: its files made whole, ``take.json`` its end, all of it its checksums.

Copies are made first, each beside its original. ``take.json`` then says ``recovered``, the checksums are written, the
take is read back as any program would, and only then the originals go. Interrupted at any moment, it is done again.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.errors import FileFormatError, TakeError
from lab.take import Event, ImportRecord, TakeRecord
from storage.atomic import temporary_files
from storage.checksums import SUMS_NAME, listed_files, read_sums, write_sums
from storage.os_errors import reason
from storage.raw_take import read_raw_take
from storage.reserve import reserve_files
from storage.salvage_view import MergedView, bytes_to_copy, drop_pieces, merge_view, replaced_pieces
from storage.salvage_xdf import ScannedXdf, salvage_xdf, scan_xdf, write_empty_xdf
from storage.take_folder import PART_SUFFIX, finish_part, part_path, read_record, streams_path, write_record
from storage.xdf_writer import MAGIC

#: A file of streams of which nothing could be read keeps its bytes under this name.
UNREADABLE_SUFFIX: Final = ".unreadable"

#: Room that a recovery leaves on the disk.
_MARGIN_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class _Salvaged:
    """What could be kept of a take."""

    streams: ScannedXdf
    views: tuple[MergedView, ...]

    @property
    def empty(self) -> bool:
        """Whether nothing was recorded yet."""
        samples = any(stream.samples for stream in self.streams.streams)
        return not samples and not any(view.record.frames for view in self.views)


def is_unfinished(folder: Path, *, sealed: bool = True) -> bool:
    """Tell whether a take was cut off, or its recovery was; a closed one without checksums too unless ``sealed``.

    ``take.json`` is read only where the folder looks like it. A take whose ``take.json`` is missing is unfinished, one
    whose ``take.json`` cannot be read is what others have to say something about.
    """
    try:
        has_sums = (folder / SUMS_NAME).exists()
        parts = [path for path in folder.iterdir() if path.name.endswith(PART_SUFFIX)]
        if has_sums and not parts:
            return False
        if not any(folder.glob("take.json")):
            return True
        state = read_record(folder).state
        if state == "recording" or not has_sums:
            return state in {"recording", "recovered"} or not sealed
        listed = listed_files(folder)
    except (TakeError, OSError):
        return False
    return state == "recovered" and any(path.name not in listed for path in parts)


def salvage_take(folder: Path) -> list[str]:
    """Make one unfinished take whole; return what to tell, the seconds each stream lacks to the last sign of life.

    Nobody else may write into the folder meanwhile. Raises TakeError where ``take.json`` cannot be read, there is no
    room for the copies or the disk refuses; nothing that was recorded is lost then.
    """
    record = read_record(folder)
    _clear_up(folder)
    if record.state == "recording":
        return _salvage(folder, record)
    if record.imported is not None:
        return _seal_imported(folder, record, record.imported)
    _seal(folder, record)
    if record.state == "recovered":
        return [f"{folder}: its recovery, which was interrupted, is finished"]
    return [f"{folder}: its checksums were missing and are written now"]


def _seal_imported(folder: Path, record: TakeRecord, imported: ImportRecord) -> list[str]:
    """Write the checksums of an imported take, which was whole before it had its name; they must have got lost."""
    write_sums(folder)
    digests, _ = read_sums(folder)
    called = {view.view: view.video for view in record.views}
    originals = [(streams_path(folder).name, imported.file)]
    originals += [(called.get(video.view, video.view), video.file) for video in imported.videos]
    return [f"{folder}: its checksums were missing and are written now"] + [
        f"  {name} is not what was imported from {file.name}: it has changed, or is missing"
        for name, file in originals
        if digests.get(name) != file.sha256
    ]


def _salvage(folder: Path, record: TakeRecord) -> list[str]:
    source, scan = _source(folder)
    _require_room(folder, record, source, scan)
    views = tuple(merge_view(folder, view) for view in record.views)
    kept = _Salvaged(_whole_streams(folder, source, scan), views)
    last_s = _last_sign_of_life(kept, record)
    lines = _losses(kept, record, last_s)
    closed = _closed_record(kept, record, last_s, lines)
    write_record(folder, closed)
    _seal(folder, closed)
    if kept.empty:
        return [f"{folder}: cut off before anything was recorded; it is kept as failed"]
    return [f"{folder}: cut off, and recovered", *(f"  {line}" for line in lines)]


def _clear_up(folder: Path) -> None:
    """Remove what killed writers left half-written, and the room that the recorder held."""
    for path in (*temporary_files(folder), *reserve_files(folder)):
        path.unlink(missing_ok=True)


def _source(folder: Path) -> tuple[Path | None, ScannedXdf | None]:
    """Return the file of streams as it was left, and what of it can be used; None where that is nothing."""
    final = streams_path(folder)
    source = part_path(final) if part_path(final).exists() else final
    if not source.exists():
        return None, None
    try:
        return source, scan_xdf(source)
    except FileFormatError:
        return source, None


def _require_room(folder: Path, record: TakeRecord, source: Path | None, scan: ScannedXdf | None) -> None:
    copies = sum(bytes_to_copy(folder, view) for view in record.views)
    if source is not None and scan is not None and not scan.closed:
        copies += source.stat().st_size
    free = shutil.disk_usage(folder).free
    if copies and copies + _MARGIN_BYTES > free:
        raise TakeError(
            f"{folder} is not recovered: that takes {copies / 1e6:,.0f} MB for a while, and the disk has"
            f" {free / 1e6:,.0f} MB; make room, then run `flex-capture recover {folder}`"
        )


def _set_aside(source: Path, final: Path) -> None:
    """Give a file of which nothing can be read a name of its own, unless not even XDF's first four bytes are there."""
    try:
        if source.stat().st_size <= len(MAGIC):
            source.unlink()
        else:
            source.rename(final.with_name(final.name + UNREADABLE_SUFFIX))
    except OSError as error:
        raise TakeError(f"{source} cannot be renamed ({reason(error)}); check the folder.") from None


def _whole_streams(folder: Path, source: Path | None, scan: ScannedXdf | None) -> ScannedXdf:
    final = streams_path(folder)
    if source is None or scan is None:
        if source is not None:
            _set_aside(source, final)
        write_empty_xdf(final)  # what reads takes finds none without its file of streams
        return scan_xdf(final)
    if scan.closed:
        if source != final and not final.exists():
            finish_part(final)
        return scan
    if source != final:
        return salvage_xdf(source, final)
    try:
        final.rename(part_path(final))  # the original, closed by its recorder but not whole
        return salvage_xdf(part_path(final), final)
    except OSError as error:
        raise TakeError(f"{final} cannot be renamed ({reason(error)}); check the folder.") from None
    finally:
        if not final.exists():
            with contextlib.suppress(OSError):
                part_path(final).rename(final)


def _closed_record(kept: _Salvaged, record: TakeRecord, last_s: float, lines: list[str]) -> TakeRecord:
    scanned = kept.streams.streams
    samples = {stream.stream_id: stream.samples for stream in scanned}
    known = {(event.kind, event.text, event.session_s) for event in record.events}
    told = kept.streams.events
    events = [*record.events, *(event for event in told if (event.kind, event.text, event.session_s) not in known)]
    begun = [event.session_s for event in events if event.kind == "recording"]
    if kept.empty:
        text = "the recording was cut off before anything was recorded"
        end = Event(session_s=record.started.session_s, kind="recorder_failed", text=text)
    else:
        end = Event(session_s=last_s, kind="recovered", text=f"the recording was cut off; {'; '.join(lines)}")
    return record.model_copy(
        update={
            "state": "failed" if kept.empty or not scanned else "recovered",
            "recording_s": begun[0] if record.recording_s is None and begun else record.recording_s,
            "streams": tuple(
                stream.model_copy(update={"samples": samples.get(stream.stream_id, 0), "ended": False})
                for stream in record.streams
            ),
            "views": tuple(view.record for view in kept.views),
            "events": (*events, end),
        }
    )


def _seal(folder: Path, record: TakeRecord) -> None:
    """Write the checksums, read a recovered take back, and let the originals go. Raises TakeError."""
    originals = _originals(folder, record)
    if record.state == "recovered":
        write_sums(folder, without=originals)
        _validate(folder, record)
    for view in record.views:
        drop_pieces(folder, view.view)
    part = part_path(streams_path(folder))
    if part in originals:
        try:
            part.unlink()
        except OSError as error:
            raise TakeError(f"{part} cannot be removed ({reason(error)}); it was copied, remove it.") from None
    if record.state != "recovered":
        write_sums(folder)


def _originals(folder: Path, record: TakeRecord) -> list[Path]:
    """Return the files that were copied and are to go."""
    part = part_path(streams_path(folder))
    streams = [part] if part.exists() and streams_path(folder).exists() else []
    return [*streams, *(path for view in record.views for path in replaced_pieces(folder, view.view))]


def _validate(folder: Path, record: TakeRecord) -> None:
    """Read a recovered take as any program would. Raises TakeError where it is not what ``take.json`` says."""
    read = read_raw_take(folder)
    frames = {view.view: len(view.frame_id) for view in read.views}
    wrong = [view.view for view in record.views if frames.get(view.view) != view.frames]
    scanned = {stream.stream_id: stream.samples for stream in scan_xdf(streams_path(folder)).streams}
    wrong += [stream.name for stream in record.streams if scanned.get(stream.stream_id, 0) != stream.samples]
    if wrong:
        raise TakeError(
            f"{folder} was recovered, but does not hold the same when it is read back ({', '.join(wrong)}); the"
            f" original files are kept beside it with names that end in {PART_SUFFIX}: check the disk"
        )


def _last_sign_of_life(kept: _Salvaged, record: TakeRecord) -> float:
    """Return the session time of the last sample or frame; of the start where there is none."""
    scanned = kept.streams.streams
    offsets = {stream.header.name: stream.offsets[-1][1] for stream in scanned if stream.offsets}
    signs = [stream.last_session_s for stream in scanned]
    signs += [view.last_arrival_s + offsets.get(view.record.view, 0.0) for view in kept.views]
    return max((sign_s for sign_s in signs if math.isfinite(sign_s)), default=record.started.session_s)


def _losses(kept: _Salvaged, record: TakeRecord, last_s: float) -> list[str]:
    scanned = {stream.stream_id: stream for stream in kept.streams.streams}
    lines = []
    for stream in record.streams:
        found = scanned.get(stream.stream_id)
        if found is None or not found.samples:
            lines.append(f"stream '{stream.name}' has no samples")
        else:
            ends_s = last_s - found.last_session_s
            lines.append(f"stream '{stream.name}' ends {ends_s:.2f} s before the last sign of life")
    if not scanned:
        lines.append("streams.xdf has nothing that can be read")
    elif kept.streams.left_out:
        lines.append(f"{kept.streams.left_out} bytes of streams.xdf are no whole chunk and are left out")
    return [*lines, *(note for view in kept.views for note in view.notes)]
