from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.athlete import ACTIVATION_LABELS, Athlete
from lab.errors import RequestError
from lab.joints import BONES, JOINT_INDEX, JOINTS

SEEDS = (1, 2, 7)

PINNED_TURN_S = 5.8988
PINNED_KNEE_M = (0.2248, 0.1965, 0.4132)


@pytest.fixture(scope="module")
def athlete() -> Athlete:
    return Athlete(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_bones_keep_their_length_and_nothing_jumps(seed: int) -> None:
    athlete = Athlete(seed)
    times = np.arange(-1.0, athlete.duration_s + 1.0, 0.01)
    joints = athlete.joints_m(times)
    assert joints.shape == (len(times), 21, 3)
    for first, second in BONES:
        length = np.linalg.norm(joints[:, JOINT_INDEX[first]] - joints[:, JOINT_INDEX[second]], axis=1)
        assert np.ptp(length) < 1e-9, (first, second)
        assert 0.03 < length[0] < 0.6
    velocity = np.diff(joints, axis=0) / 0.01
    speed = np.linalg.norm(velocity, axis=2)
    assert 0.5 < speed.max() < 1.5
    assert np.linalg.norm(np.diff(velocity, axis=0), axis=2).max() / 0.01 < 30.0
    assert joints[..., 2].min() > 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_repetitions_in_order_within_a_minute(seed: int) -> None:
    athlete = Athlete(seed)
    repetitions = athlete.repetitions
    assert len(repetitions) == 10
    assert 45.0 < athlete.duration_s < 52.0
    assert 3.5 < repetitions[0].start_s < 4.5
    assert 2.5 < athlete.duration_s - repetitions[-1].end_s < 3.5
    for repetition in repetitions:
        assert repetition.start_s < repetition.turn_s < repetition.end_s
        assert 2.8 - 1e-9 <= repetition.end_s - repetition.start_s <= 4.8 + 1e-9
        assert repetition.confidence == 1.0
    for one, other in pairwise(repetitions):
        assert 0.2 <= other.start_s - one.end_s <= 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_hips_are_lowest_at_each_turn_and_still_outside(seed: int) -> None:
    athlete = Athlete(seed)
    hips = [JOINT_INDEX["right_hip"], JOINT_INDEX["left_hip"]]
    for repetition in athlete.repetitions:
        times = np.linspace(repetition.start_s, repetition.end_s, 2001)
        height = athlete.joints_m(times)[:, hips, 2].mean(axis=1)
        # Sway goes on during a repetition, so that the lowest point is only near the commanded turn.
        assert abs(times[np.argmin(height)] - repetition.turn_s) < 0.06
        assert 0.25 < height[0] - height.min() < 0.55
    rests = [np.linspace(one.end_s, other.start_s, 50) for one, other in pairwise(athlete.repetitions)]
    for rest in rests:
        height = athlete.joints_m(rest)[:, hips, 2].mean(axis=1)
        assert np.ptp(height) < 0.01


def test_motion_leaves_zero_speed_smoothly(athlete: Athlete) -> None:
    repetition = athlete.repetitions[3]
    times = repetition.start_s + np.linspace(0.0, 0.1, 11)
    drop = athlete.joints_m(repetition.start_s)[0, 11, 2] - athlete.joints_m(times)[:, 11, 2]
    # A minimum-jerk start grows with the cube of time: after 0.1 s next to nothing has happened.
    assert np.abs(drop).max() < 0.003


def test_the_right_side_is_at_the_athletes_right_and_the_athlete_faces_ahead(athlete: Athlete) -> None:
    joints = athlete.joints_m(np.linspace(0.0, athlete.duration_s, 200))
    for name in ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "heel", "toe"):
        right, left = joints[:, JOINT_INDEX[f"right_{name}"], 0], joints[:, JOINT_INDEX[f"left_{name}"], 0]
        assert np.all(right - left > 0.1), name
    for side in ("right", "left"):
        assert np.all(joints[:, JOINT_INDEX[f"{side}_toe"], 1] > joints[:, JOINT_INDEX[f"{side}_heel"], 1])
        knee = joints[:, JOINT_INDEX[f"{side}_knee"]]
        assert np.all(knee[:, 1] > joints[:, JOINT_INDEX[f"{side}_hip"], 1])


def test_the_bar_stays_above_the_feet(athlete: Athlete) -> None:
    joints = athlete.joints_m(np.linspace(0.0, athlete.duration_s, 500))
    bar = 0.5 * (joints[:, JOINT_INDEX["right_hand"], 1] + joints[:, JOINT_INDEX["left_hand"], 1])
    heel = joints[:, [JOINT_INDEX["right_heel"], JOINT_INDEX["left_heel"]], 1].mean(axis=1)
    toe = joints[:, [JOINT_INDEX["right_toe"], JOINT_INDEX["left_toe"]], 1].mean(axis=1)
    assert np.all((heel < bar) & (bar < toe))


def test_fidgets_move_the_body_outside_the_set(athlete: Athlete) -> None:
    before = athlete.joints_m(np.arange(0.0, athlete.repetitions[0].start_s, 0.01))
    after = athlete.joints_m(np.arange(athlete.repetitions[-1].end_s, athlete.duration_s, 0.01))
    for quiet in (before, after):
        assert np.ptp(quiet[:, JOINT_INDEX["head"], 0]) > 0.02
        ankles = quiet[:, [JOINT_INDEX["right_ankle"], JOINT_INDEX["left_ankle"]], 2]
        assert np.ptp(ankles, axis=0).max() > 0.02  # a half-step
    assert np.ptp(before[:, JOINT_INDEX["right_elbow"], 2]) > 0.005


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_some_times_give_what_all_times_give(times: list[float]) -> None:
    athlete = Athlete(3, repetitions=2)
    together = athlete.sample(times)
    for index, time in enumerate(times):
        alone = athlete.sample(time)
        np.testing.assert_allclose(alone.joints_m[0], together.joints_m[index], rtol=0, atol=1e-9)
        np.testing.assert_allclose(alone.activation[0], together.activation[index], rtol=0, atol=1e-9)
        np.testing.assert_allclose(alone.heart_rate_bpm[0], together.heart_rate_bpm[index], rtol=0, atol=1e-6)
        np.testing.assert_allclose(alone.breath_rate_bpm[0], together.breath_rate_bpm[index], rtol=0, atol=1e-9)
    assert np.all(np.isfinite(together.joints_m))


def test_the_seed_alone_decides(athlete: Athlete) -> None:
    times = np.linspace(0.0, 40.0, 400)
    np.testing.assert_array_equal(Athlete(1).joints_m(times), athlete.joints_m(times))
    assert Athlete(1).repetitions == athlete.repetitions
    assert Athlete(2).repetitions != athlete.repetitions
    # Pinned, so that a recording of today is explained by the code of next year: 1 mm on the knee, 1 ms on the turn.
    assert athlete.repetitions[0].turn_s == pytest.approx(PINNED_TURN_S, abs=1e-3)
    np.testing.assert_allclose(athlete.joints_m(10.0)[0, JOINT_INDEX["right_knee"]], PINNED_KNEE_M, rtol=0, atol=1e-3)


def test_the_athlete_stands_before_and_after(athlete: Athlete) -> None:
    hip = JOINT_INDEX["left_hip"]
    standing = athlete.joints_m([-1000.0, -5.0, athlete.duration_s + 5.0, athlete.duration_s + 1e5])[:, hip, 2]
    assert np.ptp(standing) < 0.01
    assert standing.min() > 0.85


def test_muscles_work_harder_on_the_way_up(athlete: Athlete) -> None:
    labels = list(ACTIVATION_LABELS)
    assert len(labels) == len(set(labels)) == 16
    whole = athlete.activation(np.arange(0.0, athlete.duration_s, 0.01))
    assert whole.shape[1] == 16
    assert whole.min() >= 0.0
    assert whole.max() <= 1.0
    for repetition in athlete.repetitions:
        # At the same depth, half way down and half way up, lifting takes more than lowering.
        depths = athlete.joints_m(np.linspace(repetition.start_s, repetition.end_s, 400))[:, JOINT_INDEX["left_hip"], 2]
        times = np.linspace(repetition.start_s, repetition.end_s, 400)[depths < (depths.max() + depths.min()) / 2]
        # Muscles are active 60 ms ahead of the motion that they make.
        down, up = athlete.activation(times[[0, -1]] - 0.06)
        for side in "LR":
            for muscle in ("vastus_lateralis", "gluteus_maximus", "biceps_femoris"):
                column = labels.index(f"{side} {muscle}")
                assert up[column] > 1.3 * down[column]
    still = athlete.activation([athlete.repetitions[0].start_s - 0.2])[0]
    assert still.max() < 0.15
    assert still.min() > 0.005


def test_heart_and_breath_rise_with_work_and_fall_after(athlete: Athlete) -> None:
    heart, breath = athlete.rates_bpm(np.array([0.0, 1.0, athlete.repetitions[-1].end_s, athlete.duration_s + 300.0]))
    assert 70 < heart[0] < 80
    assert 112 < heart[2] < 126
    assert heart[3] < 82
    assert 12.5 < breath[0] < 15.5
    assert 22 < breath[2] < 25.5
    assert breath[3] < 15.5
    slow = athlete.rates_bpm(np.arange(0.0, athlete.duration_s, 0.1))[0]
    assert np.abs(np.diff(slow)).max() < 1.0


@pytest.mark.parametrize("count", [1, 3, 25])
def test_any_count_can_be_asked_for(count: int) -> None:
    athlete = Athlete(5, repetitions=count)
    assert len(athlete.repetitions) == count
    assert np.all(np.isfinite(athlete.joints_m(np.linspace(0.0, athlete.duration_s, 300))))


@pytest.mark.parametrize("action", ["A21", "squat", ""])
def test_an_action_without_a_simulation_is_refused(action: str) -> None:
    with pytest.raises(RequestError, match="no simulated athlete for action") as caught:
        Athlete(1, action)
    assert len(caught.value.problems) == 1
    assert "A16" in str(caught.value)


@pytest.mark.parametrize(("seed", "repetitions"), [(-1, 10), (1, 0)])
def test_an_impossible_athlete_is_refused(seed: int, repetitions: int) -> None:
    with pytest.raises(RequestError):
        Athlete(seed, repetitions=repetitions)


def test_all_joints_are_apart(athlete: Athlete) -> None:
    joints = athlete.joints_m([0.0, athlete.repetitions[0].turn_s])
    for pose in joints:
        apart = np.linalg.norm(pose[:, None] - pose[None, :], axis=2) + np.eye(len(JOINTS))
        assert apart.min() > 0.03
