"""A device worker as the recorder sees it: a spawned process at the other end of a pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from typing import Final

from capture.messages import Ended, Failed, FromWorker, Progress, Ready, Stopped, Subscribed, ToWorker
from capture.worker import WorkerTask, run_worker
from lab.streams import StreamSpec

_EXIT_GRACE_S: Final = 2.0


class DeviceProcess:
    """One device's worker. Call ``poll`` often; it takes in what the worker said."""

    def __init__(self, task: WorkerTask) -> None:
        """Spawn the worker; it opens the device and publishes its streams at once."""
        context = multiprocessing.get_context("spawn")
        self.device = task.device
        self.ready: Ready | None = None
        self.subscribed: bool | None = None
        self.stopped: Stopped | None = None
        self.failure: Failed | None = None
        self.ended = False
        self.progress = Progress({})
        self._closed = False
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=run_worker, args=(task, theirs), name=f"flex-{task.device}", daemon=True)
        with _ignoring_interrupt():
            self._process.start()
        theirs.close()

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.is_alive()

    @property
    def specs(self) -> tuple[StreamSpec, ...]:
        """The streams of a device that is ready."""
        return () if self.ready is None else self.ready.specs

    @property
    def loops(self) -> bool:
        """Whether the device is a looped replay, which never ends by itself."""
        return any(spec.details.get("loops") == "yes" for spec in self.specs)

    def send(self, message: ToWorker) -> None:
        """Tell the worker something; a dead one is noticed by ``poll``."""
        with contextlib.suppress(OSError):
            self._pipe.send(message)

    def poll(self) -> None:
        """Take in everything the worker has said so far."""
        if self._closed:
            return
        try:
            while self._pipe.poll():
                self._take_in(self._pipe.recv())
        except (EOFError, OSError):
            if self.failure is None and self.stopped is None:
                code = self._process.exitcode
                self.failure = Failed(f"the process of device '{self.device}' died (exit code {code})")

    def close(self, deadline_s: float | None = None) -> None:
        """Let the worker go: close the pipe, and end it by force if it does not end by itself in two seconds."""
        if self._closed:
            return
        self._closed = True
        if deadline_s is None:
            deadline_s = time.monotonic() + _EXIT_GRACE_S
        self._pipe.close()
        self._process.join(max(0.0, deadline_s - time.monotonic()))
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _take_in(self, message: FromWorker) -> None:
        match message:
            case Ready():
                self.ready = message
            case Subscribed():
                self.subscribed = message.complete
            case Progress():
                self.progress = message
            case Ended():
                self.ended = True
            case Failed():
                self.failure = message
            case Stopped():
                self.stopped = message


def close_all(processes: list[DeviceProcess]) -> None:
    """Let all workers go at once: they close at the same time, within the grace of one. May be called again."""
    for process in processes:
        process._pipe.close()  # noqa: SLF001 - the module's own
    deadline_s = time.monotonic() + _EXIT_GRACE_S
    for process in processes:
        process.close(deadline_s)


@contextlib.contextmanager
def _ignoring_interrupt() -> Iterator[None]:
    """Let the new process inherit an ignored SIGINT, so that Ctrl-C cannot hit it while it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
