"""HTML and SVG as text that cannot be broken by what stands in a file: everything is escaped unless it is Markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Final

#: No text out of a file is shown longer than this.
LONGEST_TEXT: Final = 2000

#: Control characters, and those that turn the direction of writing: they could make a page say what is not there.
_UNSHOWN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_VOID: Final = frozenset({"meta", "img", "br", "path", "line", "rect", "circle", "use"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Return a text as markup that shows exactly it: bounded in length, without characters that are not shown."""
    if isinstance(text, Markup):
        return text
    plain = str(text)
    if len(plain) > LONGEST_TEXT:
        plain = plain[: LONGEST_TEXT - 1] + "…"
    plain = _UNSHOWN.sub("\ufffd", plain.encode("utf-8", "replace").decode())
    return Markup(html.escape(plain))


def element(name: str, /, *content: object, **attributes: object) -> Markup:
    """Return an element; contents and values of attributes are escaped, an attribute of None is left out.

    ``class_`` is ``class``; an underscore within a name is a hyphen.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not content:
        return Markup(f"<{name}{given}>" if name in {"meta", "img", "br"} else f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(content)}</{name}>")


def joined(parts: Iterable[object]) -> Markup:
    """Return parts, each escaped unless it is markup, one after the other."""
    return Markup("".join(escape(part) for part in parts))
