"""``flex-capture rig``: write a rig file, and check one."""

from __future__ import annotations

from pathlib import Path

import click

from capture.commands.finite_range import FiniteRange


@click.group(short_help="Write a rig file, or check one.")
def rig() -> None:
    """Write a rig file by answering a few questions, or check one without starting anything."""


@rig.command(short_help="Write a rig file by answering a few questions.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Ask nothing: take everything that is found.")
@click.option("--seconds", type=FiniteRange(0.5, 30), default=3.0, help="How long to look for what is there.")
def new(file: Path, yes: bool, seconds: float) -> int:
    """Look for devices and streams, ask which of them belong to the rig and what else does, and write FILE.

    Keys that were not asked for stand in it as comments, with their defaults and what they mean. A file that exists is
    never replaced.
    """
    from capture.rig_dialogue import write_new_rig

    return write_new_rig(file, seconds, ask=not yes)


@rig.command(short_help="Check a rig file without starting anything.")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> int:
    """Read FILE, say every mistake in it at once, and show what it holds; nothing is started.

    `flex-capture check --rig FILE` also starts the devices and listens. Exit code 0: in order. 2: mistakes.
    """
    from capture.rig_dialogue import show_rig

    return show_rig(file)
