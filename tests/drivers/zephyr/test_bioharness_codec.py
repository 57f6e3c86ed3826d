"""The strap's bytes, from tables written by hand and from a recording of a real strap where there is one."""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.zephyr import bioharness_codec as wire
from drivers.zephyr.bioharness_codec import Packet, PacketReader


def crc_bit_by_bit(payload: bytes) -> int:
    """The CRC as a shift register, its input the lowest bit first: x^8 + x^5 + x^4 + 1."""
    register = 0
    for value in payload:
        for place in range(8):
            fed_back = (register & 1) ^ ((value >> place) & 1)
            register >>= 1
            if fed_back:
                register ^= 0b1000_1100
    return register


#: 2026-11-22, 10:00:00.123 of packet 7: 36,000,123 ms are 0x0225517B.
HEAD = bytes.fromhex("07 ea07 0b 16 7b512502")
HEAD_S = (9822 * 24 + 10) * 3600 + 0.123

#: Version 2: 72 beats and 15.5 breaths a minute, confidences 60 % and 98 %.
SUMMARY_2 = HEAD + bytes.fromhex("02 4800 9b00 0080") + b"\xff" * 13 + b"\x3c" + b"\xff" * 4 + b"\x62" + b"\xff" * 36
#: Version 3: 181 beats, breaths not known, confidence of the beats 77 %.
SUMMARY_3 = HEAD + bytes.fromhex("03 b500 ffff") + b"\xff" * 13 + b"\x4d" + b"\xff" * 43


def packet(packet_id: int, payload: bytes, end: int = 3) -> bytes:
    return bytes((2, packet_id, len(payload))) + payload + bytes((crc_bit_by_bit(payload), end))


def only(data: bytes) -> Packet:
    (one,) = PacketReader().feed(data)
    return one


def test_the_crc_is_that_of_the_polynomial() -> None:
    # the check value of this CRC (CRC-8/MAXIM) in Greg Cook's catalogue
    assert crc_bit_by_bit(b"123456789") == wire.crc8(b"123456789") == 0xA1


@given(st.binary(max_size=128))
def test_the_table_gives_the_crc_of_the_shift_register(payload: bytes) -> None:
    assert wire.crc8(payload) == crc_bit_by_bit(payload)


def test_orders_are_the_bytes_that_straps_take() -> None:
    # as in the public clients: ECG on, summaries every second, life sign
    assert wire.encode(wire.SET_ECG, b"\x01") == bytes.fromhex("02 16 01 01 5e 03")
    assert wire.encode(wire.SET_SUMMARY, b"\x01\x00") == bytes.fromhex("02 bd 02 01 00 c4 03")
    assert wire.encode(wire.LIFE_SIGN) == bytes.fromhex("02 23 00 00 03")


def test_a_summary_of_version_2() -> None:
    assert len(SUMMARY_2) == 71
    came = only(packet(0x2B, SUMMARY_2))
    stamp = wire.stamp_of(came.payload)
    assert stamp is not None
    assert stamp.sequence == 7
    assert stamp.time_s == pytest.approx(HEAD_S, abs=1e-6)
    np.testing.assert_allclose(wire.samples_of(came), [[72.0, 15.5, 98.0, 60.0]], rtol=1e-6)


def test_a_summary_of_version_3() -> None:
    assert len(SUMMARY_3) == 71
    np.testing.assert_allclose(wire.samples_of(only(packet(0x2B, SUMMARY_3))), [[181.0, np.nan, 77.0, np.nan]])


@pytest.mark.parametrize("none", ["ffff ffff", "0000 0000"])
def test_rates_that_the_strap_has_not_got_are_nan(none: str) -> None:
    body = bytearray(SUMMARY_2)
    body[10:14] = bytes.fromhex(none)
    rates = wire.rates_of(bytes(body))
    assert rates is not None
    assert np.isnan(rates[:2]).all()


def test_a_summary_of_another_version_is_no_sample() -> None:
    assert wire.rates_of(SUMMARY_2[:9] + b"\x04" + SUMMARY_2[10:]) is None


def test_ten_bits_a_value_from_the_lowest_bit_on() -> None:
    # 1, 2, 3, 1023: 00 0000 0001, 00 0000 0010, 00 0000 0011, 11 1111 1111 from the right
    five = bytes.fromhex("01 08 30 c0 ff")
    assert wire.ten_bit(five, 4).tolist() == [1, 2, 3, 1023]


def test_an_ecg_packet() -> None:
    # 512 is 0, 513 one count of 25 microvolts, 0 no value; 63 values are 79 bytes
    values = [512, 513, 0, 1023] + [512] * 59
    number = sum(value << (10 * place) for place, value in enumerate(values))
    samples = wire.samples_of(only(packet(0x22, HEAD + number.to_bytes(79, "little"))))
    assert samples is not None
    assert samples.shape == (63, 1)
    np.testing.assert_allclose(samples[:4, 0], [0.0, 25.0, np.nan, 511 * 25.0])
    assert (samples[4:] == 0).all()


def test_a_breathing_packet() -> None:
    number = sum((512 + place) << (10 * place) for place in range(18))
    samples = wire.samples_of(only(packet(0x21, HEAD + number.to_bytes(23, "little"))))
    assert samples is not None
    assert samples[:, 0].tolist() == list(range(18))


def test_an_rr_packet_keeps_the_sign_that_tells_beats_apart() -> None:
    intervals = [1003] * 15 + [-980] * 3  # as in the recording
    samples = wire.samples_of(only(packet(0x24, HEAD + struct.pack("<18h", *intervals))))
    assert samples is not None
    assert samples[:, 0].tolist() == intervals


def test_an_acceleration_packet() -> None:
    values = [512 + 83, 512, 512 - 83] + [512] * 57  # 4 g, 0, -4 g
    number = sum(value << (10 * place) for place, value in enumerate(values))
    samples = wire.samples_of(only(packet(0x25, HEAD + number.to_bytes(75, "little"))))
    assert samples is not None
    assert samples.shape == (20, 3)
    np.testing.assert_allclose(samples[0], [4.0, 0.0, -4.0])


def test_answers() -> None:
    assert only(bytes.fromhex("02 16 00 00 06")) == Packet(0x16, b"", wire.ACK)
    assert only(bytes.fromhex("02 bd 00 00 15")) == Packet(0xBD, b"", wire.NAK)


@pytest.mark.parametrize(
    ("calendar", "expected_s"),
    [
        ("0000 00 00", 36000.123),
        ("cf07 0b 16", 36000.123),  # 1999
        ("ea07 0d 01", 36000.123),  # a thirteenth month
        ("ffff 01 01", 36000.123),
        ("d007 01 02", 86400 + 36000.123),
    ],
)
def test_a_date_that_none_is_leaves_the_time_of_day(calendar: str, expected_s: float) -> None:
    stamp = wire.stamp_of(b"\x07" + bytes.fromhex(calendar) + HEAD[5:])
    assert stamp is not None
    assert stamp.time_s == pytest.approx(expected_s, abs=1e-6)


def test_a_time_of_day_that_none_is_is_no_stamp() -> None:
    assert wire.stamp_of(HEAD[:5] + (86_400_000).to_bytes(4, "little")) is None


TRAFFIC = [
    packet(0x2B, SUMMARY_2),
    packet(0x23, b""),
    packet(0x16, b"", 6),
    packet(0x24, HEAD + struct.pack("<18h", *range(18))),
    packet(0x0B, b"BHT\x02\x03\x021234", 6),
    packet(0x2B, SUMMARY_3),
]


@given(st.lists(st.integers(0, sum(map(len, TRAFFIC))), max_size=30))
def test_packets_come_whatever_the_cuts(places: list[int]) -> None:
    data = b"".join(TRAFFIC)
    reader, edges = PacketReader(), [0, *sorted(places), len(data)]
    came = [one for first, last in itertools.pairwise(edges) for one in reader.feed(data[first:last])]
    assert [packet(one.id, one.payload, one.end) for one in came] == TRAFFIC
    assert reader.skipped == 0


def test_every_packet_at_every_cut() -> None:
    for one in TRAFFIC:
        for cut in range(len(one)):
            reader = PacketReader()
            assert reader.feed(one[:cut]) == []
            assert len(reader.feed(one[cut:])) == 1


def test_a_false_beginning_does_not_hold_up_the_packet_behind_it() -> None:
    reader = PacketReader()
    # it says that 128 bytes follow
    (came,) = reader.feed(b"\x02\x99\x80" + TRAFFIC[0])
    assert came.id == 0x2B
    assert reader.skipped == 3


def _attack(pieces: list[bytes]) -> None:
    reader, total = PacketReader(), 0
    for piece in pieces:
        total += len(piece)
        for one in reader.feed(piece):
            assert one.end in (3, 6, 21)
            assert len(one.payload) == wire.LENGTHS.get(one.id, len(one.payload)) <= 128
            assert packet(one.id, one.payload, one.end) in b"".join(pieces)
            if one.id in wire.WAVEFORMS:
                samples, form = wire.samples_of(one), wire.WAVEFORMS[one.id]
                assert samples is None or samples.shape == (form.samples, form.channels)
                wire.stamp_of(one.payload)
        assert len(reader._held) < 133
        assert reader.skipped <= total
    # it finds the way back: what follows a packet's length of quiet is read
    reader.feed(bytes(133))
    assert len(reader.feed(TRAFFIC[0])) == 1


noise = st.binary(max_size=300) | st.lists(st.sampled_from((2, 3, 0x22, 0x23, 0x2B, 88, 71, 128)), max_size=300).map(
    bytes
)


@given(st.lists(noise | st.sampled_from(TRAFFIC), max_size=8))
def test_noise_makes_no_packets_and_costs_no_memory(pieces: list[bytes]) -> None:
    _attack(pieces)


def _spoil(data: bytes, place: int, how: str, bit: int) -> bytes:
    place %= len(data)
    if how == "flip":
        return data[:place] + bytes((data[place] ^ (1 << bit),)) + data[place + 1 :]
    if how == "cut":
        return data[:place]
    return data[:place] + data[place + 1 + bit :]


spoiled = st.builds(
    _spoil,
    st.lists(st.sampled_from(TRAFFIC), min_size=1, max_size=4).map(b"".join),
    st.integers(0, 500),
    st.sampled_from(("flip", "cut", "splice")),
    st.integers(0, 7),
)


@given(st.lists(spoiled, max_size=8))
def test_spoiled_traffic_never_raises(pieces: list[bytes]) -> None:
    _attack(pieces)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(st.lists(noise | spoiled | st.sampled_from(TRAFFIC), max_size=8))
def test_by_the_ten_thousand(pieces: list[bytes]) -> None:
    _attack(pieces)


def test_a_flipped_bit_costs_the_packet_and_no_more() -> None:
    data = b"".join(TRAFFIC)
    for place in range(3, len(TRAFFIC[0]) - 1):  # payload and CRC
        spoilt = _spoil(data, place, "flip", place % 8)
        came = PacketReader().feed(spoilt)
        assert [packet(one.id, one.payload, one.end) for one in came] == TRAFFIC[1:]


@pytest.fixture
def real_strap(data_folder: Path) -> bytes:
    """150 s of a real strap: test_data/120-second-bt-stream.dat of jpaalasm/zephyr-bt (BSD)."""
    path = data_folder / "zephyr-bt" / "120-second-bt-stream.dat"
    if not path.is_file():
        pytest.skip(f"the recording of a real strap is not at {path}; it is test_data of jpaalasm/zephyr-bt")
    return path.read_bytes()


def test_a_real_strap(real_strap: bytes) -> None:
    reader = PacketReader()
    packets = [one for start in range(0, len(real_strap), 97) for one in reader.feed(real_strap[start : start + 97])]
    counts = Counter(one.id for one in packets)
    assert reader.skipped == 0
    assert {kind: counts[kind] for kind in wire.WAVEFORMS} == {0x21: 149, 0x22: 597, 0x24: 150, 0x25: 376, 0x2B: 150}
    answers = {one.id for one in packets if one.end == wire.ACK}
    assert answers == {wire.SET_ECG, wire.SET_BREATHING, wire.SET_RR, wire.SET_ACCEL, wire.SET_SUMMARY}
    for kind, form in wire.WAVEFORMS.items():
        stamps = [wire.stamp_of(one.payload) for one in packets if one.id == kind]
        assert all(
            later is not None and first is not None and (later.sequence - first.sequence) % 256 == 1
            for first, later in itertools.pairwise(stamps)
        )
        times_s = np.array([stamp.time_s for stamp in stamps if stamp is not None])
        assert np.mean(np.diff(times_s)) == pytest.approx(form.packet_s, rel=400e-6)
    rates = np.concatenate([wire.samples_of(one) for one in packets if one.id == wire.SUMMARY])
    assert 55 <= rates[:, 0].min() < rates[:, 0].max() <= 95
    assert 14 <= rates[:, 1].min() < rates[:, 1].max() <= 29
    assert rates[:, 2].min() >= 90
    assert np.isnan(rates[:, 3]).all()
    accel_g = np.concatenate([wire.samples_of(one) for one in packets if one.id == wire.ACCEL])
    assert np.median(np.linalg.norm(accel_g, axis=1)) == pytest.approx(1.0, abs=0.05)
    # beats told by the changes of sign are as many as the heart rate says
    rr = np.concatenate([wire.samples_of(one) for one in packets if one.id == wire.RR])[:, 0]
    beats = int(np.count_nonzero(np.diff(np.sign(rr))))
    assert beats / (len(rr) * 0.056) * 60 == pytest.approx(float(rates[:, 0].mean()), rel=0.05)
