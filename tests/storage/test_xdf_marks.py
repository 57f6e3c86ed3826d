"""Marks that are supposed, searched for run by run, or for many chunks at once, are those a loop over samples finds."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random

import numpy as np
import pytest
from damaged_xdf import header_chunk, samples_chunk, stamped_pattern
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import xdf_marks
from storage.xdf_bytes import FileBytes, mapped_xdf
from storage.xdf_marks import Habits, marks_of, stamping_of, whole_samples
from storage.xdf_reader import read_xdf
from storage.xdf_writer import MAGIC


def looped(raw: bytes, count: int, size: int) -> list[int]:
    """Return the places of whole samples, one after the other."""
    places, place = [], 0
    while (
        len(places) < count and place < len(raw) and raw[place] in (0, 8) and place + 1 + raw[place] + size <= len(raw)
    ):
        places.append(place)
        place += 1 + raw[place] + size
    return [*places, place]


def body_of(random: Random, stamped: list[bool], size: int) -> bytes:
    """Return samples whose stamps and values look like marks wherever they can."""
    values = random.choice([bytes(size), b"\x08" * size, random.randbytes(size)])
    stamp = random.choice([bytes(8), b"\x08" * 8, struct.pack("<d", 12.5)])
    return b"".join((b"\x08" + stamp if given else b"\0") + values for given in stamped)


def with_other_marks(random: Random, body: bytes, count: int, size: int) -> bytes:
    """Change one mark, swap two, or have one of 16 replace two of 8; the last two leave the chunk's length right."""
    raw, places = bytearray(body), looped(body, count, size)[:-1]
    if not places:
        return body
    first, second = random.choice(places), random.choice(places)
    kind = random.random()
    if kind < 0.3 and first < second and raw[first] == raw[second] == 8:
        raw[second : second + 9] = b"\0"
        raw[first : first + 1] = bytes([16]) + bytes(8)
    elif kind < 0.6:
        raw[first] = random.choice([0, 8, 1, 255])
    else:
        raw[first], raw[second] = raw[second], raw[first]
    return bytes(raw)


@pytest.fixture(params=["as it comes", "side by side", "one by one"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all chunks searched in one way, but in the first round."""
    if request.param != "as it comes":
        monkeypatch.setattr(xdf_marks, "_CHUNK_COST", 1e9)
        monkeypatch.setattr(xdf_marks, "_LANES", 0 if request.param == "side by side" else 1e9)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1).map(Random))
def test_marks_are_those_of_a_loop(tmp_path: Path, way: None, random: Random) -> None:
    layouts = [(random.choice([1, 2, 4, 12, 40]), Random(random.random())) for _ in range(random.randrange(1, 4))]
    habits: Habits = {}
    for _ in range(random.randrange(1, 4)):  # blocks
        bodies: list[tuple[bytes, int, int, int]] = []
        for number, (size, own) in enumerate(layouts):
            pattern = stamped_pattern(own)
            for _ in range(random.choice([0, 1, 5, 60])):
                count = random.choice([0, 1, 2, 3, 25, 26, 300])
                body = body_of(own, [next(pattern) for _ in range(count)], size)
                if random.random() < 0.1:
                    body = with_other_marks(random, body, count, size)
                bodies.append((body, count, size, number))
        path = tmp_path / "a.xdf"
        path.write_bytes(MAGIC + b"".join(body for body, *_ in bodies) + bytes(40))
        lengths = np.array([len(body) for body, *_ in bodies], dtype=np.int64)
        counts, sizes, streams = np.array([entry[1:] for entry in bodies], dtype=np.int64).reshape(-1, 3).T
        stops = len(MAGIC) + np.cumsum(lengths)
        starts = stops - lengths
        with mapped_xdf(path) as data:
            file = FileBytes(data)
            stamping = stamping_of((lengths - counts * (1 + sizes)) // 8, counts, file.u8[starts])
            places, marks, wrong = marks_of(file, starts, stops, counts, sizes, stamping, streams, habits)
            del file
        first = 0
        for (body, count, size, _), start, is_wrong in zip(bodies, starts.tolist(), wrong.tolist(), strict=True):
            found = looped(body, count, size)
            assert is_wrong == (len(found) != count + 1 or found[-1] != len(body))
            if not is_wrong:
                assert (places[first : first + count] - start).tolist() == found[:-1]
                assert marks[first : first + count].tolist() == [body[place] for place in found[:-1]]
            first += count
        assert first == len(places)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1).map(Random))
def test_whole_samples_are_those_of_a_loop(random: Random) -> None:
    size, count, pattern = random.choice([0, 1, 3, 50]), random.choice([1, 2, 30, 500]), stamped_pattern(random)
    body = body_of(random, [next(pattern) for _ in range(count)], size)
    if random.random() < 0.5:
        body = with_other_marks(random, body, count, size)
    body = body[: random.choice([len(body), random.randrange(len(body) + 1)])]
    wanted = random.choice([count, count + 1, max(count // 2, 1)])
    places, end = whole_samples(body, wanted, size)
    assert [*places.tolist(), end] == looped(body, wanted, size)


@pytest.mark.parametrize("gaps", [[60], [59, 60, 61], [2, 1], [1, 1, 1, 5]])
def test_patterns_are_supposed_not_searched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gaps: list[int]
) -> None:
    """Whether chunks go on where the last one ended, or begin anew."""
    searched = []
    walk = xdf_marks._walk
    monkeypatch.setattr(xdf_marks, "_walk", lambda *given: (searched.append(given[1]), walk(*given))[1])
    cycle = [sample == 0 for gap in gaps for sample in range(gap)]
    stamped = (cycle * (30_000 // len(cycle) + 1))[:30_000]
    path = tmp_path / "a.xdf"
    row = bytes(96)
    for begins_anew in (False, True):
        bodies = []
        for first in range(0, 30_000, 1_000):
            pattern = stamped[:1_000] if begins_anew else stamped[first : first + 1_000]
            rows = (b"\x08" + struct.pack("<d", 2.0) + row if given else b"\0" + row for given in pattern)
            bodies.append(samples_chunk(1, 1_000, b"".join(rows)))
        path.write_bytes(MAGIC + header_chunk(1, "float32", 24, 100.0) + b"".join(bodies))
        searched.clear()
        assert len(read_xdf(path).streams[0].stamps) == 30_000
        assert len(searched) == 1  # the first chunk, in the first of two blocks
