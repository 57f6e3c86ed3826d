"""The server's side of NatNet: what an emulator sends. The layout of each version stands in the codecs."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drivers.optitrack.frame_codec import BODY, MARKER, MocapFrame
from drivers.optitrack.model_codec import BodyModel, Models, SkeletonModel
from drivers.optitrack.natnet_codec import Echo, ServerInfo, message
from drivers.optitrack.wire import FLAGGED, LABELLED, SIZED, TICKING, Message, Version

_NAME_BYTES: Final = 256
_NO_POSE: Final = bytes(12)


def encode_server_info(info: ServerInfo) -> bytes:
    """Return who serves."""
    numbers = [int(part) for part in info.application_version.split(".")]
    payload = info.application.encode()[: _NAME_BYTES - 1].ljust(_NAME_BYTES, b"\0")
    payload += bytes([*numbers, *info.version, 0, 0])
    if info.version >= TICKING:
        payload += struct.pack("<QHB", info.clock_hz, info.data_port, bool(info.multicast))
        payload += socket.inet_aton(info.group or "0.0.0.0")  # noqa: S104 - no address, but none
    return message(Message.SERVER_INFO, payload)


def encode_echo(echo: Echo) -> bytes:
    """Return the answer to a request for the clock."""
    return message(Message.ECHO_RESPONSE, struct.pack("<QQ", echo.token, echo.ticks))


def encode_models(models: Models, version: Version) -> bytes:
    """Return the description of all models."""
    items: list[tuple[int, bytes]] = []
    items += [(0, _text(name) + _texts(markers)) for name, markers in models.marker_sets]
    items += [(1, _body(body, version)) for body in models.bodies]
    items += [(2, _skeleton(skeleton, version)) for skeleton in models.skeletons]
    items += [(5, _text(camera) + struct.pack("<7f", 0, 0, 2, 0, 0, 0, 1)) for camera in models.cameras]
    items += [(6, _asset(asset, version)) for asset in models.assets]
    parts = [struct.pack("<I", len(items))]
    for kind, content in items:
        parts.append(struct.pack("<I", kind))
        if version >= SIZED:
            parts.append(struct.pack("<I", len(content)))
        parts.append(content)
    return message(Message.MODELS, b"".join(parts))


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _texts(texts: Sequence[str]) -> bytes:
    return struct.pack("<I", len(texts)) + b"".join(map(_text, texts))


def _body(body: BodyModel, version: Version) -> bytes:
    content = _text(body.name) + struct.pack("<ii", body.id, body.parent) + _NO_POSE
    if version >= Version(4, 2):
        content += struct.pack("<4f", 0, 0, 0, 1)
    if version >= TICKING:
        count = len(body.markers)
        content += struct.pack("<I", count) + _NO_POSE * count + bytes(4 * count)
        if version >= Version(4, 0):
            content += b"".join(map(_text, body.markers))
    return content


def _skeleton(skeleton: SkeletonModel, version: Version) -> bytes:
    bodies = b"".join(_body(body, version) for body in skeleton.bodies)
    return _text(skeleton.name) + struct.pack("<II", skeleton.id, len(skeleton.bodies)) + bodies


def _asset(asset: SkeletonModel, version: Version) -> bytes:
    content = _text(asset.name) + struct.pack("<III", 1, asset.id, len(asset.bodies))
    content += b"".join(_body(body, version) for body in asset.bodies)
    content += struct.pack("<I", len(asset.markers))
    for number, name in asset.markers:
        content += _text(name) + struct.pack("<I4fH", number, 0, 0, 0, 0.01, 0)
    return content


def encode_frame(frame: MocapFrame, version: Version, precision: tuple[int, int] = (0, 0)) -> bytes:
    """Return a frame; ``precision`` is its PTP time, seconds and fraction, from 4.1."""
    sets = [_text(name) + struct.pack("<I", len(said)) + _floats(said) for name, said in frame.marker_sets]
    parts = [
        struct.pack("<I", frame.number),
        _section(len(sets), b"".join(sets), version),
        _section(len(frame.unlabelled), _floats(frame.unlabelled), version),
        _section(len(frame.bodies), _bodies(frame.bodies, version), version),
        _section(len(frame.skeletons), b"".join(_segments(each, version) for each in frame.skeletons), version),
    ]
    if version >= SIZED:
        assets = b"".join(
            _segments(each, version) + struct.pack("<I", len(each.markers)) + each.markers.tobytes()
            for each in frame.assets
        )
        parts.append(_section(len(frame.assets), assets, version))
    if version >= LABELLED:
        parts.append(_section(len(frame.markers), _markers(frame.markers, version), version))
    parts += [_section(0, b"", version)] * ((version >= Version(2, 9)) + (version >= Version(2, 11)))
    if version < TICKING:
        parts.append(struct.pack("<f", 0.004))  # software latency
    parts.append(struct.pack("<II", *frame.time_code))
    parts.append(struct.pack("<d" if version >= Version(2, 7) else "<f", frame.time_s))
    if version >= TICKING:
        parts.append(struct.pack("<QQQ", frame.mid_exposure_ticks, frame.received_ticks, frame.sent_ticks))
    if version >= SIZED:
        parts.append(struct.pack("<II", *precision))
    parts.append(struct.pack("<HI", frame.flags, 0))
    return message(Message.FRAME, b"".join(parts))


def _section(count: int, content: bytes, version: Version) -> bytes:
    size = struct.pack("<I", len(content)) if version >= SIZED else b""
    return struct.pack("<I", count) + size + content


def _floats(values: npt.NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values, "<f4").tobytes()


def _segments(skeleton: Any, version: Version) -> bytes:
    return struct.pack("<II", skeleton.id, len(skeleton.bodies)) + _bodies(skeleton.bodies, version)


def _bodies(bodies: npt.NDArray[Any], version: Version) -> bytes:
    if version >= TICKING:
        return bodies.astype(BODY).tobytes()
    parts = []
    for body in bodies:
        # before 3.0 the markers of a body stand in it; one is enough to be stepped over
        parts.append(body["id"].tobytes() + _floats(body["position"]) + _floats(body["turn"]) + struct.pack("<I", 1))
        parts.append(_floats(body["position"]) + struct.pack("<If", 1, 0.01) + _floats(body["error"]))
        if version >= FLAGGED:
            parts.append(body["flags"].tobytes())
    return b"".join(parts)


def _markers(markers: npt.NDArray[Any], version: Version) -> bytes:
    names = list(MARKER.names or ())
    kept = names if version >= TICKING else names[:4] if version >= FLAGGED else names[:3]
    packed = np.empty(len(markers), np.dtype([entry for entry in MARKER.descr if entry[0] in kept]))
    for name in kept:
        packed[name] = markers[name]
    return packed.tobytes()
