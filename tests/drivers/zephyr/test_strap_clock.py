"""The short count made long, and days that go on over midnight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.zephyr.strap_clock import PacketCount, StrapClock


@given(
    period_s=st.sampled_from((0.252, 0.4, 1.0, 1.008)),
    first=st.integers(0, 10**7),
    offset=st.integers(0, 255),
    steps=st.lists(st.integers(1, 200_000), min_size=1, max_size=20),
    drift=st.floats(-200e-6, 200e-6),
    jitter=st.floats(-0.05, 0.05),
)
def test_gaps_of_any_length_are_counted_exactly(
    period_s: float, first: int, offset: int, steps: list[int], drift: float, jitter: float
) -> None:
    count, number, last = PacketCount(period_s), first, None
    for index, step in enumerate((0, *steps)):
        number += step
        time_s = number * period_s * (1 + drift) + jitter * (index % 2)
        told = count.number((number + offset) % 256, time_s)
        assert told is not None
        assert last is None or told - last == step
        last = told


@pytest.mark.parametrize("gap_s", [3.0, 60.0, 3600.0])
def test_a_driver_that_is_started_again_goes_on_counting(gap_s: float) -> None:
    before, period_s, at_s = PacketCount(0.252), 0.252, 8.5e8
    told = [before.number((17 + number) % 256, at_s + number * period_s) for number in range(100)]
    later = 99 + round(gap_s / period_s)
    again = PacketCount(0.252).number((17 + later) % 256, at_s + later * period_s * (1 + 166e-6))
    assert told[-1] is not None
    assert again == told[-1] + later - 99


def test_a_packet_that_comes_twice_counts_once() -> None:
    count = PacketCount(1.0)
    assert count.number(5, 1000.0) is not None
    assert count.number(5, 1000.0) is None


@pytest.mark.parametrize("back_s", [1.0, 300.0, 1e6])
def test_a_clock_that_was_set_back_does_not_count_backwards(back_s: float) -> None:
    count = PacketCount(1.0)
    first = count.number(5, 5e6)
    assert first is not None
    assert count.number(8, 5e6 - back_s) == first + 3
    assert count.number(9, 5e6 - back_s + 1) == first + 4


def test_midnight_with_a_date_is_no_more_than_a_second() -> None:
    clock = StrapClock()
    day_s = 9822 * 86400.0
    assert clock.time_s(day_s + 86399.5) == day_s + 86399.5
    assert clock.time_s(day_s + 86400.5) == day_s + 86400.5


def test_midnight_with_a_date_that_changes_late() -> None:
    clock = StrapClock()
    day_s = 9822 * 86400.0
    clock.time_s(day_s + 86399.5)
    assert clock.time_s(day_s + 0.5) == day_s + 86400.5
    assert clock.time_s(day_s + 86401.5) == day_s + 86401.5


def test_midnight_without_a_date_for_days_on_end() -> None:
    clock = StrapClock()
    for hours in range(0, 24 * 9, 3):
        assert clock.time_s(hours * 3600.0 % 86400) == hours * 3600.0


def test_packets_of_other_kinds_are_stamped_a_little_earlier() -> None:
    clock = StrapClock()
    clock.time_s(86400.2)
    assert clock.time_s(86399.4) == 86399.4
