"""Frames and models put together by hand, from the tables of the protocol and not with the project's encoder."""

from __future__ import annotations

import struct


def pack(layout: str, *numbers: float) -> bytes:
    return struct.pack("<" + layout, *numbers)


def datagram(kind: int, payload: bytes) -> bytes:
    return pack("HH", kind, len(payload)) + payload


def sized(count: int, content: bytes) -> bytes:
    """A section from 4.1 on."""
    return pack("II", count, len(content)) + content


MARKER_SET = b"Leg\0" + pack("I", 2) + pack("6f", 1, 2, 3, 0, 0, 0)
BODY_3 = pack("i3f4ffH", 5, 0.5, 0.25, 2, 0.1, 0.2, 0.3, 0.9, 0.125, 1)
UNTRACKED_BODY_3 = pack("i3f4ffH", 6, 0, 0, 0, 0, 0, 0, 1, 0, 0)
BODY_26 = (
    pack("i3f4f", 5, 0.5, 0.25, 2, 0.1, 0.2, 0.3, 0.9)
    + pack("I", 2)
    + pack("6f", 1, 2, 3, 4, 5, 6)
    + pack("2I", 1, 2)
    + pack("2f", 0.01, 0.02)
    + pack("f", 0.125)
    + pack("H", 1)
)
BODY_21 = BODY_26[:-2]
SKELETON_3 = pack("II", 3, 1) + pack("i3f4ffH", 3 << 16 | 1, 1, 1, 1, 0, 0, 0, 1, 0.5, 1)
MARKER_3 = pack("I3ffHf", 5 << 16 | 2, 1.5, 2.5, 3.5, 0.014, 10, 0.0005)
OCCLUDED_3 = pack("I3ffHf", 5 << 16 | 1, 9, 9, 9, 0.014, 11, 0.0)
MARKER_26 = MARKER_3[:-4]
MARKER_23 = MARKER_3[:20]
AWAY_23 = pack("I3ff", 5 << 16 | 1, 0, 0, 0, 0)
#: id, two channels of three and one frames
PLATE = pack("II", 1, 2) + pack("I3f", 3, 1, 2, 3) + pack("If", 1, 7)

SUFFIX_21 = pack("fIIfI", 0.004, 11, 12, 100.5, 0)
SUFFIX_27 = pack("fIIdHI", 0.004, 11, 12, 100.125, 3, 0)
SUFFIX_27_WITHOUT_LATENCY = SUFFIX_27[4:]
SUFFIX_3 = pack("IIdQQQHI", 11, 12, 100.125, 10**12, 10**12 + 5, 10**12 + 9, 3, 0)
SUFFIX_41 = pack("IIdQQQIIHI", 11, 12, 100.125, 10**12, 10**12 + 5, 10**12 + 9, 1_700_000_000, 5, 3, 0)


def frame_21() -> bytes:
    content = pack("II", 4711, 1) + MARKER_SET + pack("I3f", 1, 7, 8, 9) + pack("I", 1) + BODY_21 + pack("I", 0)
    return datagram(7, content + SUFFIX_21)


def frame_25() -> bytes:
    content = pack("II", 4711, 1) + MARKER_SET + pack("I3f", 1, 7, 8, 9) + pack("I", 1) + BODY_21 + pack("I", 0)
    return datagram(7, content + pack("I", 2) + MARKER_23 + AWAY_23 + SUFFIX_21)


def frame_210(suffix: bytes = SUFFIX_27) -> bytes:
    content = pack("II", 4711, 1) + MARKER_SET + pack("I3f", 1, 7, 8, 9) + pack("I", 1) + BODY_26 + pack("I", 0)
    return datagram(7, content + pack("I", 1) + MARKER_26 + pack("I", 1) + PLATE + suffix)


def frame_31(number: int = 4711, suffix: bytes = SUFFIX_3) -> bytes:
    content = pack("II", number, 1) + MARKER_SET + pack("I3f", 1, 7, 8, 9)
    content += pack("I", 2) + BODY_3 + UNTRACKED_BODY_3 + pack("I", 1) + SKELETON_3
    content += pack("I", 2) + OCCLUDED_3 + MARKER_3 + pack("I", 1) + PLATE + pack("I", 1) + PLATE
    return datagram(7, content + suffix)


def frame_41(more: bytes = b"", suffix: bytes = SUFFIX_41) -> bytes:
    asset = pack("II", 4, 1) + BODY_3 + pack("I", 1) + MARKER_3
    content = pack("I", 4711) + sized(1, MARKER_SET) + sized(1, pack("3f", 7, 8, 9))
    content += sized(2, BODY_3 + UNTRACKED_BODY_3) + sized(1, SKELETON_3) + sized(1, asset)
    content += sized(2, OCCLUDED_3 + MARKER_3) + sized(1, PLATE) + sized(0, b"")
    return datagram(7, content + more + suffix)


BODY_MODEL_2 = b"Bar\0" + pack("ii3f", 5, -1, 0, 0, 0)
BODY_MODEL_3 = BODY_MODEL_2 + pack("I", 2) + pack("6f", *range(6)) + pack("2I", 0, 0)
BODY_MODEL_4 = BODY_MODEL_3 + b"Left\0Right\0"
BODY_MODEL_42 = BODY_MODEL_2 + pack("4f", 0, 0, 0, 1) + BODY_MODEL_4[len(BODY_MODEL_2) :]
SET_MODEL = b"Leg\0" + pack("I", 2) + b"Knee\0Ankle\0"
SKELETON_MODEL_3 = b"Fred\0" + pack("II", 3, 1) + b"Hip\0" + pack("ii3f", 1, 0, 0, 0, 0) + pack("I", 0)
PLATE_MODEL = pack("I", 1) + b"SN1\0" + pack("5f", 0.5, 0.6, 0, 0, 0) + bytes(4 * 144) + bytes(4 * 12)
PLATE_MODEL += pack("III", 2, 1, 2) + b"Fx\0Fy\0"
DEVICE_MODEL = pack("I", 2) + b"NI\0SN2\0" + pack("III", 1, 1, 1) + b"A0\0"
CAMERA_MODEL = b"Prime #1\0" + pack("7f", 1, 2, 3, 0, 0, 0, 1)
ASSET_MODEL = b"Suit\0" + pack("III", 1, 4, 0) + pack("I", 2)
ASSET_MODEL += b"Nose\0" + pack("I3ffH", 1, 0, 0, 0, 0.01, 0) + b"Chin\0" + pack("I3ffH", 4 << 16 | 2, 0, 0, 0, 0.01, 0)


def models_210() -> bytes:
    return datagram(5, pack("II", 2, 0) + SET_MODEL + pack("I", 1) + BODY_MODEL_2)


def models_31() -> bytes:
    content = pack("II", 6, 0) + SET_MODEL + pack("I", 1) + BODY_MODEL_3 + pack("I", 2) + SKELETON_MODEL_3
    return datagram(5, content + pack("I", 3) + PLATE_MODEL + pack("I", 4) + DEVICE_MODEL + pack("I", 5) + CAMERA_MODEL)


def models_41(*, body: bytes = BODY_MODEL_4, short_by: int = 0) -> bytes:
    """A version from 4.1 on; sizes are too small by ``short_by``, and one kind is unknown."""
    items = [(0, SET_MODEL), (99, b"what is this"), (1, body), (6, ASSET_MODEL)]
    content = pack("I", len(items))
    for kind, item in items:
        content += pack("II", kind, len(item) - (short_by if kind != 99 else 0)) + item
    return datagram(5, content)


def server_info(version: tuple[int, int], clock_hz: int = 10_000_000) -> bytes:
    payload = b"Motive\0rubbish".ljust(256, b"\xfe") + bytes([3, 1, 0, 4]) + bytes([*version, 0, 0])
    if version[0] >= 3:
        payload += pack("QHB4B", clock_hz, 1511, 1, 239, 255, 42, 99)
    return datagram(1, payload)
