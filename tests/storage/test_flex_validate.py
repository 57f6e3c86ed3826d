"""Every broken promise of a dataset is found and named with its file, and nothing raises."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flex_takes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import LayoutError
from storage.flex import validate, write_take


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    for view in ("view1", "view2"):
        flex_takes.write_numbered_video(folder / f"{view}.mov")
    for take in ("A16-01", "A01-01"):
        record = flex_takes.make_record(take=take, action=take[:3])
        write_take(
            folder / "dataset",
            folder,
            flex_takes.make_take(record),
            flex_takes.make_segmentation(2, 2),
            sync_picture=flex_takes.PICTURE,
        )
    return folder / "dataset"


@pytest.fixture
def dataset(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "dataset"))


def _one(dataset: Path, pattern: str) -> Path:
    return max(dataset.glob(pattern))


FRAMES, SIGNALS = "frames/action=A16/*/*.parquet", "signals/action=A16/*/*.h5"


def change_table(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Rewrite a Parquet file with its rows changed, metadata kept, row groups a repetition."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.read().to_pylist()
    change(rows)
    with pq.ParquetWriter(path, schema) as writer:
        for number in sorted({row.get("repetition") for row in rows} if "frame" in schema.names else {0}):
            part = [row for row in rows if row["repetition"] == number] if "frame" in schema.names else rows
            writer.write_table(pa.Table.from_pylist(part, schema=schema))


def change_column(path: Path, name: str, change: Callable[[Any, Any], tuple[Any, Any] | None]) -> None:
    """Rewrite a Parquet file with one column's (field, values) changed, or without it."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read()
    place = table.schema.get_field_index(name)
    changed = change(table.schema.field(place), table.column(place))
    table = table.remove_column(place) if changed is None else table.set_column(place, *changed)
    pq.write_table(table, path)


def change_signals(path: Path, change: Callable[[Any], object]) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        change(file)


def _set(row: int, **values: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda rows: rows[row].update(values)


def _replace_dataset(file: Any, name: str, values: np.ndarray) -> None:
    attributes = dict(file[name].attrs)
    del file[name]
    file[name] = values
    file[name].attrs.update(attributes)


def test_a_whole_dataset_has_no_findings(good: Path) -> None:
    assert validate(good) == []


TABLE_CASES = {
    "equal ids": ("repetitions", lambda rows: rows.append(rows[0]), "stands 2 times"),
    "lost repetition": ("repetitions", lambda rows: rows.pop(), "2 repetitions found and 1 rows"),
    "turn before start": ("repetitions", _set(0, turn_s=0.0), "from start over turn to end"),
    "frames out of order": ("repetitions", _set(0, view1_turn_frame=9999), "do not run from start over turn"),
    "frames beyond the video": ("repetitions", _set(0, view2_end_frame=300), "ends at frame 300 of view2"),
    "a bound without a clip": ("repetitions", _set(0, view1_clip=None), "only a part"),
    "clip elsewhere": ("repetitions", _set(0, view1_clip="../x.mov"), "not where the layout puts it"),
    "unknown action": ("repetitions", _set(0, action="A77"), "names action A77"),
    "unknown subject": ("takes", _set(0, subject="S99"), "names subject S99"),
    "unknown take": ("streams", _set(0, take_id="nobody"), "names take nobody"),
    "another load": ("repetitions", _set(1, load_kg=20.0), "load_kg of .* is not what the take's own file says"),
    "excluded by hand": ("repetitions", _set(1, excluded_reason="mood"), "excluded_reason of"),
    "confidence of 2": ("repetitions", _set(0, confidence=2.0), "confidence of"),
    "numbers with a hole": ("repetitions", _set(1, repetition=7), "not numbered 1 to 2"),
    "no subject row": ("subjects", lambda rows: rows.clear(), "names subject S12"),
    "files elsewhere": ("takes", _set(0, signals_file="signals/x.h5"), "not where the layout puts them"),
    "a picture elsewhere": ("takes", _set(0, sync_file="../x.svg"), "not where the layout puts them"),
    "a picture that is not named": ("takes", _set(0, sync_file=None), "sync_file of .* is not what the take's own"),
    "an annotation of nothing": (
        "annotations",
        lambda rows: rows.append(
            {"take_id": "x", "repetition": 1, "annotator": "a", "keystep": "", "error_type": "", "weight": 1.0}
        ),
        "is about repetition 1 of take x",
    ),
}


@pytest.mark.parametrize("case", TABLE_CASES)
def test_a_broken_table_is_found(dataset: Path, case: str) -> None:
    name, change, said = TABLE_CASES[case]
    change_table(dataset / f"{name}.parquet", change)
    _assert_found(dataset, f".*\\.parquet: .*{said}")


def _assert_found(dataset: Path, pattern: str) -> None:
    import re

    findings = validate(dataset)
    assert any(re.search(pattern, finding) for finding in findings), findings
    assert all(re.match(r"[^:]+: .*\.$", finding) and "\n" not in finding for finding in findings), findings


FRAMES_CASES = {
    "a row lost": (lambda rows: rows.pop(10), "repetition 1 has 90 rows and should have 91"),
    "times swapped": (
        lambda rows: rows[3].update(time_s=rows[4]["time_s"] + 0.001),
        "times of repetition 1 do not advance",
    ),
    "time outside": (_set(0, time_s=1.0), "lie outside"),
    "another frame": (_set(0, frame=3), "do not run from"),
    "wrong phase": (_set(5, phase="concentric"), "phases of repetition 1"),
    "a frame beyond the video": (_set(90, view2_frame=10_000), "view2_frame of repetition 1"),
    "another take's row": (_set(0, take_id="x"), "rows of another take"),
    "millimetres": (_set(0, pose_head_z=1600.0), "its unit is not metres"),
    "nanovolts": (_set(0, emg_l1=1e9), "its unit is not microvolt"),
    "no heart": (_set(0, heart_rate=-1.0), "not a rate per minute of a person"),
    "pose mostly gone": (
        lambda rows: [row.update(pose_neck_x=None) for row in rows[20:]],
        "pose of neck is absent in more than half",
    ),
    "a stranger's repetition": (lambda rows: rows.append(rows[-1] | {"repetition": 9}), "rows of repetition 9"),
}


@pytest.mark.parametrize("case", FRAMES_CASES)
def test_a_broken_frames_table_is_found(dataset: Path, case: str) -> None:
    change, said = FRAMES_CASES[case]
    change_table(_one(dataset, FRAMES), change)
    _assert_found(dataset, f"frames/action=A16/.*: .*{said}")


SIGNALS_CASES = {
    "no group": (lambda file: file.pop("rep_02"), "has no group rep_02"),
    "a group too many": (lambda file: file.create_group("rep_09"), "group rep_09, which is no repetition"),
    "no modality": (lambda file: file.pop("rep_01/heart_rate"), "rep_01/heart_rate is missing"),
    "no times": (lambda file: file.pop("rep_01/emg/time"), "no datasets values and time"),
    "times too short": (
        lambda file: _replace_dataset(file, "rep_01/emg/time", file["rep_01/emg/time"][:-1]),
        "they should be",
    ),
    "times that stand": (
        lambda file: file["rep_01/pose/time"].__setitem__(5, file["rep_01/pose/time"][4]),
        "rep_01/pose has times that do not advance",
    ),
    "times of another day": (
        lambda file: _replace_dataset(file, "rep_02/emg/time", file["rep_02/emg/time"][()] + 1e5),
        "outside of the repetition",
    ),
    "float32 times": (
        lambda file: _replace_dataset(file, "rep_02/emg/time", file["rep_02/emg/time"][()].astype(np.float32)),
        "times of type float32",
    ),
    "no unit": (lambda file: file["rep_01/emg/values"].attrs.pop("unit"), "does not state its units"),
    "no rate": (lambda file: file["rep_01/emg"].attrs.pop("rate_nominal_hz"), "nominal and measured rate"),
    "simulated, unsaid": (
        lambda file: file.attrs.__setitem__("simulated", not file.attrs["simulated"]),
        "whether it is simulated",
    ),
    "another take": (lambda file: file.attrs.__setitem__("take_id", "x"), "another take or revision"),
    "20 joints": (
        lambda file: _replace_dataset(file, "rep_01/pose/values", file["rep_01/pose/values"][:, :20]),
        "they should be",
    ),
    "volt": (
        lambda file: _replace_dataset(file, "rep_01/emg/values", file["rep_01/emg/values"][()] * np.float32(1e-6)),
        "its unit is not microvolt",
    ),
}


@pytest.mark.parametrize("case", SIGNALS_CASES)
def test_broken_signals_are_found(dataset: Path, case: str) -> None:
    change, said = SIGNALS_CASES[case]
    change_signals(_one(dataset, SIGNALS), change)
    _assert_found(dataset, f"signals/action=A16/.*: .*{said}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda field, values: None, "column 'load_kg' is missing"),
        (
            lambda field, values: (field.with_type(values.cast("string").type), values.cast("string")),
            "is string and should be double",
        ),
        (lambda field, values: (field.with_metadata({"unit": "lb"}), values), "does not state its unit 'kg'"),
        (lambda field, values: (field.with_name("weight"), values), "'weight' is not part of the layout"),
    ],
)
def test_broken_columns_are_found(
    dataset: Path, change: Callable[[Any, Any], tuple[Any, Any] | None], said: str
) -> None:
    change_column(dataset / "repetitions.parquet", "load_kg", change)
    _assert_found(dataset, f"repetitions.parquet: .*{said}")


def test_a_clip_of_other_length_is_found(dataset: Path) -> None:
    clip = _one(dataset, "video/action=A16/*/*/rep_01_view1.mov")
    flex_takes.write_numbered_video(clip, 90)
    _assert_found(dataset, r"rep_01_view1\.mov: has 90 frames and should have 91")


@pytest.mark.parametrize(
    "pattern",
    ["dataset.json", "*s.parquet", FRAMES, SIGNALS, "video/action=A16/*/*/rep_02_view2.mov"],
)
def test_missing_files_are_found(dataset: Path, pattern: str) -> None:
    for path in sorted(dataset.glob(pattern)):
        content = path.read_bytes()
        path.unlink()
        _assert_found(dataset, rf"{path.relative_to(dataset).as_posix()}: .*is missing")
        path.write_bytes(content)
    assert validate(dataset) == []


def test_files_outside_of_the_dataset_are_not_opened(dataset: Path) -> None:
    outside = dataset.parent / "x.parquet"
    outside.write_bytes(_one(dataset, FRAMES).read_bytes())
    change_table(dataset / "takes.parquet", _set(0, frames_file="../x.parquet"))
    outside.unlink()
    findings = validate(dataset)
    assert any("not where the layout puts them" in finding for finding in findings)
    assert not any(finding.startswith("../") for finding in findings)


def test_a_changed_description_is_found(dataset: Path) -> None:
    path = dataset / "dataset.json"
    text = path.read_text(encoding="utf-8")
    for changed in (text.replace("microvolt", "volt").replace("uV", "V"), "[]", "{", "\udcff", "[" * 100_000):
        path.write_bytes(changed.encode("utf-8", "surrogateescape"))
        _assert_found(dataset, r"^dataset\.json: ")


def test_strange_files_are_named(dataset: Path) -> None:
    (dataset / "video" / "holiday.mov").write_bytes(b"x")
    assert validate(dataset) == ["video/holiday.mov: is no part of the dataset; move it elsewhere."]


def test_no_dataset_is_no_finding(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(LayoutError, match="is not a dataset"):
            validate(folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_happens_to_a_file_nothing_raises(good: Path, data: st.DataObject) -> None:
    """Tear, empty or scramble any file: validation ends, and a torn file is always found."""
    files = sorted(
        path for path in good.rglob("*") if path.is_file() and path.suffix != ".lock" and path.stat().st_size
    )
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    keep = data.draw(st.integers(0, len(content) - 1))
    noise = data.draw(st.binary(min_size=0, max_size=64))
    torn = data.draw(st.booleans())
    try:
        path.write_bytes(content[:keep] if torn else content[:keep] + noise + content[keep + len(noise) :])
        findings = validate(good)
        assert all("\n" not in finding for finding in findings)
        if torn:
            assert findings
    finally:
        path.write_bytes(content)
