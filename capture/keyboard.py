"""Keys as they are pressed, with and without waiting for them. For Windows and POSIX terminals."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_POLL_S: Final = 0.02
#: No hand types so much at a time; what comes after it, such as a key that is stuck, is read by the next call.
_MOST_READS: Final = 16
_CTRL_C: Final = "\x03"
_CTRL_D: Final = "\x04"
_ESCAPE: Final = "\x1b"
#: What Windows sends before the code of an arrow or function key.
_WINDOWS_PREFIXES: Final = "\x00\xe0"


def typed_keys() -> str:
    """Return what was typed since the last call, without waiting; only within ``single_keys``.

    Raises KeyboardInterrupt for Ctrl-C where it is a key, EOFError where the terminal is gone.
    """
    if sys.platform == "win32":
        keys = "".join(_windows_keys())
        if _CTRL_C in keys:
            raise KeyboardInterrupt
        return keys
    text = ""
    for _ in range(_MOST_READS):
        if not _readable(0.0):
            break
        typed = _read()
        if not typed:
            raise EOFError
        text += typed
    return text


def read_key(timeout_s: float) -> str | None:
    """Return the next key, in lower case, or None if none comes in time; arrows and the like are no keys.

    Only within ``single_keys``. Raises KeyboardInterrupt for Ctrl-C, EOFError where the terminal is gone.
    """
    deadline_s = time.monotonic() + timeout_s
    if sys.platform == "win32":
        while not (keys := _windows_keys()):
            if time.monotonic() >= deadline_s:
                return None
            time.sleep(_POLL_S)
        if _CTRL_C in keys:
            raise KeyboardInterrupt
        return keys[0].lower()
    if not _readable(timeout_s):
        return None
    typed = _read()
    if not typed or typed[0] == _CTRL_D:
        raise EOFError
    return None if typed[0] == _ESCAPE else typed[0].lower()


@contextmanager
def single_keys() -> Iterator[None]:
    """Let keys come one by one, without Enter and unseen; what was typed before is forgotten. Ctrl-C stays itself."""
    if sys.platform == "win32":
        _windows_keys()
        yield
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor, termios.TCSAFLUSH)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _readable(timeout_s: float) -> bool:
    import select

    return bool(select.select([sys.stdin.fileno()], [], [], timeout_s)[0])


def _read() -> str:
    """Return what was typed; nothing where the terminal was closed."""
    import os

    try:
        return os.read(sys.stdin.fileno(), 1024).decode("utf-8", "replace")
    except OSError:
        return ""


def _windows_keys() -> list[str]:
    keys: list[str] = []
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            key = msvcrt.getwch()
            if key in _WINDOWS_PREFIXES:
                msvcrt.getwch()
            else:
                keys.append(key)
    return keys
