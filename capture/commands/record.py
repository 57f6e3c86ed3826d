"""``flex-capture record``: one take, from the start of the devices to the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange as _Finite


@click.command(short_help="Record one take of a subject, into the dataset.")
@click.option("--subject", required=True, help="Pseudonymous id of the subject: letters and digits, such as S12.")
@click.option("--action", default="A16", help="FLEX action, by id or public name.")
@click.option("--skill", default=None, help="Skill level of the subject: novice, amateur or expert.")
@click.option("--load-kg", type=_Finite(0, 500), default=None, help="Weight on the implement, as FLEX counts it.")
@click.option("--reps", type=click.IntRange(1, 200), default=10, help="Repetitions expected in the take.")
@click.option("--rig", type=click.Path(path_type=Path), default=None, help="Rig file; simulated devices if not given.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("flex-data"), help="Folder of the raw takes and the dataset."
)
@click.option("--session", default=None, help="Name of the session; today's latest of the subject if not given.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=None, help="Seed of the simulated athlete.")
@click.option("--duration", type=_Finite(0.5, 7200), default=None, help="Stop the take after this many seconds.")
@click.option("--yes", is_flag=True, help="Ask nothing and count nothing down.")
@click.option("--truth", is_flag=True, help="Let simulated devices write what they really did into the take.")
def record(**options: Any) -> int:
    """Record one take of a subject and write it into the dataset.

    A take starts when "recording" is announced and ends with Enter, Ctrl-C, --duration, or when all replayed or
    simulated devices are done. Everything lands in OUT/raw first; OUT/dataset is made from it.
    """
    from capture.record_session import RecordRequest, record_one_take

    return record_one_take(RecordRequest(**options))
