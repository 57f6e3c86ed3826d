"""Copy raw takes onto another disk: ``flex-capture backup``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Copy raw takes onto another disk, and compare the copy.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("dest", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Of takes that are there already compare names and sizes, not every byte.")
def backup(paths: tuple[Path, ...], dest: Path, quick: bool) -> int:
    """Copy takes into DEST/raw, an existing folder on another disk, and compare the copy with their checksums.

    PATH is a take, the folder of a session or a subject, raw, or OUT; of OUT the subjects' sheets and the annotations
    are copied too. Interrupted, it goes on when it is typed again. Nothing in DEST is deleted, and no file of a take
    overwritten. A take that is being recorded, and one that was not closed, is left alone and named.
    """
    from capture.backup import back_up

    return back_up(paths, dest, quick=quick)
