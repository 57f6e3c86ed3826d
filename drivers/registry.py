"""Drivers by name. A driver's module is imported only when a rig names it."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Final

from drivers.driver import Driver
from lab.errors import RigError

_GROUP: Final = "flex_capture.drivers"

BUILT_IN: Final[dict[str, str]] = {
    "simulated.mocap": "drivers.simulated.mocap:SimulatedMocap",
    "simulated.emg": "drivers.simulated.emg:SimulatedEmg",
    "simulated.vest": "drivers.simulated.vest:SimulatedVest",
    "simulated.camera": "drivers.simulated.camera:SimulatedCamera",
    "qualisys.qtm": "drivers.qualisys.qtm:Qtm",
    "camera.v4l2": "drivers.cameras.v4l2:V4l2Camera",
    "camera.opencv": "drivers.cameras.opencv:OpencvCamera",
    "camera.basler": "drivers.cameras.basler:BaslerCamera",
    "camera.network": "drivers.cameras.network:NetworkCamera",
    "replay.c3d": "drivers.replay.c3d_file:ReplayC3d",
    "replay.trc": "drivers.replay.trc_file:ReplayTrc",
    "replay.csv": "drivers.replay.csv_file:ReplayCsv",
    "replay.xdf": "drivers.replay.xdf_file:ReplayXdf",
    "replay.video": "drivers.replay.video_file:ReplayVideo",
    "delsys.trigno": "drivers.delsys.trigno:Trigno",
    "openbci.cyton": "drivers.openbci.cyton:Cyton",
    "records.serial": "drivers.records.links:SerialRecords",
    "records.tcp": "drivers.records.links:TcpRecords",
    "records.udp": "drivers.records.links:UdpRecords",
    "zephyr.bioharness": "drivers.zephyr.bioharness:BioHarness",
    "optitrack.natnet": "drivers.optitrack.natnet:OptitrackNatNet",
}


def driver_names() -> tuple[str, ...]:
    """Return all names that a rig may use: built in, and from entry points of installed packages."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=_GROUP))}))


def find_driver(name: str) -> type[Driver]:
    """Import and return the driver class called ``name``.

    Raises RigError where there is none of that name or its package cannot be imported.
    """
    target = BUILT_IN.get(name)
    try:
        if target is not None:
            module, _, attribute = target.partition(":")
            found = getattr(import_module(module), attribute)
        else:
            points = entry_points(group=_GROUP, name=name)
            if not points:
                raise RigError(f"there is no driver '{name}'; the drivers are {', '.join(driver_names())}")
            found = next(iter(points)).load()
    except ImportError as error:
        raise RigError(f"driver '{name}' cannot be loaded ({error}); install what it needs and try again") from error
    driver: type[Driver] = found
    return driver
