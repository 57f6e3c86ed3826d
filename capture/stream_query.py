"""Does a stream that was recorded match a query of the rig? Answered by liblsl, in whose language the query is."""

from __future__ import annotations

import ctypes
import math
from typing import Any
from xml.etree import ElementTree as ET

from capture.visible_streams import shown
from lab.errors import RigError
from storage.xdf_header import StreamHeader


def matches_query(query: str, header: StreamHeader) -> bool:
    """Tell whether a recorded stream matches an LSL query, as it would have matched it while it was published.

    Of <desc> a query sees the channels' labels, units and types, and the acquisition's maker, model and serial number.
    LSL must be configured. Raises RigError where ``query`` is none in LSL's language (XPath 1.0).
    """
    import pylsl
    from pylsl.lib import lib

    made: Any = lib.lsl_streaminfo_from_xml
    made.restype = ctypes.c_void_p
    made.argtypes = [ctypes.c_char_p]
    matches: Any = lib.lsl_stream_info_matches_query
    matches.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    info = pylsl.StreamInfo(handle=made(_info(header)))
    if info.source_id() != _plain(header.source_id):  # liblsl says so of a description that it cannot read
        raise RigError(f"its description cannot be compared with \"{shown(query)}\"; name its 'source_id'")
    if not matches(info.obj, f"not({query}) or ({query})".encode()):  # any query is true of a stream, or is not
        raise RigError(f"\"{shown(query)}\" is no LSL query; write it as in type='EMG' and hostname='lab2'")
    return bool(matches(info.obj, query.encode()))


def _info(header: StreamHeader) -> bytes:
    """Return the description that liblsl reads; it wants every field, whatever the recorder wrote."""
    root = ET.Element("info")
    fields = {
        "name": header.name or "unnamed",
        "type": header.content_type,
        "channel_count": str(header.channel_count or 0),
        "channel_format": header.format or "undefined",
        "source_id": header.source_id,
        "nominal_srate": repr(header.rate_hz),
        "version": "1.1",
        "created_at": repr(header.created_at_s) if math.isfinite(header.created_at_s) else "0",
        "uid": header.uid or "unknown",
        "session_id": header.session_id or "default",
        "hostname": header.hostname,
        "v4address": "",
        "v4data_port": "0",
        "v4service_port": "0",
        "v6address": "",
        "v6data_port": "0",
        "v6service_port": "0",
    }
    for tag, text in fields.items():
        ET.SubElement(root, tag).text = _plain(text)
    desc = ET.SubElement(root, "desc")
    acquisition = ET.SubElement(desc, "acquisition")
    for tag, text in (("manufacturer", header.manufacturer), ("model", header.model), ("serial_number", header.serial)):
        ET.SubElement(acquisition, tag).text = _plain(text)
    channels = ET.SubElement(desc, "channels")
    for channel in header.channels:
        entry = ET.SubElement(channels, "channel")
        for tag, text in (("label", channel.label), ("unit", channel.unit), ("type", channel.type)):
            ET.SubElement(entry, tag).text = _plain(text)
    return ET.tostring(root, encoding="unicode").encode()


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
