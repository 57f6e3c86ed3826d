"""Taking chunks in at once gives what looking at them one by one gives, whatever the bytes; and so do blocks."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import pyxdf
from damaged_xdf import chunk, damaged, header_chunk, random_file, samples_chunk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import FileFormatError
from lab.streams import Channel
from storage import xdf_samples, xdf_stretch, xdf_texts, xdf_walk
from storage.salvage_xdf import ScannedXdf, scan_xdf
from storage.xdf_bytes import FileBytes, mapped_xdf
from storage.xdf_header import build_header
from storage.xdf_reader import XdfFile, XdfStream, read_xdf, stream_xdf
from storage.xdf_writer import BOUNDARY_MARK, MAGIC

BOUNDARY = chunk(5, BOUNDARY_MARK)
STAMPED = b"\x08" + struct.pack("<df", 1.0, 2.5)
OMITTED = b"\x00" + struct.pack("<f", 2.5)


def facts(file: XdfFile) -> Any:
    """Return all of a file in a form that compares bit for bit."""
    return (
        file.bytes_discarded,
        file.notes,
        [
            (
                stream.stream_id,
                stream.header,
                stream.stamps.tobytes(),
                (str(stream.values.dtype), stream.values.shape),
                stream.values.tolist() if stream.format == "string" else stream.values.tobytes(),
                stream.chunk_last.tolist(),
                (stream.clock_times.tobytes(), stream.clock_offsets.tobytes(), stream.clock_after.tolist()),
            )
            for stream in file.streams
        ],
    )


def scan_facts(scan: ScannedXdf) -> Any:
    return (
        scan.spans,
        scan.notes,
        scan.events,
        [
            (s.stream_id, s.samples, struct.pack("<dd", s.first_s, s.last_s), np.array(s.offsets).tobytes(), s.footer)
            for s in scan.streams
        ],
    )


def joined(path: Path, block_bytes: int) -> XdfFile:
    """Read a file block by block, and put the parts together."""
    parts: dict[int, list[XdfStream]] = {}
    discarded, notes = 0, ()
    for block in stream_xdf(path, block_bytes):
        assert block.bytes_discarded >= discarded
        assert block.notes[: len(notes)] == notes
        assert len({part.number for part in block.parts}) == len(block.parts)
        discarded, notes = block.bytes_discarded, block.notes
        for part in block.parts:
            earlier = parts.setdefault(part.number, [])
            assert part.first == sum(len(stream.stamps) for stream in earlier)
            earlier.append(part.added)
    streams = []
    for number in range(len(parts)):
        of_stream = parts[number]
        columns = ("stamps", "values", "chunk_last", "clock_times", "clock_offsets", "clock_after")
        arrays = [np.concatenate([getattr(stream, column) for stream in of_stream]) for column in columns]
        streams.append(XdfStream(of_stream[0].stream_id, of_stream[0].header, *arrays))
    return XdfFile(tuple(streams), discarded, notes)


@pytest.fixture(params=[1 << 20, 100])
def eager(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stretches tried at every chunk, and all that is large be large at once in the second round."""
    monkeypatch.setattr(xdf_walk, "_FEW", 1)
    monkeypatch.setattr(xdf_walk, "_MANY", 1)
    for module, name in [
        (xdf_walk, "_BLOCK"),
        (xdf_samples, "_BLOCK"),
        (xdf_stretch, "LARGEST"),
        (xdf_texts, "_BLOCK"),
        (xdf_texts, "_LARGEST"),
    ]:
        monkeypatch.setattr(module, name, request.param)


def one_by_one(read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what ``read`` gives where no stretch is ever taken."""
    with monkeypatch.context() as patch:
        patch.setattr(xdf_walk, "chunk_starts", lambda *_: np.empty(0, dtype=np.int64))
        return read()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1).map(Random), st.sampled_from([1, 50, 1_000, 1 << 20]))
def test_stretches_and_blocks_give_what_chunks_one_by_one_give(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch, random: Random, block_bytes: int
) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + damaged(random, random_file(random))[len(MAGIC) :])
    wanted = one_by_one(lambda: facts(read_xdf(path)), monkeypatch)
    assert facts(read_xdf(path)) == wanted
    assert facts(joined(path, block_bytes)) == wanted
    assert scan_facts(scan_xdf(path)) == one_by_one(lambda: scan_facts(scan_xdf(path)), monkeypatch)


@pytest.mark.parametrize("chance", [0.02, 0.5, 0.98])
@pytest.mark.parametrize(("chunks", "most"), [(1_500, 5), (60, 400), (2, 40_000)])
def test_stamps_now_and_then_are_told_as_pyxdf_tells_them(
    tmp_path: Path, chance: float, chunks: int, most: int
) -> None:
    """As LabRecorder writes: a stamp only where it is not the previous one plus 1/rate; whatever takes them in."""
    random = np.random.default_rng(chunks)
    path = tmp_path / "a.xdf"
    parts = [MAGIC, header_chunk(5, "int16", 3, 1000.012)]
    for _ in range(chunks):
        count = int(random.integers(1, most + 1))
        stamped, stamps = random.random(count) < chance, random.random(count) * 1e5
        values = random.integers(-(2**15), 2**15, (count, 3)).astype("<i2")
        rows = (
            (b"\x08" + struct.pack("<d", stamp) if given else b"\0") + row.tobytes()
            for given, stamp, row in zip(stamped, stamps, values, strict=True)
        )
        parts.append(samples_chunk(5, count, b"".join(rows)))
    path.write_bytes(b"".join(parts))
    (ours,) = read_xdf(path).streams
    ((theirs,), _) = pyxdf.load_xdf(str(path), synchronize_clocks=False, dejitter_timestamps=False)
    assert ours.stamps.tobytes() == theirs["time_stamps"].tobytes()
    assert ours.values.tobytes() == theirs["time_series"].tobytes()


@pytest.mark.slow
def test_ten_thousand_damaged_files(tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.xdf"
    random = Random(20)
    for _ in range(5_000):  # twice
        path.write_bytes(MAGIC + damaged(random, random_file(random))[len(MAGIC) :])
        assert facts(read_xdf(path)) == one_by_one(lambda: facts(read_xdf(path)), monkeypatch)


@pytest.mark.parametrize("seed", range(3))
def test_every_cut_is_read_as_one_by_one(
    tmp_path: Path, eager: None, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    data = random_file(random)[:1_200]
    path = tmp_path / "a.xdf"
    for size in range(4, len(data)):
        path.write_bytes(data[:size])
        file = read_xdf(path)
        assert facts(file) == one_by_one(lambda: facts(read_xdf(path)), monkeypatch)
        assert bool(file.bytes_discarded) <= bool(file.notes)


def test_stretches_are_taken_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first chunks and the last bytes of a clean file are never looked at alone."""
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + header_chunk(1, "float32", 1, 10.0) + samples_chunk(1, 1, STAMPED) * 5_000)
    alone = []
    step = xdf_walk.XdfWalk._step
    monkeypatch.setattr(xdf_walk.XdfWalk, "_step", lambda walk, place: (alone.append(place), step(walk, place)))
    assert len(read_xdf(path).streams[0].stamps) == 5_000
    assert len(alone) < 100


#: What would take hours, or all memory, if each step looked at all that comes behind it.
CROWDS = {
    "marks in values": header_chunk(1, "int8", 16) + samples_chunk(1, 1, b"\0" + BOUNDARY_MARK) * 30_000,
    "marks in one broken chunk": header_chunk(1, "int8", 16)
    + samples_chunk(1, 30_001, (b"\0" + BOUNDARY_MARK) * 30_000),
    "chunks that lie": header_chunk(1, "float32", 1) + samples_chunk(1, 2, STAMPED) * 30_000,
    "every other chunk lies": header_chunk(1, "float32", 1)
    + (samples_chunk(1, 2, STAMPED) + samples_chunk(1, 1, STAMPED)) * 20_000,
    "garbage before each boundary": header_chunk(1, "float32", 1)
    + (b"\xff" * 20 + BOUNDARY + samples_chunk(1, 2, OMITTED * 2)) * 20_000,
    "headers": b"".join(header_chunk(number, "float32", 1) + BOUNDARY for number in range(6_000)),
    "headers and damage": b"".join(
        chunk(2, struct.pack("<I", n) + b"<a/>") + b"\xff" + BOUNDARY for n in range(20_000)
    ),
    "unknown chunks": header_chunk(1, "float32", 1) + (chunk(77, b"?") + samples_chunk(1, 0, b"")) * 20_000,
    "numbers beyond all bounds": header_chunk(1, "float32", 1)
    + chunk(3, struct.pack("<IBQ", 1, 8, 2**63) + STAMPED) * 20_000,
    "stamps now and then": header_chunk(1, "float32", 1, 10.0)
    + samples_chunk(1, 150_000, (STAMPED + OMITTED + OMITTED) * 50_000),
    "stamps that only seem to be where they were": header_chunk(1, "float32", 1, 10.0)
    + (
        samples_chunk(1, 12, (STAMPED + OMITTED * 2) * 4)
        + samples_chunk(1, 12, STAMPED + OMITTED * 3 + STAMPED + OMITTED + (STAMPED + OMITTED * 2) * 2)
    )
    * 5_000,
    "patterns that never come again": header_chunk(1, "int8", 1, 10.0)
    + b"".join(
        samples_chunk(
            1,
            700,
            Random(n)
            .randbytes(700)
            .translate(bytes(128) + b"\x08" * 128)
            .replace(b"\0", b"\0\1")
            .replace(b"\x08", b"\x08" + bytes(8) + b"\1"),
        )
        for n in range(300)
    ),
    "marks that lie in patterns": header_chunk(1, "int16", 1, 10.0)
    + (
        samples_chunk(1, 60, (b"\x08" + bytes(10) + bytes(9)) * 15)
        + samples_chunk(1, 60, (b"\x08" + bytes(10) + b"\0\0\0\x08\0\0" + bytes(3)) * 15)
    )
    * 4_000,
    "one pattern, larger than a block": header_chunk(1, "float32", 4, 10.0)
    + samples_chunk(1, 150_000, (b"\x08" + bytes(24) + bytes(17) * 59) * 2_500),
    "one run without a stamp": header_chunk(1, "int8", 1, 10.0) + samples_chunk(1, 1_000_000, bytes(2_000_000)),
    "lengths of nothing": header_chunk(1, "float32", 1) + b"\x01\x00" * 1_000_000,
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_crowds_of_anything_are_read_in_bounded_time(tmp_path: Path, crowd: str) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + CROWDS[crowd])
    file = read_xdf(path)
    assert bool(file.bytes_discarded) <= bool(file.notes)
    assert len(file.streams) <= 4_096
    assert facts(joined(path, 100_000)) == facts(file)


def test_many_wide_headers_claim_no_memory(tmp_path: Path) -> None:
    xml = build_header("wide", "Test", [Channel("c")], 0.0, "double64").replace("count>1<", "count>65536<").encode()
    path = tmp_path / "a.xdf"
    content = b"".join(chunk(2, struct.pack("<I", number) + xml) for number in range(40))
    path.write_bytes(MAGIC + content)
    file = read_xdf(path)
    assert len(file.streams) == 16
    assert any("there are more channels before it" in note for note in file.notes)
    assert file.bytes_discarded > 24 * len(xml)


def test_a_file_far_larger_than_a_block_needs_a_block_of_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = tmp_path / "a.xdf"
    rows = np.zeros(60, np.dtype([("mark", "u1"), ("stamp", "<f8"), ("values", "<f4", (16,))]))
    rows["mark"], rows["stamp"] = 8, np.arange(60) / 2_000
    piece = samples_chunk(1, 60, rows.tobytes())
    large = samples_chunk(1, 60_000, rows.tobytes() * 1_000)  # of 4.4 MB, many blocks
    path.write_bytes(MAGIC + header_chunk(1, "float32", 16) + (piece * 200 + BOUNDARY) * 40 + large * 4)
    samples = 0
    tracemalloc.start()
    try:
        for block in stream_xdf(path, 1 << 18):
            samples += sum(len(part.added.stamps) for part in block.parts)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert samples == 60 * 200 * 40 + 4 * 60_000
    assert path.stat().st_size > 50e6
    assert peak < 8e6


def test_a_stream_that_is_not_read_to_its_end_leaves_nothing_open(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + header_chunk(1, "float32", 1) + samples_chunk(1, 1, STAMPED) * 1_000)
    blocks = stream_xdf(path, 1_000)
    first = next(blocks)
    assert first.parts[0].added.name == "s"
    blocks.close()
    path.unlink()


def test_streaming_refuses_other_files_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r".+\.$"):
        next(stream_xdf(tmp_path / "none.xdf"))


def test_arrays_may_outlive_the_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + bytes(100))
    with mapped_xdf(path) as data:
        file = FileBytes(data)
    assert file.u8.sum() == sum(MAGIC)
