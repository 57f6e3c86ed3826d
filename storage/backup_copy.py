"""Files into a backup: written under another name, read back from the disk, and only then called what they are.

A file that is there is never written over: what differs is said. What people may change (a subject's sheet) gets its
new content under the old name, and the earlier content is kept beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lab.errors import BackupError, TakeError
from storage.atomic import sync_folder
from storage.checksums import file_digest
from storage.os_errors import reason

if TYPE_CHECKING:
    from pathlib import Path

#: The end of the name of a file or folder that is not whole yet; whoever finds one may begin it anew.
COPYING_SUFFIX: Final = ".copying"
#: What stands between a file's name and the first digits of the SHA-256 of an earlier content.
EARLIER: Final = ".earlier-"
_EARLIER_DIGITS: Final = 12
_BLOCK_BYTES: Final = 1 << 20


def _silent(_count: int) -> None:
    """Hear of bytes and say nothing."""


@dataclass(frozen=True)
class Meter:
    """Who wants to hear of progress: of each number of bytes copied, and of bytes of the backup read to compare."""

    copied: Callable[[int], object] = _silent
    compared: Callable[[int], object] = _silent


def copying_path(path: Path) -> Path:
    """Return the name under which a file or folder of a backup is written until it is whole."""
    return path.with_name(path.name + COPYING_SUFFIX)


def copy_file(source: Path, target: Path, digest: str | None, meter: Meter) -> str | None:
    """Copy a file to ``target``, which is not there yet; return what is wrong with the source, None if nothing is.

    ``digest`` is the SHA-256 (hex) that the source must have; a source that has another is not copied. None: any. The
    copy gets its name when its bytes, read back from the disk, are those that were read. Raises TakeError where the
    source cannot be read, BackupError where the target cannot be written or does not come back.
    """
    copying = copying_path(target)
    with _removed_unless_whole(copying):
        found = _copy_bytes(source, copying, meter)
        if digest is not None and found != digest:
            return f"{source} has changed since it was recorded; it is not copied"
        _read_back(copying, target, found, meter)
        _name(copying, target)
    return None


def copy_changing_file(source: Path, target: Path, meter: Meter) -> bool:
    """Copy a file that people may change; return whether there was anything to copy.

    An earlier content of ``target`` is kept as ``<name>.earlier-<first digits of its SHA-256>``. Raises TakeError and
    BackupError as ``copy_file`` does.
    """
    try:
        wanted = file_digest(source)
    except OSError as error:
        raise _unreadable(source, error) from None
    with backup_errors(target):
        before = disk_digest(target, meter.compared) if target.exists() else None
    if before == wanted:
        return False
    copying = copying_path(target)
    with _removed_unless_whole(copying):
        found = _copy_bytes(source, copying, meter)
        _read_back(copying, target, found, meter)
        with backup_errors(target):
            if before is not None:
                _keep_earlier(target, before)
        _name(copying, target)
    return True


def copy_grown_file(source: Path, target: Path, data: bytes, meter: Meter) -> bool:
    """Bring a file that is only ever appended to up to date; return whether there was anything to copy.

    ``data`` is the content of ``source``. The target is replaced only by a content that begins with all of its own.
    Raises TakeError where it does not, BackupError.
    """
    with backup_errors(target):
        before = target.read_bytes() if target.exists() else b""
        there = target.exists()
    if there and before == data:
        return False
    if not data.startswith(before):
        if before.startswith(data):
            raise TakeError(f"{target} has more lines than {source}, which may have lost some; look at both")
        raise TakeError(f"{target} and {source} differ in what was said first; nothing is overwritten, look at both")
    copying = copying_path(target)
    with _removed_unless_whole(copying):
        with backup_errors(target), copying.open("wb", buffering=0) as file:
            _write_all(file.write, data)
            os.fsync(file.fileno())
        meter.copied(len(data))
        _read_back(copying, target, hashlib.sha256(data).hexdigest(), meter)
        with backup_errors(target):
            if (target.read_bytes() if target.exists() else b"") != before:
                raise TakeError(f"{target} was changed by somebody else meanwhile; back up again")
            os.replace(copying, target)  # noqa: PTH105 - no byte of the old one is lost: the new one begins with it
            sync_folder(target.parent)
    return True


def disk_digest(path: Path, read: Callable[[int], object]) -> str:
    """Return the SHA-256 (hex) of a file as the disk has it, not as the system remembers it, where that can be had.

    Raises OSError.
    """
    forget = getattr(os, "posix_fadvise", None)
    if forget is not None:
        with contextlib.suppress(OSError), path.open("rb") as file:
            forget(file.fileno(), 0, 0, getattr(os, "POSIX_FADV_DONTNEED", 4))
    return file_digest(path, read)


def make_folders(place: Path, folder: Path) -> None:
    """Make ``folder`` below ``place``, never ``place`` itself: it would be made where a disk was unplugged.

    Raises BackupError.
    """
    with backup_errors(folder):
        here = place
        for part in folder.relative_to(place).parts:
            here /= part
            if not here.is_dir():
                here.mkdir()
                sync_folder(here.parent)


def name_whole_folder(folder: Path, target: Path) -> None:
    """Give a folder that is whole its name. Raises BackupError."""
    with backup_errors(target):
        if target.exists():
            raise BackupError(f"{target} appeared while it was copied; {folder} is left beside it, look at both")
        folder.rename(target)
        sync_folder(target.parent)


@contextmanager
def backup_errors(path: Path) -> Iterator[None]:
    """Turn what the system says of a path in the backup into BackupError."""
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"{path} cannot be written or read ({reason(error)}); look whether the backup's disk is plugged in and has"
            " room, then back up again"
        ) from None


@contextmanager
def _removed_unless_whole(copying: Path) -> Iterator[None]:
    """Leave nothing of a copy that did not get its name."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            copying.unlink(missing_ok=True)


def _copy_bytes(source: Path, copying: Path, meter: Meter) -> str:
    """Copy bytes to a name of passage, put them on the disk and return their SHA-256 (hex)."""
    digest = hashlib.sha256()
    try:
        reading = source.open("rb")
    except OSError as error:
        raise _unreadable(source, error) from None
    with reading, contextlib.ExitStack() as stack:
        with backup_errors(copying):
            writing = stack.enter_context(copying.open("wb", buffering=0))
        while True:
            try:
                block = reading.read(_BLOCK_BYTES)
            except OSError as error:
                raise _unreadable(source, error) from None
            if not block:
                break
            digest.update(block)
            with backup_errors(copying):
                _write_all(writing.write, block)
            meter.copied(len(block))
        with backup_errors(copying):
            os.fsync(writing.fileno())
    return digest.hexdigest()


def _write_all(write: Callable[[memoryview], int | None], block: bytes) -> None:
    left = memoryview(block)
    while left:  # a full disk accepts what fits
        written = write(left)
        if not written:
            raise OSError(0, "the disk accepts no more bytes")
        left = left[written:]


def _read_back(copying: Path, target: Path, digest: str, meter: Meter) -> None:
    with backup_errors(target):
        found = disk_digest(copying, meter.compared)
    if found != digest:
        raise BackupError(
            f"{target} did not come back from the disk as it was written; the disk or its cable fails: use another"
        )


def _name(copying: Path, target: Path) -> None:
    with backup_errors(target):
        if target.exists():
            raise BackupError(f"{target} appeared while it was copied and is not overwritten; back up again")
        copying.rename(target)
        sync_folder(target.parent)


def _keep_earlier(target: Path, digest: str) -> None:
    """Take the name from a file whose content is to be kept."""
    earlier = target.with_name(f"{target.name}{EARLIER}{digest[:_EARLIER_DIGITS]}")
    if earlier.exists():
        if file_digest(earlier) != digest:
            raise BackupError(f"{earlier} is not what its name says; move it away, then back up again")
        target.unlink()  # the very same bytes are kept there already
    else:
        target.rename(earlier)
    sync_folder(target.parent)


def _unreadable(source: Path, error: OSError) -> TakeError:
    return TakeError(f"{source} cannot be read ({reason(error)}); it is not copied, look at its disk")
