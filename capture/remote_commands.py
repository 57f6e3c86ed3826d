"""What LabRecorder's remote-control commands mean here: lines of text in, one line of answer out.

The commands are those of LabRecorder's remote control (RCS): ``start``, ``stop``, ``update``, ``select all``,
``select none`` and ``filename {participant:S12} {task:A16} …``. LabRecorder answers ``OK`` to everything and its
clients read no answer, so what is refused is also shown to the operator, and a refused ``filename`` refuses the next
``start``.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

_FIELD: Final = re.compile(r"\{\s*(\w+)\s*:([^{}]*)\}")
_UNKNOWN: Final = "there is no such command; there are start, stop, filename, update, select all, select none"
_MOST_NOTICES: Final = 20
_LONGEST_SHOWN: Final = 80


class RemoteCommands:
    """What was asked for from afar, until the session takes it up. Every method may be called from any thread."""

    def __init__(self, subject: str, find_action: Callable[[str], str | None]) -> None:
        """``find_action`` returns the id of an action of the session by its id or name; None if there is none."""
        self._subject = subject
        self._find_action = find_action
        self._lock = threading.Lock()
        self._taking = False
        self._start = False
        self._stop = False
        self._action: str | None = None
        self._refused: str | None = None
        self._notices: deque[str] = deque(maxlen=_MOST_NOTICES)
        self._strange = 0

    def answer(self, line: str, who: str) -> str:
        """Take in one command of ``who`` and return its answer, ``OK`` or ``ERROR`` and a sentence."""
        command = " ".join(line.split())
        with self._lock:
            problem = self._take_in(command, command.lower())
            if problem == _UNKNOWN:
                self._strange += 1  # somebody may send thousands: they are counted
                return f"ERROR {problem}"
            shown = "".join(letter if letter.isprintable() else "?" for letter in command[:_LONGEST_SHOWN])
            if problem is not None:
                self._notices.append(f"remote control, {who}: '{shown}' is refused: {problem}")
                return f"ERROR {problem}"
            if command.lower() != "update" and not command.lower().startswith("select"):
                self._notices.append(f"remote control, {who}: {shown}")
            return "OK"

    def _take_in(self, command: str, lower: str) -> str | None:
        """Return what is wrong with a command, None where it was taken in."""
        if lower == "start":
            return self._asked_to_start()
        if lower == "stop":
            return self._asked_to_stop()
        if lower.startswith("filename"):
            self._refused = self._named(command)
            return self._refused
        if lower in {"update", "select all", "select none"}:
            return None  # what is recorded is what the rig says
        return _UNKNOWN

    def _asked_to_start(self) -> str | None:
        if self._refused is not None:
            return f"the last filename was refused ({self._refused}); send one that fits, then start"
        if self._taking and not self._stop:
            return "a take is being recorded; stop it first"
        self._start = True  # after a stop: as soon as that take is saved
        return None

    def _asked_to_stop(self) -> str | None:
        if self._start:
            self._start = False  # it has not begun
            return None
        if not self._taking:
            return "no take is being recorded"
        self._stop = True
        return None

    def _named(self, command: str) -> str | None:
        fields = {key.lower(): value.strip() for key, value in _FIELD.findall(command)}
        participant, task = fields.get("participant", ""), fields.get("task", "")
        if participant and participant != self._subject:
            return f"participant '{participant[:_LONGEST_SHOWN]}' is not {self._subject}, the subject of this session"
        if not task:
            return None
        found = self._find_action(task)
        if found is None:
            return f"task '{task[:_LONGEST_SHOWN]}' is no action of this session; use an id or name, such as A16"
        self._action = found
        return None

    def wanted_action(self) -> str | None:
        """Return the action that was asked for since the last call, by id."""
        with self._lock:
            action, self._action = self._action, None
            return action

    def start_waits(self) -> bool:
        """Whether a start was asked for and not taken up."""
        with self._lock:
            return self._start

    def begin(self, *, only_if_asked: bool = False) -> bool:
        """Take up a start: from now on a take is under way, and may be stopped. Return whether it is."""
        with self._lock:
            if only_if_asked and not self._start:
                return False
            if not self._taking:
                self._taking, self._stop, self._start = True, False, False
            return True

    def stop_asked(self) -> bool:
        """Whether the take that is under way is to be stopped."""
        with self._lock:
            return self._taking and self._stop

    def end(self) -> None:
        """Hear that the take is over, whether anything was recorded or not."""
        with self._lock:
            self._taking = self._stop = False

    def notices(self) -> list[str]:
        """Return what the operator should see since the last call, the newest if it was too much."""
        with self._lock:
            notices = list(self._notices)
            if self._strange:
                count = f"{self._strange} line{'s' if self._strange > 1 else ''}"
                notices.append(f"remote control: {count} refused: {_UNKNOWN}")
            self._notices.clear()
            self._strange = 0
            return notices
