"""The benchmark of all actions: its judgement can fail, and its pictures can be read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.simulated.tempo import Mishaps
from lab.repetitions import Repetition, Segmentation


def test_a_set_is_judged() -> None:
    from actions import _OURS, judge, play

    outcome = judge(play("A16", "expert", 0))
    error_ms, number, moment = outcome.worst
    ours = outcome.errors[_OURS]
    assert ours is not None
    assert error_ms == np.abs(ours).max() < 150
    assert 1 <= number <= 10
    assert moment in {"start", "turn", "end"}
    assert outcome.said == {("", "found"): 10}
    assert not outcome.doubted


def test_what_is_missed_or_doubted_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    import actions

    played = actions.play("A16", "expert", 0, Mishaps(failed=1))
    first, *others = played.truth
    shifted = [Repetition(one.start_s, one.turn_s, one.end_s, 0.5, ("odd",)) for one in others]
    monkeypatch.setattr(actions, "find", lambda _: Segmentation(tuple(shifted), 10, "a test"))
    outcome = actions.judge(played)
    assert outcome.errors[actions._OURS] is None
    assert outcome.worst == (float("inf"), 1, "count")
    kind = first.doubts[0] if first.doubts else ""
    assert outcome.said[kind, "missed"] == 1
    assert sum(count for (_, standing), count in outcome.said.items() if standing == "found, doubted") == 9
    assert outcome.doubted


@pytest.mark.parametrize("found", [True, False])
def test_a_picture_is_small_and_shows_both(found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import actions
    import set_picture

    if not found:
        monkeypatch.setattr(actions, "find", lambda _: Segmentation((), 10, "a test"))
    path = actions.draw(actions.play("A18", "novice", 1), 7, tmp_path / "pictures")
    assert path.name == "A18-novice-1.png"
    assert 5_000 < path.stat().st_size < 100_000
    image = cv2.imread(str(path))
    true, ours = (
        int(np.count_nonzero((image == colour).all(axis=2))) for colour in (set_picture._TRUE, set_picture._FOUND)
    )
    assert true > 2_000
    assert ours > 2_000 if found else ours < 500  # no more than the word


def test_the_worst_are_named_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from actions import main

    words = ["actions.py", "--seeds", "1", "--actions", "A04", "--failed", "1", "--worst", "1", "--pictures"]
    monkeypatch.setattr("sys.argv", [*words, str(tmp_path)])
    main()
    said = capsys.readouterr().out
    assert "failed repetitions found, doubted: 3" in said
    assert "wrong counts that nothing was said about: 0" in said
    assert "seed 0: " in said.splitlines()[-1]
    assert len(list(tmp_path.glob("A04-*-0.png"))) == 1
