"""``SHA256SUMS`` of a raw take, in the format of the sha256sum program."""

from __future__ import annotations

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from lab.errors import TakeError
from storage.atomic import write_bytes_atomically
from storage.os_errors import reason
from storage.take_folder import MARKS_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

SUMS_NAME: Final = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
_BLOCK_BYTES = 1 << 20
_LARGEST_SUMS = 10_000_000


def write_sums(folder: Path, without: Collection[Path] = ()) -> None:
    """Write ``SHA256SUMS`` of all files in the folder but the marks, itself and those ``without``, atomically.

    Raises TakeError.
    """
    try:
        files = {name: path for name, path in sorted(sealed_files(folder).items()) if path not in without}
        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:  # hashing lets go of the interpreter
            digests = list(threads.map(file_digest, files.values()))
        lines = [f"{digest}  {name}\n" for name, digest in zip(files, digests, strict=True)]
        write_bytes_atomically(folder / SUMS_NAME, "".join(lines).encode())
    except OSError as error:
        raise TakeError(f"{folder}: its checksums cannot be written ({reason(error)}); check the disk.") from None


def listed_files(folder: Path) -> set[str]:
    """Return the names in ``SHA256SUMS``, of files below the folder. Raises TakeError where it cannot be read."""
    return set(read_sums(folder)[0])


def verify_sums(folder: Path, unread: Collection[str] = ()) -> list[str]:
    """Compare the folder with its ``SHA256SUMS`` and return one sentence a problem, [] where all is as it was.

    Files named in ``unread`` must be there, but their bytes are not looked at. Raises TakeError where there is no
    readable ``SHA256SUMS``.
    """
    listed, problems = read_sums(folder)
    present = sealed_files(folder)
    for name, digest in sorted(listed.items()):
        if name in unread and name in present:
            continue
        if name not in present:
            problems.append(f"{folder / name} is missing.")
            continue
        try:
            if file_digest(present[name]) != digest:
                problems.append(f"{folder / name} has changed since it was recorded.")
        except OSError as error:
            problems.append(f"{folder / name} cannot be read ({reason(error)}).")
    problems += [
        f"{folder / name} was not there when the take was closed." for name in sorted(present.keys() - listed.keys())
    ]
    return problems


def touched_files(folder: Path) -> set[str]:
    """Return the files of a take that came, went or were written to after its checksums, as names and times tell it.

    Raises TakeError where there is no readable ``SHA256SUMS``, or the folder cannot be looked through.
    """
    listed, _ = read_sums(folder)
    try:
        present = sealed_files(folder)
        closed_ns = (folder / SUMS_NAME).stat().st_mtime_ns
        written = {name for name, path in present.items() if path.stat().st_mtime_ns > closed_ns}
    except OSError as error:
        raise TakeError(f"{folder} cannot be looked through ({reason(error)}); check the disk.") from None
    return written | (present.keys() ^ listed.keys())


def digest_of(folder: Path) -> str:
    """Return the SHA-256 (hex) of the ``SHA256SUMS`` file: one hash for the whole take. Raises TakeError."""
    return hashlib.sha256(sums_bytes(folder)).hexdigest()


def read_sums(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Return the SHA-256 (hex) of each file in ``SHA256SUMS``, and a sentence for each line that is none.

    The names are as they stand there and lead anywhere: never open one that is not in ``sealed_files``. Raises
    TakeError where there is no readable ``SHA256SUMS``.
    """
    listed: dict[str, str] = {}
    problems: list[str] = []
    for number, line in enumerate(sums_bytes(folder).decode("utf-8", "replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            problems.append(f"{folder / SUMS_NAME}, line {number} is not a checksum.")
        else:
            listed[match.group(2)] = match.group(1)
    return listed, problems


def sums_bytes(folder: Path) -> bytes:
    """Return the ``SHA256SUMS`` of a take as it stands on the disk. Raises TakeError."""
    path = folder / SUMS_NAME
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_SUMS + 1)
    except FileNotFoundError:
        raise TakeError(f"{folder} has no {SUMS_NAME}; close the take with `flex-capture recover`.") from None
    except OSError as error:
        raise TakeError(f"{path} cannot be read ({reason(error)}); check its permissions.") from None
    if len(data) > _LARGEST_SUMS:
        raise TakeError(f"{path} is larger than {_LARGEST_SUMS} bytes; it is not a list of checksums.")
    return data


def sealed_files(folder: Path) -> dict[str, Path]:
    """Return the files of a take that its checksums are of, by their names below the folder with ``/``."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).as_posix() not in (SUMS_NAME, MARKS_NAME)
    }


def file_digest(path: Path, read: Callable[[int], object] = int) -> str:
    """Return the SHA-256 (hex) of a file; ``read`` hears of each number of bytes read. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            read(len(block))
    return digest.hexdigest()
