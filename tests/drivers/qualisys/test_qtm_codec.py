"""QTM's packets, byte for byte as Qualisys' document has them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import qtm_bytes as wire

from drivers.qualisys.rt_codec import COMMAND, ERROR, XML, Data, Event, NoMoreData, Other, Reply, RtCodec, decode_packet
from drivers.qualisys.rt_components import Analog, Force, Malformed, Points, Skeletons, decode_component


def test_texts_events_and_the_end() -> None:
    assert RtCodec().feed(b"".join((wire.GREETING, wire.NOT_SUPPORTED, wire.XML, wire.NO_MORE_DATA))) == [
        Reply(COMMAND, "QTM RT Interface connected."),
        Reply(ERROR, "Version NOT supported"),
        Reply(XML, "<a/>"),
        NoMoreData(),
    ]
    assert RtCodec().feed(wire.CAPTURE_STARTED) == [Event(3)]


def test_a_text_may_be_of_windows() -> None:
    body = "Rygg höger\0".encode("cp1252")
    assert RtCodec().feed(struct.pack("<II", 8 + len(body), 1) + body) == [Reply(COMMAND, "Rygg höger")]


def test_a_frame_with_every_component() -> None:
    (frame,) = RtCodec().feed(wire.DATA)
    assert isinstance(frame, Data)
    assert (frame.timestamp_us, frame.frame) == (1_000_000, 201)
    points, residual, analog, force, skeletons = frame.components  # the unknown one is passed over

    assert isinstance(points, Points)
    assert (points.drop_permille, points.out_of_sync_permille) == (5, 7)
    np.testing.assert_array_equal(points.values[:2], [[1.0, 2.0, 3.0], [-1.5, 0.25, 1000.0]])
    assert np.isnan(points.values[2]).all()

    assert isinstance(residual, Points)
    np.testing.assert_array_equal(residual.values[0], [1.0, 2.0, 3.0, 0.5])
    assert np.isnan(residual.values[1]).all()

    assert isinstance(analog, Analog)
    (device,) = analog.devices
    assert (device.number, device.first) == (1, 100)
    np.testing.assert_array_equal(device.values, [[1, -1], [2, -2], [3, -3]])

    assert isinstance(force, Force)
    (plate,) = force.plates
    assert (plate.number, plate.first) == (2, 42)
    np.testing.assert_array_equal(plate.values, [[1, 2, 3, 4, 5, 6, 7, 8, 9]])

    assert isinstance(skeletons, Skeletons)
    (numbers, poses), (unseen, _) = skeletons.segments
    assert numbers.tolist() == [752]
    np.testing.assert_array_equal(poses, [[1.0, 2.0, 3.0, 0.5, 0.0, 0.0, 1.0]])
    assert not len(unseen)


def test_an_empty_analogue_device_may_be_numbered_or_not() -> None:
    for component in (wire.ANALOG, wire.ANALOG_NUMBERED):
        analog = decode_component(3, memoryview(component)[8:])
        assert isinstance(analog, Analog)
        assert [(device.number, device.first) for device in analog.devices] == [(1, 100)]


def test_a_file_is_known_by_its_size_alone() -> None:
    assert RtCodec().feed(struct.pack("<II", 12, 5) + b"c3d!" + wire.NO_MORE_DATA) == [Other(5), NoMoreData()]


@pytest.mark.parametrize("packet", wire.ALL)
def test_cut_anywhere_it_is_the_same(packet: bytes) -> None:
    whole = RtCodec().feed(packet + wire.NO_MORE_DATA)
    for at in range(1, len(packet)):
        codec = RtCodec()
        assert len(codec.feed(packet[:at]) + codec.feed(packet[at:] + wire.NO_MORE_DATA)) == len(whole)
        assert codec.damaged == codec.skipped_bytes == 0


@pytest.mark.parametrize(
    ("at", "damage"),
    [
        (0, "07000000"),  # shorter than its header
        (0, "ffffffff"),  # four gigabytes
        (0, "ec010000"),  # one byte more than its components
        (4, "09000000"),  # a type that there is not
        (20, "ffffffff"),  # four billion components
        (24, "00000000"),  # a component shorter than its header
        (24, "33000000"),  # a component one byte short
        (32, "ffffffff"),  # four billion markers
        (32, "02000000"),  # fewer markers than there are bytes for
    ],
)
def test_what_is_wrong_is_passed_over_and_the_next_is_found(at: int, damage: str) -> None:
    packet = bytearray(wire.DATA)
    packet[at : at + 4] = bytes.fromhex(damage)
    codec = RtCodec()
    came = codec.feed(bytes(packet) + wire.CAPTURE_STARTED + wire.DATA * 10)  # as much as the search may wait for
    assert came[0] == Event(3)
    assert sum(isinstance(packet, Data) for packet in came) == 10
    assert codec.damaged == 1
    assert codec.skipped_bytes == len(packet)


def test_a_datagram_is_one_whole_packet() -> None:
    assert isinstance(decode_packet(memoryview(wire.DATA)), Data)
    for wrong in (b"", wire.DATA[:7], wire.DATA[:-1], wire.DATA + b"\0"):
        with pytest.raises(Malformed):
            decode_packet(memoryview(wrong))


def test_what_never_ends_costs_bounded_memory() -> None:
    codec = RtCodec()
    for _ in range(200):
        assert codec.feed(struct.pack("<II", 8 * 2**20, 2) + b"x" * 2**18) == []
        assert len(codec._buffer) <= 8 * 2**20 + 2**19
    for _ in range(200):
        codec.feed(b"\x00" * 2**16)
    assert codec.damaged
    assert codec.feed(wire.DATA * 300)
    assert len(codec._buffer) <= 2**17
