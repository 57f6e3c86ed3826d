"""What the writer writes, our reader and pyxdf read back, bit for bit."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pyxdf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lab.errors import FileFormatError, TakeError
from lab.streams import Channel
from storage.append_file import AppendFile
from storage.xdf_header import NUMPY_TYPES, build_header, footer_xml
from storage.xdf_reader import XdfFile, XdfStream, read_xdf
from storage.xdf_writer import BOUNDARY_MARK, MAGIC, XdfWriter, variable_length

SENTENCE = r".+\.$"


def header(sample_format: str, channels: int, rate_hz: float = 0.0, name: str = "s") -> str:
    listed = [Channel(f"c{number}") for number in range(channels)]
    return build_header(name, "Test", listed, rate_hz, sample_format)  # type: ignore[arg-type]


def chunk(tag: int, content: bytes) -> bytes:
    return variable_length(len(content) + 2) + struct.pack("<H", tag) + content


def samples_chunk(stream_id: int, count: int, body: bytes) -> bytes:
    return chunk(3, struct.pack("<I", stream_id) + variable_length(count) + body)


def header_chunk(stream_id: int, xml: str) -> bytes:
    return chunk(2, struct.pack("<I", stream_id) + xml.encode())


def same_bits(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def assert_as_pyxdf(file: XdfFile, path: Path) -> None:
    with np.errstate(all="ignore"):  # pyxdf divides by durations that may be 0 or not finite here
        theirs, _ = pyxdf.load_xdf(str(path), synchronize_clocks=False, dejitter_timestamps=False)
    assert len(theirs) == len(file.streams)
    for stream, other in zip(file.streams, theirs, strict=True):
        assert stream.stream_id == other["info"]["stream_id"]
        assert same_bits(stream.stamps, np.asarray(other["time_stamps"], dtype=np.float64))
        assert stream.clock_times.tolist() == other["clock_times"]
        assert stream.clock_offsets.tolist() == other["clock_values"]
        if stream.format == "string":
            assert stream.values.tolist() == other["time_series"]
        elif len(stream.values):
            assert same_bits(stream.values, other["time_series"])
        else:
            assert len(other["time_series"]) == 0


NUMERIC = st.sampled_from(sorted(NUMPY_TYPES))


@st.composite
def numeric_pieces(draw: st.DrawFn) -> tuple[str, int, list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]]:
    sample_format, channels = draw(NUMERIC), draw(st.integers(1, 5))
    dtype = np.dtype(NUMPY_TYPES[sample_format])
    pieces = []
    for count in draw(st.lists(st.integers(0, 300) | st.integers(0, 3), max_size=4)):
        values = draw(hnp.arrays(dtype, (count, channels)))
        pieces.append((draw(hnp.arrays(np.float64, (count,))), values))
    return sample_format, channels, pieces


@settings(max_examples=60, deadline=None)
@given(numeric_pieces())
def test_numbers_come_back_bit_for_bit(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    sample_format, channels, pieces = content
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    writer = XdfWriter(path)
    writer.stream_header(7, header(sample_format, channels, 100.0))
    for stamps, values in pieces:
        writer.samples(7, stamps, values)
    writer.close()
    file = read_xdf(path)
    assert file.bytes_discarded == 0
    assert file.notes == ()
    (stream,) = file.streams
    dtype = np.dtype(NUMPY_TYPES[sample_format])
    assert same_bits(stream.values, np.concatenate([np.empty((0, channels), dtype), *(v for _, v in pieces)]))
    assert same_bits(stream.stamps, np.concatenate([np.empty(0), *(s for s, _ in pieces)]))
    counts = [len(values) for _, values in pieces if len(values)]
    assert stream.chunk_last.tolist() == (np.cumsum(counts) - 1).tolist()
    assert_as_pyxdf(file, path)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(st.text(max_size=400), st.text(max_size=5)), max_size=5), max_size=4))
def test_texts_come_back(tmp_path_factory: pytest.TempPathFactory, pieces: list[list[tuple[str, str]]]) -> None:
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    writer = XdfWriter(path)
    writer.stream_header(1, header("string", 2))
    for number, rows in enumerate(pieces):
        texts: list[list[str | bytes]] = [[left, right.encode("utf-8", "replace")] for left, right in rows]
        writer.samples(1, np.arange(len(rows)) + 10.0 * number, texts)
    writer.close()
    file = read_xdf(path)
    expected = [[text.encode("utf-8", "replace").decode() for text in row] for rows in pieces for row in rows]
    (stream,) = file.streams
    assert stream.values.tolist() == expected
    assert stream.values.shape == (len(expected), 2)
    assert stream.values.dtype == object
    assert (file.bytes_discarded, file.notes) == (0, ())
    assert_as_pyxdf(file, path)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["int8", "float32", "double64", "string"]),
    st.sampled_from([0.0, 3.0, 100.0, 1000.012]),
    st.lists(st.lists(st.none() | st.floats(-1e9, 1e9), min_size=1, max_size=12), max_size=5),
)
def test_omitted_stamps_are_rebuilt_as_pyxdf_does(
    tmp_path_factory: pytest.TempPathFactory, sample_format: str, rate_hz: float, chunks: list[list[float | None]]
) -> None:
    value = {"int8": b"\x07", "float32": struct.pack("<f", 1.5), "double64": struct.pack("<d", 2.5)}.get(
        sample_format, b"\x01\x02hi"
    )
    data = MAGIC + header_chunk(3, header(sample_format, 1, rate_hz))
    for stamps in chunks:
        body = b"".join((b"\x00" if t is None else b"\x08" + struct.pack("<d", t)) + value for t in stamps)
        data += samples_chunk(3, len(stamps), body)
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    path.write_bytes(data)
    file = read_xdf(path)
    assert len(file.streams[0].stamps) == sum(map(len, chunks))
    assert file.notes == ()
    assert_as_pyxdf(file, path)


def small_file(path: Path) -> None:
    """Write a file with all kinds of chunks, a few hundred bytes apart."""
    writer = XdfWriter(path)
    writer.stream_header(1, header("float32", 2, 100.0, "numbers"))
    writer.stream_header(2, header("string", 1, 0.0, "texts"))
    for number in range(4):
        writer.samples(1, np.arange(3) * 0.01 + number, np.full((3, 2), 1.25 + number, dtype=np.float32))
        writer.clock_offset(1, 5.0 * number, -0.25)
        writer.samples(2, [float(number)], [[f"text {number}"]])
        writer.boundary()
    writer.stream_footer(1, footer_xml(0.0, 3.02, 12, [(0.0, -0.25)]))
    writer.close()


def test_probes_know_the_samples_before_them(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    small_file(path)
    numbers, texts = read_xdf(path).streams
    assert numbers.clock_after.tolist() == [3, 6, 9, 12]
    assert (texts.clock_after.dtype, texts.clock_after.shape) == (np.dtype(np.int64), (0,))
    data = bytearray(path.read_bytes())
    second = data.index(BOUNDARY_MARK) + len(BOUNDARY_MARK)
    data[second + 1] = 0  # the length of the second piece's first chunk: all up to the boundary is dropped
    path.write_bytes(data)
    (numbers, _) = read_xdf(path).streams
    assert numbers.clock_times.tolist() == [0.0, 10.0, 15.0]
    assert numbers.clock_after.tolist() == [3, 6, 9]


def assert_is_part_of(part: XdfStream, whole: XdfStream) -> None:
    count = len(part.stamps)
    assert part.stamps.tolist() == whole.stamps[:count].tolist()
    assert part.values.tolist() == whole.values[:count].tolist()


def test_every_cut_gives_the_whole_chunks_before_it(tmp_path: Path) -> None:
    path = tmp_path / "whole.xdf"
    small_file(path)
    data, whole = path.read_bytes(), read_xdf(path)
    assert_as_pyxdf(whole, path)
    assert [len(stream.stamps) for stream in whole.streams] == [12, 4]
    cut = tmp_path / "cut.xdf"
    samples_seen = set()
    for size in range(len(data)):
        cut.write_bytes(data[:size])
        if size < 4:
            with pytest.raises(FileFormatError, match=SENTENCE):
                read_xdf(cut)
            continue
        file = read_xdf(cut)
        for stream in file.streams:
            assert_is_part_of(stream, whole.streams[stream.stream_id - 1])
        # What is not discarded is whole: cutting there leaves nothing to discard.
        kept = size - file.bytes_discarded
        cut.write_bytes(data[:kept])
        again = read_xdf(cut)
        assert again.bytes_discarded == 0
        assert [len(s.stamps) for s in again.streams] == [len(s.stamps) for s in file.streams]
        assert bool(file.notes) == bool(file.bytes_discarded)
        samples_seen.add(sum(len(stream.stamps) for stream in file.streams))
    assert samples_seen == {0, 3, 4, 7, 8, 11, 12, 15, 16}


def test_flipped_bytes_never_raise_nor_make_up_samples(tmp_path: Path) -> None:
    path = tmp_path / "whole.xdf"
    small_file(path)
    data, whole = bytearray(path.read_bytes()), read_xdf(path)
    random = np.random.default_rng(5)
    numbers = {tuple(row) for row in whole.streams[0].values.tolist()}
    for _ in range(400):
        flipped = bytearray(data)
        place = int(random.integers(4, len(data)))
        flipped[place] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(flipped)
        file = read_xdf(path)
        assert 0 <= file.bytes_discarded <= len(data)
        for stream in file.streams:
            assert len(stream.stamps) == len(stream.values) <= 12
            if stream.name == "numbers" and stream.format == "float32" and stream.values.shape[1] == 2:
                # One byte touches one value at most; everything else is as it was written.
                assert sum(tuple(row) not in numbers for row in stream.values.tolist()) <= 1


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_without_an_exception(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, announced: bool
) -> None:
    path = tmp_path_factory.mktemp("xdf") / "a.xdf"
    start = header_chunk(0, header("int16", 1, 10.0)) if announced else b""
    path.write_bytes(MAGIC + start + junk)
    file = read_xdf(path)
    assert 0 <= file.bytes_discarded <= len(junk)


def test_reading_resumes_after_the_boundary_behind_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    writer = XdfWriter(path)
    writer.stream_header(1, header("int16", 1, 10.0))
    writer.samples(1, [1.0], np.array([[1]], dtype=np.int16))
    damaged_at = writer.bytes_written
    writer.samples(1, [2.0], np.array([[2]], dtype=np.int16))
    writer.boundary()
    resumed_at = writer.bytes_written
    writer.samples(1, [3.0], np.array([[3]], dtype=np.int16))
    writer.close()
    for byte in (0, 9, 200):  # no width; a length far too small, too large
        data = bytearray(path.read_bytes())
        data[damaged_at + (byte != 0)] = byte
        other = tmp_path / f"{byte}.xdf"
        other.write_bytes(data)
        file = read_xdf(other)
        assert file.streams[0].values.tolist() == [[1], [3]]
        assert file.streams[0].stamps.tolist() == [1.0, 3.0]
        assert file.bytes_discarded == resumed_at - damaged_at
        assert file.notes


def test_a_chunk_whose_length_lies_is_dropped_with_a_note(tmp_path: Path) -> None:
    one = b"\x08" + struct.pack("<dh", 1.0, 11)
    path = tmp_path / "a.xdf"
    path.write_bytes(
        MAGIC
        + header_chunk(1, header("int16", 1, 10.0))
        + samples_chunk(1, 1, one)
        + samples_chunk(1, 2, one)
        + samples_chunk(1, 2**60, one)
        + samples_chunk(1, 1, b"\x07" + one[1:])
        + samples_chunk(1, 1, b"\x00" + one[-2:])
        + samples_chunk(1, 1, one)
        + samples_chunk(9, 1, one)
        + chunk(4, struct.pack("<Id", 1, 2.0))
        + chunk(77, b"a kind from the future")
    )
    file = read_xdf(path)
    stream = file.streams[0]
    assert stream.values.tolist() == [[11], [11], [11]]
    assert stream.stamps[[0, 2]].tolist() == [1.0, 1.0]
    assert np.isnan(stream.stamps[1])  # the stamp before it was in a dropped chunk
    assert len(file.notes) == 6
    assert file.bytes_discarded == 3 * (len(samples_chunk(1, 1, one))) + len(samples_chunk(1, 2**60, one)) + 16
    assert len(stream.clock_times) == 0


def test_headers_claim_no_memory(tmp_path: Path) -> None:
    xml = header("double64", 1).replace("<channel_count>1<", "<channel_count>65000<")
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + header_chunk(1, xml) + samples_chunk(1, 2**31, b"\x08" * 100))
    file = read_xdf(path)
    assert file.streams[0].values.shape == (0, 65_000)
    assert file.bytes_discarded > 100


def test_notes_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(MAGIC + samples_chunk(1, 1, b"\x00") * 500)
    assert len(read_xdf(path).notes) == 51


def test_a_second_header_of_the_same_stream_loses_nothing(tmp_path: Path) -> None:
    one = b"\x08" + struct.pack("<dh", 1.0, 11)
    path = tmp_path / "a.xdf"
    path.write_bytes(
        MAGIC
        + header_chunk(1, header("int16", 1))
        + samples_chunk(1, 1, one)
        + header_chunk(1, header("int16", 1, name="renamed"))
        + samples_chunk(1, 1, one)
        + header_chunk(1, header("int8", 1))
        + samples_chunk(1, 1, b"\x08" + struct.pack("<db", 1.0, 5))
    )
    file = read_xdf(path)
    assert [stream.values.tolist() for stream in file.streams] == [[[11], [11]], [[5]]]
    assert len(file.notes) == 2


@pytest.mark.parametrize("content", [b"", b"XDF", b"RIFF....", b"\x1f\x8b\x08\x00\x00"])
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=SENTENCE) as caught:
        read_xdf(path)
    assert str(path) in str(caught.value)


def test_missing_files_and_folders_are_refused_in_a_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.xdf", tmp_path):
        with pytest.raises(FileFormatError, match=SENTENCE):
            read_xdf(path)


#: Files whose chunks contradict themselves; there is no right reading to agree on.
BROKEN = {"chunk_length_lie.xdf", "out_of_order_clock_offsets.xdf", "out_of_order_sample_chunk.xdf", "str_test.xdf"}


def test_real_recordings_are_read_as_pyxdf_reads_them(data_folder: Path) -> None:
    logging.getLogger("pyxdf").setLevel(logging.CRITICAL)
    seen = 0
    for path in sorted((data_folder / "xdf").glob("*.xdf")):
        file = read_xdf(path)
        if path.name in BROKEN:
            assert file.notes
            assert file.bytes_discarded
        else:
            assert (file.bytes_discarded, file.notes) == (0, ())
            assert_as_pyxdf(file, path)
            seen += sum(len(stream.stamps) for stream in file.streams)
    assert seen > 30_000


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.xdf"
    path.write_bytes(b"precious")
    with pytest.raises(TakeError, match=SENTENCE):
        XdfWriter(path)
    assert path.read_bytes() == b"precious"
    with pytest.raises(TakeError, match=SENTENCE):
        XdfWriter(tmp_path / "none" / "a.xdf")


def test_the_writer_refuses_what_it_would_change(tmp_path: Path) -> None:
    writer = XdfWriter(tmp_path / "a.xdf")
    writer.stream_header(1, header("float32", 2))
    writer.stream_header(2, header("string", 2))
    size = writer.bytes_written
    good = np.zeros((1, 2), dtype=np.float32)
    with pytest.raises(ValueError, match="header already"):
        writer.stream_header(1, header("float32", 2))
    with pytest.raises(ValueError, match="no usable"):
        writer.stream_header(3, "<info/>")
    with pytest.raises(ValueError, match="no header"):
        writer.samples(5, [1.0], good)
    with pytest.raises(ValueError, match="do not fit"):
        writer.samples(1, [1.0, 2.0], good)
    with pytest.raises(ValueError, match="should be"):
        writer.samples(1, [1.0], np.zeros((1, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="changed"):
        writer.samples(1, [1.0], np.zeros((1, 2)))
    with pytest.raises(ValueError, match="list of 2 texts"):
        writer.samples(2, [1.0], [["one"]])
    with pytest.raises(ValueError, match="list of 2 texts"):
        writer.samples(2, [1.0], ["ab"])
    with pytest.raises(ValueError, match="no header"):
        writer.clock_offset(9, 0.0, 0.0)
    with pytest.raises(ValueError, match="no header"):
        writer.stream_footer(9, "<info/>")
    assert writer.bytes_written == size
    writer.close()
    writer.close()
    writer.sync()
    assert (tmp_path / "a.xdf").stat().st_size == size
    assert (tmp_path / "a.xdf").read_bytes().count(BOUNDARY_MARK) == 0


class FullDisk:
    """Stands in for the open file: accepts ``room`` more bytes, ``step`` at most in one call, then fails."""

    def __init__(self, file: Any, room: int, step: int = 7) -> None:
        self.file, self.room, self.step = file, room, step

    def write(self, data: Any) -> int:
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        part = bytes(data)[: min(self.room, self.step)]
        self.room -= len(part)
        return int(self.file.write(part))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1, 13, 40])
def test_a_full_disk_leaves_whole_chunks_and_writing_may_go_on(tmp_path: Path, room: int) -> None:
    path = tmp_path / "a.xdf"
    writer = XdfWriter(path)
    writer.stream_header(1, header("double64", 4))
    writer.samples(1, [1.0], np.ones((1, 4)))
    size = writer.bytes_written
    disk = FullDisk(writer._file._file, room)
    writer._file._file = disk  # type: ignore[assignment]
    with pytest.raises(TakeError, match="No space left") as caught:
        writer.samples(1, [2.0], np.ones((1, 4)))
    assert str(path) in str(caught.value)
    assert path.stat().st_size == writer.bytes_written == size
    disk.room = 10_000
    writer.samples(1, [3.0], np.ones((1, 4)))
    writer.close()
    file = read_xdf(path)
    assert file.streams[0].stamps.tolist() == [1.0, 3.0]
    assert file.bytes_discarded == 0


def test_short_writes_are_continued(tmp_path: Path) -> None:
    file = AppendFile(tmp_path / "a")
    file._file = FullDisk(file._file, 1000, step=3)  # type: ignore[assignment]
    file.append(b"0123456789")
    file.append(b"abc")
    assert file.size == 13
    file.close()
    assert (tmp_path / "a").read_bytes() == b"0123456789abc"


def test_an_end_that_cannot_be_cut_back_stops_the_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = AppendFile(tmp_path / "a")
    disk = FullDisk(file._file, 3)
    disk.truncate = lambda size: (_ for _ in ()).throw(OSError(5, "I/O error"))  # type: ignore[attr-defined]
    file._file = disk  # type: ignore[assignment]
    with pytest.raises(TakeError, match="No space left"):
        file.append(b"12345")
    disk.room = 100
    with pytest.raises(TakeError, match="nothing more is written"):
        file.append(b"67890")
    file.close()
