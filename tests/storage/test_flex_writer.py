"""Takes into a dataset: the same bytes, better bounds, retakes, missing devices, hostile input."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import flex_takes
import numpy as np
import pytest

from lab.errors import FlexCaptureError, LayoutError
from lab.joints import JOINTS
from storage.flex import rebuild_tables, validate, write_take


@pytest.fixture(scope="session")
def written(take_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with one take; tests only read it."""
    dataset = tmp_path_factory.mktemp("written") / "dataset"
    write_take(dataset, take_folder, flex_takes.make_take(), flex_takes.make_segmentation())
    return dataset


def test_a_written_take_keeps_every_promise(written: Path) -> None:
    assert validate(written) == []


def test_written_twice_every_byte_is_the_same(take_folder: Path, tmp_path: Path, written: Path) -> None:
    dataset = tmp_path / "dataset"
    for _ in range(2):
        write_take(dataset, take_folder, flex_takes.make_take(), flex_takes.make_segmentation())
        assert flex_takes.tree_hashes(dataset) == flex_takes.tree_hashes(written)


def test_the_order_of_writing_changes_nothing(take_folder: Path, tmp_path: Path) -> None:
    first = flex_takes.make_take(flex_takes.make_record(subject="S01"), cameras=False)
    second = flex_takes.make_take(flex_takes.make_record(subject="S02", skill=None), cameras=False)
    segmentation = flex_takes.make_segmentation()
    for name, takes in (("a", (first, second)), ("b", (second, first))):
        for take in takes:
            write_take(tmp_path / name, take_folder, take, segmentation)
    assert flex_takes.tree_hashes(tmp_path / "a") == flex_takes.tree_hashes(tmp_path / "b")


def test_better_bounds_replace_the_files_of_the_old_revision(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    dataset, take = tmp_path / "dataset", flex_takes.make_take()
    old = write_take(dataset, take_folder, take, flex_takes.make_segmentation())
    new = write_take(dataset, take_folder, take, flex_takes.make_segmentation(2, expected=3))
    assert old.revision != new.revision
    assert not old.frames_path.exists()
    assert not any(path.parent.exists() for path in old.clip_paths)
    assert new.frames_path.is_file()
    assert validate(dataset) == []
    takes = pd.read_parquet(dataset / "takes.parquet")
    assert list(takes["found"]) == [2]
    assert list(takes["doubts"][0]) == ["2 found, 3 expected"]
    assert set(pd.read_parquet(dataset / "repetitions.parquet")["revision"]) == {new.revision}


def test_better_times_make_a_new_revision(take_folder: Path, tmp_path: Path) -> None:
    take = flex_takes.make_take(cameras=False)
    segmentation = flex_takes.make_segmentation()
    first = write_take(tmp_path / "d", take_folder, take, segmentation)
    assert take.emg is not None
    moved = replace(take, emg=replace(take.emg, time_s=take.emg.time_s + 1e-6))
    assert write_take(tmp_path / "d", take_folder, moved, segmentation).revision != first.revision
    assert validate(tmp_path / "d") == []


def test_a_retake_replaces_and_never_deletes(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    dataset, segmentation = tmp_path / "dataset", flex_takes.make_segmentation()
    for take in ("A16-01", "A16-100", "A16-11", "A01-01"):
        record = flex_takes.make_record(take=take, action=take[:3])
        write_take(dataset, take_folder, flex_takes.make_take(record, cameras=False), segmentation)
    takes = pd.read_parquet(dataset / "takes.parquet").set_index("take")
    assert dict(takes["current"]) == {"A01-01": True, "A16-01": False, "A16-11": False, "A16-100": True}
    repetitions = pd.read_parquet(dataset / "repetitions.parquet")
    retaken = repetitions[repetitions["excluded_reason"] == "retaken"]
    assert sorted(set(retaken["take_id"])) == ["S12_20261122-0930_A16-01", "S12_20261122-0930_A16-11"]
    assert len(repetitions) == 12
    assert len(list((dataset / "frames").rglob("*.parquet"))) == 4
    assert validate(dataset) == []


def test_a_take_marked_bad_is_kept_and_excluded(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    dataset, take, segmentation = tmp_path / "d", flex_takes.make_take(cameras=False), flex_takes.make_segmentation()
    good = write_take(dataset, take_folder, take, segmentation)
    bad = write_take(dataset, take_folder, take, segmentation, excluded_reason="bar dropped", notes=("left knee",))
    assert bad.revision != good.revision
    assert set(pd.read_parquet(dataset / "repetitions.parquet")["excluded_reason"]) == {"bar dropped"}
    assert list(pd.read_parquet(dataset / "takes.parquet")["notes"][0]) == ["left knee"]
    assert validate(dataset) == []


def test_the_latest_take_says_how_skilled_a_subject_is(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    dataset = tmp_path / "dataset"
    for session, day, skill in (("b", "01", "novice"), ("a", "02", "amateur"), ("c", "03", None)):
        anchor = flex_takes.make_record().started.model_copy(update={"utc": f"2026-11-{day}T09:30:00+00:00"})
        record = flex_takes.make_record(session=session, skill=skill, started=anchor, simulated=session == "a")
        write_take(dataset, take_folder, flex_takes.make_take(record, cameras=False), flex_takes.make_segmentation(1))
    subjects = pd.read_parquet(dataset / "subjects.parquet")
    told = subjects[["subject", "skill", "simulated"]].to_dict("records")
    assert told == [{"subject": "S12", "skill": "amateur", "simulated": False}]
    assert list(pd.read_parquet(dataset / "takes.parquet")["skill"].fillna("")) == ["amateur", "novice", ""]
    assert validate(dataset) == []


def test_a_take_without_repetitions_is_in_the_tables_and_says_so(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    dataset = tmp_path / "dataset"
    written = write_take(dataset, take_folder, flex_takes.make_take(), flex_takes.make_segmentation(0))
    assert "none were found" in written.remarks[0]
    assert validate(dataset) == []
    takes = pd.read_parquet(dataset / "takes.parquet")
    assert (list(takes["expected"]), list(takes["found"])) == ([3], [0])
    assert len(pd.read_parquet(dataset / "streams.parquet")) == 4
    assert not (dataset / "video").exists()
    assert rebuild_tables(dataset) == 1


def test_without_cameras_rows_are_at_pose_times(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    dataset, take = tmp_path / "dataset", flex_takes.make_take(cameras=False)
    written = write_take(dataset, take_folder, take, flex_takes.make_segmentation())
    assert validate(dataset) == []
    frames = pd.read_parquet(written.frames_path)
    first = frames[frames["repetition"] == 1]
    np.testing.assert_allclose(first["time_s"], 1000.5 + np.arange(301) / 100)
    assert first["frame"].isna().all()
    np.testing.assert_array_equal(first["phase"] == "concentric", first["time_s"] >= 1001.9)


def test_with_one_device_alone_nothing_is_invented(take_folder: Path, tmp_path: Path) -> None:
    import h5py
    import pandas as pd

    dataset = tmp_path / "dataset"
    take = replace(flex_takes.make_take(cameras=False), pose=None, heart_rate=None, breath_rate=None, reports=())
    written = write_take(dataset, take_folder, take, flex_takes.make_segmentation())
    assert validate(dataset) == []
    assert len(pd.read_parquet(written.frames_path)) == 0
    with h5py.File(written.signals_path, "r") as file:
        assert list(file["rep_01"]) == ["emg"]
    assert any("no rows" in remark for remark in written.remarks)


def test_joints_that_are_absent_stay_absent(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd
    import pyarrow.parquet as pq

    dataset, take = tmp_path / "dataset", flex_takes.make_take()
    assert take.pose is not None
    positions_m = take.pose.positions_m.copy()
    positions_m[:, JOINTS.index("head")] = np.nan
    positions_m[400:420, JOINTS.index("neck")] = np.nan  # 0.2 s: too long
    positions_m[440:448, JOINTS.index("neck")] = np.nan  # 0.08 s: interpolated
    positions_m[500, JOINTS.index("neck"), 1] = np.nan  # a joint is there whole or not at all
    take = replace(take, pose=replace(take.pose, positions_m=positions_m))
    written = write_take(dataset, take_folder, take, flex_takes.make_segmentation())
    assert validate(dataset) == []
    table = pq.read_table(written.frames_path)
    assert table.column("pose_head_x").null_count == table.num_rows
    frames = pd.read_parquet(written.frames_path).drop_duplicates("frame").set_index("frame")
    absent = frames.index[frames["pose_neck_z"].isna()]
    np.testing.assert_allclose(absent / 30, [4.0, 4.0333333, 4.0666667, 4.1, 4.1333333, 4.1666667], atol=1e-3)


def test_a_camera_that_died_has_no_clips_from_then_on(take_folder: Path, tmp_path: Path) -> None:
    import pandas as pd

    take = flex_takes.make_take()
    first, second = take.views
    alive = first.time_s < 1005.0
    names = ("frame_id", "time_s", "index", "pts_us")
    dead = replace(first, **{name: getattr(first, name)[alive] for name in names})
    written = write_take(
        tmp_path / "d", take_folder, replace(take, views=(dead, second)), flex_takes.make_segmentation()
    )
    assert validate(tmp_path / "d") == []
    rows = pd.read_parquet(tmp_path / "d" / "repetitions.parquet")
    assert list(rows["view1_clip"].notna()) == [True, False, False]
    assert rows["view2_clip"].notna().all()
    # Rows of what the reference view does not cover are at pose times.
    assert list(rows["frame_rows"]) == [91, 301, 301]
    assert len(written.remarks) == 2


def test_the_same_tables_come_from_the_takes_alone(take_folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    for subject in ("S01", "S02"):
        record = flex_takes.make_record(subject=subject)
        write_take(dataset, take_folder, flex_takes.make_take(record), flex_takes.make_segmentation())
    before = flex_takes.tree_hashes(dataset)
    for path in dataset.glob("*.*"):
        if path.name != ".lock":
            path.unlink()
    assert rebuild_tables(dataset) == 2
    assert flex_takes.tree_hashes(dataset) == before


def test_people_s_annotations_are_never_replaced(take_folder: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    dataset, take = tmp_path / "dataset", flex_takes.make_take(cameras=False)
    write_take(dataset, take_folder, take, flex_takes.make_segmentation())
    schema = pq.read_schema(dataset / "annotations.parquet")
    row = {"take_id": take.record.id, "repetition": 2, "annotator": "a", "keystep": "AK44", "error_type": "ET002"}
    pq.write_table(pa.Table.from_pylist([row | {"weight": 9.0}], schema=schema), dataset / "annotations.parquet")
    before = (dataset / "annotations.parquet").read_bytes()
    assert validate(dataset) == []
    write_take(dataset, take_folder, take, flex_takes.make_segmentation(1))
    rebuild_tables(dataset)
    assert (dataset / "annotations.parquet").read_bytes() == before
    assert any("repetition 2" in finding for finding in validate(dataset))


def test_progress_is_told_for_every_clip(take_folder: Path, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    write_take(
        tmp_path / "d", take_folder, flex_takes.make_take(), flex_takes.make_segmentation(), lambda *a: told.append(a)
    )
    assert [entry for entry in told if entry[0] == "video"] == [("video", done, 6) for done in range(7)]
    assert told[-1] == ("tables", 1, 1)


def test_numbers_may_be_numpy_s(take_folder: Path, tmp_path: Path) -> None:
    take = flex_takes.make_take(cameras=False)
    numbers = {"samples": np.int64(7), "in_sync": np.float64(1.0) > 2.0, "rate_asked_hz": 100}
    report = replace(take.reports[0], **numbers)
    write_take(tmp_path / "d", take_folder, replace(take, reports=(report,)), flex_takes.make_segmentation())
    assert validate(tmp_path / "d") == []


def test_text_is_no_signal(take_folder: Path, tmp_path: Path) -> None:
    take = flex_takes.make_take(cameras=False)
    assert take.heart_rate is not None
    words = replace(take.heart_rate, values=take.heart_rate.values.astype(str))
    with pytest.raises(LayoutError, match=r"'vest\.heart' .* are not numbers"):
        write_take(tmp_path / "d", take_folder, replace(take, heart_rate=words), flex_takes.make_segmentation())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"subject": "../S12"}, "Subject '../S12'"),
        ({"session": ""}, "Session ''"),
        ({"take": "A16-01/x"}, "Take 'A16-01/x'"),
        ({"action": "A99"}, "Action 'A99'"),
    ],
)
def test_hostile_names_touch_nothing(take_folder: Path, tmp_path: Path, changes: dict[str, str], named: str) -> None:
    take = flex_takes.make_take(flex_takes.make_record(**changes))
    with pytest.raises(LayoutError, match="^" + named.replace(".", r"\.")):
        write_take(tmp_path / "d", take_folder, take, flex_takes.make_segmentation())
    assert list(tmp_path.iterdir()) == []


def test_all_problems_of_a_take_are_named_at_once(take_folder: Path, tmp_path: Path) -> None:
    take = flex_takes.make_take()
    assert take.pose is not None
    assert take.emg is not None
    times = take.pose.time_s.copy()
    times[7] = times[6]
    segmentation = flex_takes.make_segmentation()
    backwards = replace(segmentation.repetitions[1], turn_s=0.0)
    broken = replace(
        take,
        pose=replace(take.pose, time_s=times),
        emg=replace(take.emg, time_s=take.emg.time_s[:-1]),
        views=(take.views[0], take.views[0]),
    )
    with pytest.raises(LayoutError) as caught:
        write_take(tmp_path / "d", take_folder, broken, replace(segmentation, repetitions=(backwards,)))
    assert len(caught.value.problems) == 4


def test_a_folder_of_something_else_is_not_written_to(take_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_bytes(b"x")
    with pytest.raises(LayoutError, match=r"thesis\.docx"):
        write_take(tmp_path, take_folder, flex_takes.make_take(), flex_takes.make_segmentation())
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.docx"}


def test_another_layout_version_is_not_written_to(take_folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "d"
    take, segmentation = flex_takes.make_take(cameras=False), flex_takes.make_segmentation()
    write_take(dataset, take_folder, take, segmentation)
    text = (dataset / "dataset.json").read_text(encoding="utf-8")
    (dataset / "dataset.json").write_text(text.replace('"layout_version": 1', '"layout_version": 2'), encoding="utf-8")
    with pytest.raises(LayoutError, match="version 2"):
        write_take(dataset, take_folder, take, segmentation)
    assert any("version 2" in finding for finding in validate(dataset))


def test_a_missing_video_leaves_the_dataset_as_it_was(take_folder: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    write_take(dataset, take_folder, flex_takes.make_take(cameras=False), flex_takes.make_segmentation())
    before = flex_takes.tree_hashes(dataset)
    (tmp_path / "raw").mkdir()
    take = flex_takes.make_take(flex_takes.make_record(subject="S13"))
    with pytest.raises(FlexCaptureError, match=r"view1\.mov"):
        write_take(dataset, tmp_path / "raw", take, flex_takes.make_segmentation())
    assert flex_takes.tree_hashes(dataset) == before


def _write_in_another_process(dataset: Path, folder: Path, subject: str) -> None:
    take = flex_takes.make_take(flex_takes.make_record(subject=subject), cameras=False)
    write_take(dataset, folder, take, flex_takes.make_segmentation(1))


def test_two_writers_at_once_both_end_up_in_the_dataset(take_folder: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_write_in_another_process, args=(tmp_path / "d", take_folder, subject))
        for subject in ("S01", "S02")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
        process.close()
    assert validate(tmp_path / "d") == []
    assert len(list((tmp_path / "d" / "frames").rglob("*.parquet"))) == 2
