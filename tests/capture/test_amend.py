"""What was typed wrong is set right: the raw take stays, the dataset follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import storage.flex
from capture.amendment import new_mark
from storage.checksums import verify_sums
from storage.marks_file import append_mark, read_marks
from storage.take_folder import read_record, write_record

TAKE = "S12_20261122-0930_A16-01"


def takes_of(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "dataset" / "takes.parquet").set_index("take_id")


def files_of(take: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in take.rglob("*") if path.is_file() and path.name != "marks.jsonl"}


def test_every_fact_is_set_right_and_nothing_raw_changes(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take, out = offline_take(), tmp_path / "out"
    assert flex_capture("resegment", take).code == 0
    before = files_of(take)
    changed = flex_capture(
        "amend", take, "--subject", "S13", "--action", "front squat", "--load-kg", 40, "--skill", "expert"
    )
    assert changed.code == 0, changed
    assert "the subject was set right from S12 to S13" in changed.out
    row = takes_of(out).loc[TAKE]
    assert (row.subject, row.action, row.load_kg, row.skill) == ("S13", "A17", 40.0, "expert")
    assert row["take"] == "A16-01"
    repetitions = pd.read_parquet(out / "dataset" / "repetitions.parquet")
    assert set(repetitions.subject) == {"S13"}
    assert repetitions.first_keystep.isna().all()
    assert all((out / "dataset" / file).is_file() for file in repetitions.signals_file)
    assert not list((out / "dataset").rglob("*subject=S12*"))
    assert flex_capture("validate", out / "dataset").code == 0
    assert flex_capture("amend", take, "--note", "belt on", "--bad", "spotter in view").code == 0
    assert takes_of(out).loc[TAKE].excluded_reason == "bad: spotter in view"
    assert "belt on" in list(takes_of(out).loc[TAKE].notes)
    assert flex_capture("amend", take, "--good", "--clear", "load-kg", "--reps", 3).code == 1  # 2 of 3 found
    row = takes_of(out).loc[TAKE]
    assert row.expected == 3
    assert pd.isna(row.excluded_reason)
    assert pd.isna(row.load_kg)
    assert flex_capture("validate", out / "dataset").code == 0
    assert files_of(take) == before
    assert verify_sums(take) == []
    lines = [json.loads(line) for line in (take / "marks.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["amend", "bad", "note", "amend", "good"]
    assert all(line["utc"].startswith("20") and line["who"] for line in lines)
    # from raw and marks alone the same dataset comes out again
    again = tmp_path / "again"
    assert flex_capture("resegment", take, "--dataset", again).code == 1
    assert (again / "repetitions.parquet").read_bytes() == (out / "dataset" / "repetitions.parquet").read_bytes()


def test_a_take_can_be_named_by_its_id(
    offline_take: Callable[..., Path],
    tmp_path: Path,
    flex_capture: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    take = offline_take(session="first_visit")
    assert flex_capture("amend", "S12_first_visit_A16-01", "--out", tmp_path / "out", "--load-kg", 35).code == 0
    assert read_marks(take)[0][0].load_kg == 35
    monkeypatch.chdir(take)  # from within, and with a name that is no id
    assert flex_capture("amend", ".", "--note", "ß").code == 0
    assert flex_capture("amend", "S12_first_visit_A16-02", "--out", tmp_path / "out", "--note", "x").code == 2


def test_the_take_of_another_keeps_apart_from_the_other_s_own(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    out, wrong = tmp_path / "out", offline_take(subject="S12")
    own = offline_take(subject="S13", seed=5)
    assert flex_capture("resegment", out / "raw").code == 0
    assert flex_capture("amend", wrong, "--subject", "S13").code == 0
    takes = takes_of(out)
    assert list(takes.subject) == ["S13", "S13"]
    assert takes.current.sum() == 1
    assert flex_capture("validate", out / "dataset").code == 0
    assert flex_capture("amend", own, "--bad", "").code == 0
    assert takes_of(out).current.to_dict() == {"S13_20261122-0930_A16-01": False, TAKE: True}
    assert flex_capture("validate", out / "dataset").code == 0


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ((), "nothing was said"),
        (("--subject", "../x"), "not possible"),
        (("--action", "A21"), "no action 'A21'"),
        (("--bad", "x", "--good"), "either --bad or --good"),
        (("--skill", "expert", "--clear", "skill"), "either given or cleared"),
        (("--load-kg", "nan"), "nan"),
        (("--load-kg", "501"), "501"),
        (("--note", "x" * 2001), "2000"),
        (("--subject", "s12"), "is there as 'S12'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_marked(
    said: tuple[str, ...], answer: str, offline_take: Callable[..., Path], flex_capture: Callable[..., object]
) -> None:
    take = offline_take()
    refused = flex_capture("amend", take, *said)
    assert refused.code == 2
    assert answer in refused.out + refused.err
    assert not (take / "marks.jsonl").exists()
    assert flex_capture("amend", take / "nowhere", "--note", "x").code == 2


def test_what_was_said_is_kept_where_the_dataset_cannot_follow(
    offline_take: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    take = offline_take()
    (take / "streams.xdf").rename(tmp_path / "elsewhere.xdf")
    failed = flex_capture("amend", take, "--note", "a lamp went out")
    assert failed.code == 3
    assert "flex-capture resegment" in failed.err
    assert read_marks(take)[0][0].text == "a lamp went out"
    (tmp_path / "elsewhere.xdf").rename(take / "streams.xdf")
    assert flex_capture("resegment", take).code == 0
    assert "a lamp went out" in list(takes_of(tmp_path / "out").loc[TAKE].notes)


def test_a_take_that_was_not_closed_is_not_marked(
    offline_take: Callable[..., Path], flex_capture: Callable[..., object]
) -> None:
    take = offline_take()
    write_record(take, read_record(take).model_copy(update={"state": "recording"}))
    refused = flex_capture("amend", take, "--note", "x")
    assert refused.code == 2
    assert "flex-capture recover" in refused.err
    assert not (take / "marks.jsonl").exists()


def test_what_is_said_while_the_dataset_is_written_is_in_it(
    offline_take: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flex_capture: Callable[..., object],
) -> None:
    from capture import process_take as processing

    take, writes = offline_take(), []

    def commit_takes(dataset: Path, staged: list[storage.flex.StagedTake]) -> object:
        if not writes:  # another terminal, between the reading of the marks and the writing
            append_mark(take, new_mark("bad", "wrong bar"))
        writes.append(staged[0].entry.take["excluded_reason"])
        return storage.flex.commit_takes(dataset, staged)

    monkeypatch.setattr(processing, "commit_takes", commit_takes)
    assert flex_capture("amend", take, "--load-kg", 5).code == 0
    assert writes == [None, "bad: wrong bar"]
    assert takes_of(tmp_path / "out").loc[TAKE].excluded_reason == "bad: wrong bar"


def test_marks_that_are_no_file_or_garbage_are_a_sentence(
    offline_take: Callable[..., Path], flex_capture: Callable[..., object]
) -> None:
    take = offline_take()
    (take / "marks.jsonl").mkdir()
    refused = flex_capture("amend", take, "--note", "x")
    assert refused.code == 3
    assert "is kept" not in refused.err
    (take / "marks.jsonl").rmdir()
    (take / "marks.jsonl").write_text("x\n" * 1000)
    said = flex_capture("amend", take, "--note", "y")
    assert said.code == 1
    assert said.out.count("not understood") == 6
    assert "995 more lines" in said.out
