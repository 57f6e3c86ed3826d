"""What ``stream`` does: devices of a rig, published for a recorder elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from capture.console import Console
from capture.interruption import Interruption
from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.publishing import PublishPlan, camera_sentence, publish
from capture.rig_file import BoundDevice, BoundRig, load_rig
from capture.worker import WorkerTask
from lab.errors import RigError

#: Stands for the run in the source ids: the same each time, so that a rig elsewhere can name them.
RUN: Final = "stream"


@dataclass(frozen=True)
class StreamRequest:
    """The options of ``stream`` as they were typed."""

    rig: Path
    devices: tuple[str, ...]
    now: bool
    duration: float | None


def stream_devices(request: StreamRequest) -> int:
    """Publish devices until Ctrl-C; return the exit code. Raises FlexCaptureError before any is published."""
    rig = load_rig(request.rig)
    devices = _chosen(request, rig)
    settings = rig.rig.lsl
    configuration = lsl_configuration(settings)
    configure_lsl(configuration)
    console = Console()
    simulated = [device.entry.name for device in devices if device.simulated]
    if simulated:
        console.simulated(simulated)
    if settings.scope == "machine":
        console.line("only this computer can see the streams: the rig's [lsl] scope is 'machine'")
    tasks = tuple(
        WorkerTask(device.entry.name, device.entry.driver, device.config.model_dump(), RUN, configuration)
        for device in devices
    )
    plan = PublishPlan(f"{rig.rig.name} · streaming", tasks, rig.rig.wait_s, request.now, request.duration)
    interruption = Interruption()
    with interruption.installed():
        return publish(plan, console, interruption)


def _chosen(request: StreamRequest, rig: BoundRig) -> list[BoundDevice]:
    there = [device.entry.name for device in rig.devices]
    problems = [
        f"{request.rig} has no device '{name}'; its devices are {', '.join(there) or 'none'}"
        for name in request.devices
        if name not in there
    ]
    chosen = [device for device in rig.devices if not request.devices or device.entry.name in request.devices]
    cameras = [device.entry.name for device in chosen if device.entry.is_view]
    if cameras:
        others = [name for name in there if name not in cameras]
        instead = f"; name the others: flex-capture stream --rig {request.rig} {' '.join(others)}" if others else ""
        problems += [camera_sentence(name) for name in cameras[:-1]]
        problems.append(camera_sentence(cameras[-1]) + instead)
    if not chosen and not problems:
        problems.append(f"{request.rig} has no device of its own to stream; add a [[device]]")
    if problems:
        raise RigError(*problems)
    return chosen
