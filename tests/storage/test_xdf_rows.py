"""Omitted stamps are told for many runs at once, to the bit as a loop tells them."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from damaged_xdf import stamped_pattern
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import xdf_rows
from storage.xdf_rows import fill_stamps


def looped(stamps: list[float], stamped: list[bool], broken: list[int], last: float, interval_s: float) -> list[float]:
    told = []
    for sample, (stamp, is_given) in enumerate(zip(stamps, stamped, strict=True)):
        last = stamp if is_given else math.nan if sample in broken else last + interval_s
        told.append(last)
    return told


@pytest.mark.parametrize("few_lengths", [16, -1])
@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 2**32 - 1).map(Random),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, 1 / 1000.012, 1 / 3, 1e300]),
)
def test_omitted_stamps_are_those_of_a_loop(few_lengths: int, random: Random, last: float, interval_s: float) -> None:
    count, pattern = random.choice([1, 2, 50, 3_000]), stamped_pattern(random)
    if random.random() < 0.2:
        stamped = [False] * count
    else:
        gap = random.choice([0, 1, 2, 70, 500])
        stamped = [given and (not gap or sample % 900 < gap) for sample, given in zip(range(count), pattern)]  # noqa: B905
    stamps = [random.uniform(-1e5, 1e5) for _ in range(count)]
    broken = sorted(random.sample(range(count), random.choice([0, 0, min(count, 3)])))
    found = np.array(stamps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xdf_rows, "_FEW_LENGTHS", few_lengths)
        fill_stamps(found, np.flatnonzero(stamped), np.array(broken, dtype=np.int64), last, interval_s)
    wanted = np.array(looped(stamps, stamped, broken, last, interval_s))
    assert np.isnan(found).tolist() == np.isnan(wanted).tolist()
    assert found[~np.isnan(found)].tobytes() == wanted[~np.isnan(wanted)].tobytes()
