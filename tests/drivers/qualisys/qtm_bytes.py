"""Packets of QTM written down by hand from Qualisys' document, not by our own encoder."""

from __future__ import annotations

GREETING = bytes.fromhex("24000000 01000000") + b"QTM RT Interface connected.\0"
NOT_SUPPORTED = bytes.fromhex("1e000000 00000000") + b"Version NOT supported\0"
XML = bytes.fromhex("0d000000 02000000") + b"<a/>\0"
NO_MORE_DATA = bytes.fromhex("08000000 04000000")
CAPTURE_STARTED = bytes.fromhex("09000000 06000000 03")

#: 1.0, 2.0, 3.0 mm, and -1.5, 0.25, 1000.0; the second marker's residual is 0.5; a third is missing.
POINTS = bytes.fromhex(
    "34000000 01000000"  # 8 + 8 + 3 * 12 = 52, 3D
    "03000000 0500 0700"  # three markers, 5 and 7 per thousand
    "0000803f 00000040 00004040"
    "0000c0bf 0000803e 00007a44"
    "ffffffff ffffffff ffffffff"
)
POINTS_RESIDUAL = bytes.fromhex(
    "30000000 09000000"  # 8 + 8 + 2 * 16 = 48, 3D with residuals
    "02000000 0000 0000"
    "0000803f 00000040 00004040 0000003f"
    "ffffffff ffffffff ffffffff ffffffff"
)
#: Device 1: two channels, three samples from number 100; device 2 without samples, without and with a sample number.
_ANALOG = (
    "01000000 02000000 03000000 64000000"
    "0000803f 00000040 00004040"  # channel 1: 1, 2, 3
    "000080bf 000000c0 000040c0"  # channel 2: -1, -2, -3
    "02000000 04000000 00000000"
)
ANALOG = bytes.fromhex("40000000 03000000 02000000" + _ANALOG)
ANALOG_NUMBERED = bytes.fromhex("44000000 03000000 02000000" + _ANALOG + "65000000")
FORCE = bytes.fromhex(
    "3c000000 04000000 01000000"  # 8 + 4 + 12 + 36 = 60, one plate
    "02000000 01000000 2a000000"  # plate 2, one sample, number 42
    "0000803f 00000040 00004040 00008040 0000a040 0000c040 0000e040 00000041 00001041"  # 1 to 9
)
#: One skeleton of one segment 752 at 1, 2, 3 mm with the quaternion x 0.5, y 0, z 0, w 1; one that is not seen.
SKELETON = bytes.fromhex(
    "34000000 12000000 02000000"  # 8 + 4 + 4 + 32 + 4 = 52, two skeletons
    "01000000 f0020000 0000803f 00000040 00004040 0000003f 00000000 00000000 0000803f"
    "00000000"
)
#: 1,000,000 us, frame 201, five components, of which one is of a kind that is not known.
UNKNOWN = bytes.fromhex("0c000000 63000000 deadbeef")
DATA_BODY = (
    bytes.fromhex("40420f0000000000 c9000000 06000000") + POINTS + POINTS_RESIDUAL + ANALOG + FORCE + SKELETON + UNKNOWN
)
DATA = (8 + len(DATA_BODY)).to_bytes(4, "little") + bytes.fromhex("03000000") + DATA_BODY

ALL = (GREETING, NOT_SUPPORTED, XML, NO_MORE_DATA, CAPTURE_STARTED, DATA)
