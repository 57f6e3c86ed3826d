"""What a dataset says of a subject, and that nothing is left of one who withdraws."""

from __future__ import annotations

from pathlib import Path

import flex_takes
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from lab.subject import SubjectSheet
from storage.flex import rebuild_tables, remove_subject, validate, write_subject, write_take


def test_a_subject_can_be_taken_out(take_folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    written = write_take(dataset, take_folder, flex_takes.make_take(), flex_takes.make_segmentation())
    assert remove_subject(dataset, "S12") == ([written.take_id], 0)
    assert remove_subject(dataset, "S12") == ([], 0)
    assert validate(dataset) == []
    assert [path.name for path in dataset.iterdir() if path.is_dir()] == []


def test_a_dataset_says_what_the_subject_s_sheet_says(take_folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    sheet = SubjectSheet(skill="expert", age_years=31, height_m=1.81, sex="female", consent=True)

    def subjects() -> list[dict[str, object]]:
        return pd.read_parquet(dataset / "subjects.parquet").astype(object).to_dict("records")

    record = flex_takes.make_record(skill="novice")
    write_take(dataset, take_folder, flex_takes.make_take(record), flex_takes.make_segmentation(), sheet=sheet)
    (row,) = subjects()
    assert (row["skill"], row["sex"], row["age_years"], row["height_m"]) == ("expert", "female", 31, 1.81)
    assert not [name for name in row if "consent" in name]
    assert validate(dataset) == []
    other = flex_takes.make_record(subject="S2", session="other")
    write_take(dataset, take_folder, flex_takes.make_take(other), flex_takes.make_segmentation())
    assert (subjects()[0]["subject"], subjects()[0]["height_m"]) == ("S12", 1.81)
    rebuild_tables(dataset)
    assert subjects()[0]["height_m"] == 1.81
    (dataset / "subjects.parquet").unlink()
    rebuild_tables(dataset)
    assert subjects()[0]["skill"] == "novice"  # what only the sheet knew has to be said again
    rebuild_tables(dataset, {"S12": sheet, "S99": sheet})
    assert subjects()[0]["height_m"] == 1.81
    assert write_subject(dataset, "S12", None)
    assert subjects()[0]["skill"] == "novice"
    assert not write_subject(dataset, "S99", sheet)
    assert validate(dataset) == []
    remove_subject(dataset, "S12")
    assert b"S12" not in b"".join(path.read_bytes() for path in dataset.rglob("*") if path.is_file())


def test_a_withdrawn_subject_s_annotations_go_and_others_stay(take_folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    ids = []
    for subject in ("S12", "S2"):
        take = flex_takes.make_take(flex_takes.make_record(subject=subject), cameras=False)
        ids.append(write_take(dataset, take_folder, take, flex_takes.make_segmentation()).take_id)
    schema = pq.read_schema(dataset / "annotations.parquet")
    rows = [
        {"take_id": take_id, "repetition": 1, "annotator": "a", "keystep": "AK44", "error_type": "ET002", "weight": 9.0}
        for take_id in (*ids, ids[0])
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), dataset / "annotations.parquet")
    assert remove_subject(dataset, "S12") == ([ids[0]], 2)
    assert pd.read_parquet(dataset / "annotations.parquet")["take_id"].tolist() == [ids[1]]
    assert validate(dataset) == []
