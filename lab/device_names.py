"""Names that a device or stream may have in a rig."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

#: What a camera is called, and nothing else.
VIEW_NAME: Final = re.compile(r"view[1-9]")
DEVICE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LONGEST: Final = 32


def device_name(text: str, taken: Container[str] = ()) -> str:
    """Return a name for what is called ``text`` elsewhere: no camera's, and none of those taken."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in text.lower()).strip("_")
    name = (plain if plain[:1].isalpha() else f"s_{plain}".rstrip("_"))[:_LONGEST]
    if VIEW_NAME.fullmatch(name):
        name = f"{name}_rows"
    unique, number = name, 2
    while unique in taken:
        ending = f"_{number}"
        unique, number = name[: _LONGEST - len(ending)] + ending, number + 1
    return unique
