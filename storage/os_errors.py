"""What an operating-system error says, in the words an operator reads."""

from __future__ import annotations


def reason(error: BaseException) -> str:
    """Return the system's own short reason where there is one: ``No space left on device``."""
    return getattr(error, "strerror", None) or str(error)
