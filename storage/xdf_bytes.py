"""The bytes of an XDF file, mapped into memory and seen through numpy; pages that were read are given back."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lab.errors import FileFormatError
from storage.os_errors import reason
from storage.xdf_writer import MAGIC

if TYPE_CHECKING:
    from pathlib import Path

Int64 = npt.NDArray[np.int64]

#: Bytes that may be looked at behind a place without a check: the head of any chunk fits.
HEAD_ROOM: Final = 32
_WINDOW: Final = 8 << 20


class FileBytes:
    """The mapped bytes, as arrays whose element k is the value that begins at byte k, aligned or not."""

    def __init__(self, data: mmap.mmap) -> None:
        """See ``data`` through numpy; it stays open as long as one of the arrays lives."""
        self.data = data
        self.size = len(data)
        self._pieces: dict[tuple[int, int], npt.NDArray[Any]] = {}
        self.u8 = np.frombuffer(data, dtype=np.uint8)
        self.i64 = self._each(np.dtype("<i8"))
        self.f64 = self._each(np.dtype("<f8"))
        #: Element k is the stamp of a sample whose mark is byte k.
        self.stamps = self._each(np.dtype("<f8"), 1)

    def pieces(self, size: int, behind: int) -> npt.NDArray[Any]:
        """Return the array of all ``size`` bytes in a row; element k begins ``behind`` bytes behind byte k."""
        if (size, behind) not in self._pieces:
            self._pieces[size, behind] = self._each(np.dtype(f"V{size}"), behind)
        return self._pieces[size, behind]

    def _each(self, dtype: np.dtype[Any], behind: int = 0) -> npt.NDArray[Any]:
        count = max(self.size - behind - dtype.itemsize + 1, 0)
        values: npt.NDArray[Any] = np.ndarray((count,), dtype, self.data, min(behind, self.size), (1,))
        return values

    def find(self, wanted: bytes, start: int, stop: int) -> int:
        """Return where ``wanted`` lies first within these bytes, -1 where it does not; little memory is needed."""
        for place in range(start, stop, _WINDOW):
            end = min(place + _WINDOW, stop)
            found = self.data.find(wanted, place, min(end + len(wanted) - 1, stop))
            if found >= 0:
                return found
            if end < stop:
                self.forget(place, end)
        return -1

    def forget(self, start: int, stop: int) -> None:
        """Give back the memory of the pages that lie within these bytes; they are read again where needed."""
        first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
        length = stop // mmap.PAGESIZE * mmap.PAGESIZE - first
        if length > 0 and hasattr(self.data, "madvise"):  # not on Windows, which takes pages back by itself
            with contextlib.suppress(OSError):
                self.data.madvise(mmap.MADV_DONTNEED, first, length)


@contextlib.contextmanager
def mapped_xdf(path: Path) -> Iterator[mmap.mmap]:
    """Yield the bytes of an XDF file. Raises FileFormatError where it cannot be read or is none."""
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
            if start[:2] == b"\x1f\x8b":
                raise FileFormatError(f"{path} is compressed; unpack it with gzip first.")
            if start != MAGIC:
                raise FileFormatError(f"{path} is not an XDF file; name a .xdf file.")
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({reason(error)}); check the name.") from None
    try:
        yield data
    finally:
        with contextlib.suppress(BufferError):  # where arrays still see the bytes, it goes with the last of them
            data.close()
