from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.streams import COUNTER_LABEL, COUNTER_MODULUS, Channel, VideoFormat
from storage.xdf_header import StreamHeader, build_header, footer_xml, parse_header

OURS = """<?xml version="1.0"?><info><name>emg</name><type>EMG</type><channel_count>2</channel_count>
<nominal_srate>2000.000000000000</nominal_srate><channel_format>float32</channel_format>
<source_id>id &lt;1&gt;</source_id>
<hostname>bench</hostname><created_at>12.5</created_at><uid>u</uid><session_id>x</session_id><desc>
<acquisition><manufacturer>M</manufacturer><model>X</model><serial_number>7</serial_number></acquisition>
<channels><channel><label>biceps</label><unit>microvolts</unit><type>EMG</type><marker>m</marker></channel>
<channel><label>sample_counter</label><unit>count</unit><type>Counter</type></channel></channels>
<encoding><width>640</width><height>480</height><color_format>YUV</color_format><codec>mjpeg</codec></encoding>
<flex_capture><version>0.1.0</version><device>amp</device><stream>emg</stream><counter_origin>device</counter_origin>
<counter_modulus>65536</counter_modulus><simulated>yes</simulated><gain>8</gain><details><site>left</site></details>
</flex_capture></desc></info>"""


def test_all_that_the_publisher_says_is_understood() -> None:
    header = parse_header(OURS)
    assert header == StreamHeader(
        name="emg",
        content_type="EMG",
        channel_count=2,
        rate_hz=2000.0,
        format="float32",
        source_id="id <1>",
        hostname="bench",
        uid="u",
        session_id="x",
        created_at_s=12.5,
        channels=(Channel("biceps", "microvolts", "EMG", "m"), Channel(COUNTER_LABEL, "count", "Counter")),
        manufacturer="M",
        model="X",
        serial="7",
        video=VideoFormat("mjpeg", 640, 480),
        flex_version="0.1.0",
        device="amp",
        stream="emg",
        counter_origin="device",
        counter_modulus=65536,
        simulated=True,
        details={"gain": "8", "site": "left"},
    )
    assert header.has_counter


def test_other_peoples_streams_get_defaults() -> None:
    header = parse_header(
        "<info><name>n</name><channel_count>3</channel_count><channel_format>int8</channel_format></info>"
    )
    assert (header.channel_count, header.format, header.rate_hz) == (3, "int8", 0.0)
    assert [channel.label for channel in header.channels] == ["", "", ""]
    assert (header.device, header.flex_version, header.counter_modulus) == ("n", "", COUNTER_MODULUS)
    assert not header.has_counter
    assert not header.simulated
    assert header.notes == ()


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("<channel_count>2<", "<channel_count>-2<", "channel_count"),
        ("<channel_count>2<", "<channel_count>2.5<", "channel_count"),
        ("<channel_count>2<", "<channel_count>1e300<", "channel_count"),
        ("<channel_count>2<", "<channel_count>9<", "labels are not used"),
        (">2000.000000000000<", ">fast<", "nominal_srate"),
        (">2000.000000000000<", ">inf<", "nominal_srate"),
        (">2000.000000000000<", ">-1<", "nominal_srate"),
        (">2000.000000000000<", ">1e308<", "nominal_srate"),
        (">2000.000000000000<", ">1e-300<", "nominal_srate"),
        (">float32<", ">float16<", "channel_format"),
        (">65536<", ">0<", "counter_modulus"),
        (">640<", ">x<", "width"),
    ],
)
def test_bad_values_become_defaults_and_a_note(old: str, new: str, what: str) -> None:
    assert old in OURS
    header = parse_header(OURS.replace(old, new))
    assert any(what in note for note in header.notes)
    assert header.name == "emg"
    assert math.isfinite(header.rate_hz)
    if what == "channel_count":
        assert header.channel_count is None
    if what == "counter_modulus":
        assert header.counter_modulus == COUNTER_MODULUS


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<info>",
        "<info><name>\x01</name></info>",
        '<!DOCTYPE x [<!ENTITY a "b">]><info><name>&a;</name></info>',
        '<?xml version="1.0"?><!DOCTYPE info SYSTEM "file:///etc/passwd"><info/>',
        "<info>" + "x" * 16_000_001 + "</info>",
    ],
)
def test_what_is_no_safe_xml_gives_nothing_but_a_note(xml: str) -> None:
    header = parse_header(xml)
    assert header.format is None
    assert header.channel_count is None
    assert len(header.notes) == 1


TEXT = st.text(max_size=30)


@settings(max_examples=100)
@given(TEXT, TEXT, st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4), st.just(0.0) | st.floats(1e-5, 1e6))
def test_what_is_built_can_be_read(name: str, source: str, labels: list[tuple[str, str]], rate_hz: float) -> None:
    channels = [Channel(label, unit) for label, unit in labels]
    facts = {"version": "1", "device": "d", "simulated": "no", "colour": name}
    xml = build_header(name, "T", channels, rate_hz, "int16", source_id=source, created_at_s=3.25, flex_capture=facts)
    header = parse_header(xml)
    assert header.rate_hz == rate_hz
    assert (header.channel_count, header.format, header.created_at_s) == (len(channels), "int16", 3.25)
    assert (header.flex_version, header.device, set(header.details)) == ("1", "d", {"colour"})
    if name.isprintable():
        assert header.name == name.strip()
        assert header.details["colour"] == name.strip()
    assert header.notes == ()


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_no_text_raises(text: str) -> None:
    assert isinstance(parse_header(text), StreamHeader)
    assert isinstance(parse_header(f"<info><channel_count>{text}</channel_count></info>"), StreamHeader)


def test_footers_hold_exact_numbers() -> None:
    root = ET.fromstring(footer_xml(0.1, 1 / 3, 2, [(0.1, -0.2)]))
    assert float(root.findtext("first_timestamp") or "") == 0.1
    assert float(root.findtext("last_timestamp") or "") == 1 / 3
    assert root.findtext("sample_count") == "2"
    assert float(root.findtext("clock_offsets/offset/value") or "") == -0.2


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_footers_of_empty_streams_have_no_stamps(nothing: float | None) -> None:
    root = ET.fromstring(footer_xml(nothing, nothing, 0))
    assert root.find("first_timestamp") is None
    assert root.findtext("sample_count") == "0"
