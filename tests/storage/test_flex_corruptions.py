"""Deliberate corruptions of a dataset, one by one: each is found, and named with its file in a sentence."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flex_takes
import numpy as np
import pytest

from storage.flex import validate, write_take
from storage.video_reader import cut_clip

A16, A01 = "S12_20261122-0930_A16-02", "S12_20261122-0930_A01-01"


@pytest.fixture(scope="module")
def good(take_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two actions, a retake of one of them; two views."""
    dataset = tmp_path_factory.mktemp("good") / "dataset"
    for take in ("A16-01", "A16-02", "A01-01"):
        record = flex_takes.make_record(take=take, action=take[:3])
        write_take(
            dataset,
            take_folder,
            flex_takes.make_take(record),
            flex_takes.make_segmentation(2, 2),
            sync_picture=flex_takes.PICTURE,
        )
    return dataset


@pytest.fixture
def dataset(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "dataset"))


def one(dataset: Path, pattern: str) -> Path:
    (path,) = dataset.glob(pattern)
    return path


def frames(dataset: Path) -> Path:
    return one(dataset, f"frames/*/*/{A16}.*.parquet")


def signals(dataset: Path) -> Path:
    return one(dataset, f"signals/*/*/{A16}.*.h5")


def clip(dataset: Path, name: str = "rep_01_view1") -> Path:
    return one(dataset, f"video/*/*/{A16}.*/{name}.mov")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def swap(first: Path, second: Path) -> None:
    one_bytes, other_bytes = first.read_bytes(), second.read_bytes()
    first.write_bytes(other_bytes)
    second.write_bytes(one_bytes)


def rows_changed(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the rows of a Parquet file; metadata, types and row groups stay. Nulls may stand anywhere."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        groups = [file.read_row_group(number).to_pylist() for number in range(file.num_row_groups)]
    loose = pa.schema([field.with_nullable(nullable=True) for field in schema], metadata=schema.metadata)
    with pq.ParquetWriter(path, loose) as writer:
        for rows in groups:
            change(rows)
            if rows:
                writer.write_table(pa.Table.from_pylist(rows, schema=loose))


def of_take(take_id: str, /, **values: object) -> Callable[[list[dict[str, Any]]], object]:
    return lambda rows: [row.update(values) for row in rows if row["take_id"] == take_id]


def of_repetition(number: int, /, **values: object) -> Callable[[list[dict[str, Any]]], object]:
    return lambda rows: [row.update(values) for row in rows if (row["take_id"], row["repetition"]) == (A16, number)]


def of_row(place: int, /, **values: object) -> Callable[[list[dict[str, Any]]], object]:
    return lambda rows: rows[place].update(values)


def column_changed(path: Path, change: Callable[[Any], Any]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        groups = [file.read_row_group(number) for number in range(file.num_row_groups)]
    changed = [change(group) for group in groups]
    with pq.ParquetWriter(path, changed[0].schema) as writer:
        for group in changed:
            writer.write_table(group)


def signal_changed(dataset: Path, change: Callable[[Any], object]) -> None:
    import h5py

    with h5py.File(signals(dataset), "r+") as file:
        change(file)


def replaced(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], object]:
    def apply(file: Any) -> None:
        attributes = dict(file[name].attrs)
        values = change(file[name][()])
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)

    return apply


def clip_cut_short(dataset: Path) -> None:
    """Leave out the last frame, and say otherwise."""
    path = clip(dataset)
    whole = shutil.copy(path, dataset.parent / "whole.mov")
    cut_clip(Path(whole), path, 0, 89, label=f"{A16} view1 frames 15 to 105")


def row_group_dropped(dataset: Path) -> None:
    rows_changed(frames(dataset), lambda rows: rows.clear() if rows[0]["repetition"] == 1 else None)


def set_times(number: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[7] = number
        return values

    return change


def edited(dataset: Path) -> None:
    path = dataset / "dataset.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"unit": "kg"', '"unit": "lb"', 1), encoding="utf-8")


def permuted(values: np.ndarray) -> np.ndarray:
    """Swap the right and the left wrist."""
    order = list(range(21))
    order[5], order[9] = 9, 5
    return values[:, order]


REPETITIONS, TAKES, STREAMS = "repetitions.parquet", "takes.parquet", "streams.parquet"

#: What is done to a dataset, and the sentence that names it: the file, and what is wrong in it.
CORRUPTIONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "index truncated": (lambda d: truncate(d / REPETITIONS), r"^repetitions\.parquet: cannot be read"),
    "frames table truncated": (lambda d: truncate(frames(d)), rf"^frames/.*{A16}.*\.parquet: cannot be checked"),
    "signals truncated": (lambda d: truncate(signals(d)), rf"^signals/.*{A16}.*\.h5: cannot be checked"),
    "clip truncated": (lambda d: truncate(clip(d)), r"^video/.*/rep_01_view1\.mov: cannot be checked"),
    "clip emptied": (lambda d: clip(d).write_bytes(b""), r"^video/.*/rep_01_view1\.mov: cannot be checked"),
    "clips of two repetitions swapped": (
        lambda d: swap(clip(d, "rep_01_view1"), clip(d, "rep_02_view1")),
        rf"rep_01_view1\.mov: says of itself '{A16} view1 frames 105 to 195' and should be '{A16} view1 frames 15 to",
    ),
    "clips of two views swapped": (
        lambda d: swap(clip(d, "rep_02_view1"), clip(d, "rep_02_view2")),
        rf"rep_02_view2\.mov: says of itself '{A16} view1 frames 105 to 195' and should be '{A16} view2",
    ),
    "clip of another take": (
        lambda d: swap(clip(d), one(d, f"video/*/*/{A01}.*/rep_01_view1.mov")),
        rf"rep_01_view1\.mov: says of itself '{A01} view1",
    ),
    "clip one frame short": (clip_cut_short, r"rep_01_view1\.mov: has 90 frames and should have 91"),
    "clip removed": (lambda d: clip(d).unlink(), rf"rep_01_view1\.mov: is missing, but {A16}_rep01 names it"),
    "signals removed": (lambda d: signals(d).unlink(), rf"^signals/.*: is missing, but take {A16} names it"),
    "table removed": (lambda d: (d / STREAMS).unlink(), r"^streams\.parquet: is missing"),
    "start frame of a view wrong": (
        lambda d: rows_changed(d / REPETITIONS, of_repetition(1, view1_start_frame=16)),
        rf"^repetitions\.parquet: view1_start_frame of {A16}_rep01 is not what the take's own file says",
    ),
    "frame of a row wrong": (
        lambda d: rows_changed(frames(d), of_row(90, frame=7)),
        r"^frames/.*: frames of repetition 1 do not run from 15 to 105",
    ),
    "frame of another view wrong": (
        lambda d: rows_changed(frames(d), of_row(30, view2_frame=299)),
        r"^frames/.*: view2_frame of repetition 1 is not in order",
    ),
    "bounds reversed": (
        lambda d: rows_changed(d / REPETITIONS, of_repetition(2, start_s=1006.5, end_s=1003.5)),
        rf"^repetitions\.parquet: {A16}_rep02 does not run from start over turn to end",
    ),
    "repetition id twice": (
        lambda d: rows_changed(d / REPETITIONS, of_repetition(2, repetition_id=f"{A16}_rep01")),
        rf"^repetitions\.parquet: {A16}_rep01 stands 2 times",
    ),
    "revision of a row wrong": (
        lambda d: rows_changed(d / REPETITIONS, of_repetition(1, revision="0" * 12)),
        rf"^repetitions\.parquet: revision of {A16}_rep01 is not what the take's own file says",
    ),
    "revision of the signals wrong": (
        lambda d: signal_changed(d, lambda file: file.attrs.__setitem__("revision", "0" * 12)),
        rf"^signals/.*: is of another take or revision than {A16}",
    ),
    "revision of the frames wrong": (
        lambda d: shutil.move(frames(d), frames(d).with_name(f"{A16}.{'0' * 12}.parquet")),
        rf"^frames/.*{A16}.{'0' * 12}.parquet: was left behind",
    ),
    "a file that nobody names": (
        lambda d: shutil.copy(clip(d), clip(d).with_name("rep_03_view1.mov")),
        r"^video/.*/rep_03_view1\.mov: was left behind",
    ),
    "a stranger's file": (
        lambda d: (d / "signals" / "notes.txt").write_text("x"),
        r"^signals/notes\.txt: is no part of the dataset",
    ),
    "a time that is no number": (
        lambda d: signal_changed(d, replaced("rep_01/emg/time", set_times(np.nan))),
        r"^signals/.*: /rep_01/emg has times that do not advance",
    ),
    "time that goes back": (
        lambda d: signal_changed(d, replaced("rep_02/pose/time", set_times(1003.5))),
        r"^signals/.*: /rep_02/pose has times that do not advance",
    ),
    "time of a row that is no number": (
        lambda d: rows_changed(frames(d), of_row(4, time_s=float("nan"))),
        r"^frames/.*: times of repetition 1 do not advance",
    ),
    "unit of a signal changed": (
        lambda d: signal_changed(d, lambda file: file["rep_01/emg/values"].attrs.__setitem__("unit", "V")),
        r"^signals/.*: /rep_01/emg does not state its units 'uV' and 's'",
    ),
    "description of a signal gone": (
        lambda d: signal_changed(d, lambda file: file["rep_02/pose/values"].attrs.__delitem__("description")),
        r"^signals/.*: /rep_02/pose does not describe its values",
    ),
    "rate of a signal gone": (
        lambda d: signal_changed(d, lambda file: file["rep_02/pose"].attrs.__delitem__("rate_nominal_hz")),
        r"^signals/.*: /rep_02/pose does not state its nominal and measured rate",
    ),
    "samples fewer than times": (
        lambda d: signal_changed(d, replaced("rep_01/emg/values", lambda values: values[:-3])),
        r"^signals/.*: /rep_01/emg has values .* beside times",
    ),
    "repetitions of the signals swapped": (
        lambda d: signal_changed(
            d, lambda file: (file.move("rep_01", "x"), file.move("rep_02", "rep_01"), file.move("x", "rep_02"))
        ),
        r"^signals/.*: /rep_01 does not state its take and repetition",
    ),
    "joints permuted in the signals": (
        lambda d: signal_changed(d, replaced("rep_01/pose/values", permuted)),
        r"^frames/.*: pose of right_wrist and 1 more in repetition 1 is not that of signals/",
    ),
    "joints permuted in the frames": (
        lambda d: column_changed(
            frames(d),
            lambda table: table.set_column(
                table.schema.get_field_index("pose_head_x"),
                table.schema.field("pose_head_x"),
                table.column("pose_neck_x"),
            ),
        ),
        r"^frames/.*: pose of head in repetition 1 is not that of signals/",
    ),
    "joints named in another order": (
        lambda d: signal_changed(
            d,
            lambda file: file["rep_01/pose/values"].attrs.__setitem__(
                "labels", list(file["rep_01/pose/values"].attrs["labels"])[::-1]
            ),
        ),
        r"^signals/.*: /rep_01/pose does not name its joints in the order",
    ),
    "description edited": (edited, r"^dataset\.json: does not describe layout version 1 as written"),
    "column dropped": (
        lambda d: column_changed(d / REPETITIONS, lambda table: table.drop_columns(["load_kg"])),
        r"^repetitions\.parquet: column 'load_kg' is missing",
    ),
    "column renamed": (
        lambda d: column_changed(
            d / TAKES,
            lambda table: table.rename_columns(["sync" if name == "in_sync" else name for name in table.column_names]),
        ),
        r"^takes\.parquet: column 'sync' is not part of the layout",
    ),
    "type of a column changed": (
        lambda d: column_changed(
            frames(d),
            lambda table: table.set_column(
                table.schema.get_field_index("time_s"), "time_s", table.column("time_s").cast("float")
            ),
        ),
        r"^frames/.*: column 'time_s' is float and should be double",
    ),
    "row group missing": (row_group_dropped, r"^frames/.*: repetition 1 has 0 rows and should have 91"),
    "rows of a repetition missing": (
        lambda d: rows_changed(frames(d), lambda rows: rows.pop()),
        r"^frames/.*: repetition 2 has 90 rows and should have 91",
    ),
    "take without its repetitions": (
        lambda d: rows_changed(
            d / REPETITIONS, lambda rows: rows.__setitem__(slice(None), [r for r in rows if r["take_id"] != A16])
        ),
        rf"^takes\.parquet: take {A16} has 2 repetitions found and 0 rows",
    ),
    "two takes current": (
        lambda d: rows_changed(d / TAKES, lambda rows: [row.update(current=True) for row in rows]),
        rf"^takes\.parquet: {A16[:-1]}1 and {A16} of S12, session 20261122-0930, action A16 are current",
    ),
    "no take current": (
        lambda d: rows_changed(d / TAKES, of_take(A01, current=False)),
        r"^takes\.parquet: no take of S12, session 20261122-0930, action A01 is current",
    ),
    "excluded repetition made usable": (
        lambda d: rows_changed(d / REPETITIONS, lambda rows: [row.update(excluded_reason=None) for row in rows]),
        rf"^repetitions\.parquet: excluded_reason of {A16[:-1]}1_rep01",
    ),
    "repetition of an unknown take": (
        lambda d: rows_changed(d / REPETITIONS, of_repetition(2, take_id="nobody")),
        r"^repetitions\.parquet: names take nobody, which takes\.parquet does not have",
    ),
    "stream of an unknown take": (
        lambda d: rows_changed(d / STREAMS, of_take(A16, take_id="nobody")),
        r"^streams\.parquet: names take nobody, which takes\.parquet does not have",
    ),
    "null where none may be": (
        lambda d: rows_changed(d / REPETITIONS, of_repetition(1, confidence=None)),
        r"^repetitions\.parquet: column 'confidence' has empty cells",
    ),
    "phase wrong": (
        lambda d: rows_changed(frames(d), of_row(10, phase="concentric")),
        r"^frames/.*: phases of repetition 1 do not change at the turn",
    ),
    "keystep wrong": (
        lambda d: rows_changed(frames(d), of_row(10, keystep="AK45")),
        r"^frames/.*: keysteps of repetition 1 do not change at the turn",
    ),
    "picture of the times truncated": (
        lambda d: truncate(one(d, f"sync/*/*/{A16}.*.svg")),
        r"^sync/.*: is no whole SVG picture",
    ),
}


def test_the_whole_dataset_has_no_findings(good: Path) -> None:
    assert validate(good) == []
    assert len(CORRUPTIONS) >= 20


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_named(dataset: Path, name: str) -> None:
    corrupt, sentence = CORRUPTIONS[name]
    corrupt(dataset)
    findings = validate(dataset)
    assert any(re.search(sentence, finding) for finding in findings), findings
    assert all(re.match(r"[^:]+: .*\.$", finding) and "\n" not in finding for finding in findings), findings
