"""Frames of mocap data, NatNet 2.1 to 4.2: bytes -> arrays, never copied.

Sections stand in a fixed order: marker sets, unlabelled markers, rigid bodies, skeletons, from 4.1 assets, from 2.3
labelled markers, from 2.9 force plates, from 2.11 devices, and a suffix. From 4.1 each begins with its count and its
size in bytes. The size is used to step over sections that are not known here; in known ones the items are counted.

Sources: OptiTrack's documents; recorded packets of version 3.0; public clients for the rest. Unconfirmed by a capture
are versions 2 and 4: that 2.x has a software latency before the time code (clients disagree, so both are read, and told
apart by the length), the two words of precision time from 4.1, and what a section's size counts. The flags are read six
bytes before the end, where all versions have them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drivers.optitrack.wire import COUNT_AND_SIZE, FLAGGED, LABELLED, SIZED, TICKING, BadPacketError, Cursor, Version

Array = npt.NDArray[Any]
_Sets = tuple[tuple[str, Array], ...]


class MarkerFlag(IntFlag):
    """Flags of a labelled marker."""

    OCCLUDED = 1
    POINT_CLOUD_SOLVED = 2
    MODEL_SOLVED = 4
    HAS_MODEL = 8
    UNLABELLED = 16
    ACTIVE = 32


class FrameFlag(IntFlag):
    """Flags of a frame."""

    RECORDING = 1
    MODELS_CHANGED = 2
    LIVE = 4


#: A rigid body from 3.0: quaternion as x, y, z, w; flag 1 says that it is tracked.
BODY: Final = np.dtype([("id", "<i4"), ("position", "<f4", 3), ("turn", "<f4", 4), ("error", "<f4"), ("flags", "<u2")])
_BODY_BEFORE_3: Final = struct.Struct("<i3f4fI")
_BODY_MARKER_BYTES: Final = 20  # position, id, size

#: A labelled marker from 3.0; the id is that of its model, shifted by 16, and that of the marker in it.
MARKER: Final = np.dtype(
    [("id", "<u4"), ("position", "<f4", 3), ("size", "<f4"), ("flags", "<u2"), ("residual", "<f4")]
)
_MARKER_FROM_26: Final = np.dtype(MARKER.descr[:4])
_MARKER_BEFORE_26: Final = np.dtype(MARKER.descr[:3])

_POSITION: Final = np.dtype(("<f4", 3))
_EMPTY_BODIES: Final = np.empty(0, BODY)
_EMPTY_MARKERS: Final = np.empty(0, MARKER)

_TIME_CODE: Final = struct.Struct("<II")
_F64: Final = struct.Struct("<d")
_F32: Final = struct.Struct("<f")
_TICKS: Final = struct.Struct("<QQQ")
_FLAGS: Final = struct.Struct("<H")
_FLAGS_AND_END: Final = 6


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A skeleton's or asset's segments (BODY) and, of an asset, its markers (MARKER)."""

    id: int
    bodies: Array
    markers: Array = field(default_factory=lambda: _EMPTY_MARKERS)


@dataclass(frozen=True, slots=True)
class MocapFrame:
    """One frame. ``marker_sets`` are names with positions (n, 3); ticks are 0 where the server has none.

    ``time_s`` is the server's software time, NaN where it is too coarse (before 2.7). ``flags`` are FrameFlag.
    """

    number: int
    marker_sets: _Sets
    unlabelled: Array
    bodies: Array
    skeletons: tuple[Skeleton, ...]
    assets: tuple[Skeleton, ...]
    markers: Array
    time_code: tuple[int, int]
    time_s: float
    mid_exposure_ticks: int
    received_ticks: int
    sent_ticks: int
    flags: int


_Sections = tuple[int, _Sets, Array, Array, tuple[Skeleton, ...], tuple[Skeleton, ...], Array]


def decode_frame(data: bytes, offset: int, version: Version) -> MocapFrame:
    """Read the payload of a frame that begins at ``offset``. Raises BadPacketError."""
    cursor = Cursor(data, offset)
    number = cursor.u32()
    sized = version >= SIZED
    count = _section(cursor, sized, 5)
    sets = tuple(_marker_set(cursor) for _ in range(count))
    unlabelled = cursor.array(_POSITION, _section(cursor, sized, 12))
    bodies = _bodies(cursor, _section(cursor, sized, 36), version)
    skeletons = tuple(_skeleton(cursor, version) for _ in range(_section(cursor, sized, 8)))
    assets: tuple[Skeleton, ...] = ()
    if sized:
        assets = tuple(_asset(cursor, version) for _ in range(_section(cursor, sized, 12)))
    markers = _EMPTY_MARKERS
    if version >= LABELLED:
        markers = _markers(cursor, _section(cursor, sized, 20), version)
    if version >= Version(2, 9):
        _skip_analog(cursor, _section(cursor, sized, 8))
    if version >= Version(2, 11):
        _skip_analog(cursor, _section(cursor, sized, 8))
    if sized:
        _skip_unknown(cursor)
    return _suffix(cursor, version, (number, sets, unlabelled, bodies, skeletons, assets, markers))


def _section(cursor: Cursor, sized: bool, least_bytes: int) -> int:
    count = cursor.count(least_bytes)
    if sized:
        cursor.u32()
    return count


def _marker_set(cursor: Cursor) -> tuple[str, Array]:
    name = cursor.text()
    return name, cursor.array(_POSITION, cursor.count(12))


def _bodies(cursor: Cursor, count: int, version: Version) -> Array:
    if version >= TICKING:
        return cursor.array(BODY, count)
    if not count:
        return _EMPTY_BODIES
    found = np.zeros(count, BODY)
    for index in range(count):
        numbers = cursor.take(_BODY_BEFORE_3)
        markers = numbers[8]
        if markers * _BODY_MARKER_BYTES > cursor.left:
            raise BadPacketError("a count beyond its end")
        cursor.offset += markers * _BODY_MARKER_BYTES
        body = found[index]
        body["id"], body["position"], body["turn"] = numbers[0], numbers[1:4], numbers[4:8]
        body["error"] = cursor.take(_F32)[0]
        if version >= FLAGGED:
            body["flags"] = cursor.take(_FLAGS)[0]
        else:  # nothing says it: what is not tracked stands at the origin
            body["flags"] = any(numbers[1:4])
    return found


def _skeleton(cursor: Cursor, version: Version) -> Skeleton:
    number = cursor.u32()
    return Skeleton(number, _bodies(cursor, cursor.count(36), version))


def _asset(cursor: Cursor, version: Version) -> Skeleton:
    number = cursor.u32()
    bodies = _bodies(cursor, cursor.count(BODY.itemsize), version)
    return Skeleton(number, bodies, cursor.array(MARKER, cursor.count(MARKER.itemsize)))


def _markers(cursor: Cursor, count: int, version: Version) -> Array:
    if version >= TICKING:
        return cursor.array(MARKER, count)
    kind = _MARKER_FROM_26 if version >= FLAGGED else _MARKER_BEFORE_26
    said = cursor.array(kind, count)
    found = np.zeros(count, MARKER)
    for name in kind.names or ():
        found[name] = said[name]
    found["residual"] = np.nan
    if version < FLAGGED:  # nothing says it: what is away stands at the origin
        found["flags"] = np.where((said["position"] == 0).all(axis=1), MarkerFlag.OCCLUDED, 0)
    return found


def _skip_analog(cursor: Cursor, count: int) -> None:
    """Step over force plates or devices: they are other streams than motion."""
    for _ in range(count):
        cursor.u32()
        for _ in range(cursor.count(4)):
            frames = cursor.count(4)
            cursor.offset += 4 * frames


def _suffix_forms(version: Version) -> dict[int, tuple[bool, bool]]:
    """Return the lengths that a suffix may have, and whether it then has a software latency and flags."""
    if version >= TICKING:
        size = _TIME_CODE.size + _F64.size + _TICKS.size + _FLAGS_AND_END
        return {size + 8 if version >= SIZED else size: (False, True)}
    size = _TIME_CODE.size + (_F64.size if version >= Version(2, 7) else _F32.size) + _FLAGS_AND_END
    forms = {size: (False, True), size + _F32.size: (True, True)}
    if version < FLAGGED:
        forms |= {size - _FLAGS.size: (False, False), size - _FLAGS.size + _F32.size: (True, False)}
    return forms


def _skip_unknown(cursor: Cursor) -> None:
    """Step over sections that later versions may add, by their size in bytes, if that leads to a suffix's beginning."""
    (suffix,) = _suffix_forms(SIZED)
    offset = cursor.offset
    while cursor.end - offset > suffix:
        if cursor.end - offset < suffix + COUNT_AND_SIZE.size:
            return
        _, size = COUNT_AND_SIZE.unpack_from(cursor.data, offset)
        offset += COUNT_AND_SIZE.size + size
    if cursor.end - offset == suffix:
        cursor.offset = offset


def _suffix(cursor: Cursor, version: Version, sections: _Sections) -> MocapFrame:
    forms, left = _suffix_forms(version), cursor.left
    # a later version may have a longer suffix; an earlier one that does not come out even was read wrongly
    if left < min(forms) or (version < SIZED and left not in forms):
        raise BadPacketError("a suffix of the wrong length")
    has_latency, has_flags = forms.get(left, (False, True))
    if has_latency:
        cursor.take(_F32)
    time_code = cursor.take(_TIME_CODE)
    time_s = float("nan")
    if version >= Version(2, 7):
        (time_s,) = cursor.take(_F64)
    ticks = cursor.take(_TICKS) if version >= TICKING else (0, 0, 0)
    flags = _FLAGS.unpack_from(cursor.data, cursor.end - _FLAGS_AND_END)[0] if has_flags else 0
    codes = int(time_code[0]), int(time_code[1])
    return MocapFrame(*sections, codes, time_s, int(ticks[0]), int(ticks[1]), int(ticks[2]), flags)
