from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sync.resampling import Grid, grid_over, kernel_for, resample, sample_period_s

BORN_S = 12_345.678


class Counting:
    """Values that count how many rows are read of them."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.read = values, 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def __getitem__(self, rows: slice) -> np.ndarray:
        part = self.values[rows]
        self.read += len(part)
        return part


def resampled(time_s, values, rate_hz, counter=None, grid=None):
    counter = np.arange(time_s.size) if counter is None else counter
    values = values if values.ndim == 2 else values[:, None]
    grid = grid or grid_over(float(time_s[0]), float(time_s[-1]), rate_hz)
    kernel = kernel_for(1 / sample_period_s(time_s, counter), rate_hz)
    blocks = list(resample(time_s, counter, values, grid, kernel))
    assert [first for first, _ in blocks] == np.cumsum([0, *(len(block) for _, block in blocks)])[:-1].tolist()
    out = np.concatenate([block for _, block in blocks])
    assert out.dtype == np.float64
    assert len(out) == grid.count
    return grid.time_s(0, grid.count), out, kernel


def times(rate_hz, seconds=30.0, drift=0.0, bend=0.0):
    """Sample times of a device whose rate is off by ``drift`` and bends by ``bend`` within the recording."""
    count = np.arange(int(rate_hz * seconds))
    nominal = count / rate_hz
    return BORN_S + nominal * (1 + drift) + bend * nominal**2 / seconds


rates = st.sampled_from([52.0, 100.0, 120.0, 256.0, 1000.0])


@given(
    stream_hz=rates,
    rate_hz=st.floats(30, 1500),
    part=st.floats(0.01, 0.8),
    phase=st.floats(0, 6),
    drift=st.floats(-2e-4, 2e-4),
    bend=st.floats(-2e-5, 2e-5),
)
def test_a_sine_below_the_nyquist_frequency_survives(stream_hz, rate_hz, part, phase, drift, bend):
    time_s = times(stream_hz, 12.0, drift, bend)
    frequency = part * min(stream_hz, rate_hz) / 2 * 0.999
    at_s, out, _ = resampled(time_s, np.sin(2 * np.pi * frequency * (time_s - BORN_S) + phase), rate_hz)
    finite = np.isfinite(out[:, 0])
    assert finite.sum() > 0.5 * finite.size
    wrong = out[finite, 0] - np.sin(2 * np.pi * frequency * (at_s[finite] - BORN_S) + phase)
    assert np.max(np.abs(wrong)) < 1e-3


@given(stream_hz=rates, part=st.floats(0.02, 0.4), above=st.floats(1.0, 3.0), drift=st.floats(-2e-4, 2e-4))
def test_what_the_grid_cannot_hold_is_gone(stream_hz, part, above, drift):
    rate_hz = part * stream_hz
    frequency = above * rate_hz / 2 * 1.001
    assume(frequency < 0.5 * stream_hz)
    time_s = times(stream_hz, max(12.0, 100 / rate_hz), drift)
    _, out, _ = resampled(time_s, np.sin(2 * np.pi * frequency * (time_s - BORN_S)), rate_hz)
    finite = np.isfinite(out[:, 0])
    assert finite.any()
    assert np.max(np.abs(out[finite])) < 1e-3  # -60 dB


@given(
    value=st.one_of(st.floats(-1e30, 1e30), st.integers(-(2**31), 2**31 - 1)),
    stream_hz=st.sampled_from([1.0, 100.0, 1000.0]),
    rate_hz=st.floats(5, 900),
)
def test_a_constant_stays_exactly_what_it_is(value, stream_hz, rate_hz):
    time_s = times(stream_hz, 20.0, 1e-4)
    values = np.full((time_s.size, 2), value, dtype=np.int32 if isinstance(value, int) else np.float64)
    _, out, _ = resampled(time_s, values, rate_hz)
    assert np.isfinite(out).any()
    assert set(out[np.isfinite(out)].tolist()) == {float(value)}


@given(
    stream_hz=st.sampled_from([1.0, 64.0, 200.0]),
    rate_hz=st.floats(7, 400),
    lost=st.lists(st.tuples(st.floats(0.05, 0.95), st.integers(1, 40)), min_size=1, max_size=4),
    counted=st.booleans(),
)
def test_nothing_is_made_up_in_a_gap_nor_where_a_kernel_reaches_over_it(stream_hz, rate_hz, lost, counted):
    every = times(stream_hz, 400 / stream_hz + 60)
    there = np.ones(every.size, dtype=bool)
    for place, count in lost:
        there[int(place * every.size) :][:count] = False
    assume(there.sum() > 2)
    counter = np.flatnonzero(there)
    time_s = every[there]
    at_s, out, kernel = resampled(time_s, np.ones(time_s.size), rate_hz, counter if counted else None)
    # what is asked of each point: are all samples there within the kernel's half width around it?
    place = (at_s - every[0]) * stream_hz
    for point, value in zip(place.tolist(), out[:, 0].tolist(), strict=True):
        low, high = np.ceil(point - kernel.half_width + 1e-6), np.floor(point + kernel.half_width - 1e-6)
        inside = np.arange(int(low), int(high) + 1)
        whole = bool(inside.size) and inside[0] >= 0 and inside[-1] < every.size and there[inside].all()
        if not whole and inside.size:
            assert np.isnan(value), point
        roomy = np.arange(int(low) - 1, int(high) + 2)
        if roomy[0] >= 0 and roomy[-1] < every.size and there[roomy].all():
            assert value == 1.0, point


@given(bad=st.integers(200, 800), value=st.sampled_from([np.nan, np.inf, -np.inf]), rate_hz=st.floats(20, 300))
def test_a_value_that_is_none_costs_its_channel_a_kernel_and_no_more(bad, value, rate_hz):
    time_s = times(100.0, 10.0)
    values = np.ones((time_s.size, 2), dtype=np.float32)
    values[bad, 1] = value
    at_s, out, kernel = resampled(time_s, values, rate_hz)
    away = np.abs((at_s - time_s[bad]) * 100.0)
    assert np.isnan(out[away < kernel.half_width - 1e-6, 1]).all()
    there = np.isfinite(out[:, 0])
    assert (out[there, 0] == 1).all()
    assert (out[there & (away > kernel.half_width + 1e-6), 1] == 1).all()


def test_times_that_waver_are_followed():
    rng = np.random.default_rng(3)
    time_s = times(500.0, 20.0) + np.cumsum(rng.normal(0, 2e-6, 10_000))
    at_s, out, _ = resampled(time_s, np.sin(2 * np.pi * 20 * (time_s - BORN_S)), 100.0)
    finite = np.isfinite(out[:, 0])
    assert np.max(np.abs(out[finite, 0] - np.sin(2 * np.pi * 20 * (at_s[finite] - BORN_S)))) < 2e-3


def test_a_slow_stream_on_a_fast_grid_is_a_line_between_neighbours():
    time_s = np.arange(10.0)
    at_s, out, kernel = resampled(time_s, 60 + time_s**2, 4.0)
    assert kernel.linear
    assert np.allclose(out[:, 0], 60 + np.interp(at_s, time_s, time_s**2), atol=1e-12)
    # thinned, it is filtered as any other
    assert not kernel_for(1.0, 0.25).linear


def test_a_grid_is_made_of_whole_multiples():
    grid = grid_over(10.03, 11.01, 10.0)
    assert grid.time_s(0, grid.count).tolist() == [10.1, 10.2, 10.3, 10.4, 10.5, 10.6, 10.7, 10.8, 10.9, 11.0]
    later = grid_over(10.5, 12.0, 10.0)
    assert set(later.time_s(0, later.count).tolist()) > {10.5, 10.6, 11.0}
    assert grid_over(10.03, 10.07, 10.0).count == 0
    assert grid_over(-0.05, 0.05, 10.0).time_s(0, 1).tolist() == [0.0]


def test_outside_of_the_stream_there_is_nothing():
    time_s = times(100.0, 5.0)
    grid = Grid(int(BORN_S * 50) - 1000, 2500, 50.0)
    at_s, out, _ = resampled(time_s, np.ones(time_s.size), 50.0, grid=grid)
    assert np.isnan(out[(at_s < time_s[0]) | (at_s > time_s[-1])]).all()
    assert np.isfinite(out).sum() > 200


@pytest.mark.parametrize("count", [2, 3])
def test_streams_of_hardly_any_samples(count):
    time_s = np.arange(count) / 100.0
    _, out, _ = resampled(time_s, np.ones(count), 50.0)
    assert np.isnan(out).all()
    _, out, _ = resampled(np.arange(count) * 1.0, np.ones(count), 50.0)
    assert np.isfinite(out).all()


def test_the_work_grows_as_the_samples_do():
    read = []
    for seconds in (100, 200, 400):
        time_s = times(1000.0, seconds)
        values = Counting(np.ones((time_s.size, 1), dtype=np.float32))
        grid = grid_over(float(time_s[0]), float(time_s[-1]), 100.0)
        for _ in resample(time_s, np.arange(time_s.size), values, grid, kernel_for(1000.0, 100.0)):
            pass
        read.append(values.read / time_s.size)
    assert max(read) < 1.2
