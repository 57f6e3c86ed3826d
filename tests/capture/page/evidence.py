"""What streams' times rest on, made up, to be drawn."""

from __future__ import annotations

import numpy as np

from lab.aligned import StreamReport, SyncEvidence
from lab.clock_map import ClockMap, ClockPiece


def made_evidence(
    name: str = "emg",
    *,
    arrivals: int = 6000,
    seconds: float = 60.0,
    start_s: float = 3000.0,
    gaps: tuple[tuple[float, float], ...] = (),
    probes: int = 30,
    outliers: int = 0,
    in_sync: bool = True,
    method: str = "device count",
) -> tuple[SyncEvidence, StreamReport]:
    """Return a stream's evidence and report; ``gaps`` are in seconds from its start."""
    rng = np.random.default_rng(len(name) + arrivals)
    arrival_s = start_s + np.linspace(0, seconds, arrivals)
    for from_s, to_s in gaps:
        arrival_s = arrival_s[(arrival_s < start_s + from_s) | (arrival_s > start_s + to_s)]
    probe_s = start_s + np.linspace(0, seconds, probes)
    error_s = rng.normal(0, 5e-5, probes)
    used = np.ones(probes, dtype=bool)
    bad = rng.choice(probes, outliers, replace=False) if outliers else []
    error_s[bad] = rng.normal(0, 5e-3, outliers)
    used[bad] = False
    knots = np.linspace(start_s - 100, start_s + seconds - 100, 4)
    clock = ClockMap((ClockPiece(knots, np.full(4, 100.0), np.array([3e-5, 2e-5, 2e-5, 3e-5]), drift_error=1e-6),))
    evidence = SyncEvidence(
        stream=name,
        arrival_s=arrival_s,
        delay_s=rng.exponential(0.002, arrival_s.size) * (1 + 20 * (rng.random(arrival_s.size) < 0.002)),
        gaps_s=np.array([[start_s + a, start_s + b] for a, b in gaps]).reshape(-1, 2),
        probe_s=probe_s,
        probe_error_s=error_s,
        round_trip_s=rng.uniform(1e-4, 4e-4, probes),
        probe_used=used,
        clock=clock if probes else ClockMap.identity(np.inf),
    )
    report = StreamReport(
        stream=name,
        rate_asked_hz=1000.0,
        rate_measured_hz=1000.01,
        samples=arrivals * 10,
        lost=100 * len(gaps),
        lost_ambiguous=False,
        gaps=len(gaps),
        drift_ppm=-12.0,
        arrival_spread_ms=8.0,
        uncertainty_p50_ms=0.05,
        uncertainty_p99_ms=0.08 if in_sync else 12.0,
        latency_s=0.03,
        method=method,
        in_sync=in_sync,
    )
    return evidence, report
