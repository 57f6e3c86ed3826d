"""An operating system's lock on a small file: one holder at a time, and no crash leaves it held.

The text in the file says who holds it. It may outlive its writer, the lock does not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: The locked byte lies far behind the text: Windows lets nobody read a locked byte.
_LOCKED_BYTE: Final = 1 << 20
_POLL_S: Final = 0.1
_LONGEST_TEXT: Final = 200
#: What a system says of a lock that another process holds; any other error means that it cannot lock at all.
_HELD: Final = frozenset((errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK))


class HeldError(Exception):
    """Another process holds the lock; ``holder`` is what it wrote into the file, or words for an unknown one."""

    def __init__(self, holder: str) -> None:
        """Keep who holds it."""
        super().__init__(holder)
        self.holder = holder


def this_process() -> str:
    """Return who we are, as the text of a lock says it: ``process 12 on host bench``."""
    return f"process {os.getpid()} on host {socket.gethostname()}"


@contextlib.contextmanager
def file_lock(path: Path, text: str, *, wait_s: float, keep: bool) -> Iterator[None]:
    """Hold the lock on ``path``, whose folder exists, with ``text`` in it.

    The file stays, empty, where ``keep`` is true, else it goes with the lock. Raises HeldError where another process
    still holds it after ``wait_s``, OSError where the file cannot be opened or the system cannot lock it.
    """
    descriptor = _locked(path, time.monotonic() + wait_s)
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{text}\n".encode())
        yield
    finally:
        if keep:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
        elif sys.platform != "win32":  # while it is held, so that nobody can have locked what goes
            _remove(path)
        _unlock(descriptor)
        os.close(descriptor)
        if not keep and sys.platform == "win32":  # it cannot be removed while anybody has it open
            _remove(path)


def is_locked(path: Path) -> bool:
    """Tell whether a process holds the lock on ``path``; False where there is no such file or nothing can be told."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        if not _try_lock(descriptor):
            return True
        _unlock(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _locked(path: Path, deadline_s: float) -> int:
    """Return the descriptor of the locked file that has the name ``path`` now."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if _try_lock(descriptor):
                if _is_still(descriptor, path):
                    return descriptor
                _unlock(descriptor)  # its last holder removed it after we had opened it
            elif time.monotonic() >= deadline_s:
                raise HeldError(_text_of(path))
            else:
                time.sleep(_POLL_S)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def _unlock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_TEXT).decode("utf-8", "replace").strip()
    except OSError:
        text = ""
    return text or "another process"
