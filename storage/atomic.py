"""Files that appear whole or not at all, and bytes that have reached the disk."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_TEMPORARY: Final = ".tmp-"
_LEFT: Final = re.compile(rf".+{re.escape(_TEMPORARY)}\d+")
_fdatasync = getattr(os, "fdatasync", os.fsync)  # fdatasync is POSIX only


def sync_file(descriptor: int) -> None:
    """Wait until the data of an open, writable file is on the disk. Raises OSError."""
    _fdatasync(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until names in ``folder`` are on the disk, where the system can do that; do nothing elsewhere."""
    with contextlib.suppress(OSError):  # Windows cannot open folders, some network shares cannot sync them
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def temporary_path(path: Path) -> Path:
    """Return the name under which this process writes a file that is to appear whole as ``path``."""
    return path.with_name(f"{path.name}{_TEMPORARY}{os.getpid()}")


def temporary_files(folder: Path) -> list[Path]:
    """Return the files of ``folder`` that writers which died left half-written. Raises OSError."""
    return sorted(path for path in folder.iterdir() if _LEFT.fullmatch(path.name) and path.is_file())


def write_bytes_durably(path: Path, data: bytes) -> None:
    """Write ``data`` where nobody looks yet, and wait until it is on the disk. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        sync_file(file.fileno())


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Replace ``path`` by a file that holds ``data``; a reader sees the old file or the new one, never a part.

    Raises OSError; the old file is then untouched and nothing is left beside it.
    """
    temporary = temporary_path(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the one act that tests interrupt
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
