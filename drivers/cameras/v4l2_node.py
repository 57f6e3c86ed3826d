"""A video device node: the four system calls that a camera needs, and nothing that knows what they say.

Tests put a device of their own in the place of ``open_node``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import Any, Protocol


class Node(Protocol):
    """An open device node."""

    def ioctl(self, request: int, argument: Any) -> None:
        """Do an ioctl with a ctypes object, in place. Raises OSError."""

    def map(self, length: int, offset: int) -> Any:
        """Return a buffer of the device as an object with ``close`` that slices to bytes. Raises OSError."""

    def ready(self, wait_s: float) -> bool:
        """Wait until a frame can be fetched; False after ``wait_s`` without one."""
        ...

    def close(self) -> None:
        """Let go of the device; any number of times."""


class KernelNode:
    """A real one."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))

    def ioctl(self, request: int, argument: Any) -> None:
        """Do an ioctl; one that a signal interrupts is done again."""
        import fcntl

        fcntl.ioctl(self._fd, request, argument, True)  # noqa: FBT003 - it takes no name

    def map(self, length: int, offset: int) -> Any:
        """Map a buffer of the device."""
        import mmap

        return mmap.mmap(self._fd, length, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)

    def ready(self, wait_s: float) -> bool:
        """Wait for a frame, or for an error that the next ioctl tells."""
        import select

        return bool(select.select([self._fd], [], [self._fd], wait_s)[0])

    def close(self) -> None:
        """Close the device."""
        if self._fd != -1:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._fd = -1


def open_node(path: str) -> Node:
    """Open a device node. Raises OSError, also where this computer has no Video4Linux or other sizes of structures."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(0, "video devices of this kind need 64-bit Linux")
    return KernelNode(path)
