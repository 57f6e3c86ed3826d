from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playing import ImpatientClock, played
from pydantic import ValidationError

from drivers.driver import Driver, TakeStart
from drivers.host_clock import VirtualClock
from drivers.registry import find_driver
from drivers.simulated.camera import SimulatedCameraConfig
from drivers.simulated.mocap import SimulatedMocap, SimulatedMocapConfig
from drivers.simulated.timing import DeviceClock, Packet, Playback, SimulatedConfig
from drivers.simulated.vest import SimulatedVestConfig
from lab.errors import DeviceError
from lab.streams import Chunk, Frame

T0_S = 1005.0
KINDS = ("simulated.mocap", "simulated.emg", "simulated.vest", "simulated.camera")
SMALL: dict[str, Any] = {"repetitions": 1, "seed": 4}
CAMERA: dict[str, Any] = {"width": 320, "height": 240, "rate_hz": 10.0}


def make(kind: str, clock: VirtualClock | None = None, **options: Any) -> Driver:
    driver = find_driver(kind)
    extra = CAMERA if kind == "simulated.camera" else {}
    return driver(driver.Config(**{**SMALL, **extra, **options}), clock or VirtualClock())


def play(driver: Driver, folder: Path | None = None, device: str = "dev", t0_s: float = T0_S) -> list[Chunk | Frame]:
    driver.open()
    driver.start(TakeStart(device, t0_s, folder))
    try:
        return played(driver)
    finally:
        driver.close()


def rows_of(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    header, *rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return header, rows


def counters_of(came: list[Chunk | Frame]) -> np.ndarray[Any, Any]:
    return np.concatenate([[one.frame_id] if isinstance(one, Frame) else one.counters for one in came])


@pytest.mark.parametrize("kind", KINDS)
def test_everything_arrives_once_in_order_and_never_too_early(kind: str) -> None:
    options = {"drift_ppm": 400.0, "clock_offset_s": 77.0, "delay_s": 0.05, "jitter_s": 0.01}
    driver = make(kind, **options)
    driver.open()
    spec = driver.streams()[0]
    duration_s = driver.athlete.duration_s  # type: ignore[attr-defined]
    came = play(driver)
    counters = counters_of(came)
    assert len(counters) == np.floor(duration_s * spec.rate_hz * 1.0004) + 1
    np.testing.assert_array_equal(counters, np.arange(len(counters)))
    arrival = np.array([one.arrival_s for one in came])
    last = np.array([one.frame_id if isinstance(one, Frame) else one.counters[-1] for one in came])
    event_s = T0_S + last / (spec.rate_hz * 1.0004)
    late_s = arrival - event_s - 0.05
    assert np.all(np.diff(arrival) >= 0)
    assert late_s.min() > -1e-6
    assert late_s.max() > 0.002
    if len(came) > 50:
        assert 0.003 < np.mean(late_s) < 0.05
    device_time = np.array([one.device_time_s for one in came])
    np.testing.assert_allclose(device_time, 77.0 + last / spec.rate_hz, rtol=0, atol=1e-9)
    for one in came:
        if isinstance(one, Chunk):
            assert one.stream == spec.name == ""
            assert one.values.shape == (len(one.counters), len(spec.channels))
            assert one.values.dtype == np.float32
            assert one.counters.dtype == np.int64


@pytest.mark.parametrize("kind", KINDS)
def test_truth_tells_what_was_sent_and_what_was_lost(kind: str, tmp_path: Path) -> None:
    rate = {"rate_hz": 20.0} if kind == "simulated.vest" else {}
    driver = make(kind, loss=0.2, failed=1, **rate)
    driver.open()
    repetitions = driver.athlete.repetitions  # type: ignore[attr-defined]
    came = play(driver, tmp_path / "truth", "view3")
    header, rows = rows_of(tmp_path / "truth" / "view3.jsonl")
    assert header["device"] == "view3"
    assert header["driver"] == kind
    assert header["t0_s"] == T0_S
    assert header["seed"] == 4
    assert header["action"] == "A16"
    assert {"rate_hz", "drift_ppm", "clock_offset_s", "delay_s"} <= set(header)
    for truth, repetition in zip(header["repetitions"], repetitions, strict=True):
        assert truth["start_s"] == T0_S + repetition.start_s
        assert truth["turn_s"] == T0_S + repetition.turn_s
        assert truth["end_s"] == T0_S + repetition.end_s
        assert truth["mishap"] == (repetition.doubts[0] if repetition.doubts else None)
    assert [one["mishap"] for one in header["repetitions"] if one["mishap"]] == ["failed"]
    sent = [row for row in rows if "counter" in row]
    lost = [row["lost"] for row in rows if "lost" in row]
    assert 0.1 < len(lost) / len(rows) < 0.3
    rate_hz = header["rate_hz"] * (1 + header["drift_ppm"] * 1e-6)
    for row, one in zip(sent, came, strict=True):
        last = one.frame_id if isinstance(one, Frame) else one.counters[-1]
        assert row["counter"] == last
        assert row["samples"] == (1 if isinstance(one, Frame) else len(one.counters))
        assert row["time_s"] == pytest.approx(T0_S + last / rate_hz, abs=1e-9)
        assert row["arrival_s"] == one.arrival_s
    missing = np.concatenate([np.arange(first, last + 1) for first, last in lost])
    everything = np.sort(np.concatenate((missing, counters_of(came))))
    np.testing.assert_array_equal(everything, np.arange(len(everything)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_moves_nothing_else(kind: str) -> None:
    def content(came: list[Chunk | Frame]) -> dict[int, tuple[bytes, float]]:
        return {
            one.frame_id if isinstance(one, Frame) else int(one.counters[-1]): (
                one.data if isinstance(one, Frame) else one.values.tobytes(),
                one.device_time_s,
            )
            for one in came
        }

    rate = {"rate_hz": 20.0} if kind == "simulated.vest" else {}
    whole, holed = content(play(make(kind, **rate))), content(play(make(kind, loss=0.3, **rate)))
    assert 0 < len(holed) < len(whole)
    assert all(whole[last] == packet for last, packet in holed.items())


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_device_does_the_same_again(kind: str) -> None:
    driver = make(kind)
    once, again = play(driver), play(driver, t0_s=T0_S + 500.0)
    np.testing.assert_array_equal(counters_of(once), counters_of(again))
    for one, other in zip(once, again, strict=True):
        assert other.arrival_s - one.arrival_s == pytest.approx(500.0, abs=1e-6)
        assert other.device_time_s == one.device_time_s
        if isinstance(one, Frame):
            assert isinstance(other, Frame)
            assert one.data == other.data
        else:
            assert isinstance(other, Chunk)
            np.testing.assert_array_equal(one.values, other.values)


def test_reading_gives_up_after_a_while_and_loses_nothing() -> None:
    driver = make("simulated.vest", ImpatientClock(), delay_s=0.5)
    driver.open()
    assert driver.read() is None
    driver.start(TakeStart("vest", T0_S))
    first = [driver.read() for _ in range(60)]
    empty = [one is None for one in first]
    assert 4 < sum(empty) < 60
    counters = [int(one.counters[0]) for one in first if isinstance(one, Chunk)]
    assert counters == list(range(len(counters)))
    driver.close()


class SlowClock(VirtualClock):
    """Every look at it costs 40 ms, as on a computer that is too slow for the device."""

    def now_s(self) -> float:
        super().sleep_until(super().now_s() + 0.04)
        return super().now_s()


def test_a_host_that_falls_behind_stamps_what_happened() -> None:
    came = play(make("simulated.mocap", SlowClock(T0_S - 1.0), rate_hz=50.0, jitter_s=0.0))
    arrival = np.array([one.arrival_s for one in came])
    np.testing.assert_array_equal(counters_of(came), np.arange(len(came)))
    assert np.all(np.diff(arrival) >= 0.04 - 1e-6)
    assert arrival[-1] - T0_S > 1.5 * len(came) / 50.0


def test_a_device_that_comes_back_joins_in_at_the_present(tmp_path: Path) -> None:
    driver = make("simulated.mocap", VirtualClock(T0_S - 1.0))
    driver.open()
    driver.start(TakeStart("mocap", T0_S, tmp_path))
    before = [driver.read() for _ in range(100)]
    assert all(before)
    driver.close()
    after = play(make("simulated.mocap", VirtualClock(T0_S + 4.0)), tmp_path, "mocap")
    counters = counters_of(after)
    assert counters[0] == np.ceil(4.0 * 100.0 * (1 + 14e-6))
    assert after[0].arrival_s < T0_S + 4.1
    header, rows = rows_of(tmp_path / "mocap.jsonl")
    assert header["t0_s"] == T0_S
    assert len(rows) == len(before) + len(after)


def test_the_truth_of_another_take_is_never_overwritten(tmp_path: Path) -> None:
    play(make("simulated.vest"), tmp_path, "vest")
    kept = (tmp_path / "vest.jsonl").read_bytes()
    driver = make("simulated.vest", VirtualClock(2000.0))
    driver.open()
    with pytest.raises(DeviceError, match="another take"):
        driver.start(TakeStart("vest", 2001.0, tmp_path))
    driver.close()
    assert (tmp_path / "vest.jsonl").read_bytes() == kept


def test_a_torn_last_line_of_the_truth_stays_a_line_of_its_own(tmp_path: Path) -> None:
    play(make("simulated.vest"), tmp_path, "vest")
    path = tmp_path / "vest.jsonl"
    path.write_bytes(path.read_bytes()[:-4])
    play(make("simulated.vest"), tmp_path, "vest")
    lines = path.read_text(encoding="utf-8").splitlines()
    broken = [line for line in lines if not line.endswith("}")]
    assert len(broken) == 1


def test_an_unwritable_truth_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    driver = make("simulated.vest")
    driver.open()
    with pytest.raises(DeviceError, match=r"cannot be written|another take"):
        driver.start(TakeStart("vest", T0_S, tmp_path / "file"))
    driver.close()


@pytest.mark.parametrize("kind", KINDS)
def test_closing_is_always_allowed_and_starting_needs_opening(kind: str) -> None:
    driver = make(kind)
    driver.close()
    with pytest.raises(DeviceError, match="open"):
        driver.start(TakeStart("dev", T0_S))
    driver.open()
    driver.close()
    driver.close()


def test_a_config_of_another_driver_is_refused() -> None:
    with pytest.raises(TypeError, match="SimulatedMocapConfig"):
        SimulatedMocap(SimulatedVestConfig(), VirtualClock())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"action": "A21"}, "not simulated"),
        ({"seed": -1}, "greater than"),
        ({"rate_hz": float("nan")}, "should be"),
        ({"loss": 1.0}, "less than"),
        ({"delay_s": -0.1}, "greater than"),
        ({"speed": 1}, "Extra inputs"),
    ],
)
def test_an_impossible_config_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SimulatedMocapConfig(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"width": 641}, "even"),
        ({"width": 100}, "greater than"),
        ({"chunk_samples": 2}, "less than"),
        ({"position_m": (0.0, 0.0, 3.0)}, "move one of them sideways"),
        ({"position_m": (0.0, float("nan"), 3.0)}, "within 100 m"),
    ],
)
def test_an_impossible_camera_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SimulatedCameraConfig(**options)


def test_every_field_of_a_config_is_described() -> None:
    for kind in KINDS:
        for name, field in find_driver(kind).Config.model_fields.items():
            assert field.description, f"{kind} {name}"


@given(
    rate_hz=st.floats(0.5, 4000.0),
    drift_ppm=st.floats(-5000, 5000),
    offset_s=st.floats(-1e5, 1e5),
    duration_s=st.floats(0.0, 100.0),
)
@settings(deadline=None)
def test_device_clock(rate_hz: float, drift_ppm: float, offset_s: float, duration_s: float) -> None:
    clock = DeviceClock(rate_hz, drift_ppm, offset_s)
    count = clock.samples_within(duration_s)
    assert clock.event_s(count - 1) <= duration_s * (1 + 1e-12) + 1e-9
    assert clock.event_s(count) > duration_s * (1 - 1e-12) - 1e-9
    k = 1000
    elapsed = clock.device_time_s(k) - offset_s
    assert elapsed == pytest.approx(float(clock.event_s(k)) * (1 + drift_ppm * 1e-6), rel=1e-6)


@given(chunk=st.integers(1, 40), loss=st.floats(0, 0.9), jitter_s=st.floats(0, 0.5), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_packets_tile_the_samples_and_never_overtake(chunk: int, loss: float, jitter_s: float, seed: int) -> None:
    config = SimulatedConfig(rate_hz=50.0, chunk_samples=chunk, loss=loss, jitter_s=jitter_s, delay_s=0.1)
    rendered: list[Packet] = []
    rng = np.random.default_rng(seed)
    playback = Playback(config, VirtualClock(0.0), 1.0, 2.0, rng, None, rendered.append)
    came = [(packet, arrival) for packet, _, arrival in played(playback)]
    np.testing.assert_array_equal(np.concatenate([packet.counters for packet in rendered]), np.arange(101))
    assert [packet for packet, _ in came] == [packet for packet in rendered if not packet.lost]
    arrivals = [arrival for _, arrival in came]
    assert arrivals == sorted(arrivals)
    assert all(arrival >= 1.0 + packet.last / 50.0 + 0.1 - 1e-9 for packet, arrival in came)
