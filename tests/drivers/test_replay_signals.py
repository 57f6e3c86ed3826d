"""Replays of C3D, TRC and CSV files on a virtual clock: each sample once, exact, in order and when due."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playing import ImpatientClock, played
from pydantic import ValidationError

from drivers.driver import DriverConfig, EndOfStream, TakeStart
from drivers.host_clock import VirtualClock
from drivers.registry import find_driver
from drivers.replay.c3d_file import ReplayC3d, ReplayC3dConfig
from drivers.replay.csv_file import ReplayCsv, ReplayCsvConfig
from drivers.replay.pacing import PacedReplay
from drivers.replay.source_file import find_file
from drivers.replay.trc_file import ReplayTrc, ReplayTrcConfig
from drivers.replay.video_file import ReplayVideo
from lab.errors import DeviceError
from lab.rig import Rig
from lab.streams import Chunk
from storage.c3d_file import read_c3d
from storage.toml_file import read_toml
from storage.trc_file import read_trc

PROJECT = Path(__file__).resolve().parents[2]
T0_S = 2000.0


def opened(driver: PacedReplay, t0_s: float = T0_S) -> PacedReplay:
    driver.open()
    driver.start(TakeStart("device", t0_s))
    return driver


def joined(chunks: list[Chunk], stream: str = "") -> tuple[np.ndarray, np.ndarray]:
    own = [chunk for chunk in chunks if chunk.stream == stream]
    return np.concatenate([chunk.values for chunk in own]), np.concatenate([chunk.counters for chunk in own])


def csv_config(path: Path, **options: Any) -> ReplayCsvConfig:
    return ReplayCsvConfig(
        **{"file": str(path), "rate_hz": 100, "columns": ["v"], "content_type": "EMG", "chunk_samples": 4, **options}
    )


@pytest.fixture
def small_csv(tmp_path: Path) -> Path:
    """Ten samples numbered 5, 6, 7, 8, then 12 …: three are lost."""
    path = tmp_path / "small.csv"
    counts = [5, 6, 7, 8, 12, 13, 14, 15, 16, 17]
    path.write_text("n,v,w\n" + "".join(f"{count},{count * 10},{count / 8}\n" for count in counts))
    return path


def test_trc_comes_whole_exact_and_when_due(data_folder: Path) -> None:
    path = data_folder / "reps" / "squats1.trc"
    content = read_trc(path)
    driver = opened(ReplayTrc(ReplayTrcConfig(file=str(path), chunk_samples=7), VirtualClock(1990.0)))
    chunks = played(driver)
    values, counters = joined(chunks)
    assert values.dtype == np.float64
    assert np.array_equal(values, content.positions.reshape(1346, -1), equal_nan=True)
    assert np.array_equal(counters, np.arange(1346))
    lasts = [int(chunk.counters[-1]) for chunk in chunks]
    assert [len(chunk.counters) for chunk in chunks] == [7] * 192 + [2]
    assert [chunk.device_time_s for chunk in chunks] == content.time_s[lasts].tolist()
    np.testing.assert_allclose([chunk.arrival_s for chunk in chunks], T0_S + content.time_s[lasts], atol=1e-9)
    with pytest.raises(EndOfStream):
        driver.read()
    (spec,) = driver.streams()
    assert (spec.name, spec.content_type, spec.rate_hz, spec.format) == ("", "MoCap", 100.0, "double64")
    assert (spec.channels[4].label, spec.channels[4].marker, spec.channels[4].type) == (
        "L.ASIS_Y",
        "L.ASIS",
        "PositionY",
    )
    assert spec.channels[4].unit == "meters"
    assert not spec.simulated
    assert spec.details == {"file": "squats1.trc", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


GOOD_C3D = ("DEC_INT.C3D", "sgi_real.c3d", "pc_real.c3d", "markers_analogs.c3d", "parameterOverflow.c3d",
            "sprintbasket.c3d", "walkingOptiTrack.c3d")  # fmt: skip


@pytest.mark.parametrize("name", GOOD_C3D)
def test_every_c3d_comes_whole_exact_and_in_order_of_time(data_folder: Path, name: str) -> None:
    path = data_folder / "c3d" / name
    content = read_c3d(path)
    driver = opened(ReplayC3d(ReplayC3dConfig(file=str(path), chunk_samples=5), VirtualClock(1990.0)))
    chunks = played(driver)
    values, counters = joined(chunks, "markers")
    assert values.dtype == np.float32
    assert np.array_equal(values, content.positions.reshape(len(values), -1), equal_nan=True)
    assert np.array_equal(counters, np.arange(len(content.positions)))
    names = [spec.name for spec in driver.streams()]
    assert names == (["markers", "analog"] if content.analog.size else ["markers"])
    if content.analog.size:
        values, counters = joined(chunks, "analog")
        assert np.array_equal(values.astype(np.float64), content.analog)
        assert np.array_equal(counters, np.arange(len(content.analog)))
        spec = driver.streams()[1]
        assert values.dtype == {"float32": np.float32, "double64": np.float64}[spec.format]
        assert spec.rate_hz == content.analog_rate_hz
    arrivals = [chunk.arrival_s for chunk in chunks]
    assert arrivals == sorted(arrivals)
    rates = {"markers": content.rate_hz, "analog": content.analog_rate_hz}
    for chunk in chunks:
        assert chunk.device_time_s == chunk.counters[-1] / rates[chunk.stream]
        assert abs(chunk.arrival_s - T0_S - chunk.device_time_s) < 1e-9


@pytest.mark.parametrize("name", ["Empty.c3d", "badParameterOffset.c3d", "bad_parameter_section.c3d"])
def test_damaged_c3d_is_a_device_error(data_folder: Path, name: str) -> None:
    with pytest.raises(DeviceError, match=name):
        ReplayC3d(ReplayC3dConfig(file=str(data_folder / "c3d" / name)), VirtualClock()).open()


def test_c3d_splits_emg_from_the_rest(data_folder: Path) -> None:
    path = data_folder / "c3d" / "markers_analogs.c3d"
    content = read_c3d(path)
    config = ReplayC3dConfig(file=str(path), emg=("Biceps*", "Triceps*"), markers=("Daphnee:*",), chunk_samples=10)
    driver = opened(ReplayC3d(config, VirtualClock()))
    markers, emg, analog = driver.streams()
    assert (emg.name, emg.content_type, analog.name, analog.content_type) == ("emg", "EMG", "analog", "Analog")
    assert [channel.label for channel in emg.channels] == ["Biceps.EMG4", "Triceps.EMG5"]
    assert {channel.unit for channel in emg.channels} == {"volts"}
    assert {channel.unit for channel in markers.channels} == {"millimeters"}
    assert (len(markers.channels), len(analog.channels)) == (43 * 3, 36)
    assert (emg.manufacturer, emg.model) == ("Vicon", "Vicon Nexus")
    columns = [content.analog_labels.index(channel.label) for channel in emg.channels]
    values, _ = joined(played(driver), "emg")
    assert np.array_equal(values, content.analog[:, columns])
    for options, said in (({"emg": ("Bizeps",)}, "'emg'"), ({"markers": ("S12:*",)}, "'markers'")):
        with pytest.raises(DeviceError, match=f"is matched by {said}"):
            ReplayC3d(ReplayC3dConfig(file=str(path), **options), VirtualClock()).open()


def test_csv_keeps_the_files_own_counter_and_its_losses(small_csv: Path) -> None:
    config = csv_config(small_csv, counter="n", offset=-5, scale=0.5, columns={"v": "biceps"}, unit="uV")
    driver = opened(ReplayCsv(config, VirtualClock()))
    chunks = played(driver)
    values, counters = joined(chunks)
    assert counters.tolist() == [5, 6, 7, 8, 12, 13, 14, 15, 16, 17]
    assert values.dtype == np.float32
    assert values[:, 0].tolist() == [(count * 10 - 5) * 0.5 for count in counters.tolist()]
    assert [chunk.device_time_s for chunk in chunks] == [0.08, 0.15, 0.17]
    np.testing.assert_allclose([chunk.arrival_s - T0_S for chunk in chunks], [0.03, 0.10, 0.12], atol=1e-9)
    (spec,) = driver.streams()
    assert spec.counter_origin == "device"
    assert (spec.channels[0].label, spec.channels[0].unit, spec.channels[0].type) == ("biceps", "microvolts", "EMG")


def test_csv_without_counter_is_counted_by_the_host(small_csv: Path) -> None:
    config = csv_config(
        small_csv, columns=["v", "w"], content_type="Physio", channel_types=["HeartRate", "BreathRate"], unit="1/min"
    )
    driver = opened(ReplayCsv(config, VirtualClock()))
    chunks = played(driver)
    assert joined(chunks)[1].tolist() == list(range(10))
    assert chunks[-1].device_time_s == 0.09
    (spec,) = driver.streams()
    assert spec.counter_origin == "host"
    assert [channel.type for channel in spec.channels] == ["HeartRate", "BreathRate"]


def test_csv_config_says_what_does_not_fit(small_csv: Path) -> None:
    with pytest.raises(ValidationError, match="names 1 types for 2 columns"):
        csv_config(small_csv, columns=["v", "w"], channel_types=["HeartRate"])
    with pytest.raises(ValidationError, match="columns"):
        csv_config(small_csv, columns=[])
    with pytest.raises(ValidationError, match="colums"):
        csv_config(small_csv, colums=["v"])


def test_loop_goes_on_in_count_and_time(small_csv: Path) -> None:
    driver = opened(ReplayCsv(csv_config(small_csv, counter="n", loop=True), VirtualClock()))
    chunks = played(driver, most=9)
    values, counters = joined(chunks)
    lap = np.array([5, 6, 7, 8, 12, 13, 14, 15, 16, 17])
    assert counters.tolist() == np.concatenate([lap, lap + 13, lap + 26]).tolist()
    assert np.array_equal(values, np.tile(values[:10], (3, 1)))
    np.testing.assert_allclose(
        [chunk.device_time_s for chunk in chunks], [chunk.counters[-1] / 100 for chunk in chunks], atol=1e-12
    )
    np.testing.assert_allclose([chunk.arrival_s - T0_S + 0.05 for chunk in chunks], [c.device_time_s for c in chunks])
    assert driver.streams()[0].details["loops"] == "yes"


def test_looped_c3d_keeps_its_streams_together(data_folder: Path) -> None:
    config = ReplayC3dConfig(file=str(data_folder / "c3d" / "pc_real.c3d"), loop=True, start_s=0.503, chunk_samples=3)
    chunks = played(opened(ReplayC3d(config, VirtualClock())), most=200)
    for stream, rate_hz in (("markers", 50.0), ("analog", 200.0)):
        _, counters = joined(chunks, stream)
        assert counters[0] == 0.52 * rate_hz
        assert np.array_equal(counters, counters[0] + np.arange(len(counters)))
        for chunk in chunks:
            if chunk.stream == stream:
                assert abs(chunk.device_time_s - chunk.counters[-1] / rate_hz) < 1e-9
                assert abs(chunk.arrival_s - T0_S - (chunk.device_time_s - 0.52)) < 1e-9


def test_start_s_skips_and_plays_at_once(small_csv: Path) -> None:
    driver = opened(ReplayCsv(csv_config(small_csv, counter="n", start_s=0.04, chunk_samples=1), VirtualClock()))
    chunks = played(driver)
    assert joined(chunks)[1].tolist() == [12, 13, 14, 15, 16, 17]
    assert abs(chunks[0].arrival_s - T0_S) < 1e-9
    assert chunks[0].device_time_s == 0.12
    with pytest.raises(DeviceError, match=r"small\.csv ends before 1 s"):
        ReplayCsv(csv_config(small_csv, counter="n", start_s=1), VirtualClock()).open()


def test_read_waits_in_short_pieces_and_before_the_start(small_csv: Path) -> None:
    clock = ImpatientClock(1999.0)
    driver = ReplayCsv(csv_config(small_csv), clock)
    assert driver.read() is None
    driver.open()
    assert driver.read() is None
    driver.start(TakeStart("device", T0_S))
    waits = 0
    while driver.read() is None:
        waits += 1
    assert waits == 3  # 0.63 s of 0.2 s each
    assert T0_S + 0.03 <= clock.now_s() < T0_S + 0.04


def test_a_take_more_begins_anew_and_a_late_one_joins_in(small_csv: Path) -> None:
    clock = VirtualClock()
    driver = opened(ReplayCsv(csv_config(small_csv, chunk_samples=1), clock))
    first = joined(played(driver))
    driver.start(TakeStart("device", 3000.0))
    again = joined(played(driver))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    # A worker that was restarted in the middle of the take; for the file, it is over.
    driver.start(TakeStart("device", clock.now_s() - 5.0))
    with pytest.raises(EndOfStream):
        driver.read()
    looped = ReplayCsv(csv_config(small_csv, chunk_samples=1, loop=True), clock)
    looped.open()
    t0_s = clock.now_s() - 5.025
    looped.start(TakeStart("device", t0_s))
    chunk = looped.read()
    assert chunk is not None
    assert chunk.counters.tolist() == [503]
    assert abs(chunk.arrival_s - t0_s - 5.03) < 1e-9


def test_close_forgets_and_may_come_at_any_time(small_csv: Path) -> None:
    driver = ReplayCsv(csv_config(small_csv), VirtualClock())
    driver.close()
    driver.open()
    driver.close()
    driver.close()
    assert driver.streams() == ()
    assert driver.read() is None
    with pytest.raises(DeviceError, match="'device' was started before it was opened"):
        driver.start(TakeStart("device", T0_S))
    assert len(joined(played(opened(driver)))[0]) == 10


def test_paths_and_variables(small_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEX_SOMEWHERE", str(tmp_path))
    opened(ReplayCsv(csv_config(Path("$FLEX_SOMEWHERE/small.csv")), VirtualClock()))
    monkeypatch.delenv("FLEX_SOMEWHERE")
    for text, said in (
        ("$FLEX_SOMEWHERE/small.csv", "environment variable FLEX_SOMEWHERE"),
        ("${FLEX_SOMEWHERE}/small.csv", "environment variable FLEX_SOMEWHERE"),
        (str(tmp_path / "none.csv"), "none.csv does not exist"),
        (str(tmp_path), "is a folder"),
    ):
        with pytest.raises(DeviceError, match=said):
            ReplayCsv(csv_config(small_csv, file=text), VirtualClock()).open()


def test_a_config_of_another_driver_is_refused() -> None:
    for driver in (ReplayC3d, ReplayTrc, ReplayCsv, ReplayVideo):
        with pytest.raises(TypeError, match="is needed, not DriverConfig"):
            driver(DriverConfig(), VirtualClock())


@pytest.mark.parametrize("name", ["real-squats", "real-c3d"])
def test_rigs_of_real_recordings_open_and_play(data_folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEX_TEST_DATA", str(data_folder))
    rig = Rig.model_validate(read_toml(PROJECT / "examples" / "rigs" / f"{name}.toml"))
    for entry in rig.device:
        if entry.name in ("view2", "view3", "view4"):  # decoding one of the views takes long enough
            assert find_file(entry.options["file"]).is_file()
            continue
        kind = find_driver(entry.driver)
        driver = kind(kind.Config(**entry.options), VirtualClock())
        driver.open()
        driver.start(TakeStart(entry.name, T0_S))
        assert driver.read() is not None
        assert (driver.streams()[0].video is not None) == entry.is_view
        driver.close()


def test_rig_of_squats_scales_counts_to_microvolts(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEX_TEST_DATA", str(data_folder))
    rig = Rig.model_validate(read_toml(PROJECT / "examples" / "rigs" / "real-squats.toml"))
    options = next(entry.options for entry in rig.device if entry.name == "emg")
    values, counters = joined(played(opened(ReplayCsv(ReplayCsvConfig(**options), VirtualClock()))))
    counts = np.loadtxt(data_folder / "emg" / "emg_bursts_1000hz.csv", delimiter=",", skiprows=1)
    assert np.array_equal(counters, counts[:, 0])
    np.testing.assert_allclose(values[:, 0], (counts[:, 1] / 2**16 - 0.5) * 3.0 / 1000 * 1e6, rtol=1e-6, atol=1e-6)
