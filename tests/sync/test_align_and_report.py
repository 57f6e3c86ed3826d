from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sync_recordings import made_stream, made_view

from lab.aligned import StreamReport
from sync.align import align_stream, align_view
from sync.report import report_table

PROBES = np.column_stack((np.linspace(1000, 1030, 15), np.full(15, 5.0), np.full(15, 0.2e-3)))


def test_stream_on_session_time_less_latency():
    made = made_stream(1, drift=80e-6, lost=[(4000, 4100)])
    stream, report, _ = align_stream(replace(made.stream, probes=PROBES), 0.030, 5.0)
    assert np.percentile(np.abs(stream.time_s - (made.true_host_s + 5.0 - 0.030)), 99) < 0.3e-3
    assert stream.values.shape == made.stream.values.shape
    assert np.all(np.diff(stream.time_s) > 0)
    assert report.in_sync
    assert report.note == ""
    assert report.lost == 100
    assert report.samples == stream.time_s.size
    assert report.drift_ppm == pytest.approx(80, abs=20)
    assert 0 < report.uncertainty_p50_ms <= report.uncertainty_p99_ms < 1
    assert report.latency_s == 0.030


def test_without_probes_it_is_marked():
    _, report, _ = align_stream(made_stream(1).stream, 0.0, 5.0)
    assert not report.in_sync
    assert np.isinf(report.uncertainty_p99_ms)
    assert "no clock probes" in report.note


def test_above_the_tolerance_it_is_marked():
    made = made_stream(1, chunk=100, jitter_s=0.05, seconds=5.0)
    _, report, _ = align_stream(replace(made.stream, probes=PROBES), 0.0, 0.5)
    assert not report.in_sync
    assert "more than the 0.5 ms" in report.note


def test_a_silent_stream_is_not_in_sync_unless_it_is_irregular():
    stream = made_stream(1, counter=False, clock_rows=False).stream
    empty = replace(stream, stamps=np.zeros(0), values=stream.values[:0], chunk_last=stream.chunk_last[:0])
    aligned, report, _ = align_stream(empty, 0.0, 5.0)
    assert aligned.time_s.size == 0
    assert not report.in_sync
    assert align_stream(replace(empty, rate_hz=0.0), 0.0, 5.0)[1].in_sync


def test_string_markers_are_aligned_too():
    stream = made_stream(1, counter=False, clock_rows=False, seconds=0.1).stream
    stamps = np.array([1005.0, 1007.5])
    words = np.array([["start"], ["stop"]], dtype=object)
    stream = replace(stream, rate_hz=0.0, stamps=stamps, values=words, probes=PROBES)
    aligned, report, _ = align_stream(stream, 0.0, 5.0)
    np.testing.assert_allclose(aligned.time_s, stamps + 5.0, atol=1e-4)
    assert aligned.values.tolist() == [["start"], ["stop"]]
    assert report.method == "own stamps"


def test_view_keeps_every_frame_record():
    view, truth = made_view(2, lost=[(100, 130)])
    aligned, report, _ = align_view(view, 0.010, 5.0)
    assert np.percentile(np.abs(aligned.time_s - (truth + 2.0 - 0.010)), 99) < 0.5e-3
    assert aligned.frame_id.tolist() == view.frame_id.tolist()
    assert (aligned.codec, aligned.width, aligned.height) == ("mjpeg", 640, 480)
    assert (report.stream, report.lost, report.gaps) == ("view1", 30, 1)
    assert report.rate_measured_hz == pytest.approx(60, rel=1e-3)


def line(**changes):
    plain = StreamReport(
        "emg", 2000.0, 2000.1234, 120000, 0, *(False, 0, 61.7, 4.2, 0.05, 0.09, 0.012, "device count", True)
    )
    return replace(plain, **changes)


def test_table_has_one_line_a_stream_in_columns():
    reports = [
        line(),
        line(
            stream="a_device_name_of_thirty_two_char", rate_asked_hz=0.0, rate_measured_hz=float("nan"), lost=123456789
        ),
        line(
            stream="view1",
            lost=3,
            lost_ambiguous=True,
            uncertainty_p99_ms=float("inf"),
            in_sync=False,
            note="lost " * 60,
        ),
    ]
    rows = report_table(reports).splitlines()
    assert max(len(row) for row in rows) <= 110
    assert "~3" in rows[4]
    assert "?" in rows[4]
    assert [row.split()[1] for row in rows[2:5]] == ["yes", "yes", "NO"]
    ends = {row.index(mark) + len(mark) for row, mark in zip(rows[2:5], (" 0 ", " 123456789 ", " ~3 "), strict=True)}
    assert len(ends) == 1
    assert sum("lost" in row for row in rows[5:]) > 1


def test_table_of_nothing_is_its_head():
    assert len(report_table([]).splitlines()) == 2


def test_values_stay_with_their_times_whatever_was_dropped_or_out_of_order():
    made = made_stream(1, seconds=2.0, chunk=1, counter=False)
    order = np.random.default_rng(0).permutation(made.stream.stamps.size)
    mixed = replace(made.stream, rate_hz=0.0, stamps=1000.0 + order / 1000, values=made.stream.values[order])
    stream, _, evidence = align_stream(mixed, 0.0, 5.0)
    np.testing.assert_array_equal(stream.values, made.stream.values)
    np.testing.assert_array_equal(evidence.sample, np.argsort(order))
    twice = np.r_[0 : made.stream.stamps.size, made.stream.stamps.size - 5 : made.stream.stamps.size]
    again = replace(
        made_stream(1, seconds=2.0, chunk=1).stream,
        stamps=made.stream.stamps[twice],
        values=made.stream.values[twice],
        counter=twice.astype(np.int64),
        chunk_last=np.arange(twice.size),
    )
    stream, _, evidence = align_stream(again, 0.0, 5.0)
    assert len(stream.values) == len(stream.time_s) == made.stream.stamps.size
    assert evidence.sample[-1] == made.stream.stamps.size - 1
