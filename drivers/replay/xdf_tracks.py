"""A recorded XDF stream as a track: its packets, when each is due, and how its samples count."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.replay.pacing import Track
from lab.streams import FRAME_LABELS, StreamSpec
from storage.xdf_reader import XdfStream

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: Of a packet, LSL keeps the stamp of the last sample and spaces the others by the rate: no more wrong than this.
_OFF_S: Final = 1e-4
_LONGEST_PACKET_S: Final = 0.05
#: A change of the offset between two clocks that no drift explains.
_RESET_S: Final = 1.0
_CLOCK_LIMIT_S: Final = 1e11
#: What passes between the last packet and the next loop: the first one's time, or where there is no rate a second.
_REST_S: Final = (1e-3, 60.0)


def is_camera(stream: XdfStream) -> bool:
    """Tell the rows of a camera of flex-capture."""
    labels = tuple(channel.label for channel in stream.header.channels)
    return labels == FRAME_LABELS and stream.header.format == "double64"


def track_of(stream: XdfStream, clock: XdfStream | None, spec: StreamSpec) -> Track:
    """Return a stream of at least one sample as a track on the recording's clock, in seconds.

    ``clock`` is the ``.clock`` stream beside it: where there is one that fits, its rows say when each packet arrived,
    and its device time. Else a packet ends where the stamps do not run at the rate, where a chunk of the file ends, and
    after 50 ms; an irregular stream has one sample a packet. ``end_s`` and ``end_count`` are of this stream alone.
    """
    values, counters = stream.values, _counters(stream)
    if stream.header.has_counter:
        values = np.ascontiguousarray(values[:, :-1])
    packets = None
    if clock is not None and stream.header.has_counter:
        packets = _packets_of_clock(counters, stream.header.counter_modulus, clock.values)
    if packets is not None:
        counters, ends, due_s, own_s = packets
    else:
        stamps = _times(stream.stamps)
        ends, own_s = _packet_ends(stamps, stream), None
        due_s = stamps[ends - 1]
        if is_camera(stream):
            arrival_s = stream.values[ends - 1, FRAME_LABELS.index("arrival")]
            due_s = np.where(np.abs(arrival_s) < _CLOCK_LIMIT_S, arrival_s, due_s)
            own_s = stream.values[ends - 1, FRAME_LABELS.index("device_time")]
    due_s = np.maximum.accumulate(due_s + _session_shift(stream, due_s))
    sizes = np.diff(ends, prepend=0)
    rate_hz = spec.rate_hz
    rest_s = float(np.clip(ends[0] / rate_hz, *_REST_S)) if rate_hz > 0 else 1.0
    return Track(
        spec=spec,
        values=values,
        counters=counters,
        time_s=np.repeat(due_s, sizes),
        chunk_samples=1,
        end_s=float(due_s[-1]) + rest_s,
        end_count=int(counters[-1]) + 1,
        ends=ends,
        device_time_s=np.repeat(np.full(len(ends), np.nan) if own_s is None else own_s, sizes),
    )


def _counters(stream: XdfStream) -> Int64:
    """Return the samples' count: the device's, unwrapped, so that what was lost stays lost, or the index."""
    index = np.arange(len(stream.stamps), dtype=np.int64)
    if is_camera(stream):
        raw, modulus = stream.values[:, 0], 0
    elif stream.header.has_counter and stream.values.dtype != object:
        raw, modulus = stream.values[:, -1], stream.header.counter_modulus
    else:
        return index
    if not bool(np.all(np.abs(raw) < 2**52)):
        return index
    counted = raw.astype(np.int64)
    steps = np.diff(counted)
    if modulus:
        steps %= modulus
        steps[steps > modulus // 2] = 1  # a device that counted anew
    return np.asarray(counted[0] + np.concatenate(([0], np.cumsum(np.maximum(steps, 1)))), dtype=np.int64)


def _packets_of_clock(counters: Int64, modulus: int, rows: Float64) -> tuple[Int64, Int64, Float64, Float64] | None:
    """Return counters as the rows count, and the packets' ends, arrivals and device times; None where nothing fits."""
    with np.errstate(invalid="ignore"):
        rows = rows[(np.abs(rows[:, 0]) < 2**52) & (np.abs(rows[:, 1]) < _CLOCK_LIMIT_S)]
    if not len(rows):
        return None
    turns = round((float(rows[0, 0]) - float(counters[0])) / modulus)
    counters = counters + turns * modulus
    last = rows[:, 0].astype(np.int64)
    place = np.searchsorted(counters, last, side="right")
    fits = (place > 0) & (counters[place - 1] == last)
    ends, chosen = np.unique(place[fits], return_index=True)
    rows = rows[fits][chosen]
    if not len(ends) or ends[-1] != len(counters) or len(ends) < len(fits) / 2:
        return None  # the rows are of something else, or end before the samples do
    return counters, ends.astype(np.int64), rows[:, 1], rows[:, 2]


def _times(stamps: Float64) -> Float64:
    """Return stamps with those that are no times taken from their neighbours."""
    with np.errstate(invalid="ignore"):
        good = np.flatnonzero(np.abs(stamps) < _CLOCK_LIMIT_S)
    if not len(good):
        return np.zeros(len(stamps))
    return np.interp(np.arange(len(stamps)), good, stamps[good])


def _packet_ends(stamps: Float64, stream: XdfStream) -> Int64:
    count, rate_hz = len(stamps), stream.header.rate_hz
    if rate_hz <= 0 or stream.values.dtype == object or is_camera(stream):
        return np.arange(1, count + 1, dtype=np.int64)
    chunk_ends = set((stream.chunk_last + 1).tolist())
    times, ends, first = stamps.tolist(), [], 0
    for sample in range(1, count):
        since_s = times[sample] - times[first]
        at_rate = abs(since_s - (sample - first) / rate_hz) < _OFF_S
        at_once = times[sample] == times[first]  # a burst that its recorder gave one stamp
        if sample in chunk_ends or since_s > _LONGEST_PACKET_S or not (at_rate or at_once):
            ends.append(sample)
            first = sample
    return np.array([*ends, count], dtype=np.int64)


def _session_shift(stream: XdfStream, host_s: Float64) -> Float64:
    """Return what is added to host times to have the recording's clock: one number for each run of a host's clock.

    Drift is left in: the spacing of a stream is that of its own host.
    """
    times_s, offsets_s = stream.clock_times, stream.clock_offsets
    good = (np.abs(times_s) < _CLOCK_LIMIT_S) & (np.abs(offsets_s) < _CLOCK_LIMIT_S)
    times_s, offsets_s = times_s[good], offsets_s[good]
    if not len(times_s):
        return np.zeros(len(host_s))
    resets = (np.diff(times_s) < -_RESET_S) | (np.abs(np.diff(offsets_s)) > _RESET_S)
    run = np.concatenate(([0], np.cumsum(resets)))
    shift_s = np.array([np.median(offsets_s[run == number]) for number in range(int(run[-1]) + 1)])
    order = np.argsort(times_s, kind="stable")
    middles_s = (times_s[order][1:] + times_s[order][:-1]) / 2
    return np.asarray(shift_s[run[order][np.searchsorted(middles_s, host_s)]])
