"""What the times claim about themselves, against made-up delays, and what breaks must leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sync_recordings import made_stream

from lab.clock_map import ClockMap
from sync.line_below import fit_line_below
from sync.timestamps import sample_times

TAKES = 150


def delays_s(shape, count, rng):
    if shape == "exponential":
        return rng.exponential(0.03, count)
    if shape == "gamma":
        return rng.gamma(2, 0.015, count)
    if shape == "uniform":
        return rng.uniform(0, 0.06, count)
    return np.where(rng.random(count) < 0.01, 0.1, rng.exponential(1e-4, count))


@pytest.mark.parametrize("count", [20, 49, 100, 1000, 5000])
@pytest.mark.parametrize("shape", ["exponential", "gamma", "uniform", "bursty"])
def test_error_is_within_two_standard_errors_in_most_takes(shape, count):
    errors, claims = [], []
    for seed in range(TAKES):
        rng = np.random.default_rng([seed, count])
        chunk, drift = rng.choice([1, 20, 100]), rng.uniform(-1e-4, 1e-4)
        x = np.arange(1, count + 1) * chunk - 1.0
        truth = 100 + x / 1000 * (1 + drift)
        line = fit_line_below(x, truth + delays_s(shape, count, rng))
        errors.append(np.median(np.abs(line.at(x) - truth)))
        claims.append(np.median(line.standard_error_s(x)))
    # 95 %, less what chance does to so few takes.
    assert np.mean(np.array(errors) <= 2 * np.array(claims)) > 0.91
    assert np.median(claims) < 7 * np.median(errors)


@pytest.mark.parametrize("count", [5, 8, 12, 19])
def test_fewer_than_twenty_arrivals_are_not_vain(count):
    inside = []
    for seed in range(TAKES):
        rng = np.random.default_rng(seed)
        x = np.arange(count, dtype=float)
        line = fit_line_below(x, x + rng.exponential(0.03, count))
        inside.append(np.median(np.abs(line.at(x) - x)) <= 2 * np.median(line.standard_error_s(x)))
    assert np.mean(inside) > 0.93


@pytest.mark.parametrize(("count", "slope"), [(1, None), (2, None), (1, 1.0)])
def test_a_line_through_all_its_arrivals_knows_nothing(count, slope):
    line = fit_line_below(np.arange(count), np.arange(count), slope)
    assert np.isinf(line.error_s)


@pytest.mark.parametrize("jitter_s", [0.1, 0.5])
@pytest.mark.parametrize("seconds", [10.0, 60.0])
def test_heavy_delays_do_not_overrule_the_device_clock(jitter_s, seconds):
    inside = []
    for seed in range(10):
        made = made_stream(
            seed, rate_hz=100.0, chunk=1, jitter_s=jitter_s, seconds=seconds, drift=3e-5, device_clock=True
        )
        times = sample_times(made.stream, ClockMap.identity())
        assert times.method == "device time"
        assert times.rate_measured_hz == pytest.approx(100, rel=300e-6)
        error = times.time_s - made.true_host_s
        assert np.std(error) < 0.005
        inside.append(np.all(np.abs(error) < 2 * times.uncertainty_s))
    assert np.mean(inside) >= 0.8


def test_heavy_delays_are_no_other_rate():
    made = made_stream(0, rate_hz=100.0, chunk=1, jitter_s=0.5, seconds=10.0)
    times = sample_times(made.stream, ClockMap.identity())
    assert any("nominal rate stands in" in note for note in times.notes)
    wrong = replace(made_stream(0, rate_hz=100.0, chunk=1, seconds=10.0).stream, rate_hz=90.0)
    assert sample_times(wrong, ClockMap.identity()).rate_measured_hz == pytest.approx(100, rel=1e-3)


def irregular(**changes):
    stamps = np.array([10.0, 10.7, 13.0, 13.1, 19.0, 25.0])
    stream = made_stream(1, counter=False, clock_rows=False).stream
    plain = replace(
        stream,
        rate_hz=0.0,
        stamps=stamps,
        values=np.arange(12, dtype=np.float32).reshape(6, 2),
        counter=np.array([5, 6, 7, 18, 19, 20]),
        chunk_last=np.arange(6),
    )
    return replace(plain, **changes)


def test_an_irregular_streams_counter_tells_its_losses():
    times = sample_times(irregular(), ClockMap.identity())
    assert (times.lost, times.gaps, times.lost_ambiguous) == (10, 1, False)
    assert times.counter.tolist() == [5, 6, 7, 18, 19, 20]
    assert times.time_s.tolist() == irregular().stamps.tolist()
    assert times.method == "own stamps"


def test_an_irregular_streams_counter_wraps_restarts_and_may_be_useless():
    wrapped = sample_times(
        irregular(counter=np.array([253, 254, 255, 0, 1, 4]), counter_modulus=256), ClockMap.identity()
    )
    assert (wrapped.lost, wrapped.lost_ambiguous, wrapped.counter[-1]) == (2, False, 260)
    again = sample_times(irregular(counter=np.array([5, 6, 7, 0, 1, 2])), ClockMap.identity())
    assert (again.lost, again.lost_ambiguous) == (0, True)
    assert np.all(np.diff(again.counter) > 0)
    assert any("reset once" in note for note in again.notes)
    zeros = sample_times(
        irregular(stamps=np.arange(40.0), values=np.zeros((40, 2)), counter=np.zeros(40, dtype=int)),
        ClockMap.identity(),
    )
    assert zeros.time_s.size == 40
    assert "its counter does not count" in zeros.notes


def test_an_irregular_stream_with_stamps_out_of_order_keeps_what_was_lost():
    times = sample_times(irregular(stamps=np.array([10.0, 10.7, 13.0, 12.0, 19.0, np.nan])), ClockMap.identity())
    assert times.lost == 10
    assert times.time_s.tolist() == [10.0, 10.7, 12.0, 13.0, 19.0]
    assert times.kept.tolist() == [0, 1, 3, 2, 4]
    assert np.all(np.diff(times.counter) > 0)


def restarted(made, first):
    """The same samples, of which the device counts those from ``first`` on from 0 again."""
    rows = made.stream.clock_rows.copy()
    rows[:, 0] -= np.where(rows[:, 0] >= first, first, 0)
    counter = made.stream.counter - np.where(made.stream.counter >= first, first, 0)
    return replace(made.stream, counter=counter, clock_rows=rows)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("chunk", "jitter_s"), [(1, 0.003), (20, 0.005), (20, 0.03), (7, 0.02)])
def test_a_restart_without_loss_loses_nothing_and_moves_no_neighbour(chunk, jitter_s, part):
    for seed in range(5):
        made = made_stream(seed, chunk=chunk, jitter_s=jitter_s, seconds=20.0)
        first = int(20000 * part) // chunk * chunk
        times = sample_times(restarted(made, first), ClockMap.identity())
        assert (times.lost, times.gaps, times.lost_ambiguous) == (0, 0, True)
        assert not any("early" in note for note in times.notes)
        error = np.abs(times.time_s - made.true_host_s)
        assert np.mean(error < 3 * times.uncertainty_s + 1e-6) > 0.95
        # The longer piece is where it would be alone: the short one, less certain, gives way.
        longer = slice(first, None) if part < 0.5 else slice(0, first)
        assert np.max(error[longer]) < np.max(sample_times(made.stream, ClockMap.identity()).uncertainty_s) * 12
