"""Tables of numbers as people and programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import FileFormatError
from storage.csv_table import read_csv_table


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("a,b\n1,2\n3,4\n5,6\n", ("a", "b"), [[1, 2], [3, 4], [5, 6]]),
        ("a;b\n1,5;2\n3,5;4\n5;6\n", ("a", "b"), [[1.5, 2], [3.5, 4], [5, 6]]),
        ("1\t2\n3\t4\n5\t6\n", ("column 1", "column 2"), [[1, 2], [3, 4], [5, 6]]),
        ("# x  y\n1.0  2\n3   4\n5 6\n", ("x", "y"), [[1, 2], [3, 4], [5, 6]]),
        ("Maker: Acme\nDate: today\n\na,b\n1,\n,4\n5,inf\n", ("a", "b"), [[1, np.nan], [np.nan, 4], [5, np.nan]]),
        ('"a","b"\n"1","2"\n"3","4"\n"5","6"\n', ("a", "b"), [[1, 2], [3, 4], [5, 6]]),
        ("a,a\n1,2\n3,4\n5,6\n", ("a", "a"), [[1, 2], [3, 4], [5, 6]]),
        ("a,b,\n1,2,\n3,4,\n5,6,\n", ("a", "b"), [[1, 2], [3, 4], [5, 6]]),
    ],
)
def test_a_table_is_read(tmp_path, text, columns, values):
    table = read_csv_table(written(tmp_path / "a.csv", text))
    named = [place for place, name in enumerate(table.columns) if name in columns]
    assert tuple(table.columns[place] for place in named) == columns
    np.testing.assert_array_equal(table.values[:, named], values)


def test_a_column_of_words_is_left_out(tmp_path):
    table = read_csv_table(written(tmp_path / "a.csv", "a,who,b\n1,Ann,2\n3,Bob,4\n5,Cy,6\n"))
    assert table.columns == ("a", "b")
    assert table.left_out == ("who",)


@pytest.mark.parametrize("text", ["", "\n\n", "a,b\n", "no numbers\nhere\n", "\0\1\2"])
def test_what_is_no_table_is_said(tmp_path, text):
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(FileFormatError, match=r"a\.csv"):
        read_csv_table(path)
    with pytest.raises(FileFormatError, match="does not exist"):
        read_csv_table(tmp_path / "gone.csv")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.floats(-1e9, 1e9, allow_subnormal=False), min_size=3, max_size=3), min_size=3, max_size=20),
    st.sampled_from([",", ";", "\t", " "]),
)
def test_any_numbers_come_back(tmp_path, rows, delimiter):
    lines = [delimiter.join(("t", "u", "v")), *(delimiter.join(f"{cell:.9g}" for cell in row) for row in rows)]
    table = read_csv_table(written(tmp_path / "a.txt", "\n".join(lines)))
    assert table.columns == ("t", "u", "v")
    np.testing.assert_allclose(table.values, rows, rtol=1e-8, atol=1e-12)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_one_sentence(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    said = ""
    try:
        table = read_csv_table(path)
    except FileFormatError as error:
        said = str(error)
    assert str(path) in said or table.values.shape[1] == len(table.columns)
