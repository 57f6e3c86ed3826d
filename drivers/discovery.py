"""What is there to be put into a rig: each family of drivers looks for its own devices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True)
class Found:
    """A device that answered, or a port at which one may be.

    ``driver`` and ``options`` are what a ``[[device]]`` of a rig says; ``what`` is for the operator to recognise it by,
    ``remark`` one sentence more where there is something to be known. ``port`` is the serial port that it is at, where
    ``options`` name it otherwise.
    """

    driver: str
    what: str
    options: dict[str, Any] = field(default_factory=dict)
    remark: str = ""
    port: str = ""


#: ``module:function`` of each search, by what is looked for. A function takes the seconds that it may use and returns a
#: sequence of Found; it raises DeviceError where it cannot look, and leaves nothing open.
SEARCHES: Final[dict[str, str]] = {
    "serial ports": "drivers.serial_ports:find_serial_ports",
    "OpenBCI dongles": "drivers.openbci.search:find_dongles",
    "QTM computers": "drivers.qualisys.discovery:find_qtm",
    "Trigno servers": "drivers.delsys.search:find_trigno",
    "NatNet servers": "drivers.optitrack.natnet_search:find_servers",
    "USB cameras": "drivers.cameras.search:find_usb_cameras",
    "Basler cameras": "drivers.cameras.search:find_basler_cameras",
}
