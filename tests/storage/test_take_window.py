"""A part of a recording: what lies between two session times, unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.recorded import RecordedStream, RecordedTake
from lab.streams import Channel
from storage.take_window import rough_session_s, within


def stream(stamps: np.ndarray, probes: np.ndarray, chunk: int = 7) -> RecordedStream:
    count = np.arange(len(stamps), dtype=np.int64)
    return RecordedStream(
        name="emg", device="emg", source_id="", host="", content_type="EMG", channels=(Channel("one"),),
        rate_hz=100.0, format="float32", counter_origin="device", counter_modulus=2**24, simulated=False, video=None,
        stamps=stamps, values=count[:, None].astype("f4"), counter=count, chunk_last=count[chunk - 1 :: chunk],
        clock_rows=np.column_stack((count, stamps, stamps)), probes=probes,
        probe_after=np.searchsorted(stamps, probes[:, 0]),
    )  # fmt: skip


def take(one: RecordedStream) -> RecordedTake:
    return RecordedTake(folder=None, record=None, streams=(one,), views=(), digest="")


@given(
    offset_s=st.floats(-1e6, 1e6),
    drift=st.floats(-1e-4, 1e-4),
    count=st.integers(0, 300),
    low=st.floats(-1, 4),
    length=st.floats(0, 4),
)
def test_a_part_is_what_lies_between_and_nothing_is_changed(
    offset_s: float, drift: float, count: int, low: float, length: float
) -> None:
    stamps = 1000.0 + 0.01 * np.arange(count)
    probed_s = np.arange(998.0, 1006.0)
    probes = np.column_stack((probed_s, offset_s + drift * (probed_s - 1000.0), np.full(8, np.nan)))
    whole = stream(stamps, probes)
    begin_s = offset_s + 1000.0
    (part,) = within(take(whole), begin_s + low, begin_s + low + length).streams
    session_s = stamps + offset_s + drift * (stamps - 1000.0)
    far = (np.abs(session_s - begin_s - low) > 1e-6) & (np.abs(session_s - begin_s - low - length) > 1e-6)
    inside = (session_s >= begin_s + low) & (session_s <= begin_s + low + length)
    kept = np.isin(whole.counter, part.counter)
    np.testing.assert_array_equal(kept[far], inside[far])
    np.testing.assert_array_equal(part.values[:, 0], part.counter)
    np.testing.assert_array_equal(part.stamps, stamps[part.counter])
    assert len(part.probes) == len(probes)
    first = int(part.counter[0]) if len(part.counter) else 0
    assert set(part.chunk_last + first) <= set(whole.chunk_last)
    assert bool(((part.probe_after >= 0) & (part.probe_after <= len(part.stamps))).all())
    assert bool(np.isin(part.counter, part.clock_rows[:, 0]).all())


def test_without_borders_it_is_the_take_itself() -> None:
    one = take(stream(np.arange(5.0), np.zeros((0, 3))))
    assert within(one, None, None) is one


def test_a_probe_that_is_no_measurement_moves_nothing() -> None:
    stamps = np.arange(0.0, 60.0, 0.5)
    probes = np.column_stack((np.arange(0.0, 60.0, 5.0), np.full(12, 100.0)))
    probes[4, 1], probes[7, 0], probes[9, 1] = -1e7, np.nan, 1e300
    np.testing.assert_allclose(rough_session_s(stamps, probes), stamps + 100.0)
    assert np.isnan(rough_session_s([np.nan, 1e300, 5.0], probes)).tolist() == [True, True, False]
    np.testing.assert_array_equal(rough_session_s(stamps, np.zeros((0, 2))), stamps)


@pytest.mark.parametrize("step_s", [-4000.0, 30.0, 1e9])
@pytest.mark.parametrize("known", [True, False])
def test_probes_of_another_run_of_the_clock_are_left_out(step_s: float, known: bool) -> None:
    """Session time runs from 0 to 100 s; the host's clock, which began at 5000 s, is set by ``step_s`` at 50.5 s."""
    session_s = np.arange(0.0, 100.0, 0.1)
    set_by_s = np.where(session_s > 50.5, step_s, 0.0)
    probed_s = np.arange(0.0, 100.0, 5.0)
    offset_s = -5000.0 - np.where(probed_s > 50.5, step_s, 0.0)
    probes = np.column_stack((probed_s - offset_s, offset_s, np.full(20, np.nan)))
    probes[4, 1] = 1e6  # no measurement
    whole = stream(session_s + 5000.0 + set_by_s, probes)
    after = np.searchsorted(session_s, probed_s) if known else np.zeros(0, dtype=np.int64)
    whole = replace(whole, probe_after=after)
    for low_s, high_s, runs in ((51.0, 99.0, "after"), (0.0, 50.0, "before"), (20.0, 80.0, "both")):
        (part,) = within(take(whole), low_s, high_s).streams
        kept = {"before": probed_s <= 50.5, "after": probed_s > 50.5, "both": probed_s >= 0}[runs]
        good = kept & (np.arange(20) != 4)
        assert set(probes[good, 0]) <= set(part.probes[:, 0]) <= set(probes[kept, 0])
        assert len(part.probe_after) == (len(part.probes) if known else 0)


def test_a_clock_that_was_reset_keeps_each_run_where_it_is() -> None:
    stamps = np.concatenate((5000.0 + np.arange(10.0), np.arange(10.0)))
    probes = np.array([[5000.0, 1.0], [5005.0, 1.0], [5010.0, 1.0], [0.0, 5021.0], [5.0, 5021.0], [10.0, 5021.0]])
    np.testing.assert_allclose(
        rough_session_s(stamps, probes), np.concatenate((5001.0 + np.arange(10), 5021.0 + np.arange(10)))
    )
