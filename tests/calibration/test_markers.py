"""Markers into joints: weights, units, axes, prefixes, and two real marker sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.markers import (
    find_marker_map,
    joints_from_markers,
    load_marker_map,
    match_markers,
    packaged_map,
    packaged_map_names,
)
from lab.errors import RigError
from lab.joints import JOINT_INDEX, JOINTS
from lab.marker_map import MarkerMap
from storage.c3d_file import read_c3d
from storage.trc_file import read_trc


def of(joints_m: np.ndarray, name: str) -> np.ndarray:
    found: np.ndarray = joints_m[:, JOINT_INDEX[name]]
    return found


def test_weighted_mean_units_and_absence() -> None:
    marker_map = MarkerMap(name="t", joints={"head": {"A": 1.0, "B": 3.0}, "neck": {"B": 0.5}}, up_axis="z")
    positions = np.array([[[0.0, 0, 0], [4.0, 8, 12]], [[np.nan, 0, 0], [4.0, 8, 12]]])
    joints_m = joints_from_markers(["A", "B"], positions, "millimeters", marker_map)
    assert joints_m.shape == (2, 21, 3)
    assert joints_m.dtype == np.float64
    np.testing.assert_allclose(of(joints_m, "head")[0], [0.003, 0.006, 0.009], rtol=1e-12)
    assert np.isnan(of(joints_m, "head")[1]).all()
    np.testing.assert_allclose(of(joints_m, "neck"), np.tile([0.004, 0.008, 0.012], (2, 1)), rtol=1e-12)
    absent = [index for index, joint in enumerate(JOINTS) if joint not in ("head", "neck")]
    assert np.isnan(joints_m[:, absent]).all()


def test_y_up_is_turned_without_mirroring() -> None:
    marker_map = MarkerMap(
        name="t", joints={"head": {"A": 1.0}, "neck": {"B": 1.0}, "left_hip": {"C": 1.0}}, up_axis="y"
    )
    joints_m = joints_from_markers(["A", "B", "C"], np.eye(3)[None], "m", marker_map)[0]
    x, y, z = (joints_m[JOINT_INDEX[joint]] for joint in ("head", "neck", "left_hip"))
    assert x.tolist() == [1, 0, 0]
    assert y.tolist() == [0, 0, 1]
    assert z.tolist() == [0, -1, 0]
    assert np.cross(x, y) @ z == 1  # a rotation keeps handedness


@pytest.mark.parametrize(("label", "marker"), [("S12:LASI", "LASI"), ("LASI", "S12:LASI"), ("S12:LASI", "S12:LASI")])
def test_subject_prefix_may_stand_on_either_side(label: str, marker: str) -> None:
    match = match_markers(["box:edge", label], MarkerMap(name="t", joints={"head": {marker: 1.0}}))
    assert match.columns == {marker: 1}
    assert match.unused == ("box:edge",)
    assert "neck" in match.absent
    assert "head" not in match.absent


def test_two_subjects_are_not_confused() -> None:
    with pytest.raises(RigError, match="could be any of S1:LASI, S2:LASI"):
        match_markers(["S1:LASI", "S2:LASI"], MarkerMap(name="t", joints={"head": {"LASI": 1.0}}))
    with pytest.raises(RigError, match="has no marker 'S1:LASI'"):
        match_markers(["S2:LASI"], MarkerMap(name="t", joints={"head": {"S1:LASI": 1.0}}))


def test_every_missing_marker_is_told_with_its_nearest() -> None:
    marker_map = MarkerMap(name="set", joints={"left_hip": {"LASIS": 1.0}, "head": {"zzz": 1.0}})
    with pytest.raises(RigError) as caught:
        joints_from_markers(["S:LASI", "S:RASI"], np.zeros((1, 2, 3)), "m", marker_map)
    assert len(caught.value.problems) == 2
    assert "'LASIS'; nearest are S:LASI" in caught.value.problems[0]
    assert "'zzz'; it has S:LASI, S:RASI" in caught.value.problems[1]


def test_unknown_unit_and_wrong_shape() -> None:
    marker_map = MarkerMap(name="t", joints={"head": {"A": 1.0}})
    with pytest.raises(RigError, match="unit of length"):
        joints_from_markers(["A"], np.zeros((1, 1, 3)), "furlongs", marker_map)
    with pytest.raises(ValueError, match="do not fit"):
        joints_from_markers(["A", "B"], np.zeros((1, 1, 3)), "m", marker_map)


def test_a_map_file_and_its_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[joints]\nhead = { A = 1.0 }\n')
    assert find_marker_map("mine.toml", tmp_path) == load_marker_map(path)
    path.write_text('nam = "mine"\nup_axis = "x"\n[joints]\nhaed = { A = 1.0 }\n')
    with pytest.raises(RigError) as caught:
        load_marker_map(path)
    assert len(caught.value.problems) == 4
    assert all("mine.toml" in problem for problem in caught.value.problems)
    with pytest.raises(RigError, match=r"none\.toml"):
        find_marker_map("none.toml", tmp_path)
    with pytest.raises(RigError, match="there is no marker map 'opencap'"):
        find_marker_map("opencap", tmp_path)


@pytest.mark.parametrize("name", packaged_map_names())
def test_packaged_maps_load(name: str, tmp_path: Path) -> None:
    assert find_marker_map(name, tmp_path) == packaged_map(name)


def test_packaged_maps_are_there() -> None:
    assert set(packaged_map_names()) >= {"opencap_squats", "box_lifting"}


def test_real_squats_stand_upright_with_left_on_the_left(data_folder: Path) -> None:
    content = read_trc(data_folder / "reps" / "squats1.trc")
    joints_m = joints_from_markers(content.labels, content.positions, content.units, packaged_map("opencap_squats"))
    order = ("left_toe", "left_ankle", "left_knee", "left_hip", "left_shoulder")
    heights_m = [float(of(joints_m, joint)[0, 2]) for joint in order]
    assert heights_m == sorted(heights_m)
    assert 1.3 < heights_m[-1] < 1.6
    forward = (of(joints_m, "left_toe") - of(joints_m, "left_heel"))[0]
    to_right = np.cross(forward, [0, 0, 1])
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe"):
        assert (of(joints_m, f"right_{joint}") - of(joints_m, f"left_{joint}"))[0] @ to_right > 0, joint
    # Five squats: the hips pass the height of half the deepest drop ten times.
    hips_m = (of(joints_m, "left_hip") + of(joints_m, "right_hip"))[:, 2] / 2
    low = hips_m < (hips_m.max() + hips_m.min()) / 2
    assert np.count_nonzero(np.diff(low.astype(int)) == 1) == 5
    thigh_m = np.linalg.norm(of(joints_m, "left_hip") - of(joints_m, "left_knee"), axis=1)
    assert 0.3 < thigh_m.min() <= thigh_m.max() < 0.5


def test_real_box_lifting_has_its_right_arm_on_the_right(data_folder: Path) -> None:
    content = read_c3d(data_folder / "c3d" / "markers_analogs.c3d")
    joints_m = joints_from_markers(content.labels, content.positions, content.units, packaged_map("box_lifting"))
    first = joints_m[0]
    assert first[JOINT_INDEX["neck"], 2] > first[JOINT_INDEX["right_hip"], 2] + 0.3
    across = first[JOINT_INDEX["right_hip"]] - first[JOINT_INDEX["left_hip"]]
    assert (first[JOINT_INDEX["right_shoulder"]] - first[JOINT_INDEX["neck"]]) @ across > 0
    arm_m = np.linalg.norm(of(joints_m, "right_shoulder") - of(joints_m, "right_elbow"), axis=1)
    forearm_m = np.linalg.norm(of(joints_m, "right_elbow") - of(joints_m, "right_wrist"), axis=1)
    assert 0.2 < np.nanmin(arm_m) <= np.nanmax(arm_m) < 0.45
    assert 0.18 < np.nanmin(forearm_m) <= np.nanmax(forearm_m) < 0.35
    wrist_gaps = np.isnan(content.positions[:, content.labels.index("Daphnee:STYLu")]).any(axis=1)
    assert np.array_equal(np.isnan(of(joints_m, "right_wrist")).any(axis=1), wrist_gaps)
    assert wrist_gaps.any()
    assert np.isnan(of(joints_m, "left_wrist")).all()
