"""Say whether a dataset is what it promises to be: ``flex-capture validate``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Name each broken promise of a dataset.")
@click.argument("dataset", type=click.Path(path_type=Path))
def validate(dataset: Path) -> int:
    """Check a dataset against the FLEX layout and name each broken promise."""
    from lab.errors import RequestError
    from storage.flex import validate as find_broken_promises

    if not dataset.is_dir():
        raise RequestError(f"{dataset} is not a folder; give the dataset's, such as flex-data/dataset")
    findings = find_broken_promises(dataset)
    for finding in findings:
        click.echo(finding)
    click.echo(f"{dataset}: {'valid' if not findings else f'findings: {len(findings)}'}")
    return 1 if findings else 0
