"""The Cyton's packets byte by byte, as written by hand after OpenBCI's "Cyton Data Format" and the firmware."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from drivers.openbci.cyton_codec import SIZE, Packets, PacketSplitter, packet_bytes, packets_of
from drivers.openbci.cyton_dialogue import ChannelSettings, banner_of
from drivers.openbci.cyton_samples import SampleBuilder, Samples, microvolts_per_count

#: start, number 0x2A, channels 1 to 8, aux, stop
PLAIN = bytes.fromhex(
    "A0 2A"
    "000001 FFFFFF 7FFFFF 800000 000100 010000 FFFF00 123456"
    "0100 FF80 4000"  # x 256, y -128, z 16384
    "C0"
)
RAW = [1, -1, 8388607, -8388608, 256, 65536, -256, 0x123456]


def packet(number: int, aux: str = "000000000000", stop: str = "C0", first: str = "000000") -> bytes:
    return bytes.fromhex(f"A0 {number % 256:02X} {first}" + "000000" * 7 + aux + stop)


def split(data: bytes) -> Packets:
    return PacketSplitter().feed(data)


def test_every_field_of_a_packet() -> None:
    assert len(PLAIN) == SIZE
    found = split(PLAIN)
    assert found.number.tolist() == [0x2A]
    assert found.raw.tolist() == [RAW]
    assert found.words.tolist() == [[256, -128, 16384]]
    assert found.kind.tolist() == [0]
    assert found.has_time.tolist() == [False]


@pytest.mark.parametrize(
    ("stop", "timed"), [("C0", 0), ("C1", 0), ("C2", 0), ("C3", 1), ("C4", 1), ("C5", 1), ("C6", 1)]
)
def test_every_kind_of_aux(stop: str, timed: int) -> None:
    found = split(packet(9, "FFFE 01020304", stop))
    assert found.kind.tolist() == [int(stop[1])]
    assert found.has_time.tolist() == [bool(timed)]
    assert found.words[0, 0] == -2
    assert found.board_ms.tolist() == [0x01020304]


@pytest.mark.parametrize("stop", ["00", "A0", "B0", "BF", "C7", "CF", "D0", "FF"])
def test_other_stop_bytes_end_no_packet(stop: str) -> None:
    splitter = PacketSplitter()
    assert len(splitter.feed(packet(1, stop=stop))) == 0
    assert splitter.skipped > 0


def test_the_encoder_says_what_the_hand_wrote() -> None:
    assert packet_bytes(0x2A, RAW, bytes.fromhex("0100FF804000"), 0) == PLAIN
    assert packets_of(PLAIN * 3).raw.tolist() == [RAW] * 3


def test_microvolts_are_those_of_the_gain() -> None:
    # 4.5 V / gain / (2^23 - 1)
    assert microvolts_per_count(24) == pytest.approx(0.0223517445, rel=1e-8)
    assert microvolts_per_count(1) == pytest.approx(0.536441867, rel=1e-8)
    samples = SampleBuilder([24, 24, 1, 1, 2, 4, 6, 12], [0, 1, 2, 3, 4, 5, 6, 7]).take_in(split(PLAIN))[0]
    assert samples is not None
    expected = [0.02235174, -0.02235174, 4.5e6, -4.5000005e6, 68.664559, 8789.0635, -22.888186, 53333.319]
    assert samples.values[0].tolist() == pytest.approx(expected, rel=1e-6)
    assert samples.values.dtype == np.float32
    assert samples.counters.tolist() == [0x2A]
    assert math.isnan(samples.device_time_s)


NAN = [math.nan] * 3


def rows_of(samples: Samples | None) -> tuple[list[int], Any]:
    assert samples is not None
    return samples.counters.tolist(), samples.values


def test_acceleration_comes_with_x_of_zero_too_and_three_zeros_are_none() -> None:
    builder = SampleBuilder([24] * 8, range(8))
    data = packet(0) + packet(1, "0000 FF80 1F40") + packet(2) + packet(3, "1F40 0000 0000")
    counts, values = rows_of(builder.take_in(split(data))[1])
    assert counts == [0, 1, 2, 3]
    # 0.002 / 16 g a count
    expected = [NAN, [0, -0.016, 1.0], NAN, [1.0, 0, 0]]
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    # rows in which nothing is new wait for one in which something is
    assert builder.take_in(split(packet(4)))[1] is None
    counts, values = rows_of(builder.take_in(split(packet(6, "0010 0000 0000")))[1])
    assert counts == [4, 6]
    np.testing.assert_allclose(values, [NAN, [0.002, 0, 0]], rtol=1e-6)


def test_what_is_no_acceleration_is_nan_and_waits_for_a_while_only() -> None:
    for stop in ("C1", "C2", "C5", "C6"):
        builder = SampleBuilder([24] * 8, range(8))
        found = [builder.take_in(split(packet(number, "010001000100", stop)))[1] for number in range(100)]
        pieces = [samples for samples in found if samples is not None]
        assert [len(samples.counters) for samples in pieces] == [50, 50]
        assert all(np.isnan(samples.values).all() for samples in pieces)


def test_with_a_time_the_axes_come_in_packets_7_8_and_9() -> None:
    builder = SampleBuilder([24] * 8, range(8))
    # numbers 17, 18, 19 hold x, y, z; the time of the last is 0x00010000 ms; zeros before the first value are none
    data = b"".join(
        packet(number, f"{value:04X} {0x10000 - (19 - number) * 4:08X}", "C4")
        for number, value in ((9, 0), (16, 0), (17, 0x1F40), (18, 0xFFF0), (19, 0x0010))
    )
    emg, accel = builder.take_in(split(data))
    assert emg is not None
    assert accel is not None
    assert emg.device_time_s == accel.device_time_s == 65.536
    nan = math.nan
    np.testing.assert_allclose(
        accel.values, [NAN, NAN, [1.0, nan, nan], [nan, -0.002, nan], [nan, nan, 0.002]], rtol=1e-6
    )
    # one that is 0 later on is a value
    later = builder.take_in(split(packet(28, "0000 00010024", "C4")))[1]
    np.testing.assert_allclose(rows_of(later)[1], [[nan, 0, nan]])


def test_the_boards_milliseconds_wrap() -> None:
    builder = SampleBuilder([24] * 8, range(8))
    times = []
    for number, ms in enumerate((0xFFFFFFFC, 0x00000000, 0x00000004)):
        samples = builder.take_in(split(packet(number, f"0000{ms:08X}", "C4")))[0]
        assert samples is not None
        times.append(samples.device_time_s)
    assert np.diff(times).tolist() == pytest.approx([0.004, 0.004], abs=1e-6)


def test_numbers_wrap_and_losses_show() -> None:
    builder = SampleBuilder([24] * 8, range(8))
    numbers = [254, 255, 0, 1, 5, 4]  # the last is 255 ahead
    samples = builder.take_in(split(b"".join(packet(number) for number in numbers)))[0]
    assert samples is not None
    assert samples.counters.tolist() == [254, 255, 256, 257, 261, 516]
    more = builder.take_in(split(packet(4)))[0]  # the same number again is a whole turn
    assert more is not None
    assert more.counters.tolist() == [772]


def test_the_boards_time_tells_whole_turns() -> None:
    def timed(number: int, ms: int) -> Packets:
        return split(packet(number, f"0000{ms % 2**32:08X}", "C4"))

    builder = SampleBuilder([24] * 8, range(8))
    counts = []
    # two turns and three packets are lost; a silence alone is no loss, nor is a time that was damaged on the way
    for number, ms, silent_s in (
        (0, 2**32 - 2000, 0.0),
        (1, 2**32 - 1996, 0.004),
        (5, 2**32 - 1980 + 2048, 2.1),
        (6, 2**32 - 1976 + 2048, 3.0),
        (7, 2**32 - 1972 + 2048 + 2**16, 0.004),
        (8, 2**32 - 1968 + 2048, 0.004),
        (9, 2**32 - 1964 + 2048 + 1024, 1.0),
    ):
        samples = builder.take_in(timed(number, ms), silent_s)[0]
        assert samples is not None
        counts += samples.counters.tolist()
    assert np.diff(counts).tolist() == [1, 4 + 512, 1, 1, 1, 1 + 256]


def test_channels_are_those_that_are_used_in_their_order() -> None:
    samples = SampleBuilder([24] * 8, [7, 0]).take_in(split(PLAIN))[0]
    assert samples is not None
    assert samples.values[0].tolist() == pytest.approx([0x123456 * 0.0223517445, 0.0223517445])


def daisy_values(builder: SampleBuilder, numbers: list[int]) -> list[tuple[int, float, float]]:
    """Return count, channel 1 and channel 9 of what packets make whose first channel is their number."""
    data = b"".join(packet(number, first=f"0000{number % 256:02X}") for number in numbers)
    samples = builder.take_in(split(data))[0]
    if samples is None:
        return []
    scale = microvolts_per_count(24)
    return [
        (int(count), round(float(row[0]) / scale), round(float(row[8]) / scale))
        for count, row in zip(samples.counters, samples.values, strict=True)
    ]


def test_a_daisys_even_packet_and_the_odd_one_after_it_are_one_sample() -> None:
    builder = SampleBuilder([24] * 16, range(16))
    # the first of a stream has an upper half of before; 5 and 9 are lost, and with them their samples
    assert daisy_values(builder, [0, 1, 2, 3, 4, 6, 7, 8, 10]) == [(1, 3, 2), (3, 7, 6)]
    # the halves of 10 and 11 come apart
    assert daisy_values(builder, [11, 12]) == [(5, 11, 10)]
    builder.forget_half()
    assert daisy_values(builder, [13, 14, 15]) == [(7, 15, 14)]


def test_a_daisys_samples_go_on_where_numbers_wrap() -> None:
    builder = SampleBuilder([24] * 16, range(16))
    found = daisy_values(builder, [252, 253, 254, 255, 256, 257])
    assert found == [(126, 253, 252), (127, 255, 254), (128, 1, 0)]


def test_commands_for_channels() -> None:
    assert ChannelSettings(24, bias=True, srb2=False, srb1=False).command(0) == b"x1060100X"
    assert ChannelSettings(1, bias=False, srb2=True, srb1=True).command(8) == b"xQ000011X"
    assert ChannelSettings(8, bias=True, srb2=True, srb1=True, off=True).command(15) == b"xI140000X"


def test_banners() -> None:
    plain = banner_of(
        "OpenBCI V3 8-16 channel\nOn Board ADS1299 Device ID: 0x3E\nLIS3DH Device ID: 0x33\nFirmware: v3.1.2\n"
    )
    assert plain is not None
    assert (plain.firmware, plain.firmware_name, plain.board_id) == ((3, 1, 2), "v3.1.2", "3E")
    assert not plain.has_daisy
    daisy = banner_of("x\nOn Board ADS1299 Device ID: 0x3E\nOn Daisy ADS1299 Device ID: 0x3E\nFirmware: v2.0.0\n")
    assert daisy is not None
    assert daisy.has_daisy
    old = banner_of("OpenBCI V3 32bit board\nOn Board ADS1299 Device ID: 0x3E\n")
    assert old is not None
    assert old.firmware == (1,)
    assert banner_of("OpenBCI Ganglion v2.0.1") is None
    assert banner_of("") is None
