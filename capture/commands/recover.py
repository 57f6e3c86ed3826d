"""Close takes that were cut off: ``flex-capture recover``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Close takes that were cut off, so that they can be used.")
@click.argument("takes", nargs=-1, required=True, type=click.Path(path_type=Path))
def recover(takes: tuple[Path, ...]) -> int:
    """Close takes that were cut off by a crash or a power cut, so that they can be used.

    TAKES are take folders, or folders with takes somewhere below. Nothing that was recorded is changed; what is
    missing at the end of each stream is said. Afterwards `flex-capture resegment` writes them into the dataset.
    """
    from capture.recovery import recover_takes

    said, fine = recover_takes(takes)
    for line in said:
        click.echo(line)
    return 0 if fine else 3
