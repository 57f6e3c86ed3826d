"""Signals of any kind: what they are told by, what is made of them, and what is no set."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lab.errors import TakeError
from lab.motion_signal import MotionSignal
from sync.channels import channel_motion, repetitiveness
from sync.drive_signal import body_of
from sync.euler_angles import without_flips
from sync.point_columns import is_body, metres, point_columns
from sync.signal_kinds import kind_by_words, looks_like_emg
from sync.signal_repetitions import find_in_signals, shown_signal


def jerk(fraction: np.ndarray) -> np.ndarray:
    u = np.clip(fraction, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2)


def pulses(rate_hz: float, count: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, a motion out and back ``count`` times, and when each starts."""
    starts = 3.0 + np.cumsum(np.array([3.0, 3.4, 2.9, 3.8, 3.2] * 4)[:count]) - 3.0
    time_s = np.arange(0.0, starts[-1] + 6.0, 1 / rate_hz)
    since = time_s[:, None] - starts
    return time_s, np.sum(jerk(since / 1.2) - jerk((since - 1.2) / 1.1), axis=1), starts


def starts_of(signals: list[MotionSignal], expected: int | None = None) -> list[float]:
    return [one.start_s for one in find_in_signals(signals, expected).repetitions]


@pytest.mark.parametrize("rate_hz", [10.0, 25.0, 100.0, 2000.0])
@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (-4000.0, 32768.0), (1e-4, 5.0)])
def test_one_channel_in_any_unit_at_any_rate_and_either_way_up(rate_hz, scale, offset):
    time_s, way, starts = pulses(rate_hz)
    noise = np.random.default_rng(0).normal(0, 0.01, way.size)
    signal = MotionSignal("a", "other", time_s, (offset + scale * (way + noise))[:, None], ("a",))
    assert starts_of([signal]) == pytest.approx(starts, abs=0.2)


def test_several_signals_at_their_own_rates_with_gaps_count_together():
    slow_s, slow, starts = pulses(25.0)
    fast_s, fast, _ = pulses(1000.0)
    values = np.stack((slow, np.random.default_rng(1).normal(0, 1, slow.size)), axis=1)
    values[100:140, 0] = np.nan
    signals = [
        MotionSignal("slow", "acceleration", slow_s, values, ("a", "b")),
        MotionSignal("fast", "angle", fast_s[300:], 90 * fast[300:, None], ("c",)),
    ]
    assert starts_of(signals) == pytest.approx(starts, abs=0.15)


def test_a_rotation_rate_becomes_the_angle_that_it_leads_to():
    time_s, way, starts = pulses(100.0)
    rate = np.gradient(80 * way, time_s) + 1.5  # with a bias
    assert starts_of([MotionSignal("g", "rotation_rate", time_s, rate[:, None], ("g",))]) == pytest.approx(
        starts, abs=0.2
    )


def test_semg_is_coarse_and_said_to_be():
    time_s, way, starts = pulses(1000.0)
    raw = np.random.default_rng(2).standard_normal(time_s.size) * (5 + 200 * way)
    assert looks_like_emg(raw, 1000.0)
    assert not looks_like_emg(np.random.default_rng(2).standard_normal(time_s.size), 1000.0)
    assert not looks_like_emg(way, 1000.0)
    found = find_in_signals([MotionSignal("m", "emg", time_s, raw[:, None], ("biceps",))], 8)
    assert [one.start_s for one in found.repetitions] == pytest.approx(starts, abs=0.4)
    assert any("0.4 s" in doubt and "not corrected" in doubt for doubt in found.doubts)


def test_positions_count_before_all_others():
    time_s, way, starts = pulses(50.0)
    points = np.random.default_rng(3).normal(0, 0.4, (1, 5, 3)) + np.zeros((time_s.size, 5, 3))
    points[:, :2, 2] += 0.5 * way[:, None]
    points += np.random.default_rng(4).normal(0, 1e-3, points.shape)
    pose = MotionSignal("pose", "positions", time_s, points.reshape(time_s.size, -1), ())
    other = MotionSignal("x", "other", time_s, np.sin(time_s)[:, None], ("x",))
    assert starts_of([other, pose]) == pytest.approx(starts, abs=0.15)
    still = MotionSignal("pose", "positions", time_s, 0 * points.reshape(time_s.size, -1), ())
    assert len(starts_of([still, MotionSignal("y", "other", time_s, way[:, None], ("y",))])) == 8


@pytest.mark.parametrize("kind", ["other", "acceleration", "angle", "rotation_rate", "emg_envelope"])
def test_white_noise_and_constants_are_no_set(kind):
    time_s = np.arange(0, 60, 0.02)
    noise = np.random.default_rng(5).standard_normal((time_s.size, 3))
    found = find_in_signals([MotionSignal("n", kind, time_s, noise, ("a", "b", "c"))])
    assert found.found <= 1 or any("little alike" in doubt for doubt in found.doubts)
    for nothing in (np.full((time_s.size, 2), 7.0), np.full((time_s.size, 2), np.nan)):
        assert find_in_signals([MotionSignal("n", kind, time_s, nothing, ("a", "b"))]).found == 0


def test_too_little_or_too_much():
    short = MotionSignal("n", "other", np.arange(5.0), np.zeros((5, 1)), ("a",))
    assert find_in_signals([short], 3).doubts[0] == "0 repetitions found where 3 were expected"
    assert find_in_signals([]).found == 0
    assert shown_signal([short], find_in_signals([short])) is None
    days = MotionSignal("n", "other", np.arange(100) * 3600.0, np.random.default_rng(0).normal(size=(100, 1)), ("a",))
    with pytest.raises(TakeError):
        channel_motion([days])
    back = MotionSignal("n", "other", np.zeros(50), np.zeros((50, 1)), ("a",))
    with pytest.raises(ValueError, match="increasing"):
        find_in_signals([back])


def test_half_an_hour_of_semg_takes_no_time_to_speak_of_and_no_gigabytes():
    time_s = np.arange(0, 1800, 1 / 500)
    way = np.clip(np.sin(2 * np.pi * time_s / 3.5), 0, 1) ** 2
    raw = (np.random.default_rng(6).standard_normal(time_s.size) * (3 + 100 * way)).astype(np.float32)
    found = find_in_signals([MotionSignal("m", "emg", time_s, raw[:, None], ("a",))])
    assert 505 <= found.found <= 515  # 514.3 periods


def test_what_repeats_itself_weighs_more():
    time_s = np.arange(0, 60, 1 / 25)
    steady = np.sin(2 * np.pi * time_s / 3.1)
    noise = np.random.default_rng(7).standard_normal(time_s.size)
    assert repetitiveness(steady) > 0.9
    assert repetitiveness(noise) < 0.35
    assert repetitiveness(time_s) < 0.2
    assert repetitiveness(np.zeros(500)) == 0.0


def test_angles_lose_their_jumps():
    time_s = np.arange(0, 20, 0.02)
    angle = 170 + 30 * np.sin(time_s)
    wrapped = (angle + 180) % 360 - 180
    assert np.abs(np.diff(wrapped)).max() > 300
    for factor in (1.0, np.pi / 180):
        assert np.abs(np.diff(without_flips(wrapped[:, None] * factor), axis=0)).max() < 1 * factor
    turned = Rotation.from_euler("ZXY", np.stack((20 * np.sin(time_s), 75 + 40 * np.sin(time_s), 10 + 0 * time_s), 1),
                                 degrees=True)  # fmt: skip
    flipping = turned.as_euler("ZXY", degrees=True)
    assert np.abs(np.diff(flipping, axis=0)).max() > 100
    steady = without_flips(flipping)
    assert steady.shape == (time_s.size, 9)
    assert np.abs(np.diff(steady, axis=0)).max() < 3
    calm = np.stack((20 * np.sin(time_s), 5 * np.cos(time_s)), axis=1)
    assert np.array_equal(without_flips(calm), calm)


@pytest.mark.parametrize(
    ("label", "unit", "kind"),
    [
        ("acc_x", "", "acceleration"),
        ("ACC.X 10", "g", "acceleration"),
        ("imu1_gyrX", "", "rotation_rate"),
        ("wx", "rad/s", "rotation_rate"),
        ("GYRO.X", "°/s", "rotation_rate"),
        ("knee_angle_r", "", "angle"),
        ("knee flexion", "deg", "angle"),
        ("Biceps.EMG4", "V", "emg"),
        ("emg_rms", "", "emg_envelope"),
        ("LKNE_x", "mm", "other"),
        ("channel_1", "", "other"),
    ],
)
def test_a_channel_is_told_by_its_words(label, unit, kind):
    assert kind_by_words(label, unit) == kind


def test_slow_semg_is_an_envelope():
    assert kind_by_words("emg", rate_hz=50.0) == "emg_envelope"
    assert kind_by_words("emg", rate_hz=1000.0) == "emg"


def test_points_are_told_by_their_columns():
    labels = ["time", *[f"{name}_{axis}" for name in ("hip", "knee", "toe") for axis in "XYZ"], "note"]
    assert point_columns(labels) == {"hip": (1, 2, 3), "knee": (4, 5, 6), "toe": (7, 8, 9)}
    assert len(point_columns([f"{axis}{number}" for number in range(4) for axis in "xyz"])) == 4
    assert len(point_columns([f"{axis} {number} (mm)" for number in range(4) for axis in "xyz"])) == 4
    assert point_columns(["acc_x", "acc_y", "acc_z"]) == {}
    assert point_columns(["a_x", "a_x", "a_y", "a_z"] * 3) == {}


def test_a_body_is_told_from_what_is_named_like_one():
    from drivers.simulated.athlete import Athlete

    athlete = Athlete(612, "A01", 4)
    time_s = np.arange(0, athlete.duration_s, 0.02)
    joints_m = athlete.joints_m(time_s)
    assert is_body(joints_m * 1000)
    rng = np.random.default_rng(8)
    gravity = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.02, (5 * time_s.size, 3)), axis=0)).apply([0, 0, 9.81])
    assert not is_body(gravity.reshape(time_s.size, 5, 3))
    assert not is_body(np.cumsum(rng.normal(0, 1, (time_s.size, 6, 3)), axis=0))
    for factor, unit in ((1.0, "metres"), (100.0, "centimetres"), (1000.0, "millimetres")):
        assert metres(joints_m * factor) == (pytest.approx(1 / factor), unit)


def test_absent_markers_are_read_off_the_others():
    from drivers.simulated.athlete import Athlete

    athlete = Athlete(613, "A16", 4)
    time_s = np.arange(0, athlete.duration_s, 0.02)
    whole = athlete.joints_m(time_s)
    torn = whole.copy()
    for joint, first in ((1, 300), (6, 420), (12, 500), (1, 700)):
        torn[first : first + 120, joint] = np.nan  # 2.4 s
    expected, got = body_of(time_s, whole), body_of(time_s, torn)
    assert np.abs(got.motion - expected.motion).max() < 0.03
