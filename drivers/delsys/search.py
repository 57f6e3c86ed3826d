"""Whether the Trigno Control Utility runs on this computer; there is no way to find it on another one."""

from __future__ import annotations

from typing import Final

from drivers.delsys.command_port import CommandPort
from drivers.discovery import Found
from drivers.host_clock import LslClock
from lab.errors import DeviceError

PORT: Final = 50040


def find_trigno(seconds: float) -> tuple[Found, ...]:
    """Look for a greeting on this computer's port 50040, for ``seconds`` at most; nothing is asked or changed."""
    port = CommandPort("127.0.0.1", PORT, LslClock())
    try:
        port.open(seconds)
    except DeviceError:
        return ()
    finally:
        port.close()
    remark = "its sensors must be paired, active and out of the charger"
    return (Found("delsys.trigno", f"{port.greeting} on this computer", {"host": "127.0.0.1"}, remark),)
