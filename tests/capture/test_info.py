"""``flex-capture info``: what a dataset holds, on a terminal of 80 columns and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_takes import load_flex_takes

from lab.actions import ACTIONS
from lab.take import TakeRecord
from storage.flex import write_take


@pytest.fixture(scope="module")
def dataset(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    takes = load_flex_takes(project)
    folder = tmp_path_factory.mktemp("info")

    def add(subject: str, take: str, count: int, expected: int | None = 3, **more: object) -> None:
        record: TakeRecord = takes.make_record(
            subject=subject, take=take, action=take[:3], expected_repetitions=expected, simulated=False
        )
        made = takes.make_take(record, cameras=False)
        if more.pop("late", False):
            made = replace(made, reports=(takes.make_report("emg", 2000.0, in_sync=False),))
        write_take(folder / "dataset", folder, made, takes.make_segmentation(count, expected), **more)  # type: ignore[arg-type]

    add("S01", "A16-01", 3)
    add("S01", "A17-01", 3)
    add("S01", "A20-01", 0, None)
    add("S02", "A16-01", 3)
    add("S02", "A16-02", 2)
    add("S02", "A17-01", 3, excluded_reason="wrong load")
    add("VeryLongSubject7", "A16-01", 3, faults=("emg failed",))
    add("VeryLongSubject7", "A17-01", 3, late=True)
    return folder / "dataset"


def test_the_matrix_says_what_there_is(dataset: Path, flex_capture) -> None:
    outcome = flex_capture("info", dataset)
    assert outcome.code == 0, outcome
    lines = outcome.out.splitlines()
    rows = {line.split()[0]: line for line in lines[1:4]}
    assert lines[0].split() == ["subject", *(action[1:] for action in ACTIONS), "all"]
    assert max(len(line) for line in lines[:4]) <= 80

    def cell(subject: str, action: str) -> str:
        place = lines[0].index(f"{action[1:]} ")
        return rows[subject][place : place + 3].strip()

    assert [cell("S01", action) for action in ("A01", "A16", "A17", "A20")] == [".", "3", "3", "0"]
    assert [cell("S02", action) for action in ("A16", "A17")] == ["2-", "0x"]
    assert [cell("VeryLongSub…", action) for action in ("A16", "A17")] == ["3!", "3~"]
    said = " ".join(" ".join(lines[4:]).split())
    assert "3 subjects, 3 of 20 actions, 7 takes, 17 repetitions found of 18 expected; 14 to be used" in said
    assert "takes: 1 replaced by a retake; 1 excluded; 1 out of sync; 1 marked, since something failed" in said
    assert "simulated" not in said
    assert "missing: S02: A20 VeryLongSubject7: A20" in said
    assert "other counts than expected: S02_20261122-0930_A16-02: 2 of 3" in said


def test_json_says_all_of_it(dataset: Path, flex_capture) -> None:
    outcome = flex_capture("info", dataset, "--json")
    assert outcome.code == 0
    info = json.loads(outcome.out)
    assert info["missing"] == [["S02", "A20"], ["VeryLongSubject7", "A20"]]
    assert info["used_hours"] == pytest.approx(14 * 3.0 / 3600)
    cells = {(cell["subject"], cell["action"]): cell for cell in info["cells"]}
    assert cells["S02", "A16"] == {
        "subject": "S02",
        "action": "A16",
        "takes": ["S02_20261122-0930_A16-02"],
        "retaken": 1,
        "found": 2,
        "expected": 3,
        "used": 2,
        "flags": ["fewer"],
    }
    assert cells["S01", "A20"]["expected"] is None


def test_an_empty_dataset_and_none_are_one_sentence(flex_capture, tmp_path: Path) -> None:
    from storage.flex.folder import begin_dataset

    (tmp_path / "empty").mkdir()
    begin_dataset(tmp_path / "empty")
    outcome = flex_capture("info", tmp_path / "empty")
    assert (outcome.code, outcome.out.strip()) == (0, f"{tmp_path / 'empty'}: no takes yet")
    assert json.loads(flex_capture("info", tmp_path / "empty", "--json").out)["takes"] == 0
    (tmp_path / "nothing").mkdir()
    for place, code in ((tmp_path / "nowhere", 2), (tmp_path / "nothing", 3)):
        outcome = flex_capture("info", place)
        assert (outcome.code, outcome.err.count("\n")) == (code, 1), outcome


def test_a_damaged_index_is_one_sentence(dataset: Path, flex_capture, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    index = copy / "repetitions.parquet"
    index.write_bytes(index.read_bytes()[:100])
    outcome = flex_capture("info", copy)
    assert outcome.code == 3
    assert "run `flex-capture rebuild`" in outcome.err
    assert outcome.err.count("\n") == 1
