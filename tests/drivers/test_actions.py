"""Every action at every level: a body that could be one, and repetitions that are as they are said to be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from drivers.simulated.athlete import PERFORMANCES, Athlete
from drivers.simulated.drawing import View
from drivers.simulated.emg import SimulatedEmgConfig
from drivers.simulated.muscles import labels_of
from drivers.simulated.tempo import Mishaps
from lab.actions import ACTIONS, SKILLS, Skill
from lab.cameras import PinholeCamera
from lab.joints import BONES, JOINT_INDEX

FEET = [JOINT_INDEX[f"{side}_{part}"] for side in ("right", "left") for part in ("ankle", "heel", "toe")]


def test_every_action_can_be_performed() -> None:
    assert list(PERFORMANCES) == list(ACTIONS)


@pytest.mark.parametrize("skill", SKILLS)
@pytest.mark.parametrize("action", list(ACTIONS))
def test_a_body_that_could_be_one(action: str, skill: Skill) -> None:
    athlete = Athlete(2, action, 4, skill)
    times = np.arange(-1.0, athlete.duration_s + 1.0, 0.01)
    joints = athlete.joints_m(times)
    for first, second in BONES:
        length = np.linalg.norm(joints[:, JOINT_INDEX[first]] - joints[:, JOINT_INDEX[second]], axis=1)
        assert np.ptp(length) < 1e-9, (first, second)
    velocity = np.diff(joints, axis=0) / 0.01
    assert np.linalg.norm(velocity, axis=2).max() < 3.5
    assert np.linalg.norm(np.diff(velocity, axis=0), axis=2).max() / 0.01 < 60.0
    assert joints[..., 2].min() > 0.0
    inside = (times > athlete.repetitions[0].start_s) & (times < athlete.repetitions[-1].end_s)
    if ACTIONS[action].implement == "barbell":  # both hands stay where they hold the bar
        hands = joints[inside][:, JOINT_INDEX["right_hand"]] - joints[inside][:, JOINT_INDEX["left_hand"]]
        assert np.ptp(np.linalg.norm(hands, axis=1)) < 0.02
    feet = joints[inside][:, FEET]
    if ACTIONS[action].family != "lunge":
        assert np.ptp(feet, axis=0).max() < 1e-9
    assert len(athlete.repetitions) == 4
    for one, other in pairwise(athlete.repetitions):
        assert one.start_s < one.turn_s < one.end_s < other.start_s
        assert 2.8 - 1e-9 <= one.end_s - one.start_s <= 5.2 + 1e-9


@pytest.mark.parametrize("action", list(ACTIONS))
def test_the_target_muscles_work_on_the_side_that_works(action: str) -> None:
    athlete = Athlete(1, action, 4)
    labels, first = labels_of(action), athlete.repetitions[0]
    assert len(set(labels)) == 16
    during = athlete.activation(np.linspace(first.start_s, first.end_s, 200))
    assert during.min() >= 0.0
    assert during.max() <= 1.0
    peak = dict(zip(labels, during.max(axis=0), strict=True))
    for target in ACTIONS[action].targets:
        assert peak[f"R {target}"] > 0.3
        if ACTIONS[action].sides == "right_then_left":
            assert peak[f"L {target}"] < 0.5 * peak[f"R {target}"]


def test_skill_shows() -> None:
    novice, expert = (Athlete(4, "A01", 10, skill) for skill in ("novice", "expert"))
    assert novice.duration_s > expert.duration_s
    reach = []
    for athlete in (novice, expert):
        turns = [one.turn_s for one in athlete.repetitions]
        reach.append(np.mean(athlete.joints_m(turns)[:, JOINT_INDEX["right_hand"], 2]))
    assert reach[0] < reach[1] - 0.05


@pytest.mark.parametrize("action", ["A01", "A09", "A16", "A19"])
def test_mishaps_happen_only_when_asked_for(action: str) -> None:
    plain = Athlete(3, action, 10)
    athlete = Athlete(3, action, 10, "expert", Mishaps(partial=2, failed=1, paused=2))
    kinds = [one.doubts for one in athlete.repetitions]
    assert sorted(kinds) == [()] * 5 + [("failed",), ("partial",), ("partial",), ("paused",), ("paused",)]
    assert all(one.doubts == () for one in plain.repetitions)
    joints = athlete.joints_m(np.arange(0.0, athlete.duration_s, 0.01))
    assert np.all(np.isfinite(joints))
    assert np.linalg.norm(np.diff(joints, axis=0), axis=2).max() / 0.01 < 3.5
    whole = [one.end_s - one.start_s for one in athlete.repetitions if one.doubts == ()]
    paused = [one.end_s - one.start_s for one in athlete.repetitions if one.doubts == ("paused",)]
    assert min(paused) > np.median(whole) + 0.5


def test_the_config_says_how() -> None:
    config = SimulatedEmgConfig(action="A05", skill="novice", partial=1)
    assert config.mishaps == Mishaps(partial=1)


def test_more_mishaps_than_repetitions_are_refused() -> None:
    SimulatedEmgConfig(repetitions=3, partial=1, failed=1, paused=1)
    with pytest.raises(ValidationError, match="are 4 together, more than the 3 repetitions; ask for fewer"):
        SimulatedEmgConfig(repetitions=3, partial=1, failed=2, paused=1)


def test_dumbbells_are_not_a_barbell() -> None:
    camera = PinholeCamera.looking_at((0.9, 4.2, 1.4), (0.0, 0.0, 0.95), 640, 360, 550.0)
    joints = Athlete(1, "A06", 1).joints_m([5.0])[0]
    room = View(camera, "view1").draw(joints, 1).copy()
    other = View(camera, "view1", None, "dumbbell").draw(joints, 1)
    assert np.mean(np.any(room != other, axis=2)) > 0.005
