"""A take on one clock: what sync hands to the writer of the layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.clock_map import ClockMap
from lab.streams import Channel
from lab.take import TakeRecord

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StreamReport:
    """One line of the table that ends each take.

    ``lost`` counts samples missing by counter; ``lost_ambiguous`` says that the counter may have wrapped
    more often than could be told. ``drift_ppm`` is the measured rate against the asked one.
    ``arrival_spread_ms`` is the p99 of the arrival delay beyond the fastest. ``uncertainty_*_ms`` is the
    standard error of the mapping to session time. ``method`` says what the time stamps rest on.
    """

    stream: str
    rate_asked_hz: float
    rate_measured_hz: float
    samples: int
    lost: int
    lost_ambiguous: bool
    gaps: int
    drift_ppm: float
    arrival_spread_ms: float
    uncertainty_p50_ms: float
    uncertainty_p99_ms: float
    latency_s: float
    method: str
    in_sync: bool
    note: str = ""


@dataclass(frozen=True)
class SyncEvidence:
    """What a stream's times rest on, to be drawn or checked; all times in seconds of session time.

    ``arrival_s`` (arrivals,) are the arrivals that the fit saw, ``delay_s`` (arrivals,) how much later than the fitted
    time of their sample each of them came. ``gaps_s`` (gaps, 2) are the times of the last sample before and the first
    after each gap. ``probe_s`` (probes,) is when the host's clock was probed, ``probe_error_s`` (probes,) how far the
    probe's offset is from the fitted one, ``round_trip_s`` (probes,) its round trip or NaN, ``probe_used`` (probes,)
    whether the fit believed it. ``clock`` is the fitted map from the host's clock. ``sample`` (samples,) is the place
    in the file of each sample that was kept.
    """

    stream: str
    arrival_s: Float64
    delay_s: Float64
    gaps_s: Float64
    probe_s: Float64
    probe_error_s: Float64
    round_trip_s: Float64
    probe_used: npt.NDArray[np.bool_]
    clock: ClockMap
    sample: npt.NDArray[np.intp]


@dataclass(frozen=True)
class AlignedStream:
    """A sampled stream in session time.

    ``time_s`` is float64 (samples,), strictly increasing; ``values`` (samples, channels) as recorded, without the
    counter; ``counter`` int64 (samples,) unwrapped.
    """

    name: str
    device: str
    content_type: str
    channels: tuple[Channel, ...]
    rate_hz: float
    time_s: Float64
    values: npt.NDArray[Any]
    counter: npt.NDArray[np.int64]
    simulated: bool


@dataclass(frozen=True)
class AlignedView:
    """A camera's frames in session time, one entry a frame record, in order.

    ``index`` is the frame's position in the raw video file, -1 for a frame that could not be kept;
    ``pts_us`` its presentation time in the file in microseconds.
    """

    view: str
    codec: str
    width: int
    height: int
    rate_hz: float
    frame_id: npt.NDArray[np.int64]
    time_s: Float64
    index: npt.NDArray[np.int64]
    pts_us: npt.NDArray[np.int64]
    simulated: bool


@dataclass(frozen=True)
class Pose:
    """FLEX's 21 joints: ``positions_m`` (frames, 21, 3), z up, NaN where absent; ``time_s`` (frames,)."""

    stream: str
    rate_hz: float
    time_s: Float64
    positions_m: Float64
    simulated: bool


@dataclass(frozen=True)
class AlignedTake:
    """Everything of one take on session time.

    ``raw_digest`` is the hash of the raw bytes (hex). ``emg`` is in microvolt; ``emg_envelope`` (samples,
    channels) shares its times. ``heart_rate`` and ``breath_rate`` are one channel each, per minute. ``others`` are the
    sampled streams of which nothing of the above was made; the dataset does not hold them. ``evidence`` is that of each
    of the ``reports``.
    """

    record: TakeRecord
    raw_digest: str
    pose: Pose | None
    emg: AlignedStream | None
    emg_envelope: Float64 | None
    heart_rate: AlignedStream | None
    breath_rate: AlignedStream | None
    views: tuple[AlignedView, ...]
    reports: tuple[StreamReport, ...]
    reference_view: str | None
    others: tuple[AlignedStream, ...] = ()
    evidence: tuple[SyncEvidence, ...] = ()
