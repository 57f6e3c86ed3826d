"""The questions behind a new rig file, and what a rig file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from capture.device_search import Finding, search_everything
from capture.driver_list import what_it_is
from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.rig_file import load_rig
from capture.rig_text import rig_text
from drivers.registry import driver_names, find_driver
from lab.device_names import DEVICE_NAME, VIEW_NAME, device_name
from lab.errors import FlexCaptureError, RequestError
from lab.rig import LslSettings
from storage.atomic import write_bytes_atomically
from storage.os_errors import reason
from storage.toml_file import parse_toml_value, validation_sentences

Entry = tuple[str, dict[str, Any], str]


def write_new_rig(path: Path, seconds: float, *, ask: bool) -> int:
    """Look, ask, and write a rig file; return 0. Raises RequestError where there is one already or nothing goes in."""
    if path.exists():
        raise RequestError(f"{path} exists already; name another file, or change that one by hand")
    if not path.parent.is_dir():
        raise RequestError(f"there is no folder {path.parent}; make it first")
    name = click.prompt("What do you call this rig", default="our lab") if ask else "our lab"
    click.echo(f"looking for what is there, {seconds:g} s …")
    configure_lsl(lsl_configuration(LslSettings(scope="link")))
    entries: list[Entry] = []
    for search in search_everything(seconds):
        if search.problem:
            click.echo(f"{search.kind}: could not be looked for ({search.problem})")
        for finding in search.findings:
            entries += _taken(finding, entries, ask=ask)
    if ask:
        while (entry := _another(entries)) is not None:
            entries.append(entry)
    if not entries:
        raise RequestError("nothing was found and nothing named, and a rig without devices is none; nothing is written")
    try:
        write_bytes_atomically(path, rig_text(str(name), entries).encode())
    except OSError as error:
        raise RequestError(f"{path} cannot be written ({reason(error)}); check the folder") from None
    click.echo(f"written to {path}")
    try:
        load_rig(path)
    except FlexCaptureError as error:
        click.echo("still to be said in it:")
        for problem in error.problems:
            click.echo(f"  {problem}")
        return 1
    click.echo(f"next: flex-capture check --rig {path}")
    return 0


def _taken(finding: Finding, entries: list[Entry], *, ask: bool) -> list[Entry]:
    """Return the entry of something that was found, if it belongs to the rig."""
    if ask:
        click.echo(f"\n{finding.what}")
        if finding.remark:
            click.echo(f"  {finding.remark}")
        if not click.confirm("Does it belong to the rig", default=True):
            return []
    keys = dict(finding.options)
    taken = {str(other["name"]) for _, other, _ in entries}
    if keys["name"] in taken and not VIEW_NAME.fullmatch(str(keys["name"])):
        keys["name"] = device_name(str(keys["name"]), taken)
    if ask:
        keys["name"] = _name(str(keys["name"]), taken)
    if ask and finding.table == "device":
        keys = _asked(keys)
    what = finding.what if not finding.remark else f"{finding.what}\n{finding.remark}"
    return [(finding.table, keys, what)]


def _another(entries: list[Entry]) -> Entry | None:
    """Ask for a device that no search finds; None where there is none."""
    known = driver_names()
    while True:
        answer = click.prompt(
            "\nAnother device? Its driver, ? for a list, Enter for none", default="", show_default=False
        )
        if not answer.strip():
            return None
        if answer.strip() == "?":
            for driver in known:
                click.echo(f"  {driver:24} {what_it_is(driver)}")
            continue
        if answer.strip() in known:
            break
        click.echo(f"there is no driver '{answer.strip()}'")
    driver = answer.strip()
    family, _, kind = driver.partition(".")
    taken = {str(keys["name"]) for _, keys, _ in entries}
    free = next((view for view in (f"view{number}" for number in range(1, 10)) if view not in taken), "view9")
    camera = family == "camera" or kind in {"camera", "video"}
    name = _name(free if camera else device_name(kind or family, taken), taken)
    return "device", _asked({"name": name, "driver": driver}), what_it_is(driver)


def _name(suggested: str, taken: set[str]) -> str:
    while True:
        name = str(click.prompt("What is it called here", default=suggested))
        if not DEVICE_NAME.fullmatch(name):
            click.echo("a name is a lower-case letter, then letters, digits or _ (32 at most)")
        elif name in taken:
            click.echo(f"'{name}' is another device's name")
        else:
            return name


def _asked(keys: dict[str, Any]) -> dict[str, Any]:
    """Ask for what the driver must be told, until its model takes it."""
    model = find_driver(str(keys["driver"])).Config
    while True:
        said = dict(keys)
        for name, field in model.model_fields.items():
            if field.is_required() and name not in said:
                click.echo(f"  {field.description or name}")
                said[name] = parse_toml_value(str(click.prompt(f"  {name}")))
        try:
            model.model_validate({name: value for name, value in said.items() if name not in {"name", "driver"}})
        except ValidationError as error:
            for sentence in validation_sentences(Path(str(keys["name"])), error):
                click.echo(f"  {sentence}")
            if not click.confirm("  Answer again", default=True):
                return said
            continue
        return said


def show_rig(path: Path) -> int:
    """Print what a rig file holds; return 0. Raises RigError or FileFormatError with a sentence a mistake."""
    bound = load_rig(path)
    rows = [(device.entry.name, device.entry.driver, _said(device.entry.options)) for device in bound.devices]
    rows += [
        (stream.entry.name, "a stream of others", stream.entry.source_id or stream.entry.query or "")
        for stream in bound.streams
    ]
    click.echo(f"{bound.rig.name}")
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, driver, said in rows:
        click.echo(f"  {name:{widths[0]}}  {driver:{widths[1]}}  {said}".rstrip())
    click.echo(f"in order; `flex-capture check --rig {path}` starts the devices and listens")
    return 0


def _said(options: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in options.items() if not isinstance(value, (dict, list)))
