"""Read TOML files that people write, and say every mistake in them in one sentence."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from lab.errors import FileFormatError
from storage.os_errors import reason

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SHOWN_CHARACTERS = 60

#: What would be right, for the mistakes that pydantic's own words leave unclear to an operator.
_RIGHT = {
    "missing": "is missing; add it",
    "extra_forbidden": "is not a known key; correct its spelling or remove it",
    "string_type": "should be text in quotes",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "dict_type": "should be a table",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
}


def read_toml(path: Path, limit_bytes: int = 1_000_000) -> dict[str, Any]:
    """Read a TOML file of at most ``limit_bytes``.

    Raises FileFormatError with one sentence that names the file, the line where there is one, and what is wrong.
    """
    try:
        if path.exists() and not path.is_file():
            kind = "a folder" if path.is_dir() else "no ordinary file"
            raise FileFormatError(f"{path} is {kind}, not a TOML file; name the file.")
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except FileNotFoundError:
        raise FileFormatError(f"{path} does not exist; check the name.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise FileFormatError(f"{path} cannot be read ({reason(error)}); check its permissions.") from None
    if len(data) > limit_bytes:
        raise FileFormatError(f"{path} is larger than {limit_bytes} bytes; this is not a TOML file of flex-capture.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileFormatError(f"{path}, line {line}: the text is not UTF-8; save the file as UTF-8.") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(_toml_sentence(path, str(error), text)) from None
    except ValueError as error:  # an integer of thousands of digits
        raise FileFormatError(f"{path} holds a value that cannot be read ({error}); correct it.") from None
    except RecursionError:
        raise FileFormatError(f"{path} nests its values too deeply; write them flatter.") from None


def parse_toml_value(text: str) -> Any:
    """Return what ``text`` is behind a TOML key; text that is no value of TOML's is text without its quotes."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return found["value"] if found.keys() == {"value"} else text


def _toml_sentence(path: Path, message: str, text: str) -> str:
    place = _PLACE.search(message)
    if place is None:
        return f"{path}: {message}; correct the file."
    line = place.group(1) or str(text.count("\n") + 1)
    column = f", column {place.group(2)}" if place.group(2) else ""
    return f"{path}, line {line}{column}: {message[: place.start()]}; correct this line."


def validation_sentences(path: Path, error: ValidationError, prefix: str = "") -> tuple[str, ...]:
    """Say every mistake that pydantic found in one sentence each.

    A sentence names the file, the key such as ``device[2].rate_hz``, what was found and what would be right.
    ``prefix`` is put before each key, for a model that is a part of the file (``device[2]``).
    """
    return tuple(_mistake(path, details, prefix) for details in error.errors(include_url=False, include_context=False))


def _mistake(path: Path, details: ErrorDetails, prefix: str) -> str:
    key = prefix
    for part in details["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f"{'.' if key else ''}{part}"
    kind = details["type"]
    right = _RIGHT.get(kind) or _plain(details["msg"])
    place = f"{path}: {key}" if key else f"{path}"
    if kind in ("missing", "extra_forbidden"):
        return f"{place} {right}."
    if kind == "json_invalid":
        found = right.removeprefix("Invalid JSON: ")
        return f"{place} is torn or no JSON ({found}); put back a copy of it, such as that of a backup."
    if isinstance(details["input"], dict) and kind in ("value_error", "assertion_error"):
        return f"{place}: {right}."  # a check over a whole table: showing all of it would hide the sentence
    return f"{place} is {_shown(details['input'])}, but {right}."


def _plain(message: str) -> str:
    for start in ("Value error, ", "Assertion failed, "):
        message = message.removeprefix(start)
    message = message.rstrip(".")
    return f"it {message[6:]}" if message.startswith("Input ") else message


def _shown(value: object) -> str:
    text = "true" if value is True else "false" if value is False else repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
