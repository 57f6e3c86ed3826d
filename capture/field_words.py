"""Fields of pydantic models in an operator's words: type, default and bounds."""

from __future__ import annotations

import types
from datetime import date
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from storage.toml_text import toml_value

_WORDS: Final[dict[Any, str]] = {str: "text", bool: "true or false", int: "whole number", float: "number", date: "date"}


def type_in_words(annotation: Any) -> str:
    """Return what kind of value a field takes."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(type_in_words(argument) for argument in arguments if argument is not type(None))
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {type_in_words(arguments[0])}"
    if origin is tuple:
        return f"list of {len(arguments)} {type_in_words(arguments[0])}s"
    if origin is dict:
        return f"table {{{type_in_words(arguments[0])} = {type_in_words(arguments[1])}}}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"table {{{', '.join(annotation.model_fields)}}}"
    return str(getattr(annotation, "__name__", annotation))


def default_in_words(field: FieldInfo) -> str:
    """Return the default as TOML writes it, "required" where there is none, "" where it is not given."""
    if field.is_required():
        return "required"
    value = _plain(field.get_default(call_default_factory=True))
    return "" if value is None else toml_value(value)


def _plain(value: Any) -> Any:
    """Return a default as plain data."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, tuple):  # of models, perhaps, which have many fields each
        return [
            one.model_dump(mode="json", exclude_defaults=True) if isinstance(one, BaseModel) else one for one in value
        ]
    return value


def bounds_in_words(field: FieldInfo) -> str:
    """Return the bounds that a value must keep, "" where there are none."""
    words = []
    for rule in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            bound = getattr(rule, name, None)
            if bound is not None:
                words.append(f"{sign} {number_in_words(bound)}")
        if getattr(rule, "min_length", None) is not None:
            words.append("not empty" if rule.min_length == 1 else f"{rule.min_length} at least")
        if getattr(rule, "pattern", None) is not None:
            words.append(f"`{rule.pattern}`")
    return ", ".join(words)


def number_in_words(value: float | None) -> str:
    """Return a number as short as it can be said exactly."""
    if value is None:
        return "…"
    short = f"{value:g}"
    return short.replace("e+0", "e") if float(short) == value else repr(value)
