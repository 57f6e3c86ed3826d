"""Serial ports by the USB serial number of what is plugged in: their names may change when it is plugged in again."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.errors import DeviceError

#: Begin of a port's name in a rig that is the USB serial number of what is plugged in.
BY_SERIAL: Final = "usb:"


@dataclass(frozen=True)
class UsbPort:
    """A serial port on USB: what the system calls it, its serial number, vendor and product ids, and its name."""

    port: str
    serial: str
    vendor: int
    product: int
    product_name: str


def usb_ports() -> tuple[UsbPort, ...]:
    """Return the serial ports on USB that are there now, in the order of their names. Raises DeviceError."""
    from serial.tools.list_ports import comports

    try:
        found = [port for port in comports() if port.vid is not None and port.pid is not None]
    except OSError as error:
        raise DeviceError(f"the computer's serial ports cannot be listed ({error}); name the port in the rig") from None
    return tuple(
        sorted(
            (
                UsbPort(
                    str(port.device),
                    _serial_of(port.serial_number or ""),
                    int(port.vid),
                    int(port.pid),
                    str(port.product or port.description or ""),
                )
                for port in found
            ),
            key=lambda port: port.port,
        )
    )


def find_port(port: str, what: str) -> tuple[str, str]:
    """Return the name that the system has for ``port`` now, and its USB serial number, empty where there is none.

    ``port`` is such a name, a URL of pyserial, or ``usb:SERIAL``. Raises DeviceError where no port, or more than one,
    has that serial number; ``what`` is what the sentence calls the device, such as "the Cyton".
    """
    if not port.startswith(BY_SERIAL):
        if "://" in port:
            return port, ""
        real = os.path.realpath(port) if os.name == "posix" else port
        with contextlib.suppress(DeviceError):  # its name is enough
            return port, next((found.serial for found in usb_ports() if found.port in {port, real}), "")
        return port, ""
    serial = port[len(BY_SERIAL) :]
    ports = usb_ports()
    there = [found for found in ports if found.serial.lower() == serial.lower()]
    if len(there) == 1:
        return there[0].port, there[0].serial
    if there:
        raise DeviceError(
            f"{_listed([found.port for found in there])} all have the USB serial number {serial}; "
            f"name the port of {what} in the rig instead"
        )
    others = _listed([f"{found.serial} ({found.port})" for found in ports if found.serial])
    raise DeviceError(
        f"no USB device with the serial number {serial} is plugged in; plug {what} in"
        + (f", or is it one of {others}?" if others else "")
    )


def _serial_of(serial: str) -> str:
    """Return a serial number; Windows puts the letter of the interface behind those of FTDI's chips."""
    return serial[:-1] if os.name == "nt" and len(serial) == _FTDI_AND_LETTER and serial.endswith("A") else serial


#: Length of an FTDI serial number and the letter that Windows puts behind it.
_FTDI_AND_LETTER: Final = 9


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8])
