"""Publishers into the recorder through real LSL: every sample, every value, every stamp."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pylsl
import pytest
import pyxdf

from capture.recorder import Recorder
from capture.stream_state import ExpectedStream
from drivers.publish import FramePublisher, SampledPublisher
from lab.errors import DeviceError
from lab.streams import COUNTER_MODULUS, FRAME_LABELS, PROBES_NAME, Channel, Chunk, StreamSpec, VideoFormat
from storage.xdf_reader import read_xdf


def spec_of(sample_format: str, rate_hz: float = 1000.0) -> StreamSpec:
    channels = (Channel("a", "microvolts", "EMG"), Channel("b", "microvolts", "EMG"))
    return StreamSpec("EMG", channels, rate_hz, format=sample_format, simulated=True)  # type: ignore[arg-type]


def expected_of(publisher: SampledPublisher | FramePublisher, spec: StreamSpec) -> list[ExpectedStream]:
    return [
        ExpectedStream(name, publisher.name, source, spec if name == publisher.name else None)
        for name, source in publisher.sources.items()
    ]


@pytest.mark.parametrize("sample_format", ["float32", "double64", "int16", "int32"])
def test_every_sample_and_stamp_of_every_format(tmp_path: Path, sample_format: str) -> None:
    spec = spec_of(sample_format)
    publisher = SampledPublisher("emg", spec, f"run-{sample_format}")
    recorder = Recorder(expected_of(publisher, spec))
    recorder.connect(10.0)
    assert publisher.subscribed(5.0)
    recorder.start(tmp_path / "streams.xdf")
    rng = np.random.default_rng(7)
    sent, counts, arrivals = [], [], []
    first = COUNTER_MODULUS - 150  # the published count wraps in the middle
    for number in range(30):
        values = rng.integers(-3000, 3000, (10, 2))
        counters = first + number * 10 + np.arange(10)
        arrival_s = pylsl.local_clock()
        publisher.publish(Chunk("", values.astype(np.float64), counters, arrival_s, float(number)))
        sent.append(values)
        counts.append(counters)
        arrivals.append(arrival_s)
        time.sleep(0.005)
    assert recorder.drain(publisher.published, 5.0) == []
    recorder.close()
    assert recorder.failure is None
    assert recorder.streams[0].lost == 0
    read = {stream.name: stream for stream in read_xdf(tmp_path / "streams.xdf").streams}
    values = read["emg"].values
    assert (values[:, :2] == np.concatenate(sent)).all()
    modulus = 2**15 if sample_format == "int16" else COUNTER_MODULUS
    assert (values[:, 2] == np.concatenate(counts) % modulus).all()
    assert read["emg"].stamps[9::10] == pytest.approx(arrivals, abs=1e-9)  # liblsl computes with them
    assert (read["emg.clock"].values[:, 0] == [chunk[-1] for chunk in counts]).all()
    assert (read["emg.clock"].values[:, 1] == arrivals).all()
    assert (read["emg.clock"].values[:, 2] == np.arange(30.0)).all()
    streams, _ = pyxdf.load_xdf(tmp_path / "streams.xdf", synchronize_clocks=False, dejitter_timestamps=False)
    theirs = {stream["info"]["name"][0]: stream for stream in streams}
    for name, stream in read.items():
        assert (theirs[name]["time_stamps"] == stream.stamps).all()
        assert len(stream.stamps) == 0 or (np.asarray(theirs[name]["time_series"]) == stream.values).all()


def test_a_gap_in_the_count_is_seen_while_recording(tmp_path: Path) -> None:
    spec = spec_of("float32")
    publisher = SampledPublisher("emg", spec, "run-gap")
    recorder = Recorder(expected_of(publisher, spec))
    recorder.connect(10.0)
    assert publisher.subscribed(5.0)
    recorder.start(tmp_path / "streams.xdf")
    for first in (0, 10, 27, 37):
        publisher.publish(Chunk("", np.zeros((10, 2)), first + np.arange(10), pylsl.local_clock()))
    recorder.drain(publisher.published, 5.0)
    recorder.close()
    assert recorder.streams[0].lost == 7


def test_probes_are_real_and_kept_with_their_round_trip(tmp_path: Path) -> None:
    spec = StreamSpec(
        "VideoCompressed",
        tuple(Channel(label) for label in FRAME_LABELS),
        30.0,
        format="double64",
        video=VideoFormat("mjpeg", 64, 48),
    )
    publisher = FramePublisher("view1", spec, "run-probe")
    recorder = Recorder(expected_of(publisher, spec))
    recorder.connect(10.0)
    recorder.start(tmp_path / "streams.xdf")
    publisher.publish(5, 1.5, pylsl.local_clock(), 0, encoded=True)
    deadline_s = time.monotonic() + 20
    while len(recorder.streams[0].offsets) < 2 and time.monotonic() < deadline_s:
        time.sleep(0.1)
    recorder.close()
    read = {stream.name: stream for stream in read_xdf(tmp_path / "streams.xdf").streams}
    probes = read[PROBES_NAME].values
    assert len(probes) >= 2
    assert len(set(probes[:, 1])) == len(probes)  # no probe twice
    assert (np.abs(probes[:, 2]) <= probes[:, 3]).all()  # one host: the true offset is 0, inside the round trip
    assert (read["view1"].clock_times == probes[:, 1]).all()
    assert (read["view1"].clock_offsets == probes[:, 2]).all()


def test_missing_streams_are_all_named() -> None:
    recorder = Recorder([ExpectedStream(name, name, f"nobody-{name}", None) for name in ("left", "right")])
    with pytest.raises(DeviceError) as caught:
        recorder.connect(0.2)
    assert [("left" in problem, "right" in problem) for problem in caught.value.problems] == [
        (True, False),
        (False, True),
    ]


def test_two_outlets_with_one_source_id_are_named() -> None:
    spec = spec_of("float32")
    one, two = SampledPublisher("emg", spec, "run-twice"), SampledPublisher("emg", spec, "run-twice")
    recorder = Recorder(expected_of(one, spec))
    with pytest.raises(DeviceError, match="twice under one source id"):
        recorder.connect(10.0)
    del one, two


@pytest.mark.timeout(30)
def test_a_stream_that_promises_a_sample_in_two_minutes_holds_up_no_other(tmp_path: Path) -> None:
    specs = {"slow": spec_of("float32", 1 / 120), "fast": spec_of("float32")}
    publishers = {name: SampledPublisher(name, spec, "run-slow") for name, spec in specs.items()}
    recorder = Recorder([one for name, spec in specs.items() for one in expected_of(publishers[name], spec)])
    recorder.connect(10.0)
    assert all(publisher.subscribed(5.0) for publisher in publishers.values())
    recorder.start(tmp_path / "streams.xdf")
    for number in range(3):
        for publisher in publishers.values():
            publisher.publish(Chunk("", np.zeros((5, 2)), number * 5 + np.arange(5), pylsl.local_clock()))
        time.sleep(0.1)
    published = publishers["slow"].published | publishers["fast"].published
    assert recorder.drain(published, 5.0) == []
    recorder.close()
    assert recorder.failure is None
