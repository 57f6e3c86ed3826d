"""What every emulator is: a device that serves its wire protocol until it is told to stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar, Final, Protocol

from pydantic import BaseModel, ConfigDict

from drivers.emulators.stage import Stage
from lab.errors import RequestError

#: Emulators by the name of the driver that reads them.
EMULATORS: Final[dict[str, str]] = {
    "delsys.trigno": "drivers.emulators.trigno:TrignoEmulator",
    "openbci.cyton": "drivers.emulators.cyton:CytonEmulator",
    "qualisys.qtm": "drivers.emulators.qtm:QtmEmulator",
    "records.serial": "drivers.emulators.records:SerialRecordsEmulator",
    "records.tcp": "drivers.emulators.records:TcpRecordsEmulator",
    "records.udp": "drivers.emulators.records:UdpRecordsEmulator",
    "zephyr.bioharness": "drivers.emulators.bioharness:BioHarnessEmulator",
    "optitrack.natnet": "drivers.emulators.natnet:NatNetEmulator",
    "camera.network": "drivers.emulators.network_camera:EmulatedNetworkCamera",
}


class EmulatorConfig(BaseModel):
    """Base of all emulators' configs: frozen, and no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Emulator(Protocol):
    """What `emulate` and tests need of an emulator. Calls come in the order below."""

    Config: ClassVar[type[EmulatorConfig]]
    #: The key of its config that `emulate --port` sets.
    PORT_KEY: ClassVar[str]

    def __init__(self, config: EmulatorConfig, stage: Stage) -> None: ...

    @classmethod
    def reached_by(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Return the config keys that make the emulator serve where a rig's ``[[device]]`` with ``options`` looks."""
        ...

    def open(self) -> None:
        """Bind the address. Raises DeviceError."""

    def rig_options(self) -> dict[str, Any]:
        """Return the keys of a rig's ``[[device]]`` that reach this emulator; valid once open."""
        ...

    def serve(self, stop: threading.Event) -> None:
        """Serve clients, one after the other or several, until ``stop`` is set; look at it every 0.1 s at least.

        Nothing that a client sends or does ends it.
        """

    def close(self) -> None:
        """Let go of the address; any number of times."""


def find_emulator(driver: str) -> type[Emulator]:
    """Return the emulator of a device that ``driver`` reads. Raises RequestError where there is none."""
    target = EMULATORS.get(driver)
    if target is None:
        raise RequestError(f"there is no emulator for '{driver}'; there are {', '.join(sorted(EMULATORS))}")
    module, _, name = target.partition(":")
    found: type[Emulator] = getattr(import_module(module), name)
    return found


@contextmanager
def serving(emulator: Emulator) -> Iterator[dict[str, Any]]:
    """Serve in a thread while the block runs; give what a rig says to reach it."""
    stop = threading.Event()
    emulator.open()
    thread = threading.Thread(target=emulator.serve, args=(stop,), name="emulator")
    thread.start()
    try:
        yield emulator.rig_options()
    finally:
        stop.set()
        thread.join()
        emulator.close()
