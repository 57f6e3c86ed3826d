from __future__ import annotations

import numpy as np
import pytest

from sync.envelope import emg_envelope


def bursts(rate_hz=2000.0, seconds=6.0, seed=0):
    time = np.arange(int(rate_hz * seconds)) / rate_hz
    amplitude = 20 + 180 * ((time % 2.0) > 1.0)
    noise = np.random.default_rng(seed).normal(0, 1, (time.size, 3))
    return time, amplitude, noise * amplitude[:, None]


def test_envelope_follows_amplitude_without_delay():
    time, amplitude, values = bursts()
    envelope = emg_envelope(values, 2000.0)
    assert envelope.shape == values.shape
    assert np.all(envelope >= 0)
    # A normal signal in 20–450 Hz of 0–1000 Hz keeps 43 % of its power; its rectified mean is sqrt(2/pi) of its root.
    middle = envelope[(time > 1.2) & (time < 1.8)].mean()
    assert middle == pytest.approx(200 * np.sqrt(0.43) * np.sqrt(2 / np.pi), rel=0.1)
    lags = np.arange(-100, 101)
    mean = envelope.mean(axis=1)
    fit = [np.corrcoef(np.roll(amplitude, lag)[500:-500], mean[500:-500])[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(fit))]) <= 20


def test_mains_drift_and_offset_do_not_show():
    time, _, _ = bursts()
    drift = 1e4 + 500 * np.sin(2 * np.pi * 1.0 * time)
    assert np.max(emg_envelope(drift[:, None], 2000.0)[1000:-1000]) < 1.0


def test_gaps_are_not_filtered_across():
    time, _, values = bursts()
    values[:] = 0
    values[:6000] += np.random.default_rng(0).normal(0, 100, (6000, 3))
    keep = np.r_[0:6000, 7000 : time.size]
    envelope = emg_envelope(values[keep], 2000.0, time[keep])
    assert np.max(envelope[6000:]) < 1e-9
    assert np.max(emg_envelope(values[keep], 2000.0)[6000:]) > 1.0


def test_what_is_absent_stays_absent_and_harms_no_other():
    _, _, values = bursts()
    whole = emg_envelope(values, 2000.0)
    values[3000:3005, 1] = np.nan
    values[:, 2] = np.nan
    envelope = emg_envelope(values, 2000.0)
    np.testing.assert_allclose(envelope[:, 0], whole[:, 0])
    assert np.isnan(envelope[3000:3005, 1]).all()
    assert np.isfinite(envelope[:3000, 1]).all()
    assert np.isfinite(envelope[3005:, 1]).all()
    assert np.isnan(envelope[:, 2]).all()


@pytest.mark.parametrize("samples", [0, 1, 5, 100, 400])
def test_short_pieces(samples):
    envelope = emg_envelope(np.ones((samples, 2)), 2000.0)
    assert envelope.shape == (samples, 2)
    assert np.isnan(envelope).all() == (samples < 160)


def test_slow_amplifiers_get_a_lower_edge_and_too_slow_ones_an_error():
    assert np.isfinite(emg_envelope(bursts(200.0)[2], 200.0)).all()
    with pytest.raises(ValueError, match="more than 44 Hz"):
        emg_envelope(np.ones((100, 1)), 40.0)


def test_real_bursts(data_folder):
    lines = (data_folder / "emg" / "emg_bursts_1000hz.csv").read_text(encoding="utf-8").splitlines()
    rows = [line.replace(",", " ").replace(";", " ").split() for line in lines]
    numbers = [
        row for row in rows if row and all(part.replace(".", "", 1).replace("-", "", 1).isdigit() for part in row)
    ]
    values = np.array([float(row[-1]) for row in numbers])
    envelope = emg_envelope(values[:, None], 1000.0)[:, 0]
    active = np.flatnonzero(envelope > 0.3 * np.percentile(envelope, 98))
    bursts_apart = np.split(active, np.flatnonzero(np.diff(active) > 400) + 1)
    assert sum(burst[-1] - burst[0] > 300 for burst in bursts_apart) == 9
