"""Text out of a file, as a terminal may see it."""

from __future__ import annotations

import re
from typing import Final

#: Control characters but the end of a line, and those that turn the direction of writing.
_UNSHOWN: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Return a text without characters that steer a terminal or make it say what is not there."""
    return _UNSHOWN.sub("\ufffd", text)
