"""The dataset that is measured for its size is valid, and every figure comes out. None asserts a duration."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_a_small_one_is_valid_and_measured(tmp_path, capsys):
    from scale import run

    run(tmp_path / "work", subjects=1, actions=1, repetitions=2, views=1, workers=1)
    shown = capsys.readouterr().out
    assert "| validate | 1 |" in shown
    assert "findings 0" in shown
    assert "| DuckDB, all frames | 1 |" in shown
    assert "rows of frames 122" in shown


@pytest.mark.slow
def test_halves_are_put_together(tmp_path, capsys):
    from scale import run

    run(tmp_path / "work", subjects=2, actions=2, repetitions=3, views=2, workers=2)
    shown = capsys.readouterr().out
    assert shown.count("| rebuild | 2 |") == shown.count("| rebuild | 4 |") == 1
    assert "takes 4" in shown
    assert shown.count("findings 0") == 2
