from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sync_recordings import made_stream, made_view

from lab.clock_map import ClockMap
from sync.line_below import fit_line_below, lower_hull
from sync.timestamps import frame_times, sample_times, strictly_increasing


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    drift=st.floats(-200e-6, 200e-6),
    chunk=st.sampled_from([1, 3, 20, 100]),
    start_s=st.sampled_from([0.0, 1e5, 2e9]),
    first_counter=st.sampled_from([0, 2**24 - 5000, 2**24 * 7 + 3]),
)
@example(seed=0, drift=0.0, chunk=20, start_s=2e9, first_counter=2**24 - 5000)
def test_times_are_true_whatever_arrival_says(seed, drift, chunk, start_s, first_counter):
    made = made_stream(
        seed,
        drift=drift,
        chunk=chunk,
        start_s=start_s,
        first_counter=first_counter,
        jitter_s=0.003,
        lost=[(4000, 4100)],
    )
    times = sample_times(made.stream, ClockMap.identity())
    error = np.abs(times.time_s - made.true_host_s)
    assert np.percentile(error, 99) < 0.3e-3
    assert np.all(error < 8 * times.uncertainty_s + 2e-6)
    assert np.all(np.diff(times.time_s) > 0)
    assert (times.lost, times.gaps, times.lost_ambiguous, times.duplicates) == (100, 1, False, 0)
    assert times.counter[0] == first_counter
    assert times.method == "device count"
    assert times.rate_measured_hz == pytest.approx(1000 * (1 + drift), rel=20e-6)


@pytest.mark.parametrize(("chunk", "jitter_s"), [(1, 0.0002), (500, 0.0002), (500, 0.02)])
def test_chunks_of_any_size_and_jitter(chunk, jitter_s):
    made = made_stream(3, chunk=chunk, jitter_s=jitter_s, drift=150e-6, rate_hz=2000.0, seconds=60.0)
    times = sample_times(made.stream, ClockMap.identity())
    arrivals = 60 * 2000 / chunk
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 8 * jitter_s / arrivals + 0.05e-3
    assert times.arrival_spread_s == pytest.approx(jitter_s * np.log(100), rel=0.6, abs=0.002)


def test_uncertainty_is_neither_vain_nor_timid():
    ratios = []
    for seed in range(100):
        made = made_stream(seed, chunk=20, seconds=10.0, rate_hz=500.0)
        times = sample_times(made.stream, ClockMap.identity())
        ratios.append(np.abs(times.time_s - made.true_host_s)[1000] / times.uncertainty_s[1000])
    assert np.mean(np.array(ratios) < 2) > 0.95
    assert np.median(ratios) > 0.05


def test_a_gap_moves_no_neighbour():
    whole = made_stream(5, seconds=20.0)
    holed = made_stream(5, seconds=20.0, lost=[(8000, 8400)])
    times = sample_times(holed.stream, ClockMap.identity())
    assert (times.lost, times.gaps) == (400, 1)
    kept = np.r_[0:8000, 8400:20000]
    np.testing.assert_allclose(
        times.time_s, sample_times(whole.stream, ClockMap.identity()).time_s[kept], rtol=0, atol=0.1e-3
    )
    assert times.time_s[8000] - times.time_s[7999] == pytest.approx(0.401, abs=1e-5)


def test_wrapping_counter_is_unwrapped_by_the_clock_rows():
    made = made_stream(2, rate_hz=2000.0, modulus=4096, seconds=30.0, first_counter=10_000_000)
    times = sample_times(made.stream, ClockMap.identity())
    assert times.lost == 0
    assert times.counter[0] % 4096 == made.stream.counter[0]
    assert np.all(np.diff(times.counter) == 1)
    assert abs(int(times.counter[0]) - 10_000_000) % 4096 == 0


def test_a_loss_longer_than_a_short_counter_is_told_by_the_clock_rows():
    made = made_stream(2, rate_hz=1000.0, modulus=1024, seconds=20.0, lost=[(5000, 8000)], jitter_s=0.001)
    times = sample_times(made.stream, ClockMap.identity())
    assert (times.lost, times.lost_ambiguous) == (3000, False)
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.3e-3


def test_a_loss_longer_than_a_short_counter_is_found_by_time_and_called_ambiguous():
    made = made_stream(
        2, rate_hz=1000.0, modulus=1024, seconds=20.0, lost=[(5000, 8000)], jitter_s=0.001, clock_rows=False
    )
    times = sample_times(made.stream, ClockMap.identity())
    assert (times.lost, times.lost_ambiguous) == (3000, True)
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.3e-3


def resent(stream, first, end):
    """The stream with samples ``first`` … ``end`` sent once more."""
    order = np.r_[0:end, first:end, end : stream.stamps.size]
    return replace(
        stream,
        stamps=stream.stamps[order],
        values=stream.values[order],
        counter=stream.counter[order],
        chunk_last=np.unique(np.r_[stream.chunk_last[stream.chunk_last < end], stream.chunk_last + end - first]),
    )


def test_exact_duplicates_are_dropped_and_counted():
    made = made_stream(7)
    times = sample_times(resent(made.stream, 1000, 1020), ClockMap.identity())
    assert (times.duplicates, times.lost, times.lost_ambiguous) == (20, 0, False)
    assert times.kept.size == made.true_host_s.size
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.3e-3
    assert any("20 exact duplicates" in note for note in times.notes)


def test_repeated_counts_with_other_values_are_no_duplicates():
    made = made_stream(7)
    stream = resent(made.stream, 1000, 1020)
    values = stream.values.copy()
    values[1025, 0] += 1
    times = sample_times(replace(stream, values=values), ClockMap.identity())
    assert times.duplicates == 0
    assert times.lost_ambiguous
    assert times.kept.size == stream.stamps.size


def joined(first, second):
    rows = np.concatenate((first.clock_rows, second.clock_rows))
    return replace(
        first,
        stamps=np.concatenate((first.stamps, second.stamps)),
        values=np.concatenate((first.values, second.values)),
        counter=np.concatenate((first.counter, second.counter)),
        chunk_last=np.concatenate((first.chunk_last, second.chunk_last + first.stamps.size)),
        clock_rows=rows,
    )


@pytest.mark.parametrize("second_count", [0, 3, 2**23, 10_000_000])
@pytest.mark.parametrize("first_count", [0, 2**24 - 3000])
def test_a_device_restart_begins_a_new_piece(first_count, second_count):
    first = made_stream(1, seconds=20.0, start_s=1000.0, first_counter=first_count)
    second = made_stream(2, seconds=15.0, start_s=1023.7, first_counter=second_count, drift=1e-4)
    times = sample_times(joined(first.stream, second.stream), ClockMap.identity())
    truth = np.concatenate((first.true_host_s, second.true_host_s))
    assert times.lost_ambiguous
    assert any("reset once" in note for note in times.notes)
    assert np.percentile(np.abs(times.time_s - truth), 99) < 0.4e-3
    assert np.all(np.diff(times.counter) >= 1)
    assert times.counter[20000] - times.counter[19999] == pytest.approx(3700, abs=20)


def test_device_time_is_preferred_where_every_chunk_has_it():
    made = made_stream(4, device_clock=True)
    times = sample_times(made.stream, ClockMap.identity())
    assert times.method == "device time"
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.3e-3
    rows = made.stream.clock_rows.copy()
    rows[30, 2] = np.nan
    assert sample_times(replace(made.stream, clock_rows=rows), ClockMap.identity()).method == "device count"
    rows = made.stream.clock_rows * [1, 1, 1000]
    assert sample_times(replace(made.stream, clock_rows=rows), ClockMap.identity()).method == "device count"


def test_impossibly_early_arrivals_do_not_hold_the_line_down():
    made = made_stream(6)
    rows = made.stream.clock_rows.copy()
    rows[100, 1] -= 0.7
    rows[200, 1] = 0.0
    rows[300, :2] = np.nan
    rows[400, 0] = 1e15
    times = sample_times(replace(made.stream, clock_rows=rows), ClockMap.identity())
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.3e-3
    assert any("early" in note for note in times.notes)


def test_without_clock_rows_the_chunks_stamps_are_the_arrivals():
    made = made_stream(6, clock_rows=False)
    times = sample_times(made.stream, ClockMap.identity())
    assert times.method == "device count"
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.3e-3


def test_without_a_counter_the_stamps_are_a_guess_and_gaps_are_found_in_time():
    made = made_stream(6, counter=False, clock_rows=False, lost=[(10000, 10500)])
    times = sample_times(made.stream, ClockMap.identity())
    assert times.method.startswith("guess")
    assert times.gaps == 1
    assert times.lost == pytest.approx(500, abs=30)
    assert times.lost_ambiguous
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.5e-3


def test_a_host_count_breaks_where_the_device_fell_silent():
    made = made_stream(6, origin="host", lost=[(10000, 10500), (20000, 20300)])
    times = sample_times(made.stream, ClockMap.identity())
    assert times.method == "host count"
    assert times.gaps == 2
    assert np.percentile(np.abs(times.time_s - made.true_host_s), 99) < 0.5e-3


def test_a_delay_that_is_caught_up_is_no_gap():
    made = made_stream(6, origin="host")
    rows, stamps = made.stream.clock_rows.copy(), made.stream.stamps.copy()
    late = slice(500, 520)
    rows[late, 1] = rows[520, 1]
    times = sample_times(replace(made.stream, clock_rows=rows, stamps=stamps), ClockMap.identity())
    assert times.gaps == 0


def test_a_counter_that_does_not_count_is_not_believed():
    made = made_stream(6)
    times = sample_times(replace(made.stream, counter=np.zeros_like(made.stream.counter)), ClockMap.identity())
    assert times.method.startswith("guess")
    assert times.kept.size == made.true_host_s.size
    assert any("does not count" in note for note in times.notes)


def test_a_vest_at_one_hertz():
    for seed in range(20):
        made = made_stream(seed, rate_hz=1.0, seconds=45.0, chunk=1, jitter_s=0.03, drift=30e-6)
        times = sample_times(made.stream, ClockMap.identity())
        assert np.max(np.abs(times.time_s - made.true_host_s)) < 0.015
        assert times.rate_measured_hz == pytest.approx(1.0, rel=2e-3)


@pytest.mark.parametrize("seconds", [1.0, 3.0, 8.0])
def test_few_arrivals_say_so(seconds):
    made = made_stream(1, rate_hz=1.0, seconds=seconds, chunk=1, jitter_s=0.03)
    times = sample_times(made.stream, ClockMap.identity())
    assert np.max(np.abs(times.time_s - made.true_host_s)) < 0.2
    if seconds < 5:
        assert any("nominal rate" in note for note in times.notes)
        assert np.isnan(times.rate_measured_hz)
    if seconds == 1.0:
        assert np.all(np.isinf(times.uncertainty_s))


def test_markers_keep_their_stamps():
    made = made_stream(1, rate_hz=10.0, seconds=3.0)
    stream = replace(made.stream, rate_hz=0.0, counter=None, clock_rows=None, stamps=np.sort(made.stream.stamps))
    times = sample_times(stream, ClockMap.identity())
    np.testing.assert_array_equal(times.time_s, stream.stamps)
    assert times.method == "own stamps"


def test_an_empty_stream_is_no_error():
    made = made_stream(1)
    empty = replace(
        made.stream,
        stamps=np.zeros(0),
        values=np.zeros((0, 2), dtype=np.float32),
        counter=np.zeros(0, dtype=np.int64),
        chunk_last=np.zeros(0, dtype=np.int64),
        clock_rows=np.zeros((0, 3)),
    )
    assert sample_times(empty, ClockMap.identity()).time_s.size == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hostile_streams_yield_increasing_times(data):
    made = made_stream(1, seconds=0.5, chunk=10)
    size = made.stream.stamps.size
    odd = st.sampled_from([0, 1, 2**24 - 1, 2**24, -1, 2**53, 17])
    counter = made.stream.counter.copy()
    rows, stamps = made.stream.clock_rows.copy(), made.stream.stamps.copy()
    for place in data.draw(st.lists(st.integers(0, size - 1), max_size=8)):
        counter[place] = data.draw(odd)
    for place in data.draw(st.lists(st.integers(0, size - 1), max_size=4)):
        stamps[place] = data.draw(st.sampled_from([np.nan, np.inf, 0.0, 1e9]))
    for place in data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=4)):
        rows[place, data.draw(st.integers(0, 2))] = data.draw(st.sampled_from([np.nan, np.inf, -1e12, 0.0, 1e18]))
    stream = replace(made.stream, counter=counter, clock_rows=rows, stamps=stamps)
    times = sample_times(stream, ClockMap.identity())
    assert np.all(np.diff(times.time_s) > 0)
    assert np.all(np.diff(times.counter) > 0)
    assert times.kept.size == times.time_s.size == times.uncertainty_s.size
    assert times.kept.size + times.duplicates == size


@pytest.mark.parametrize("device_clock", [True, False])
def test_frames(device_clock):
    view, truth = made_view(3, lost=[(300, 310), (700, 701)], device_clock=device_clock)
    times = frame_times(view, ClockMap.identity())
    assert np.percentile(np.abs(times.time_s - truth), 99) < 0.3e-3
    assert (times.lost, times.gaps, times.duplicates) == (11, 2, 0)
    assert times.method == ("device time" if device_clock else "frame count")


def test_frames_that_the_host_counts_keep_their_times_behind_a_loss():
    """A network camera: 40 frames are lost before they are counted, so that the count sees nothing."""
    view, truth = made_view(3, lost=[(600, 640)], device_clock=False)
    counted = np.arange(view.frame_id.size)
    by_host = replace(view, frame_id=counted, stream=replace(view.stream, counter_origin="host"))
    times = frame_times(by_host, ClockMap.identity())
    assert times.method == "host count"
    assert times.gaps == 1
    assert times.lost_ambiguous
    assert np.percentile(np.abs(times.time_s - truth), 99) < 0.5e-3
    by_camera = frame_times(replace(view, frame_id=counted), ClockMap.identity())  # a camera's own count is believed
    assert np.percentile(np.abs(by_camera.time_s - truth), 99) > 10e-3


def test_frames_of_a_camera_that_does_not_count():
    view, truth = made_view(3, device_clock=False)
    times = frame_times(replace(view, frame_id=np.zeros_like(view.frame_id)), ClockMap.identity())
    assert times.time_s.size == truth.size
    assert times.method.startswith("guess")
    assert np.percentile(np.abs(times.time_s - truth), 99) < 0.5e-3


@given(
    st.lists(st.integers(-1000, 1000), min_size=3, max_size=300),
)
def test_hull_is_below_and_convex(heights):
    x, y = np.arange(len(heights), dtype=float), np.array(heights, dtype=float)
    hull = lower_hull(x, y)
    assert hull[0] == 0
    assert hull[-1] == x.size - 1
    assert np.all(np.interp(x, x[hull], y[hull]) <= y + 1e-9)
    assert np.all(np.diff(np.diff(y[hull]) / np.diff(x[hull])) > 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_line_is_the_solution_of_the_linear_programme(seed):
    from scipy.optimize import linprog

    rng = np.random.default_rng(seed)
    x = np.sort(rng.choice(1000, 60, replace=False)).astype(float)
    y = 5 + 0.01 * x + rng.exponential(0.3, x.size)
    line = fit_line_below(x, y)
    peer = linprog([-1, -x.mean()], A_ub=np.column_stack((np.ones_like(x), x)), b_ub=y, bounds=[(None, None)] * 2)
    assert np.mean(y - line.at(x)) == pytest.approx(float(np.mean(y) + peer.fun), abs=1e-7)
    assert np.all(line.at(x) <= y + 1e-9)


def test_nothing_to_fit_is_said():
    with pytest.raises(ValueError, match="nothing to fit"):
        fit_line_below([np.nan], [1.0])


def test_strictly_increasing_moves_only_what_must():
    times = strictly_increasing(np.array([0.0, 2.0, 1.0, 3.0]))
    assert np.all(np.diff(times) > 0)
    np.testing.assert_allclose(times, [0, 2, 2, 3], atol=1e-6)


@pytest.mark.parametrize("lost", [(), [(5000, 5100)], [(5000, 5768)], [(5000, 5900), (9000, 9001)]])
def test_turns_of_a_short_count_that_nobody_saw_are_told_by_time(lost):
    """A publisher that cannot tell the turns of an 8-bit count gives what the device said, in the clock rows too."""
    made = made_stream(3, rate_hz=250.0, modulus=256, seconds=60.0, chunk=2, jitter_s=0.004, lost=lost, drift=40e-6)
    rows = made.stream.clock_rows.copy()
    rows[:, 0] %= 256
    found = sample_times(replace(made.stream, clock_rows=rows), ClockMap.identity())
    assert found.lost == sum(end - first for first, end in lost)
    assert not [note for note in found.notes if "clock rows" in note]
    assert np.max(np.abs(found.time_s - made.true_host_s[found.kept])) < 0.002
    assert (np.diff(found.counter) >= 1).all()


@pytest.mark.parametrize("seconds", [8.0, 12.0, 15.0, 20.0])
@pytest.mark.parametrize("drift", [0.0, 3e-3])
def test_turns_that_nobody_saw_are_told_in_a_short_take_too(seconds, drift):
    """A radio out of reach for two seconds, once, and every sixtieth packet lost besides."""
    away = (int(seconds * 100), int(seconds * 100) + 550)
    others = [(first, first + 1) for first in range(50, int(seconds * 250), 60) if not away[0] <= first < away[1]]
    lost = sorted([*others, away])
    made = made_stream(4, rate_hz=250.0, modulus=256, seconds=seconds, chunk=1, jitter_s=0.001, drift=drift, lost=lost)
    rows = made.stream.clock_rows.copy()
    rows[:, 0] %= 256
    found = sample_times(replace(made.stream, clock_rows=rows), ClockMap.identity())
    assert found.lost == sum(end - first for first, end in lost)
    assert np.max(np.abs(found.time_s - made.true_host_s[found.kept])) < 0.002


@pytest.mark.parametrize("ahead", [-60, -20, -8, 8, 20, 60, 128])
def test_a_device_that_began_anew_near_whole_turns_is_not_one_that_went_on(ahead):
    """Unplugged for five turns of its 8-bit count, it comes back at a count that is nearly where it would be."""
    made = made_stream(
        5, rate_hz=250.0, modulus=256, seconds=30.0, chunk=2, jitter_s=0.004, drift=3e-3, lost=[(3000, 4280)]
    )
    counter, rows = made.stream.counter.copy(), made.stream.clock_rows.copy()
    counter[3000:] = (counter[3000:] + ahead) % 256
    rows[rows[:, 0] >= 3000, 0] += ahead
    rows[:, 0] %= 256
    found = sample_times(replace(made.stream, counter=counter, clock_rows=rows), ClockMap.identity())
    assert np.max(np.abs(found.time_s - made.true_host_s[found.kept])) < 0.004
