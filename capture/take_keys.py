"""The keys of a running take: Enter stops it, n begins a note that is kept with the moment at which it was begun."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LONGEST_NOTE: Final = 500
_ENTER: Final = "\r\n"
_RUB_OUT: Final = "\x7f\b"
_ESCAPE: Final = "\x1b"
#: What terminals send for arrows, function keys and the like: no text.
_SEQUENCES: Final = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]")


@dataclass(frozen=True)
class TypedNote:
    """A note as typed; ``begun_s`` is the session time at which it was begun."""

    begun_s: float
    text: str


class TakeKeys:
    """What the operator types while a take runs."""

    def __init__(self) -> None:
        """Begin outside a note."""
        self._begun_s: float | None = None
        self._text = ""

    @property
    def hint(self) -> str:
        """What the keys do now."""
        if self._begun_s is None:
            return "Enter stops the take   n notes something"
        return f"note: {self._text}▏  Enter keeps it   Esc drops it"

    def take_in(self, typed: str, now_s: float) -> list[TypedNote | None]:
        """Return what the keys ask for: a note to keep, or None to stop the take; keys after that are passed over."""
        asked: list[TypedNote | None] = []
        for key in _SEQUENCES.sub("", typed):
            if self._begun_s is None:
                if key in _ENTER:
                    asked.append(None)
                    return asked
                if key in "nN":
                    self._begun_s, self._text = now_s, ""
            elif key in _ENTER:
                if self._text.strip():
                    asked.append(TypedNote(self._begun_s, self._text.strip()))
                self._begun_s = None
            elif key == _ESCAPE:
                self._begun_s = None
            elif key in _RUB_OUT:
                self._text = self._text[:-1]
            elif key.isprintable() and len(self._text) < _LONGEST_NOTE:
                self._text += key
        return asked

    def unfinished(self) -> TypedNote | None:
        """Return the note that was being typed when the take ended; what was typed is not lost."""
        if self._begun_s is None or not self._text.strip():
            return None
        return TypedNote(self._begun_s, self._text.strip())
