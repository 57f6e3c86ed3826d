"""What an operating-system error says, in the words an operator reads."""

from __future__ import annotations

import errno
from typing import Final

_FULL: Final = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def reason(error: BaseException) -> str:
    """Return the system's own short reason where there is one: ``No space left on device``."""
    return getattr(error, "strerror", None) or str(error)


def is_full(error: OSError) -> bool:
    """Whether the disk, or what this user may use of it, is full."""
    return error.errno in _FULL
