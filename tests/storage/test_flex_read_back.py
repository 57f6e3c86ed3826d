"""What does not read back as it was written is refused, and the dataset stays as it was."""

from __future__ import annotations

from pathlib import Path

import flex_takes
import pytest

from lab.errors import LayoutError
from storage.flex import staged_take, validate, write_take


@pytest.mark.parametrize("ending", [".parquet", ".h5"])
@pytest.mark.parametrize("how", ["torn", "empty", "of another take"])
def test_a_file_that_the_disk_changed_is_refused(
    take_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, how: str
) -> None:
    dataset = tmp_path / "dataset"
    write_take(dataset, take_folder, flex_takes.make_take(), flex_takes.make_segmentation())
    before = flex_takes.tree_hashes(dataset)
    (first,) = (path.read_bytes() for path in dataset.rglob(f"*{ending}") if len(path.relative_to(dataset).parts) > 1)
    written = staged_take.write_bytes_durably

    def lying(path: Path, data: bytes) -> None:
        if path.suffix == ending:
            data = {"torn": data[: len(data) // 2], "empty": b"", "of another take": first}[how]
        written(path, data)

    monkeypatch.setattr(staged_take, "write_bytes_durably", lying)
    record = flex_takes.make_record(take="A16-02")
    take, segmentation = flex_takes.make_take(record, cameras=False), flex_takes.make_segmentation(4, 4)
    with pytest.raises(LayoutError, match="does not read back as it was written"):
        write_take(dataset, take_folder, take, segmentation)
    assert flex_takes.tree_hashes(dataset) == before
    assert validate(dataset) == []
