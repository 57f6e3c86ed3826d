"""Model descriptions, NatNet 2.1 to 4.2: what the ids in a frame are called.

From 4.1 each description says its size in bytes, which public clients found to be too small (4.2 on Motive 3.3): what
is known here is therefore read by its content, and the size is only used to step over kinds that are not known.
Unconfirmed by a capture: versions 2 and 4.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from drivers.optitrack.wire import SIZED, TICKING, BadPacketError, Cursor, Version

_BODY: Final = struct.Struct("<ii3f")
_TURN: Final = struct.Struct("<4f")
_PLATE: Final = struct.Struct("<161f2I")  # width, length, origin, calibration, corners, type, data type
_TWO: Final = struct.Struct("<2I")
_POSE: Final = struct.Struct("<7f")
_MARKER: Final = struct.Struct("<I4fH")
#: A description is a kind and at least a name's zero byte and a count.
_LEAST_BYTES: Final = 5


@dataclass(frozen=True, slots=True)
class BodyModel:
    """A rigid body, or a segment of a skeleton. ``markers`` are their names, empty where the version tells none."""

    name: str
    id: int
    parent: int
    markers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SkeletonModel:
    """A skeleton or, from 4.1, an asset: ``markers`` are then pairs of id and name."""

    name: str
    id: int
    bodies: tuple[BodyModel, ...]
    markers: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Models:
    """All that a server tracks. ``marker_sets`` are names with the names of their markers.

    ``analogue`` are the serial numbers of force plates and names of analogue devices.
    """

    marker_sets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    bodies: tuple[BodyModel, ...] = ()
    skeletons: tuple[SkeletonModel, ...] = ()
    assets: tuple[SkeletonModel, ...] = ()
    cameras: tuple[str, ...] = ()
    analogue: tuple[str, ...] = ()


def decode_models(data: bytes, offset: int, version: Version) -> Models:
    """Read the payload of the models' description that begins at ``offset``. Raises BadPacketError."""
    cursor = Cursor(data, offset)
    sets: list[tuple[str, tuple[str, ...]]] = []
    bodies: list[BodyModel] = []
    skeletons: list[SkeletonModel] = []
    assets: list[SkeletonModel] = []
    cameras: list[str] = []
    analogue: list[str] = []
    for _ in range(cursor.count(_LEAST_BYTES)):
        kind = cursor.u32()
        size = cursor.u32() if version >= SIZED else None
        if kind == 0:
            sets.append((cursor.text(), _texts(cursor)))
        elif kind == 1:
            bodies.append(_body(cursor, version))
        elif kind == 2:
            skeletons.append(SkeletonModel(cursor.text(), cursor.u32(), _body_list(cursor, version)))
        elif kind == 3:
            analogue.append(_plate(cursor, version))
        elif kind == 4:
            analogue.append(_device(cursor, version))
        elif kind == 5:
            cameras.append(cursor.text())
            cursor.take(_POSE)
        elif kind == 6:
            assets.append(_asset(cursor, version))
        elif size is not None and size <= cursor.left:
            cursor.offset += size
        else:
            raise BadPacketError(f"a model of unknown kind {kind}")
    return Models(tuple(sets), tuple(bodies), tuple(skeletons), tuple(assets), tuple(cameras), tuple(analogue))


def _texts(cursor: Cursor) -> tuple[str, ...]:
    return tuple(cursor.text() for _ in range(cursor.count(1)))


def _body(cursor: Cursor, version: Version) -> BodyModel:
    name = cursor.text()
    number, parent = cursor.take(_BODY)[:2]
    if version >= Version(4, 2):
        cursor.take(_TURN)
    markers: tuple[str, ...] = ()
    if version >= TICKING:
        count = cursor.count(16)
        cursor.offset += 16 * count  # where each is, and its active label
        markers = tuple(cursor.text() for _ in range(count)) if version >= Version(4, 0) else ("",) * count
    return BodyModel(name, int(number), int(parent), markers)


def _body_list(cursor: Cursor, version: Version) -> tuple[BodyModel, ...]:
    return tuple(_body(cursor, version) for _ in range(cursor.count(1 + _BODY.size)))


def _asset(cursor: Cursor, version: Version) -> SkeletonModel:
    name = cursor.text()
    _, number = cursor.take(_TWO)
    bodies = _body_list(cursor, version)
    markers = []
    for _ in range(cursor.count(1 + _MARKER.size)):
        called = cursor.text()
        markers.append((int(cursor.take(_MARKER)[0]), called))
    return SkeletonModel(name, int(number), bodies, tuple(markers))


def _plate(cursor: Cursor, version: Version) -> str:
    if version < TICKING:
        return ""  # nothing but its kind
    cursor.u32()
    serial = cursor.text()
    cursor.take(_PLATE)
    _texts(cursor)
    return serial


def _device(cursor: Cursor, version: Version) -> str:
    if version < TICKING:
        return ""
    cursor.u32()
    name = cursor.text()
    cursor.text()
    cursor.take(_TWO)
    _texts(cursor)
    return name
