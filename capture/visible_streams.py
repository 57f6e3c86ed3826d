"""The LSL streams that can be seen from here. What strangers say of theirs is not trusted to be text."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, Final

from lab.errors import RigError

_MOST: Final = 1024
_SHOWN_CHARACTERS: Final = 60


@dataclass(frozen=True)
class SeenStream:
    """A stream that somebody publishes; ``info`` is pylsl's, ``uid`` tells two outlets of one source id apart."""

    name: str
    content_type: str
    source_id: str
    host: str
    uid: str
    info: Any

    def __str__(self) -> str:
        """Name the stream in a sentence: short, and without what would steer a terminal."""
        source = f", source_id '{shown(self.source_id)}'" if self.source_id else ", no source_id"
        return f"'{shown(self.name)}' ({shown(self.content_type) or 'no type'}{source}) on {shown(self.host)}"


def shown(text: str) -> str:
    """Return a stranger's text as it may be shown: printable characters, 60 at most."""
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return plain if len(plain) <= _SHOWN_CHARACTERS else f"{plain[: _SHOWN_CHARACTERS - 1]}…"


def visible_streams(wait_s: float) -> list[SeenStream]:
    """Look for ``wait_s`` seconds and return every stream that answered, an outlet once."""
    import pylsl

    return _seen(pylsl.resolve_streams(wait_s))


def matching_streams(query: str, wait_s: float) -> list[SeenStream]:
    """Look for ``wait_s`` seconds and return every stream that a query matches, an outlet once.

    Raises RigError where ``query`` is none in LSL's language (XPath 1.0).
    """
    import pylsl
    from pylsl.lib import lib

    handles = (ctypes.c_void_p * _MOST)()
    found = lib.lsl_resolve_bypred(
        ctypes.byref(handles), _MOST, ctypes.c_char_p(query.encode()), _MOST, ctypes.c_double(wait_s)
    )
    if found < 0:  # pylsl's own function takes that for "none"
        raise RigError(f"\"{shown(query)}\" is no LSL query; write it as in type='EMG' and hostname='lab2'")
    return _seen([pylsl.StreamInfo(handle=handles[index]) for index in range(found)])


def successor(info: Any, wait_s: float) -> SeenStream | None:
    """Return the one stream that has taken the place of a lost one, by source id, name and layout, or None."""
    if not info.source_id():
        return None
    like = [
        stream
        for stream in visible_streams(wait_s)
        if (stream.source_id, stream.name, stream.content_type) == (info.source_id(), info.name(), info.type())
        and stream.info.channel_count() == info.channel_count()
        and stream.info.channel_format() == info.channel_format()
    ]
    return like[0] if len(like) == 1 else None


def _seen(infos: list[Any]) -> list[SeenStream]:
    seen: dict[str, SeenStream] = {}
    for info in infos:
        try:
            stream = SeenStream(info.name(), info.type(), info.source_id(), info.hostname(), info.uid(), info)
        except UnicodeDecodeError:
            continue  # a stream whose name is no text cannot be meant
        seen.setdefault(stream.uid, stream)
    return sorted(seen.values(), key=lambda stream: (stream.host, stream.name, stream.source_id, stream.uid))
