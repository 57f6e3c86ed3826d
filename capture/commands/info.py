"""What a dataset holds: ``flex-capture info``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Show what a dataset holds and what is missing.")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
def info(dataset: Path, as_json: bool) -> int:
    """Show what a dataset holds: repetitions by subject and action, what is missing, hours, flags."""
    from capture.dataset_info import show_info
    from capture.output_folder import require_dataset_folder

    require_dataset_folder(dataset)
    return show_info(dataset, as_json=as_json)
