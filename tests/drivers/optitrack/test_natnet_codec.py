"""Every field of every version against bytes that were put together by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import wire_bytes as wire

from drivers.optitrack.frame_codec import MocapFrame
from drivers.optitrack.model_codec import BodyModel, Models, SkeletonModel
from drivers.optitrack.natnet_codec import (
    Echo,
    NatNetCodec,
    Response,
    ServerInfo,
    Unrecognized,
    echo_request,
    hello,
    request,
)
from drivers.optitrack.wire import Message, Version


def frame_of(datagram: bytes, major: int, minor: int) -> MocapFrame:
    codec = NatNetCodec(Version(major, minor))
    frame = codec.feed(datagram)
    assert isinstance(frame, MocapFrame), codec.skipped
    return frame


def models_of(datagram: bytes, major: int, minor: int) -> Models:
    codec = NatNetCodec(Version(major, minor))
    models = codec.feed(datagram)
    assert isinstance(models, Models), codec.skipped
    return models


def check_what_all_have(frame: MocapFrame) -> None:
    assert frame.number == 4711
    ((name, positions),) = frame.marker_sets
    assert name == "Leg"
    np.testing.assert_array_equal(positions, [[1, 2, 3], [0, 0, 0]])
    np.testing.assert_array_equal(frame.unlabelled, [[7, 8, 9]])
    body = frame.bodies[0]
    assert body["id"] == 5
    np.testing.assert_allclose(body["position"], [0.5, 0.25, 2])
    np.testing.assert_allclose(body["turn"], np.float32([0.1, 0.2, 0.3, 0.9]))
    assert body["error"] == 0.125
    assert body["flags"] == 1
    assert frame.time_code == (11, 12)


def check_markers_and_ticks(frame: MocapFrame) -> None:
    assert frame.bodies["flags"].tolist() == [1, 0]
    (skeleton,) = frame.skeletons
    assert (skeleton.id, skeleton.bodies["id"].tolist()) == (3, [3 << 16 | 1])
    assert frame.markers["id"].tolist() == [5 << 16 | 1, 5 << 16 | 2]
    np.testing.assert_allclose(frame.markers["position"][1], [1.5, 2.5, 3.5])
    np.testing.assert_allclose(frame.markers["size"], 0.014, rtol=1e-6)
    assert frame.markers["flags"].tolist() == [11, 10]
    np.testing.assert_allclose(frame.markers["residual"], [0, 0.0005], rtol=1e-6)
    assert frame.time_s == 100.125
    assert (frame.mid_exposure_ticks, frame.received_ticks, frame.sent_ticks) == (10**12, 10**12 + 5, 10**12 + 9)
    assert frame.flags == 3


def test_a_frame_of_21_has_no_labelled_markers_and_a_coarse_time() -> None:
    frame = frame_of(wire.frame_21(), 2, 1)
    check_what_all_have(frame)
    assert not len(frame.markers)
    assert math.isnan(frame.time_s)
    assert frame.flags == 0


def test_a_frame_of_25_has_markers_without_flags() -> None:
    frame = frame_of(wire.frame_25(), 2, 5)
    check_what_all_have(frame)
    assert frame.markers["flags"].tolist() == [0, 1]  # what stands at the origin is away
    assert np.isnan(frame.markers["residual"]).all()


@pytest.mark.parametrize("suffix", [wire.SUFFIX_27, wire.SUFFIX_27_WITHOUT_LATENCY])
def test_a_frame_of_210_with_and_without_software_latency(suffix: bytes) -> None:
    frame = frame_of(wire.frame_210(suffix), 2, 10)
    check_what_all_have(frame)
    assert frame.markers["flags"].tolist() == [10]
    assert (frame.time_s, frame.flags) == (100.125, 3)
    assert frame.mid_exposure_ticks == 0


def test_a_frame_of_31() -> None:
    frame = frame_of(wire.frame_31(), 3, 1)
    check_what_all_have(frame)
    check_markers_and_ticks(frame)
    assert frame.assets == ()


@pytest.mark.parametrize("minor", [1, 2])
def test_a_frame_of_41_has_sizes_assets_and_precision_time(minor: int) -> None:
    frame = frame_of(wire.frame_41(), 4, minor)
    check_what_all_have(frame)
    check_markers_and_ticks(frame)
    (asset,) = frame.assets
    assert (asset.id, asset.bodies["id"].tolist(), asset.markers["id"].tolist()) == (4, [5], [5 << 16 | 2])


def test_sections_that_are_not_known_are_stepped_over_by_their_size() -> None:
    more = wire.sized(3, b"x" * 31) + wire.sized(1, b"")
    check_markers_and_ticks(frame_of(wire.frame_41(more), 4, 1))


def test_a_longer_suffix_still_has_its_flags_at_the_end() -> None:
    longer = wire.SUFFIX_41[:-6] + b"\xff\xff\xff" + wire.SUFFIX_41[-6:]
    check_markers_and_ticks(frame_of(wire.frame_41(suffix=longer), 4, 1))


def test_models_of_210_have_no_markers_in_bodies() -> None:
    models = models_of(wire.models_210(), 2, 10)
    assert models == Models((("Leg", ("Knee", "Ankle")),), (BodyModel("Bar", 5, -1, ()),))


def test_models_of_31() -> None:
    models = models_of(wire.models_31(), 3, 1)
    assert models.bodies == (BodyModel("Bar", 5, -1, ("", "")),)
    assert models.skeletons == (SkeletonModel("Fred", 3, (BodyModel("Hip", 1, 0, ()),)),)
    assert models.cameras == ("Prime #1",)
    assert models.analogue == ("SN1", "NI")


@pytest.mark.parametrize("short_by", [0, 5])
@pytest.mark.parametrize(("minor", "body"), [(1, wire.BODY_MODEL_4), (2, wire.BODY_MODEL_42)])
def test_models_of_4_whatever_their_sizes_say(minor: int, body: bytes, short_by: int) -> None:
    models = models_of(wire.models_41(body=body, short_by=short_by), 4, minor)
    assert models.marker_sets == (("Leg", ("Knee", "Ankle")),)
    assert models.bodies == (BodyModel("Bar", 5, -1, ("Left", "Right")),)
    assert models.assets == (SkeletonModel("Suit", 4, (), ((1, "Nose"), (4 << 16 | 2, "Chin"))),)


def test_server_info_and_what_it_does_to_later_packets() -> None:
    codec = NatNetCodec()
    assert codec.feed(wire.frame_31()) is None
    assert codec.skipped == {"before the server said its version": 1}
    info = codec.feed(wire.server_info((3, 1)))
    assert info == ServerInfo(
        "Motive", "3.1.0.4", Version(3, 1), 10_000_000, 1511, multicast=True, group="239.255.42.99"
    )
    assert isinstance(codec.feed(wire.frame_31()), MocapFrame)
    assert codec.feed(wire.server_info((2, 10))) == ServerInfo("Motive", "3.1.0.4", Version(2, 10))


def test_small_messages() -> None:
    codec = NatNetCodec()
    assert codec.feed(wire.datagram(13, wire.pack("QQ", 2**63, 77))) == Echo(2**63, 77)
    rate = codec.feed(wire.datagram(3, wire.pack("f", 120.0)))
    assert isinstance(rate, Response)
    assert rate.as_float() == 120.0
    axis = codec.feed(wire.datagram(3, wire.pack("i", 2)))
    assert isinstance(axis, Response)
    assert axis.as_int() == 2
    text = codec.feed(wire.datagram(3, b"hello\0"))
    assert isinstance(text, Response)
    assert text.as_float() is None
    assert text.as_int() is None
    assert codec.feed(wire.datagram(100, b"")) == Unrecognized()
    assert codec.feed(wire.datagram(0x100, b"")) == Unrecognized()
    assert codec.feed(wire.datagram(8, b"a text\0")) is None
    assert not codec.skipped


def test_requests() -> None:
    assert request("FrameRate") == b"\x02\x00\x0a\x00FrameRate\0"
    assert echo_request(0x109A664E) == bytes.fromhex("0c000800 4e669a10 00000000")
    connect = hello()
    assert connect[:4] == bytes.fromhex("00000801")
    assert len(connect) == 268
    assert connect[4:17] == b"flex-capture\0"
    assert hello(Message.DISCOVERY)[:4] == bytes.fromhex("0e000801")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (wire.pack("II", 1, 2**32 - 1), "a count beyond its end"),
        (wire.pack("II", 1, 1) + b"x" * 2000, "a text without an end"),
        (wire.pack("III", 1, 0, 2**30) + bytes(64), "a count beyond its end"),
        (wire.pack("I", 1), "too short"),
        (b"", "too short"),
        (wire.frame_31()[4:] + b"\0", "a suffix of the wrong length"),
        (wire.frame_31()[4:-1], "a suffix of the wrong length"),
    ],
)
def test_frames_that_fail_their_checks_are_counted_by_reason(payload: bytes, reason: str) -> None:
    codec = NatNetCodec(Version(3, 1))
    assert codec.feed(wire.datagram(7, payload)) is None
    assert codec.skipped == {reason: 1}


def test_a_header_that_lies_about_its_length_is_no_packet() -> None:
    codec = NatNetCodec(Version(3, 1))
    assert codec.feed(wire.frame_31()[:-1]) is None
    assert codec.feed(b"\x07") is None
    assert codec.skipped == {"another length than it says": 1, "too short": 1}
