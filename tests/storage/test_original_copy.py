"""The very bytes of a file of others, whole or not at all; and what its header says of the day."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import FileFormatError, RequestError, TakeError
from lab.take import ImportRecord
from storage.import_folder import begin_import, drop_import, finish_import, left_imports
from storage.original_copy import copy_original, original_of
from storage.take_folder import list_takes
from storage.xdf_file_header import header_datetime


def hear(_count: int) -> None:
    """Hear of bytes and say nothing."""


def test_a_copy_is_the_same_and_is_counted(tmp_path: Path) -> None:
    source, target = tmp_path / "a.xdf", tmp_path / "b.xdf"
    source.write_bytes(bytes(range(256)) * 9000)
    counts: list[int] = []
    original = original_of(source, counts.append)
    assert (original.name, original.size) == ("a.xdf", 256 * 9000)
    assert original.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    copy_original(source, target, original, counts.append)
    assert target.read_bytes() == source.read_bytes()
    assert sum(counts) == 3 * original.size  # read, written, read back
    with pytest.raises(TakeError, match="cannot be written"):
        copy_original(source, target, original, hear)
    with pytest.raises(FileFormatError, match="cannot be read"):
        original_of(tmp_path / "none.xdf", hear)
    source.write_bytes(b"other")
    with pytest.raises(RequestError, match="changed while it was imported"):
        copy_original(source, tmp_path / "c.xdf", original, hear)


def test_what_does_not_come_back_from_the_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.xdf"
    source.write_bytes(b"XDF:")
    original = original_of(source, hear)
    monkeypatch.setattr("storage.original_copy.disk_digest", lambda *_: "0" * 64)
    with pytest.raises(TakeError, match="did not come back"):
        copy_original(source, tmp_path / "b.xdf", original, hear)


def test_a_take_has_its_name_when_it_is_whole_and_not_before(tmp_path: Path) -> None:
    first = begin_import(tmp_path, "S12", "visit", "A16")
    assert list_takes(tmp_path) == []
    assert left_imports(tmp_path / "S12") == [first]
    assert finish_import(first).name == "A16-01"
    second = begin_import(tmp_path, "S12", "visit", "A16")
    assert second.name == "A16-02.importing"
    (second.parent / "A16-02").mkdir()
    with pytest.raises(TakeError, match="appeared while it was imported"):
        finish_import(second)
    drop_import(second)
    assert left_imports(tmp_path / "S12") == []
    alone = begin_import(tmp_path, "S13", "visit", "A16")
    drop_import(alone)
    assert not (tmp_path / "S13").exists()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RequestError, match="no take can be made"):
        begin_import(tmp_path / "file", "S12", "visit", "A16")


@given(st.binary(max_size=400))
def test_any_bytes_have_a_day_or_none(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("header") / "a.xdf"
    for start in (b"", b"XDF:"):
        path.write_bytes(start + data)
        assert header_datetime(path) == ""
    assert header_datetime(path.with_name("none.xdf")) == ""


@given(data=st.text("0123456789T:+-. Z", min_size=1, max_size=38))
def test_the_day_is_what_the_header_says(tmp_path_factory: pytest.TempPathFactory, data: str) -> None:
    day = ("2026-11-22" + data).strip()
    xml = f"<?xml version='1.0'?><info><version>1.0</version><datetime> {day} </datetime></info>".encode()
    path = tmp_path_factory.mktemp("header") / "a.xdf"
    chunk = b"\1" + bytes([len(xml) + 2]) + b"\1\0" + xml
    path.write_bytes(b"XDF:" + chunk + b"more")
    assert header_datetime(path) in {day, ""}
    if len(day) <= 40:
        assert header_datetime(path) == day


@given(
    st.tuples(*[st.none() | st.floats(0, 10)] * 4).filter(
        lambda b: (b[0] or 0) < (20 if b[1] is None else b[1]) and (b[2] or 0) < (20 if b[3] is None else b[3])
    )
)
def test_two_parts_of_a_file_share_some_time_or_none(borders: tuple[float | None, ...]) -> None:
    file = {"name": "a", "sha256": "b", "size": 1}
    one, other = (
        ImportRecord.model_validate({"file": file, "imported_utc": "", "from_s": low, "to_s": high})
        for low, high in (borders[:2], borders[2:])
    )
    low = max(borders[0] or 0, borders[2] or 0)
    high = min(20 if borders[1] is None else borders[1], 20 if borders[3] is None else borders[3])
    assert one.overlaps(other.from_s, other.to_s) == other.overlaps(one.from_s, one.to_s) == (low < high)
