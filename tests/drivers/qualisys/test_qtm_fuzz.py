"""What may come over a socket: nothing of it is an error, and only whole packets become samples."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import qtm_bytes as wire
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.qualisys.rt_codec import Data, Packet, Reply, RtCodec, decode_packet
from drivers.qualisys.rt_components import Malformed, Points
from drivers.qualisys.rt_parameters import BadParametersError, parse_parameters

PIECES = st.lists(st.sampled_from(wire.ALL), min_size=1, max_size=8)
LONGEST = 2**15


def fed(data: bytes, cuts: list[int]) -> tuple[RtCodec, list[Packet]]:
    codec = RtCodec(LONGEST)
    came: list[Packet] = []
    begin = 0
    for cut in sorted(cut % (len(data) + 1) for cut in cuts):
        came += codec.feed(data[begin:cut])
        begin = cut
    came += codec.feed(data[begin:])
    assert codec.skipped_bytes <= len(data)
    assert len(codec._buffer) <= LONGEST
    return codec, came


def check(packet: Packet) -> None:
    """Whatever came whole has the form that is promised."""
    if isinstance(packet, Data):
        for component in packet.components:
            if isinstance(component, Points):
                assert component.values.dtype == np.float32
                assert component.values.shape[1] in {3, 4}
    elif isinstance(packet, Reply):
        assert "\0" not in packet.text


def any_bytes(data: bytes, cuts: list[int]) -> None:
    _, came = fed(data, cuts)
    for packet in came:
        check(packet)


def damaged(packets: list[bytes], flips: list[tuple[int, int]], cuts: list[int], lost: tuple[int, int]) -> None:
    """Flip bits and take bytes out; then enough that is whole follows, and all of its end is found again."""
    data = bytearray(b"".join(packets))
    for at, bit in flips:
        data[at % len(data)] ^= 1 << bit
    begin = lost[0] % len(data)
    del data[begin : begin + lost[1]]
    tail = wire.DATA * 300  # more than what a wrong size makes it wait for, and the search after that
    codec, came = fed(bytes(data) + tail, cuts)
    for packet in came:
        check(packet)
    if codec.damaged == 0:
        assert codec.skipped_bytes == 0
    assert sum(isinstance(packet, Data) for packet in came[-100:]) == 100


FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 7)), max_size=6)
CUTS = st.lists(st.integers(0, 10**6), max_size=6)
LOST = st.tuples(st.integers(0, 10**6), st.integers(0, 40))


@given(st.binary(max_size=400), CUTS)
def test_any_bytes(data: bytes, cuts: list[int]) -> None:
    any_bytes(data, cuts)


@given(PIECES, FLIPS, CUTS, LOST)
def test_damaged_traffic(
    packets: list[bytes], flips: list[tuple[int, int]], cuts: list[int], lost: tuple[int, int]
) -> None:
    damaged(packets, flips, cuts, lost)


@given(PIECES, CUTS)
def test_whole_traffic_cut_anywhere_is_all_there(packets: list[bytes], cuts: list[int]) -> None:
    codec, came = fed(b"".join(packets), cuts)
    assert len(came) == len(packets)
    assert codec.damaged == codec.skipped_bytes == 0


@given(st.binary(max_size=600))
def test_a_datagram_is_right_or_malformed(data: bytes) -> None:
    for datagram in (data, (len(data) + 8).to_bytes(4, "little") + b"\x03\0\0\0" + data):
        try:
            check(decode_packet(memoryview(datagram)))
        except Malformed:
            continue


@given(
    st.text(max_size=300)
    | st.text(alphabet="<>/ aLbel\"'=&;NameFrequencyThe_3D12", max_size=300).map(
        lambda text: f"<Q><The_3D>{text}</The_3D><General>{text}</General></Q>"
    )
)
def test_any_parameters(text: str) -> None:
    with contextlib.suppress(BadParametersError):
        found = parse_parameters(text)
        assert all(label and label.isprintable() for label in found.labels)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(st.binary(max_size=400), CUTS)
def test_any_bytes_by_the_ten_thousand(data: bytes, cuts: list[int]) -> None:
    any_bytes(data, cuts)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=4_000, deadline=None)
@given(PIECES, FLIPS, CUTS, LOST)
def test_damaged_traffic_by_the_thousand(
    packets: list[bytes], flips: list[tuple[int, int]], cuts: list[int], lost: tuple[int, int]
) -> None:
    damaged(packets, flips, cuts, lost)
