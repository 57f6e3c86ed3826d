"""Room on the disk that is held during a take, and given up so that its files can be closed when the disk is full."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path
from typing import Final

from lab.errors import TakeError
from storage.os_errors import reason

RESERVE_NAME: Final = ".reserve"
RESERVE_BYTES: Final = 32 << 20
_BLOCK_BYTES: Final = 1 << 20
_OTHERS_FIRST_S: Final = 0.25


def hold_reserve(folder: Path) -> None:
    """Take up ``RESERVE_BYTES`` in a take's folder. Raises TakeError, and leaves nothing, where there is no room.

    The bytes are random, since some file systems store zeros without taking up room.
    """
    path = folder / RESERVE_NAME
    try:
        with path.open("xb", buffering=0) as file:
            for _ in range(RESERVE_BYTES // _BLOCK_BYTES):
                block = memoryview(os.urandom(_BLOCK_BYTES))
                while block:
                    block = block[file.write(block) or len(block) :]
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise TakeError(
            f"{folder} has no room for a take ({reason(error)}); free some, or record elsewhere with --out"
        ) from None


def give_up_reserve(folder: Path) -> bool:
    """Free the reserve; return whether there was one. Any process may call it, any number of times."""
    try:
        (folder / RESERVE_NAME).unlink()
    except OSError:
        return False
    return True


def make_room(folder: Path) -> bool:
    """Give up the reserve because the disk is full; return whether there is room now.

    Whatever else fills the disk finds it full first, and ends, instead of taking the reserve as well.
    """
    time.sleep(_OTHERS_FIRST_S)
    return give_up_reserve(folder) or free_bytes(folder) > _BLOCK_BYTES


def free_bytes(folder: Path) -> int:
    """Return how many bytes can still be written to the disk of ``folder``. Raises OSError where it is gone."""
    return shutil.disk_usage(folder).free
