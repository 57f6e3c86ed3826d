"""The bytes of the Trigno SDK server: rows of floats on the data ports, short texts on the command port. No I/O.

Sources: Delsys, Trigno Wireless System SDK User's Guide MAN-025-3-5 (2021): ports and row widths 6.1, rates 6.1.2,
places of sensors in a row 6.1.3, commands 6.2 to 6.4 and appendix I. Where the guide is silent, clients that others
published (BiRDLab-UMinho/trignoclient, axopy/pytrigno, louisgevers/delsys-trigno-client; read for facts): the words of
the greeting, and that ``CHANNEL 0`` crashes the server. Not confirmed on hardware: whether STARTINDEX counts from 0
(guide, 6.1.3) or from 1 (guide, appendix I), how units are spelled, and that all versions end texts with a blank line.

A row has no counter, time stamp or checksum. What tells rows apart is the count of bytes since the connection began,
nothing else: a row may come in any number of pieces.
"""

from __future__ import annotations

import math
import re
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

#: Sensors of one base, and the longest row that any port has: 16 sensors of 9 auxiliary channels.
SLOTS: Final = 16
AUX_WIDTH: Final = 9
LEGACY_AUX_WIDTH: Final = 3

#: What ends a command, and the replies that refuse one.
END: Final = b"\r\n\r\n"
INVALID: Final = "INVALID COMMAND"
CANNOT: Final = "CANNOT COMPLETE"
#: What the server says unasked when its stop trigger came.
STOPPED: Final = "STOPPED"

#: Beginning of the server's greeting.
GREETING: Final = "Delsys Trigno"

_LONGEST_REPLY: Final = 4096
_MOST_WAITING: Final = 8192
_LONGEST_TEXT: Final = 200
_BLANK_LINE: Final = re.compile(rb"\r?\n[ \t]*\r?\n")

ByteOrder = Literal["little", "big"]


class RowReader:
    """Puts the bytes of one data port together to rows of ``columns`` floats; never holds more than one row."""

    def __init__(self, columns: int, order: ByteOrder = "little") -> None:
        self._columns = columns
        self._bytes = 4 * columns
        self._dtype = np.dtype("<f4" if order == "little" else ">f4")
        self._rest = b""

    @property
    def waiting(self) -> int:
        """How many bytes of the next row are there."""
        return len(self._rest)

    def feed(self, data: bytes) -> npt.NDArray[np.float32]:
        """Return the rows (n, columns) that are whole with ``data``, in the port's own units; n may be 0."""
        data = self._rest + data
        whole = len(data) - len(data) % self._bytes
        self._rest = data[whole:]
        rows = np.frombuffer(data, self._dtype, whole // 4)
        return rows.reshape(-1, self._columns).astype(np.float32, copy=False)


class ReplyReader:
    """Puts the bytes of the command port together to texts, each ended by a blank line.

    Some servers may end a text with its line alone; who has waited long enough asks for ``line``. A text that does not
    end is dropped at 4 KiB, and so is all where more than 8 KiB wait: ``too_long`` is then True for good.
    """

    def __init__(self) -> None:
        self._data = b""
        self.too_long = False

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        self._data = (self._data + data).lstrip(b"\r\n\t \x00")
        endless = len(self._data) > _LONGEST_REPLY and not _BLANK_LINE.search(self._data[:_LONGEST_REPLY])
        if endless or len(self._data) > _MOST_WAITING:
            self.too_long = True
            self._data = b""

    def text(self) -> str | None:
        """Return the next text that is whole, None where there is none; its lines are joined with a space."""
        end = _BLANK_LINE.search(self._data)
        return None if end is None else self._take(end.start(), end.end())

    def line(self) -> str | None:
        """Return the next whole line, None where there is none."""
        end = self._data.find(b"\n")
        return None if end < 0 else self._take(end, end + 1)

    def _take(self, length: int, consumed: int) -> str:
        said = plain(self._data[:length])
        self._data = self._data[consumed:].lstrip(b"\r\n\t \x00")
        return said


def plain(data: bytes) -> str:
    """Return a text as it can be shown: printable ASCII, one space between words, 200 letters at most."""
    printable = "".join(letter if " " <= letter <= "~" else " " for letter in data[:_LONGEST_REPLY].decode("latin-1"))
    return " ".join(printable.split())[:_LONGEST_TEXT]


def yes_or_no(reply: str) -> bool | None:
    """Return what YES, NO, ``UPSAMPLING ON`` and their like mean; None for anything else."""
    last = reply.upper().rpartition(" ")[2]
    return {"YES": True, "ON": True, "NO": False, "OFF": False}.get(last)


def number(reply: str, least: float, most: float) -> float | None:
    """Return the number a reply is, None where it is none or not between the bounds.

    A decimal comma counts as well: the server runs on Windows, which may write numbers in the country's way.
    """
    if not re.fullmatch(r"[-+]?\d{0,12}([.,]\d{0,20})?([eE][-+]?\d{1,3})?", reply):
        return None
    try:
        value = float(reply.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) and least <= value <= most else None


def whole_number(reply: str, least: int, most: int) -> int | None:
    """Return the whole number a reply is, None where it is none or not between the bounds."""
    value = number(reply, least, most)
    return int(value) if value is not None and value == int(value) else None
