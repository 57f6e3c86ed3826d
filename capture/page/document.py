"""A whole page around its sections, and how to tell a page of ours from another file."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

from capture.page.markup import Markup, element, joined
from capture.page.style import STYLE

_GENERATOR: Final = "flex-capture show"
_SIGN: Final = f'<meta name="generator" content="{_GENERATOR}">'.encode()
#: A browser that keeps to it runs no script and asks nobody for anything, whatever stands in a page.
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def whole_page(title: str, *sections: Markup) -> bytes:
    """Return a page as UTF-8; the same sections give the same bytes."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content=_GENERATOR),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    footer = element(
        "footer",
        f"Made by flex-capture {version('flex-capture')}. This file needs no other: it runs nothing and loads nothing.",
    )
    body = element("body", element("main", joined(sections)), footer)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n".encode()


def is_page_of_ours(path: Path) -> bool:
    """Tell whether a file says that it is a page made here. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return _SIGN in file.read(1024)
