"""``flex-capture emulate``: devices to practise on, over their own protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Serve a device to practise on, over its own protocol.")
@click.argument("drivers", nargs=-1, metavar="[DRIVER]...")
@click.option(
    "--rig",
    type=click.Path(path_type=Path),
    default=None,
    help="Serve the devices of this rig, where it looks for them.",
)
@click.option(
    "--port", default=None, help="Where to serve: a port, or for a serial line also a path; any free if not given."
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Another key of the emulator; repeatable.")
@click.option("--keys", is_flag=True, help="List the keys of the emulators named, or of all, and end.")
@click.option("--action", default="A16", help="What the athlete does: A01 to A20.")
@click.option("--skill", type=click.Choice(["novice", "amateur", "expert"]), default="expert", help="How well.")
@click.option("--reps", type=click.IntRange(1, 200), default=10, help="Repetitions in a set.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, help="Which athlete performs.")
@click.option("--begin", type=FiniteRange(0, 86400), default=0.0, help="Seconds until the first set begins.")
@click.option("--rest", type=FiniteRange(0, 86400), default=10.0, help="Seconds from one set to the next.")
@click.option("--duration", type=FiniteRange(0.5, 864000), default=None, help="Stop after this many seconds.")
def emulate(**options: Any) -> int:
    """Serve devices that are not there, so that their drivers can be tried, until Ctrl-C.

    Each speaks the protocol of the device that DRIVER reads, on this computer, and sends what the device would see of
    one athlete who does set after set; with several, all watch the same. It prints what a rig says to reach them.
    """
    from capture.emulation import EmulationRequest, emulate_devices

    return emulate_devices(EmulationRequest(**options))
