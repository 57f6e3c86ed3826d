"""What the header of an XDF file says of the whole file: when its recorder began, by its own clock of the day."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from storage.xdf_writer import FILE_HEADER, MAGIC

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST_BYTES: Final = 1 << 16
_LENGTHS: Final = {1: "<B", 4: "<I", 8: "<Q"}
_DATETIME: Final = re.compile(rb"<datetime>\s*([0-9][0-9A-Za-z:.+ -]{7,39}?)\s*</datetime>")


def header_datetime(path: Path) -> str:
    """Return the ``<datetime>`` of the file's header as it stands there, such as ``2023-09-22T16:52:22+0100``.

    Empty where there is none or it is no date. It is what a computer's calendar said when the file was opened: a hint,
    no measurement.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LARGEST_BYTES)
    except OSError:
        return ""
    place = len(MAGIC)
    layout = _LENGTHS.get(start[place]) if len(start) > place and start.startswith(MAGIC) else None
    if layout is None or len(start) < place + 1 + struct.calcsize(layout) + 2:
        return ""
    (length,) = struct.unpack_from(layout, start, place + 1)
    place += 1 + struct.calcsize(layout)
    if struct.unpack_from("<H", start, place)[0] != FILE_HEADER:
        return ""
    found = _DATETIME.search(start[place + 2 : place + length])
    return "" if found is None else found[1].decode("ascii")
