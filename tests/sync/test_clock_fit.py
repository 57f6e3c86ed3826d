from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.clocks import fit_clock


def probes_of(seed, offset_s=0.0, drift=0.0, span_s=120.0, count=60, start_s=1000.0, trip_s=1e-3, outliers=0.0):
    rng = np.random.default_rng(seed)
    host = start_s + np.sort(rng.uniform(0, span_s, count))
    trip = trip_s * (1 + rng.exponential(1.0, count))
    truth = offset_s + drift * (host - start_s)
    offset = truth + rng.uniform(-0.5, 0.5, count) * (trip - trip_s)
    wrong = rng.random(count) < outliers
    offset[wrong] += rng.uniform(-2, 2, wrong.sum())
    return np.column_stack((host, offset, trip)), lambda t: t + offset_s + drift * (t - start_s)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    offset_s=st.floats(-2e9, 2e9),
    drift=st.floats(-200e-6, 200e-6),
    start_s=st.sampled_from([0.0, 5e4, 1.7e9]),
    outliers=st.sampled_from([0.0, 0.2]),
)
def test_line_is_found_through_outliers_at_any_offset(seed, offset_s, drift, start_s, outliers):
    probes, truth = probes_of(seed, offset_s, drift, start_s=start_s, outliers=outliers)
    clock = fit_clock(probes).map
    assert len(clock.pieces) == 1
    at = start_s + np.linspace(0, 120, 50)
    error = np.abs(clock.apply(at) - truth(at))
    assert error.max() < 0.6e-3
    assert np.all(error < 5 * clock.standard_error(at) + 2e-6)


def test_standard_errors_are_honest():
    ratios = []
    for seed in range(300):
        probes, truth = probes_of(seed, 3.0, 40e-6, count=20, outliers=0.1)
        clock = fit_clock(probes).map
        at = np.array([1000.0, 1060.0, 1120.0, 1400.0])
        ratios.append((clock.apply(at) - truth(at)) / clock.standard_error(at))
    share = np.mean(np.abs(ratios) < 1.0, axis=0)
    assert np.all(share > 0.6)
    assert np.all(np.mean(np.abs(ratios) < 3.0, axis=0) > 0.98)


def test_standard_error_grows_outside_the_probes():
    probes, _ = probes_of(1)
    errors = fit_clock(probes).map.standard_error([1060.0, 1300.0, 3000.0, 1e5])
    assert np.all(np.diff(errors) > 0)


def test_path_asymmetry_bounds_the_error_from_below():
    probes, _ = probes_of(1, count=2000, trip_s=0.02)
    assert fit_clock(probes).map.standard_error(1060.0) >= 0.02 / np.sqrt(12) * 0.99


def test_garbage_is_left_out():
    probes, truth = probes_of(2, 7.0, 1e-5)
    garbage = np.array(
        [
            [np.nan, 0, 1e-3],
            [1050, np.inf, 1e-3],
            [1060, -np.inf, np.nan],
            [1e300, 1.0, 1e-3],
            [1070, 1e250, 1e-3],
            [1080, 7.0, -1.0],
            [1090, 5e9, 1e-3],
            [-3e8, 12.0, 1e-3],
        ]
    )
    clock = fit_clock(np.concatenate((garbage, probes))).map
    at = np.linspace(1000, 1120, 20)
    assert np.abs(clock.apply(at) - truth(at)).max() < 0.5e-3


@pytest.mark.parametrize("probes", [np.zeros((0, 3)), [], [[np.nan, 1.0, 1.0]]])
def test_without_probes_it_is_the_identity_and_unknown(probes):
    clock = fit_clock(probes).map
    assert clock.apply([5.0, 7.0]).tolist() == [5.0, 7.0]
    assert np.all(np.isinf(clock.standard_error([5.0, 7.0])))


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_probes_give_a_constant_with_an_open_drift(count):
    clock = fit_clock([[10.0, 1.0, 1e-3], [20.0, 1.002, np.nan]][:count]).map
    (piece,) = clock.pieces
    assert piece.drift_after == 0
    assert piece.drift_error >= 100e-6
    assert 1.0 <= piece.offset_s[0] <= 1.002


def test_a_short_span_invents_no_slope():
    for seed in range(50):
        probes, _ = probes_of(seed, 5.0, 0.0, span_s=1.0, count=5)
        (piece,) = fit_clock(probes).map.pieces
        assert abs(piece.drift_after) < 100e-6
        assert piece.drift_error > 100e-6


def test_unknown_round_trips_are_allowed():
    probes, truth = probes_of(3, -4.0, 50e-6, outliers=0.1)
    probes[:, 2] = np.nan
    at = np.linspace(1000, 1120, 20)
    assert np.abs(fit_clock(probes).map.apply(at) - truth(at)).max() < 0.6e-3


def test_probes_may_come_in_any_order():
    probes, _ = probes_of(4, 1.0, 1e-5, outliers=0.1)
    mixed = np.random.default_rng(0).permutation(probes)
    at = np.linspace(1000, 1120, 20)
    np.testing.assert_allclose(fit_clock(mixed).map.apply(at), fit_clock(probes).map.apply(at), rtol=0, atol=1e-9)


def reset_of(step_s, outliers=0.0, rate_hz=10.0):
    """A clock that is set ``step_s`` back 125 s after its start: probes, stamps of a steady stream, session times."""
    before, _ = probes_of(5, 1.0, 30e-6, outliers=outliers)
    after, _ = probes_of(6, 1.0 + 130 * 30e-6, 30e-6, start_s=1130.0, outliers=outliers)
    after[:, 0] -= step_s
    after[:, 1] += step_s
    host_s = np.arange(990.0, 1260.0, 1 / rate_hz)
    later = host_s >= 1125.0
    stamps = np.where(later, host_s - step_s, host_s)
    return before, after, stamps, host_s + 1.0 + 30e-6 * (host_s - 1000.0), later


@pytest.mark.parametrize("step_s", [0.5, -3.0, 1e6, 1130.0])
@pytest.mark.parametrize("outliers", [0.0, 0.1])
def test_a_clock_reset_splits_the_map(step_s, outliers):
    before, after, stamps, truth_s, later = reset_of(step_s, outliers)
    known = np.searchsorted(truth_s, np.concatenate((before, after))[:, :2].sum(axis=1))
    probes = np.concatenate((before, after))
    clock = fit_clock(probes, known, stamps).map
    assert len(clock.pieces) == 2
    assert clock.pieces[1].first_sample == np.flatnonzero(later)[0]
    assert np.abs(clock.apply(stamps, np.arange(stamps.size)) - truth_s).max() < 0.8e-3
    if step_s in {0.5, -3.0}:  # where times do not come twice the order of the file is not needed
        assert fit_clock(probes, (), stamps).map.pieces[1].first_sample == np.flatnonzero(later)[0]


def test_outliers_alone_are_no_reset():
    for seed in range(100):
        probes, _ = probes_of(seed, outliers=0.2)
        assert len(fit_clock(probes).map.pieces) == 1


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        fit_clock(np.zeros((4, 2)))


def test_wrong_probes_that_agree_by_chance_are_no_reset():
    at = np.concatenate((np.arange(0.0, 12.0, 2.0), np.arange(100.0, 120.0, 2.0)))
    offset = 5.0 + 2e-5 * np.sin(at)
    offset[[4, 5]] += (-0.5, 0.5)
    offset[-4:] += (1.0077, 0.993, -1.2, 0.9795)
    fitted = fit_clock(np.column_stack((at, offset, np.full(at.size, 3e-4))))
    assert len(fitted.map.pieces) == 1
    assert abs(float(fitted.map.apply(118.0)) - 123.0) < 1e-3


def test_probes_of_one_moment_tell_an_offset_and_no_more():
    at = np.array([1e-308, 0.0, 2e-300, 1e-200])
    fitted = fit_clock(np.column_stack((at, np.full(4, 5.0), np.full(4, 3e-4))))
    assert float(fitted.map.apply(0.0)) == 5.0
    assert fitted.map.pieces[0].drift_before == 0.0
