"""The FLEX layout as other programs read it: pandas, DuckDB, pyarrow, h5py, PyAV and OpenCV, none of our code."""

from __future__ import annotations

import json
from pathlib import Path

import flex_takes
import numpy as np
import pytest

from lab.joints import JOINTS
from storage.flex import write_take


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with one take; tests only read it."""
    folder = tmp_path_factory.mktemp("raw")
    for view in ("view1", "view2"):
        flex_takes.write_numbered_video(folder / f"{view}.mov")
    write_take(folder / "dataset", folder, flex_takes.make_take(), flex_takes.make_segmentation())
    return folder / "dataset"


def test_pandas_reads_the_index(written: Path) -> None:
    import pandas as pd

    repetitions = pd.read_parquet(written / "repetitions.parquet")
    assert list(repetitions["repetition"]) == [1, 2, 3]
    row = repetitions.iloc[1]
    assert (row["subject"], row["action"], row["skill"], row["load_kg"]) == ("S12", "A16", "expert", 60.0)
    assert (row["first_phase"], row["second_phase"], row["first_keystep"], row["second_keystep"]) == (
        "eccentric",
        "concentric",
        "AK44",
        "AK45",
    )
    assert (row["expected"], row["found"], row["provenance"]) == (3, 3, "auto")
    assert list(row["doubts"]) == ["the tempo changed"]
    assert row["excluded_reason"] is None or pd.isna(row["excluded_reason"])
    # Repetition 2 starts 3.5 s into the take: frame 105 of view1; view2 lacks three frames and is 4 ms behind.
    assert (row["view1_start_frame"], row["view1_turn_frame"], row["view1_end_frame"]) == (105, 147, 195)
    assert row["view2_start_frame"] == 105 - 3
    assert pd.isna(row["view3_start_frame"])
    assert json.loads(row["segmenter_parameters"]) == {"hysteresis": 0.1, "prior": 0.5}
    for column in ("frames_file", "signals_file", "view1_clip", "view2_clip"):
        assert (written / row[column]).is_file()


def test_duckdb_joins_the_tables(written: Path) -> None:
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""select r.repetition, count(*), min(f.time_s), max(f.time_s), any_value(f.subject)
                from '{written}/repetitions.parquet' r
                join read_parquet('{written}/frames/**/*.parquet', hive_partitioning = true) f
                  on f.take_id = r.take_id and f.repetition = r.repetition and f.action = r.action
                join '{written}/takes.parquet' t on t.take_id = r.take_id and t.current
                where r.excluded_reason is null
                group by 1 order by 1"""
        ).fetchall()
        streams = connection.execute(f"select stream, drift_ppm from '{written}/streams.parquet'").fetchall()
    assert [(number, count) for number, count, *_ in rows] == [(1, 91), (2, 91), (3, 91)]
    assert rows[0][2:] == (pytest.approx(1000.5), pytest.approx(1003.5), "S12")
    assert ("emg", 10.0) in streams


def test_frames_hold_every_modality_at_the_frames_times(written: Path) -> None:
    import pandas as pd

    take = flex_takes.make_take()
    assert take.emg is not None
    assert take.emg_envelope is not None
    (file,) = (written / "frames").rglob("*.parquet")
    frames = pd.read_parquet(file)
    second = frames[frames["repetition"] == 2]
    time_s = second["time_s"].to_numpy()
    np.testing.assert_allclose(time_s, 1000 + np.arange(105, 196) / 30)
    np.testing.assert_array_equal(second["frame"], np.arange(105, 196))
    np.testing.assert_array_equal(second["phase"] == "concentric", second["frame"] >= 147)
    np.testing.assert_array_equal(second["keystep"], np.where(second["frame"] >= 147, "AK45", "AK44"))
    np.testing.assert_allclose(second["pose_head_z"], flex_takes.squat_height_m(time_s), atol=1e-4)
    np.testing.assert_allclose(second["pose_left_toe_x"], 0.5, atol=1e-6)
    expected = np.interp(time_s, take.emg.time_s, take.emg_envelope[:, 0])
    np.testing.assert_allclose(second["emg_l1"], expected, rtol=1e-5)
    # Two labels that are the same in plain letters stay two columns.
    assert {"emg_l1", "emg_l2", "emg_r1_long", "emg_r1_long_2"} <= set(frames.columns)
    np.testing.assert_array_equal(second["view1_frame"], second["frame"])
    np.testing.assert_array_equal(second["view2_frame"], second["frame"] - 3)
    assert second["view3_frame"].isna().all()
    assert take.heart_rate is not None
    last = np.searchsorted(take.heart_rate.time_s, time_s[0], side="right") - 1
    assert second["heart_rate"].iloc[0] == take.heart_rate.values[last, 0]


def test_frames_of_a_gap_belong_to_no_frame_of_the_other_view(written: Path) -> None:
    import pandas as pd

    (file,) = (written / "frames").rglob("*.parquet")
    frames = pd.read_parquet(file).set_index("frame")
    # view2 lacks exposures 50 to 52; 51 is two periods from both neighbours.
    assert np.isnan(frames.loc[51, "view2_frame"])
    assert frames.loc[50, "view2_frame"] == 49
    assert frames.loc[52, "view2_frame"] == 50


def test_each_repetition_is_a_row_group_and_floats_are_split_by_byte(written: Path) -> None:
    import pyarrow.parquet as pq

    (path,) = (written / "frames").rglob("*.parquet")
    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
        names = schema.names
        column = metadata.row_group(0).column(names.index("pose_head_x"))
        assert metadata.num_row_groups == 3
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings
    assert not column.has_dictionary_page
    assert schema.field("pose_head_x").metadata[b"unit"] == b"m"
    assert b"R1 (long)" in schema.field("emg_r1_long").metadata[b"description"]


def test_h5py_reads_signals_at_native_rates(written: Path) -> None:
    import h5py

    take = flex_takes.make_take()
    assert take.emg is not None
    (path,) = (written / "signals").rglob("*.h5")
    with h5py.File(path, "r") as file:
        assert list(file) == ["rep_01", "rep_02", "rep_03"]
        group = file["rep_02"]
        assert group.attrs["repetition"] == 2
        time_s, values = group["emg/time"][()], group["emg/values"]
        assert time_s.dtype == np.float64
        inside = (take.emg.time_s >= 1003.5) & (take.emg.time_s <= 1006.5)
        np.testing.assert_array_equal(time_s, take.emg.time_s[inside])
        np.testing.assert_array_equal(values[()], take.emg.values[inside])
        assert values.attrs["unit"] == "uV"
        for dataset in (values, group["emg/time"], group["pose/values"], group["heart_rate/time"]):
            assert len(dataset.attrs["description"]) > 20
            assert dataset.attrs["rate_nominal_hz"] > 0
        assert list(values.attrs["labels"]) == ["L1", "L2", "R1 (long)", "R1_long"]
        assert group["emg"].attrs["rate_nominal_hz"] == 2000.0
        assert group["emg"].attrs["rate_measured_hz"] == pytest.approx(2000.02)
        assert group["pose/values"].shape == (301, 21, 3)
        assert list(group["pose/values"].attrs["labels"]) == list(JOINTS)
        # One value a second: the last one before the start comes along.
        heart_s = group["heart_rate/time"][()]
        assert heart_s[0] < 1003.5 <= heart_s[1]
        assert group["breath_rate/values"].shape == heart_s.shape


@pytest.mark.parametrize("view", ["view1", "view2"])
def test_clips_show_the_frames_that_the_index_names(written: Path, view: str) -> None:
    import av
    import cv2
    import pandas as pd

    for row in pd.read_parquet(written / "repetitions.parquet").to_dict("records"):
        first, last = int(row[f"{view}_start_frame"]), int(row[f"{view}_end_frame"])
        path = str(written / row[f"{view}_clip"])
        with av.open(path) as container:
            assert container.metadata["comment"] == f"{row['take_id']} {view} frames {first} to {last}"
            shown = [flex_takes.number_shown(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
        assert shown == list(range(first, last + 1))
        capture = cv2.VideoCapture(path)
        shown = []
        while True:
            there, image = capture.read()
            if not there:
                break
            shown.append(flex_takes.number_shown(image))
        capture.release()
        assert shown == list(range(first, last + 1))


def test_dataset_json_describes_every_column_that_is_there(written: Path) -> None:
    import pyarrow.parquet as pq

    description = json.loads((written / "dataset.json").read_text(encoding="utf-8"))
    assert description["layout_version"] == 1
    assert description["joints"] == list(JOINTS)
    for name, table in description["tables"].items():
        found = set(pq.read_schema(written / f"{name}.parquet").names)
        described: set[str] = set()
        for column in table["columns"]:
            assert len(column["description"]) > 5
            described |= {column["name"].format(view=f"view{number}") for number in range(1, 6)}
        assert found == described
