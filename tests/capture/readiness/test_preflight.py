"""Before a take: how large it will be, whether it fits, and what else is looked at without playing anything."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pylsl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.readiness import free_memory, preflight
from capture.readiness.disk_room import LEFT_FREE_BYTES, DiskRoom, disk_room
from capture.readiness.preflight import begin_preflight, memory_problems, twin_problems
from capture.readiness.size_in_words import size_in_words
from capture.readiness.stream_listening import HeardStream, account
from capture.readiness.stream_rate import measure_rate
from capture.readiness.take_size import PastSize, TakeSize, past_sizes, take_size
from capture.rig_file import BoundRig, load_rig
from capture.running_take import TakePlan
from capture.stream_state import ExpectedStream
from capture.visible_streams import visible_streams
from lab.actions import ACTIONS
from lab.errors import RequestError
from lab.streams import Channel, CountingChannel, StreamSpec, VideoFormat
from small_rigs import CAMERA, MOCAP
from storage.take_folder import record_path

CAMERA_SPEC = StreamSpec("VideoCompressed", (), 30.0, video=VideoFormat("mjpeg", 1920, 1080))
EMG_SPEC = StreamSpec("EMG", tuple(Channel(f"m{number}") for number in range(16)), 2000.0)


def plan_of(raw: Path, rig: BoundRig, duration_s: float | None = None) -> TakePlan:
    return TakePlan("S12", "x", ACTIONS["A16"], None, None, 10, raw, rig, duration_s, truth=False)


# -- how large --------------------------------------------------------------------------------------------------


def test_what_was_never_measured_is_said_to_be_assumed() -> None:
    size = take_size([CAMERA_SPEC] * 5 + [EMG_SPEC], [], 10)
    assert "assumed for 5 x mjpeg 1920x1080, never measured here" in size.basis
    assert "assumed for 10 repetitions" in size.basis
    # 405 kB a frame were measured of a camera of this kind (docs/performance.md): within the bounds
    measured = 5 * 30 * 405_000
    assert size.bytes_a_second.low < measured < size.bytes_a_second.high
    streams = take_size([EMG_SPEC], [], 10)
    assert "assumed for 10 repetitions" in streams.basis
    assert "never measured" not in streams.basis
    assert streams.bytes_a_second.likely == pytest.approx(2000 * (9 + 17 * 4) + 100 * 33)
    unknown = StreamSpec("VideoRaw", (), 30.0, video=VideoFormat("rawvideo", 1920, 1080))
    assert take_size([unknown], [], 10).bytes_a_second.high > 3 * 1920 * 1080 * 30


def test_takes_before_it_count_more_than_assumptions_and_a_measurement_more_than_both() -> None:
    past = [PastSize(60_000_000, 60.0, 10), PastSize(100_000_000, 50.0, 10), PastSize(40_000_000, 40.0, 5)]
    size = take_size([CAMERA_SPEC], past, 10)
    assert (size.bytes_a_second.low, size.bytes_a_second.likely, size.bytes_a_second.high) == (1e6, 1e6, 2e6)
    assert (size.seconds.low, size.seconds.likely, size.seconds.high) == (50.0, 60.0, 80.0)  # five repetitions are ten
    assert "as in the last 3 takes" in size.basis
    measured = take_size([CAMERA_SPEC], past, 10, measured_bytes_a_second=5e6)
    assert measured.likely_bytes == 5e6 * 60
    assert "measured" in measured.basis
    # one short trial does not say how long a take becomes
    assert take_size([CAMERA_SPEC], [PastSize(1000, 1.0, None)], 10).seconds.high == 80.0
    assert take_size([CAMERA_SPEC], past, 10, duration_s=20.0).seconds.high == 20.0


@given(
    st.lists(st.tuples(st.integers(1, 10**12), st.floats(0.5, 1e4), st.none() | st.integers(1, 200)), max_size=5),
    st.integers(1, 200),
    st.none() | st.floats(0.5, 7200),
    st.none() | st.floats(1, 1e10),
)
def test_an_estimate_is_in_order_whatever_it_is_made_of(
    past: list[tuple[int, float, int | None]], repetitions: int, duration_s: float | None, measured: float | None
) -> None:
    sizes = [PastSize(*take) for take in past]
    size = take_size([CAMERA_SPEC], sizes, repetitions, duration_s=duration_s, measured_bytes_a_second=measured)
    assert 0 < size.least_bytes <= size.likely_bytes <= size.most_bytes < math.inf
    room = DiskRoom(Path("raw"), int(size.least_bytes) + LEFT_FREE_BYTES - 1, size)
    assert room.cannot_fit
    assert room.may_not_fit
    ample = DiskRoom(Path("raw"), int(2 * size.most_bytes) + LEFT_FREE_BYTES + 1, size)
    assert not ample.problem
    assert ample.takes_left >= 1


def test_past_takes_are_those_of_this_rig_and_garbage_is_passed_over(
    write_rig: Callable[..., Path], offline_take: Callable[..., Path], tmp_path: Path
) -> None:
    take = offline_take()
    raw = tmp_path / "out" / "raw"
    same, other = load_rig(write_rig(MOCAP), {"repetitions": 7, "seed": 3}), load_rig(write_rig(MOCAP, CAMERA))
    (size,) = past_sizes(raw, same)
    assert size.bytes == sum(path.stat().st_size for path in take.iterdir() if path.is_file())
    assert size.repetitions == 2
    assert 2 < size.seconds < 60
    assert past_sizes(raw, other) == []
    assert past_sizes(tmp_path / "nowhere", same) == []
    content = json.loads(record_path(take).read_text(encoding="utf-8"))
    for wrong in ("{", json.dumps(content | {"rig": {}}), json.dumps(content | {"state": "recovered"})):
        record_path(take).write_text(wrong, encoding="utf-8")
        assert past_sizes(raw, same) == []


def test_sizes_are_said_as_people_read_them() -> None:
    assert [size_in_words(count) for count in (0, 12_300, 3.4e8, 1.25e9)] == ["0 kB", "12 kB", "340 MB", "1.2 GB"]


# -- what forbids a take, and what is only said -------------------------------------------------------------------


def expected(name: str, source: str, spec: StreamSpec | None = None) -> ExpectedStream:
    return ExpectedStream(name, name, source, spec)


def test_a_take_that_has_room_and_clocks_that_answer(write_rig: Callable[..., Path], tmp_path: Path) -> None:
    spec = StreamSpec("Misc", (Channel("a"),), 100.0)
    there = pylsl.StreamOutlet(pylsl.StreamInfo("one", "Misc", 2, 100.0, "float32", "one-1"))
    plan = plan_of(tmp_path / "raw", load_rig(write_rig(MOCAP)))
    found = begin_preflight(plan, [expected("one", "one-1", spec)], {"one": (spec,)}).finish()
    assert found.problems == ()
    assert found.warnings == ()
    found.require()
    del there


def test_all_that_is_wrong_is_said_at_once(
    write_rig: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = StreamSpec("Misc", (Channel("a"),), 100.0)
    infos = [pylsl.StreamInfo("one", "Misc", 5, 100.0, "float32", "two-1") for _ in range(2)]
    twins = [pylsl.StreamOutlet(info) for info in infos]
    plan = plan_of(tmp_path / "raw", load_rig(write_rig(MOCAP)))
    monkeypatch.setattr(preflight, "free_memory_bytes", lambda: 1000)
    monkeypatch.setattr(preflight, "disk_room", lambda folder, size: DiskRoom(folder, 1000, size))
    streams = [expected("one", "two-1", spec), expected("gone", "nobody", spec)]
    found = begin_preflight(plan, streams, {"one": (spec,)}).finish()
    with pytest.raises(RequestError) as caught:
        found.require()
    disk, channels = caught.value.problems
    assert "the next take does not fit on the disk" in disk
    assert "has 5 channels, but its device promised 2" in channels
    memory, twice, silent = found.warnings
    assert "1 kB of memory are free" in memory
    assert "is published 2 times under one source id" in twice
    assert "stream 'gone': the clock of its computer does not answer" in silent
    del twins


def test_streams_with_one_source_id_and_names_of_their_own_are_no_twins() -> None:
    a = pylsl.StreamOutlet(pylsl.StreamInfo("a", "EMG", 1, 100.0, "float32", "box"))
    b = pylsl.StreamOutlet(pylsl.StreamInfo("b", "EMG", 1, 100.0, "float32", "box"))
    seen = [stream for stream in visible_streams(0.5) if stream.source_id == "box"]
    assert len(seen) == 2
    assert twin_problems([ExpectedStream("x", "x", "box", None, info=seen[0].info)], seen) == []
    del a, b


def test_a_disk_that_cannot_be_looked_at_is_a_problem(
    write_rig: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(folder: Path, size: TakeSize) -> DiskRoom:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(preflight, "disk_room", gone)
    found = begin_preflight(plan_of(tmp_path, load_rig(write_rig(MOCAP))), [], {}).finish()
    assert "cannot be looked at (Input/output error)" in found.problems[0]


def test_room_is_that_of_the_disk_the_folder_will_lie_on(tmp_path: Path) -> None:
    size = take_size([EMG_SPEC], [], 10)
    room = disk_room(tmp_path / "not" / "yet" / "there", size)
    assert room.free_bytes > 0
    assert not room.folder.exists()


def test_memory_is_known_here_and_nowhere_is_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = free_memory.free_memory_bytes()
    assert free is None or free > 1_000_000
    table = tmp_path / "meminfo"
    monkeypatch.setattr(free_memory, "_MEMINFO", table)
    monkeypatch.setattr(free_memory.sys, "platform", "linux")
    assert free_memory.free_memory_bytes() is None
    for text, told in (("MemAvailable: 12 kB\n", 12 * 1024), ("MemAvailable: much\n", None), ("MemFree: 1 kB\n", None)):
        table.write_text(text, encoding="ascii")
        assert free_memory.free_memory_bytes() == told
    monkeypatch.setattr(preflight, "free_memory_bytes", lambda: None)
    assert memory_problems([CAMERA_SPEC]) == []


# -- rates and counts ---------------------------------------------------------------------------------------------


@given(st.floats(0.5, 5000), st.integers(1, 64), st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_late_chunks_do_not_move_a_rate(rate_hz: float, chunk: int, seed: int, late_part: float) -> None:
    rng = np.random.default_rng(seed)
    count = np.arange(1, 201) * chunk
    time_s = 1e6 + count / rate_hz
    time_s[rng.random(200) < late_part] += 5 * chunk / rate_hz
    measured = measure_rate(count, np.maximum.accumulate(time_s))
    assert measured is not None
    assert abs(measured.rate_hz / rate_hz - 1) < 0.01 + measured.uncertainty  # else an honest stream would be blamed
    assert measured.uncertainty < 0.05  # and a liar at half its rate believed


def test_what_tells_no_rate() -> None:
    assert measure_rate([], []) is None
    assert measure_rate([1, 2], [0.0, 1.0]) is None
    assert measure_rate([1, 2, 3], [5.0, 5.0, 5.0]) is None
    assert measure_rate([7, 7, 7], [1.0, 2.0, 3.0]) is None
    assert measure_rate([1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0]) is None
    assert measure_rate([1, 2, 3], [math.nan, math.inf, 1.0]) is None


@given(
    st.lists(st.booleans(), min_size=2, max_size=300),
    st.sampled_from([0, 256, 2**24]),
    st.integers(0, 2**24 - 1),
    st.integers(1, 40),
)
def test_losses_are_counted_over_chunks_and_wraps(kept: list[bool], modulus: int, first: int, chunk: int) -> None:
    numbers = np.flatnonzero(np.array([True, *kept, True])) + first
    if modulus == 256 and np.diff(numbers).max() > 100:
        return  # more than a short counter can tell
    shown = numbers % modulus if modulus else numbers
    stream = ExpectedStream("x", "x", "x", EMG_SPEC, info=object(), counter=CountingChannel(1, modulus))
    heard = HeardStream(stream)
    values = np.column_stack((np.zeros(len(shown)), shown)).astype(np.float64)
    for start in range(0, len(values), chunk):
        part = values[start : start + chunk]
        account(heard, part, np.arange(len(part), dtype=np.float64), 0.0)
    assert heard.samples == len(numbers)
    assert heard.lost == numbers[-1] - numbers[0] + 1 - len(numbers)
    assert heard.odd_steps == 0
    assert heard.counted == heard.samples + heard.lost


@pytest.mark.parametrize("garbage", [math.nan, math.inf, -1e300, 5.0])
def test_a_counter_that_does_not_count_is_seen(garbage: float) -> None:
    stream = ExpectedStream("x", "x", "x", EMG_SPEC, info=object(), counter=CountingChannel(0, 0))
    heard = HeardStream(stream)
    for _ in range(5):
        account(heard, np.full((20, 1), garbage), np.zeros(20), 0.0)
    assert heard.odd_steps >= 99
    assert heard.lost == 0


def test_texts_are_taken_in() -> None:
    heard = HeardStream(ExpectedStream("x", "x", "x", None, info=object(), may_be_silent=True))
    account(heard, [["ä"], ["two"]], np.zeros(2), 0.0)
    assert heard.samples == 2
    assert heard.bytes > 20
