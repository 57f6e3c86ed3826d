"""What Ctrl-C means at each moment of a recording.

While devices start: end at once, nothing was recorded. In a take: stop it as Enter does. While the take's files are
closed: wait. While the dataset is written: end, the raw take is kept for later.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interruption:
    """Receives Ctrl-C, a polite kill or the closing of the terminal, and knows what to do with it."""

    def __init__(self) -> None:
        """Start in the state in which an interruption ends everything at once."""
        self.requested = threading.Event()
        self._deferred = False

    @contextmanager
    def installed(self) -> Iterator[Interruption]:
        """Take over these signals; only the main thread of a process can."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before: dict[Any, Any] = {number: signal.signal(number, self._on_signal) for number in _signals()}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def defer(self) -> None:
        """From now on only note an interruption, in ``requested``, instead of raising KeyboardInterrupt."""
        self._deferred = True

    def resume(self) -> None:
        """From now on raise KeyboardInterrupt again."""
        self._deferred = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested.set()
        if not self._deferred:
            raise KeyboardInterrupt


def _signals() -> tuple[signal.Signals, ...]:
    """Return what ends programs politely here: Ctrl-C, kill, a closed terminal (POSIX), Ctrl-Break (Windows)."""
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))
