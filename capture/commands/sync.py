"""``flex-capture sync``: any XDF file, or a raw take, on one clock."""

from __future__ import annotations

from pathlib import Path

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Put the streams of an XDF file or a raw take on one clock.")
@click.argument("place", metavar="FILE|TAKE", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), default=None, help="HDF5 file to write; none if not given.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
@click.option(
    "--resample",
    "resample_hz",
    type=FiniteRange(0.01, 1_000_000),
    default=None,
    metavar="RATE",
    help="Also write all regular streams on one grid of this many Hz.",
)
@click.option(
    "--rig",
    type=click.Path(path_type=Path),
    default=None,
    help="Rig file with latencies, tolerances and counters; that of the take if not given.",
)
@click.option(
    "--counter",
    "counters",
    multiple=True,
    metavar="STREAM=CHANNEL[:MODULUS]",
    help="Channel, by label or number, that counts a stream's samples; can be given again.",
)
@click.option(
    "--latency",
    "latencies",
    multiple=True,
    metavar="STREAM=SECONDS",
    help="Measured delay of a stream, subtracted last; can be given again.",
)
def sync(
    place: Path,
    output: Path | None,
    force: bool,
    as_json: bool,
    resample_hz: float | None,
    rig: Path | None,
    counters: tuple[str, ...],
    latencies: tuple[str, ...],
) -> int:
    """Put all streams of an XDF file, or of a raw take, on session time and print the table that says how well.

    FILE is any XDF 1.0 file, ours or LabRecorder's; nothing in it is changed. With --output every stream becomes a
    group of an HDF5 file: its values as recorded, their times, and what these rest on.

    Exit code 0: all in order. 1: a stream is out of sync, or something of the file could not be used. 2: wrong input.
    3: the file could not be written, or the take cannot be read.
    """
    from capture.synchronise import SyncRequest, synchronise

    return synchronise(SyncRequest(place, output, force, as_json, resample_hz, rig, counters, latencies))
