"""``flex-capture segment``: the repetitions in any recording."""

from __future__ import annotations

from pathlib import Path

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Find the repetitions in a C3D, TRC, CSV or XDF file, or in a raw take.")
@click.argument("place", metavar="FILE|TAKE", type=click.Path(path_type=Path))
@click.option(
    "--reps",
    "expected",
    type=click.IntRange(1, 10_000),
    default=None,
    help="How many there should be: a hint that forces nothing; that of the take if not given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the repetitions as JSON.")
@click.option(
    "--rate",
    "rate_hz",
    type=FiniteRange(0.1, 1_000_000),
    default=None,
    metavar="HZ",
    help="Rate of a table that has no column of times.",
)
@click.option(
    "--columns",
    multiple=True,
    metavar="A,B,…",
    help="Columns, channels or markers to look at, by name; * fits any. Can be given again.",
)
@click.option("--stream", default=None, metavar="NAME", help="The one stream of an XDF file, or take, to look at.")
@click.option("--plot", type=click.Path(path_type=Path), default=None, help="PNG file to draw; none if not given.")
@click.option("--force", is_flag=True, help="Replace a picture that is there.")
def segment(
    place: Path,
    expected: int | None,
    as_json: bool,
    rate_hz: float | None,
    columns: tuple[str, ...],
    stream: str | None,
    plot: Path | None,
    force: bool,
) -> int:
    """Find the repetitions of an exercise in a recording: start, turn and end of each, with how sure that is.

    FILE is a C3D, TRC, CSV or XDF file, or the folder of a raw take: markers, joint angles, IMUs, a goniometer or sEMG.
    Nothing in it is changed. The streams of an XDF file are put on one clock first, as ``flex-capture sync`` does.

    Exit code 0: as many as expected, or any if no count was asked for, and none in doubt. 1: another count, none, or
    something to doubt. 2: wrong input. 3: the picture could not be written, or the take cannot be read.
    """
    from capture.segment_source import SegmentRequest
    from capture.segmentation import SegmentOutput, segment_file

    patterns = tuple(part for text in columns for part in (piece.strip() for piece in text.split(",")) if part)
    request = SegmentRequest(place, rate_hz, patterns, stream)
    return segment_file(request, SegmentOutput(expected, as_json, plot, force))
