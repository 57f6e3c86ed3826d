"""What the layout computes: values at other times, frames of a view, names of channels, stable JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import flex_takes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.repetitions import Repetition
from lab.streams import Channel
from storage.flex.canonical import canonical_json
from storage.flex.frames import emg_columns
from storage.flex.paths import clip_file, frames_file, is_own_file, signals_file, take_of_frames_file
from storage.flex.resample import hold_last, interpolate, interpolate_each
from storage.flex.signals import signals_bytes
from storage.flex.view_frames import ViewFrames

times = st.lists(st.floats(0.001, 0.3), min_size=1, max_size=30).map(lambda steps: 1e5 + np.cumsum(steps))
queries = st.lists(st.floats(-1.0, 10.0), min_size=0, max_size=30).map(lambda at: 1e5 + np.sort(np.array(at)))


@given(times, queries, st.randoms(use_true_random=False))
def test_interpolation_is_linear_within_short_gaps_and_absent_elsewhere(time_s, at_s, random) -> None:
    present = np.array([random.random() < 0.8 for _ in time_s])
    values = np.stack([3.0 * (time_s - 1e5), -(time_s - 1e5)], axis=1)
    values[~present, random.randrange(2)] = np.nan
    found = interpolate(time_s, values, at_s, 0.1)
    known_s = time_s[present]
    for at, row in zip(at_s, found, strict=True):
        before, after = known_s[known_s <= at], known_s[known_s >= at]
        near = len(before) and len(after) and after[0] - before[-1] <= 0.1 * (1 + 1e-9)  # 0.1 but for rounding
        if near:
            assert row == pytest.approx([3.0 * (at - 1e5), -(at - 1e5)], abs=1e-6)
        else:
            assert np.isnan(row).all()


@given(times, queries, st.booleans(), st.randoms(use_true_random=False))
def test_things_that_come_and_go_are_interpolated_each_on_its_own(time_s, at_s, whole, random) -> None:
    values = np.array([[[random.random() for _ in range(3)] for _ in range(2)] for _ in time_s])
    if not whole:
        values[[random.random() < 0.3 for _ in time_s], 0, 1] = np.nan
    found = interpolate_each(time_s, values, at_s, 0.1)
    for thing in range(2):
        np.testing.assert_array_equal(found[:, thing], interpolate(time_s, values[:, thing], at_s, 0.1))


@given(times, queries)
def test_a_held_value_is_the_last_one_and_not_too_old(time_s, at_s) -> None:
    found = hold_last(time_s, time_s, at_s, 0.5)
    for at, value in zip(at_s, found, strict=True):
        before = time_s[time_s <= at]
        if len(before) and at - before[-1] <= 0.5:
            assert value == before[-1]
        else:
            assert math.isnan(value)


def test_a_value_that_is_not_a_number_is_not_held() -> None:
    held = hold_last(np.array([1.0, 2.0]), np.array([60.0, np.nan]), np.array([0.5, 1.5, 2.5]), 10.0)
    np.testing.assert_array_equal(held, [np.nan, 60.0, 60.0])


def test_values_of_an_empty_stream_are_absent() -> None:
    empty, at_s = np.empty(0), np.array([1.0, 2.0])
    assert np.isnan(interpolate(empty, np.empty((0, 2)), at_s, 0.1)).all()
    assert np.isnan(hold_last(empty, empty, at_s, 1.0)).all()


@given(times, queries)
def test_the_nearest_frame_is_the_nearest(time_s, at_s) -> None:
    view = ViewFrames(time_s, np.arange(len(time_s)), len(time_s), 0.1)
    for at, position in zip(at_s, view.nearest(at_s), strict=True):
        assert abs(time_s[position] - at) == np.abs(time_s - at).min()


def test_frames_that_are_not_in_the_video_or_do_not_advance_are_left_out() -> None:
    view = flex_takes.make_view("view1", missing=(2,))
    time_s = view.time_s.copy()
    time_s[5] = time_s[4]
    time_s[7] = np.nan
    frames = ViewFrames.of(replace(view, time_s=time_s))
    assert list(frames.index[:6]) == [0, 1, 2, 3, 5, 7]
    assert frames.count == flex_takes.FRAMES
    assert (np.diff(frames.time_s) > 0).all()


def test_without_a_rate_the_period_is_measured() -> None:
    view = replace(flex_takes.make_view("view1"), rate_hz=float("nan"))
    assert ViewFrames.of(view).period_s == pytest.approx(1 / flex_takes.FPS)


def test_a_view_without_frames_covers_nothing() -> None:
    view = flex_takes.make_view("view1")
    frames = ViewFrames.of(replace(view, index=np.full_like(view.index, -1)))
    assert frames.count == 0
    assert frames.bounds_of(Repetition(1000.0, 1001.0, 1002.0, 1.0)) is None
    np.testing.assert_array_equal(frames.index_at(np.array([1000.0])), [-1])


@pytest.mark.parametrize(
    ("repetition", "bounds"),
    [
        (Repetition(1000.51, 1001.0, 1002.0, 1.0), (15, 30, 60)),
        (Repetition(999.95, 1001.0, 1002.0, 1.0), (0, 30, 60)),
        (Repetition(999.80, 1001.0, 1002.0, 1.0), None),  # begins before the first frame
        (Repetition(1008.0, 1009.0, 1010.2, 1.0), None),  # ends after the last one
        (Repetition(1001.0, 1001.01, 1002.0, 1.0), None),  # has no frame between start and turn
    ],
)
def test_bounds_are_the_nearest_frames_or_none(repetition: Repetition, bounds: tuple[int, int, int] | None) -> None:
    assert ViewFrames.of(flex_takes.make_view("view1")).bounds_of(repetition) == bounds


@given(st.lists(st.text(max_size=8), max_size=12))
def test_every_channel_has_a_plain_name_of_its_own(labels: list[str]) -> None:
    columns = emg_columns([Channel(label) for label in labels])
    names = [column.name for column in columns]
    assert len(set(names)) == len(labels)
    assert all(name.isascii() and name == name.lower() and name.replace("_", "a").isalnum() for name in names)
    assert [column.label for column in columns] == labels


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(scalars, lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=5), part))


@given(values)
def test_stable_json_is_json_and_does_not_depend_on_order(value: object) -> None:
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == text


def test_file_names_are_recognised_as_own() -> None:
    place = ("A16", "S12", "S12_20261122-0930_A16-01", "0123456789ab")
    own = [frames_file(*place), signals_file(*place), clip_file(*place, 3, "view5"), clip_file(*place, 100, "view1")]
    assert all(is_own_file(file) for file in own)
    assert all(is_own_file(f"{file}.part") and is_own_file(f"{file}.tmp-123") for file in own)
    assert take_of_frames_file(own[0]) == place[2:]
    strange = ("frames/x/notes.txt", "video/x/holiday.mov", "signals/a.h5", "frames/a.part1.parquet", "video/tmp")
    assert not any(is_own_file(file) for file in strange)


def test_a_profiler_that_holds_frames_changes_no_byte() -> None:
    """A thread that looks at frames keeps what they hold alive; Dask's workers have one."""
    import sys
    import threading
    import time

    take, repetitions = flex_takes.make_take(cameras=False), flex_takes.make_segmentation().repetitions
    expected = signals_bytes(take, repetitions, "0" * 12)
    stop, watched = threading.Event(), threading.get_ident()

    def look() -> None:
        while not stop.is_set():
            frame = sys._current_frames()[watched]
            held = []
            while frame is not None:
                held.append(frame)
                frame = frame.f_back
            time.sleep(0.002)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        assert {signals_bytes(take, repetitions, "0" * 12) == expected for _ in range(40)} == {True}
    finally:
        stop.set()
        watcher.join()
