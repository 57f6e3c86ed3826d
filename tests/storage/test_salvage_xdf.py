"""A torn XDF file becomes a whole one that holds its whole chunks, and nothing else."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import pyxdf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import FileFormatError, TakeError
from lab.streams import MARKERS_NAME, Channel
from lab.take import Event
from storage import salvage_xdf as salvage_module
from storage.salvage_xdf import salvage_xdf, scan_xdf
from storage.xdf_header import build_header
from storage.xdf_reader import read_xdf
from storage.xdf_writer import BOUNDARY_MARK, XdfWriter, variable_length


def header(name: str, sample_format: str, channels: int, source_id: str = "") -> str:
    listed = [Channel(f"c{number}") for number in range(channels)]
    return build_header(name, "Test", listed, 100.0, sample_format, source_id=source_id)  # type: ignore[arg-type]


def write_take(path: Path, *, closed: bool) -> None:
    """Write what our recorder writes: stamped samples, texts, probes, a boundary now and then."""
    writer = XdfWriter(path)
    writer.stream_header(1, header("emg", "float32", 3))
    writer.stream_header(2, header("notes", "string", 2))
    writer.stream_header(3, header(MARKERS_NAME, "string", 1, f"flex-capture/{MARKERS_NAME}"))
    writer.stream_header(4, header("never", "int16", 1))
    for piece in range(6):
        stamps = 50.0 + piece + np.arange(20) / 100
        writer.samples(1, stamps, np.arange(60, dtype="f4").reshape(20, 3) + piece)
        writer.clock_offset(1, 50.0 + piece, -3.0)
        writer.samples(2, [50.0 + piece], [["ä", "x" * 300]])
        writer.samples(3, [47.0 + piece], [[f"note: {piece}"]])
        writer.boundary()
    if closed:
        for stream_id in (1, 2, 3, 4):
            writer.stream_footer(stream_id, "<info><sample_count>1</sample_count></info>")
    writer.close()


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    write_take(path, closed=False)
    return path.read_bytes()


def chunk_ends(data: bytes) -> list[int]:
    """Return where each chunk of a whole file ends, found independently of the reader."""
    ends, place = [], 4
    while place < len(data):
        width = data[place]
        place += 1 + width + int.from_bytes(data[place + 1 : place + 1 + width], "little")
        ends.append(place)
    return ends


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.floats(0, 1))
def test_cut_at_any_byte_it_holds_the_whole_chunks_before(
    torn: bytes, tmp_path_factory: pytest.TempPathFactory, cut: float
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    source, target = folder / "a.xdf.part", folder / "a.xdf"
    size = round(cut * len(torn))
    source.write_bytes(torn[:size])
    if size < 4:
        with pytest.raises(FileFormatError):
            salvage_xdf(source, target)
        return
    scan = salvage_xdf(source, target)
    whole = max([4, *(end for end in chunk_ends(torn) if end <= size)])
    assert target.read_bytes()[:whole] == torn[:whole]
    assert source.read_bytes() == torn[:size]
    assert scan.left_out == size - whole
    ours, before = read_xdf(target), read_xdf(source)
    assert ours.bytes_discarded == 0
    assert ours.notes == ()
    assert scan_xdf(target).closed
    for stream, old, scanned in zip(ours.streams, before.streams, scan.streams, strict=True):
        assert stream.stamps.tobytes() == old.stamps.tobytes()
        assert stream.values.tolist() == old.values.tolist()
        assert scanned.samples == len(stream.stamps)
        if scanned.samples:
            assert (scanned.first_s, scanned.last_s) == (stream.stamps[0], stream.stamps[-1])
    if len(ours.streams) == 4:
        theirs, _ = pyxdf.load_xdf(str(target), synchronize_clocks=False, dejitter_timestamps=False)
        for stream, other in zip(ours.streams, theirs, strict=True):
            assert np.asarray(other["time_stamps"]).tolist() == stream.stamps.tolist()
            assert int(other["footer"]["info"]["sample_count"][0]) == len(stream.stamps)
    assert sorted(path.name for path in folder.iterdir()) == ["a.xdf", "a.xdf.part"]


def test_zeros_that_a_power_cut_leaves_at_the_end_are_left_out(torn: bytes, tmp_path: Path) -> None:
    source, target = tmp_path / "a.xdf.part", tmp_path / "a.xdf"
    source.write_bytes(torn + b"\0" * 9000)
    scan = salvage_xdf(source, target)
    assert scan.left_out == 9000
    assert any("9000 bytes" in note for note in scan.notes)
    assert target.read_bytes()[: len(torn)] == torn


def test_damage_in_the_middle_is_left_out_and_named(torn: bytes, tmp_path: Path) -> None:
    source, target = tmp_path / "a.xdf.part", tmp_path / "a.xdf"
    data = bytearray(torn)
    marks = [place for place in range(len(data)) if data[place : place + 16] == BOUNDARY_MARK]
    data[marks[1] + 16 : marks[1] + 20] = b"\xff" * 4
    source.write_bytes(data)
    scan = salvage_xdf(source, target)
    assert scan.notes
    (stream, *_) = read_xdf(target).streams
    assert len(stream.stamps) == 100  # a sixth lay between the damage and the next boundary
    assert sorted({int(stamp) for stamp in stream.stamps}) == [50, 51, 53, 54, 55]
    assert read_xdf(target).notes == ()


def test_no_stamp_is_made_up_behind_damage(tmp_path: Path) -> None:
    """Samples without a stamp of their own are told from the one before; where that is lost they cannot be kept."""
    source, target = tmp_path / "a.xdf.part", tmp_path / "a.xdf"

    def chunk(tag: int, content: bytes) -> bytes:
        return variable_length(len(content) + 2) + struct.pack("<H", tag) + content

    def samples(*stamps: float | None) -> bytes:
        body = b"".join(
            (b"\0" if stamp is None else b"\x08" + struct.pack("<d", stamp)) + struct.pack("<f", 1.0)
            for stamp in stamps
        )
        return chunk(3, struct.pack("<I", 1) + variable_length(len(stamps)) + body)

    boundary = chunk(5, BOUNDARY_MARK)
    parts = [
        b"XDF:",
        chunk(2, struct.pack("<I", 1) + header("emg", "float32", 1).encode()),
        samples(10.0, None),
        b"\xff garbage",
        boundary,
        samples(None, None),
        samples(None, 20.0),
        samples(30.0, None),
        samples(None),
    ]
    source.write_bytes(b"".join(parts))
    assert np.isnan(read_xdf(source).streams[0].stamps).sum() == 3
    salvage_xdf(source, target)
    assert read_xdf(target).streams[0].stamps.tolist() == pytest.approx([10.0, 10.01, 30.0, 30.01, 30.02])
    assert scan_xdf(target).closed


def test_events_come_back_from_our_own_stream_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    write_take(path, closed=True)
    scan = scan_xdf(path)
    assert scan.events == tuple(Event(session_s=47.0 + n, kind="note", text=str(n)) for n in range(6))
    assert scan.streams[0].last_session_s == pytest.approx(55.19 - 3.0)
    assert scan.closed
    other = tmp_path / "other.xdf"
    writer = XdfWriter(other)
    writer.stream_header(1, header(MARKERS_NAME, "string", 1, "somebody"))
    writer.samples(1, [1.0], [["gap: not ours"]])
    writer.close()
    assert scan_xdf(other).events == ()
    assert not scan_xdf(other).closed


def test_a_closed_file_is_copied_as_it_is(tmp_path: Path) -> None:
    source, target = tmp_path / "a.xdf.part", tmp_path / "a.xdf"
    write_take(source, closed=True)
    salvage_xdf(source, target)
    assert target.read_bytes() == source.read_bytes()


def test_without_room_nothing_is_left(torn: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "a.xdf.part", tmp_path / "a.xdf"
    source.write_bytes(torn)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(salvage_module, "sync_file", full)
    with pytest.raises(TakeError, match="No space left on device"):
        salvage_xdf(source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.xdf.part"]


def test_a_copy_that_differs_is_not_believed(torn: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "a.xdf.part", tmp_path / "a.xdf"
    source.write_bytes(torn)
    monkeypatch.setattr(salvage_module, "_crc32", lambda _path: 0)
    with pytest.raises(TakeError, match="does not hold the same"):
        salvage_xdf(source, target)
    assert [path.name for path in tmp_path.iterdir()] == ["a.xdf.part"]
