"""Compare raw takes with their checksums: ``flex-capture verify``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Compare raw takes with their checksums.")
@click.argument("takes", nargs=-1, required=True, type=click.Path(path_type=Path))
def verify(takes: tuple[Path, ...]) -> int:
    """Compare the files of raw takes with the checksums written when they were closed.

    TAKES are take folders, or folders with takes somewhere below.
    """
    from capture.console import Console
    from capture.process_take import without_folder
    from capture.recovery import recover_met
    from capture.takes_below import takes_below
    from lab.errors import FlexCaptureError
    from storage.checksums import verify_sums

    findings = 0
    found = takes_below(takes)
    recover_met(found, Console())
    for take in found:
        try:
            problems = verify_sums(take)
        except FlexCaptureError as error:
            problems = list(error.problems)
        findings += len(problems)
        for problem in problems or ["all files are as they were recorded"]:
            click.echo(f"{take}: {without_folder(problem, take)}")
    return 1 if findings else 0
