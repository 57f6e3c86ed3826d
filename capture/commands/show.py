"""A take or a dataset as one page to look at: ``flex-capture show``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write one HTML page of a take or a dataset, to look at.")
@click.argument("place", metavar="TAKE|DATASET", type=click.Path(path_type=Path))
@click.option("--take", "take_id", default=None, help="Of a dataset: the take to show, by its id.")
@click.option("--rep", "repetition", type=click.IntRange(1, 999), default=None, help="Show this repetition, large.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=None, help="The page's file; if not given, ID.html, here."
)
@click.option("--force", is_flag=True, help="Replace a file that is not a page of flex-capture.")
def show(place: Path, take_id: str | None, repetition: int | None, output: Path | None, force: bool) -> int:
    """Write one HTML page of a raw take's folder, of a dataset, or of one take in a dataset.

    A take's page has all signals on one time axis with the repetitions and turns, every view at start, turn and end,
    durations, doubts and the table of streams. A dataset's page has what is there, by subject and action. A page is
    one file; it runs nothing and loads nothing.
    """
    from capture.show import ShowRequest, write_page

    return write_page(ShowRequest(place, take_id, repetition, output, force))
