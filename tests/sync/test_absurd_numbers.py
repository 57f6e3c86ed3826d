"""Stamps, device times, probes and rates that no clock gives: no crash, and times that are times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sync_recordings import made_stream

from lab.recorded import RecordedView
from sync.align import align_stream, align_view

ABSURD = (0.0, 1e308, -1e308, np.inf, -np.inf, np.nan, 1e-308, 1e18, -5.0, 1e15, 4e9, 2.0**24, 1e5, 1e10)
places = st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(ABSURD)), max_size=8)


def spoilt(numbers: np.ndarray, where: list[tuple[int, float]]) -> np.ndarray:
    numbers = np.array(numbers, dtype=np.float64)
    for place, number in where:
        numbers.flat[place % numbers.size] = number
    return numbers


@settings(max_examples=150)
@given(
    stamps=places,
    rows=places,
    probes=places,
    counter=st.booleans(),
    device_clock=st.booleans(),
    rate_hz=st.sampled_from([0.0, 1e-5, 100.0, 2000.0, 1e8]),
)
def test_a_stream_with_absurd_numbers_gets_times_or_none(stamps, rows, probes, counter, device_clock, rate_hz):
    made = made_stream(seconds=3.0, counter=counter, device_clock=device_clock, modulus=256).stream
    at = np.arange(999.0, 1004.0, 0.5)
    stream = replace(
        made,
        rate_hz=rate_hz,
        stamps=spoilt(made.stamps, stamps),
        clock_rows=spoilt(made.clock_rows, rows),
        probes=spoilt(np.column_stack((at, np.full(at.size, 5.0), np.full(at.size, 2e-4))), probes),
    )
    aligned, report, _ = align_stream(stream, 0.0, 5.0)
    assert np.isfinite(aligned.time_s).all()
    assert np.all(np.diff(aligned.time_s) > 0)
    assert len(aligned.values) == len(aligned.time_s) == report.samples
    if rate_hz:
        wrong = np.count_nonzero(~(np.abs(stream.stamps) < 1e11))
        assert (f"{wrong} stamps that are no times" in report.note) == (wrong > 0)
        assert report.samples + report.lost >= len(made.stamps) or report.lost_ambiguous or not counter


@settings(max_examples=100)
@given(ids=places, device=places, arrivals=places, rate_hz=st.sampled_from([0.0, 60.0, 1e8]))
def test_a_view_with_absurd_numbers_keeps_every_frame(ids, device, arrivals, rate_hz):
    made = made_stream(seconds=3.0, rate_hz=60.0, counter=False).stream
    count = np.arange(made.stamps.size)
    with np.errstate(invalid="ignore"):
        frame_id = np.nan_to_num(spoilt(count, ids), nan=0.0, posinf=2.0**62, neginf=-(2.0**62)).clip(-(2**62), 2**62)
    view = RecordedView(
        view="view1",
        video_path=Path("view1.mov"),
        stream=replace(made, rate_hz=rate_hz),
        frame_id=frame_id.astype(np.int64),
        device_time_s=spoilt(made.stamps * 1.0001, device),
        arrival_s=spoilt(made.stamps, arrivals),
        pts_us=count * 16_667,
        index=count,
    )
    aligned, report, _ = align_view(view, 0.0, 5.0)
    assert len(aligned.time_s) == report.samples == count.size
    assert np.isfinite(aligned.time_s).all()
    assert np.all(np.diff(aligned.time_s) > 0)


def test_probes_that_disagree_by_years_claim_no_certainty():
    made = made_stream(seconds=3.0).stream
    at = np.linspace(999.0, 1900.0, 12)
    offset = 3e8 * np.arange(12)
    aligned, report, _ = align_stream(replace(made, probes=np.column_stack((at, offset, np.full(12, 2e-4)))), 0.0, 5.0)
    assert not report.in_sync
    assert report.uncertainty_p99_ms > 1e3
    assert aligned.time_s.size == made.stamps.size


@pytest.mark.parametrize("offset_s", [0.0, 5.0, -2e9])
def test_one_probe_made_centuries_away_moves_nothing(offset_s):
    made = made_stream(seconds=3.0).stream
    at = np.arange(990.0, 1010.0, 2.0)
    good = np.column_stack((at, np.full(at.size, 7.0), np.full(at.size, 2e-4)))
    alone, *_ = align_stream(replace(made, probes=good), 0.0, 5.0)
    bad = np.array([[4e9, offset_s, 1e-5]])
    beside, report, _ = align_stream(replace(made, probes=np.vstack((good[:5], bad, good[5:]))), 0.0, 5.0)
    assert np.max(np.abs(beside.time_s - alone.time_s)) < 1e-6
    assert report.in_sync
