"""``replay.xdf`` against files of other recorders and of our own: every value, every packet, every count."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyxdf
from hypothesis import given
from hypothesis import strategies as st
from playing import ImpatientClock, played

from drivers.driver import TakeStart
from drivers.host_clock import VirtualClock
from drivers.replay.xdf_file import ReplayXdf, ReplayXdfConfig
from lab.errors import DeviceError
from lab.streams import CLOCK_LABELS, COUNTER_LABEL, FRAME_LABELS, PROBES_LABELS, PROBES_NAME, Channel, Chunk
from storage.xdf_header import build_header
from storage.xdf_writer import XdfWriter

T0_S = 2000.0


def opened(path: Path, **options: Any) -> ReplayXdf:
    driver = ReplayXdf(ReplayXdfConfig(file=str(path), **options), VirtualClock(T0_S - 5))
    driver.open()
    return driver


def played_streams(driver: ReplayXdf, most: int = 10**6) -> dict[str, list[Chunk]]:
    driver.start(TakeStart("xdf", T0_S))
    found: dict[str, list[Chunk]] = {spec.name: [] for spec in driver.streams()}
    for chunk in played(driver, most):
        found[chunk.stream].append(chunk)
    driver.close()
    return found


def values_of(chunks: Sequence[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.values for chunk in chunks])


@pytest.mark.parametrize("name", ["minimal", "P001_late", "P002", "empty_streams", "twochannel_string_marker"])
def test_every_value_of_other_recorders_files(data_folder: Path, name: str) -> None:
    path = data_folder / "xdf" / f"{name}.xdf"
    theirs, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    driver = opened(path)
    specs = {spec.details["recorded_name"] + spec.content_type: spec for spec in driver.streams()}
    chunks = played_streams(driver)
    assert len(specs) == sum(len(stream["time_stamps"]) > 0 for stream in theirs)
    for stream in theirs:
        info = stream["info"]
        if not len(stream["time_stamps"]):
            assert any("holds no samples" in remark for remark in driver.remarks)
            continue
        spec = specs[info["name"][0] + info["type"][0]]
        assert (spec.rate_hz, len(spec.channels)) == (float(info["nominal_srate"][0]), int(info["channel_count"][0]))
        sent = chunks[spec.name]
        assert values_of(sent).tolist() == np.asarray(stream["time_series"]).tolist()
        assert np.concatenate([chunk.counters for chunk in sent]).tolist() == list(range(len(stream["time_stamps"])))
        # each packet comes when its last sample was stamped
        last = np.cumsum([len(chunk.values) for chunk in sent]) - 1
        spacing_s = np.diff([chunk.arrival_s for chunk in sent])
        recorded_s = np.diff(np.maximum.accumulate(stream["time_stamps"][last]))
        np.testing.assert_allclose(spacing_s, recorded_s, atol=1e-9)


def test_within_a_packet_stamps_run_at_the_rate_or_stand_still(data_folder: Path) -> None:
    theirs, _ = pyxdf.load_xdf(
        data_folder / "xdf" / "P001_late.xdf", synchronize_clocks=False, dejitter_timestamps=False
    )
    chunks = played_streams(opened(data_folder / "xdf" / "P001_late.xdf"))
    for stream in theirs:
        stamps, rate_hz = stream["time_stamps"], float(stream["info"]["nominal_srate"][0])
        ends = np.cumsum([len(chunk.values) for chunk in chunks[f"Muse.{stream['info']['type'][0]}"]])
        for first, end in itertools.pairwise([0, *ends.tolist()]):
            deduced_s = stamps[first] + np.arange(end - first) / rate_hz
            still = (stamps[first:end] == stamps[first]).all()
            assert still or np.abs(stamps[first:end] - deduced_s).max() < 1e-4


def test_a_clock_that_was_reset_goes_on(data_folder: Path) -> None:
    theirs, _ = pyxdf.load_xdf(data_folder / "xdf" / "clock_resets.xdf", dejitter_timestamps=False)
    driver = opened(data_folder / "xdf" / "clock_resets.xdf")
    specs = driver.streams()
    chunks = played_streams(driver)
    begin_s = min(stream["time_stamps"][0] for stream in theirs)
    for stream in theirs:
        (spec,) = (s for s in specs if s.details["recorded_name"] == stream["info"]["name"][0])
        sent = chunks[spec.name]
        last = np.cumsum([len(chunk.values) for chunk in sent]) - 1
        arrival_s = np.array([chunk.arrival_s for chunk in sent]) - T0_S
        # pyxdf corrects drift as well: a few milliseconds over ten minutes
        np.testing.assert_allclose(arrival_s, stream["time_stamps"][last] - begin_s, atol=0.02)


@pytest.mark.parametrize("name", ["chunk_length_lie", "out_of_order_clock_offsets", "str_test"])
def test_a_file_without_samples_is_one_sentence(data_folder: Path, name: str) -> None:
    with pytest.raises(DeviceError, match="holds no samples") as caught:
        opened(data_folder / "xdf" / f"{name}.xdf")
    assert len(caught.value.problems) == 1


def test_what_is_damaged_is_said(data_folder: Path) -> None:
    driver = opened(data_folder / "xdf" / "out_of_order_sample_chunk.xdf")
    assert any("459 bytes are damaged" in remark for remark in driver.remarks)
    assert any("does not say how to read it" in remark for remark in driver.remarks)
    driver.close()


def test_no_xdf_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.xdf"
    path.write_bytes(b"no XDF at all")
    with pytest.raises(DeviceError, match="not an XDF file"):
        opened(path)


FLEX = {"version": "1", "device": "d", "stream": "s", "counter_origin": "device", "simulated": "yes", "seed": "7"}


def own_take(path: Path, packets: Sequence[int], modulus: int = 2**24, start: int = 0) -> np.ndarray:
    """Write a take as our recorder does: packets of these sizes (0: one that was lost), pulled two at a time."""
    path.unlink(missing_ok=True)
    writer = XdfWriter(path)
    samples = (Channel("a", "microvolts", "EMG"), Channel("b", "volts", "EMG"), Channel(COUNTER_LABEL, "count"))
    flex = FLEX | {"counter_modulus": str(modulus)}
    writer.stream_header(1, build_header("emg", "EMG", samples, 1000.0, "float32", flex_capture=flex))
    clock = tuple(Channel(label) for label in CLOCK_LABELS)
    writer.stream_header(2, build_header("emg.clock", "Clock", clock, 0.0, "double64", flex_capture=FLEX))
    camera = build_header("view1", "VideoCompressed", tuple(Channel(la) for la in FRAME_LABELS), 30.0, "double64")
    writer.stream_header(3, camera)
    writer.stream_header(
        4, build_header(PROBES_NAME, "Clock", tuple(Channel(la) for la in PROBES_LABELS), 0, "double64")
    )
    count, rows, waiting = start, [], []
    for number, size in enumerate(packets):
        counts = np.arange(count, count + (size or 5))
        count += size or 5
        if not size:
            continue
        arrival_s = 100 + count / 1000 + 0.002 * (number % 3)
        rows.append((float(counts[-1]), arrival_s, 7 + count / 1000))
        stamps = arrival_s - (counts[-1] - counts) / 1000
        waiting.append((stamps, np.stack([counts % 977, -counts, counts % modulus], axis=1).astype(np.float32)))
        writer.samples(2, [arrival_s], np.array([rows[-1]]))
        if number % 2:
            writer.samples(1, np.concatenate([s for s, _ in waiting]), np.concatenate([v for _, v in waiting]))
            waiting = []
    for stamps, values in waiting:
        writer.samples(1, stamps, values)
    writer.samples(3, [100.0, 100.05], np.array([[5, 1.0, 100.01, 0, 1], [7, 1.06, 100.08, 33, 0]], dtype=float))
    writer.samples(4, [100.0], np.zeros((1, 4)))
    writer.close()
    return np.array(rows)


@given(
    packets=st.lists(st.integers(0, 40), min_size=1, max_size=40).filter(any),
    modulus=st.sampled_from([2**24, 2**15, 256]),
    start=st.integers(0, 2**20),
)
def test_our_own_takes_come_back_packet_by_packet(
    packets: list[int], modulus: int, start: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "own.xdf"
    packets = [1, *packets]
    rows = own_take(path, packets, modulus, start)
    driver = opened(path, streams=["emg"])
    (spec,) = driver.streams()
    assert (spec.name, spec.rate_hz, spec.content_type, spec.simulated) == ("", 1000.0, "EMG", True)
    assert [(channel.label, channel.unit) for channel in spec.channels] == [("a", "microvolts"), ("b", "volts")]
    assert (spec.counter_origin, spec.details["seed"]) == ("device", "7")
    sent = played_streams(driver)[""]
    assert [len(chunk.values) for chunk in sent] == [size for size in packets if size]
    assert [chunk.counters[-1] for chunk in sent] == rows[:, 0].tolist()
    assert [chunk.device_time_s for chunk in sent] == rows[:, 2].tolist()
    arrival_s = np.maximum.accumulate(rows[:, 1])
    np.testing.assert_allclose([c.arrival_s for c in sent], T0_S + arrival_s - arrival_s[0], atol=1e-9)
    counters = np.concatenate([chunk.counters for chunk in sent])
    np.testing.assert_array_equal(values_of(sent)[:, 0], (counters % 977).astype(np.float32))


def test_all_streams_of_a_take_and_the_rows_of_its_camera(tmp_path: Path) -> None:
    own_take(tmp_path / "own.xdf", [20] * 30)
    driver = opened(tmp_path / "own.xdf")
    specs = {spec.name: spec for spec in driver.streams()}
    assert set(specs) == {"emg", "view1"}  # clock rows and probes are made anew
    assert not specs["view1"].counted
    assert specs["view1"].video is None
    assert any("camera 'view1'" in remark and "replay.video" in remark for remark in driver.remarks)
    sent = played_streams(driver)
    assert [chunk.values.tolist() for chunk in sent["view1"]] == [[[5, 1.0, 100.01, 0, 1]], [[7, 1.06, 100.08, 33, 0]]]
    assert [chunk.counters.tolist() for chunk in sent["view1"]] == [[5], [7]]
    assert sent["view1"][1].arrival_s - sent["view1"][0].arrival_s == pytest.approx(0.07)
    kept = opened(tmp_path / "own.xdf", keep_names=True)
    assert [spec.published_name("take") for spec in kept.streams()] == ["emg", "view1"]
    kept.close()


def test_streams_by_name(data_folder: Path) -> None:
    path = data_folder / "xdf" / "P001_late.xdf"
    assert [spec.name for spec in opened(path, streams=["Muse"]).streams()] == [
        "Muse.GYRO",
        "Muse.ACC",
        "Muse.EEG",
        "Muse.PPG",
    ]
    (spec,) = opened(path, streams=["Muse.EEG"]).streams()
    assert (spec.name, spec.content_type, spec.channels[0].label) == ("", "EEG", "TP9")
    with pytest.raises(DeviceError, match=r"no stream 'EMG'; its streams are Muse\.GYRO"):
        opened(path, streams=["EMG"])


def test_a_loop_counts_and_times_on(tmp_path: Path) -> None:
    own_take(tmp_path / "own.xdf", [20] * 10)
    sent = played_streams(opened(tmp_path / "own.xdf", loop=True, streams=["emg"]), 25)[""]
    assert all(spec.details["loops"] == "yes" for spec in opened(tmp_path / "own.xdf", loop=True).streams())
    counters = np.concatenate([chunk.counters for chunk in sent])
    assert (np.diff(counters) > 0).all()
    assert (values_of(sent)[200:400, 0] == values_of(sent)[:200, 0]).all()
    assert (np.diff([chunk.device_time_s for chunk in sent]) > 0).all()
    # over the seam, count and time agree
    seam_s = sent[10].arrival_s - sent[9].arrival_s
    assert abs(seam_s - (sent[10].counters[-1] - sent[9].counters[-1]) / 1000) < 0.001


def test_the_middle_of_a_file(tmp_path: Path) -> None:
    rows = own_take(tmp_path / "own.xdf", [20] * 50)
    driver = opened(tmp_path / "own.xdf", start_s=0.5)
    assert any("'view1' ends before 0.5 s" in remark for remark in driver.remarks)
    sent = played_streams(driver)["emg"]
    assert sent[0].counters[-1] == rows[rows[:, 1] >= 100.01 + 0.5][0, 0]
    with pytest.raises(DeviceError, match="start_s"):
        opened(tmp_path / "own.xdf", start_s=60.0)


def test_waiting_gives_none_and_takes_no_time_from_the_stop(data_folder: Path) -> None:
    driver = ReplayXdf(
        ReplayXdfConfig(file=str(data_folder / "xdf" / "clock_resets.xdf"), streams=("MyMarkerStream",)),
        ImpatientClock(T0_S - 5),
    )
    driver.open()
    driver.start(TakeStart("xdf", T0_S))
    assert driver.read() is None
    driver.close()
