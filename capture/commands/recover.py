"""Close takes that were cut off: ``flex-capture recover``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Close takes that were cut off, so that they can be used.")
@click.argument("takes", nargs=-1, required=True, type=click.Path(path_type=Path))
def recover(takes: tuple[Path, ...]) -> int:
    """Close takes that were cut off by a crash or a power cut, so that they can be used.

    TAKES are take folders, or folders with takes somewhere below. All whole chunks and frames are copied, and the
    original files are removed once the copy has been read back; what is missing at the end of each stream is said.
    Afterwards `flex-capture resegment` writes the takes into the dataset.
    """
    from capture.console import Console
    from capture.recovery import recover_takes

    return recover_takes(takes, Console())
