"""QTM's packets and parameters as its RT server writes them; the tables are those of drivers.qualisys."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

ERROR, COMMAND, XML, DATA, NO_MORE_DATA, EVENT = 0, 1, 2, 3, 4, 6


def packet(kind: int, body: bytes = b"") -> bytes:
    """Return a packet with its header."""
    return struct.pack("<II", 8 + len(body), kind) + body


def text_packet(kind: int, text: str) -> bytes:
    """Return a reply, an error or XML."""
    return packet(kind, text.encode("utf-8") + b"\0")


def data_packet(timestamp_us: int, frame: int, components: Sequence[bytes]) -> bytes:
    """Return a frame, or a part of one."""
    return packet(DATA, struct.pack("<QII", timestamp_us, frame, len(components)) + b"".join(components))


def component(kind: int, body: bytes) -> bytes:
    """Return a component with its header."""
    return struct.pack("<II", 8 + len(body), kind) + body


def points(values: npt.NDArray[np.float32], *, residuals: bool) -> bytes:
    """Return the 3D component of markers (markers, 4): mm and residual; NaN becomes all bits set."""
    rows = values if residuals else values[:, :3]
    bits = np.ascontiguousarray(rows, dtype="<f4").view("<u4").copy()
    bits[np.isnan(rows)] = 0xFFFFFFFF
    return component(9 if residuals else 1, struct.pack("<Ihh", len(rows), 0, 0) + bits.tobytes())


def skeletons(poses: Sequence[tuple[Sequence[int], npt.NDArray[np.float32]]]) -> bytes:
    """Return the skeleton component: per skeleton segment numbers and (segments, 7)."""
    body = struct.pack("<I", len(poses))
    for numbers, pose in poses:
        body += struct.pack("<I", len(numbers))
        for number, row in zip(numbers, pose, strict=True):
            body += struct.pack("<I7f", number, *row.tolist())
    return component(18, body)


def analog(devices: Iterable[tuple[int, int, npt.NDArray[np.float32]]]) -> bytes:
    """Return the analogue component: per device its number, first sample and values (samples, channels)."""
    parts = [
        struct.pack("<IIII", number, values.shape[1], len(values), first)
        + np.ascontiguousarray(values.T, dtype="<f4").tobytes()
        if len(values)
        else struct.pack("<III", number, values.shape[1], 0)
        for number, first, values in devices
    ]
    return component(3, struct.pack("<I", len(parts)) + b"".join(parts))


def force(plates: Iterable[tuple[int, int, npt.NDArray[np.float32]]]) -> bytes:
    """Return the force component: per plate its number, first sample and values (samples, 9)."""
    parts = [
        struct.pack("<III", number, len(values), first) + np.ascontiguousarray(values, dtype="<f4").tobytes()
        for number, first, values in plates
    ]
    return component(4, struct.pack("<I", len(parts)) + b"".join(parts))


def parameters(version: str, *sections: str) -> str:
    """Return sections in the element that QTM names after the version."""
    return f"<QTM_Parameters_Ver_{version}>{''.join(sections)}</QTM_Parameters_Ver_{version}>"


def general_xml(rate_hz: float, cameras: int) -> str:
    """Return what is asked for as General."""
    camera = "".join(
        f"<Camera><ID>{number + 1}</ID><Model>Miqus M3</Model><Serial>{25000 + number}</Serial></Camera>"
        for number in range(cameras)
    )
    return f"<General><Frequency>{rate_hz:g}</Frequency><Capture_Time>600</Capture_Time>{camera}</General>"


def three_d_xml(labels: Sequence[str], axis_up: str) -> str:
    """Return what is asked for as 3D."""
    entries = "".join(f"<Label><Name>{escape(label)}</Name><RGBColor>65280</RGBColor></Label>" for label in labels)
    return (
        f"<The_3D><AxisUpwards>{axis_up}</AxisUpwards><CalibrationTime>2026.11.20 09:12:44</CalibrationTime>"
        f"<Labels>{len(labels)}</Labels>{entries}</The_3D>"
    )


def analog_xml(devices: Iterable[tuple[int, str, float, Sequence[str], str]]) -> str:
    """Return what is asked for as Analog: per device number, name, rate, labels and unit."""
    entries = "".join(
        f"<Device><Device_ID>{number}</Device_ID><Device_Name>{escape(name)}</Device_Name>"
        f"<Channels>{len(labels)}</Channels><Frequency>{rate_hz:g}</Frequency>"
        + "".join(f"<Channel><Label>{escape(label)}</Label><Unit>{unit}</Unit></Channel>" for label in labels)
        + "</Device>"
        for number, name, rate_hz, labels, unit in devices
    )
    return f"<Analog>{entries}</Analog>"


def force_xml(plates: Iterable[tuple[int, str, float]]) -> str:
    """Return what is asked for as Force: per plate number, name and rate."""
    entries = "".join(
        f"<Plate><Plate_ID>{number}</Plate_ID><Analog_Device_ID>0</Analog_Device_ID>"
        f"<Frequency>{rate_hz:g}</Frequency><Name>{escape(name)}</Name></Plate>"
        for number, name, rate_hz in plates
    )
    return f"<Force><Unit_Length>mm</Unit_Length><Unit_Force>N</Unit_Force>{entries}</Force>"


def skeletons_xml(name: str, segments: Sequence[tuple[int, str]], *, nested: bool) -> str:
    """Return what is asked for as Skeleton: flat up to version 1.20, nested segments after that."""
    if nested:
        inner = "".join(f'<Segment Name={quoteattr(segment)} ID="{number}">' for number, segment in segments)
        listing = f"<Segments>{inner}{'</Segment>' * len(segments)}</Segments>"
    else:
        listing = "".join(f'<Segment Name={quoteattr(segment)} ID="{number}"/>' for number, segment in segments)
    return f"<Skeletons><Skeleton Name={quoteattr(name)}>{listing}</Skeleton></Skeletons>"
