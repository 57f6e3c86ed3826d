"""``flex-capture record``: one take, from the start of the devices to the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Record a session, or one take, into the dataset.")
@click.option("--subject", required=True, help="Pseudonymous id of the subject: letters and digits, such as S12.")
@click.option("--action", default=None, help="Record one take of this FLEX action, by id or name.")
@click.option(
    "--skill", default=None, help="Skill level: novice, amateur or expert; by the subject's sheet if not given."
)
@click.option("--load-kg", type=FiniteRange(0, 500), default=None, help="Weight on the implement, as FLEX counts it.")
@click.option(
    "--reps", type=click.IntRange(1, 200), default=None, help="Repetitions expected in a take; 10 in the protocol."
)
@click.option("--rig", type=click.Path(path_type=Path), default=None, help="Rig file; simulated devices if not given.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("flex-data"), help="Folder of the raw takes and the dataset."
)
@click.option("--session", default=None, help="Name of the session; today's latest of the subject if not given.")
@click.option(
    "--protocol",
    type=click.Path(path_type=Path),
    default=None,
    help="Protocol file; FLEX's twenty actions if none.",
)
@click.option("--playlist", type=click.Path(path_type=Path), default=None, help="File with the sets and their order.")
@click.option(
    "--shuffle", type=click.IntRange(0, 2**31 - 1), default=None, help="Seed of an order of the subject's own."
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=None, help="Seed of the simulated athlete.")
@click.option("--duration", type=FiniteRange(0.5, 7200), default=None, help="Stop a take after this many seconds.")
@click.option("--yes", is_flag=True, help="Ask nothing and count nothing down: one take.")
@click.option(
    "--remote", metavar="[HOST:]PORT", default=None, help="Also take LabRecorder's remote commands on this TCP port."
)
@click.option("--truth", is_flag=True, help="Let simulated devices write what they really did into the take.")
def record(**options: Any) -> int:
    """Record takes of a subject and write them into the dataset.

    Without --action the session is led through the protocol or playlist: what is next, start, verdict, and whether the
    take is kept. Called again, it goes on with what has no usable take. Where there is no terminal, and with --yes, one
    take is recorded: of --action, of the next set of --playlist, --protocol or --shuffle, or of the squat.

    With --remote other programs can start and stop takes, at a terminal and where there is none; others than those of
    this computer only if HOST is given.

    A take starts when "recording" is announced and ends with Enter, Ctrl-C, --duration, or when all replayed or
    simulated devices are done. Everything lands in OUT/raw first; OUT/dataset is made from it.
    """
    from capture.record_request import RecordRequest
    from capture.record_session import record as record_what

    return record_what(RecordRequest(**options))
