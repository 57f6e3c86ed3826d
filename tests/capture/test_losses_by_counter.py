"""Losses are found by the counter, the same whether a piece goes on one by one or not, and however it is cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from capture.stream_state import ExpectedStream, StreamState
from lab.streams import CountingChannel


def state(modulus: int) -> StreamState:
    expected = ExpectedStream("amp", "amp", "amp-1", None, info=object(), counter=CountingChannel(1, modulus))
    return StreamState(1, expected, 1000.0)


def take_in(found: StreamState, counts: np.ndarray, dtype: str) -> None:
    if len(counts):
        values = np.column_stack((np.zeros(len(counts)), counts)).astype(dtype)
        found.account(values, np.arange(len(counts)) * 1e-3)


@given(
    modulus=st.sampled_from((0, 16, 256)),
    first=st.integers(0, 300),
    steps=st.lists(st.integers(1, 4), max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    dtype=st.sampled_from(("float32", "float64", "int16", "int64")),
)
def test_any_cut_gives_the_same_losses(modulus, first, steps, cuts, dtype):
    counts = first + np.concatenate(([0], np.cumsum(steps, dtype=np.int64)))
    published = counts % modulus if modulus else counts
    found = state(modulus)
    for piece in np.split(published, sorted({min(cut, len(published)) for cut in cuts})):
        take_in(found, piece, dtype)
    assert found.lost == sum(steps) - len(steps)
    assert found.samples == len(counts)
    assert found.last_count == published[-1]


def test_what_is_no_count_is_no_loss():
    found = state(0)
    take_in(found, np.array([1.0, 2.0]), "float64")
    take_in(found, np.array([np.nan, np.inf, 3.0]), "float64")
    take_in(found, np.array([4.0, np.nan]), "float64")
    assert (found.lost, found.last_count) == (0, 4)


def test_a_piece_that_goes_on_wrongly_inside_is_looked_at():
    found = state(0)
    take_in(found, np.arange(4), "int64")
    take_in(found, np.array([4, 5, 9, 10]), "int64")
    assert (found.lost, found.last_count) == (3, 10)
