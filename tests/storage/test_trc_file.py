"""The TRC reader on a real file, round trips and garbage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.errors import FileFormatError
from storage.trc_file import read_trc

numbers = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))
tables = st.tuples(st.integers(1, 6), st.integers(1, 4)).flatmap(
    lambda size: arrays(np.float64, (*size, 3), elements=numbers)
)


def trc_text(positions: np.ndarray, rate_hz: float = 100.0, units: str = "mm", newline: str = "\n") -> str:
    frames, markers = positions.shape[:2]
    labels = "\t\t\t".join(f"M{index}" for index in range(markers))
    lines = [
        "PathFileType\t4\t(X/Y/Z)\ttest.trc",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate_hz}\t{rate_hz}\t{frames}\t{markers}\t{units}\t{rate_hz}\t1\t{frames}",
        f"Frame#\tTime\t{labels}\t\t",
        "\t\t" + "\t".join(f"{axis}{index + 1}" for index in range(markers) for axis in "XYZ"),
        "",
    ]
    for frame in range(frames):
        cells = ["" if np.isnan(value) else repr(float(value)) for value in positions[frame].ravel()]
        lines.append("\t".join([str(frame + 1), repr(frame / rate_hz), *cells]))
    return newline.join(lines) + newline


def test_real_squats(data_folder: Path) -> None:
    path = data_folder / "reps" / "squats1.trc"
    content = read_trc(path)
    assert (content.rate_hz, content.units, content.positions.shape) == (100.0, "m", (1346, 51, 3))
    assert content.labels[:3] == ("C7", "L.ASIS", "L.PSIS")
    assert content.positions[0, 0].tolist() == [-0.278799, 1.46173, -0.61037]
    assert content.positions[-1, -1, 2] == -0.387256
    assert np.array_equal(content.frame_number, np.arange(1, 1347))
    assert content.time_s[0] == 0.0
    assert content.time_s[-1] == 13.45
    # Every cell, by another parser.
    table = np.loadtxt(path, delimiter="\t", skiprows=6)
    assert np.array_equal(table[:, 2:].reshape(content.positions.shape), content.positions)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.sampled_from(("\n", "\r\n")))
def test_round_trip(tmp_path: Path, positions: np.ndarray, newline: str) -> None:
    path = tmp_path / "round.trc"
    path.write_bytes(trc_text(positions, newline=newline).encode())
    content = read_trc(path)
    assert np.array_equal(content.positions, positions, equal_nan=True)
    assert np.array_equal(content.time_s, np.arange(len(positions)) / 100.0)


def test_trailing_empty_cells_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "trimmed.trc"
    positions = np.ones((3, 2, 3))
    positions[1, 1] = np.nan
    path.write_text("\n".join(line.rstrip("\t") for line in trc_text(positions).split("\n")))
    assert np.array_equal(read_trc(path).positions, positions, equal_nan=True)


GOOD = trc_text(np.arange(24.0).reshape(4, 2, 3) + 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with PathFileType"),
        ("hello\n" * 9, "does not begin with PathFileType"),
        (GOOD.replace("NumFrames\tNumMarkers", "Frames\tNumMarkers", 1), "does not state NumFrames"),
        (GOOD.replace("\t4\t2\tmm", "\t5\t2\tmm"), "announces 5 frames and holds 4"),
        (GOOD.replace("\t4\t2\tmm", "\t4\t3\tmm"), "announces 3 markers and names 2"),
        (GOOD.replace("\t4\t2\tmm", "\tfour\t2\tmm"), "header cannot be read"),
        (GOOD.replace("\t4\t2\tmm", "\t4\t-2\tmm"), "cannot be"),
        (GOOD.replace("100.0\t100.0", "nan\t100.0", 1), "cannot be"),
        (GOOD.replace("7.5", "7,5"), "could not convert"),
        (GOOD.replace("7.5", "inf"), "infinite"),
        (GOOD.replace("\n2\t0.01", "\n2\t0.0"), "times do not increase"),
        (GOOD.replace("\n2\t0.01", "\n1\t0.01"), "frame numbers do not increase"),
        (GOOD.replace("\n2\t0.01", "\n1.5\t0.01"), "not whole numbers"),
        (GOOD.replace("7.5", "7.5\t1\t2"), "more cells"),
        (GOOD[:-7], "cut off in its last line"),
        (GOOD.replace("7.5", "7\0"), "not text"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "odd.trc"
    path.write_bytes(text.encode())
    with pytest.raises(FileFormatError, match=said) as caught:
        read_trc(path)
    assert "odd.trc" in str(caught.value)


def test_missing_oversized_and_swollen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        read_trc(tmp_path / "none.trc")
    path = tmp_path / "big.trc"
    path.write_text(GOOD)
    monkeypatch.setattr("storage.trc_file._MAX_CELLS", 10)
    with pytest.raises(FileFormatError, match="more than 10 cells"):
        read_trc(path)
    monkeypatch.setattr("storage.trc_file.MAX_BYTES", 100)
    with pytest.raises(FileFormatError, match="larger than"):
        read_trc(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(GOOD) - 1), st.text(max_size=5))
def test_damaged_text_gives_values_or_one_sentence(tmp_path: Path, place: int, text: str) -> None:
    path = tmp_path / "damaged.trc"
    path.write_text(GOOD[:place] + text + GOOD[place + len(text) :], encoding="utf-8", errors="replace", newline="")
    try:
        content = read_trc(path)
    except FileFormatError as error:
        said = error.problems
    else:
        said = ("damaged.trc",)
        assert content.positions.shape == (4, 2, 3)
    assert len(said) == 1
    assert "damaged.trc" in said[0]
