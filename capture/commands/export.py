"""Takes as files of other programs: ``flex-capture export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write takes as files that other programs read.")
@click.argument("place", metavar="TAKE|DATASET", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["c3d", "rerun"]),
    required=True,
    help="c3d: joints and sEMG; rerun: all of a raw take, for the Rerun viewer.",
)
@click.option("--take", "take_id", default=None, help="Of a dataset: only this take, by its id.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(), help="Folder for the files.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def export(place: Path, file_format: str, take_id: str | None, output: Path, force: bool) -> int:
    """Write takes as files that other programs read.

    C3D: joints and sEMG, a raw take as one file, a dataset as one file a repetition, of the current takes that are not
    excluded. Start, turn and end of each repetition are events. Rerun: a raw take with pictures of its views.
    """
    from capture.export import ExportRequest, export_c3d
    from capture.export_rerun import export_rerun

    write = {"c3d": export_c3d, "rerun": export_rerun}[file_format]
    return write(ExportRequest(place, take_id, output, force))
