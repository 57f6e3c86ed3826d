"""A file that only grows, in whole pieces, and stays readable when a write fails."""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

from lab.errors import TakeError
from storage.atomic import sync_file
from storage.os_errors import is_full, reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class AppendFile:
    """A new file, created exclusively and unbuffered, that grows by whole pieces.

    ``append`` and ``sync`` may be called from any threads; a slow ``sync`` does not hold up ``append``. What has been
    appended survives the death of the process; what has been synced survives a power cut.
    """

    def __init__(self, path: Path, make_room: Callable[[], bool] | None = None) -> None:
        """Create the file. Raises TakeError where it exists already or cannot be created.

        ``make_room`` is called where the disk is full; if it returns True, the piece is tried again.
        """
        self.path = path
        self._make_room = make_room
        self._write_lock = threading.Lock()
        self._close_lock = threading.Lock()  # keeps the descriptor alive during a sync
        self._size = 0
        self._damaged = False
        try:
            self._file = path.open("xb", buffering=0)
        except FileExistsError:
            raise TakeError(f"{path} exists already and is not overwritten; move it away or record anew.") from None
        except OSError as error:
            raise TakeError(f"{path} cannot be created ({reason(error)}); check the folder and the disk.") from None

    @property
    def size(self) -> int:
        """Number of bytes in whole pieces."""
        return self._size

    def append(self, piece: bytes) -> None:
        """Append one whole piece.

        Raises TakeError where the system refuses; the file is then cut back to the last whole piece, and later pieces
        may be tried again. Raises ValueError after ``close``.
        """
        with self._write_lock:
            if self._damaged:
                raise TakeError(
                    f"{self.path} ends in a broken piece that could not be removed; nothing more is written."
                )
            try:
                self._write_with_room(piece)
            except OSError as error:
                self._cut_back()
                raise TakeError(
                    f"{self.path} cannot be written ({reason(error)}); free space or check the disk. "
                    f"The {self._size} bytes before are kept."
                ) from None
            except BaseException:  # an interrupt between two parts of a write
                self._cut_back()
                raise
            self._size += len(piece)

    def _write_with_room(self, piece: bytes) -> None:
        try:
            self._write_all(piece)
        except OSError as error:
            if self._make_room is None or not is_full(error):
                raise
            self._cut_back()
            if self._damaged or not self._make_room():
                raise
            self._write_all(piece)

    def _write_all(self, piece: bytes) -> None:
        written = self._file.write(piece)
        while written < len(piece):  # a short write: a full disk accepts what fits, a signal may interrupt
            more = self._file.write(memoryview(piece)[written:])
            if not more:
                raise OSError(errno.ENOSPC, "the system accepts no more bytes")
            written += more

    def _cut_back(self) -> None:
        if self._file.closed:
            return
        try:
            self._file.truncate(self._size)
            self._file.seek(self._size)
        except OSError:
            self._damaged = True

    def sync(self) -> None:
        """Wait until all that was appended is on the disk. Does nothing after ``close``. Raises TakeError."""
        with self._close_lock:
            if self._file.closed:
                return
            try:
                sync_file(self._file.fileno())
            except OSError as error:
                raise TakeError(f"{self.path} cannot be put on the disk ({reason(error)}); check the disk.") from None

    def close(self) -> None:
        """Sync and close; any number of times. Raises TakeError where the disk refuses; it is closed all the same."""
        try:
            self.sync()
        finally:
            with self._close_lock, self._write_lock:
                self._file.close()
