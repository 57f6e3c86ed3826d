"""How far the lab is: ``flex-capture status``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Show what is recorded, retaken, marked and missing.")
@click.option("--subject", default=None, help="Show the actions of this subject alone, with loads and notes.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("flex-data"), help="Folder of the raw takes and the dataset."
)
def status(subject: str | None, out: Path) -> int:
    """Show which subject has which action: done, retaken, marked, bad or missing."""
    from capture.status_table import show_status

    return show_status(out, subject)
