"""A subject's sheet: ``flex-capture subject``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command(short_help="Write or show a subject's sheet.")
@click.argument("subject")
@click.option("--skill", type=click.Choice(["novice", "amateur", "expert"]), default=None, help="Skill level.")
@click.option("--sex", type=click.Choice(["female", "male", "other"]), default=None, help="Sex.")
@click.option("--age-years", type=int, default=None, help="Age in whole years at the first session.")
@click.option("--height-m", type=float, default=None, help="Height in metres.")
@click.option("--mass-kg", type=float, default=None, help="Body mass in kilograms.")
@click.option("--dominant-side", type=click.Choice(["right", "left"]), default=None, help="Dominant side.")
@click.option("--consent/--no-consent", default=None, help="Whether the subject has consented to be recorded.")
@click.option("--consent-until", type=click.DateTime(["%Y-%m-%d"]), default=None, help="Last day of the consent.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("flex-data"), help="Folder of the raw takes and the dataset."
)
def subject(subject: str, out: Path, **said: Any) -> int:
    """Write what is given into the sheet of SUBJECT, a pseudonymous id, and show the sheet.

    The sheet is OUT/subjects/SUBJECT.toml and may be edited by hand. The dataset follows, apart from the consent. A
    subject without consent is not recorded.
    """
    from capture.subject_sheet import write_and_show

    return write_and_show(out, subject, said)
