"""Times against the truth: simulated devices on simulated hosts, as ``benchmarks/simulated_links.py`` plays them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.align import align_stream
from sync.clocks import fit_clock

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")


@pytest.fixture(scope="module")
def links():
    sys.path.append(BENCHMARKS)
    try:
        import simulated_links

        yield simulated_links
    finally:
        sys.path.remove(BENCHMARKS)


def errors_of(recording):
    stream, report, evidence = align_stream(recording.stream, 0.0, 5.0)
    assert np.all(np.diff(stream.time_s) > 0)
    return np.abs(stream.time_s - recording.true_s[evidence.sample]), report, evidence


COUNTED = {
    "rate_hz": st.sampled_from([250.0, 1000.0, 2000.0]),
    "seconds": st.sampled_from([60.0, 120.0]),
    "chunk": st.integers(1, 40),
    "drift": st.floats(-200e-6, 200e-6),
    "bend": st.sampled_from([0.0, 3e-6]),
    "delays": st.sampled_from(["exponential", "bursty", "stalls"]),
    "host_offset_s": st.floats(-2e9, 2e9),
    "host_drift": st.floats(-200e-6, 200e-6),
    "host_bend": st.sampled_from([0.0, 3e-6]),
    "garbage": st.sampled_from([0.0, 0.1, 0.2]),
    "clock_rows": st.booleans(),
    "modulus": st.sampled_from([0, 2**16, 2**24]),
    "seed": st.integers(0, 2**32 - 1),
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn=st.fixed_dictionaries(COUNTED), lost=st.lists(st.tuples(st.floats(0.05, 0.95), st.integers(1, 5000))))
def test_counted_samples_are_placed_to_a_fraction_of_a_millisecond(links, drawn, lost):
    samples = int(drawn["rate_hz"] * drawn["seconds"])
    gone = tuple((int(share * samples), min(samples - 1, int(share * samples) + count)) for share, count in lost[:3])
    link = links.Link(**drawn, lost=gone, probe_period_s=2.0, mean_delay_s=0.001)
    recording = links.recording_of(link)
    error_s, report, _ = errors_of(recording)
    present = np.zeros(samples, dtype=bool)
    present[: recording.true_s.size] = True
    unseen = {place for first, end in gone for place in range(first, end)}
    inside = [place for place in unseen if place < samples - 1]
    assert report.lost == len(inside) or report.lost_ambiguous
    # what is known is known well, and what is not known well is said
    assert np.quantile(error_s, 0.99) < max(0.3e-3, 3 * report.uncertainty_p99_ms / 1e3)
    if drawn["delays"] != "bursty":  # a spell of a minute without a quick packet may happen there
        assert np.quantile(error_s, 0.99) < 0.5e-3
        assert report.in_sync


WIDE = COUNTED | {
    "rate_hz": st.sampled_from([50.0, 250.0, 2000.0]),
    "chunk": st.integers(1, 500),
    "modulus": st.sampled_from([0, 2**8, 2**16, 2**24]),
    "device_time": st.booleans(),
    "resent": st.sampled_from([(), (40,), (7, 8, 90)]),
    "probes_missing": st.sampled_from([None, None, (10.0, 100.0)]),
}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    drawn=st.fixed_dictionaries(WIDE),
    lost=st.lists(st.tuples(st.floats(0.05, 0.95), st.integers(1, 5000)), max_size=3),
    reset=st.one_of(st.none(), st.tuples(st.floats(0.1, 0.9), st.sampled_from([0.3, 2.0, 10.0]))),
)
def test_what_is_not_known_well_is_said(links, drawn, lost, reset):
    samples = int(drawn["rate_hz"] * drawn["seconds"])
    drawn["chunk"] = min(drawn["chunk"], samples // 60)
    gone = tuple((int(share * samples), min(samples - 1, int(share * samples) + count)) for share, count in lost)
    link = links.Link(**drawn, lost=gone, probe_period_s=2.0, mean_delay_s=0.001)
    if drawn["modulus"] == 2**8:  # may begin anew, or lose or repeat a whole turn, as if it went on
        link = replace(link, resent=(), lost=() if drawn["rate_hz"] > 250 else gone)
    elif reset:
        link = replace(link, device_reset=int(reset[0] * samples), standstill_s=reset[1])
    error_s, report, _ = errors_of(links.recording_of(link))
    assert np.quantile(error_s, 0.99) < max(0.5e-3, 4 * report.uncertainty_p99_ms / 1e3)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    drawn=st.fixed_dictionaries(COUNTED),
    step_s=st.sampled_from([-3000.0, 3.0, 1e6, -1e8]),
    at=st.floats(0.35, 0.65),
)
def test_a_host_whose_clock_is_set_moves_nothing(links, drawn, step_s, at):
    drawn |= {"garbage": 0.0, "host_bend": 0.0}
    link = links.Link(**drawn, host_reset=(at * drawn["seconds"], step_s), probe_period_s=2.0)
    error_s, report, evidence = errors_of(links.recording_of(link))
    assert len(evidence.clock.pieces) == 2
    assert "its host's clock was reset once" in report.note
    assert report.lost == 0
    assert np.quantile(error_s, 0.99) < 0.5e-3 if drawn["delays"] != "bursty" else np.median(error_s) < 0.05


@settings(max_examples=25, deadline=None, derandomize=True)
@given(drawn=st.fixed_dictionaries(COUNTED), at=st.floats(0.2, 0.8), stood_s=st.sampled_from([0.5, 2.0, 10.0]))
def test_a_device_that_begins_anew_keeps_its_rate(links, drawn, at, stood_s):
    drawn |= {"delays": "exponential", "modulus": 2**24, "bend": 0.0}
    samples = int(drawn["rate_hz"] * drawn["seconds"])
    link = links.Link(**drawn, device_reset=int(at * samples), standstill_s=stood_s, probe_period_s=2.0)
    error_s, report, _ = errors_of(links.recording_of(link))
    assert np.quantile(error_s, 0.99) < 0.5e-3
    assert report.lost_ambiguous
    assert report.in_sync


def test_a_short_piece_has_the_rate_of_the_long_one(links):
    """Two seconds behind a reset tell no rate; the minute before it does."""
    plain = links.Link(seconds=60.0, drift=100e-6, device_reset=58 * 2000, mean_delay_s=0.01)
    claimed, wrong = [], []
    for seed in range(10):
        error_s, report, _ = errors_of(links.recording_of(replace(plain, seed=seed)))
        wrong.append(error_s.max())
        claimed.append(report.uncertainty_p99_ms)
    assert max(wrong) < 1.5e-3
    assert max(claimed) < 5.0


def test_drift_that_bends_is_followed_for_an_hour(links):
    link = links.Link(rate_hz=500.0, seconds=3600.0, chunk=20, bend=5e-6, host_bend=5e-6, drift=50e-6, host_drift=-8e-5)
    error_s, report, evidence = errors_of(links.recording_of(link))
    assert np.quantile(error_s, 0.99) < 0.1e-3
    assert report.uncertainty_p99_ms < 0.3
    assert evidence.clock.pieces[0].wander > 1e-16


def test_probes_missing_for_minutes_are_bridged_and_said(links):
    plain = links.Link(seconds=300.0, host_drift=80e-6, host_bend=2e-6, rate_hz=100.0, chunk=5)
    _, whole, _ = errors_of(links.recording_of(plain))
    for missing in ((60.0, 240.0), (-10.0, 180.0), (120.0, 310.0)):
        error_s, report, _ = errors_of(links.recording_of(replace(plain, probes_missing=missing)))
        assert report.uncertainty_p99_ms > whole.uncertainty_p99_ms
        assert error_s.max() < max(0.3e-3, 3 * report.uncertainty_p99_ms / 1e3)


def test_resent_chunks_are_dropped_and_leave_the_rest_alone(links):
    link = links.Link(seconds=60.0, resent=(10, 500, 501, 1500))
    recording = links.recording_of(link)
    error_s, report, evidence = errors_of(recording)
    assert evidence.sample.size == 120_000
    assert "216 exact duplicates dropped" in report.note
    assert error_s.max() < 0.05e-3


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    drift=st.floats(-200e-6, 200e-6),
    share=st.floats(0.1, 0.9),
    chunks=st.integers(16, 100),
    delays=st.sampled_from(["exponential", "stalls"]),
)
def test_without_a_counter_a_gap_moves_no_neighbour(links, seed, drift, share, chunks, delays):
    """Whole chunks are lost; both sides keep their times, and the gap is found where it is."""
    first = int(share * 120_000 / 54) * 54
    lost = ((first, first + 54 * chunks),)
    link = links.Link(seconds=60.0, drift=drift, counter=False, lost=lost, delays=delays, seed=seed)
    recording = links.recording_of(link)
    error_s, report, evidence = errors_of(recording)
    assert np.quantile(error_s, 0.99) < 3e-3  # what a straight line through all arrivals carries of their delay
    assert report.lost_ambiguous
    assert report.in_sync
    if delays == "exponential":
        assert report.gaps == 1
        assert abs(report.lost - 54 * chunks) <= 20
        around = recording.true_s[first - 1 : first + 1]
        np.testing.assert_allclose(evidence.gaps_s, [around], rtol=0, atol=5e-3)
    else:  # where everything waits the gap may be anywhere in what waited, or look like two
        assert report.gaps in {1, 2}
        assert abs(report.lost - 54 * chunks) <= 1000


def test_a_recorder_that_joins_chunks_hides_no_arrivals(links):
    """LabRecorder pulls twice a second: its chunks hold many of the device's, whose arrivals the stamps still show."""
    recording = links.recording_of(links.Link(seconds=60.0, counter=False))
    joined = replace(recording.stream, chunk_last=np.append(np.arange(999, 119_999, 1000), 119_999))
    error_s, _, evidence = errors_of(replace(recording, stream=joined))
    assert evidence.arrival_s.size > 2000
    assert error_s.max() < 0.05e-3


def test_a_cut_probe_order_changes_nothing(links):
    """Probes in any order of the file give the same map."""
    stream = links.recording_of(links.Link(seconds=60.0, host_drift=5e-5, garbage=0.1)).stream
    mixed = np.random.default_rng(1).permutation(len(stream.probes))
    at_s = stream.stamps[::1000]
    one = fit_clock(stream.probes, stream.probe_after, stream.stamps).map.apply(at_s)
    other = fit_clock(stream.probes[mixed], stream.probe_after[mixed], stream.stamps).map.apply(at_s)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
