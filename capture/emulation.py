"""What ``emulate`` does: emulated devices, a process each, that all watch one athlete."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from capture.console import Console
from capture.device_process import ignoring_interrupt
from capture.driver_list import say_fields
from capture.interruption import Interruption
from capture.rig_file import load_rig
from capture.rig_text import entry_lines
from capture.worker import ignore_the_terminal
from drivers.emulators.emulator import EMULATORS, find_emulator
from drivers.emulators.stage import Stage, StageConfig
from lab.device_names import device_name
from lab.errors import DeviceError, FlexCaptureError, RequestError
from storage.toml_file import parse_toml_value, validation_sentences

_OPEN_S: Final = 30.0
_CLOSE_S: Final = 3.0
_POLL_S: Final = 0.1


@dataclass(frozen=True)
class EmulationRequest:
    """The options of ``emulate`` as they were typed."""

    drivers: tuple[str, ...]
    rig: Path | None
    port: str | None
    settings: tuple[str, ...]
    keys: bool
    action: str
    skill: Any
    reps: int
    seed: int
    begin: float
    rest: float
    duration: float | None


@dataclass(frozen=True)
class EmulationTask:
    """One emulated device: its name in a rig, the driver that reads it, its keys, and what it watches from when."""

    name: str
    driver: str
    config: dict[str, Any]
    stage: StageConfig
    zero_s: float


@dataclass(frozen=True)
class _Served:
    task: EmulationTask
    process: BaseProcess
    pipe: Connection


def emulate_devices(request: EmulationRequest) -> int:
    """Serve until Ctrl-C; return 0, or 3 where an emulator failed. Raises FlexCaptureError before any is served."""
    from pylsl import local_clock

    if request.keys:
        return _say_keys(request.drivers)
    stage = StageConfig(
        seed=request.seed,
        action=request.action,
        skill=request.skill,
        repetitions=request.reps,
        begin_s=request.begin,
        rest_s=request.rest,
    )
    Stage(stage, 0.0)  # says what is wrong with the action before anything is started
    wanted = _wanted(request)
    zero_s = float(local_clock())
    tasks = [EmulationTask(name, driver, config, stage, zero_s) for name, driver, config in wanted]
    console = Console()
    interruption = Interruption()
    with interruption.installed():
        served: list[_Served] = []
        try:
            served.extend(_spawn(task) for task in tasks)
            _say_where(served, console, _ready(served))
            interruption.defer()
            return _wait(served, Stage(stage, zero_s), request.duration, console, interruption)
        finally:
            _end(served)


def _wanted(request: EmulationRequest) -> list[tuple[str, str, dict[str, Any]]]:
    """Return name, driver and config of each emulator asked for. Raises FlexCaptureError."""
    if (request.rig is None) == (not request.drivers):
        raise RequestError(f"name drivers, or a rig with --rig; {_there_are()}")
    said = _settings(request)
    if request.rig is not None:
        if said:
            raise RequestError("--port and --set go with one driver that is named; with --rig the rig says it")
        wanted = []
        for device in load_rig(request.rig).devices:
            driver = device.entry.driver
            if driver in EMULATORS:
                config = find_emulator(driver).reached_by(device.config.model_dump(mode="json"))
                wanted.append((device.entry.name, driver, _checked(driver, config)))
        if not wanted:
            raise RequestError(f"{request.rig} has no device that can be emulated; {_there_are()}")
        return wanted
    if said and len(request.drivers) > 1:
        raise RequestError("--port and --set go with one driver; start several emulators, or use --rig")
    names: set[str] = set()
    found = []
    for driver in request.drivers:
        family, _, kind = driver.partition(".")
        name = "view1" if family == "camera" and "view1" not in names else device_name(kind or family, names)
        names.add(name)
        found.append((name, driver, _checked(driver, said)))
    return found


def _there_are() -> str:
    return f"there are emulators for {', '.join(sorted(EMULATORS))}"


def _settings(request: EmulationRequest) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if request.port is not None and request.drivers:
        said[find_emulator(request.drivers[0]).PORT_KEY] = parse_toml_value(request.port)
    for one in request.settings:
        key, equals, value = one.partition("=")
        if not equals:
            raise RequestError(f"--set {one} sets nothing; write KEY=VALUE")
        said[key.strip()] = parse_toml_value(value.strip())
    return said


def _checked(driver: str, config: dict[str, Any]) -> dict[str, Any]:
    try:
        find_emulator(driver).Config.model_validate(config)
    except ValidationError as error:
        raise RequestError(*validation_sentences(Path(f"the emulator for {driver}"), error)) from None
    return config


def _say_keys(drivers: Sequence[str]) -> int:
    for driver in drivers or sorted(EMULATORS):
        emulator = find_emulator(driver)
        say_fields(driver, emulator.__doc__, emulator.Config)
    return 0


def _spawn(task: EmulationTask) -> _Served:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    name = f"flex-emulated-{task.name}"
    process = context.Process(target=serve_emulator, args=(task, theirs), name=name, daemon=True)
    with ignoring_interrupt():
        process.start()
    theirs.close()
    return _Served(task, process, ours)


def serve_emulator(task: EmulationTask, pipe: Connection) -> None:
    """Be one emulator until the pipe closes. The entry point of the spawned process."""
    ignore_the_terminal()
    stop = threading.Event()
    kind = find_emulator(task.driver)
    emulator = kind(kind.Config.model_validate(task.config), Stage(task.stage, task.zero_s))
    try:
        emulator.open()
        pipe.send(emulator.rig_options())
        threading.Thread(target=_stop_with, args=(pipe, stop), daemon=True).start()
        emulator.serve(stop)
    except FlexCaptureError as error:
        pipe.send("; ".join(error.problems))
    except Exception as error:  # noqa: BLE001 - a sentence instead of a traceback in a child process
        pipe.send(f"it failed ({type(error).__name__}: {error})")
    finally:
        emulator.close()


def _stop_with(pipe: Connection, stop: threading.Event) -> None:
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    stop.set()


def _ready(served: Sequence[_Served]) -> list[dict[str, Any]]:
    """Return what a rig says to reach each. Raises DeviceError with all that cannot be served."""
    deadline_s = time.monotonic() + _OPEN_S
    options, problems = [], []
    for one in served:
        answer: Any = "it did not start in time"
        try:
            if one.pipe.poll(max(0.0, deadline_s - time.monotonic())):
                answer = one.pipe.recv()
        except (EOFError, OSError):
            answer = "its process died"
        if isinstance(answer, str):
            problems.append(f"the emulator of '{one.task.name}' ({one.task.driver}): {answer}")
        else:
            options.append(answer)
    if problems:
        raise DeviceError(*problems)
    return options


def _say_where(served: Sequence[_Served], console: Console, options: Sequence[dict[str, Any]]) -> None:
    console.line("# what a rig says to reach them:")
    for one, said in zip(served, options, strict=True):
        console.line("")
        for line in entry_lines("device", {"name": one.task.name, "driver": one.task.driver, **said}):
            console.line(line)
    console.line("")


def _wait(
    served: Sequence[_Served], stage: Stage, duration_s: float | None, console: Console, interruption: Interruption
) -> int:
    """Say when sets begin and end, until somebody or something ends it."""
    from pylsl import local_clock

    console.line(f"# the first set begins in {max(0.0, stage.first_set_s[0] - local_clock()):.0f} s; Ctrl-C stops")
    end_s = math.inf if duration_s is None else time.monotonic() + duration_s
    said = -1
    while not interruption.requested.is_set() and time.monotonic() < end_s:
        for one in served:
            if not one.process.is_alive():
                answer = one.pipe.recv() if one.pipe.poll() else "its process died"
                console.error(f"the emulator of '{one.task.name}' ({one.task.driver}): {answer}")
                return 3
        number, performing = stage.set_at(local_clock())
        place = 2 * number + performing
        if place != said and number:
            console.line(f"# set {number} {'begins' if performing else 'is over'}")
        said = place
        interruption.requested.wait(_POLL_S)
    console.line("# stopped")
    return 0


def _end(served: Sequence[_Served]) -> None:
    for one in served:
        one.pipe.close()
    deadline_s = time.monotonic() + _CLOSE_S
    for one in served:
        one.process.join(max(0.0, deadline_s - time.monotonic()))
        if one.process.is_alive():
            one.process.kill()
            one.process.join()
        one.process.close()
