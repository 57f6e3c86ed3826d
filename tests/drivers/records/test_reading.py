"""Lines and binary records: values written by hand, cuts anywhere, garbage, and what wraps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.emulators.records import _sum_of
from drivers.records.binary_records import BinaryRecords
from drivers.records.checksums import SIZES, checksums
from drivers.records.csv_lines import CsvLines
from drivers.records.description import LONGEST_RECORD_BYTES, RecordsConfig
from drivers.records.reading import Records
from drivers.records.unwrapping import DeviceTime, SampleCount

VALUE = {"label": "emg", "unit": "microvolts"}
AB = {"label": ["a", "b"], "unit": "counts"}


def lines(*columns: dict[str, Any], **more: Any) -> CsvLines:
    options = {"format": "csv", "rate_hz": 10, "content_type": "EMG", "column": columns or (AB,), **more}
    return CsvLines(RecordsConfig.model_validate(options))


def records(*fields: dict[str, Any], **more: Any) -> BinaryRecords:
    options = {"format": "binary", "rate_hz": 10, "content_type": "EMG", "field": fields, **more}
    return BinaryRecords(RecordsConfig.model_validate(options))


def rows(came: Iterable[Records | None]) -> list[list[float]]:
    return [row for some in came if some is not None for row in some.values.tolist()]


# -- CSV ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "line", "expected"),
    [
        ({}, b"1,-2.5\n", [1, -2.5]),
        ({}, b" +1. , .5e1 \r\n", [1, 5]),
        ({}, b"1,2,\r", [1, 2]),
        ({}, b'"1","2"\n', [1, 2]),
        ({"separator": ";", "decimal": ","}, b"1,5;-2,25\n", [1.5, -2.25]),
        ({"separator": "\t"}, b"1\t2\n", [1, 2]),
        ({"separator": "\t"}, b"\t2\n", [math.nan, 2]),
        ({"separator": " "}, b"  1   \t2 \n", [1, 2]),
        ({}, b",2\n", [math.nan, 2]),
        ({}, b"nan,NULL\n", [math.nan, math.nan]),
        ({}, b"1e999,-inf\n", [math.nan, math.nan]),
    ],
)
def test_a_line(more: dict[str, Any], line: bytes, expected: list[float]) -> None:
    (row,) = rows([lines(**more).feed(line)])
    np.testing.assert_allclose(row, expected)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"1,2,3", "has 3 columns, but the rig describes 2"),
        (b"1", "has 1 columns, but"),
        (b"1,x2", "has 'x2' where a number should be"),
        (b"1,1_000", "has '1_000' where a number"),
        (b"1,\xd9\xa1", "is no text"),
        (b"1,0x10", "where a number should be"),
        (b"1,2e9999999", "where a number should be"),
    ],
)
def test_a_line_that_does_not_fit_is_none_and_says_why(line: bytes, why: str) -> None:
    reader = lines()
    assert reader.feed(b"1,2\n" + line + b"\n3,4\n") is not None
    assert reader.unusable.pieces == 1
    assert why in reader.unusable.example


def test_comments_headers_and_half_a_line_are_passed_over() -> None:
    reader = lines()
    came = reader.feed("4,5,6\nADC ready\na,b\n# 1,2 µV\n1,2\n#x\n\n3,4\n".encode())
    assert rows([came]) == [[1, 2], [3, 4]]
    assert reader.unusable.pieces == 0


def test_columns_have_their_parts() -> None:
    reader = lines(
        {"role": "counter"},
        {"role": "device_time", "unit": "milliseconds"},
        {**VALUE, "offset": -512, "scale": 0.5, "missing": -1},
        {"role": "skip", "times": 2},
        {"label": "rate", "unit": "1/min"},
    )
    came = reader.feed(b"7,1500.5,514,x,y,60\n8,,-1,,,61\n9.0,1502,512,a,b,\nx,1,1,1,1,1\n1.5,1,1,1,1,1\n")
    assert came is not None
    np.testing.assert_allclose(came.values, [[1, 60], [math.nan, 61], [0, math.nan]])
    assert came.counters is not None
    assert came.counters.tolist() == [7, 8, 9]
    assert came.times is not None
    np.testing.assert_allclose(came.times, [1500.5, math.nan, 1502])
    assert reader.unusable.pieces == 2


@given(st.lists(st.integers(0, 60), max_size=20))
def test_lines_come_whatever_the_cuts(places: list[int]) -> None:
    data = b"1,2\r\n-3.5,4e2\r\n#no\r\n,6\r\n7,8\r\n9,10\r\n"
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    reader = lines()
    came = rows(reader.feed(data[first:last]) for first, last in itertools.pairwise(edges))
    np.testing.assert_allclose(came, [[1, 2], [-3.5, 400], [math.nan, 6], [7, 8], [9, 10]])


def test_a_line_without_an_end_costs_no_memory() -> None:
    reader = lines()
    for _ in range(1000):
        assert reader.feed(b"1," * 500) is None
        assert len(reader._rest) <= LONGEST_RECORD_BYTES
    assert reader.unusable.skipped > 900_000
    assert rows([reader.feed(b"9,9\n1,2\n")]) == [[1, 2]]  # the end of the long one is no record


def test_a_datagram_of_lines() -> None:
    assert rows([lines().datagram(b"1,2\n3,4"), lines().datagram(b"5,6\n")]) == [[1, 2], [3, 4], [5, 6]]


# -- binary ------------------------------------------------------------------------------------------------------

ALL_TYPES = [
    ("u8", "ff", "ff", 255),
    ("i8", "ff", "ff", -1),
    ("u16", "0102", "0201", 513),
    ("i16", "fe ff", "ff fe", -2),
    ("u24", "03 02 01", "01 02 03", 66051),
    ("i24", "fe ff ff", "ff ff fe", -2),
    ("i24", "ff ff 7f", "7f ff ff", 8388607),
    ("u32", "04 03 02 01", "01 02 03 04", 16909060),
    ("i32", "fd ff ff ff", "ff ff ff fd", -3),
    ("u64", "08 07 06 05 04 03 02 01", "01 02 03 04 05 06 07 08", 72623859790382856),
    ("i64", "fc ff ff ff ff ff ff ff", "ff ff ff ff ff ff ff fc", -4),
    ("f32", "00 00 20 c1", "c1 20 00 00", -10),
    ("f64", "00 00 00 00 00 00 f0 3f", "3f f0 00 00 00 00 00 00", 1),
    ("f32", "00 00 c0 7f", "7f c0 00 00", math.nan),
    ("f32", "00 00 80 7f", "7f 80 00 00", math.nan),
]


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(("kind", "little", "big", "expected"), ALL_TYPES)
def test_every_type_in_both_byte_orders(kind: str, little: str, big: str, expected: float, order: str) -> None:
    reader = records({**VALUE, "type": kind}, byte_order=order)
    (row,) = rows([reader.feed(bytes.fromhex(little if order == "little" else big))])
    np.testing.assert_allclose(row, [float(expected)])


def test_a_record_of_many_parts() -> None:
    reader = records(
        {"type": "u16", "role": "counter"},
        {"type": "u32", "role": "device_time", "unit": "microseconds"},
        {"label": ["a", "b"], "unit": "volts", "type": "i24", "scale": 0.001, "missing": -8388608},
        {"type": "u8", "role": "skip", "times": 3},
        {"label": "c", "unit": "counts", "type": "u8", "offset": -128},
        byte_order="big",
        sync=[0xA5, 0x5A],
        checksum="xor",
    )
    one = bytes.fromhex("a55a 0007 000003e8 0003e8 800000 aabbcc 82")
    two = bytes.fromhex("a55a 0008 000007d0 fffc18 000001 000000 00")
    data = b"".join(some + bytes((_xor(some[2:]),)) for some in (one, two))
    came = reader.feed(data)
    assert came is not None
    np.testing.assert_allclose(came.values, [[1.0, math.nan, 2], [-1.0, 0.001, -128]])
    assert came.counters is not None
    assert came.counters.tolist() == [7, 8]
    assert came.times is not None
    assert came.times.tolist() == [1000, 2000]


def _xor(data: bytes) -> int:
    total = 0
    for value in data:
        total ^= value
    return total


#: Greg Cook's catalogue: what each CRC makes of "123456789".
@pytest.mark.parametrize(
    ("name", "check"), [("crc8", 0xF4), ("crc8_maxim", 0xA1), ("crc16_ccitt", 0x29B1), ("crc16_modbus", 0x4B37)]
)
def test_crcs_are_those_of_the_catalogue(name: Any, check: int) -> None:
    text = np.frombuffer(b"123456789", dtype=np.uint8)[None]
    assert checksums(name, text).tolist() == [check]
    assert int.from_bytes(_sum_of(name, b"123456789", ">"), "big") == check


def test_sums_by_hand() -> None:
    covered = np.array([[0xF0, 0x0F, 0x01], [1, 2, 3]], dtype=np.uint8)
    assert checksums("xor", covered).tolist() == [0xFE, 0]
    assert checksums("sum8", covered).tolist() == [0x00, 6]


@given(st.sampled_from(sorted(SIZES)), st.lists(st.binary(min_size=11, max_size=11), min_size=1, max_size=5))
def test_tables_give_what_shift_registers_give(name: Any, rows_of: list[bytes]) -> None:
    covered = np.frombuffer(b"".join(rows_of), dtype=np.uint8).reshape(-1, 11)
    expected = [int.from_bytes(_sum_of(name, row, ">"), "big") for row in rows_of]
    assert checksums(name, covered).tolist() == expected
    assert checksums(name, np.tile(covered, (100, 1))).tolist() == expected * 100


def device(sync: bytes, checksum: str, covers: str = "fields") -> tuple[BinaryRecords, list[bytes]]:
    """A reader, and twenty records for it with i16 values that look like sync bytes now and then."""
    reader = records(
        {"type": "u16", "role": "counter"},
        {**AB, "type": "i16"},
        sync=list(sync),
        checksum=checksum,
        checksum_covers=covers,
    )
    made = []
    for number in range(20):
        fields = number.to_bytes(2, "little") + sync[:1] * 2 + (number * 7).to_bytes(2, "little")
        fields = fields.ljust(6, b"\x00")[:6]
        made.append(sync + fields + _sum_of(checksum, (sync if covers == "all" else b"") + fields, "<"))
    return reader, made


KINDS = [
    (b"\xa5\x5a", "none", "fields"),
    (b"\xa5", "sum8", "fields"),
    (b"\xa5", "crc8", "all"),
    (b"", "crc16_modbus", "fields"),
    (b"\x00", "crc16_ccitt", "all"),
    (b"", "none", "fields"),
]


@pytest.mark.parametrize(("sync", "checksum", "covers"), KINDS)
@given(places=st.lists(st.integers(0, 250), max_size=20))
def test_records_come_whatever_the_cuts(sync: bytes, checksum: str, covers: str, places: list[int]) -> None:
    reader, made = device(sync, checksum, covers)
    data = b"".join(made)
    edges = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    came = [reader.feed(data[first:last]) for first, last in itertools.pairwise(edges)]
    counters = [count for some in came if some is not None and some.counters is not None for count in some.counters]
    assert counters == list(range(20))
    assert reader.unusable.skipped == 0


@pytest.mark.parametrize(("sync", "checksum", "covers"), KINDS[:-1])
@pytest.mark.parametrize("noise", [b"\xa5", b"\xa5\x5a\x01", b"\x00" * 5, b"garbage that is much longer than one"])
def test_after_noise_the_next_records_are_found(sync: bytes, checksum: str, covers: str, noise: bytes) -> None:
    reader, made = device(sync, checksum, covers)
    came = reader.feed(noise + b"".join(made[:5]) + noise + b"".join(made[5:]))
    assert came is not None
    assert came.counters is not None
    if checksum == "none":  # nothing but the sync bytes tells: some may be what they are not, and then it finds back
        assert came.counters.tolist()[-10:] == list(range(10, 20))
    else:
        assert came.counters.tolist() == list(range(20))
        assert reader.unusable.skipped == 2 * len(noise)


def test_a_spoilt_record_is_lost_and_no_other() -> None:
    for place in range(9):
        reader, made = device(b"\xa5", "crc16_ccitt")
        made[7] = made[7][:place] + bytes((made[7][place] ^ 0x10,)) + made[7][place + 1 :]
        came = reader.feed(b"".join(made))
        assert came is not None
        assert came.counters is not None
        assert came.counters.tolist() == [count for count in range(20) if count != 7]


def test_datagrams_hold_whole_records_or_none() -> None:
    reader, made = device(b"\xa5", "sum8")
    assert len(rows([reader.datagram(b"".join(made[:3]))])) == 3
    for wrong in (b"", made[0][:-1], made[0] + b"\x00", made[0] + made[1][:-1] + bytes((made[1][-1] ^ 1,))):
        assert reader.datagram(wrong) is None
    assert reader.unusable.pieces == 4


def _attack(reader: BinaryRecords, made: list[bytes], pieces: list[bytes]) -> None:
    for piece in pieces:
        came = reader.feed(piece)
        if came is not None:
            assert came.values.shape[1] == 2
        assert len(reader._held) < 2 * len(made[0]) + 1
    # it finds back: zeros that are no record, then ten good ones
    after = rows([reader.feed(bytes((1,)) * 3 * len(made[0])), reader.feed(b"".join(made[10:]))])
    assert len(after) >= 8


@pytest.mark.parametrize(("sync", "checksum", "covers"), KINDS[:-1])
@given(pieces=st.lists(st.binary(max_size=100) | st.sampled_from((b"\xa5" * 40, b"\x00" * 40)), max_size=8))
def test_noise_costs_no_memory_and_the_way_back_is_found(
    sync: bytes, checksum: str, covers: str, pieces: list[bytes]
) -> None:
    _attack(*device(sync, checksum, covers), pieces)


@given(st.lists(st.binary(max_size=200) | st.text("0123456789.,-eE\r\n#x", max_size=100).map(str.encode), max_size=10))
def test_garbled_text_never_raises_and_fits_when_it_is_a_record(pieces: list[bytes]) -> None:
    reader = lines()
    for piece in pieces:
        came = reader.feed(piece)
        assert came is None or came.values.shape[1] == 2
        assert len(reader._rest) <= LONGEST_RECORD_BYTES
    assert rows([reader.feed(b"\n1,2\n")])[-1] == [1, 2]


@pytest.mark.slow
@settings(max_examples=20_000)
@given(
    st.sampled_from(KINDS[:-1]),
    st.lists(st.binary(max_size=60) | st.integers(0, 19), max_size=12),
    st.integers(0, 400),
    st.integers(0, 7),
)
def test_by_the_ten_thousand(kind: tuple[bytes, str, str], parts: list[Any], place: int, bit: int) -> None:
    reader, made = device(*kind)
    data = bytearray(b"".join(made[part] if isinstance(part, int) else part for part in parts))
    if data:
        data[place % len(data)] ^= 1 << bit
    _attack(reader, made, [bytes(data[:place]), bytes(data[place:])])
    text = lines()
    text.feed(bytes(data))


# -- counts and times ----------------------------------------------------------------------------------------------


def counted(count: SampleCount, *raw: int) -> list[int]:
    return count.next(np.array(raw, dtype=np.int64))[0].tolist()  # type: ignore[no-any-return]


def test_a_count_that_wraps_goes_on() -> None:
    count = SampleCount(256, datagrams=False)
    assert counted(count, 254, 255, 0, 1) == [254, 255, 256, 257]
    assert counted(count, 2, 3) == [258, 259]
    assert counted(count, 7) == [263]
    assert counted(count, 7, 6) == [518]  # said twice; and all but a turn later
    assert count.dropped == 1


def test_a_count_that_never_wraps_is_as_it_is() -> None:
    count = SampleCount(0, datagrams=False)
    assert counted(count, 10, 11, 12) == [10, 11, 12]
    assert counted(count, 14, 0, 1) == [14, 0, 1]


def test_overtaken_datagrams_are_left_out() -> None:
    count = SampleCount(65536, datagrams=True)
    assert counted(count, 65530, 65531) == [65530, 65531]
    assert counted(count, 65535, 0) == [65535, 65536]
    assert counted(count, 65532, 65533) == []
    assert counted(count, 1) == [65537]
    assert count.dropped == 2
    forever = SampleCount(0, datagrams=True)
    assert counted(forever, 100, 101, 99, 102) == [100, 101, 102]
    assert counted(forever, 0) == [0]


@given(st.sampled_from((16, 256, 1000, 65536, 2**32)), st.lists(st.integers(1, 15), min_size=1, max_size=50))
def test_any_small_steps_are_counted_exactly(modulus: int, steps: list[int]) -> None:
    count, total, expected = SampleCount(modulus, datagrams=False), 5, []
    for step in (0, *steps):
        total += step
        expected.append(total)
    raw = [value % modulus for value in expected]
    half = len(raw) // 2
    assert counted(count, *raw[:half]) + counted(count, *raw[half:]) == expected


def test_a_time_that_wraps_goes_on() -> None:
    clock = DeviceTime(2**32, 1e-6)
    assert clock.seconds(2**32 - 1000.0) == pytest.approx(4294.966296)
    assert clock.seconds(1000.0) == pytest.approx(4294.968296)
    assert math.isnan(clock.seconds(math.nan))
    assert clock.seconds(900.0) == pytest.approx(4294.968196)  # a little out of order is no turn
    assert DeviceTime(0, 1.0).seconds(5.5) == 5.5


def test_noise_of_nothing_but_sync_bytes_is_given_up_and_the_way_back_found() -> None:
    reader = records(
        {**VALUE, "type": "u8"}, {"type": "u8", "role": "skip", "times": 8000}, sync=[0xA5], checksum="crc16_ccitt"
    )
    assert reader.feed(b"\xa5" * 65536) is None
    assert len(reader._held) < 2 * reader._length
    one = b"\x07".ljust(8001, b"\x00")
    one = b"\xa5" + one + _sum_of("crc16_ccitt", one, "<")
    assert rows([reader.feed(b"\x00" * 20_000), reader.feed(one * 3)]) == [[7]] * 3
