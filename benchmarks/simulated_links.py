"""Streams over links of known delay: what a recorder would have in its file, and the true time of every sample.

Three clocks: session time is the truth; the host that reads the device runs ahead of it by an offset that drifts, bends
and may be reset; the device counts at a rate of its own, which drifts and bends as well. A chunk arrives when its last
sample was taken, plus a delay that is never negative; chunks do not overtake each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from lab.recorded import RecordedStream
from lab.streams import CLOCK_LABELS, COUNTER_LABEL, COUNTER_MODULUS, PROBES_LABELS, PROBES_NAME, Channel
from storage.xdf_header import build_header, footer_xml
from storage.xdf_writer import XdfWriter

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Delays = Literal["exponential", "bursty", "stalls"]

#: Session time at which the first sample is taken.
START_S: Final = 5_000.0
_FINE_S: Final = 0.25


@dataclass(frozen=True)
class Link:
    """A device, its host, and the way between them and to the recorder.

    ``bend`` and ``host_bend`` are how far the drift swings to both sides, in seconds a second, over
    ``bend_period_s``. ``lost`` are (first, end) of samples that never arrived, ``device_reset`` is the sample before
    which the device began to count anew after standing still for ``standstill_s``, ``host_reset`` (second of the
    recording, step in seconds) what happened to the host's clock. ``resent`` are numbers of chunks that come twice.
    ``probes_missing`` is the (first, last) second without probes. ``garbage`` is the share of probes that are wrong.
    """

    rate_hz: float = 2000.0
    seconds: float = 300.0
    chunk: int = 54
    drift: float = 0.0
    bend: float = 0.0
    bend_period_s: float = 1200.0
    delays: Delays = "exponential"
    mean_delay_s: float = 0.003
    lost: tuple[tuple[int, int], ...] = ()
    device_reset: int | None = None
    standstill_s: float = 1.0
    resent: tuple[int, ...] = ()
    counter: bool = True
    modulus: int = COUNTER_MODULUS
    clock_rows: bool = True
    device_time: bool = False
    host_offset_s: float = 12_345.6
    host_drift: float = 0.0
    host_bend: float = 0.0
    host_reset: tuple[float, float] | None = None
    probe_period_s: float = 5.0
    trip_s: float = 0.2e-3
    garbage: float = 0.0
    probes_missing: tuple[float, float] | None = None
    seed: int = 0
    channels: int = 2


@dataclass(frozen=True)
class Recording:
    """A link as it was recorded, and ``true_s`` (samples,), the session time at which each sample was taken."""

    link: Link
    stream: RecordedStream
    true_s: Float64


def recording_of(link: Link) -> Recording:
    """Play a link."""
    rng = np.random.default_rng(link.seed)
    count = max(link.chunk, round(link.rate_hz * link.seconds))
    index = np.arange(count)
    taken_s = _taken(link, index)
    chunk = index // link.chunk
    last = np.append(np.flatnonzero(np.diff(chunk)), count - 1)
    arrival_s = np.maximum.accumulate(taken_s[last] + _delays(link, taken_s[last], rng))
    arrived = _arrived(link, index)
    order = _order(link, arrived, chunk, last)
    host_s = _host(link, arrival_s)
    counts = (
        index if link.device_reset is None else np.where(index < link.device_reset, index, index - link.device_reset)
    )
    chunk, index = chunk[order], index[order]
    ends = np.append(np.flatnonzero(np.diff(chunk)), index.size - 1)
    if link.resent:  # a chunk that comes twice follows itself: its second end lies inside the run
        ends = np.unique(np.append(ends, np.flatnonzero(np.diff(index) <= 0)))
    stamps = host_s[chunk] - (last[chunk] - index) / link.rate_hz
    device_s = 77.0 + (taken_s[last] - START_S) if link.device_time else np.full(last.size, np.nan)
    rows = np.column_stack((counts[last], host_s, device_s))[chunk[ends]]
    probes, session_s = _probes(link, rng)
    after = np.searchsorted(arrival_s[chunk], session_s, side="right")
    stream = RecordedStream(
        name="emg",
        device="emg",
        source_id="emg-1",
        host="lab",
        content_type="EMG",
        channels=tuple(Channel(f"c{number}", "microvolts") for number in range(link.channels)),
        rate_hz=link.rate_hz,
        format="float32",
        counter_origin="device",
        counter_modulus=link.modulus,
        simulated=True,
        video=None,
        stamps=stamps,
        values=_values(index, link.channels),
        counter=(counts[index] % link.modulus if link.modulus else counts[index]) if link.counter else None,
        chunk_last=ends.astype(np.int64),
        clock_rows=rows if link.clock_rows and link.counter else None,
        probes=probes,
        probe_after=after.astype(np.int64),
    )
    return Recording(link, stream, taken_s[index])


def _values(index: Int64, channels: int) -> npt.NDArray[np.float32]:
    """Return values that do not repeat soon, (samples, channels)."""
    values = np.empty((index.size, channels), dtype=np.float32)
    for channel in range(channels):
        values[:, channel] = index * (7919 + 2 * channel) % 1_000_003
    return values


def _integrated(drift: float, bend: float, period_s: float, passed_s: Float64) -> Float64:
    """Return what a drift that swings around its mean has added up to after ``passed_s``."""
    turn = 2 * math.pi / period_s
    return drift * passed_s + bend / turn * (1 - np.cos(turn * passed_s))


def _taken(link: Link, index: Int64) -> Float64:
    device_s = index / link.rate_hz
    stood_s = 0.0 if link.device_reset is None else np.where(index < link.device_reset, 0.0, link.standstill_s)
    slow_s = _integrated(link.drift, link.bend, link.bend_period_s, device_s)
    return np.asarray(START_S + device_s + slow_s + stood_s)


def _host(link: Link, session_s: Float64) -> Float64:
    passed_s = session_s - START_S
    ahead_s = link.host_offset_s + _integrated(link.host_drift, link.host_bend, link.bend_period_s, passed_s)
    if link.host_reset is not None:
        ahead_s = ahead_s + np.where(passed_s < link.host_reset[0], 0.0, link.host_reset[1])
    return np.asarray(session_s + ahead_s)


def _delays(link: Link, sent_s: Float64, rng: np.random.Generator) -> Float64:
    delay_s = rng.exponential(link.mean_delay_s, sent_s.size)
    if link.delays == "exponential":
        return delay_s
    passed_s = sent_s - sent_s[0]
    if link.delays == "bursty":  # busy and quiet spells of some seconds
        spells = np.cumsum(rng.exponential(5.0, int(passed_s[-1]) + 10))
        busy = np.searchsorted(spells, passed_s) % 2 == 1
        return np.asarray(np.where(busy, rng.exponential(10 * link.mean_delay_s, sent_s.size), delay_s))
    # nothing comes through for half a second, then all of it at once
    for start_s in np.cumsum(rng.exponential(8.0, int(passed_s[-1]) + 10)).tolist():
        held = (passed_s >= start_s) & (passed_s < start_s + 0.5)
        delay_s[held] = np.maximum(delay_s[held], start_s + 0.5 - passed_s[held])
    return delay_s


def _arrived(link: Link, index: Int64) -> npt.NDArray[np.bool_]:
    arrived = np.ones(index.size, dtype=np.bool_)
    for first, end in link.lost:
        arrived[first:end] = False
    return arrived


def _order(link: Link, arrived: npt.NDArray[np.bool_], chunk: Int64, last: Int64) -> Int64:
    """Return the indices of the samples in the order of the file; a chunk that comes twice follows itself."""
    order = np.flatnonzero(arrived)
    for number in sorted(link.resent, reverse=True):
        inside = order[chunk[order] == number % last.size]
        place = int(np.searchsorted(order, inside[-1], side="right")) if inside.size else 0
        order = np.insert(order, place, inside)
    return order


def _probes(link: Link, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """Return probes (probes, 3) and the session times at which they were made."""
    session_s = START_S - 1 + np.arange(0.0, link.seconds + 2, link.probe_period_s)
    if link.probes_missing is not None:
        passed_s = session_s - START_S
        session_s = session_s[(passed_s < link.probes_missing[0]) | (passed_s > link.probes_missing[1])]
    there_s, back_s = (link.trip_s / 2 + rng.exponential(link.trip_s / 4, session_s.size) for _ in range(2))
    host_s = _host(link, session_s)
    offset_s = session_s - host_s + (there_s - back_s) / 2
    wrong = rng.random(session_s.size) < link.garbage
    offset_s[wrong] += rng.uniform(-2, 2, np.count_nonzero(wrong))
    return np.column_stack((host_s, offset_s, there_s + back_s)), session_s


def write_recording(recording: Recording, path: Path, *, others: tuple[Recording, ...] = ()) -> None:
    """Write recordings into one XDF file as our recorder does: rounds of pulls, a boundary a second, probes."""
    writer = XdfWriter(path)
    pieces: list[tuple[float, int, int, Recording]] = []
    for number, one in enumerate((recording, *others)):
        pieces += _announce(writer, one, 3 * number + 1)
    second = -math.inf
    for session_s, stream_id, piece, one in sorted(pieces, key=lambda entry: entry[:3]):
        if session_s >= second + 1:
            second = session_s
            writer.boundary()
        _write_piece(writer, stream_id, piece, one)
    for number, one in enumerate((recording, *others)):
        writer.stream_footer(3 * number + 1, footer_xml(0.0, 0.0, len(one.stream.stamps)))
    writer.close()


def _announce(writer: XdfWriter, one: Recording, stream_id: int) -> list[tuple[float, int, int, Recording]]:
    """Write the headers of a recording's streams; return its chunks and probes with the time at which they came."""
    stream, link = one.stream, one.link
    name = f"{stream.name}{stream_id // 3 or ''}"
    channels = [*stream.channels, *([Channel(COUNTER_LABEL)] if link.counter else [])]
    described = {"version": "1", "device": name, "counter_modulus": str(link.modulus), "counter_origin": "device"}
    header = build_header(name, "EMG", channels, link.rate_hz, "float32", source_id=name, flex_capture=described)
    writer.stream_header(stream_id, header)
    if stream.clock_rows is not None:
        labels = [Channel(label) for label in CLOCK_LABELS]
        clock = build_header(f"{name}.clock", "Clock", labels, 0.0, "double64", source_id=f"{name}.clock")
        writer.stream_header(stream_id + 1, clock)
    if stream_id == 1:
        labels = [Channel(label) for label in PROBES_LABELS]
        writer.stream_header(1000, build_header(PROBES_NAME, "Probes", labels, 0.0, "double64", source_id=PROBES_NAME))
    arrived_s = one.true_s[stream.chunk_last] + 0.002
    made_s = START_S + np.maximum(stream.probe_after - 1, 0) / link.rate_hz
    chunks = [(time_s, stream_id, piece, one) for piece, time_s in enumerate(arrived_s.tolist())]
    return chunks + [(time_s, stream_id, -1 - piece, one) for piece, time_s in enumerate(made_s.tolist())]


def _write_piece(writer: XdfWriter, stream_id: int, piece: int, one: Recording) -> None:
    stream = one.stream
    if piece < 0:
        host_s, offset_s, trip_s = stream.probes[-1 - piece].tolist()
        writer.clock_offset(stream_id, host_s, offset_s)
        row = np.array([[float(stream_id), host_s, offset_s, trip_s]])
        writer.samples(1000, np.array([host_s + offset_s]), row)
        return
    first = 0 if piece == 0 else int(stream.chunk_last[piece - 1]) + 1
    end = int(stream.chunk_last[piece]) + 1
    values = stream.values[first:end]
    if stream.counter is not None:
        values = np.column_stack((values, stream.counter[first:end].astype(np.float32)))
    writer.samples(stream_id, stream.stamps[first:end], values)
    if stream.clock_rows is not None:
        row = stream.clock_rows[piece : piece + 1]
        writer.samples(stream_id + 1, row[:, 1], np.ascontiguousarray(row))


def scenarios() -> Iterator[tuple[str, Link]]:
    """Yield the named links of the benchmark: five minutes, 54 samples a chunk, 3 ms of mean delay."""
    plain = Link(drift=30e-6, host_drift=-20e-6)
    yield "steady", plain
    yield "bursty", replace(plain, delays="bursty")
    yield "stalls of 500 ms", replace(plain, delays="stalls")
    yield "gaps of 400 ms", replace(plain, lost=((200_000, 200_800), (400_000, 400_800)))
    yield "device reset", replace(plain, device_reset=350_000, standstill_s=2.0)
    yield "host clock reset", replace(plain, host_reset=(170.0, -8000.0))
    yield "200 ppm", replace(plain, drift=200e-6, host_drift=-200e-6)
    yield "drifts that bend", replace(plain, bend=5e-6, host_bend=5e-6)
    yield "no .clock", replace(plain, clock_rows=False)
    yield "no counter", replace(plain, counter=False)
    yield "no counter, bursty", replace(plain, counter=False, delays="bursty")
    yield "no counter, stalls", replace(plain, counter=False, delays="stalls")
    yield "no counter, gaps of 400 ms", replace(plain, counter=False, lost=((200_000, 200_800), (400_000, 400_800)))
