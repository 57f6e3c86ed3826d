from __future__ import annotations

import numpy as np
import pytest

from drivers.simulated.athlete import Athlete
from lab.errors import TakeError
from sync.boundaries import refine, refine_turn
from sync.candidates import turning_points
from sync.repetitions import find_repetitions


def performed(seed, repetitions=10, noise_m=3e-4, rate_hz=100.0):
    athlete = Athlete(seed, "A16", repetitions)
    time = np.arange(0, athlete.duration_s, 1 / rate_hz)
    noise = np.random.default_rng(seed).normal(0, noise_m, (time.size, 21, 3))
    return time, athlete.joints_m(time) + noise, athlete.repetitions


def errors(found, truth):
    assert found.found == len(truth), found.doubts
    rows = zip(found.repetitions, truth, strict=True)
    return np.abs([(a.start_s - b.start_s, a.turn_s - b.turn_s, a.end_s - b.end_s) for a, b in rows])


def test_ten_of_ten_within_tens_of_milliseconds():
    every = []
    for seed in range(8):
        time, positions, truth = performed(seed)
        found = find_repetitions(time, positions, 10)
        assert found.doubts == ()
        assert all(repetition.confidence > 0.5 for repetition in found.repetitions)
        every.append(errors(found, truth))
    every = np.concatenate(every)
    assert np.all(np.median(every, axis=0) < (0.05, 0.03, 0.05))
    assert np.all(np.percentile(every, 95, axis=0) < 0.1)


@pytest.mark.parametrize("count", [2, 3, 8, 12])
def test_the_expected_count_is_a_hint_only(count):
    time, positions, truth = performed(3, count)
    found = find_repetitions(time, positions, 10)
    assert errors(found, truth).max() < 0.15
    assert any(f"{count} repetitions found where 10 were expected" in doubt for doubt in found.doubts)
    assert find_repetitions(time, positions, None).found == count


def test_any_axis_any_origin_any_rate_and_absent_points():
    time, positions, truth = performed(5, rate_hz=60.0)
    rng = np.random.default_rng(0)
    positions[:, 3] = np.nan
    for point in (0, 7, 12, 17):
        for first in rng.integers(0, time.size, 6):
            positions[first : first + 60, point] = np.nan
    keep = rng.random(time.size) > 0.1
    moved = positions[keep][..., [1, 2, 0]] * [1, 1, -1] + [5.0, -3.0, 40.0]
    found = find_repetitions(time[keep] + 2e5, moved, 10)
    at = [type(truth[0])(t.start_s + 2e5, t.turn_s + 2e5, t.end_s + 2e5, 1.0) for t in truth]
    assert np.percentile(errors(found, at), 95) < 0.15


def walked(pose, span_s, rate_hz, *, leaving):
    """A person of ``pose`` who walks 0.8 m/s and turns round."""
    time = np.arange(0, span_s, 1 / rate_hz)
    from_set = time if leaving else span_s - time
    phase = 2 * np.pi * 0.9 * from_set
    settled = np.minimum(from_set, 1.0)[:, None]  # steps grow out of standing
    points = np.repeat(pose[None], time.size, axis=0)
    for side, leg, hand in ((0.0, [13, 14, 15], [9, 10]), (np.pi, [18, 19, 20], [5, 6])):
        points[:, leg, 1] += settled * 0.3 * np.sin(phase + side)[:, None]
        points[:, leg, 2] += settled * 0.1 * np.maximum(np.cos(phase + side), 0)[:, None]
        points[:, hand, 1] += settled * 0.25 * np.sin(phase + side)[:, None]
    angle = np.pi * np.clip(from_set - 1.5, 0, 1.5) / 1.5
    centre = pose.mean(axis=0)
    x, y = (points - centre)[..., 0], (points - centre)[..., 1]
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    turned = np.stack((cos * x - sin * y, sin * x + cos * y, (points - centre)[..., 2]), axis=-1) + centre
    turned[..., 1] += 0.8 * from_set[:, None]
    return turned


def test_walking_before_and_after_is_no_repetition():
    for seed in range(4):
        _, positions, truth = performed(seed)
        before = walked(positions[0], 6.0, 100.0, leaving=False)
        after = walked(positions[-1], 6.0, 100.0, leaving=True)
        whole = np.concatenate((before, positions, after))
        found = find_repetitions(np.arange(len(whole)) / 100, whole, 10)
        shifted = [type(t)(t.start_s + 6, t.turn_s + 6, t.end_s + 6, 1.0) for t in truth]
        assert np.percentile(errors(found, shifted), 95) < 0.12


def test_standing_with_fidgets_is_no_repetition():
    time, positions, truth = performed(1)
    still = time < truth[0].start_s - 0.1
    found = find_repetitions(time[still], positions[still], 10)
    assert all(repetition.confidence <= 0.5 for repetition in found.repetitions)
    assert found.doubts
    nothing = find_repetitions(time, np.repeat(positions[:1], time.size, axis=0), 10)
    assert nothing.found == 0
    assert "hardly moves" in nothing.doubts[1]


@pytest.mark.parametrize("margin_s", [0.3, 0.8])
def test_a_set_cut_off_at_both_ends_is_doubted(margin_s):
    for seed in range(4):
        time, positions, truth = performed(seed)
        inside = (time > truth[0].turn_s - margin_s) & (time < truth[-1].turn_s + margin_s)
        found = find_repetitions(time[inside], positions[inside], 10)
        assert 8 <= found.found <= 10
        assert found.found != 9 or any("begin where it now turns" in doubt for doubt in found.doubts)


def test_equal_input_gives_equal_result():
    time, positions, _ = performed(4)
    assert find_repetitions(time, positions, 10) == find_repetitions(time.copy(), positions.copy(), 10)


def test_input_is_not_changed():
    time, positions, _ = performed(4, 3)
    positions[100:120, 4] = np.nan
    before = positions.copy()
    find_repetitions(time, positions, 3)
    np.testing.assert_array_equal(positions, before)


def test_too_little_pose_is_said():
    for frames in (0, 1, 9, 50):
        found = find_repetitions(np.arange(frames) / 100, np.zeros((frames, 21, 3)), 10)
        assert found.found == 0
        assert len(found.doubts) == 2
    absent = find_repetitions(np.arange(500) / 100, np.full((500, 21, 3), np.nan))
    assert absent.found == 0
    assert absent.doubts


def test_impossible_input_is_refused():
    with pytest.raises(ValueError, match="shape"):
        find_repetitions(np.arange(5), np.zeros((5, 63)))
    with pytest.raises(ValueError, match="increasing"):
        find_repetitions(np.zeros(100), np.zeros((100, 21, 3)))
    with pytest.raises(TakeError, match="time stamps"):
        find_repetitions(np.arange(100) * 1e6, np.zeros((100, 21, 3)))


def test_turning_points_alternate_and_differ():
    signal = np.sin(np.linspace(0, 6 * np.pi, 400)) + 0.05 * np.sin(np.linspace(0, 200, 400))
    found = turning_points(signal, 0.5)
    assert len(found) == 8  # three maxima, three minima, both ends
    steps = np.diff(signal[found])
    assert np.all(steps[:-1] * steps[1:] < 0)


def jerk(u):
    u = np.clip(u, 0, 1)
    return 10 * u**3 - 15 * u**4 + 6 * u**5


def test_boundaries_of_a_known_motion():
    time = np.arange(0, 6, 0.01)
    for pause_s in (0.0, 0.4):
        down, up = jerk((time - 1.0) / 1.6), jerk((time - 2.6 - pause_s) / 1.4)
        start, turn, end = refine(time, down - up, 1.1, 2.7, 3.9 + pause_s)
        assert start == pytest.approx(1.0, abs=0.03)
        assert turn == pytest.approx(2.6 + pause_s, abs=0.03)
        assert end == pytest.approx(4.0 + pause_s, abs=0.03)


def test_a_load_that_drifts_before_the_lift_is_no_start():
    time = np.arange(0, 8, 0.01)
    down, up = jerk((time - 2.0) / 1.6), jerk((time - 3.6) / 1.6)
    drift = 0.09 * np.clip(time, 1.0, 3.6)  # from 1 s on, at 7 % of the lift's peak speed
    start, _, _ = refine(time, down - up + drift, 2.1, 3.6, 5.1)
    assert start == pytest.approx(2.0, abs=0.15)


def test_what_rests_around_the_turn_does_not_decide_it():
    time = np.arange(0, 8, 0.01)
    way = jerk((time - 2.0) / 1.6) - jerk((time - 3.6) / 1.6)
    foot, hips = np.minimum(way, 0.8), 0.35 * way
    points = np.stack((foot, hips, 0 * way), axis=1)
    primary = points @ np.array([0.94, 0.34, 0.0])
    start, turn, end = refine(time, primary, 2.1, 3.6, 5.1)
    assert abs(turn - 3.6) > 0.2  # read from the foot as well, it is the moment at which the foot leaves
    assert refine_turn(time, primary, time, points, start, turn, end) == pytest.approx(3.6, abs=0.03)


def test_a_turn_that_cannot_be_read_again_stays():
    time, flat = np.arange(0, 8, 0.01), np.zeros(800)
    assert refine_turn(time, flat, time, np.zeros((800, 3)), 2.0, 3.6, 5.0) == 3.6
    assert refine_turn(time, flat, time, np.zeros((800, 3)), 2.0, 3.6, 99.0) == 3.6


def test_real_squats(data_folder):
    rows = [line.split("\t") for line in (data_folder / "reps" / "squats1.trc").read_text("utf-8").splitlines()[6:]]
    table = np.array(
        [[float(cell) if cell.strip() else np.nan for cell in row[:155]] for row in rows if len(row) >= 155]
    )
    found = find_repetitions(table[:, 1], table[:, 2:].reshape(-1, 51, 3), 5)
    assert [repetition.turn_s for repetition in found.repetitions] == pytest.approx(
        [1.35, 3.95, 6.7, 9.35, 12.25], abs=0.1
    )


def test_ten_real_exercises(data_folder):
    archive = np.load(data_folder / "reps" / "uiprmd_vicon_positions_s02_50hz.npz")
    right = found_all = 0
    for exercise in range(1, 11):
        points, truth = archive[f"m{exercise:02d}s02_X"], archive[f"m{exercise:02d}s02_T"]
        found = find_repetitions(
            np.arange(len(points)) / float(archive["fs"]), points.reshape(len(points), -1, 3) / 1e3, 10
        )
        found_all += found.found
        for repetition in found.repetitions:
            both = np.minimum(truth[:, 1], repetition.end_s) - np.maximum(truth[:, 0], repetition.start_s)
            either = np.maximum(truth[:, 1], repetition.end_s) - np.minimum(truth[:, 0], repetition.start_s)
            right += bool(np.max(both / either) > 0.5)
    assert 2 * right / (100 + found_all) > 0.97  # F1 at an overlap of one half


@pytest.mark.parametrize("seed", range(6))
def test_fidgets_alone_are_no_repetition(seed: int) -> None:
    from drivers.simulated.athlete import Athlete

    time_s = np.arange(0, 3.8, 0.01)
    noise_m = np.random.default_rng(seed).normal(0, 3e-4, (len(time_s), 21, 3))
    before = Athlete(seed, repetitions=1).sample(time_s).joints_m + noise_m
    assert find_repetitions(time_s, before, 10).found == 0
