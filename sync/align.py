"""Recorded streams and views -> the same on session time, each with a line for the table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lab.aligned import AlignedStream, AlignedView, StreamReport, SyncEvidence
from lab.clock_map import ClockMap
from lab.recorded import RecordedStream, RecordedView
from sync.clocks import FittedClock, fit_clock
from sync.timestamps import SampleTimes, frame_times, sample_times, strictly_increasing

Float64 = npt.NDArray[np.float64]

#: Stamps of 1e300 are no error of ours: what cannot be told of them becomes infinite or NaN, without a warning.
_absurd_stamps_may_come = np.errstate(over="ignore", invalid="ignore")


@_absurd_stamps_may_come
def align_stream(
    stream: RecordedStream, latency_s: float, max_uncertainty_ms: float
) -> tuple[AlignedStream, StreamReport, SyncEvidence]:
    """Put a stream on session time and report how well that went.

    ``latency_s`` is the device's measured constant delay from event to arrival, subtracted last. Lost samples are
    not filled in, and only exact duplicates are dropped. The stream is in sync if the standard error of its times
    (p99) is at most ``max_uncertainty_ms``.
    """
    clock = fit_clock(stream.probes, stream.probe_after, stream.stamps)
    times = sample_times(stream, clock.map)
    time_s, uncertainty_s = _session_times(times, clock.map, stream.stamps, latency_s)
    aligned = AlignedStream(
        name=stream.name,
        device=stream.device,
        content_type=stream.content_type,
        channels=stream.channels,
        rate_hz=stream.rate_hz,
        time_s=time_s,
        values=stream.values if _all_in_order(times, len(stream.values)) else stream.values[times.kept],
        counter=times.counter,
        simulated=stream.simulated,
    )
    report = _report(stream.name, stream.rate_hz, times, clock.map, uncertainty_s, latency_s, max_uncertainty_ms)
    return aligned, report, _evidence(stream.name, times, clock, stream.probes)


@_absurd_stamps_may_come
def align_view(
    view: RecordedView, latency_s: float, max_uncertainty_ms: float
) -> tuple[AlignedView, StreamReport, SyncEvidence]:
    """Put a view's frames on session time and report how well that went; no frame record is dropped.

    ``latency_s`` and ``max_uncertainty_ms`` are those of ``align_stream``. A view without a video format has an empty
    codec and no size.
    """
    clock = fit_clock(view.stream.probes, view.stream.probe_after, view.stream.stamps)
    times = frame_times(view, clock.map)
    time_s, uncertainty_s = _session_times(times, clock.map, view.arrival_s, latency_s)
    video, stream, kept = view.stream.video, view.stream, times.kept
    aligned = AlignedView(
        view=view.view,
        codec=video.codec if video else "",
        width=video.width if video else 0,
        height=video.height if video else 0,
        rate_hz=stream.rate_hz,
        frame_id=view.frame_id[kept],
        time_s=time_s,
        index=view.index[kept],
        pts_us=view.pts_us[kept],
        simulated=stream.simulated,
    )
    report = _report(view.view, stream.rate_hz, times, clock.map, uncertainty_s, latency_s, max_uncertainty_ms)
    return aligned, report, _evidence(view.view, times, clock, stream.probes)


def _all_in_order(times: SampleTimes, samples: int) -> bool:
    """Whether every sample was kept, where it was: a copy of all of an hour's samples is worth avoiding."""
    return times.kept.size == samples and bool(np.all(np.diff(times.kept) == 1))


def _session_times(times: SampleTimes, clock: ClockMap, host_s: Float64, latency_s: float) -> tuple[Float64, Float64]:
    """Return session times and their standard errors; ``host_s`` are rough times on the host's clock."""
    time_s = strictly_increasing(times.time_s - latency_s)
    host_s = host_s if _all_in_order(times, host_s.size) else host_s[times.kept]
    return time_s, np.hypot(times.uncertainty_s, clock.standard_error(host_s, times.kept))


def _evidence(name: str, times: SampleTimes, clock: FittedClock, probes: Float64) -> SyncEvidence:
    probes = probes.reshape(-1, 3)
    probe_s = probes[:, 0] + probes[:, 1]
    # the run of the clock that fits a probe best is the one that it was fitted to
    errors = np.stack([probes[:, 1] - piece.offset(probes[:, 0]) for piece in clock.map.pieces])
    nearest = np.argmin(np.abs(np.nan_to_num(errors, nan=np.inf)), axis=0)
    missing = np.flatnonzero(np.diff(times.counter) > 1) if times.gaps else np.zeros(0, dtype=np.intp)
    return SyncEvidence(
        stream=name,
        arrival_s=times.arrival_s,
        delay_s=times.delay_s,
        gaps_s=np.column_stack((times.time_s[missing], times.time_s[missing + 1])),
        probe_s=probe_s,
        probe_error_s=np.take_along_axis(errors, nearest[None], axis=0)[0],
        round_trip_s=probes[:, 2],
        probe_used=clock.believed,
        clock=clock.map,
        sample=times.kept,
    )


def _report(
    name: str,
    rate_hz: float,
    times: SampleTimes,
    clock: ClockMap,
    uncertainty_s: Float64,
    latency_s: float,
    max_uncertainty_ms: float,
) -> StreamReport:
    notes = list(times.notes)
    measured_hz = times.rate_measured_hz
    drift_ppm = (measured_hz / rate_hz - 1) * 1e6 if rate_hz > 0 else float("nan")
    if not all(np.isfinite(piece.error_s).all() for piece in clock.pieces):
        notes.append("no clock probes: its host time was taken for session time")
    if len(clock.pieces) > 1:
        notes.append(
            f"its host's clock was reset {'once' if len(clock.pieces) == 2 else f'{len(clock.pieces) - 1} times'}"
        )
    if uncertainty_s.size:
        p50_ms, p99_ms = (float(np.quantile(uncertainty_s, q, method="higher")) * 1e3 for q in (0.5, 0.99))
    else:
        p50_ms = p99_ms = float("nan")
    # An irregular stream that was silent is no fault; one that should have run is.
    in_sync = p99_ms <= max_uncertainty_ms if uncertainty_s.size else rate_hz <= 0
    if uncertainty_s.size and not in_sync:
        notes.append(f"its time is uncertain by {p99_ms:.3g} ms, more than the {max_uncertainty_ms:g} ms allowed")
    return StreamReport(
        stream=name,
        rate_asked_hz=rate_hz,
        rate_measured_hz=measured_hz,
        samples=int(times.time_s.size),
        lost=times.lost,
        lost_ambiguous=times.lost_ambiguous,
        gaps=times.gaps,
        drift_ppm=drift_ppm,
        arrival_spread_ms=times.arrival_spread_s * 1e3,
        uncertainty_p50_ms=p50_ms,
        uncertainty_p99_ms=p99_ms,
        latency_s=latency_s,
        method=times.method,
        in_sync=bool(in_sync),
        note="; ".join(notes),
    )
