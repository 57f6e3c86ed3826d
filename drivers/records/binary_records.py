"""Binary records of one layout, as they come in pieces."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from drivers.records.checksums import SIZES, checksums
from drivers.records.description import BinaryField, RecordsConfig, count_modulus
from drivers.records.reading import Float64, Int64, Records, Unusable

Bytes = npt.NDArray[np.uint8]

#: Bytes that are summed up together, in records from every place at which one may begin.
_AT_ONCE: Final = 2**22
#: Bytes that are summed up in a piece that arrived: noise that looks like sync bytes all over is given up then.
_MOST_SUMMED: Final = 2**24


class BinaryRecords:
    """Reads records that a config describes; bytes that belong to none are counted.

    On a line a record is believed when the one before or the one behind it holds as well: sync bytes may stand among
    the values, and a short checksum may fit by chance. Where there are neither, records are cut off one after the other
    from the first byte on, as they are in a TCP connection.
    """

    def __init__(self, config: RecordsConfig) -> None:
        self.unusable = Unusable()
        self._config = config
        self._length = config.record_bytes
        self._sync = np.array(config.sync, dtype=np.uint8)
        self._checksum_bytes = SIZES[config.checksum]
        self._places = list(_places(config))
        alike = [field for field in config.field if field.role == "value" for _ in field.labels]
        self._scale = np.array([field.scale for field in alike])
        self._offset = np.array([field.offset for field in alike])
        self._missing = np.array([math.nan if field.missing is None else field.missing for field in alike])
        self._held = b""
        self._in_step = not (config.sync or self._checksum_bytes)

    def feed(self, data: bytes) -> Records | None:
        """Return the records that ``data`` completes."""
        held = np.frombuffer(self._held + data, dtype=np.uint8)
        found = []
        at = 0
        while True:
            whole = (len(held) - at) // self._length
            if whole < (1 if self._in_step else 2):
                break
            if self._in_step:
                rows = held[at : at + whole * self._length].reshape(whole, self._length)
                good = self._leading(rows)
                if good:
                    found.append(rows[:good])
                    at += good * self._length
                if good < whole:
                    self._in_step = False
            else:
                next_at = self._next_pair(held, at)
                if next_at > at:
                    self.unusable.add(held[at:next_at].tobytes(), "is no record")
                    at = next_at
                self._in_step = self._is_pair(held, at)
                if not self._in_step:
                    break
        self._held = held[at:].tobytes()
        return self._records(np.concatenate(found)) if found else None

    def datagram(self, data: bytes) -> Records | None:
        """Return the records of a datagram: whole ones, and nothing else."""
        if not data or len(data) % self._length:
            self.unusable.add(data, f"is {len(data)} bytes long, which is not so many records of {self._length}")
            return None
        rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, self._length)
        if self._leading(rows) < len(rows):
            self.unusable.add(data, "has no right sync bytes or checksum")
            return None
        return self._records(rows)

    def _hold(self, rows: Bytes) -> npt.NDArray[np.bool_]:
        """Return which rows (n, length) have the right sync bytes and checksum."""
        good = (rows[:, : len(self._sync)] == self._sync).all(axis=1)
        if self._checksum_bytes and good.any():
            end = self._length - self._checksum_bytes
            start = 0 if self._config.checksum_covers == "all" else len(self._sync)
            order = "<" if self._config.byte_order == "little" else ">"
            kind = np.dtype(f"{order}u{self._checksum_bytes}")
            said = np.ascontiguousarray(rows[:, end:]).view(kind)[:, 0]
            good &= said == checksums(self._config.checksum, rows[:, start:end])
        return np.asarray(good)

    def _leading(self, rows: Bytes) -> int:
        """Return how many rows from the first on hold."""
        good = self._hold(rows)
        return len(good) if good.all() else int(good.argmin())

    def _is_pair(self, held: Bytes, at: int) -> bool:
        rows = held[at : at + 2 * self._length]
        return len(rows) == 2 * self._length and bool(self._hold(rows.reshape(2, self._length)).all())

    def _next_pair(self, held: Bytes, at: int) -> int:
        """Return where two records stand, from ``at`` on; if nowhere, the first place that is not clear yet."""
        last = len(held) - 2 * self._length
        windows = np.lib.stride_tricks.sliding_window_view(held[at:], self._length)
        maybe = np.flatnonzero((windows[:, : len(self._sync)] == self._sync).all(axis=1))
        both = maybe[: np.searchsorted(maybe, last - at, side="right")]
        step = max(1, _AT_ONCE // self._length)
        for start in range(0, min(len(both), max(1, _MOST_SUMMED // self._length)), step):
            some = both[start : start + step]
            good = self._hold(windows[some])
            good[good] = self._hold(windows[some[good] + self._length])
            if good.any():
                return at + int(some[good.argmax()])
        return last + 1

    def _records(self, rows: Bytes) -> Records | None:
        values = np.empty((len(rows), len(self._scale)))
        counters: Int64 | None = None
        times: Float64 | None = None
        column = 0
        for field, start in self._places:
            raw = _numbers(rows, field, start, self._config.byte_order)
            if field.role == "value":
                values[:, column : column + field.width] = raw
                column += field.width
            elif field.role == "counter":
                counters = _counts(raw[:, 0], field)
            else:
                times = raw[:, 0].astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        values[values == self._missing] = np.nan
        return Records((values + self._offset) * self._scale, counters, times)


def _places(config: RecordsConfig) -> list[tuple[BinaryField, int]]:
    places, at = [], len(config.sync)
    for field in config.field:
        if field.role != "skip":
            places.append((field, at))
        at += field.size * field.width
    return places


def _numbers(rows: Bytes, field: BinaryField, start: int, byte_order: str) -> npt.NDArray[np.generic]:
    """Return the numbers (n, width) of a field that begins at byte ``start`` of each row."""
    cells = np.ascontiguousarray(rows[:, start : start + field.size * field.width])
    order = "<" if byte_order == "little" else ">"
    if field.size != 3:
        return cells.view(np.dtype(f"{order}{field.type[0]}{field.size}"))
    three = cells.reshape(len(rows), field.width, 3)
    four = np.zeros((len(rows), field.width, 4), dtype=np.uint8)
    # in the upper three bytes of four, so that the shift back brings the sign along
    four[..., 1 if byte_order == "little" else 0 :][..., :3] = three
    whole = four.reshape(len(rows), -1).view(np.dtype(f"{order}{field.type[0]}4"))
    return whole.astype(np.int64) >> 8 if field.type == "i24" else whole.astype(np.uint64) >> np.uint64(8)


def _counts(raw: npt.NDArray[np.generic], field: BinaryField) -> Int64:
    """Return counts from 0 on; one of 64 bits is taken modulo 2^48, further than which no device counts."""
    return np.asarray(raw.astype(np.int64) % count_modulus(field), dtype=np.int64)
