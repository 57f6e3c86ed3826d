"""Repetitions counted while they are done: never off by more than one, and never in the way of the recording."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pylsl
import pytest

from capture.live_count import COARSE_HZ, CountTask, LiveCount, RunningCount, repetitions_so_far
from drivers.simulated.athlete import Athlete
from lab.actions import ACTIONS
from lab.joints import JOINTS
from lab.repetitions import Repetition
from lab.streams import Channel

CHANNELS = tuple(Channel(f"{joint}_{axis}", "meters", f"Position{axis}", joint) for joint in JOINTS for axis in "XYZ")


def played(action: str, skill: str, seed: int, repetitions: int = 10) -> tuple[Athlete, np.ndarray, np.ndarray]:
    athlete = Athlete(seed, action, repetitions, skill)
    time_s = np.arange(0.0, athlete.duration_s, 1 / COARSE_HZ)
    return athlete, time_s, athlete.joints_m(time_s)


@pytest.mark.parametrize(("action", "skill"), [("A16", "novice"), ("A01", "expert"), ("A11", "amateur")])
def test_at_no_moment_the_count_is_off_by_more_than_one(action: str, skill: str) -> None:
    athlete, time_s, joints_m = played(action, skill, 3)
    running = RunningCount()
    for end in range(60, time_s.size, 100):
        found = repetitions_so_far(time_s[:end], joints_m[:end], in_turn=ACTIONS[action].sides == "right_then_left")
        count = running.after(time_s[end - 1], found)
        over = sum(one.end_s <= time_s[end - 1] for one in athlete.repetitions)
        begun = sum(one.start_s <= time_s[end - 1] for one in athlete.repetitions)
        assert over - 1 <= count <= begun + 1, (time_s[end - 1], over, begun, count)


def of_length(count: int, seconds: float = 4.0) -> list[Repetition]:
    return [Repetition(5.0 * k, 5.0 * k + 2, 5.0 * k + seconds, 1.0) for k in range(count)]


def test_fewer_are_believed_once_they_have_been_found_for_as_long_as_a_repetition_takes() -> None:
    running = RunningCount()
    told = [
        running.after(float(at), of_length(count)) for at, count in enumerate([0, 1, 5, 2, 2, 5, 6, 4, 3, 4, 4, 4, 4])
    ]
    assert told == [0, 1, 5, 5, 5, 5, 6, 6, 6, 6, 6, 4, 4]


def test_the_second_side_takes_nothing_from_the_first() -> None:
    """A reverse lunge of which, at 43 and 44 s, pairs of the first side's repetitions look like one."""
    athlete, time_s, joints_m = played("A18", "novice", 500)
    joints_m = joints_m + np.random.default_rng(500).normal(0.0, 0.0003, joints_m.shape)
    running = RunningCount()
    for end in range(820, 901, 20):
        count = running.after(time_s[end - 1], repetitions_so_far(time_s[:end], joints_m[:end], in_turn=True))
        over = sum(one.end_s <= time_s[end - 1] for one in athlete.repetitions)
        begun = sum(one.start_s <= time_s[end - 1] for one in athlete.repetitions)
        assert over - 1 <= count <= begun + 1


@pytest.fixture
def counting() -> Iterator[list[LiveCount]]:
    begun: list[LiveCount] = []
    yield begun
    for one in begun:
        one.close()


def task(source_id: str) -> CountTask:
    configuration = Path(os.environ["LSLAPICFG"]).read_text(encoding="utf-8")
    return CountTask(source_id, CHANNELS, 100.0, None, in_turn=False, lsl_configuration=configuration)


def wait_for(count: LiveCount, wanted: int, seconds: float = 60.0) -> list[int | None]:
    seen: list[int | None] = []
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s and (not seen or seen[-1] != wanted):
        if not seen or seen[-1] != count.count:
            seen.append(count.count)
        time.sleep(0.05)
    return seen


def test_a_stream_is_counted_from_its_begin_on(counting: list[LiveCount]) -> None:
    _, time_s, joints_m = played("A16", "amateur", 1, 4)
    info = pylsl.StreamInfo("mocap", "MoCap", len(CHANNELS), 100.0, "float32", "counted-mocap")
    outlet = pylsl.StreamOutlet(info)
    count = LiveCount(task("counted-mocap"))
    counting.append(count)
    rows, stamps = joints_m.reshape(len(time_s), -1).astype(np.float32), time_s + pylsl.local_clock()
    assert count.count is None
    count.begin()
    assert outlet.wait_for_consumers(30.0)
    for row, stamp in zip(rows, stamps, strict=True):  # as fast as it goes: the stamps say when it was
        for part in range(5):
            outlet.push_sample(row, stamp + 0.2 * part / COARSE_HZ)
    assert wait_for(count, 4)[-1] == 4
    count.close()
    count.close()


def test_without_the_stream_nothing_is_counted_and_nothing_is_disturbed(counting: list[LiveCount]) -> None:
    count = LiveCount(task("nobody-has-this"))
    counting.append(count)
    count.begin()
    time.sleep(0.2)
    assert count.count is None
    count.close()
    count.hang_up()
    assert count.count is None
