"""What ``replay`` does: the streams of a raw take, or of any XDF file, published as they came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from capture.console import Console
from capture.interruption import Interruption
from capture.lsl_settings import configure_lsl, lsl_configuration
from capture.publishing import PublishPlan, publish
from capture.worker import WorkerTask
from lab.errors import RequestError
from lab.rig import LslSettings
from storage.take_folder import read_record, record_path, streams_path

_RUN: Final = "replay"
_OPEN_S: Final = 120.0


@dataclass(frozen=True)
class ReplayRequest:
    """The options of ``replay`` as they were typed."""

    take: Path
    loop: bool
    now: bool
    duration: float | None
    scope: Literal["machine", "link", "site"]


def replay_take(request: ReplayRequest) -> int:
    """Publish a take's streams under their own names; return the exit code.

    Raises FlexCaptureError before anything is published.
    """
    console = Console()
    name, path = _source(request.take, console)
    configuration = lsl_configuration(LslSettings(scope=request.scope))
    configure_lsl(configuration)
    config = {"file": str(path), "loop": request.loop, "keep_names": True}
    task = WorkerTask(name, "replay.xdf", config, _RUN, configuration)
    plan = PublishPlan(f"{name} · replay", (task,), _OPEN_S, request.now, request.duration)
    interruption = Interruption()
    with interruption.installed():
        return publish(plan, console, interruption)


def _source(take: Path, console: Console) -> tuple[str, Path]:
    """Return what the source is called and its XDF file; say aloud that it is simulated where it is."""
    if take.is_file():
        return take.stem, take
    if not record_path(take).exists():
        raise RequestError(
            f"{take} is neither a raw take nor an XDF file; give a take's folder, such as flex-data/raw/S12/…/A16-01"
        )
    record = read_record(take)
    if record.state == "recording":
        raise RequestError(f"{take} is being written or was cut off; run `flex-capture recover {take}` first")
    if not streams_path(take).is_file():
        raise RequestError(f"{take} has no streams.xdf; run `flex-capture verify {take}` to see what else is missing")
    if record.simulated_devices:
        console.simulated(record.simulated_devices)
    return record.id, streams_path(take)
