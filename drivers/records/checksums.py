"""Checksums of many records at once.

Parameters of the CRCs as in Greg Cook's catalogue: SMBUS, MAXIM-DOW, IBM-3740 (the "CCITT" that begins with FFFF) and
MODBUS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Sums = npt.NDArray[np.uint16]
ChecksumName = Literal["none", "xor", "sum8", "crc8", "crc8_maxim", "crc16_ccitt", "crc16_modbus"]

#: Rows up to which one after the other is faster than all at once.
_FEW: Final = 64

#: Bytes that each takes at the end of a record.
SIZES: Final[dict[str, int]] = {
    "none": 0,
    "xor": 1,
    "sum8": 1,
    "crc8": 1,
    "crc8_maxim": 1,
    "crc16_ccitt": 2,
    "crc16_modbus": 2,
}


def checksums(name: ChecksumName, covered: Bytes) -> Sums:
    """Return the checksum (n,) of the bytes (n, length) of each record."""
    return _WAYS[name](covered)


def _xor(covered: Bytes) -> Sums:
    return np.asarray(np.bitwise_xor.reduce(covered, axis=1), dtype=np.uint16)


def _sum8(covered: Bytes) -> Sums:
    return np.asarray(covered.sum(axis=1, dtype=np.uint64) & 0xFF, dtype=np.uint16)


def _reflected_table(polynomial: int) -> Sums:
    table = np.arange(256, dtype=np.uint16)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint16(polynomial), table >> 1).astype(np.uint16)
    return table


def _table(polynomial: int, bits: int) -> Sums:
    table = np.arange(256, dtype=np.uint32) << (bits - 8)
    for _ in range(8):
        table = np.where(table >> (bits - 1) & 1, (table << 1) ^ polynomial, table << 1) & ((1 << bits) - 1)
    return table.astype(np.uint16)


def _crc8(covered: Bytes) -> Sums:
    if len(covered) <= _FEW:
        return _row_by_row(covered, _crc8_of)
    crc = np.zeros(len(covered), dtype=np.uint16)
    for column in covered.T:
        crc = _SMBUS[crc ^ column]
    return crc


def _crc8_of(row: bytes) -> int:
    crc = 0
    for value in row:
        crc = _SMBUS_LIST[crc ^ value]
    return crc


def _ccitt(covered: Bytes) -> Sums:
    if len(covered) <= _FEW:
        return _row_by_row(covered, _ccitt_of)
    crc = np.full(len(covered), 0xFFFF, dtype=np.uint16)
    for column in covered.T:
        crc = (crc << 8) ^ _IBM_3740[(crc >> 8) ^ column]
    return crc


def _ccitt_of(row: bytes) -> int:
    crc = 0xFFFF
    for value in row:
        crc = ((crc << 8) & 0xFF00) ^ _IBM_3740_LIST[(crc >> 8) ^ value]
    return crc


def _reflected(covered: Bytes, table: Sums, start: int) -> Sums:
    if len(covered) <= _FEW:
        numbers = table.tolist()
        return _row_by_row(covered, lambda row: _reflected_of(row, numbers, start))
    crc = np.full(len(covered), start, dtype=np.uint16)
    for column in covered.T:
        crc = (crc >> 8) ^ table[(crc ^ column) & 0xFF]
    return crc


def _reflected_of(row: bytes, table: list[int], start: int) -> int:
    crc = start
    for value in row:
        crc = (crc >> 8) ^ table[(crc ^ value) & 0xFF]
    return crc


def _row_by_row(covered: Bytes, crc_of: Callable[[bytes], int]) -> Sums:
    """Spare a few rows what numpy takes for each byte of all of them together."""
    return np.array([crc_of(row.tobytes()) for row in covered], dtype=np.uint16)


_SMBUS: Final = _table(0x07, 8)
_MAXIM: Final = _reflected_table(0x8C)
_IBM_3740: Final = _table(0x1021, 16)
_MODBUS: Final = _reflected_table(0xA001)
_SMBUS_LIST: Final[list[int]] = _SMBUS.tolist()
_IBM_3740_LIST: Final[list[int]] = _IBM_3740.tolist()

_WAYS: Final[dict[str, Callable[[Bytes], Sums]]] = {
    "none": lambda covered: np.zeros(len(covered), dtype=np.uint16),
    "xor": _xor,
    "sum8": _sum8,
    "crc8": _crc8,
    "crc8_maxim": lambda covered: _reflected(covered, _MAXIM, 0),
    "crc16_ccitt": _ccitt,
    "crc16_modbus": lambda covered: _reflected(covered, _MODBUS, 0xFFFF),
}
