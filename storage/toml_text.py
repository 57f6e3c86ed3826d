"""Values as TOML writes them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def toml_value(value: object) -> str:
    """Return a value as it stands behind a TOML key. Raises TypeError for what TOML has no words for, such as None."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            # JSON's string is TOML's, but for DEL, which only JSON allows as it is
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case date():
            return value.isoformat()
        case Mapping():
            inside = ", ".join(f"{_key(str(key))} = {toml_value(one)}" for key, one in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case Sequence():
            return f"[{', '.join(toml_value(one) for one in value)}]"
    raise TypeError(f"TOML has no word for {type(value).__name__}")


def toml_comment(text: str) -> str:
    """Return a text as one line of comment; what TOML allows in none becomes a space."""
    return f"# {''.join(character if character.isprintable() else ' ' for character in text)}"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)
