"""A take's picture of how its times were found is one of its files: written, checked, rebuilt and removed with it."""

from __future__ import annotations

import json
from pathlib import Path

import flex_takes
import pyarrow.parquet as pq
import pytest

from storage.flex import rebuild_tables, remove_subject, validate, write_take
from storage.flex.entries import TakeEntry
from storage.flex.paths import is_own_file, sync_file
from storage.flex.tables import ENTRY_KEY


def write(folder: Path, picture: bytes | None = flex_takes.PICTURE) -> Path:
    """Write a take without views; return the dataset."""
    take = flex_takes.make_take(cameras=False)
    write_take(folder / "dataset", folder, take, flex_takes.make_segmentation(2, 2), sync_picture=picture)
    return folder / "dataset"


def take_row(dataset: Path) -> dict[str, object]:
    (row,) = pq.read_table(dataset / "takes.parquet").to_pylist()
    return row


def pictures(dataset: Path) -> list[Path]:
    return sorted((dataset / "sync").rglob("*.svg"))


def test_it_lies_beside_the_other_files_under_the_same_revision(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    (picture,) = pictures(dataset)
    row = take_row(dataset)
    relative = picture.relative_to(dataset).as_posix()
    assert relative == row["sync_file"] == sync_file("A16", "S12", str(row["take_id"]), str(row["revision"]))
    assert relative == str(row["signals_file"]).replace("signals/", "sync/").replace(".h5", ".svg")
    assert picture.read_bytes() == flex_takes.PICTURE
    assert is_own_file(relative)
    assert not is_own_file("sync/action=A16/subject=S12/notes.svg")
    assert validate(dataset) == []


def test_another_picture_is_another_revision_and_the_older_one_goes(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    before, tree = pictures(dataset), flex_takes.tree_hashes(dataset)
    write(tmp_path)
    assert flex_takes.tree_hashes(dataset) == tree
    write(tmp_path, flex_takes.PICTURE.replace(b"times", b"other"))
    (after,) = pictures(dataset)
    assert [after] != before
    assert validate(dataset) == []


def test_a_take_without_one_is_whole_as_well(tmp_path: Path) -> None:
    dataset = write(tmp_path, None)
    assert take_row(dataset)["sync_file"] is None
    assert not (dataset / "sync").exists()
    assert validate(dataset) == []


def test_a_take_that_knows_of_no_pictures_is_read(tmp_path: Path) -> None:
    dataset = write(tmp_path, None)
    (frames,) = (dataset / "frames").rglob("*.parquet")
    plain = json.loads(pq.read_schema(frames).metadata[ENTRY_KEY.encode()])
    del plain["take"]["sync_file"]
    assert TakeEntry.from_plain(plain).take["sync_file"] is None
    plain["take"]["sync_file"] = 7
    with pytest.raises(ValueError, match="sync_file"):
        TakeEntry.from_plain(plain)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "is missing"),
        (b"", "no whole SVG"),
        (flex_takes.PICTURE[:-9], "no whole SVG"),
        (b"<html/>", "no SVG"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + flex_takes.PICTURE, "document type"),
    ],
)
def test_a_damaged_one_is_found_and_named(tmp_path: Path, data: bytes | None, said: str) -> None:
    dataset = write(tmp_path)
    (picture,) = pictures(dataset)
    if data is None:
        picture.unlink()
    else:
        picture.write_bytes(data)
    (finding,) = validate(dataset)
    assert finding.startswith(picture.relative_to(dataset).as_posix())
    assert said in finding


def test_rebuild_keeps_it_and_a_leftover_goes(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    (picture,) = pictures(dataset)
    left = picture.with_name("S12_x_A16-01.0123456789ab.svg")
    left.write_bytes(b"x")
    assert "interrupted write" in validate(dataset)[0]
    (dataset / "takes.parquet").unlink()
    rebuild_tables(dataset)
    assert pictures(dataset) == [picture]
    assert take_row(dataset)["sync_file"] == picture.relative_to(dataset).as_posix()
    assert validate(dataset) == []


def test_it_goes_with_the_subject(tmp_path: Path) -> None:
    dataset = write(tmp_path)
    remove_subject(dataset, "S12")
    assert not (dataset / "sync").exists()
    assert validate(dataset) == []
