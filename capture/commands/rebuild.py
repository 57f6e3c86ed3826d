"""Make a dataset's tables again: ``flex-capture rebuild``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Make the tables of a dataset again from its takes' files.")
@click.argument("dataset", type=click.Path(path_type=Path))
def rebuild(dataset: Path) -> int:
    """Make the tables at the top of a dataset again from the files of its takes and the subjects' sheets beside it."""
    from capture.output_folder import require_dataset_folder
    from storage.flex import rebuild_tables
    from storage.subject_sheets import list_sheets, read_sheet

    require_dataset_folder(dataset)
    out = dataset.absolute().parent
    sheets = {subject: sheet for subject in list_sheets(out) if (sheet := read_sheet(out, subject)) is not None}
    click.echo(f"{dataset}: tables made again from {rebuild_tables(dataset, sheets)} takes")
    return 0
