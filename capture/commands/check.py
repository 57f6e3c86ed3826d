"""``flex-capture check``: is the lab ready, before the subject is there."""

from __future__ import annotations

from pathlib import Path

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Check whether all devices of a rig do what they promise.")
@click.option("--rig", type=click.Path(path_type=Path), default=None, help="Rig file; simulated devices if not given.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("flex-data"), help="Folder of the raw takes and the dataset."
)
@click.option("--seconds", type=FiniteRange(1, 300), default=4.0, help="How long to listen.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def check(rig: Path | None, out: Path, seconds: float, as_json: bool) -> int:
    """Start the devices of a rig as record does, listen for a few seconds, and keep nothing of it.

    Says for every expected stream whether it is there, its rate against what it promises, its channels, what was lost,
    and whether the clock of its computer answers; for cameras the size of a frame and how full their queues become;
    whether the next take fits on the disk, and how many after it; memory; takes that were never closed. Everything that
    is wrong is said at once, with what to do: a device that does not open hides no other.

    Exit code 0: ready. 1: something was found. 2: the rig is wrong. 3: a device failed.
    """
    from capture.readiness.lab_check import CheckRequest, check_lab

    return check_lab(CheckRequest(rig, out, seconds, as_json))
