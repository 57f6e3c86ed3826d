"""An operator at a terminal: waits for what is on the screen, then presses keys."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\r\x07]")


class Operator:
    """``flex-capture`` in a pseudo-terminal; ``shown`` is all that was on the screen, without control sequences.

    ``drawn`` is the same with them.
    """

    def __init__(self, folder: Path, *arguments: object) -> None:
        command = [sys.executable, "-c", "from capture.cli import main; main()", *map(str, arguments)]
        self._ours, theirs = pty.openpty()
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "150", "LINES": "50"}
        self._process = subprocess.Popen(
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.shown = self.drawn = ""
        self._read_to = 0
        self.rang = 0

    def sees(self, text: str, timeout_s: float = 90.0) -> str:
        """Wait for a text that was not seen before and return what came up to it."""
        deadline_s = time.monotonic() + timeout_s
        while (place := self.shown.find(text, self._read_to)) < 0:
            assert time.monotonic() < deadline_s, f"'{text}' did not appear:\n{self.shown[self._read_to :]}"
            assert self._take_in(), f"it ended before '{text}':\n{self.shown[self._read_to :]}"
        before = self.shown[self._read_to : place]
        self._read_to = place + len(text)
        return before

    def types(self, keys: str) -> None:
        """Press keys, a moment after what was last seen, as hands do."""
        time.sleep(0.7)
        os.write(self._ours, keys.encode())

    @property
    def pid(self) -> int:
        """The process at the terminal."""
        return self._process.pid

    def presses_ctrl_c(self) -> None:
        """Press Ctrl-C, which goes to all processes of the terminal."""
        os.killpg(self._process.pid, signal.SIGINT)

    def is_asked_to_end(self) -> None:
        """Send what a system sends to a program that shall end."""
        self._process.terminate()

    def leaves(self, timeout_s: float = 60.0) -> int:
        """Wait for the end and return the exit code."""
        deadline_s = time.monotonic() + timeout_s
        while self._take_in():
            assert time.monotonic() < deadline_s, self.shown
        return self._process.wait(timeout_s)

    def close(self) -> None:
        """Let nothing of it remain."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._ours)

    def _take_in(self) -> bool:
        if not select.select([self._ours], [], [], 0.2)[0]:
            return self._process.poll() is None
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the other side is closed
            return False
        self.rang += data.count(b"\x07")
        self.drawn += data.decode("utf-8", "replace")
        self.shown += _CONTROL.sub("", data.decode("utf-8", "replace"))
        return bool(data)
