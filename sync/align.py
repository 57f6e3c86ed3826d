"""Recorded streams and views -> the same on session time, each with a line for the table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lab.aligned import AlignedStream, AlignedView, StreamReport
from lab.clock_map import ClockMap
from lab.recorded import RecordedStream, RecordedView
from sync.clocks import fit_clock
from sync.timestamps import SampleTimes, frame_times, sample_times, strictly_increasing

Float64 = npt.NDArray[np.float64]


def align_stream(
    stream: RecordedStream, latency_s: float, max_uncertainty_ms: float
) -> tuple[AlignedStream, StreamReport]:
    """Put a stream on session time and report how well that went.

    ``latency_s`` is the device's measured constant delay from event to arrival, subtracted last. Lost samples are
    not filled in, and only exact duplicates are dropped. The stream is in sync if the standard error of its times
    (p99) is at most ``max_uncertainty_ms``.
    """
    times = sample_times(stream)
    clock = fit_clock(stream.probes, stream.stamps)
    time_s, uncertainty_s = _session_times(times, clock, latency_s)
    aligned = AlignedStream(
        name=stream.name,
        device=stream.device,
        content_type=stream.content_type,
        channels=stream.channels,
        rate_hz=stream.rate_hz,
        time_s=time_s,
        values=stream.values[times.kept],
        counter=times.counter,
        simulated=stream.simulated,
    )
    return aligned, _report(stream.name, stream.rate_hz, times, clock, uncertainty_s, latency_s, max_uncertainty_ms)


def align_view(view: RecordedView, latency_s: float, max_uncertainty_ms: float) -> tuple[AlignedView, StreamReport]:
    """Put a view's frames on session time and report how well that went; no frame record is dropped.

    ``latency_s`` and ``max_uncertainty_ms`` are those of ``align_stream``. A view without a video format has an empty
    codec and no size.
    """
    times = frame_times(view)
    clock = fit_clock(view.stream.probes, view.arrival_s)
    time_s, uncertainty_s = _session_times(times, clock, latency_s)
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
    report = _report(view.view, stream.rate_hz, times, clock, uncertainty_s, latency_s, max_uncertainty_ms)
    return aligned, report


def _session_times(times: SampleTimes, clock: ClockMap, latency_s: float) -> tuple[Float64, Float64]:
    time_s = strictly_increasing(clock.apply(times.host_s, times.kept) - latency_s)
    return time_s, np.hypot(times.uncertainty_s, clock.standard_error(times.host_s, times.kept))


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
    if times.host_s.size:
        middle = times.host_s.size // 2
        piece = clock.pieces[int(clock.piece_of(times.kept[middle]))]
        # a second of host time is 1 + drift seconds of session time
        measured_hz /= 1 + piece.drift(float(times.host_s[middle]))
    drift_ppm = (measured_hz / rate_hz - 1) * 1e6 if rate_hz > 0 else float("nan")
    if not all(np.isfinite(piece.error_s).all() for piece in clock.pieces):
        notes.append("no clock probes: its host time was taken for session time")
    if len(clock.pieces) > 1:
        notes.append(f"its host's clock was reset {len(clock.pieces) - 1} times")
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
        samples=int(times.host_s.size),
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
