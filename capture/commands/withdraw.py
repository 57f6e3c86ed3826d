"""A subject withdraws: ``flex-capture withdraw``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Remove a subject from raw takes and dataset.")
@click.argument("subject")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("flex-data"), help="Folder of the raw takes and the dataset."
)
@click.option("--confirm", default=None, metavar="SUBJECT", help="Type the subject here instead of when asked.")
def withdraw(subject: str, out: Path, confirm: str | None) -> int:
    """Remove all of SUBJECT: raw takes, the dataset's part, annotations and sheet. It cannot be undone.

    What is to be removed is said first, and nothing is touched until the subject's id is typed once more. Copies
    elsewhere, such as backups and exports, are not found.
    """
    from capture.withdrawal import withdraw_subject

    return withdraw_subject(subject, out, confirm)
