"""Room on the disk that is held during a take, and given up so that its files can be closed when the disk is full.

It is held in pieces: whatever else fills the disk may take the first that is given up, and then finds it full again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

from lab.errors import TakeError
from storage.os_errors import reason

RESERVE_PREFIX: Final = ".reserve-"
RESERVE_BYTES: Final = 32 << 20
_PIECES: Final = 8
_BLOCK_BYTES: Final = 1 << 20
#: So long others are given to find the disk full, before a piece is given up and after it.
_OTHERS_S: Final = 0.25


def hold_reserve(folder: Path) -> None:
    """Take up ``RESERVE_BYTES`` in a take's folder. Raises TakeError, and leaves nothing, where there is no room.

    The bytes are random, since some file systems store zeros without taking up room.
    """
    try:
        for piece in range(_PIECES):
            with (folder / f"{RESERVE_PREFIX}{piece}").open("xb", buffering=0) as file:
                for _ in range(RESERVE_BYTES // _PIECES // _BLOCK_BYTES):
                    block = memoryview(os.urandom(_BLOCK_BYTES))
                    while block:
                        block = block[file.write(block) or len(block) :]
    except OSError as error:
        give_up_reserve(folder)
        raise TakeError(
            f"{folder} has no room for a take ({reason(error)}); free some, or record elsewhere with --out"
        ) from None


def give_up_reserve(folder: Path) -> None:
    """Free all that is left of the reserve. Any process may call it, any number of times."""
    for piece in reserve_files(folder):
        with contextlib.suppress(OSError):
            piece.unlink()


def reserve_files(folder: Path) -> list[Path]:
    """Return the files that hold the reserve of a take, those that are still there."""
    return sorted(folder.glob(f"{RESERVE_PREFIX}*"))


def make_room(folder: Path) -> bool:
    """Give up as much of the reserve as it takes to have room on a full disk, and return whether there is some.

    A piece goes at a time: whatever else fills the disk finds it full again before the next, and ends.
    """
    for piece in [None, *reserve_files(folder)]:
        if piece is not None:
            with contextlib.suppress(OSError):
                piece.unlink(missing_ok=True)
        time.sleep(_OTHERS_S)
        if free_bytes(folder) > _BLOCK_BYTES:
            return True
    return False


def free_bytes(folder: Path) -> int:
    """Return how many bytes can still be written to the disk of ``folder``. Raises OSError where it is gone."""
    return shutil.disk_usage(folder).free
