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
@click.option(
    "--workers",
    type=click.IntRange(min=1, max=256),
    default=None,
    help="Takes to process at once, each in a process of its own; one a processor but one if not given.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    default=None,
    help="Let the workers of a running Dask scheduler do it, such as tcp://bench:8786; they see the same folders.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: say it as JSON.")
@click.option("--force", is_flag=True, help="Make also what is up to date, and cut all clips again.")
@click.option(
    "--discard-corrections",
    is_flag=True,
    help="Take back what people said of single repetitions; it stays in marks.jsonl.",
)
def resegment(
    takes: tuple[Path, ...],
    dataset: Path | None,
    workers: int | None,
    cluster: str | None,
    dry_run: bool,
    as_json: bool,
    force: bool,
    discard_corrections: bool,
) -> int:
    """Synchronise, segment and write raw takes into the dataset again.

    TAKES are take folders, or folders with takes somewhere below. A take that was made from the same raw bytes and
    marks by the same programs is left as it is; a clip whose frames stay is not cut again. One bad take does not stop
    the others. Corrections of repetitions are kept, unless --discard-corrections is given.
    """
    from capture.resegmentation import ResegmentRequest, resegment_takes

    return resegment_takes(
        ResegmentRequest(takes, dataset, workers, force, dry_run, as_json, cluster, discard_corrections)
    )
