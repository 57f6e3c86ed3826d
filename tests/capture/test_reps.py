"""A person corrects repetitions: kept in the take, in the dataset at once, and after every resegmentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from storage.checksums import verify_sums
from storage.marks_file import read_marks


def rows_of(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "dataset" / "repetitions.parquet")


def test_corrections_are_listed_written_and_kept(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take, out = offline_take(), tmp_path / "out"
    listed = json.loads(flex_capture("reps", take, "--json").out)
    assert (listed["found"], listed["expected"]) == (2, 2)
    one, two = listed["repetitions"]
    assert {one["provenance"], two["provenance"]} == {"auto"}
    changed = flex_capture("reps", take, "--set", 2, "--start", two["start_s"] - 0.1)
    assert changed.code == 0, changed
    assert "repetition 2 was corrected" in changed.out
    assert flex_capture("reps", take, "--exclude", 1, "--reason", "spotter touched bar").code == 0
    rows = rows_of(out)
    assert list(rows.provenance) == ["auto", "corrected"]
    assert list(rows.excluded_reason.fillna("")) == ["spotter touched bar", ""]
    zero_s = listed["zero_s"]
    assert rows.start_s[1] == pytest.approx(zero_s + two["start_s"] - 0.1, abs=1e-9)
    assert rows.end_s[1] == pytest.approx(zero_s + two["end_s"], abs=1e-9)
    assert rows.start_s[0] == pytest.approx(zero_s + one["start_s"], abs=1e-9)
    notes = list(pd.read_parquet(out / "dataset" / "takes.parquet").notes[0])
    assert any("repetition 1 is not to be used" in note for note in notes)
    table = out / "dataset" / "repetitions.parquet"
    before = table.read_bytes()
    assert flex_capture("resegment", take).code == 0
    assert table.read_bytes() == before
    assert flex_capture("rebuild", out / "dataset").code == 0
    assert table.read_bytes() == before
    assert flex_capture("validate", out / "dataset").code == 0
    assert verify_sums(take) == []
    assert flex_capture("amend", take, "--bad", "wrong shoes").code == 0
    assert list(rows_of(out).excluded_reason) == ["spotter touched bar", "bad: wrong shoes"]
    assert flex_capture("amend", take, "--good").code == 0
    assert flex_capture("reps", take, "--include", 1).code == 0
    assert rows_of(out).excluded_reason.isna().all()
    for _ in range(3):
        assert flex_capture("reps", take, "--undo").code == 0
    assert rows_of(out).provenance.eq("auto").all()
    assert flex_capture("reps", take, "--undo").code == 2


def test_a_repetition_is_put_in_and_another_taken_out(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take, out = offline_take(), tmp_path / "out"
    one = json.loads(flex_capture("reps", take, "--json").out)["repetitions"][0]
    assert flex_capture("reps", take, "--delete", 1, "--reason", "a warm-up").code == 1  # 1 of 2
    assert len(rows_of(out)) == 1
    span = [value for name in ("start", "turn", "end") for value in (f"--{name}", one[f"{name}_s"] + 0.05)]
    assert flex_capture("reps", take, "--insert", *span).code == 0
    assert list(rows_of(out).provenance) == ["corrected", "auto"]
    assert flex_capture("validate", out / "dataset").code == 0


REFUSED = (
    (("--set", 3, "--start", 1), "there is no repetition 3; the take has 2"),
    (("--set", 1), "give a start, a turn or an end"),
    (("--set", 1, "--start", 9999), "lies outside the recording"),
    (("--insert", "--start", 1, "--turn", 2), "needs a start, a turn and an end"),
    (("--set", 2, "--start", "nan"), "nan"),
    (("--delete", 1, "--undo"), "one thing at a time"),
    (("--start", 1), "--start needs --set N or --insert"),
    (("--include", 1, "--reason", "x"), "--reason needs"),
    (("--undo",), "no correction"),
)


def test_what_is_not_possible_is_refused_and_nothing_is_marked(
    offline_take: Callable[..., Path], flex_capture: Callable[..., object]
) -> None:
    take = offline_take()
    for options, says in REFUSED:
        refused = flex_capture("reps", take, *options)
        assert refused.code == 2, options
        assert says in " ".join((refused.err + refused.out).split()), options
    assert read_marks(take) == ([], [])


def test_a_correction_swallows_no_other_and_stays_in_order(
    offline_take: Callable[..., Path], flex_capture: Callable[..., object]
) -> None:
    take = offline_take()
    one, two = json.loads(flex_capture("reps", take, "--json").out)["repetitions"]
    refused = flex_capture("reps", take, "--set", 2, "--start", one["start_s"])
    assert refused.code == 2
    assert "swallow repetition 1" in refused.err
    refused = flex_capture("reps", take, "--set", 2, "--start", two["end_s"] + 0.1)
    assert refused.code == 2
    assert "out of order" in refused.err
    assert read_marks(take) == ([], [])
