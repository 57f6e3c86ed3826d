from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import FileFormatError, TakeError
from storage.frame_records import RECORD, FrameRecordWriter, read_frame_records

INT64 = st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(
    st.tuples(INT64, st.floats(), st.floats(), INT64, st.binary(max_size=20), st.booleans(), st.booleans()), max_size=6
)


def write(path: Path, rows: list[Any]) -> None:
    writer = FrameRecordWriter(path)
    for frame_id, device_s, arrival_s, pts_us, data, kept, keyframe in rows:
        writer.append(frame_id, device_s, arrival_s, pts_us, data, kept=kept, keyframe=keyframe)
    assert writer.count == len(rows)
    writer.sync()
    writer.close()
    writer.close()


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_records_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    path = tmp_path_factory.mktemp("frames") / "view1.frames"
    write(path, rows)
    assert path.stat().st_size == 64 + 64 * len(rows)
    records = read_frame_records(path)
    assert (records.bytes_discarded, records.damaged) == (0, 0)
    assert records.rows["frame_id"].tolist() == [row[0] for row in rows]
    assert records.rows["device_time_s"].tobytes() == np.array([row[1] for row in rows], dtype="<f8").tobytes()
    assert records.rows["arrival_s"].tobytes() == np.array([row[2] for row in rows], dtype="<f8").tobytes()
    assert records.rows["pts_us"].tolist() == [row[3] for row in rows]
    assert records.rows["size"].tolist() == [len(row[4]) for row in rows]
    assert records.rows["crc32"].tolist() == [zlib.crc32(row[4]) for row in rows]
    assert records.kept.tolist() == [row[5] for row in rows]
    assert records.keyframe.tolist() == [row[6] for row in rows]


def three(path: Path) -> bytes:
    write(path, [(number, math.nan, 1.5 * number, number * 1000, b"jpeg", True, True) for number in range(3)])
    return path.read_bytes()


def test_every_cut_gives_the_whole_records(tmp_path: Path) -> None:
    data = three(tmp_path / "a.frames")
    cut = tmp_path / "b.frames"
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        if size < 64:
            with pytest.raises(FileFormatError, match=r"not a file of frame records.*\.$"):
                read_frame_records(cut)
            continue
        records = read_frame_records(cut)
        assert records.rows["frame_id"].tolist() == list(range((size - 64) // 64))
        assert (records.bytes_discarded, records.damaged) == ((size - 64) % 64, 0)


def test_every_flipped_bit_costs_its_record_alone(tmp_path: Path) -> None:
    data = three(tmp_path / "a.frames")
    flipped = tmp_path / "b.frames"
    for place in range(64, len(data)):
        other = bytearray(data)
        other[place] ^= 1 << (place % 8)
        flipped.write_bytes(other)
        records = read_frame_records(flipped)
        hit = (place - 64) // 64
        assert records.rows["frame_id"].tolist() == [number for number in range(3) if number != hit]
        assert (records.bytes_discarded, records.damaged) == (64, 1)
    for place in range(64):
        other = bytearray(data)
        other[place] ^= 1
        flipped.write_bytes(other)
        with pytest.raises(FileFormatError, match=str(flipped)):
            read_frame_records(flipped)


def test_files_are_made_exclusively_and_a_missing_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.frames"
    three(path)
    with pytest.raises(TakeError, match="exists already"):
        FrameRecordWriter(path)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_frame_records(tmp_path / "none.frames")
    assert RECORD.itemsize == 64
