"""A rig file as a person would write it, with what might be changed as comments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from capture.field_words import default_in_words
from drivers.registry import find_driver
from lab.device_names import VIEW_NAME
from lab.rig import DeviceEntry, StreamEntry
from storage.toml_text import toml_comment, toml_value

_HEAD: Final = (
    "# What is plugged in where. Behind # stand comments: keys that were not set, with their defaults and meaning.",
    "# All keys of a driver: `flex-capture devices --drivers DRIVER`. After a change: `flex-capture rig check FILE`.",
)
#: What every entry says.
_ALWAYS: Final = ("name", "driver")


def rig_text(name: str, entries: Iterable[tuple[str, Mapping[str, Any], str]]) -> str:
    """Return the text of a rig file; ``entries`` are table (``device`` or ``stream``), keys, and what it is."""
    lines = [*_HEAD, f"name = {toml_value(name)}"]
    entries = list(entries)
    views = [str(keys["name"]) for _, keys, _ in entries if VIEW_NAME.fullmatch(str(keys["name"]))]
    if views:
        lines += [
            "# The view whose frames are the rows of the frames table.",
            f"reference_view = {toml_value(views[0])}",
        ]
    for table, keys, what in entries:
        lines += ["", *(toml_comment(line) for line in what.splitlines()), *entry_lines(table, keys)]
        if table == "device":
            lines += _unsaid(find_driver(str(keys["driver"])).Config, keys)
            lines += _unsaid(DeviceEntry, keys)
        else:
            lines += _unsaid(StreamEntry, keys)
    return "\n".join(lines) + "\n"


def entry_lines(table: str, keys: Mapping[str, Any]) -> list[str]:
    """Return the lines of one ``[[device]]`` or ``[[stream]]``; keys without a value are left out."""
    return [f"[[{table}]]", *(f"{key} = {toml_value(value)}" for key, value in keys.items() if value is not None)]


def _unsaid(model: type[BaseModel], keys: Mapping[str, Any]) -> Iterator[str]:
    """Give the keys that were not said as comments with their defaults."""
    for name, field in model.model_fields.items():
        if name in keys or name in _ALWAYS:
            continue
        default = default_in_words(field)
        value = default if default not in {"", "required"} else "…"
        meaning = f"  # {field.description}" if field.description else ""
        yield f"# {name} = {value}{meaning}"
