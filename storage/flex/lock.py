"""One writer at a time: an operating system's lock on ``dataset/.lock``, which no crash leaves behind.

The file itself stays, empty: to remove it would let two writers lock two files of the same name.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.errors import LayoutError

LOCK_NAME: Final = ".lock"

#: The locked byte lies far behind the text: Windows lets nobody read a locked byte.
_LOCKED_BYTE: Final = 1 << 20
_POLL_S: Final = 0.1


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _holder(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(200).decode("utf-8", "replace").strip()
    except OSError:
        text = ""
    return text or "another process"


@contextmanager
def writer_lock(dataset: Path, wait_s: float = 30.0) -> Iterator[None]:
    """Hold the writer's lock of an existing dataset folder.

    Waits up to ``wait_s`` for another writer. Raises LayoutError if it still writes then, or if the
    lock file cannot be opened.
    """
    path = dataset / LOCK_NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LayoutError(
            f"The lock file {path} cannot be opened ({error.strerror}); make the dataset folder writable."
        ) from error
    try:
        deadline = time.monotonic() + wait_s
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise LayoutError(
                    f"The dataset is being written by {_holder(path)}, which holds {path}; "
                    "wait until it is done and try again."
                )
            time.sleep(_POLL_S)
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            yield
        finally:
            os.ftruncate(descriptor, 0)
            _unlock(descriptor)
    finally:
        os.close(descriptor)
