"""What readers of records give, and what they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


class Records(NamedTuple):
    """Records that came together: values (n, channels), scaled, NaN where there is none.

    ``counters`` (n,) and ``times`` (n,) are as the device gave them, in its units and not unwrapped; None where it
    gives none.
    """

    values: Float64
    counters: Int64 | None
    times: Float64 | None


@dataclass
class Unusable:
    """What came and was no record: ``pieces`` lines or datagrams, ``skipped`` bytes, and how the first looked."""

    pieces: int = 0
    skipped: int = 0
    example: str = ""

    def add(self, data: bytes, why: str) -> None:
        """Count what was no record."""
        self.pieces += 1
        self.skipped += len(data)
        if not self.example:
            self.example = f"{shown(data)} {why}"


def shown(data: bytes, most: int = 40) -> str:
    """Return the beginning of what came so that it can stand in a sentence."""
    text = data[:most].decode("ascii", "backslashreplace")
    printable = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return f"'{printable}{'…' if len(data) > most else ''}'"


class RecordReader(Protocol):
    """Bytes in, records out."""

    unusable: Unusable

    def feed(self, data: bytes) -> Records | None:
        """Return the records that ``data`` of a line or connection completes, None where there are none."""

    def datagram(self, data: bytes) -> Records | None:
        """Return the records of a datagram, which holds whole ones only; None where it does not."""
