"""The XML metadata of XDF streams: what ours say, and what can be learned from anyone's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast, get_args
from xml.etree import ElementTree as ET

from lab.streams import COUNTER_LABEL, COUNTER_MODULUS, Channel, CounterOrigin, SampleFormat, VideoFormat

#: XDF's numeric formats and their numpy types; ``string`` has none.
NUMPY_TYPES: Final[dict[str, str]] = {
    "float32": "f4",
    "double64": "f8",
    "int8": "i1",
    "int16": "i2",
    "int32": "i4",
    "int64": "i8",
}
_FORMATS: Final = frozenset(get_args(SampleFormat))
#: A sample a day, and what no acquisition board reaches.
_SLOWEST_HZ: Final = 1e-5
_FASTEST_HZ: Final = 1e8
_LARGEST_XML: Final = 16_000_000
_MOST_CHANNELS: Final = 65_536
_UNDESCRIBED: Final = Channel("")
_MOST_DETAILS: Final = 1_000
_FLEX_KEYS: Final = frozenset(("version", "device", "stream", "counter_origin", "counter_modulus", "simulated"))


@dataclass(frozen=True)
class StreamHeader:
    """What a stream header says, with defaults for what other people's streams do not say.

    ``channel_count`` and ``format`` are None where the header gives none that can be used: such a stream's samples
    cannot be read. ``rate_hz`` is 0 for an irregular stream. ``channels`` has ``channel_count`` entries, the last
    labelled ``sample_counter`` where ``has_counter``. ``device`` is the stream's name where ``flex_version`` is empty,
    that is, where the stream was not published by flex-capture. ``details`` are the further keys of <flex_capture> and
    of its <details>. ``notes`` name what was wrong.
    """

    name: str = ""
    content_type: str = ""
    channel_count: int | None = None
    rate_hz: float = 0.0
    format: SampleFormat | None = None
    source_id: str = ""
    hostname: str = ""
    uid: str = ""
    session_id: str = ""
    created_at_s: float = math.nan
    channels: tuple[Channel, ...] = ()
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    video: VideoFormat | None = None
    flex_version: str = ""
    device: str = ""
    stream: str = ""
    counter_origin: CounterOrigin = "host"
    counter_modulus: int = COUNTER_MODULUS
    simulated: bool = False
    details: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def has_counter(self) -> bool:
        """Whether the last channel is ``sample_counter``."""
        return bool(self.channels) and self.channels[-1].label == COUNTER_LABEL


def parse_header(xml: str) -> StreamHeader:
    """Read a stream header. Never raises for bad content: that ends in defaults and notes.

    Document types and entities are refused, since they can make a small text unfold without bound.
    """
    root, note = _tree(xml)
    if root is None:
        return StreamHeader(notes=(note,))
    notes: list[str] = []
    name = _text(root, "name")
    count = _whole(root, "channel_count", 1 if root.find("channel_count") is None else None, 0, _MOST_CHANNELS, notes)
    declared = _text(root, "channel_format")
    if declared not in _FORMATS:
        notes.append(f"channel_format '{declared[:40]}' is not one of XDF's")
    acquisition = root.find("desc/acquisition")
    flex = root.find("desc/flex_capture")
    origin = _text(flex, "counter_origin")
    return StreamHeader(
        name=name,
        content_type=_text(root, "type"),
        channel_count=count,
        rate_hz=_rate(root, notes),
        format=cast("SampleFormat", declared) if declared in _FORMATS else None,
        source_id=_text(root, "source_id"),
        hostname=_text(root, "hostname"),
        uid=_text(root, "uid"),
        session_id=_text(root, "session_id"),
        created_at_s=_number(_text(root, "created_at")),
        channels=_channels(root, count, notes),
        manufacturer=_text(acquisition, "manufacturer"),
        model=_text(acquisition, "model"),
        serial=_text(acquisition, "serial_number"),
        video=_video(root, notes),
        flex_version=(_text(flex, "version") or "unknown") if flex is not None else "",
        device=_text(flex, "device") or name,
        stream=_text(flex, "stream"),
        counter_origin="device" if origin == "device" else "host",
        counter_modulus=_whole(flex, "counter_modulus", COUNTER_MODULUS, 2, 2**62, notes) or COUNTER_MODULUS,
        simulated=_text(flex, "simulated") == "yes",
        details=_details(flex),
        notes=tuple(notes),
    )


def _tree(xml: str) -> tuple[ET.Element | None, str]:
    if len(xml) > _LARGEST_XML:
        return None, f"the header is larger than {_LARGEST_XML} characters"
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        return None, "the header declares a document type or entities, which are refused"
    try:
        # The text is str, so no encoding declaration can smuggle a document type past the check above.
        return ET.fromstring(xml.rstrip("\0")), ""  # noqa: S314
    except (ET.ParseError, ValueError) as error:
        return None, f"the header is not XML ({error})"


def _text(parent: ET.Element | None, path: str) -> str:
    return "" if parent is None else (parent.findtext(path) or "").strip()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _whole(
    parent: ET.Element | None, path: str, default: int | None, low: int, high: int, notes: list[str]
) -> int | None:
    text = _text(parent, path)
    number = _number(text)
    if low <= number <= high and number == int(number):
        return int(text) if text.isascii() and text.isdigit() else int(number)
    if text:
        notes.append(f"{path} '{text[:40]}' is not a whole number from {low} to {high}")
    return default


def _rate(root: ET.Element, notes: list[str]) -> float:
    text = _text(root, "nominal_srate")
    rate = _number(text) if text else 0.0
    if rate == 0 or _SLOWEST_HZ <= rate <= _FASTEST_HZ:
        return rate
    notes.append(f"nominal_srate '{text[:40]}' is not a rate; the stream is taken as irregular")
    return 0.0


def _channels(root: ET.Element, count: int | None, notes: list[str]) -> tuple[Channel, ...]:
    described = tuple(
        Channel(_text(entry, "label"), _text(entry, "unit"), _text(entry, "type"), _text(entry, "marker"))
        for entry in root.iterfind("desc/channels/channel")
    )
    count = count or 0
    if len(described) == count:
        return described
    if described:
        notes.append(f"{len(described)} channels are described, but the stream has {count}; labels are not used")
    # Only a promise so far: channels without samples need no labels of their own.
    return (_UNDESCRIBED,) * count


def _video(root: ET.Element, notes: list[str]) -> VideoFormat | None:
    encoding = root.find("desc/encoding")
    if encoding is None:
        return None
    width = _whole(encoding, "width", None, 1, 65_535, notes)
    height = _whole(encoding, "height", None, 1, 65_535, notes)
    codec = _text(encoding, "codec")
    if width is None or height is None or not codec:
        notes.append("the video encoding is incomplete and not used")
        return None
    return VideoFormat(codec, width, height)


def _details(flex: ET.Element | None) -> dict[str, str]:
    if flex is None:
        return {}
    entries = [
        entry for entry in (*flex, *flex.iterfind("details/*")) if entry.tag not in _FLEX_KEYS and not len(entry)
    ]
    return {entry.tag: (entry.text or "").strip() for entry in entries[:_MOST_DETAILS] if entry.tag != "details"}


def build_header(
    name: str,
    content_type: str,
    channels: Sequence[Channel],
    rate_hz: float,
    sample_format: SampleFormat,
    *,
    source_id: str = "",
    hostname: str = "",
    uid: str = "",
    session_id: str = "",
    created_at_s: float | None = None,
    flex_capture: Mapping[str, str] | None = None,
) -> str:
    """Build the header of a stream that is written without LSL, such as ``FlexClockProbes``.

    ``rate_hz`` is 0 for an irregular stream. ``flex_capture`` holds the keys of <flex_capture>: ``version``,
    ``device``, ``stream``, ``counter_origin``, ``counter_modulus``, ``simulated`` or others that are XML names.
    """
    root = ET.Element("info")
    plain = {
        "name": name,
        "type": content_type,
        "channel_count": str(len(channels)),
        "channel_format": sample_format,
        "source_id": source_id,
        "nominal_srate": repr(float(rate_hz)),
        "version": "1.1",
        "created_at": "" if created_at_s is None else repr(float(created_at_s)),
        "uid": uid,
        "session_id": session_id,
        "hostname": hostname,
    }
    for tag, text in plain.items():
        ET.SubElement(root, tag).text = _xml_text(text)
    desc = ET.SubElement(root, "desc")
    listed = ET.SubElement(desc, "channels")
    for channel in channels:
        entry = ET.SubElement(listed, "channel")
        ET.SubElement(entry, "label").text = _xml_text(channel.label)
        ET.SubElement(entry, "unit").text = _xml_text(channel.unit)
        ET.SubElement(entry, "type").text = _xml_text(channel.type)
        if channel.marker:
            ET.SubElement(entry, "marker").text = _xml_text(channel.marker)
    if flex_capture is not None:
        flex = ET.SubElement(desc, "flex_capture")
        for tag, text in flex_capture.items():
            ET.SubElement(flex, tag).text = _xml_text(text)
    return _document(root)


def footer_xml(
    first_s: float | None, last_s: float | None, count: int, offsets: Iterable[tuple[float, float]] = ()
) -> str:
    """Build a stream footer as LabRecorder does.

    ``first_s`` and ``last_s`` are the first and last stamp in seconds, None or NaN for an empty stream; ``offsets`` are
    (collection time, offset) pairs in seconds.
    """
    root = ET.Element("info")
    if first_s is not None and last_s is not None and math.isfinite(first_s) and math.isfinite(last_s):
        ET.SubElement(root, "first_timestamp").text = repr(float(first_s))
        ET.SubElement(root, "last_timestamp").text = repr(float(last_s))
    ET.SubElement(root, "sample_count").text = str(count)
    listed = ET.SubElement(root, "clock_offsets")
    for time_s, value_s in offsets:
        offset = ET.SubElement(listed, "offset")
        ET.SubElement(offset, "time").text = repr(float(time_s))
        ET.SubElement(offset, "value").text = repr(float(value_s))
    return _document(root)


def _xml_text(text: str) -> str:
    # XML 1.0 cannot carry control characters and lone surrogates, not even escaped.
    return "".join(
        character if character >= " " and not "\ud800" <= character <= "\udfff" and character not in "\ufffe\uffff"
        else character if character in "\t\n" else "\ufffd"
        for character in text
    )  # fmt: skip


def _document(root: ET.Element) -> str:
    return '<?xml version="1.0"?>' + ET.tostring(root, encoding="unicode")
