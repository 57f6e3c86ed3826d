"""The components of a QTM data packet: bytes into arrays.

Sources: Qualisys' "QTM RT protocol" document (github.com/qualisys/Real-Time-Protocol-Documentation, text of version
1.20) and, for what it leaves open, the client libraries qtm-rt 3.1.0 and qualisys_cpp_sdk (2026-05, version 1.28).

The two disagree about an analogue device without samples: the document and the C++ library have a sample number there,
the Python library has none. Whichever of the two fills the component exactly is taken.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

_COUNT: Final = struct.Struct("<I")
_POINTS: Final = struct.Struct("<Ihh")
_ANALOG: Final = struct.Struct("<III")
_PLATE: Final = struct.Struct("<III")

#: Component types that are decoded, by what they are called on the wire.
POINTS: Final = 1
POINTS_RESIDUAL: Final = 9
ANALOG: Final = 3
FORCE: Final = 4
SKELETON: Final = 18

_SEGMENT: Final = np.dtype([("id", "<u4"), ("pose", "<f4", 7)])
#: No QTM has more devices, plates or skeletons in a packet; each costs a turn of a loop here.
_MOST_PARTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Points:
    """Labelled markers in the order of the 3D parameters.

    ``values`` is float32 (markers, 3 or 4): x, y, z in mm and, with residuals, the residual in mm; bytes as they came,
    a missing marker has all bits set, which is a NaN. The rates are those of lost and of late 2D frames, per thousand.
    """

    values: Float32
    drop_permille: int
    out_of_sync_permille: int


@dataclass(frozen=True, slots=True)
class Skeletons:
    """Per skeleton its segments' ids, u32 (segments,), and float32 (segments, 7): x, y, z in mm, quaternion x, y, z, w.

    A skeleton that is not seen has no segments.
    """

    segments: tuple[tuple[npt.NDArray[np.uint32], Float32], ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples of one analogue device or force plate: ``first`` is the number of the first of them.

    ``values`` is float32 (samples, channels); of a plate the channels are force, moment and point of application,
    three each.
    """

    number: int
    first: int
    values: Float32


@dataclass(frozen=True, slots=True)
class Analog:
    """The analogue devices that a packet has samples of."""

    devices: tuple[Samples, ...]


@dataclass(frozen=True, slots=True)
class Force:
    """The force plates that a packet has samples of."""

    plates: tuple[Samples, ...]


Component = Points | Skeletons | Analog | Force


class Malformed(Exception):  # noqa: N818 - it ends no driver: the packet is skipped and counted
    """A packet that is not what its header says."""


def decode_component(kind: int, body: memoryview) -> Component | None:
    """Return what a component holds, None for a kind that is not read here.

    ``body`` is the component after its size and type. Raises Malformed where its counts do not fill it exactly.
    """
    try:
        if kind in {POINTS, POINTS_RESIDUAL}:
            return _points(body, 4 if kind == POINTS_RESIDUAL else 3)
        if kind == SKELETON:
            return _skeletons(body)
        if kind == ANALOG:
            return _analog(body)
        if kind == FORCE:
            return _force(body)
    except struct.error:
        raise Malformed from None
    return None


def _points(body: memoryview, columns: int) -> Points:
    count, dropped, late = _POINTS.unpack_from(body)
    if len(body) != _POINTS.size + 4 * columns * count:
        raise Malformed
    values = np.frombuffer(body, "<f4", columns * count, _POINTS.size).reshape(count, columns)
    return Points(values, dropped, late)


def _skeletons(body: memoryview) -> Skeletons:
    (count,) = _COUNT.unpack_from(body)
    if count > _MOST_PARTS:
        raise Malformed
    at = _COUNT.size
    found = []
    for _ in range(count):
        (segments,) = _COUNT.unpack_from(body, at)
        at += _COUNT.size
        rows = _array(body, at, _SEGMENT, segments)
        at += rows.nbytes
        found.append((rows["id"], rows["pose"]))
    if at != len(body):
        raise Malformed
    return Skeletons(tuple(found))


def _analog(body: memoryview) -> Analog:
    try:
        return Analog(_analog_devices(body, numbered_when_empty=False))
    except (Malformed, struct.error):
        return Analog(_analog_devices(body, numbered_when_empty=True))


def _analog_devices(body: memoryview, *, numbered_when_empty: bool) -> tuple[Samples, ...]:
    (count,) = _COUNT.unpack_from(body)
    if count > _MOST_PARTS:
        raise Malformed
    at = _COUNT.size
    found = []
    for _ in range(count):
        number, channels, samples = _ANALOG.unpack_from(body, at)
        at += _ANALOG.size
        if not samples:
            at += _COUNT.size if numbered_when_empty else 0
            continue
        (first,) = _COUNT.unpack_from(body, at)
        at += _COUNT.size
        values = _array(body, at, np.dtype("<f4"), channels * samples).reshape(channels, samples)
        at += values.nbytes
        found.append(Samples(number, first, values.T))
    if at != len(body):
        raise Malformed
    return tuple(found)


def _force(body: memoryview) -> Force:
    (count,) = _COUNT.unpack_from(body)
    if count > _MOST_PARTS:
        raise Malformed
    at = _COUNT.size
    found = []
    for _ in range(count):
        number, samples, first = _PLATE.unpack_from(body, at)
        at += _PLATE.size
        values = _array(body, at, np.dtype("<f4"), 9 * samples).reshape(samples, 9)
        at += values.nbytes
        if samples:
            found.append(Samples(number, first, values))
    if at != len(body):
        raise Malformed
    return Force(tuple(found))


def _array(body: memoryview, at: int, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    if at + count * dtype.itemsize > len(body):  # before anything is made of a count that may be four billion
        raise Malformed
    return np.frombuffer(body, dtype, count, at)
