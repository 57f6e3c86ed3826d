"""Every hardship of a set and every sensor that may see it: found, with the count told and without."""

from __future__ import annotations

import numpy as np
import pytest

from lab.actions import ACTIONS
from lab.motion_signal import MotionSignal
from lab.repetitions import Segmentation
from sync.signal_repetitions import find_in_signals

#: None of these seeds was looked at while anything was chosen.
SEED = 611

NAMES = (
    "plain",
    "walking in, racking",
    "pauses at the base, 0.5-6 s",
    "pauses at the turn, 0.5-4 s",
    "1 s a repetition",
    "10 s a repetition",
    "from 2 s to 7 s in a set",
    "tempo at random, 2 to 6 s",
    "two shallow",
    "two failed",
    "two failed, two shallow",
    "no rest between",
    "the body drifts",
    "markers missing",
    "right, left, right, left",
    "upside down",
)
SENSORS = (
    "optical positions",
    "depth camera, 30 Hz",
    "joint angles that flip",
    "five IMUs, 25 Hz",
    "goniometer",
    "sEMG",
)


def found_in(scene, expected: int | None) -> Segmentation:
    values = scene.joints_m.reshape(len(scene.time_s), -1)
    return find_in_signals([MotionSignal("pose", "positions", scene.time_s, values, ())], expected)


def times(found: Segmentation) -> np.ndarray:
    return np.array([(one.start_s, one.turn_s, one.end_s) for one in found.repetitions]).reshape(-1, 3)


def test_no_scenario_is_forgotten() -> None:
    from hardships import HARDSHIPS

    assert tuple(HARDSHIPS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_hardship_is_met(name: str) -> None:
    from hardships import HARDSHIPS
    from set_scores import matches

    action = "A11" if name.startswith("right, left") else "A16"
    scene = HARDSHIPS[name](action, "amateur", SEED)
    assert len(scene.truth) == 10
    for expected in (10, None):
        found = found_in(scene, expected)
        assert found.found == 10, found.doubts
        errors = matches(times(found), scene.truth)
        assert len(errors) == 10
        assert np.median(np.abs(errors)) < 0.1


@pytest.mark.parametrize("count", [8, 12])
@pytest.mark.parametrize("action", ["A01", "A14"])
def test_eight_and_twelve_are_not_made_ten(action: str, count: int) -> None:
    from hardships import walking_in

    found = found_in(walking_in(action, "novice", SEED, count), 10)
    assert found.found == count
    assert f"{count} repetitions found where 10 were expected" in found.doubts


def test_what_goes_wrong_is_named() -> None:
    from hardships import HARDSHIPS

    found = found_in(HARDSHIPS["two failed, two shallow"]("A16", "expert", SEED), 10)
    said = [" ".join(one.doubts) for one in found.repetitions]
    assert sum("shallower" in one for one in said) == 2
    assert sum("tries again" in one for one in said) == 2


@pytest.mark.parametrize("name", SENSORS)
def test_other_sensors_see_the_same_set(name: str) -> None:
    from sensor_views import SENSORS as VIEWS
    from set_scores import matches

    from drivers.simulated.athlete import Athlete

    athlete = Athlete(SEED, "A10", 10, "amateur")
    truth = np.array([(one.start_s, one.turn_s, one.end_s) for one in athlete.repetitions])
    signals = VIEWS[name](athlete, "A10", SEED)
    for expected in (10, None):
        found = find_in_signals(signals, expected)
        assert found.found == 10, found.doubts
        assert len(matches(times(found), truth)) >= 9
        assert any("sEMG" in doubt for doubt in found.doubts) == (name == "sEMG")
    flipped = [
        MotionSignal(one.name, one.kind, one.time_s, -np.asarray(one.values), one.labels)
        for one in signals
        if one.kind != "angle"
    ]
    if flipped:  # upside down, it is the same set
        again = times(find_in_signals(flipped, 10))
        assert again == pytest.approx(times(find_in_signals(signals, 10)), abs=0.02)


def test_the_peers_and_the_scores_can_fail() -> None:
    from set_scores import Scores
    from simple_segmenters import by_peaks, by_threshold

    time_s = np.arange(0, 20, 0.02)
    signal = np.clip(np.sin(2 * np.pi * time_s / 4), 0, None)
    truth = np.array([(4 * k, 4 * k + 1, 4 * k + 2) for k in range(5)], dtype=float)
    for method in (by_peaks, by_threshold):
        assert len(method(time_s, signal)) == 5
        assert len(method(time_s, np.zeros_like(signal))) == 0
    scores = Scores()
    scores.add(truth + 0.1, truth)
    scores.add(truth[:4], truth, name="short")
    assert (scores.sets, scores.exact, scores.perfect, scores.matched) == (2, 1, 1, 9)
    assert scores.f1 == pytest.approx(18 / 19)
    assert scores.wrong == ["short: 4 of 5"]
    assert scores.boundary_ms() == pytest.approx(100)


def test_the_actions_that_alternate_are_those_of_one_side() -> None:
    from hardships import alternating, plain

    assert ACTIONS["A11"].sides == "right_then_left"
    same, other = plain("A11", "expert", SEED), alternating("A11", "expert", SEED)
    assert same.joints_m.shape == other.joints_m.shape
    assert np.abs(same.joints_m - other.joints_m).max() > 0.2
