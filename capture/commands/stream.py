"""``flex-capture stream``: devices of a rig, published for a recorder on another computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Publish devices of a rig for a recorder on another computer.")
@click.argument("devices", nargs=-1, metavar="[DEVICE]...")
@click.option("--rig", type=click.Path(path_type=Path), required=True, help="Rig file.")
@click.option("--now", is_flag=True, help="Replays and simulations begin at once, and all ends when they are over.")
@click.option("--duration", type=FiniteRange(0.5, 86400), default=None, help="Stop after this many seconds.")
def stream(**options: Any) -> int:
    """Publish the named devices of a rig, or all, on Lab Streaming Layer until Ctrl-C.

    It prints what a rig elsewhere says to record them. Replays and simulations begin when somebody subscribes to any
    stream, all together, and begin anew when everybody has left and somebody comes again. Cameras are refused: record
    them on the computer they are plugged into.
    """
    from capture.stream_devices import StreamRequest, stream_devices

    return stream_devices(StreamRequest(**options))
