"""Takes as files of other programs: ``flex-capture export``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write joints and sEMG as files that other programs read.")
@click.argument("place", metavar="TAKE|DATASET", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["c3d"]),
    required=True,
    help="Format of the files: c3d, joints and sEMG.",
)
@click.option("--take", "take_id", default=None, help="Of a dataset: only this take, by its id.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(), help="Folder for the files.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
def export(place: Path, file_format: str, take_id: str | None, output: Path, force: bool) -> int:
    """Write joints and sEMG as C3D files: a raw take as one file, a dataset as one file a repetition.

    Of a dataset the current takes that are not excluded are written. Start, turn and end of each repetition are
    events.
    """
    from capture.export import ExportRequest, export_c3d

    del file_format  # there is one
    return export_c3d(ExportRequest(place, take_id, output, force))
