from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lab.streams import CLOCK_LABELS, COUNTER_LABEL, MARKERS_LABELS, MARKERS_NAME, MARKERS_SOURCE, Channel
from storage.recorded_streams import own_markers, recorded_streams
from storage.xdf_header import build_header
from storage.xdf_reader import read_xdf
from storage.xdf_writer import XdfWriter


def write_amplifiers(path: Path, hosts: tuple[str, ...], clocks: tuple[str, ...]) -> None:
    """Write an ``emg`` of each host and an ``emg.clock`` of each host of ``clocks``, told apart by their numbers."""
    writer = XdfWriter(path)
    for number, host in enumerate(hosts):
        writer.stream_header(number, build_header("emg", "EMG", [Channel("a")], 10.0, "int16", hostname=host))
        writer.samples(number, [1.0, 1.1], np.array([[number], [2]], dtype=np.int16))
    labels = [Channel(label) for label in CLOCK_LABELS]
    for number, host in enumerate(clocks, start=10):
        writer.stream_header(number, build_header("emg.clock", "Clock", labels, 0.0, "double64", hostname=host))
        writer.samples(number, [1.0], np.array([[1.0, number, np.nan]]))
    writer.close()


@pytest.mark.parametrize(
    ("hosts", "clocks", "names", "arrivals"),
    [
        (("a",), ("",), ["emg"], [10.0]),
        (("a",), (), ["emg"], [None]),
        (("a", "b"), ("b", "a"), ["emg-0", "emg-1"], [11.0, 10.0]),
        (("a", "b"), ("b",), ["emg-0", "emg-1"], [None, 10.0]),
        (("a", "a"), ("a",), ["emg-0", "emg-1", "emg.clock"], [None, None, None]),
        (("a", "b"), ("c", "b"), ["emg-0", "emg-1", "emg.clock"], [None, 11.0, None]),
        (("a", "b"), ("c",), ["emg-0", "emg-1", "emg.clock"], [None, None, None]),
        (("a",), ("a", "b"), ["emg", "emg.clock"], [10.0, None]),
    ],
)
def test_streams_of_one_name_are_told_apart_and_have_the_clock_of_their_host(
    tmp_path: Path, hosts: tuple[str, ...], clocks: tuple[str, ...], names: list[str], arrivals: list[float | None]
) -> None:
    path = tmp_path / "two.xdf"
    write_amplifiers(path, hosts, clocks)
    notes: list[str] = []
    streams = recorded_streams(read_xdf(path), notes)
    assert [stream.name for stream in streams] == names
    assert [stream.stream_id for stream in streams][: len(hosts)] == list(range(len(hosts)))
    assert [None if stream.clock_rows is None else stream.clock_rows[0, 1] for stream in streams] == arrivals
    assert len(notes) == (len(hosts) > 1)


def test_what_is_left_out_stands_apart(tmp_path: Path) -> None:
    path = tmp_path / "strange.xdf"
    writer = XdfWriter(path)
    writer.stream_header(1, build_header("emg", "EMG", [Channel("a")], 10.0, "int16"))
    writer.close()
    path.write_bytes(path.read_bytes().replace(b"int16", b"int99"))
    notes: list[str] = []
    left_out: list[str] = []
    assert recorded_streams(read_xdf(path), notes, left_out) == []
    assert (len(notes), len(left_out)) == (0, 1)
    assert recorded_streams(read_xdf(path), notes) == []
    assert notes == left_out


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
