"""A device's own process: driver, publisher and, for a camera, its files, obeying a pipe.

When the pipe closes because the recorder died, the worker closes its files and frees the device by itself.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, Final

from capture.messages import Ended, Failed, FromWorker, Progress, Ready, Start, Stop, Stopped, Subscribe, Subscribed
from lab.errors import DeviceError, FlexCaptureError
from lab.streams import Chunk, Frame

_PROGRESS_PERIOD_S: Final = 0.2
#: A worker whose recorder has died ends itself after this, even if its device does not let go: in a take, and else.
_ORPHAN_GRACE_S: Final = 1.5
_IDLE_ORPHAN_GRACE_S: Final = 0.5
#: A worker that is asked to end does so by itself after this: until then its recorder has stopped it.
_TERMINATION_GRACE_S: Final = 15.0
_STOP_GRACE_S: Final = 1.0
_IDLE_S: Final = 0.001
#: Until somebody receives all streams.
_SUBSCRIBE_S: Final = 10.0
#: The last words of a worker wait this long for a recorder that does not read.
_LAST_WORDS_S: Final = 1.0
#: liblsl sends in threads of its own, and forgets what is left when an outlet goes.
_LAST_SAMPLES_S: Final = 0.3


@dataclass(frozen=True)
class WorkerTask:
    """All that a worker needs to know, sent to the new process once."""

    device: str
    driver: str
    config: dict[str, Any]
    run: str
    lsl_configuration: str


def run_worker(task: WorkerTask, pipe: Connection) -> None:
    """Be the worker of one device until the pipe closes. The entry point of the spawned process."""
    _leave_signals_to_the_recorder()
    worker = _Worker(task, pipe)
    try:
        worker.run()
    except FlexCaptureError as error:
        worker.say(Failed("; ".join(_of_device(task.device, problem) for problem in error.problems)))
    except Exception as error:  # noqa: BLE001 - one clear sentence instead of a traceback in a child process
        worker.say(Failed(f"device '{task.device}' ({task.driver}) failed: {type(error).__name__}: {error}"))
    finally:
        worker.close()


def _leave_signals_to_the_recorder() -> None:
    ignore_the_terminal()
    signal.signal(signal.SIGTERM, _end_soon)


def ignore_the_terminal() -> None:
    """Outlive what asks all processes of a terminal or computer to end: the recorder is told too, and stops us."""
    for name in ("SIGINT", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _end_soon(_number: int, _frame: FrameType | None) -> None:
    timer = threading.Timer(_TERMINATION_GRACE_S, os._exit, (128 + signal.SIGTERM,))
    timer.daemon = True
    timer.start()


def _of_device(device: str, problem: str) -> str:
    """Name the device: a driver does not know what it is called."""
    return problem if f"'{device}'" in problem else f"device '{device}': {problem}"


class _Worker:
    def __init__(self, task: WorkerTask, pipe: Connection) -> None:
        self._task = task
        self._pipe = pipe
        self._inbox: queue.Queue[Any] = queue.Queue()
        self._outbox: queue.Queue[FromWorker | None] = queue.Queue()
        self._sender = threading.Thread(target=self._send, name="to-recorder", daemon=True)
        self._sender.start()
        self._orphaned = threading.Event()
        self._driver: Any = None
        self._publishers: dict[str, Any] = {}
        self._files: Any = None
        self._counts_at_start: dict[str, int] = {}
        self._running = False
        self._ended = False
        self._next_progress_s = 0.0
        self._subscribed_by_s: float | None = None

    def run(self) -> None:
        from capture.lsl_settings import configure_lsl
        from drivers.host_clock import LslClock
        from drivers.publish import publisher_of
        from drivers.registry import find_driver

        threading.Thread(target=self._listen, name="recorder-pipe", daemon=True).start()
        configure_lsl(self._task.lsl_configuration)
        driver_class = find_driver(self._task.driver)
        self._driver = driver_class(driver_class.Config.model_validate(self._task.config), LslClock())
        self._driver.open()
        self._specs = tuple(self._driver.streams())
        for spec in self._specs:
            self._publishers[spec.name] = publisher_of(self._task.device, spec, self._task.run)
        sources = {
            name: source for publisher in self._publishers.values() for name, source in publisher.sources.items()
        }
        self.say(Ready(self._specs, sources, tuple(getattr(self._driver, "remarks", ()))))
        while not self._orphaned.is_set():
            self._obey()
            self._work()

    def say(self, message: FromWorker) -> None:
        """Let the recorder know; a recorder that has been stopped for a while holds up nothing here."""
        if isinstance(message, Progress) and self._outbox.qsize() > 1:
            return  # a newer one follows
        self._outbox.put(message)

    def _send(self) -> None:
        try:
            while (message := self._outbox.get()) is not None:
                self._pipe.send(message)
        except OSError:
            self._orphaned.set()

    def close(self) -> None:
        """Close files, device and outlets, whatever state they are in.

        Files that are still open here are of a device that failed: they keep their ``.part``, and what follows if the
        device comes back goes into others.
        """
        # whatever one of them says at its end, the other must be closed as well
        if self._files is not None:
            with contextlib.suppress(Exception):
                self._files.close(finished=False)
        if self._driver is not None:
            with contextlib.suppress(Exception):
                self._driver.close()
        self._orphaned.wait(_LAST_SAMPLES_S)
        self._publishers.clear()
        self._outbox.put(None)
        self._sender.join(_LAST_WORDS_S)
        self._pipe.close()

    def _listen(self) -> None:
        """Receive in a thread of its own, so that a dead recorder is noticed even while the device blocks."""
        try:
            while True:
                self._inbox.put(self._pipe.recv())
        except (EOFError, OSError):
            self._orphaned.set()
        time.sleep(_ORPHAN_GRACE_S if self._running else _IDLE_ORPHAN_GRACE_S)
        os._exit(3)

    def _obey(self) -> None:
        try:
            order = self._inbox.get_nowait()
        except queue.Empty:
            return
        if isinstance(order, Subscribe):
            self._subscribed_by_s = time.monotonic() + _SUBSCRIBE_S
        elif isinstance(order, Start):
            self._start(order)
        elif isinstance(order, Stop):
            self._stop()

    def _start(self, order: Start) -> None:
        from capture.camera_files import CameraFiles
        from drivers.driver import TakeStart

        self._counts_at_start = self._published()
        for spec in self._specs:
            if spec.video is not None:
                if order.folder is None:
                    raise DeviceError(f"device '{self._task.device}' is a camera and has no folder for its video")
                publisher = self._publishers[spec.name]
                self._files = CameraFiles(order.folder, publisher.name, spec, publisher.publish, order.piece)
        self._driver.start(TakeStart(self._task.device, order.t0_s, order.truth_folder))
        self._running, self._ended, self._next_progress_s = True, False, 0.0

    def _stop(self) -> None:
        """Hand on what the device still has from before the stop, then close the files."""
        from pylsl import local_clock

        stop_s, deadline_s = local_clock(), time.monotonic() + _STOP_GRACE_S
        while self._running and not self._ended and time.monotonic() < deadline_s:
            piece = self._read()
            if piece is None or piece.arrival_s > stop_s:
                break
        self._running = False
        problems: tuple[str, ...] = ()
        if self._files is not None:
            self._files.close()
            problems = tuple(self._files.problems)
            self._files = None
        self.say(Stopped(self._published_in_take(), problems))

    def _look_for_subscribers(self) -> None:
        """Answer whether all streams are received; meanwhile a device that runs by itself must be read."""
        if self._subscribed_by_s is None:
            return
        complete = all(publisher.subscribed(0.0) for publisher in self._publishers.values())
        if complete or time.monotonic() > self._subscribed_by_s:
            self._subscribed_by_s = None
            self.say(Subscribed(complete))

    def _work(self) -> None:
        self._look_for_subscribers()
        if not self._running:
            self._read_and_discard()
        elif not self._ended:
            self._read()
        else:
            time.sleep(0.02)
        now_s = time.monotonic()
        if now_s >= self._next_progress_s:
            self._next_progress_s = now_s + _PROGRESS_PERIOD_S
            files = self._files
            fill, problems = (0.0, ()) if files is None else (files.fill, tuple(files.problems))
            consumers = any(publisher.have_consumers() for publisher in self._publishers.values())
            self.say(Progress(self._published_in_take(), fill, problems, consumers))

    def _read_and_discard(self) -> None:
        """Keep a device that runs by itself from piling up what belongs to no take. Nothing is published of it."""
        from drivers.driver import EndOfStream

        began_s, piece = time.monotonic(), None
        with contextlib.suppress(EndOfStream):
            piece = self._driver.read()
        if piece is None and time.monotonic() - began_s < _IDLE_S:
            time.sleep(_IDLE_S)

    def _read(self) -> Chunk | Frame | None:
        from drivers.driver import EndOfStream

        try:
            piece: Chunk | Frame | None = self._driver.read()
        except EndOfStream:
            self._ended = True
            self.say(Progress(self._published_in_take()))
            self.say(Ended())
            return None
        if isinstance(piece, Frame):
            self._files.put(piece)
        elif piece is not None:
            self._publishers[piece.stream].publish(piece)
        return piece

    def _published(self) -> dict[str, int]:
        return {name: count for publisher in self._publishers.values() for name, count in publisher.published.items()}

    def _published_in_take(self) -> dict[str, int]:
        return {name: count - self._counts_at_start.get(name, 0) for name, count in self._published().items()}
