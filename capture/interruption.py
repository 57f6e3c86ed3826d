"""What Ctrl-C means at each moment of a recording.

While devices start: end at once, nothing was recorded. In a take: stop it as Enter does. While the take's files are
closed: wait. While the dataset is written: end, the raw take is kept for later.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interruption:
    """Receives Ctrl-C, a polite kill or the closing of the terminal, and knows what to do with it.

    ``requested`` is set by each of them, ``ending`` by those after which no other take is wanted.
    """

    def __init__(self) -> None:
        """Start in the state in which an interruption ends everything at once."""
        self.requested = threading.Event()
        self.ending = False
        self._deferred = False

    @contextmanager
    def installed(self) -> Iterator[Interruption]:
        """Take over these signals; only the main thread of a process can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before: dict[Any, Any] = {number: signal.signal(number, self._on_signal) for number in _signals()}
        tell, sys.unraisablehook = sys.unraisablehook, _quiet(sys.unraisablehook)
        try:
            yield self
        finally:
            sys.unraisablehook = tell
            for number, handler in before.items():
                signal.signal(number, handler)

    def defer(self) -> None:
        """From now on only note an interruption, in ``requested``, instead of raising KeyboardInterrupt."""
        self._deferred = True

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Finish what is inside first; an interruption meanwhile raises KeyboardInterrupt at its end."""
        before, self._deferred = self._deferred, True
        asked_before = self.requested.is_set()
        try:
            yield
        finally:
            self._deferred = before
        if self.requested.is_set() and not asked_before and not before:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was an interruption: deferred, or lost because it came in a destructor."""
        if self.requested.is_set():
            raise KeyboardInterrupt

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.requested.set()
        self.ending |= number != signal.SIGINT
        if not self._deferred:
            raise KeyboardInterrupt


def _quiet(tell: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], object]:
    """Return a hook that says nothing of an interruption that came where none can be raised; ``check`` finds it."""

    def hook(unraisable: sys.UnraisableHookArgs) -> object:
        lost = unraisable.exc_type is not None and issubclass(unraisable.exc_type, KeyboardInterrupt)
        return None if lost else tell(unraisable)

    return hook


def _signals() -> tuple[signal.Signals, ...]:
    """Return what ends programs politely here: Ctrl-C, kill, a closed terminal (POSIX), Ctrl-Break (Windows)."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))
