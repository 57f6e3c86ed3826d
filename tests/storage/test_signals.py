"""Attributes of signals are h5py's own, byte for byte."""

from __future__ import annotations

import io

import h5py
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from storage.flex.signals import set_attributes

VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.floats(),
    st.booleans(),
    st.floats(width=64).map(np.float64),
)


@given(attributes=st.dictionaries(st.text("abcdef_é", min_size=1), VALUES, max_size=12))
def test_attributes_are_written_as_h5py_writes_them(attributes: dict[str, str | float | bool]) -> None:
    sinks = io.BytesIO(), io.BytesIO()
    for sink, direct in zip(sinks, (False, True), strict=True):
        with h5py.File(sink, "w", libver=("v108", "v110")) as file:
            group = file.create_group("rep_01")
            if direct:
                set_attributes(group, attributes)
            else:
                for name, value in attributes.items():
                    group.attrs[name] = value
    assert sinks[0].getvalue() == sinks[1].getvalue()
