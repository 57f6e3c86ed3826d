"""C3D files written: points and analog channels as 32-bit numbers, with every parameter that readers ask for.

Source of the format: The C3D File Format User Guide (Motion Lab Systems, 2008). Intel byte order, real format, one
section of parameters. Scales and offsets of analog channels are all written, though they are 1 and 0: readers that
multiply by them fail where they are missing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

import numpy as np

from lab.errors import FileFormatError
from storage.c3d_file import C3dFile

#: The header counts frames in 16 bits; a file with more is read by few programs.
MAX_FRAMES: Final = 65_535
#: Dimensions of a parameter are single bytes.
MAX_CHANNELS: Final = 255
MAX_EVENTS: Final = 255

_BLOCK: Final = 512
_INTEL: Final = 84
_KEY: Final = 0x50
_LONGEST_LABEL: Final = 64
_LONGEST_TEXT: Final = 255
_MOST_PARAMETER_BLOCKS: Final = 255

_CHAR, _INT16, _FLOAT = -1, 2, 4
_Parameter = tuple[str, int, tuple[int, ...], bytes]


@dataclass(frozen=True)
class C3dEvent:
    """A moment with a name, ``time_s`` seconds after the first frame."""

    label: str
    time_s: float
    description: str = ""


def c3d_bytes(content: C3dFile, events: Sequence[C3dEvent] = (), notes: Mapping[str, str] | None = None) -> bytes:
    """Encode a C3D file; the same content gives the same bytes.

    ``content.positions`` NaN becomes a point at the origin with residual -1, which means "not there"; analog NaN stays
    NaN, for C3D has no other way to say it. ``notes`` are texts of the group FLEX_CAPTURE. Raises FileFormatError for
    what the format cannot hold: more than 65,535 frames, more than 255 points, channels or events, or an analog
    rate that is no whole multiple of the point rate.
    """
    frames, points = content.positions.shape[:2]
    channels = len(content.analog_labels)
    per_frame = _analog_per_frame(content, frames)
    for count, most, what in (
        (frames, MAX_FRAMES, "frames"),
        (points, MAX_CHANNELS, "points"),
        (channels, MAX_CHANNELS, "analog channels"),
        (channels * per_frame, MAX_FRAMES, "analog samples in a frame"),
        (len(events), MAX_EVENTS, "events"),
    ):
        if count > most:
            raise FileFormatError(f"a C3D file holds at most {most:,} {what}, not {count:,}; export a shorter part")
    if frames < 1 or points + channels < 1:
        raise FileFormatError("there are neither points nor analog channels to write into a C3D file")
    blocks = _blocks(len(_parameters(content, frames, events, notes or {}, 0)))
    if blocks > _MOST_PARAMETER_BLOCKS:
        raise FileFormatError("the names of points and channels are too long for a C3D file; shorten them")
    parameters = _parameters(content, frames, events, notes or {}, 2 + blocks)
    head = bytes((1, _KEY, blocks, _INTEL))
    header = struct.pack(
        "<BBHHHHHfHHf",
        2,
        _KEY,
        points,
        channels * per_frame,
        1,
        frames,
        0,
        -1.0,
        2 + blocks,
        max(per_frame, 1),  # readers compare it with the rates of POINT and ANALOG, channels or not
        content.rate_hz,
    )
    return b"".join(_padded(part) for part in (header, head + parameters, _data(content, frames, per_frame)))


def _analog_per_frame(content: C3dFile, frames: int) -> int:
    if not content.analog_labels:
        return 0
    per_frame = round(content.analog_rate_hz / content.rate_hz)
    if per_frame < 1 or abs(content.analog_rate_hz - per_frame * content.rate_hz) > 1e-6 * content.analog_rate_hz:
        raise FileFormatError(
            f"an analog rate of {content.analog_rate_hz:g} Hz is no whole multiple of {content.rate_hz:g} frames/s"
        )
    if content.analog.shape != (frames * per_frame, len(content.analog_labels)):
        raise FileFormatError("analog samples do not fill the frames of the C3D file")
    return per_frame


def _data(content: C3dFile, frames: int, per_frame: int) -> bytes:
    points = content.positions.shape[1]
    row = np.zeros((frames, 4 * points + per_frame * len(content.analog_labels)), dtype="<f4")
    absent = np.asarray(~np.isfinite(content.positions).all(axis=2))
    quads = np.zeros((frames, points, 4), dtype="<f4")
    quads[:, :, :3] = np.where(absent[:, :, None], 0.0, content.positions)
    quads[:, :, 3] = np.where(absent, -1.0, 0.0)
    row[:, : 4 * points] = quads.reshape(frames, -1)
    if per_frame:
        row[:, 4 * points :] = content.analog.reshape(frames, -1)
    return row.tobytes()


def _parameters(
    content: C3dFile, frames: int, events: Sequence[C3dEvent], notes: Mapping[str, str], data_block: int
) -> bytes:
    points, channels = len(content.labels), len(content.analog_labels)
    groups: dict[str, list[_Parameter]] = {
        "POINT": [
            _int16("USED", points),
            _floats("SCALE", -1.0),
            _floats("RATE", content.rate_hz),
            _int16("DATA_START", data_block),
            _int16("FRAMES", frames),
            _texts("LABELS", content.labels),
            _texts("DESCRIPTIONS", [""] * points),
            _text("UNITS", content.units),
            _text("X_SCREEN", "+X"),
            _text("Y_SCREEN", "+Z"),
        ],
        "ANALOG": [
            _int16("USED", channels),
            _texts("LABELS", content.analog_labels),
            _texts("DESCRIPTIONS", [""] * channels),
            _floats("GEN_SCALE", 1.0),
            _parameter("SCALE", _FLOAT, (channels,), np.ones(channels, "<f4").tobytes()),
            _parameter("OFFSET", _INT16, (channels,), np.zeros(channels, "<i2").tobytes()),
            _texts("UNITS", content.analog_units),
            _floats("RATE", content.analog_rate_hz or content.rate_hz),
            _text("FORMAT", "SIGNED"),
            _int16("BITS", 16),
        ],
        "FORCE_PLATFORM": [
            _int16("USED", 0),
            _parameter("TYPE", _INT16, (0,), b""),
            _parameter("ZERO", _INT16, (2,), struct.pack("<hh", 1, 0)),
            _parameter("CORNERS", _FLOAT, (3, 4, 0), b""),
            _parameter("ORIGIN", _FLOAT, (3, 0), b""),
            _parameter("CHANNEL", _INT16, (6, 0), b""),
        ],
        "TRIAL": [
            _parameter("ACTUAL_START_FIELD", _INT16, (2,), struct.pack("<HH", 1, 0)),
            _parameter("ACTUAL_END_FIELD", _INT16, (2,), struct.pack("<HH", frames, 0)),
            _floats("CAMERA_RATE", content.rate_hz),
        ],
        "MANUFACTURER": [
            _text("COMPANY", content.manufacturer or "flex-capture"),
            _text("SOFTWARE", content.software or f"flex-capture {version('flex-capture')}"),
        ],
        "EVENT": _event_parameters(events),
        "FLEX_CAPTURE": [_text(name, text) for name, text in notes.items()],
    }
    out = []
    for number, (name, parameters) in enumerate(groups.items(), start=1):
        if name in ("EVENT", "FLEX_CAPTURE") and not parameters:
            continue
        out.append(struct.pack("<bb", len(name), -number) + name.encode() + struct.pack("<hB", 3, 0))
        for key, kind, shape, data in parameters:
            body = struct.pack("<bB", kind, len(shape)) + bytes(shape) + data + b"\0"
            out.append(struct.pack("<bb", len(key), number) + key.encode() + struct.pack("<h", 2 + len(body)) + body)
    return b"".join(out) + b"\0\0"


def _event_parameters(events: Sequence[C3dEvent]) -> list[_Parameter]:
    if not events:
        return []
    times = np.array([divmod(max(event.time_s, 0.0), 60.0) for event in events], dtype="<f4")
    count = len(events)
    return [
        _int16("USED", count),
        _texts("CONTEXTS", ["General"] * count),
        _texts("LABELS", [event.label for event in events]),
        _texts("DESCRIPTIONS", [event.description for event in events]),
        _parameter("TIMES", _FLOAT, (2, count), times.tobytes()),
        _parameter("ICON_IDS", _INT16, (count,), np.zeros(count, "<i2").tobytes()),
        _parameter("GENERIC_FLAGS", 1, (count,), bytes(count)),
    ]


def _parameter(name: str, kind: int, shape: tuple[int, ...], data: bytes) -> _Parameter:
    return name, kind, shape, data


def _int16(name: str, value: int) -> _Parameter:
    return _parameter(name, _INT16, (), struct.pack("<H", value))


def _floats(name: str, value: float) -> _Parameter:
    return _parameter(name, _FLOAT, (), struct.pack("<f", value))


def _text(name: str, text: str) -> _Parameter:
    data = _encoded(text, _LONGEST_TEXT)
    return _parameter(name, _CHAR, (len(data),), data)


def _texts(name: str, texts: Sequence[str]) -> _Parameter:
    """Return texts of one length; at least one character, for some readers stumble over a length of 0."""
    encoded = [_encoded(text, _LONGEST_LABEL) for text in texts]
    longest = max((len(data) for data in encoded), default=1) or 1
    return _parameter(name, _CHAR, (longest, len(encoded)), b"".join(data.ljust(longest) for data in encoded))


def _encoded(text: str, longest: int) -> bytes:
    """Return a text in ASCII, the only letters that all readers of C3D know."""
    return text.replace("µ", "u").encode("ascii", "replace").replace(b"\0", b"?")[:longest]


def _blocks(size: int) -> int:
    return -(-(size + 4) // _BLOCK)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _BLOCK)
