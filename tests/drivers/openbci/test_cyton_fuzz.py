"""The Cyton's packets on a line that cuts, flips and adds: a damaged packet is lost alone, nothing is made up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.openbci.cyton_codec import SIZE, PacketSplitter, packet_bytes, packets_of
from drivers.openbci.cyton_samples import SampleBuilder


def traffic(rng: np.random.Generator, count: int, first: int = 0) -> list[bytes]:
    """Return packets whose bytes are any, as of channels full of noise."""
    raw = rng.integers(-(2**23), 2**23, (count, 8))
    aux = rng.bytes(6 * count)
    return [packet_bytes(first + i, raw[i], aux[6 * i : 6 * i + 6], 0) for i in range(count)]


def fed(splitter: PacketSplitter, data: bytes, ends: list[int]) -> list[tuple[int, bytes]]:
    """Feed ``data`` cut at ``ends``; return number and channels of each packet found."""
    found = []
    for begin, end in itertools.pairwise([0, *sorted(ends), len(data)]):
        packets = splitter.feed(data[begin:end])
        found += [(int(n), raw.tobytes()) for n, raw in zip(packets.number, packets.raw, strict=True)]
        assert len(splitter._rest) < 4 * SIZE  # bounded, whatever comes
    return found


def packets_in(pieces: list[bytes]) -> list[tuple[int, bytes]]:
    whole = packets_of(b"".join(pieces))
    return [(int(n), raw.tobytes()) for n, raw in zip(whole.number, whole.raw, strict=True)]


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_any_bytes_in_any_pieces(data: bytes, cuts: list[int]) -> None:
    splitter = PacketSplitter()
    found = fed(splitter, data, [cut for cut in cuts if cut < len(data)])
    assert len(found) * SIZE + splitter.skipped + len(splitter._rest) == len(data)
    # whatever the pieces, each packet is there in the bytes
    for number, _ in found:
        assert bytes((0xA0, number)) in data


@given(st.integers(0, 2**32), st.integers(0, 255), st.lists(st.integers(0, 20 * SIZE), max_size=30))
def test_whole_traffic_is_found_whole_however_it_comes(seed: int, first: int, cuts: list[int]) -> None:
    pieces = traffic(np.random.default_rng(seed), 20, first)
    splitter = PacketSplitter()
    found = fed(splitter, b"".join(pieces), cuts)
    held = len(splitter._rest) // SIZE  # one that only what follows will tell
    assert [number for number, _ in found] == [(first + i) % 256 for i in range(20 - held)]
    assert splitter.skipped == 0


def _one_damaged(rng: np.random.Generator, how: str, place: int) -> tuple[list[bytes], int]:
    pieces = traffic(rng, 12, int(rng.integers(256)))
    bad = pieces[5]
    if how == "cut":
        length = int(rng.integers(1, SIZE - 1))
        begin = min(place, SIZE - length)
        pieces[5] = bad[:begin] + bad[begin + length :]
    elif how == "start":
        pieces[5] = bytes((bad[0] ^ (1 << place % 8),)) + bad[1:]
    elif how == "stop":
        pieces[5] = bad[:-1] + bytes((bad[-1] ^ (1 << 3 + place % 5),))
    else:
        pieces[5] = bad[:place] + rng.bytes(int(rng.integers(1, 40))) + bad[place:]
    return pieces, 5


@pytest.mark.parametrize("how", ["cut", "start", "stop", "added"])
@pytest.mark.parametrize("place", range(SIZE))
def test_a_damaged_packet_is_lost_alone(how: str, place: int) -> None:
    rng = np.random.default_rng((place, len(how)))
    for _ in range(10):
        pieces, bad = _one_damaged(rng, how, place)
        true = packets_in([*pieces[:bad], *pieces[bad + 1 :]])
        splitter = PacketSplitter()
        data = b"".join(pieces)
        found = fed(splitter, data, rng.integers(0, len(data), 6).tolist())
        if how == "added" and place == 0:  # between two packets: either may be the one that it was put into
            found = [packet for packet in found if packet[0] not in {pieces[bad][-32], pieces[bad - 1][1]}]
            true.pop(bad - 1)
        assert found in (true, true[:-1])  # the last may be held until more comes
        assert splitter.skipped > 0


def test_how_often_a_damaged_packet_costs_more_than_itself() -> None:
    """There is no checksum: bytes of a cut packet and of the next may look like one. It must stay rare."""
    rng = np.random.default_rng(20260817)
    wrong = lost = 0
    tries = 3000
    for _ in range(tries):
        pieces, bad = _one_damaged(rng, "cut", int(rng.integers(1, SIZE)))
        true = set(packets_in([*pieces[:bad], *pieces[bad + 1 :]]))
        found = fed(PacketSplitter(), b"".join(pieces), [])
        wrong += sum(packet not in true for packet in found)
        lost += len(true) - sum(packet in true for packet in found)
    assert wrong <= 3
    assert lost <= 3


@given(st.integers(0, 2**32), st.data())
def test_flipped_bits_add_no_packet_and_the_rest_is_found(seed: int, data: st.DataObject) -> None:
    pieces = traffic(np.random.default_rng(seed), 10)
    stream = bytearray(b"".join(pieces))
    flips = data.draw(st.lists(st.integers(0, len(stream) * 8 - 1), max_size=6))
    for flip in flips:
        stream[flip // 8] ^= 1 << flip % 8
    splitter = PacketSplitter()
    found = fed(splitter, bytes(stream), [])
    assert len(found) <= 10
    hurt = {flip // 8 // SIZE for flip in flips}
    untouched = [i for i in range(10) if not hurt & {i - 1, i, i + 1}]
    numbers = [number for number, _ in found]
    assert len([i for i in untouched[:-1] if i not in numbers]) == 0


@given(st.lists(st.binary(max_size=120), max_size=20), st.integers(0, 2**32))
def test_garbage_between_packets_never_raises(garbage: list[bytes], seed: int) -> None:
    rng = np.random.default_rng(seed)
    splitter = PacketSplitter()
    builders = (SampleBuilder([24] * 8, range(8)), SampleBuilder([24] * 16, range(16)))
    last = [-1, -1]
    for piece in garbage:
        kind = int(rng.integers(7))
        packet = packet_bytes(int(rng.integers(256)), rng.integers(-(2**23), 2**23, 8), rng.bytes(6), kind)
        packets = splitter.feed(packet + piece)
        for place, builder in enumerate(builders):
            samples, accelerations = builder.take_in(packets)
            if samples is not None:
                assert (np.diff(samples.counters) > 0).all()
                assert samples.counters[0] > last[place]
                assert np.isfinite(samples.values).all()
                last[place] = int(samples.counters[-1])
            if accelerations is not None:
                assert len(accelerations.counters) == len(accelerations.values) <= 60
    resumed = traffic(rng, 8, int(rng.integers(256)))
    numbers = [int(n) for piece in resumed for n in splitter.feed(piece).number]
    assert numbers[-4:] == [piece[1] for piece in resumed[-len(numbers) :]][-4:]
    assert len(numbers) >= 4  # it has found the packets again


@pytest.mark.slow
@settings(max_examples=10_000)
@given(st.binary(max_size=400), st.integers(0, 2**32), st.lists(st.integers(0, 400), max_size=8))
def test_ten_thousand_times(data: bytes, seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    mixed = b"".join(traffic(rng, 3)) + data + b"".join(traffic(rng, 9, 3))
    splitter = PacketSplitter()
    found = fed(splitter, mixed, [cut for cut in cuts if cut < len(mixed)])
    assert len(found) * SIZE + splitter.skipped + len(splitter._rest) == len(mixed)
    assert found[0][0] == 0
    numbers = [number for number, _ in found]
    assert [n for n in numbers if n in {7, 8, 9, 10}][-4:] == [7, 8, 9, 10]
