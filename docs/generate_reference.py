# ruff: noqa: INP001 - a script, in no package
"""Write the pages of ``docs/reference`` from the code.

``python docs/generate_reference.py`` writes them; with ``--check`` nothing is written, stale pages are named and the
exit code is 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from calibration.markers import packaged_map, packaged_map_names
from capture.cli import group
from capture.field_words import bounds_in_words, default_in_words, number_in_words, type_in_words
from drivers.registry import BUILT_IN, find_driver
from lab.actions import ACTIONS
from lab.emg_targets import EmgTargets
from lab.joints import JOINTS
from lab.marker_map import MarkerMap
from lab.marks import Mark
from lab.playlist import Playlist, PlaylistSet
from lab.protocol import Protocol, ProtocolAction
from lab.rig import DeviceEntry, LslSettings, Rig, StreamEntry
from lab.subject import SubjectSheet
from storage.flex.columns import FRAMES, STANDARD_VIEWS, TOP_TABLES, Column
from storage.flex.description import TIME_DESCRIPTION, dataset_description

REFERENCE: Final = Path(__file__).resolve().parent / "reference"

_MADE_BY: Final = "<!-- Made from the code by docs/generate_reference.py; do not edit. -->"


def pages() -> dict[str, str]:
    """Return the text of every page by file name; the same code gives the same text."""
    makers: dict[str, Callable[[], Iterable[str]]] = {
        "commands.md": _commands,
        "layout.md": _layout,
        "marker-maps.md": _marker_maps,
        "protocol.md": _protocol,
        "rig.md": _rig,
    }
    return {name: "\n".join(make()).rstrip() + "\n" for name, make in makers.items()}


def stale_pages(folder: Path) -> list[str]:
    """Return the names of pages in ``folder`` that are missing or not what the code says."""
    return [
        name
        for name, text in pages().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


# -- commands --------------------------------------------------------------------------------------------------


def _commands() -> Iterable[str]:
    yield from ("# Commands", "", _MADE_BY, "", _line(group.help or ""), "", "`flex-capture [options] COMMAND …`", "")
    yield from _parameters(group)
    yield from (
        "Exit codes of all commands: 0 done and in order; 1 done, but something was found or marked; 2 wrong input,",
        "nothing touched; 3 a device, disk or file failed, what could be kept is kept and named; 130 interrupted.",
        "",
    )
    for name, command in _all_commands(group):
        arguments = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
        options = ["[options]"] if len(arguments) < len(command.params) else []
        usage = " ".join(("flex-capture", name, *options, *(_argument(argument) for argument in arguments)))
        yield from (f"## {name}", "", f"`{usage}`", "", inspect.cleandoc(command.help or ""), "")
        yield from _parameters(command)


def _all_commands(top: click.Group, before: str = "") -> Iterable[tuple[str, click.Command]]:
    """Give every command with its whole name; those of a group stand in its place."""
    for name, command in sorted(top.commands.items()):
        if isinstance(command, click.Group):
            yield from _all_commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _argument(argument: click.Argument) -> str:
    name = (argument.name or "").upper()
    return f"{name} …" if argument.nargs == -1 else name


def _parameters(command: click.Command) -> Iterable[str]:
    rows = []
    for option in command.params:
        if not isinstance(option, click.Option):
            continue
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        rows.append((names, _option_value(option), _option_default(option), option.help or ""))
    if rows:
        yield from _table(("option", "value", "default", "meaning"), rows)
        yield ""


def _option_value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    kind = option.type
    if isinstance(kind, click.IntRange | click.FloatRange):
        word = "whole number" if isinstance(kind, click.IntRange) else "number"
        return f"{word}, {number_in_words(kind.min)} to {number_in_words(kind.max)}"
    if isinstance(kind, click.Choice):
        return " or ".join(f"`{choice}`" for choice in kind.choices)
    return "path" if isinstance(kind, click.Path) else "text"


def _option_default(option: click.Option) -> str:
    if option.required:
        return "required"
    default = option.default
    if isinstance(default, bool):
        return ""
    if isinstance(default, Path):
        return f"`{default.as_posix()}`"
    return f"`{default}`" if isinstance(default, str | int | float) else ""


# -- rig -------------------------------------------------------------------------------------------------------


def _rig() -> Iterable[str]:
    yield from ("# Rig files", "", _MADE_BY, "")
    yield from (
        "A rig file is TOML. A key that is not listed here is refused. [How to write one](../how-to/rig-file.md).",
        "",
    )
    yield from ("## Top of the file", "")
    yield from _fields(Rig, without=("device", "stream", "lsl"))
    yield from ("## `[lsl]`", "", _doc(LslSettings), "")
    yield from _fields(LslSettings)
    yield from (
        "## `[[device]]`",
        "",
        "One for each device. These keys, and those of the device's driver:",
        "",
    )
    yield from _fields(DeviceEntry)
    yield from ("## `[[stream]]`", "", _doc(StreamEntry), "")
    yield from ("`source_id` or `query` must be given. [Streams of others](../how-to/streams-of-others.md).", "")
    yield from _fields(StreamEntry)
    yield from ("## Drivers", "", "Those that are built in; a package of your own may add others.", "")
    tables: dict[type[BaseModel], str] = {}
    for name in sorted(BUILT_IN):
        driver = find_driver(name)
        yield from (f"### `{name}`", "", _doc(driver), "", _doc(driver.Config), "")
        yield from _fields(driver.Config)
        for key, table in _tables_in(driver.Config):
            if table not in tables:
                tables[table] = name
                yield from (f"#### `[[device.{key}]]`", "", _doc(table), "")
                yield from _fields(table)
            else:
                yield from (f"`[[device.{key}]]`: as of `{tables[table]}`.", "")


def _tables_in(model: type[BaseModel]) -> Iterable[tuple[str, type[BaseModel]]]:
    """Give the fields of a model that are lists of tables, with the model of such a table."""
    for name, field in model.model_fields.items():
        for inner in get_args(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield name, inner


def _doc(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__ or "").replace("``", "`")


def _fields(model: type[BaseModel], without: Sequence[str] = ()) -> Iterable[str]:
    rows = [
        (f"`{name}`", type_in_words(field.annotation), _default(field), bounds_in_words(field), field.description or "")
        for name, field in model.model_fields.items()
        if name not in without
    ]
    yield from _table(("key", "type", "default", "bounds", "meaning"), rows)
    yield ""


def _default(field: FieldInfo) -> str:
    words = default_in_words(field)
    return words if words in {"", "required"} else f"`{words}`"


# -- protocol ---------------------------------------------------------------------------------------------------


def _protocol() -> Iterable[str]:
    yield from ("# Protocols, playlists, subjects' sheets and marks", "", _MADE_BY, "")
    yield from ("The files are TOML, but for the marks. A key that is not listed here is refused.", "")
    yield from (
        "## Protocol",
        "",
        "What `record --protocol FILE` takes; the packaged one is FLEX's twenty actions.",
        "",
    )
    yield from _fields(Protocol, without=("action",))
    yield from ("### `[[action]]`", "", "One for each action, in the order of a session.", "")
    yield from _fields(ProtocolAction)
    yield from ("## Playlist", "", f"What `record --playlist FILE` takes. {_doc(Playlist)}", "")
    yield from _fields(Playlist, without=("set",))
    yield from ("### `[[set]]`", "", _doc(PlaylistSet), "")
    yield from _fields(PlaylistSet)
    yield from ("## Subject's sheet", "", _doc(SubjectSheet), "")
    yield from _fields(SubjectSheet)
    yield from ("## sEMG targets", "", f"What `export --emg-targets FILE` takes. {_doc(EmgTargets)}", "")
    yield from _fields(EmgTargets)
    yield from ("## Marks", "", _doc(Mark), "", "Each line is a JSON object with some of these keys:", "")
    yield from _fields(Mark)
    yield from (
        "## The twenty actions",
        "",
        "Names that are not confirmed, and all but id and implement, are ours.",
        "",
    )
    rows = [
        (
            action.id,
            action.implement,
            action.name,
            "yes" if action.name_confirmed else "no",
            action.family.replace("_", " "),
            ", ".join(action.phases),
            action.sides.replace("_", " "),
            ", ".join(target.replace("_", " ") for target in action.targets),
        )
        for action in ACTIONS.values()
    ]
    yield from _table(("id", "implement", "name", "confirmed", "family", "phases", "sides", "target muscles"), rows)


# -- layout ----------------------------------------------------------------------------------------------------


def _layout() -> Iterable[str]:
    described = dataset_description()
    yield from ("# The FLEX layout, version " + str(described["layout_version"]), "", _MADE_BY, "")
    yield from (
        "The same, for programs, stands in each dataset's `dataset.json`. [Why it is so](../explanation/layout.md).",
        "",
    )
    yield from (f"**Time.** {described['time']}", "", f"**Index.** {described['index']}", "")
    yield from (f"**Views.** {', '.join(STANDARD_VIEWS)}. {described['views']['note']}", "")
    yield from (f"**sEMG channels.** {described['emg_channels']}", "")
    yield from (
        f"**Joints.** In a column name {{joint}} stands for each of {', '.join(JOINTS)}, {{axis}} for x, y, z.",
        "",
    )
    yield from ("## Tables at the top", "")
    for name in reversed(TOP_TABLES):
        yield from (f"### `{name}.parquet`", "")
        yield from _columns(TOP_TABLES[name])
    yield from ("## Frames", "", f"`{described['frames']['file']}`", "", str(described["frames"]["rows"]), "")
    yield from _columns(FRAMES)
    yield from ("## Signals", "", f"`{described['signals']['file']}`", "")
    yield from (f"HDF5. Groups: {described['signals']['groups']}", "")
    rows = [
        (f"`rep_01/{name}/values`", "float32", entry["shape"], entry["unit"], entry["description"])
        for name, entry in described["signals"]["datasets"].items()
    ]
    rows.append(("`rep_01/…/time`", "float64", "(samples,)", "s", TIME_DESCRIPTION))
    yield from _table(("dataset", "type", "shape", "unit", "meaning"), rows)
    yield from ("", "## Sync", "", f"`{described['sync']['file']}`", "", str(described["sync"]["content"]))
    yield from ("", "## Video", "", f"`{described['video']['file']}`", "", str(described["video"]["frames"]), "")
    yield from (_line(str(described["video"]["comment"])).replace("<", r"\<"), "")


def _columns(columns: Sequence[Column]) -> Iterable[str]:
    rows = [
        (
            f"`{column.name}`",
            f"`{column.type}`" + (", may be null" if column.nullable else ""),
            column.unit,
            column.description,
        )
        for column in columns
    ]
    yield from _table(("column", "type", "unit", "meaning"), rows)
    yield ""


# -- marker maps -----------------------------------------------------------------------------------------------


def _marker_maps() -> Iterable[str]:
    yield from ("# Marker maps", "", _MADE_BY, "")
    yield from (
        "A marker map says how a MoCap system's markers become FLEX's 21 joints. In a rig file, `marker_map` names",
        "one of these, or a TOML file of your own by a path that ends in `.toml`, relative to the rig file. A device",
        "without `marker_map` must send markers that are called as the joints are, z up.",
        "",
    )
    yield from ("## Keys of a map", "")
    yield from _fields(MarkerMap)
    yield from (
        "Weights are normalised to sum to one. A joint is absent in a frame in which one of its markers is.",
        "",
    )
    for name in packaged_map_names():
        marker_map = packaged_map(name)
        yield from (f"## `{name}`", "", f"{marker_map.name}; {marker_map.up_axis} points up in the source.", "")
        rows = [
            (
                joint,
                ", ".join(f"{number_in_words(weight)} {marker}" for marker, weight in marker_map.joints[joint].items()),
            )
            for joint in JOINTS
            if joint in marker_map.joints
        ]
        yield from _table(("joint", "weight and marker"), rows)
        absent = [joint for joint in JOINTS if joint not in marker_map.joints]
        yield from ("", f"Absent: {', '.join(absent) or 'none'}.", "")


# -- Markdown --------------------------------------------------------------------------------------------------


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{' --- |' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(text: str) -> str:
    """Return text that stays itself in a table; in code, Markdown leaves < and > alone."""
    parts = _line(text).replace("|", r"\|").split("`")
    return "`".join(part if index % 2 else part.replace("<", r"\<") for index, part in enumerate(parts))


def _line(text: str) -> str:
    return " ".join(text.split())


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and name the pages that are stale.")
@click.option(
    "--folder", type=click.Path(path_type=Path), default=REFERENCE, help="Folder of the pages, if not docs/reference."
)
def main(*, check: bool, folder: Path) -> None:
    """Write the reference pages from the code, or check that they are current."""
    stale = stale_pages(folder)
    if check:
        for name in stale:
            click.echo(f"{folder / name} is stale; run `python docs/generate_reference.py`")
        raise SystemExit(1 if stale else 0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    click.echo(f"{len(stale)} of {len(pages())} pages changed")


if __name__ == "__main__":
    main()
