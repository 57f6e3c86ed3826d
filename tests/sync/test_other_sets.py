"""A recording that holds several sets says so; what is found stays what it was."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.athlete import Athlete
from lab.actions import ACTIONS
from sync.repetitions import find_repetitions

RATE_HZ = 50.0
SAID = re.compile(r"another set of about (\d+) like repetitions lies between (\d+) and (\d+) s after the recording's")


def performed(
    action: str, counts: list[int], rest_s: float, seed: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float]]]:
    """Return times, poses and for each set its first start and last end in seconds, sets with rests between."""
    poses: list[np.ndarray] = []
    spans = []
    rng = np.random.default_rng(seed)
    for count in counts:
        athlete = Athlete(seed, action, count, "amateur")
        joints_m = athlete.joints_m(np.arange(0.0, athlete.duration_s, 1 / RATE_HZ))
        if poses:
            part = np.linspace(0.0, 1.0, round(rest_s * RATE_HZ))[:, None, None]
            poses.append(poses[-1][-1] * (1 - part) + joints_m[0] * part)
        begin_s = sum(map(len, poses)) / RATE_HZ
        spans.append((begin_s + athlete.repetitions[0].start_s, begin_s + athlete.repetitions[-1].end_s))
        poses.append(joints_m)
    joints_m = np.concatenate(poses)
    joints_m = joints_m + rng.normal(0.0, 3e-4, joints_m.shape)
    return 4000.0 + np.arange(len(joints_m)) / RATE_HZ, joints_m, spans


def said(doubts: tuple[str, ...]) -> list[tuple[int, ...]]:
    return [tuple(map(int, found.groups())) for doubt in doubts if (found := SAID.match(doubt))]


@settings(deadline=None, max_examples=4)
@given(
    action=st.sampled_from([action for action, its in ACTIONS.items() if its.sides == "together"]),
    smaller=st.integers(4, 6),
    larger=st.integers(9, 11),
    swapped=st.booleans(),
    rest_s=st.floats(12.0, 40.0),
    seed=st.integers(700, 720),
)
def test_the_smaller_of_two_sets_is_said_with_its_count_and_place(
    action: str, smaller: int, larger: int, *, swapped: bool, rest_s: float, seed: int
) -> None:
    counts = [larger, smaller] if swapped else [smaller, larger]
    time_s, joints_m, spans = performed(action, counts, rest_s, seed)
    found = find_repetitions(time_s, joints_m)
    assert found.found == larger
    ((count, first_s, last_s),) = said(found.doubts)
    assert abs(count - smaller) <= 1
    begin_s, end_s = spans[1 if swapped else 0]
    assert abs(first_s - begin_s) < 6
    assert abs(last_s - end_s) < 6


def test_of_three_sets_the_two_others_are_said() -> None:
    time_s, joints_m, spans = performed("A16", [5, 10, 4], 20.0, 3)
    found = find_repetitions(time_s, joints_m, 10)
    assert found.found == 10
    others = said(found.doubts)
    assert [count for count, _, _ in others] == [5, 4]
    for (_, first_s, last_s), (begin_s, end_s) in zip(others, spans[::2], strict=True):
        assert abs(first_s - begin_s) < 2
        assert abs(last_s - end_s) < 2


def test_both_sides_of_another_set_count() -> None:
    time_s, joints_m, _ = performed("A18", [10, 6], 20.0, 402)
    found = find_repetitions(time_s, joints_m, 10, in_turn=True)
    assert found.found == 10
    assert [count for count, _, _ in said(found.doubts)] in ([5], [6])


@pytest.mark.parametrize("action", ["A01", "A08", "A11", "A16"])
def test_one_set_alone_has_no_other(action: str) -> None:
    time_s, joints_m, _ = performed(action, [10], 0.0, 5)
    assert said(find_repetitions(time_s, joints_m, 10, in_turn=ACTIONS[action].sides != "together").doubts) == []
