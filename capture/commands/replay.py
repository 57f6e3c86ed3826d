"""``flex-capture replay``: a raw take back into Lab Streaming Layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Play a raw take back into Lab Streaming Layer.")
@click.argument("take", type=click.Path(path_type=Path))
@click.option("--loop", is_flag=True, help="Begin again at the end.")
@click.option("--now", is_flag=True, help="Begin at once, and end when all is played.")
@click.option("--duration", type=FiniteRange(0.5, 86400), default=None, help="Stop after this many seconds.")
@click.option(
    "--scope",
    type=click.Choice(["machine", "link", "site"]),
    default="machine",
    help="Who can see the streams: this computer, the local network, the site.",
)
def replay(**options: Any) -> int:
    """Play a raw take, or any XDF file, back into Lab Streaming Layer until Ctrl-C, to try other programs with it.

    All streams that hold samples are published under their own names, with the recorded values, counters and spacing.
    Of a camera the rows are, as numbers; its video is not: replay.video in a rig plays that. Playing begins when
    somebody subscribes, and begins anew when everybody has left and somebody comes again.
    """
    from capture.replay_take import ReplayRequest, replay_take

    return replay_take(ReplayRequest(**options))
