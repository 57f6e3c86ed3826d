"""What is written as TOML is read as it was."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.toml_file import parse_toml_value, read_toml
from storage.toml_text import toml_comment, toml_value

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
plain = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), texts, st.dates(date(1, 1, 1), date(9999, 12, 31))
)
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4))


def same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@given(values, texts)
def test_any_value_is_read_as_it_was_written_below_any_comment(tmp_path_factory, value, comment) -> None:
    path = tmp_path_factory.getbasetemp() / "written.toml"
    path.write_bytes(f"{toml_comment(comment)}\nkey = {toml_value(value)}\n".encode())
    assert same(read_toml(path)["key"], value)
    assert same(parse_toml_value(toml_value(value)), value)


@pytest.mark.parametrize("text", ["lab pc", "10.0.0.5", "a = 1", "1\nb = 2", "[1", "C:\\x", ""])
def test_text_that_is_no_value_is_text(text: str) -> None:
    assert parse_toml_value(text) == text


def test_toml_has_no_word_for_nothing() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml_value({"a": None})
