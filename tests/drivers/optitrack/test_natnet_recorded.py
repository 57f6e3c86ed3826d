"""Packets and a capture of a real Motive 2.1 (NatNet 3.0, 120 Hz): read, written back, and beside another client."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from drivers.host_clock import LslClock
from drivers.optitrack.frame_codec import MocapFrame
from drivers.optitrack.layout import RowFiller, layout_of
from drivers.optitrack.model_codec import BodyModel, Models
from drivers.optitrack.natnet import OptitrackNatNet
from drivers.optitrack.natnet_codec import Echo, NatNetCodec, Response, ServerInfo, Unrecognized, echo_request
from drivers.optitrack.natnet_encoder import encode_echo, encode_frame
from drivers.optitrack.natnet_session import NatNetConfig
from drivers.optitrack.wire import Version

V3 = Version(3, 0)
_PACKET_BLOCK, _HEADER_BYTES, _IPV4, _UDP = 6, 28, 0x0800, 17


@pytest.fixture
def natnet_folder(data_folder: Path) -> Path:
    return data_folder / "natnet"


def datagrams(path: Path) -> Iterator[tuple[float, int, bytes]]:
    """Time in seconds, destination port and payload of the UDP datagrams of a capture with Ethernet frames."""
    data, offset = path.read_bytes(), 0
    while offset < len(data):
        kind, length = struct.unpack_from("<II", data, offset)
        if kind == _PACKET_BLOCK:
            _, high, low, size = struct.unpack_from("<IIII", data, offset + 8)
            packet = data[offset + _HEADER_BYTES : offset + _HEADER_BYTES + size]
            if struct.unpack_from(">H", packet, 12)[0] == _IPV4 and packet[23] == _UDP:
                udp = 14 + (packet[14] & 15) * 4
                _, port, length_udp = struct.unpack_from(">HHH", packet, udp)
                yield (high << 32 | low) * 1e-6, port, packet[udp + 8 : udp + length_udp]
        offset += length


def test_the_published_packets(natnet_folder: Path) -> None:
    codec = NatNetCodec()
    info = codec.feed((natnet_folder / "serverinfo_packet_v3.bin").read_bytes())
    assert info == ServerInfo("Motive", "2.1.0.0", V3, 3_312_787, 1511, multicast=True, group="239.255.42.99")
    assert (natnet_folder / "echorequest_packet_v3.bin").read_bytes() == echo_request(278554190)
    reply = (natnet_folder / "echoresponse_packet_v3.bin").read_bytes()
    assert codec.feed(reply) == Echo(278554190, 1416498545924)
    assert encode_echo(Echo(278554190, 1416498545924)) == reply
    models = codec.feed((natnet_folder / "modeldef_packet_v3.bin").read_bytes())
    assert isinstance(models, Models)
    layout = layout_of(models)
    assert layout.markers == tuple(f"RaceQuad:Marker{number}" for number in range(1, 6))
    assert layout.bodies == ("RaceQuad",)
    data = (natnet_folder / "mocapframe_packet_v3.bin").read_bytes()
    frame = codec.feed(data)
    assert isinstance(frame, MocapFrame)
    assert encode_frame(frame, V3) == data
    assert (frame.number, frame.mid_exposure_ticks, frame.sent_ticks) == (162734, 1416497730518, 1416497748722)
    filler = RowFiller(layout, 1.0)
    assert filler.fits(frame)
    row = filler.markers(frame)
    np.testing.assert_allclose(row[:3], [0.12721622, 1.5050275, -0.8858284], rtol=1e-6)
    np.testing.assert_allclose(row[15], 0.00020748, rtol=1e-4)
    np.testing.assert_allclose(
        filler.bodies(frame),
        [0.17444664, 1.4471314, -0.734304, -0.8573577, -0.05459423, 0.5099482, 0.04370357, 0.00051522],
        rtol=1e-5,
    )
    assert not codec.skipped


def test_an_occluded_marker_whose_position_was_made_up_is_missing(natnet_folder: Path) -> None:
    codec = NatNetCodec(V3)
    data = (natnet_folder / "mocapframe_packet_occluded_v3.bin").read_bytes()
    frame = codec.feed(data)
    assert isinstance(frame, MocapFrame)
    assert encode_frame(frame, V3) == data
    filler = RowFiller(layout_of(Models(bodies=(BodyModel("FakeTree", 7, -1, ("",) * 5),))), 1.0)
    row = filler.markers(frame).reshape(-1)
    missing = np.isnan(row[:15].reshape(5, 3)).all(axis=1)
    assert missing.tolist() == [True, True, False, False, False]  # the first is not sent, the second occluded


def test_every_datagram_of_the_capture(natnet_folder: Path) -> None:
    codec = NatNetCodec()
    seen: dict[type, int] = {}
    frames: list[tuple[float, MocapFrame]] = []
    asked: dict[int, float] = {}
    offsets, trips = [], []
    for time_s, port, payload in datagrams(natnet_folder / "traffic.pcapng"):
        if port == 1510:
            if payload[:2] == b"\x0c\x00":
                asked[struct.unpack_from("<Q", payload, 4)[0]] = time_s
            continue
        packet = codec.feed(payload)
        seen[type(packet)] = seen.get(type(packet), 0) + 1
        if isinstance(packet, MocapFrame):
            assert encode_frame(packet, V3) == payload
            frames.append((time_s, packet))
        elif isinstance(packet, Echo):
            trips.append(time_s - asked[packet.token])
            offsets.append((time_s + asked[packet.token]) / 2 - packet.ticks / 3_312_787)
    assert not codec.skipped
    assert seen == {ServerInfo: 2, Response: 3, Unrecognized: 1, Echo: 9, Models: 1, MocapFrame: 518}
    numbers = np.array([frame.number for _, frame in frames])
    assert (np.diff(numbers) == 1).all()
    exposure_s = np.array([frame.mid_exposure_ticks for _, frame in frames]) / 3_312_787
    np.testing.assert_allclose(np.diff(exposure_s), 1 / 120, atol=2e-4)
    # what the echoes say puts the exposure before the arrival, by what a camera and a network take
    best = int(np.argmin(trips))
    assert 0 < trips[best] < 2e-3
    age_s = np.array([time_s for time_s, _ in frames]) - exposure_s - offsets[best]
    assert 0.003 < np.median(age_s) < 0.010
    assert np.ptp(offsets) < 0.5 * max(trips) + 1e-3


class RecordedMotive:
    """Sends a capture again: answers as the server did, and its frames, one each 2 ms, to the group over loopback."""

    def __init__(self, path: Path) -> None:
        codec = NatNetCodec()
        self.frames: list[bytes] = []
        self._answers: dict[int, bytes] = {}
        for _, port, payload in datagrams(path):
            kind = struct.unpack_from("<H", payload)[0]
            if port == 1511:
                self.frames.append(payload)
            elif isinstance(codec.feed(payload) if kind in (1, 3, 5, 100) else None, (ServerInfo, Models)):
                self._answers[{1: 0, 5: 4}[kind]] = payload
        self._answers[2] = struct.pack("<HHf", 3, 4, 120.0)
        self._stop = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self) -> RecordedMotive:  # noqa: PYI034 - Self is not in the typing of Python 3.10
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.data_port = probe.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, name="recorded")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    @property
    def reach(self) -> dict[str, object]:
        port = self._socket.getsockname()[1]
        return {"host": "127.0.0.1", "command_port": port, "interface": "127.0.0.1", "data_port": self.data_port}

    def _serve(self) -> None:
        left = iter(self.frames)
        asked_models = False
        while not self._stop.is_set():
            if select.select([self._socket], [], [], 0.002)[0]:
                data, client = self._socket.recvfrom(65535)
                kind = struct.unpack_from("<H", data)[0]
                asked_models = asked_models or kind == 2  # the driver listens by then
                if kind == 2 and not data.startswith(b"FrameRate", 4):
                    self._socket.sendto(b"\x64\0\0\0", client)
                elif kind in self._answers:
                    self._socket.sendto(self._answers[kind], client)
            elif asked_models and (frame := next(left, None)) is not None:
                self._socket.sendto(frame, ("239.255.42.99", self.data_port))


def test_the_driver_reads_the_recorded_motive_over_multicast(natnet_folder: Path) -> None:
    with RecordedMotive(natnet_folder / "traffic.pcapng") as recorded:
        driver = OptitrackNatNet(NatNetConfig.model_validate(recorded.reach), LslClock())
        driver.open()
        markers, bodies, echo = driver.streams()
        assert (markers.name, bodies.name, echo.name) == ("markers", "rigid_bodies", "echo")
        assert (markers.rate_hz, markers.details["server"], markers.details.get("axis_up")) == (
            120.0,
            "Motive 2.1.0.0",
            None,
        )
        assert driver.remarks == ("Motive at 127.0.0.1 does not say its unit of length; metres are taken",)
        found = {"markers": [], "rigid_bodies": []}
        last = struct.unpack_from("<I", recorded.frames[-1], 4)[0]
        while not found["rigid_bodies"] or found["rigid_bodies"][-1].counters[-1] < last:
            chunk = driver.read()
            if chunk is not None:
                found[chunk.stream].append(chunk)
        driver.close()
    counted = [int(chunk.counters[0]) for chunk in found["markers"]]
    assert counted == list(range(counted[0], last + 1))
    assert len(counted) > 200
    codec = NatNetCodec(V3)
    by_number = {frame.number: frame for frame in map(codec.feed, recorded.frames) if isinstance(frame, MocapFrame)}
    for chunk in found["markers"]:
        frame = by_number[int(chunk.counters[0])]
        assert chunk.device_time_s == frame.mid_exposure_ticks / 3_312_787
        quad = frame.markers[frame.markers["id"] >> 16 == 2]
        np.testing.assert_array_equal(chunk.values[0, :15].reshape(5, 3), quad["position"])
        np.testing.assert_array_equal(chunk.values[0, 15:], quad["residual"])


def test_beside_another_client_byte_for_byte(natnet_folder: Path) -> None:
    pytest.importorskip("natnet", reason="natnet is not installed; it is in the extra 'test'")
    from natnet.data_frame import DataFrame
    from natnet.packet_buffer import PacketBuffer
    from natnet.version import Version as OtherVersion

    codec = NatNetCodec(V3)
    packets = [payload for _, port, payload in datagrams(natnet_folder / "traffic.pcapng") if port == 1511]
    packets.append((natnet_folder / "mocapframe_packet_occluded_v3.bin").read_bytes())
    for payload in packets:
        ours = codec.feed(payload)
        assert isinstance(ours, MocapFrame)
        theirs = DataFrame.read_from_buffer(PacketBuffer(payload[4:]), OtherVersion(3, 0))
        assert ours.number == theirs.prefix.frame_number
        assert [name for name, _ in ours.marker_sets] == [each.model_name for each in theirs.marker_sets]
        for (_, positions), other in zip(ours.marker_sets, theirs.marker_sets, strict=True):
            np.testing.assert_array_equal(positions, other.marker_pos_list)
        np.testing.assert_array_equal(ours.unlabelled, np.reshape(theirs.unlabeled_marker_pos, (-1, 3)))
        for body, other in zip(ours.bodies, theirs.rigid_bodies, strict=True):
            assert (body["id"], *body["position"], *body["turn"]) == (other.id_num, *other.pos, *other.rot)
            assert (body["error"], bool(body["flags"] & 1)) == (other.marker_error, other.tracking_valid)
        for marker, other in zip(ours.markers, theirs.labeled_markers, strict=True):
            assert (marker["id"], *marker["position"], marker["size"]) == (other.id_num, *other.pos, other.size)
            assert (marker["flags"], marker["residual"]) == (other.param, other.residual)
        suffix = theirs.suffix
        assert ours.time_code == (suffix.timecode, suffix.timecode_sub)
        assert ours.time_s == suffix.timestamp
        assert ours.mid_exposure_ticks == suffix.stamp_camera_mid_exposure
        assert ours.received_ticks == suffix.stamp_data_received
        assert ours.sent_ticks == suffix.stamp_transmit
        assert ours.flags == suffix.param
