"""The benchmarks of speed run and agree about what they read. None asserts a duration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.mark.parametrize("kind", ["write_synthetic", "write_partly_stamped"])
def test_both_readers_give_the_same_values(tmp_path, kind):
    import reader

    path = tmp_path / "small.xdf"
    getattr(reader, kind)(path, 3.0)
    ours, theirs = reader.READERS[reader.OURS](path), reader.READERS[reader.BARE](path)
    assert ours.keys() == theirs.keys()
    for stream_id, values in ours.items():
        np.testing.assert_array_equal(values, theirs[stream_id])
    in_blocks = reader.READERS[reader.BLOCKS](path)
    assert [len(samples) for samples in in_blocks.values()] == [len(values) for values in ours.values()]


def test_readers_are_compared(tmp_path):
    from reader import READERS, compare, write_synthetic

    path = tmp_path / "small.xdf"
    write_synthetic(path, 2.0)
    rows = compare(path, rounds=1)
    assert rows.keys() == READERS.keys()
    assert all(row["seconds"] > 0 for row in rows.values())


def test_the_segmenter_alone(monkeypatch, capsys):
    from repetitions import main

    monkeypatch.setattr("sys.argv", ["repetitions.py", "1", "--actions", "A16", "--only", "counts,sensors"])
    main()
    shown = capsys.readouterr().out
    lines = [line for line in shown.splitlines() if line.startswith(("8 of 10", "12 of 10"))]
    assert sum("1     1 of    1  1.000" in line for line in lines if "count" in line) == 4
    assert "depth camera, 30 Hz" in shown
    assert "against find_peaks on PC 1" in shown


@pytest.mark.slow
def test_the_segmenter_on_real_recordings(data_folder: Path, monkeypatch, capsys):
    from repetitions import main

    monkeypatch.setattr("sys.argv", ["repetitions.py", "--real", str(data_folder)])
    main()
    shown = capsys.readouterr().out
    assert "squats1.trc, count given: 5 of 5" in shown
    assert "biceps sEMG, count not given: 9 of 9" in shown
    assert "10    10 of   10  1.000" in shown
