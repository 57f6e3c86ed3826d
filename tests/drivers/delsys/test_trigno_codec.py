"""Rows and replies of the Trigno SDK server against bytes written by hand, cut anywhere, and against garbage."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.delsys.trigno_codec import ReplyReader, RowReader, number, plain, whole_number, yes_or_no

#: Sixteen IEEE floats, little-endian, as the guide's 6.1.1 lays a row of the EMG port out: 0.0001, -0.0055 and
#: 0.011 V, nothing on ten places, then 1, 0.5 and -2.
ROW = bytes.fromhex(
    "17b7d1385839b4bb5839343c" + "00000000" * 10 + "0000803f0000003f000000c0"
)  # fmt: skip
GREETING = "Delsys Trigno System Digital Protocol Version 3.6.0"
VALUES = [0.0001, -0.0055, 0.011, *[0.0] * 10, 1.0, 0.5, -2.0]


def test_a_row_by_hand() -> None:
    assert len(ROW) == 64
    rows = RowReader(16).feed(ROW)
    assert rows.shape == (1, 16)
    assert rows.dtype == np.float32
    assert rows[0] == pytest.approx(VALUES, rel=1e-7)


def test_a_row_by_hand_in_the_other_byte_order() -> None:
    swapped = b"".join(ROW[at : at + 4][::-1] for at in range(0, 64, 4))
    assert RowReader(16, "big").feed(swapped)[0] == pytest.approx(VALUES, rel=1e-7)


def test_an_aux_row_has_144_floats_and_nine_a_sensor() -> None:
    data = bytearray(576)
    data[72 * 4 : 73 * 4] = bytes.fromhex("0000803f")  # the guide's 6.1.3: sensor at place 8 begins at 8 * 9
    rows = RowReader(144).feed(bytes(data))
    assert rows.shape == (1, 144)
    assert np.flatnonzero(rows[0]).tolist() == [72]


@pytest.mark.parametrize("cut", range(1, 128))
def test_two_rows_cut_at_every_byte(cut: int) -> None:
    reader, data = RowReader(16), ROW + ROW
    first = reader.feed(data[:cut])
    assert len(first) == cut // 64
    assert reader.waiting == cut % 64
    rows = np.concatenate((first, reader.feed(data[cut:])))
    assert rows.tobytes() == data
    assert reader.waiting == 0


def _numbered(rows: int, columns: int) -> bytes:
    """Rows whose every value tells its row and column."""
    return (np.arange(rows * columns, dtype=np.float64) % 2**24).astype("<f4").tobytes()


@given(
    columns=st.sampled_from([16, 48, 144]),
    rows=st.integers(0, 40),
    cuts=st.lists(st.integers(0, 576 * 40), max_size=60),
)
def test_any_cuts_give_the_same_rows(columns: int, rows: int, cuts: list[int]) -> None:
    data = _numbered(rows, columns)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    reader = RowReader(columns)
    read = [reader.feed(data[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(piece.tobytes() for piece in read) == data
    assert reader.waiting == 0


def _segments(data: bytes, mss: int, frame: int) -> Iterator[bytes]:
    """Cut frames of the base as TCP does; sometimes a segment is short, sometimes two come together."""
    rng, at = np.random.default_rng(mss), 0
    while at < len(data):
        size = int(rng.choice([mss, mss, frame % mss or mss, rng.integers(1, mss + 1), 2 * mss]))
        yield data[at : at + size]
        at += size


def _rotated(rows: npt.NDArray[np.float32]) -> int:
    with np.errstate(invalid="ignore"):
        return int((~(rows[:, 0].astype(np.float64) % rows.shape[1] == 0)).sum())


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "mss"), [(16, 400), (16, 1460), (16, 8948), (144, 400), (144, 1460)])
def test_no_row_of_hundreds_of_thousands_is_rotated(columns: int, mss: int) -> None:
    rows = 400_000 if columns == 16 else 60_000
    reader = RowReader(columns)
    read = [reader.feed(piece) for piece in _segments(_numbered(rows, columns), mss, 27 * 64)]
    assert (sum(map(len, read)), sum(map(_rotated, read))) == (rows, 0)


@pytest.mark.parametrize("mss", [400, 1460])
def test_the_same_segments_rotate_rows_where_nothing_is_kept_from_one_to_the_next(mss: int) -> None:
    wrong = count = 0
    for piece in _segments(_numbered(20_000, 16), mss, 27 * 64):
        rows = RowReader(16).feed(piece)
        wrong, count = wrong + _rotated(rows), count + len(rows)
    assert wrong > 0.1 * count


@given(st.lists(st.binary(max_size=200), max_size=30))
def test_garbage_gives_whole_rows_and_no_more_than_a_row_waits(pieces: list[bytes]) -> None:
    reader, total, rows = RowReader(16), 0, 0
    for piece in pieces:
        total += len(piece)
        rows += len(reader.feed(piece))
        assert reader.waiting < 64
    assert rows == total // 64


# ---- replies


@pytest.mark.parametrize(
    ("data", "texts"),
    [
        (b"OK\r\n\r\n", ["OK"]),
        (b"Delsys Trigno System Digital Protocol Version 3.6.0 \r\n\r\n", [GREETING]),
        (b"OK\r\n\r\nUPSAMPLING ON\r\n\r\n", ["OK", "UPSAMPLING ON"]),
        (b"START OFF\r\nSTOP OFF\r\n\r\n0.0135\r\n\r\n", ["START OFF STOP OFF", "0.0135"]),
        (b"\r\n\r\n\r\nNO\n\n", ["NO"]),
        (b"\x00\x00OK\r\n\r\n", ["OK"]),
        (b"\xb0/s\r\n\r\n", ["/s"]),
        (b"OK\r\n", []),
        (b"", []),
    ],
)  # fmt: skip
def test_replies_by_hand_and_byte_by_byte(data: bytes, texts: list[str]) -> None:
    whole, single = ReplyReader(), ReplyReader()
    whole.feed(data)
    for at in range(len(data)):
        single.feed(data[at : at + 1])
    for reader in (whole, single):
        read = []
        while (text := reader.text()) is not None:
            read.append(text)
        assert read == texts


def test_a_line_alone_can_be_taken_and_its_blank_line_is_not_another_reply() -> None:
    reader = ReplyReader()
    reader.feed(b"OK\r\n")
    assert reader.text() is None
    assert reader.line() == "OK"
    reader.feed(b"\r\n")
    assert reader.line() is None
    reader.feed(b"YES\r\n\r\n")
    assert reader.text() == "YES"


@pytest.mark.parametrize("data", [b"A" * 5000, b"A\r\n" * 5000, b"OK\r\n\r\n" * 5000])
def test_endless_text_is_dropped(data: bytes) -> None:
    reader = ReplyReader()
    for at in range(0, len(data), 100):
        reader.feed(data[at : at + 100])
        assert len(reader._data) <= 8192
    assert reader.too_long


@given(st.lists(st.binary(max_size=5000), max_size=12))
def test_any_bytes_as_replies(pieces: list[bytes]) -> None:
    reader = ReplyReader()
    for piece in pieces:
        reader.feed(piece)
        assert len(reader._data) <= 8192
        while (text := reader.text()) is not None:
            assert len(text) <= 200
            assert text.isascii()
            assert text.isprintable()
        reader.line()


@pytest.mark.parametrize(
    ("reply", "value"),
    [("27", 27.0), ("0.0135", 0.0135), ("0,0135", 0.0135), ("1925.92592592593", 1925.92592592593), ("1e2", 100.0)],
)
def test_numbers(reply: str, value: float) -> None:
    assert number(reply, 0, 1e6) == value


@pytest.mark.parametrize(
    "reply", ["", "nan", "inf", "-1", "1e9", "1e999", "0x10", "1_0", "27 ", "OK", "INVALID COMMAND", "1.2.3", "9" * 400]
)
def test_no_numbers(reply: str) -> None:
    assert number(reply, 0, 1e6) is None


def test_whole_numbers() -> None:
    assert whole_number("16", 0, 16) == 16
    assert whole_number("16.0", 0, 16) == 16
    assert whole_number("1.5", 0, 16) is None
    assert whole_number("17", 0, 16) is None


@given(st.text(max_size=300))
def test_any_text_as_a_number(text: str) -> None:
    value = number(text, -10, 10)
    assert value is None or -10 <= value <= 10
    assert whole_number(text, -10, 10) in {None, *range(-10, 11)}


@pytest.mark.parametrize(
    ("reply", "meaning"),
    [("YES", True), ("NO", False), ("UPSAMPLING ON", True), ("upsampling off", False), ("OK", None), ("", None)],
)
def test_yes_and_no(reply: str, meaning: bool | None) -> None:
    assert yes_or_no(reply) is meaning


def test_plain_text_is_short_and_printable() -> None:
    assert plain(b"a\x1b[31m\tb\r\n c\xff") == "a [31m b c"
    assert len(plain(b"x" * 10_000)) == 200


@pytest.mark.slow
@settings(max_examples=10_000)
@given(data=st.data())
def test_ten_thousand_spliced_and_flipped_streams(data: st.DataObject) -> None:
    columns = data.draw(st.sampled_from([16, 48, 144]))
    stream = bytearray(_numbered(data.draw(st.integers(0, 6)), columns) + data.draw(st.binary(max_size=80)))
    for _ in range(data.draw(st.integers(0, 4))):
        if stream:
            stream[data.draw(st.integers(0, len(stream) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    reader, rows, at = RowReader(columns), [], 0
    while at < len(stream):
        size = data.draw(st.integers(1, 700))
        rows.append(reader.feed(bytes(stream[at : at + size])))
        at += size
    whole = len(stream) // (4 * columns)
    assert sum(len(piece) for piece in rows) == whole
    joined = b"".join(piece.tobytes() for piece in rows)
    assert joined == bytes(stream[: whole * 4 * columns])
    assert len(struct.unpack(f"<{len(joined) // 4}f", joined)) == whole * columns
