from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.streams import CLOCK_LABELS, COUNTER_LABEL, MARKERS_LABELS, MARKERS_NAME, MARKERS_SOURCE, Channel
from storage.recorded_streams import own_markers, recorded_streams
from storage.xdf_header import build_header
from storage.xdf_reader import read_xdf
from storage.xdf_writer import XdfWriter


def test_streams_of_one_name_are_told_apart_and_share_no_clock(tmp_path: Path) -> None:
    path = tmp_path / "two.xdf"
    writer = XdfWriter(path)
    for stream_id in (3, 7):
        writer.stream_header(stream_id, build_header("emg", "EMG", [Channel("a")], 10.0, "int16"))
        writer.samples(stream_id, [1.0, 1.1], np.array([[stream_id], [2]], dtype=np.int16))
    clock = [Channel(label) for label in CLOCK_LABELS]
    writer.stream_header(8, build_header("emg.clock", "Clock", clock, 0.0, "double64"))
    writer.close()
    notes: list[str] = []
    first, second = recorded_streams(read_xdf(path), notes)
    assert (first.name, first.stream_id, second.name, second.stream_id) == ("emg-3", 3, "emg-7", 7)
    assert first.clock_rows is None
    assert len(notes) == 1


def test_markers_of_the_recorder_stand_apart_and_those_of_others_do_not(tmp_path: Path) -> None:
    path = tmp_path / "markers.xdf"
    writer = XdfWriter(path)
    label = [Channel(name) for name in MARKERS_LABELS]
    for stream_id in (1, 2):
        header = build_header(MARKERS_NAME, "Markers", label, 0.0, "string", source_id=MARKERS_SOURCE)
        writer.stream_header(stream_id, header)
        writer.samples(stream_id, [4.0 + stream_id, 3.0], [["note: ready"], ["stop"]])
    writer.clock_offset(2, 1.0, 0.5)
    writer.stream_header(3, build_header("cues", "Markers", [Channel("a"), Channel("b")], 0.0, "string"))
    writer.samples(3, [9.0, 8.0], [["übung", "1"], ["", "2"]])
    writer.close()
    file = read_xdf(path)
    assert [(event.session_s, event.kind, event.text) for event in own_markers(file)] == [
        (5.0, "note", "ready"),
        (3.0, "stop", ""),
    ]
    markers, cues = recorded_streams(file, [])
    assert (markers.name, markers.stream_id, markers.probes[:, :2].tolist()) == (MARKERS_NAME, 2, [[1.0, 0.5]])
    assert cues.stamps.tolist() == [9.0, 8.0]
    assert cues.values.tolist() == [["übung", "1"], ["", "2"]]


def test_a_counter_is_taken_out_without_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "counted.xdf"
    writer = XdfWriter(path)
    writer.stream_header(1, build_header("emg", "EMG", [Channel("a"), Channel(COUNTER_LABEL)], 10.0, "float32"))
    writer.samples(1, [1.0, 1.1], np.array([[0.5, 7], [0.25, 8]], dtype=np.float32))
    writer.close()
    file = read_xdf(path)
    (stream,) = recorded_streams(file, [])
    assert stream.values.base is not None
    assert np.shares_memory(stream.values, file.streams[0].values)
    assert stream.values.tolist() == [[0.5], [0.25]]
    assert stream.counter is not None
    assert stream.counter.tolist() == [7, 8]
