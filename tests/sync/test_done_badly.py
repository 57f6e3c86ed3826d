"""What goes wrong in a set is counted and named; what goes well is neither doubted nor added to."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.simulated.athlete import Athlete
from drivers.simulated.tempo import Mishaps
from lab.actions import ACTIONS, SKILLS, Skill
from lab.repetitions import Repetition, Segmentation
from sync.candidates import Candidate
from sync.done_badly import what_is_odd, with_missed
from sync.drive_signal import Body
from sync.repetitions import find_repetitions

SHALLOW, AGAIN, LONG = "it is shallower than the others", "it comes back on the way and tries again", "it takes 1."


def performed(
    action: str, skill: Skill, seed: int, mishaps: Mishaps, expected: int | None = 10
) -> tuple[tuple[Repetition, ...], Segmentation]:
    athlete = Athlete(seed, action, 10, skill, mishaps)
    time_s = np.arange(0, athlete.duration_s, 0.01)
    joints_m = athlete.joints_m(time_s) + np.random.default_rng(seed).normal(0, 3e-4, (len(time_s), 21, 3))
    in_turn = ACTIONS[action].sides == "right_then_left"
    return athlete.repetitions, find_repetitions(time_s, joints_m, expected, in_turn=in_turn)


@pytest.mark.parametrize("action", list(ACTIONS))
def test_a_failed_repetition_is_counted_and_named(action: str) -> None:
    truth, found = performed(action, SKILLS[int(action[1:]) % 3], 210, Mishaps(failed=1))
    assert found.found == 10
    for one, other in zip(truth, found.repetitions, strict=True):
        assert min(one.end_s, other.end_s) - max(one.start_s, other.start_s) > 0.7 * (one.end_s - one.start_s)
        said = " ".join(other.doubts)
        if not one.doubts:
            assert said == ""
        elif ACTIONS[action].phases[0] == "concentric":  # given up half-way
            assert SHALLOW in said
        else:
            assert AGAIN in said


@pytest.mark.parametrize("action", ["A01", "A09", "A14", "A16", "A18"])
def test_a_partial_repetition_is_counted_and_named(action: str) -> None:
    truth, found = performed(action, "amateur", 211, Mishaps(partial=2))
    assert found.found == 10
    for one, other in zip(truth, found.repetitions, strict=True):
        assert any(doubt.startswith(SHALLOW) for doubt in other.doubts) == (one.doubts == ("partial",))


def test_a_long_pause_is_named_and_parts_nothing() -> None:
    truth, found = performed("A03", "expert", 210, Mishaps(paused=2))
    assert found.found == 10
    long = [any(doubt.startswith(LONG) for doubt in one.doubts) for one in found.repetitions]
    assert any(long)
    assert all(one.doubts == ("paused",) for one, is_long in zip(truth, long, strict=True) if is_long)


def first_or_last(index: int) -> int:
    """Return a seed whose one mishap is repetition ``index``."""
    return next(
        seed for seed in range(99) if Athlete(seed, "A04", 10, "amateur", Mishaps(failed=1)).repetitions[index].doubts
    )


@pytest.mark.parametrize("index", [0, 9])
@pytest.mark.parametrize("action", ["A04", "A16"])
def test_also_at_the_ends_of_a_set(action: str, index: int) -> None:
    for mishaps in (Mishaps(failed=1), Mishaps(partial=1)):
        _, found = performed(action, "amateur", first_or_last(index), mishaps)
        assert found.found == 10
        assert found.repetitions[index].doubts


def test_the_second_attempt_has_the_turn() -> None:
    for seed in range(200, 204):
        truth, found = performed("A16", "expert", seed, Mishaps(failed=1))
        for one, other in zip(truth, found.repetitions, strict=True):
            assert other.turn_s == pytest.approx(one.turn_s, abs=0.25)


def test_without_an_expected_count_too() -> None:
    for mishaps in (Mishaps(failed=1), Mishaps(partial=1)):
        assert performed("A09", "novice", 212, mishaps, expected=None)[1].found == 10


def body_of(way: np.ndarray) -> Body:
    """A body whose shape goes ``way`` (n,) along its first component."""
    shape = np.stack((way, 0.1 * way), axis=1)
    points = np.stack((way, np.zeros_like(way), 0.5 * way), axis=1)
    return Body(np.arange(way.size) / 25, points, shape, np.abs(np.gradient(way)), np.arange(3))


def bell(samples: int, height: float) -> np.ndarray:
    return height * np.sin(np.linspace(0, np.pi, samples)) ** 2


def test_only_what_goes_their_way_is_missed() -> None:
    rest = np.zeros(20)
    for height, counted in ((0.5, 1), (0.2, 0), (-0.6, 0)):
        way = np.concatenate((rest, bell(80, 1.0), rest, bell(80, height), rest, bell(80, 1.0), rest))
        full = (Candidate(20, 60, 100, 1.0, 1.0), Candidate(220, 260, 300, 1.0, 1.0))
        found = with_missed(body_of(way), full)
        assert len(found) == 2 + counted
        assert found[0] == full[0]
        assert found[-1] == full[1]
        if counted:
            assert found[1].turn == pytest.approx(160, abs=2)


def test_a_pose_that_is_not_come_back_to_is_no_repetition() -> None:
    rest = np.zeros(20)
    up = bell(80, 1.0)[:40]
    way = np.concatenate((rest, bell(80, 1.0), rest, bell(80, 1.0), rest, up, np.full(80, up[-1])))
    full = (Candidate(20, 60, 100, 1.0, 1.0), Candidate(120, 160, 200, 1.0, 1.0))
    assert with_missed(body_of(way), full) == full


def test_one_or_two_are_compared_with_nothing() -> None:
    way = np.concatenate((bell(80, 1.0), bell(80, 0.4)))
    one, other = Candidate(0, 40, 79, 1.0, 1.0), Candidate(80, 120, 159, 1.0, 1.0)
    assert with_missed(body_of(way), (one,)) == (one,)
    assert what_is_odd(body_of(way), (one, other)) == [(), ()]
