"""The repetitions of a take, and what a person says of them: ``flex-capture reps``."""

from __future__ import annotations

from pathlib import Path

import click

from capture.commands.finite_range import FiniteRange

_SECONDS = FiniteRange(-1e6, 1e6)


@click.command(short_help="List the repetitions of a take, or correct one.")
@click.argument("take")
@click.option("--set", "changed", type=click.IntRange(1), default=None, metavar="N", help="Set bounds of repetition N.")
@click.option("--insert", is_flag=True, help="Put in a repetition that was not found.")
@click.option("--delete", "deleted", type=click.IntRange(1), default=None, metavar="N", help="Take repetition N out.")
@click.option("--exclude", type=click.IntRange(1), default=None, metavar="N", help="Repetition N is not to be used.")
@click.option(
    "--include", type=click.IntRange(1), default=None, metavar="N", help="Repetition N is to be used after all."
)
@click.option("--undo", is_flag=True, help="Take the last correction back.")
@click.option("--start", type=_SECONDS, default=None, help="Where it starts, in seconds as listed.")
@click.option("--turn", type=_SECONDS, default=None, help="Where it turns, in seconds as listed.")
@click.option("--end", type=_SECONDS, default=None, help="Where it ends, in seconds as listed.")
@click.option("--reason", default="", help="Why it is not to be used, or was changed.")
@click.option("--json", "as_json", is_flag=True, help="Print the repetitions as JSON.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("flex-data"),
    help="Folder in which an id is looked for.",
)
@click.option("--dataset", type=click.Path(path_type=Path), default=None, help="Dataset, if not beside the raw folder.")
def reps(
    take: str,
    changed: int | None,
    insert: bool,
    deleted: int | None,
    exclude: int | None,
    include: int | None,
    undo: bool,
    start: float | None,
    turn: float | None,
    end: float | None,
    reason: str,
    as_json: bool,
    out: Path,
    dataset: Path | None,
) -> int:
    """List the repetitions of a take, or correct one, and let the dataset follow. Nothing raw changes.

    TAKE is a take's folder, or its id such as S12_20261122-0930_A16-01. Corrections go into the take's marks.jsonl:
    who, when, what. Every later resegment keeps them, whatever the segmenter then finds.
    """
    from capture.repetition_marks import RepetitionRequest, repetitions_of_take

    asked: list[RepetitionRequest] = []
    if changed is not None:
        asked.append(RepetitionRequest("set", changed, start, turn, end, reason))
    if insert:
        asked.append(RepetitionRequest("insert", None, start, turn, end, reason))
    if deleted is not None:
        asked.append(RepetitionRequest("delete", deleted, reason=reason))
    if exclude is not None:
        asked.append(RepetitionRequest("exclude", exclude, reason=reason))
    if include is not None:
        asked.append(RepetitionRequest("include", include))
    if undo:
        asked.append(RepetitionRequest("undo"))
    bounds = [name for name, value in (("--start", start), ("--turn", turn), ("--end", end)) if value is not None]
    if len(asked) > 1:
        raise click.UsageError("say one thing at a time: --set, --insert, --delete, --exclude, --include or --undo")
    if bounds and not (asked and asked[0].act in {"set", "insert"}):
        raise click.UsageError(f"{' and '.join(bounds)} need{'s' if len(bounds) == 1 else ''} --set N or --insert")
    if reason and not (asked and asked[0].act in {"set", "insert", "delete", "exclude"}):
        raise click.UsageError("--reason needs --exclude N, or another correction")
    return repetitions_of_take(take, asked[0] if asked else None, out=out, dataset=dataset, as_json=as_json)
