"""The drivers there are, and what a rig can tell each of them, from the drivers' own models."""

from __future__ import annotations

import inspect

import click
from pydantic import BaseModel

from capture.field_words import bounds_in_words, default_in_words, type_in_words
from drivers.registry import driver_names, find_driver
from lab.errors import FlexCaptureError, RequestError


def list_drivers(names: tuple[str, ...]) -> int:
    """Print the drivers named, or all, with their keys; return 1 where one cannot be loaded.

    Raises RequestError for a name that there is not.
    """
    known = driver_names()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RequestError(f"there is no driver '{unknown[0]}'; there are {', '.join(known)}")
    failed = 0
    for name in names or known:
        try:
            driver = find_driver(name)
        except FlexCaptureError as error:
            failed += 1
            click.echo(f"{name}\n    cannot be loaded: {'; '.join(error.problems)}\n")
            continue
        say_fields(name, driver.__doc__, driver.Config)
    return 1 if failed else 0


def say_fields(name: str, meaning: str | None, model: type[BaseModel]) -> None:
    """Print a driver's or an emulator's keys with types, defaults and bounds."""
    click.echo(f"{name}\n    {_first_paragraph(meaning)}")
    width = max((len(key) for key in model.model_fields), default=0)
    for key, field in model.model_fields.items():
        default = default_in_words(field)
        shown = default if default in {"", "required"} else f"= {default}"
        kind = type_in_words(field.annotation).replace("`", '"')
        limits = ", ".join(part for part in (kind, bounds_in_words(field)) if part)
        click.echo(f"    {key:{width}}  {shown or '(not set)'}  [{limits}]")
        if field.description:
            click.echo(f"    {'':{width}}  {field.description}")
    click.echo()


def what_it_is(name: str) -> str:
    """Return in one line what a driver reads, or why it cannot be loaded."""
    try:
        return _first_paragraph(find_driver(name).__doc__)
    except FlexCaptureError as error:
        return f"cannot be loaded: {'; '.join(error.problems)}"


def _first_paragraph(text: str | None) -> str:
    """Return the first paragraph of a docstring on one line."""
    return inspect.cleandoc(text or "").partition("\n\n")[0].replace("\n", " ").replace("``", '"')
