"""``flex-capture resegment``: from raw bytes to the dataset again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write raw takes into the dataset again.")
@click.argument("takes", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--dataset",
    type=click.Path(path_type=Path),
    default=None,
    help="Dataset to write into; the one beside the raw folder if not given.",
)
def resegment(takes: tuple[Path, ...], dataset: Path | None) -> int:
    """Synchronise, segment and write raw takes into the dataset again.

    TAKES are take folders, or folders with takes somewhere below. One bad take does not stop the others.
    """
    from capture.resegmentation import resegment_takes

    return resegment_takes(takes, dataset)
