"""Where the chunks of an XDF file begin: found in many places of the file at once.

Each chunk says only where the next one begins, so the chain is followed step by step; in Python that costs more than all
the rest of reading. Here many lanes follow it at the same time, each from a place that looks like the beginning of a
chunk. What looks like one may be none: a lane counts only where the lane before it arrives exactly at its beginning.
What no lane covers is followed one by one, so that the result is always the chain from the first place.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from typing import Final

import numpy as np
import numpy.typing as npt

from storage.xdf_bytes import HEAD_ROOM, FileBytes, Int64
from storage.xdf_writer import SAMPLES, STREAM_FOOTER

_FIRST_CHUNKS: Final = 128  # followed one by one, to know how large chunks are here
_FEWEST_CHUNKS: Final = 2_000  # for fewer, lanes do not pay
_MOST_LANES: Final = 1_024
_TURNS: Final = 8  # steps between two looks at who has arrived
_ONE: Final = struct.Struct("<BI").unpack_from
_LONG: Final = struct.Struct("<Q").unpack_from

#: By the byte that says how wide a length is: bytes before the content, and the bits of a head that are the length.
#: 0 stands for a width that is none, and for the rare one of 8, at which a lane stops.
_HOP = np.zeros(256, dtype=np.int64)
_BITS = np.zeros(256, dtype=np.int64)
_HOP[[1, 4]] = 2, 5
_BITS[[1, 4]] = 0xFF, 0xFFFF_FFFF


def chunk_starts(file: FileBytes, place: int, limit: int) -> tuple[Int64, int]:
    """Follow the chunks from ``place`` to the first that begins at ``limit`` or behind.

    Returns where each begins, (chunks,), and where the one after them would. Lengths are believed: the first chunk
    whose length is less than its tag's or reaches behind the file makes all behind it meaningless. None begins within
    ``HEAD_ROOM`` of the file's end.
    """
    limit = min(limit, file.size - HEAD_ROOM)
    found: list[Int64] = []
    first, after = _one_by_one(file.data, place, limit, _FIRST_CHUNKS)
    found.append(first)
    if len(first) == _FIRST_CHUNKS:
        size = (after - place) / len(first)
        chunks = (limit - after) / size
        if chunks > _FEWEST_CHUNKS:
            lanes = int(min(max(0.8 * chunks**0.5, 16), _MOST_LANES))
            after = _in_lanes(file, _beginnings(file, after, limit, lanes, size), limit, 4 * int(chunks / lanes), found)
        rest, _ = _one_by_one(file.data, after, limit)
        found.append(rest)
    starts = np.concatenate(found)
    if len(starts):
        last = int(starts[-1])
        _, after = _one_by_one(file.data, last, last + 1)
    return starts, after


def _one_by_one(data: mmap.mmap, place: int, limit: int, most: int = 1 << 62) -> tuple[Int64, int]:
    """Follow the chain from ``place`` while it is before ``limit``; stop where a width is none."""
    starts = array("q")
    add = starts.append
    while place < limit:
        width, length = _ONE(data, place)
        if width == 4:
            step = 5 + length
        elif width == 1:
            step = 2 + (length & 0xFF)
        elif width == 8:
            step = 9 + _LONG(data, place + 1)[0]
        else:
            break
        if len(starts) == most:
            break
        add(place)
        place += step
    # A place behind the file is no place, and may be larger than an array can hold.
    return np.array(starts, dtype=np.int64), min(place, len(data))


def _beginnings(file: FileBytes, place: int, limit: int, lanes: int, size: float) -> Int64:
    """Return ``place`` and, spread evenly behind it, places that look like the beginning of a Samples chunk."""
    spacing = (limit - place) // (lanes + 1)
    window = int(min(spacing - HEAD_ROOM, 8 * size))
    if window < HEAD_ROOM:
        return np.array([place], dtype=np.int64)
    base = place + spacing
    room = file.u8[base : base + lanes * spacing].reshape(lanes, spacing)
    tags = (room[:, 5 : 5 + window] == SAMPLES) & (room[:, 6 : 6 + window] == 0)
    lane, offset = np.nonzero(tags)
    tag_at = base + lane * spacing + offset + 5
    of_four = file.u8[tag_at - 5] == 4
    starts = np.where(of_four, tag_at - 5, tag_at - 2)
    likely = (of_four | (file.u8[starts] == 1)) & (starts >= base)
    lane, starts = lane[likely], starts[likely]
    after = starts + _hop(file, starts)
    likely = (after > starts + 6) & (after < limit)
    lane, starts, after = lane[likely], starts[likely], after[likely]
    tag = file.u16[after + np.maximum(_HOP[file.u8[after]], 1)]
    likely = (tag > 0) & (tag <= STREAM_FOOTER) & (_HOP[file.u8[after]] > 0)
    starts = starts[likely][np.unique(lane[likely], return_index=True)[1]]
    return np.concatenate([np.array([place], dtype=np.int64), starts])


def _hop(file: FileBytes, places: Int64) -> Int64:
    """Return the whole sizes of the chunks that begin at ``places``, 0 where a lane stops."""
    head = file.i64[places]
    width = head & 0xFF
    sizes: Int64 = _HOP[width] + ((head >> 8) & _BITS[width])
    return sizes


def _in_lanes(file: FileBytes, starts: Int64, limit: int, most: int, found: list[Int64]) -> int:
    """Follow the chain from ``starts[0]`` in lanes; append what is found and return where it goes on.

    That is exact below ``limit``; otherwise it is any place behind.
    """
    ends = np.append(starts[1:], limit)
    places, arrival = _all_lanes(file, starts, ends, most)
    bounds = np.append(np.searchsorted(places, starts), len(places))
    arrived = arrival == ends
    arrived[-1] = arrival[-1] >= limit
    lane = 0
    for missed in [*np.flatnonzero(~arrived).tolist(), len(starts)]:
        if missed < lane:
            continue  # passed already
        found.append(places[bounds[lane] : bounds[missed]])
        if missed == len(starts):
            return int(arrival[-1])
        lane, place = missed + 1, int(starts[missed])
        if arrival[missed] >= 0:  # this lane is right, but the next one's beginning is none
            found.append(places[bounds[missed] : bounds[missed + 1]])
            place = int(arrival[missed])
        # One by one to the beginning of a lane: there it goes on.
        while True:
            while lane < len(starts) and starts[lane] < place:
                lane += 1
            if lane == len(starts):
                return place
            if starts[lane] == place:
                break
            leg, after = _one_by_one(file.data, place, int(starts[lane]))
            found.append(leg)
            if after < starts[lane]:
                return after
            place = after
    return int(starts[0])  # not reached: the loop ends at len(starts)


def _all_lanes(file: FileBytes, starts: Int64, ends: Int64, most: int) -> tuple[Int64, Int64]:
    """Follow every lane to its end; return all places in order, and where each lane arrived, -1 for none that did."""
    last = file.size - HEAD_ROOM
    arrival = np.full(len(starts), -1, dtype=np.int64)
    live = np.arange(len(starts))
    at, stops = starts, ends
    kept: list[Int64] = []
    steps = 0
    while len(live) and steps <= most + 4 * _TURNS:
        rows = np.empty((_TURNS + 1, len(live)), dtype=np.int64)
        rows[0] = at
        for turn in range(1, _TURNS + 1):
            at = np.minimum(at + _hop(file, at), last)
            rows[turn] = at
        steps += _TURNS
        inside = rows[:-1] < stops
        kept.append(rows[:-1][inside])
        done = at >= stops
        if done.any():
            arrived = np.where(rows < stops, last + 1, rows)[:, done].min(axis=0)
            arrival[live[done]] = arrived
            live, at, stops = live[~done], at[~done], stops[~done]
    places: Int64 = np.sort(np.concatenate(kept))
    if len(live):
        lane_of: npt.NDArray[np.intp] = np.searchsorted(starts, places, side="right") - 1
        places = places[arrival[lane_of] >= 0]
    return places, arrival
