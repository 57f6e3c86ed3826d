"""The serial ports of this computer, as somebody may want to read them as lines or records."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.discovery import Found


def find_serial_ports(limit_s: float) -> Sequence[Found]:  # noqa: ARG001 - the system knows its ports at once
    """Return the ports with the USB names of what is plugged in; those of the mainboard are left out."""
    from serial.tools.list_ports import comports

    found = []
    for port in sorted(comports()):
        if port.vid is None and "BTH" not in (port.hwid or "") and "rfcomm" not in port.device:
            continue
        known = [port.manufacturer, port.product or port.description]
        named = " ".join(str(word) for word in known if word and word != "n/a") or "serial port"
        number = f", serial number {port.serial_number}" if port.serial_number else ""
        remark = "if no driver of its own reads it: say what its lines or records are"
        found.append(Found("records.serial", f"{named}{number}, at {port.device}", {"port": port.device}, remark))
    return found
