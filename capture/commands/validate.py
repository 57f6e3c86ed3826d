"""Say whether a dataset is what it promises to be: ``flex-capture validate``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click


@click.command(short_help="Name each broken promise of a dataset.")
@click.argument("dataset", type=click.Path(path_type=Path))
def validate(dataset: Path) -> int:
    """Check a dataset against the FLEX layout and name each broken promise."""
    from capture.console import Console
    from capture.output_folder import require_dataset_folder
    from storage.flex import validate as find_broken_promises

    require_dataset_folder(dataset)
    console = Console()
    with console.progress() if console.interactive else nullcontext() as progress:
        findings = find_broken_promises(dataset, progress)
    for finding in findings:
        click.echo(finding)
    click.echo(f"{dataset}: {'valid' if not findings else f'findings: {len(findings)}'}")
    return 1 if findings else 0
