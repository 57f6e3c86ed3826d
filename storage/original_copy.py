"""A file of others into a take: the very bytes, read back from the disk, and nothing while somebody still writes it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lab.errors import FileFormatError, RequestError, TakeError
from lab.take import ImportedFile
from storage.backup_copy import disk_digest
from storage.os_errors import reason

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK_BYTES: Final = 1 << 20

#: Hears of each number of bytes.
Hear = Callable[[int], object]


def original_of(path: Path, hear: Hear) -> ImportedFile:
    """Return what a file is: its name, size and SHA-256. Raises FileFormatError where it cannot be read."""
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
                hear(len(block))
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({reason(error)}); check the name, and its disk") from None
    return ImportedFile(name=path.name, sha256=digest.hexdigest(), size=size)


def copy_original(source: Path, target: Path, original: ImportedFile, hear: Hear) -> None:
    """Copy a file to ``target``, which is not there yet, put it on the disk and read it back.

    Raises RequestError where the source is no longer ``original``, FileFormatError where it cannot be read, TakeError
    where the target cannot be written or does not come back. Whoever calls removes what is left of the target.
    """
    try:
        reading = source.open("rb")
    except OSError as error:
        raise FileFormatError(f"{source} cannot be read ({reason(error)}); check its disk") from None
    digest = hashlib.sha256()
    with reading:
        try:
            writing = target.open("xb", buffering=0)
        except OSError as error:
            raise _unwritable(target, error) from None
        with writing:
            while True:
                try:
                    block = reading.read(_BLOCK_BYTES)
                except OSError as error:
                    raise FileFormatError(f"{source} cannot be read ({reason(error)}); check its disk") from None
                if not block:
                    break
                digest.update(block)
                try:
                    _write_all(writing.write, block)
                except OSError as error:
                    raise _unwritable(target, error) from None
                hear(len(block))
            try:
                os.fsync(writing.fileno())
            except OSError as error:
                raise _unwritable(target, error) from None
    if digest.hexdigest() != original.sha256:
        raise RequestError(f"{source} changed while it was imported; end what records into it, then import it again")
    try:
        found = disk_digest(target, hear)
    except OSError as error:
        raise _unwritable(target, error) from None
    if found != original.sha256:
        raise TakeError(f"{target} did not come back from the disk as it was written; check the disk, use another")


def _write_all(write: Callable[[memoryview], int | None], block: bytes) -> None:
    left = memoryview(block)
    while left:  # a full disk accepts what fits
        written = write(left)
        if not written:
            raise OSError(0, "the disk accepts no more bytes")
        left = left[written:]


def _unwritable(path: Path, error: OSError) -> TakeError:
    return TakeError(f"{path} cannot be written ({reason(error)}); make room or check the disk, then import again")
