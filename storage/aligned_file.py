"""Streams on one clock as one HDF5 file: a group a stream. It appears whole or not at all.

Nothing is compressed: the bytes depend on no library's version, and a program can map the arrays into memory.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import TakeError
from lab.streams import Channel
from storage.atomic import sync_folder, temporary_files, temporary_path
from storage.os_errors import reason

if TYPE_CHECKING:
    from pathlib import Path

    from lab.aligned import AlignedStream, AlignedView, StreamReport, SyncEvidence
    from lab.clock_map import ClockMap
    from lab.take import Event

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

FORMAT: Final = "flex-capture aligned streams"
FORMAT_VERSION: Final = 1
RESAMPLED: Final = "resampled"
MARKERS: Final = "FlexMarkers"

#: HDF5 keeps texts with their end marked by a 0 byte.
_REPLACED: Final = str.maketrans({"\0": "\ufffd"})
_READ_BACK_BYTES: Final = 1 << 24


@dataclass(frozen=True)
class StreamOrigin:
    """Where a stream comes from: what it is called in its file, its id there, and who published it in what format."""

    name: str
    stream_id: int
    source_id: str
    hostname: str
    format: str


class AlignedFile:
    """A file in the making. What was added is not needed any more: it is on the disk."""

    def __init__(self, hdf5: Any) -> None:
        """Begin to write; use ``aligned_file``."""
        self._hdf5 = hdf5
        self._sums: dict[str, int] = {}

    def add_stream(
        self,
        group_name: str,
        stream: AlignedStream,
        origin: StreamOrigin,
        report: StreamReport,
        evidence: SyncEvidence,
        *,
        counted: bool,
    ) -> None:
        """Write a stream: ``values``, ``time``, ``sample``, ``counter`` where it ``counted``, ``gaps``, ``clock``."""
        group = self._hdf5.create_group(group_name)
        _add_channels(group, stream.channels)
        _add_facts(group, origin, report)
        group.attrs["content_type"] = _text(stream.content_type)
        group.attrs["device"] = _text(stream.device)
        group.attrs["simulated"] = stream.simulated
        if stream.values.dtype == object:
            self._add_texts(group, "values", stream.values)
        else:
            self._add(group, "values", stream.values)
        self._add_times(group, stream.time_s, evidence)
        if counted:
            self._add(group, "counter", stream.counter)

    def add_view(
        self,
        group_name: str,
        view: AlignedView,
        video: str,
        origin: StreamOrigin,
        report: StreamReport,
        evidence: SyncEvidence,
    ) -> None:
        """Write a view: ``time``, ``index`` (in the video, -1: not there), ``pts_us``, ``frame_id``, ``sample``.

        ``video`` is the name of the video's file in the take.
        """
        group = self._hdf5.create_group(group_name)
        _add_facts(group, origin, report)
        group.attrs["video"] = _text(video)
        group.attrs["codec"] = _text(view.codec)
        group.attrs["width"], group.attrs["height"] = view.width, view.height
        group.attrs["simulated"] = view.simulated
        self._add(group, "index", view.index)
        self._add(group, "pts_us", view.pts_us)
        self._add(group, "frame_id", view.frame_id)
        self._add_times(group, view.time_s, evidence)

    def add_markers(self, group_name: str, events: Sequence[Event]) -> None:
        """Write what happened in a take: ``values`` (events, 1) as texts ``kind: text``, ``time`` (events,)."""
        group = self._hdf5.create_group(group_name)
        _add_channels(group, (Channel("event"),))
        group.attrs["name"] = MARKERS
        group.attrs["method"] = "session time"
        texts = np.array([[event.marker] for event in events], dtype=object).reshape(-1, 1)
        self._add_texts(group, "values", texts)
        times = np.array([event.session_s for event in events], dtype=np.float64)
        self._add(group, "time", times).attrs["unit"] = "s"

    def begin_grid(self, rate_hz: float, count: int, blocks: Iterator[tuple[int, Float64]]) -> None:
        """Write ``/resampled/time`` (``count``,) out of blocks of (first, times)."""
        group = self._hdf5.create_group(RESAMPLED)
        group.attrs["rate_hz"] = rate_hz
        self._add_blocks(group, "time", (count,), blocks).attrs["unit"] = "s"

    def add_resampled(
        self, group_name: str, count: int, blocks: Iterator[tuple[int, Float64]], facts: Mapping[str, Any]
    ) -> None:
        """Write ``/resampled/<stream>/values`` (``count``, channels) out of blocks of (first, values)."""
        source = self._hdf5[group_name]
        group = self._hdf5[RESAMPLED].create_group(group_name)
        for name in ("name", "labels", "units", "types"):
            group.attrs[name] = source.attrs[name]
        for name, value in facts.items():
            group.attrs[name] = value
        self._add_blocks(group, "values", (count, source["values"].shape[1]), blocks)

    def stored(self, group_name: str) -> tuple[Float64, Int64 | None, Any]:
        """Return times (samples,), count (samples,) or None, and the dataset of values of a stream written before."""
        group = self._hdf5[group_name]
        return group["time"][()], group["counter"][()] if "counter" in group else None, group["values"]

    def add_facts(self, facts: Mapping[str, Any]) -> None:
        """Write what is said of the whole file; a sequence of texts, a text or a number each."""
        for name, value in facts.items():
            self._hdf5.attrs[name] = _attribute(value)

    def _add_times(self, group: Any, time_s: Float64, evidence: SyncEvidence) -> None:
        self._add(group, "time", time_s).attrs["unit"] = "s"
        self._add(group, "sample", evidence.sample.astype(np.int64))
        self._add(group, "gaps", evidence.gaps_s).attrs["unit"] = "s"
        model = group.create_group("clock")
        for name, numbers in _clock_arrays(evidence.clock).items():
            self._add(model, name, numbers)

    def _add(self, group: Any, name: str, values: npt.NDArray[Any]) -> Any:
        plain = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
        dataset = group.create_dataset(name, data=plain, track_times=False)
        self._sums[dataset.name] = _sum_of(plain)
        return dataset

    def _add_texts(self, group: Any, name: str, values: npt.NDArray[Any]) -> None:
        import h5py

        texts = np.array([_text(value) for value in values.ravel()], dtype=object).reshape(values.shape)
        dataset = group.create_dataset(name, shape=texts.shape, dtype=h5py.string_dtype("utf-8"), track_times=False)
        if texts.size:
            dataset[...] = texts
        self._sums[dataset.name] = _sum_of(texts)

    def _add_blocks(self, group: Any, name: str, shape: tuple[int, ...], blocks: Iterator[tuple[int, Float64]]) -> Any:
        dataset = group.create_dataset(name, shape=shape, dtype="<f8", track_times=False)
        total = 0
        for first, block in blocks:
            dataset[first : first + len(block)] = block
            total = _sum_of(np.ascontiguousarray(block, dtype="<f8"), total)
        self._sums[dataset.name] = total
        return dataset

    def check(self, temporary: Path) -> None:
        """Read the closed file back. Raises OSError where it does not hold what was written."""
        import h5py

        with h5py.File(temporary, "r") as file:
            for name, wanted in self._sums.items():
                dataset = file[name]
                rows = max(1, _READ_BACK_BYTES // max(1, dataset.dtype.itemsize * int(np.prod(dataset.shape[1:]))))
                texts = h5py.check_string_dtype(dataset.dtype) is not None
                source = dataset.asstr() if texts else dataset
                total = 0
                for first in range(0, len(dataset), rows):
                    total = _sum_of(source[first : first + rows], total)
                if total != wanted:
                    raise OSError(f"what was read back of {name} is not what was written")


@contextmanager
def aligned_file(path: Path) -> Iterator[AlignedFile]:
    """Write an aligned file: under another name until it is whole and was read back, then it replaces ``path``.

    What writers of the same file that were killed left behind is removed. Raises TakeError; an older file is then
    untouched, and nothing is left beside it.
    """
    temporary = temporary_path(path)
    try:
        _remove_left(path)
        with _open(temporary) as hdf5:
            hdf5.attrs["format"] = FORMAT
            hdf5.attrs["format_version"] = FORMAT_VERSION
            file = AlignedFile(hdf5)
            yield file
        with temporary.open("rb+") as closed:
            os.fsync(closed.fileno())
        file.check(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        _unlink(temporary)
        raise TakeError(f"{path} cannot be written ({_short(error)}); see to the disk, or name another file") from None
    except BaseException:
        _unlink(temporary)
        raise


def _short(error: OSError) -> str:
    """Return what failed; HDF5 tells it in many words over several lines, with the system's number among them."""
    number = re.search(r"errno = (\d{1,4})", str(error))
    return os.strerror(int(number[1])) if number else reason(error).splitlines()[0]


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    import h5py

    hdf5 = h5py.File(path, "w", libver=("v108", "v110"))
    try:
        yield hdf5
    finally:
        try:
            hdf5.close()
        except RuntimeError as error:  # so h5py says that the disk is full
            raise OSError(str(error)) from error


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _remove_left(path: Path) -> None:
    for left in temporary_files(path.parent):
        if left.name.startswith(f"{path.name}.tmp-"):
            _unlink(left)


def group_names(streams: Sequence[tuple[str, int]]) -> list[str]:
    """Return the name of the group of each stream, of (name, id), in their order; no two are the same.

    A name as it is, but for what HDF5 or a terminal cannot bear: ``/`` and control characters become ``_``, as does a
    name of dots alone; one that is too long is cut; an empty one becomes ``unnamed``. Where the same comes out twice,
    or what this format uses itself, the id is added: ``emg-3``.
    """
    names = [_group_name(name) for name, _ in streams]
    out = list(names)
    taken = {RESAMPLED}
    for _ in range(2):  # an id that is added may itself make a name that is there
        twice = {name for name, count in Counter(out).items() if count > 1} | taken
        out = [
            f"{own}-{stream_id}" if now in twice and now == own else now
            for own, now, (_, stream_id) in zip(names, out, streams, strict=True)
        ]
    seen: set[str] = set(taken)
    for index, name in enumerate(out):
        number = 2
        while out[index] in seen:
            out[index] = f"{name}-{number}"
            number += 1
        seen.add(out[index])
    return out


_UNFIT: Final = re.compile("[/\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_LONGEST_NAME: Final = 120


def _group_name(name: str) -> str:
    plain = _UNFIT.sub("_", name).strip()[:_LONGEST_NAME]
    return "_" * len(plain) if plain and not plain.strip(".") else plain or "unnamed"


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode().translate(_REPLACED)


def _attribute(value: Any) -> Any:
    import h5py

    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (tuple, list)):
        return np.array([_text(one) for one in value], dtype=h5py.string_dtype("utf-8"))
    return value


def _add_channels(group: Any, channels: Sequence[Channel]) -> None:
    group.attrs["labels"] = _attribute([channel.label for channel in channels])
    group.attrs["units"] = _attribute([channel.unit for channel in channels])
    group.attrs["types"] = _attribute([channel.type for channel in channels])
    if any(channel.marker for channel in channels):
        group.attrs["markers"] = _attribute([channel.marker for channel in channels])


def _add_facts(group: Any, origin: StreamOrigin, report: StreamReport) -> None:
    facts = {
        "name": origin.name,
        "stream_id": origin.stream_id,
        "source_id": origin.source_id,
        "hostname": origin.hostname,
        "format": origin.format,
        "rate_nominal_hz": float(report.rate_asked_hz),
        "rate_measured_hz": float(report.rate_measured_hz),
        "drift_ppm": float(report.drift_ppm),
        "method": report.method,
        "lost": report.lost,
        "lost_ambiguous": report.lost_ambiguous,
        "gap_count": report.gaps,
        "latency_s": float(report.latency_s),
        "arrival_spread_ms": float(report.arrival_spread_ms),
        "uncertainty_p50_ms": float(report.uncertainty_p50_ms),
        "uncertainty_p99_ms": float(report.uncertainty_p99_ms),
        "in_sync": report.in_sync,
        "notes": report.note,
    }
    for name, value in facts.items():
        group.attrs[name] = _attribute(value)


def _clock_arrays(clock: ClockMap) -> dict[str, npt.NDArray[Any]]:
    """Return the pieces of a clock map as arrays: a row a knot, which names its piece, and a row a piece."""
    pieces = clock.pieces
    return {
        "knot_piece": np.concatenate([np.full(piece.knot_s.size, i, np.int64) for i, piece in enumerate(pieces)]),
        "knot_s": np.concatenate([piece.knot_s for piece in pieces]),
        "offset_s": np.concatenate([piece.offset_s for piece in pieces]),
        "error_s": np.concatenate([piece.error_s for piece in pieces]),
        "first_sample": np.array([piece.first_sample for piece in pieces], dtype=np.int64),
        "drift_before": np.array([piece.drift_before for piece in pieces], dtype=np.float64),
        "drift_after": np.array([piece.drift_after for piece in pieces], dtype=np.float64),
        "drift_error": np.array([piece.drift_error for piece in pieces], dtype=np.float64),
        "wander": np.array([piece.wander for piece in pieces], dtype=np.float64),
    }


def _sum_of(values: npt.NDArray[Any], total: int = 0) -> int:
    if values.dtype == object:
        data = "".join(f"{len(text)}:{text}" for text in values.ravel()).encode()
        return zlib.crc32(data, total)
    return zlib.crc32(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data if values.size else b"", total)
