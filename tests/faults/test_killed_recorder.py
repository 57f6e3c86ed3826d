"""SIGKILL of the recorder, and of it with all its workers, at random moments: start and stop included."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("SIGKILL is POSIX's", allow_module_level=True)

#: Five kills of each kind; fifty are done by benchmarks/recorder.py --kills 50.
KILLS = 5


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("group", [False, True], ids=["recorder", "process group"])
def test_what_had_arrived_is_there_and_the_next_record_closes_the_take(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: bool
) -> None:
    monkeypatch.syspath_prepend(str(project / "benchmarks"))
    from kill_judge import MOMENTS, SMALL_RIG, Killing
    from two_recorders import environment

    (tmp_path / "rig.toml").write_text(SMALL_RIG, encoding="utf-8")
    killing = Killing(tmp_path / "rig.toml", tmp_path / "out", environment(tmp_path))
    pace = killing.undisturbed()
    rng, demanded = random.Random(), 0
    for number in range(KILLS):
        share = rng.random()
        verdict = killing.once(MOMENTS[number % len(MOMENTS)], share, pace, group=group)
        assert verdict.problems == (), (verdict, share)
        assert verdict.by_itself, (verdict, share)
        demanded += verdict.demanded
    assert demanded > 0
