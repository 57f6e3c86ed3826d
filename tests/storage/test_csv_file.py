"""The CSV reader on real files, round trips and garbage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.errors import FileFormatError
from storage.csv_file import read_csv_signals

tables = st.tuples(st.integers(1, 8), st.integers(1, 3)).flatmap(
    lambda size: arrays(np.float64, size, elements=st.floats(allow_infinity=False, allow_nan=True))
)


def test_real_emg(data_folder: Path) -> None:
    path = data_folder / "emg" / "emg_bursts_1000hz.csv"
    content = read_csv_signals(path, ["emg_adc16"], counter="nSeq")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    assert np.array_equal(content.values, table[:, 1:])
    assert content.counter is not None
    assert np.array_equal(content.counter, table[:, 0])


def test_columns_come_in_the_order_asked_for(data_folder: Path) -> None:
    path = data_folder / "sync" / "sync_acc_1_1000hz.csv"
    content = read_csv_signals(path, ["channel_3", "channel_1"])
    assert content.columns == ("channel_3", "channel_1")
    assert content.values[0].tolist() == [37980.0, 32988.0]
    assert content.counter is None


def test_a_file_of_another_kind_is_refused(data_folder: Path) -> None:
    with pytest.raises(FileFormatError, match="has no column 'emg'"):
        read_csv_signals(data_folder / "emg" / "trigno_discover_truncated.csv", ["emg"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tables, st.sampled_from(("\n", "\r\n")), st.booleans())
def test_round_trip(tmp_path: Path, table: np.ndarray, newline: str, bom: bool) -> None:
    names = [f"c{index}" for index in range(table.shape[1])]
    rows = [["n", *names]]
    rows += [[str(7 * k), *("" if np.isnan(v) else repr(float(v)) for v in row)] for k, row in enumerate(table)]
    text = newline.join(",".join(row) for row in rows) + newline
    path = tmp_path / "round.csv"
    path.write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))
    content = read_csv_signals(path, names, counter="n")
    assert np.array_equal(content.values, table, equal_nan=True)
    assert content.counter is not None
    assert content.counter.tolist() == [7 * k for k in range(len(table))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no column 'n'|has no column 'v'"),
        ("n,v\n", "holds no samples"),
        ("n,x\n1,2\n", "has no column 'v'"),
        ("n,v,v\n1,2,3\n", "several columns 'v'"),
        ("n,v\n1,2,3\n", "line 2: 3 cells below a header of 2"),
        ("n,v\n1,2\n3\n", "line 3: 1 cells below a header of 2"),
        ("n,v\n1,two\n", "'two' in column 'v' is not a number"),
        ("n,v\n1,inf\n", "not a number"),
        ("n,v\n1.5,2\n", "no whole number"),
        ("n,v\n,2\n", "no whole number"),
        ("n,v\n99999999999999999999,2\n", "no whole number"),
        ("n,v\n5,2\n5,2\n", "sample 2: counter 'n' does not increase"),
        ("n,v\n1," + "9" * 200_000 + "\n", "odd.csv"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=said) as caught:
        read_csv_signals(path, ["v"], counter="n")
    assert "odd.csv" in str(caught.value)
    assert len(str(caught.value)) < 600 + len(str(path))


def test_missing_and_oversized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        read_csv_signals(tmp_path / "none.csv", ["v"])
    path = tmp_path / "big.csv"
    path.write_text("v\n" + "1\n" * 100)
    monkeypatch.setattr("storage.csv_file.MAX_BYTES", 100)
    with pytest.raises(FileFormatError, match="larger than"):
        read_csv_signals(path, ["v"])


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_garbage_gives_values_or_one_sentence(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "garbage.csv"
    path.write_bytes(b"n,v\n" + data)
    try:
        content = read_csv_signals(path, ["v"], counter="n")
    except FileFormatError as error:
        said = error.problems
    else:
        said = ("garbage.csv",)
        assert content.values.shape[1] == 1
    assert len(said) == 1
    assert "garbage.csv" in said[0]
