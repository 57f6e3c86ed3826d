"""``flex-capture devices``: what is there to be put into a rig."""

from __future__ import annotations

from pathlib import Path

import click

from capture.commands.finite_range import FiniteRange


@click.command(short_help="Find what is plugged in, and say how a rig names it.")
@click.argument("driver", nargs=-1)
@click.option("--drivers", is_flag=True, help="List the drivers, or those named, with their keys and defaults.")
@click.option("--seconds", type=FiniteRange(0.5, 30), default=3.0, help="How long to look.")
@click.option(
    "--rig",
    type=click.Path(path_type=Path),
    default=None,
    help="Rig file whose [lsl] says how far streams are sought.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines of a rig file.")
def devices(driver: tuple[str, ...], drivers: bool, seconds: float, rig: Path | None, as_json: bool) -> int:
    """Look for serial ports, cameras, MoCap systems and LSL streams, all at once, and print each as an entry of a rig.

    What is printed may stand in a rig file as it is; lines that begin with # say what was found. A device that answers
    no search, such as a Trigno base, is written by hand: `flex-capture devices --drivers delsys.trigno` lists its keys.

    Exit code 0: all was looked for. 1: something could not be looked for.
    """
    from lab.errors import RequestError

    if drivers:
        from capture.driver_list import list_drivers

        if as_json:
            raise RequestError("--drivers prints no JSON; leave --json out")
        return list_drivers(driver)
    if driver:
        raise RequestError("name drivers together with --drivers")
    from capture.device_search import list_devices

    return list_devices(seconds, rig, as_json=as_json)
