"""Whether Enter was pressed, without waiting for it. Works in Windows and POSIX terminals."""

from __future__ import annotations

import sys


def enter_pressed() -> bool:
    """Return whether the operator has pressed Enter since the last call."""
    if sys.platform == "win32":
        import msvcrt

        pressed = False
        while msvcrt.kbhit():
            pressed |= msvcrt.getwch() in "\r\n"
        return pressed
    import os
    import select

    pressed = False
    descriptor = sys.stdin.fileno()
    while select.select([descriptor], [], [], 0)[0]:
        try:
            typed = os.read(descriptor, 1024)
        except OSError:  # the terminal was closed
            return pressed
        if not typed:
            return pressed
        pressed |= b"\n" in typed
    return pressed
