"""Dongles of Cytons among the serial ports on USB."""

from __future__ import annotations

import re
from typing import Final

from drivers.discovery import Found
from drivers.host_clock import LslClock
from drivers.links.serial_link import SerialLink
from drivers.links.usb_port import BY_SERIAL, UsbPort, usb_ports
from drivers.openbci.cyton_dialogue import BAUD, RADIO_STATE, Dialogue
from lab.errors import DeviceError

#: FTDI's FT231X, and how the serial numbers begin that OpenBCI's dongles have.
_CHIP: Final = (0x0403, 0x6015)
_SERIALS: Final = re.compile(r"D(M0|Q0|20|30)\w+", re.IGNORECASE)

_MOST_DONGLES: Final = 8
_LEAST_S: Final = 0.3
_MOST_S: Final = 1.0


def find_dongles(seconds: float) -> tuple[Found, ...]:
    """Return the dongles that are plugged in, and whether each hears its board, asking for ``seconds`` at most.

    Only the dongle is asked: a board that streams to somebody goes on. Raises DeviceError where ports cannot be listed.
    """
    ports = [port for port in usb_ports() if (port.vendor, port.product) == _CHIP and _SERIALS.fullmatch(port.serial)]
    clock = LslClock()
    deadline_s = clock.now_s() + seconds
    found = []
    for port in ports[:_MOST_DONGLES]:
        wait_s = min(_MOST_S, deadline_s - clock.now_s())
        remark = _radio(port, wait_s, clock) if wait_s >= _LEAST_S else "it was not asked whether it hears a board"
        what = f"OpenBCI dongle {port.serial} on {port.port}"
        found.append(Found("openbci.cyton", what, {"port": f"{BY_SERIAL}{port.serial}"}, remark, port.port))
    return tuple(found)


def _radio(port: UsbPort, wait_s: float, clock: LslClock) -> str:
    """Return what a dongle says of its radio, in a sentence; nothing that it does not do is an error here."""
    link = SerialLink(port.port, BAUD, "the dongle", clock)
    try:
        link.open()
        answer = Dialogue(link, "the dongle", clock).try_to_ask(RADIO_STATE, wait_s)
    except DeviceError as error:
        return str(error)
    finally:
        link.close()
    if answer is None:
        return "it does not say whether it hears a board; another device may have the same USB chip"
    return "it hears a board" if "System is Up" in answer else "it does not hear a board; switch the board on (to PC)"
