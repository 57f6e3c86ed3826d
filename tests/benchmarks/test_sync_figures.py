"""The benchmark of synchronisation measures what it says, on small recordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np


def test_both_are_judged_by_the_same_truth(tmp_path):
    import sync_figures

    name, link = next(iter(sync_figures.scenarios()))
    assert name == "steady"
    recording = sync_figures.recording_of(replace(link, seconds=20.0))
    path = tmp_path / "link.xdf"
    sync_figures.write_recording(recording, path)
    mine, theirs = sync_figures.ours(recording), sync_figures.peer(path, recording)
    assert mine.p99_ms < 0.05
    assert 2.0 < theirs.p50_ms < 4.0  # the mean delay, which a line through the middle carries


def test_a_written_recording_reads_as_it_was_played(tmp_path):
    import sync_figures

    recording = sync_figures.recording_of(sync_figures.Link(seconds=5.0, lost=((2000, 2100),), resent=(20,)))
    path = tmp_path / "link.xdf"
    sync_figures.write_recording(recording, path)
    notes: list[str] = []
    (read,) = sync_figures.recorded_streams(sync_figures.read_xdf(path), notes)
    played = recording.stream
    assert notes == []
    for part in ("stamps", "values", "counter", "chunk_last", "clock_rows", "probes"):
        np.testing.assert_array_equal(getattr(read, part), getattr(played, part), err_msg=part)


def test_cost_is_of_the_same_file(tmp_path):
    import sync_figures

    path = tmp_path / "mix.xdf"
    sync_figures.write_mix(path, 0.1, 2)
    rows = [sync_figures.cost_here(method, path) for method in (sync_figures.OURS, sync_figures.PEER)]
    assert all(row["seconds"] > 0 for row in rows)
    # theirs holds the counters, the clock streams and the probes as well
    assert 0.5 < rows[0]["result_mb"] / rows[1]["result_mb"] < 1.0
