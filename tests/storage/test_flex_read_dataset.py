"""A dataset read with ``open_dataset``: what was written comes back, lazily, and damage is one sentence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import flex_takes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import LayoutError
from lab.joints import JOINTS
from storage.flex import open_dataset, write_take


@pytest.fixture(scope="module")
def written(take_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects with two actions each, a retake of one; tests only read it."""
    dataset = tmp_path_factory.mktemp("read") / "dataset"
    for subject in ("S02", "S12"):
        for take in ("A16-01", "A01-01"):
            record = flex_takes.make_record(subject=subject, take=take, action=take[:3])
            write_take(dataset, take_folder, flex_takes.make_take(record), flex_takes.make_segmentation())
    record = flex_takes.make_record(take="A16-02", skill="novice")
    write_take(dataset, take_folder, flex_takes.make_take(record, cameras=False), flex_takes.make_segmentation(2, 3))
    return dataset


@pytest.fixture
def dataset(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "dataset"))


def test_repetitions_come_in_the_order_of_the_index_without_the_excluded(written: Path) -> None:
    opened = open_dataset(str(written))
    used = [one.id for one in opened.repetitions()]
    assert len(opened) == 14
    assert used == sorted(used)
    assert len(used) == 11
    retaken = [one for one in opened.repetitions(excluded=True) if one.id not in used]
    assert {(one.take_id, one.excluded_reason) for one in retaken} == {("S12_20261122-0930_A16-01", "retaken")}


def test_repetitions_are_chosen_by_what_they_are(written: Path) -> None:
    opened = open_dataset(written)

    def chosen(**wanted: object) -> set[tuple[str, str]]:
        return {(one.subject, one.action) for one in opened.repetitions(**wanted)}  # type: ignore[arg-type]

    assert chosen(subject="S02") == {("S02", "A01"), ("S02", "A16")}
    assert chosen(subject=["S02", "S12"], action="A16") == {("S02", "A16"), ("S12", "A16")}
    assert chosen(skill="novice") == {("S12", "A16")}
    assert chosen(session="20261122-0930", take_id="S02_20261122-0930_A01-01") == {("S02", "A01")}
    assert chosen(action="A20") == chosen(subject=()) == set()


def test_every_modality_of_a_repetition_comes_back(written: Path) -> None:
    take = flex_takes.make_take()
    assert take.emg is not None
    one = open_dataset(written).repetition("S12_20261122-0930_A16-01_rep02")
    assert (one.subject, one.action, one.number, one.row["load_kg"]) == ("S12", "A16", 2, 60.0)
    assert one.bounds_s == (1003.5, 1004.9, 1006.5)
    signals = one.signals()
    assert list(signals) == ["emg", "pose", "heart_rate", "breath_rate"]
    inside = (take.emg.time_s >= 1003.5) & (take.emg.time_s <= 1006.5)
    np.testing.assert_array_equal(signals["emg"].values, take.emg.values[inside])
    np.testing.assert_array_equal(signals["emg"].time_s, take.emg.time_s[inside])
    assert signals["emg"].labels == ("L1", "L2", "R1 (long)", "R1_long")
    assert signals["pose"].values.shape == (301, len(JOINTS), 3)
    assert list(one.signals(("pose",))) == ["pose"]
    assert one.signal("heart_rate").unit == "1/min"


def test_frames_are_the_rows_of_that_repetition_alone(written: Path) -> None:
    one = open_dataset(written).repetition("S12_20261122-0930_A16-01_rep03")
    frames = one.frames()
    assert (len(frames), set(frames["repetition"])) == (91, {3})
    np.testing.assert_allclose(frames["pose_head_z"], flex_takes.squat_height_m(frames["time_s"]), atol=1e-4)
    few = one.frames(("view2_frame", "time_s"))
    assert list(few.columns) == ["view2_frame", "time_s"]
    np.testing.assert_array_equal(few["time_s"], frames["time_s"])


def test_pictures_are_those_of_the_index(written: Path) -> None:
    one = open_dataset(written).repetition("S12_20261122-0930_A16-01_rep02")
    assert one.views == ("view1", "view2")
    for view in one.views:
        shown = [flex_takes.number_shown(image) for image in one.pictures(view)]
        assert shown == list(range(one.row[f"{view}_start_frame"], one.row[f"{view}_end_frame"] + 1))


def test_what_there_is_not_is_said(written: Path) -> None:
    opened = open_dataset(written)
    one = opened.repetition("S12_20261122-0930_A16-02_rep01")
    assert one.views == ()
    for ask, said in (
        (lambda: one.clip("view1"), "has no clip of view1; those it has: none"),
        (lambda: next(one.pictures("view3")), "has no clip of view3"),
        (lambda: one.signal("ecg"), "There is no signal 'ecg'"),
        (lambda: one.frames(("weight",)), "has no column 'weight'"),
        (lambda: opened.repetition("x"), "has no repetition 'x'"),
        (lambda: opened.table("x"), "There is no table 'x'"),
    ):
        with pytest.raises(LayoutError, match=said) as caught:
            ask()
        assert len(caught.value.problems) == 1


def test_a_signal_that_was_not_recorded_is_said(take_folder: Path, tmp_path: Path) -> None:
    take = replace(flex_takes.make_take(cameras=False), emg=None, emg_envelope=None)
    write_take(tmp_path / "d", take_folder, take, flex_takes.make_segmentation())
    one = next(open_dataset(tmp_path / "d").repetitions())
    assert "emg" not in one.signals()
    with pytest.raises(LayoutError, match="has no emg: it was not recorded"):
        one.signal("emg")


def test_the_tables_are_frames_of_pandas(written: Path) -> None:
    opened = open_dataset(written)
    assert {name: len(opened.table(name)) for name in ("subjects", "takes", "annotations", "repetitions")} == {
        "subjects": 2,
        "takes": 5,
        "annotations": 0,
        "repetitions": 14,
    }


def test_an_open_dataset_that_is_written_anew_says_so(dataset: Path, take_folder: Path) -> None:
    opened = open_dataset(dataset)
    replaced = opened.repetition("S12_20261122-0930_A01-01_rep01")
    kept = opened.repetition("S02_20261122-0930_A01-01_rep01")
    record = flex_takes.make_record(take="A01-01", action="A01")
    write_take(dataset, take_folder, flex_takes.make_take(record), flex_takes.make_segmentation(2, 3))
    for ask in (
        replaced.signals,
        replaced.frames,
        lambda: replaced.clip("view1"),
        lambda: next(replaced.pictures("view1")),
    ):
        with pytest.raises(LayoutError, match=r"written anew since it was opened.*open it again"):
            ask()
    with pytest.raises(LayoutError, match="open the dataset again"):
        opened.table("takes")
    assert len(kept.frames()) == 91
    assert kept.signal("pose").values.shape[1:] == (21, 3)
    again = open_dataset(dataset)
    assert len(again) == 13
    assert len(again.repetition(replaced.id).frames()) == 91


@pytest.mark.parametrize(
    ("pattern", "ask"),
    [
        ("signals/action=A01/subject=S02/*.h5", lambda one: one.signals()),
        ("frames/action=A01/subject=S02/*.parquet", lambda one: one.frames()),
        ("video/action=A01/subject=S02/*/rep_01_view1.mov", lambda one: list(one.pictures("view1"))),
    ],
)
def test_a_damaged_file_is_one_sentence(dataset: Path, pattern: str, ask) -> None:
    one = open_dataset(dataset).repetition("S02_20261122-0930_A01-01_rep01")
    (path,) = dataset.glob(pattern)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"x" * 5000, None):
        if damaged is None:
            path.unlink()
        else:
            path.write_bytes(damaged)
        with pytest.raises(LayoutError) as caught:
            ask(one)
        (sentence,) = caught.value.problems
        assert path.name in sentence
        assert "write t" in sentence


def test_a_row_that_names_a_file_elsewhere_opens_none(dataset: Path) -> None:
    one = open_dataset(dataset).repetition("S02_20261122-0930_A01-01_rep01")
    (dataset.parent / "x.parquet").write_bytes(b"x")
    strange = replace(one, row=one.row | {"frames_file": "../x.parquet", "view1_clip": "video/../../x.mov"})
    for ask in (strange.frames, lambda: strange.clip("view1")):
        with pytest.raises(LayoutError, match="is not a file of a take"):
            ask()


@pytest.mark.parametrize("how", ["nowhere", "empty", "index gone", "index torn", "column gone", "other version"])
def test_what_is_no_dataset_is_one_sentence(dataset: Path, tmp_path: Path, how: str) -> None:
    import pyarrow.parquet as pq

    index = dataset / "repetitions.parquet"
    place = dataset
    if how in ("nowhere", "empty"):
        place = tmp_path / how
        if how == "empty":
            place.mkdir()
    elif how == "index gone":
        index.unlink()
    elif how == "index torn":
        index.write_bytes(index.read_bytes()[:-20])
    elif how == "column gone":
        table = pq.read_table(index)
        pq.write_table(table.drop_columns(["turn_s"]), index)
    else:
        described = dataset / "dataset.json"
        described.write_text(
            described.read_text(encoding="utf-8").replace('"layout_version": 1', '"layout_version": 9')
        )
    with pytest.raises(LayoutError) as caught:
        open_dataset(place)
    assert len(caught.value.problems) == 1
    assert str(place) in caught.value.problems[0]


def test_an_empty_dataset_has_no_repetitions(tmp_path: Path) -> None:
    from storage.flex.folder import begin_dataset

    (tmp_path / "d").mkdir()
    begin_dataset(tmp_path / "d")
    opened = open_dataset(tmp_path / "d")
    assert (len(opened), list(opened.repetitions()), len(opened.table("takes"))) == (0, [], 0)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_happens_to_a_file_it_is_a_sentence_or_the_values(written: Path, data: st.DataObject) -> None:
    files = [
        *written.glob("signals/action=A01/subject=S02/*.h5"),
        *written.glob("frames/action=A01/subject=S02/*.parquet"),
        *written.glob("video/action=A01/subject=S02/*/rep_01_view1.mov"),
        written / "repetitions.parquet",
        written / "takes.parquet",
    ]
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    keep = data.draw(st.integers(0, len(content) - 1))
    noise = data.draw(st.binary(min_size=0, max_size=64))
    torn = data.draw(st.booleans())
    try:
        path.write_bytes(content[:keep] if torn else content[:keep] + noise + content[keep + len(noise) :])
        try:
            opened = open_dataset(written)
            one = next(opened.repetitions(subject="S02", action="A01"), None)
            opened.table("takes")
            if one is not None:
                one.signals()
                one.frames()
                for _ in one.pictures("view1"):
                    pass
        except LayoutError as error:
            said = error.problems
        else:
            said = ()
        assert all("\n" not in problem for problem in said)
    finally:
        path.write_bytes(content)
