"""What "How to read the dataset" tells people to write gives what was written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = "docs/how-to/read-the-dataset.md"


@pytest.fixture(scope="module")
def lab(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of two subjects at ``flex-data/dataset``."""
    import importlib.util

    from storage.flex import write_take

    spec = importlib.util.spec_from_file_location("flex_takes_of_docs", project / "tests/storage/flex_takes.py")
    assert spec is not None
    assert spec.loader is not None
    takes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(takes)
    folder = tmp_path_factory.mktemp("lab")
    for view in ("view1", "view2"):
        takes.write_numbered_video(folder / f"{view}.mov")
    for subject in ("S12", "S13"):
        made = takes.make_take(takes.make_record(subject=subject))
        write_take(folder / "flex-data" / "dataset", folder, made, takes.make_segmentation())
    return folder


def run_block(project: Path, number: int) -> dict[str, Any]:
    text = (project / PAGE).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    exec(compile(blocks[number], PAGE, "exec"), names)
    return names


def test_three_lines_of_pandas_and_h5py(project: Path, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)
    names = run_block(project, 0)
    assert names["row"].repetition_id == "S12_20261122-0930_A16-01_rep01"
    assert names["emg_uv"].shape == (6000, 4)
    assert set(names["frames"]["repetition"]) == {1}
    assert len(names["frames"]) == 91


def test_the_lines_of_the_read_api_give_the_same(project: Path, lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lab)
    names = run_block(project, 1)
    assert names["repetition"].id == "S13_20261122-0930_A16-01_rep03"
    assert names["view"] == "view2"
    assert names["picture"].shape == (48, 144, 3)
    assert len(names["before_the_turn"]) == 2800
    assert list(names["pose"].columns) == ["time_s", "phase", "keystep", "pose_right_knee_z"]
    assert set(names["pose"]["keystep"]) == {"AK44", "AK45"}
    first = names["dataset"].repetition("S12_20261122-0930_A16-01_rep01")
    np.testing.assert_array_equal(first.signal("emg").values, run_block(project, 0)["emg_uv"])
