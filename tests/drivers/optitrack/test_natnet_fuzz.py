"""Hostile datagrams: nothing raises, nothing comes out that did not pass its checks, and memory stays small."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import wire_bytes as wire
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.optitrack.frame_codec import BODY, MARKER, MocapFrame, Skeleton
from drivers.optitrack.layout import RowFiller, layout_of
from drivers.optitrack.model_codec import Models
from drivers.optitrack.natnet_codec import NatNetCodec
from drivers.optitrack.natnet_encoder import encode_frame, encode_models
from drivers.optitrack.wire import Version
from lab.errors import DeviceError

VERSIONS = [Version(2, 1), Version(2, 5), Version(2, 10), Version(3, 1), Version(4, 0), Version(4, 1), Version(4, 2)]
VALID = [wire.frame_21(), wire.frame_25(), wire.frame_210(), wire.frame_31(), wire.frame_41(), wire.models_210()]
VALID += [wire.models_31(), wire.models_41(), wire.server_info((3, 1)), wire.datagram(13, bytes(16))]


def read(codec: NatNetCodec, datagram: bytes) -> None:
    """Read as a driver would: what comes out of a codec must be good for all that follows."""
    packet = codec.feed(datagram)
    if isinstance(packet, MocapFrame):
        assert len(packet.markers) * MARKER.itemsize <= 2 * len(datagram)
        assert len(packet.bodies) * BODY.itemsize <= 2 * len(datagram)
        filler = RowFiller(layout_of(Models()), 1.0)
        assert filler.markers(packet).shape == (0,)
        filler.fits(packet)
    elif isinstance(packet, Models):
        try:
            layout = layout_of(packet)
        except DeviceError:
            return
        else:
            assert len(layout.marker_channels()) == 4 * len(layout.markers)


def damaged(data: st.DataObject) -> bytes:
    datagram = bytearray(data.draw(st.sampled_from(VALID)))
    how = data.draw(st.sampled_from(["cut", "flip", "splice", "rubbish", "huge"]))
    if how == "cut":
        datagram = datagram[: data.draw(st.integers(0, len(datagram)))]
    elif how == "flip":
        for _ in range(data.draw(st.integers(1, 5))):
            datagram[data.draw(st.integers(0, len(datagram) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    elif how == "splice":
        other = data.draw(st.sampled_from(VALID))
        at = data.draw(st.integers(0, len(datagram)))
        datagram = datagram[:at] + other[data.draw(st.integers(0, len(other))) :]
    elif how == "huge":
        at = 4 + 4 * data.draw(st.integers(0, (len(datagram) - 8) // 4))
        datagram[at : at + 4] = data.draw(st.sampled_from([b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x40"]))
    else:
        datagram = bytearray(data.draw(st.binary(max_size=600)))
    if data.draw(st.booleans()) and len(datagram) >= 4:  # a right length lets the damage reach what lies behind it
        datagram[2:4] = (len(datagram) - 4).to_bytes(2, "little")
    return bytes(datagram)


@given(st.data(), st.sampled_from(VERSIONS))
def test_damaged_datagrams(data: st.DataObject, version: Version) -> None:
    codec = NatNetCodec(version)
    for _ in range(data.draw(st.integers(1, 5))):
        read(codec, damaged(data))
    codec.version = Version(3, 1)
    assert isinstance(codec.feed(wire.frame_31()), MocapFrame)  # nothing of before is left


@pytest.mark.slow
@settings(max_examples=15_000, deadline=None)
@given(st.data(), st.sampled_from(VERSIONS))
def test_damaged_datagrams_by_the_ten_thousand(data: st.DataObject, version: Version) -> None:
    read(NatNetCodec(version), damaged(data))


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_datagram_cut_at_every_byte_is_counted_and_no_frame(version: Version) -> None:
    whole = next(datagram for datagram in VALID[:5] if isinstance(NatNetCodec(version).feed(datagram), MocapFrame))
    codec = NatNetCodec(version)
    for length in range(len(whole)):
        assert codec.feed(whole[:length]) is None  # its header says another length
    assert sum(codec.skipped.values()) == len(whole)
    # with a header that fits, versions before 3 cannot tell a suffix without its latency from one that was cut
    for length in range(4, len(whole) if version >= Version(3, 0) else len(whole) - 24):
        assert codec.feed(wire.datagram(7, whole[4:length])) is None


@pytest.mark.slow
def test_counts_that_would_take_gigabytes_take_nothing() -> None:
    tracemalloc.start()
    try:
        for version in VERSIONS:
            codec = NatNetCodec(version)
            for datagram in VALID:
                for at in range(4, len(datagram) - 4):
                    read(codec, datagram[:at] + b"\xff\xff\xff\x0f" + datagram[at + 4 :])
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_endless_kinds_of_failure_cost_bounded_memory() -> None:
    codec = NatNetCodec(Version(3, 1))
    for kind in range(7, 3000):
        assert codec.feed(wire.datagram(5, wire.pack("II", 1, kind) + b"xxxx")) is None
    assert len(codec.skipped) <= 51
    assert sum(codec.skipped.values()) == 2993


finite = st.floats(-1e6, 1e6, width=32)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@st.composite
def frames(draw: st.DrawFn) -> MocapFrame:
    def positions(count: int) -> np.ndarray:
        return np.array(draw(st.lists(finite, min_size=3 * count, max_size=3 * count)), "<f4").reshape(count, 3)

    def items(kind: np.dtype, most: int) -> np.ndarray:
        found = np.zeros(draw(st.integers(0, most)), kind)
        found["position"] = positions(len(found))
        found["id"] = draw(st.lists(st.integers(0, 2**31 - 1), min_size=len(found), max_size=len(found)))
        found["flags"] = draw(st.integers(0, 63))
        return found

    sets = tuple((draw(names), positions(draw(st.integers(0, 3)))) for _ in range(draw(st.integers(0, 2))))
    u64 = st.integers(0, 2**64 - 1)
    return MocapFrame(
        number=draw(st.integers(0, 2**32 - 1)),
        marker_sets=sets,
        unlabelled=positions(draw(st.integers(0, 3))),
        bodies=items(BODY, 3),
        skeletons=tuple(Skeleton(number, items(BODY, 2)) for number in range(draw(st.integers(0, 2)))),
        assets=(Skeleton(draw(st.integers(0, 2**32 - 1)), items(BODY, 2), items(MARKER, 2)),),
        markers=items(MARKER, 4),
        time_code=(draw(st.integers(0, 2**32 - 1)), 3),
        time_s=draw(st.floats(0, 1e9)),
        mid_exposure_ticks=draw(u64),
        received_ticks=draw(u64),
        sent_ticks=draw(u64),
        flags=draw(st.integers(0, 7)),
    )


@given(frames(), st.sampled_from(VERSIONS[3:]))
def test_what_is_written_is_what_is_read(frame: MocapFrame, version: Version) -> None:
    read_back = NatNetCodec(version).feed(encode_frame(frame, version))
    assert isinstance(read_back, MocapFrame)
    assert encode_frame(read_back, version) == encode_frame(frame, version)
    np.testing.assert_array_equal(read_back.markers, frame.markers)
    np.testing.assert_array_equal(read_back.bodies, frame.bodies)
    assert [name for name, _ in read_back.marker_sets] == [name for name, _ in frame.marker_sets]


@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_models_written_and_read(version: Version) -> None:
    first = NatNetCodec(Version(4, 1)).feed(wire.models_41())
    assert isinstance(first, Models)
    codec = NatNetCodec(version)
    read_back = codec.feed(encode_models(first, version))
    assert isinstance(read_back, Models), codec.skipped
    assert read_back.marker_sets == first.marker_sets
    assert [body.name for body in read_back.bodies] == ["Bar"]
