"""Set right what was typed wrong: ``flex-capture amend``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Set right what was typed wrong about a take.")
@click.argument("take")
@click.option("--subject", default=None, help="The subject it was.")
@click.option("--action", default=None, help="The action it was, by id or name.")
@click.option("--load-kg", type=FiniteRange(0, 500), default=None, help="The load it was.")
@click.option("--skill", type=click.Choice(["novice", "amateur", "expert"]), default=None, help="The level it was.")
@click.option("--reps", type=click.IntRange(1, 200), default=None, help="The repetitions that were asked for.")
@click.option(
    "--clear",
    type=click.Choice(["load-kg", "skill", "reps"]),
    multiple=True,
    help="What is not known after all.",
)
@click.option("--note", default=None, help="Something to be known about the take.")
@click.option("--bad", default=None, metavar="REASON", help="The take is not to be used, and why.")
@click.option("--good", is_flag=True, help="The take is to be used after all.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("flex-data"),
    help="Folder in which an id is looked for.",
)
@click.option("--dataset", type=click.Path(path_type=Path), default=None, help="Dataset, if not beside the raw folder.")
def amend(take: str, **options: Any) -> int:
    """Set right what was typed wrong about a take, and let the dataset follow. Nothing raw changes.

    TAKE is a take's folder, or its id such as S12_20261122-0930_A16-01. What is said goes into the take's marks.jsonl:
    who, when, what.
    """
    from capture.amendment import amend_take

    return amend_take(take, **options)
