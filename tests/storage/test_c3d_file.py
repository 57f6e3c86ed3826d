"""The C3D reader against the c3d package read directly, on real, strange and damaged files."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import FileFormatError
from storage.c3d_file import C3dFile, read_c3d

GOOD = {
    "DEC_INT.C3D": (89, 36, 356, 16, "mm"),
    "sgi_real.c3d": (89, 36, 356, 16, "mm"),
    "pc_real.c3d": (89, 36, 356, 16, "mm"),
    "markers_analogs.c3d": (580, 51, 11600, 38, "mm"),
    "parameterOverflow.c3d": (101, 142, 101, 36, "mm"),
    "sprintbasket.c3d": (3678, 26, 0, 0, "m"),
    "walkingOptiTrack.c3d": (3361, 12, 0, 0, "mm"),
}
DAMAGED = ("Empty.c3d", "badParameterOffset.c3d", "bad_parameter_section.c3d")


def direct(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points (frames, markers, 5) and analog (frames, channels, samples a frame), by the package alone."""
    import c3d

    with warnings.catch_warnings(), path.open("rb") as handle:
        warnings.simplefilter("ignore")
        frames = [(points, analog) for _, points, analog in c3d.Reader(handle).read_frames()]
    return np.array([points for points, _ in frames]), np.array([analog for _, analog in frames])


def written(path: Path, frames: int = 12, markers: int = 3, channels: int = 2, per_frame: int = 4) -> C3dFile:
    """Write a small valid file with the package and return what must be read back."""
    import c3d

    rng = np.random.default_rng(5)
    positions = rng.normal(size=(frames, markers, 3)).astype(np.float32)
    analog = rng.normal(size=(frames, channels, per_frame)).astype(np.float32)
    writer = c3d.Writer(point_rate=50.0, analog_rate=50.0 * per_frame, point_units="mm ")
    writer.set_point_labels([f"M{index}" for index in range(markers)])
    writer.set_analog_labels([f"A{index}" for index in range(channels)])
    writer.set_analog_scales([1.0] * channels)
    writer.set_analog_offsets([0] * channels)
    residual = np.zeros((markers, 2), dtype=np.float32)
    writer.add_frames(
        [(np.hstack((points, residual)), samples) for points, samples in zip(positions, analog, strict=True)]
    )
    with warnings.catch_warnings(), path.open("wb") as handle:
        warnings.simplefilter("ignore")
        writer.write(handle)
    return C3dFile(
        50.0, 1, tuple(f"M{index}" for index in range(markers)), "mm", positions, 50.0 * per_frame,
        tuple(f"A{index}" for index in range(channels)), ("",) * channels,
        analog.transpose(0, 2, 1).reshape(-1, channels).astype(np.float64),
    )  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_real_files_as_the_package_reads_them(data_folder: Path, name: str) -> None:
    content = read_c3d(data_folder / "c3d" / name)
    frames, markers, samples, channels, units = GOOD[name]
    assert content.positions.shape == (frames, markers, 3)
    assert content.positions.dtype == np.float32
    assert content.analog.shape == (samples, channels)
    assert content.units == units
    assert len(content.labels) == markers
    assert len(content.analog_labels) == len(content.analog_units) == channels
    points, analog = direct(data_folder / "c3d" / name)
    hidden = (points[..., 3] < 0) | (points[..., :3] == 0).all(axis=2)
    assert np.array_equal(np.isnan(content.positions).all(axis=2), hidden)
    assert np.array_equal(content.positions[~hidden], points[~hidden][:, :3])
    assert not np.isnan(content.positions[~hidden]).any()
    if channels:
        per_frame = samples // frames
        assert content.analog_rate_hz == per_frame * content.rate_hz
        for sample in range(per_frame):
            assert np.array_equal(content.analog[sample::per_frame], analog[:, :, sample])


def test_three_number_formats_of_one_trial_agree(data_folder: Path) -> None:
    first, *others = (read_c3d(data_folder / "c3d" / name) for name in ("pc_real.c3d", "sgi_real.c3d", "DEC_INT.C3D"))
    for other in others:
        # The trial's integers have a resolution of POINT:SCALE = 0.28 mm.
        np.testing.assert_allclose(other.positions, first.positions, atol=0.15)
        np.testing.assert_allclose(other.analog, first.analog, rtol=1e-5, atol=1.0)


def test_names_maker_and_muscles(data_folder: Path) -> None:
    content = read_c3d(data_folder / "c3d" / "markers_analogs.c3d")
    assert (content.manufacturer, content.software) == ("Vicon", "Vicon Nexus")
    assert "Biceps.EMG4" in content.analog_labels
    assert set(content.analog_units) == {"V"}
    assert content.labels[8] == "Daphnee:ASISr"


def test_optitrack_header_counts_from_zero(data_folder: Path) -> None:
    # POINT:FRAMES is a count there; taken for the last frame's number it would announce one frame too many.
    content = read_c3d(data_folder / "c3d" / "walkingOptiTrack.c3d")
    assert (content.first_frame, len(content.positions)) == (0, 3361)
    assert (content.analog_labels, content.analog_rate_hz) == ((), 0.0)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_named_in_one_sentence(data_folder: Path, name: str) -> None:
    with pytest.raises(FileFormatError, match=name) as caught:
        read_c3d(data_folder / "c3d" / name)
    assert len(caught.value.problems) == 1
    assert "export it again" in str(caught.value)


def test_written_file_comes_back(tmp_path: Path) -> None:
    expected = written(tmp_path / "small.c3d")
    content = read_c3d(tmp_path / "small.c3d")
    assert np.array_equal(content.positions, expected.positions)
    assert np.array_equal(content.analog, expected.analog)
    assert content.labels == expected.labels
    assert content.analog_rate_hz == 200.0


def test_cut_off_file_says_so(data_folder: Path, tmp_path: Path) -> None:
    whole = (data_folder / "c3d" / "markers_analogs.c3d").read_bytes()
    cut = tmp_path / "cut.c3d"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"cut\.c3d is cut off: \d+ of 580 frames"):
        read_c3d(cut)


def test_missing_and_oversized_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        read_c3d(tmp_path / "none.c3d")
    written(tmp_path / "small.c3d")
    monkeypatch.setattr("storage.c3d_file.MAX_BYTES", 1000)
    with pytest.raises(FileFormatError, match="larger than"):
        read_c3d(tmp_path / "small.c3d")


def test_a_file_without_anything_in_its_frames_ends(tmp_path: Path) -> None:
    path = tmp_path / "hollow.c3d"
    written(path)
    data = bytearray(path.read_bytes())
    data[2:6] = struct.pack("<HH", 0, 0)
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"hollow\.c3d"):
        read_c3d(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_bytes_give_values_or_one_sentence(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    path = tmp_path / "flipped.c3d"
    if not path.exists():
        written(tmp_path / "whole.c3d")
    data = bytearray((tmp_path / "whole.c3d").read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(data)
    try:
        content = read_c3d(path)
    except FileFormatError as error:
        said = error.problems
    else:
        said = ("flipped.c3d",)
        assert content.positions.shape == (len(content.positions), len(content.labels), 3)
        assert content.analog.shape[1] == len(content.analog_labels)
    assert len(said) == 1
    assert "flipped.c3d" in said[0]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=4096))
def test_garbage_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "garbage.c3d"
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match=r"garbage\.c3d"):
        read_c3d(path)


def test_warnings_of_the_package_stay_inside(data_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_c3d(data_folder / "c3d" / "sprintbasket.c3d")
    assert caught == []
    assert capsys.readouterr() == ("", "")
