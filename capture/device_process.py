"""A device worker as the recorder sees it: a spawned process at the other end of a pipe."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from capture.messages import Ended, Failed, FromWorker, Progress, Ready, Stopped, Subscribed, ToWorker
from capture.worker import WorkerTask, run_worker
from lab.streams import StreamSpec

_EXIT_GRACE_S: Final = 2.0
_POLL_S: Final = 0.01
_KILL_S: Final = 2.0


class DeviceProcess:
    """One device's worker. Call ``poll`` often; it takes in what the worker said."""

    def __init__(self, task: WorkerTask) -> None:
        """Spawn the worker; it opens the device and publishes its streams at once."""
        self.device = task.device
        self._task = task
        self._spawn()

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.ready: Ready | None = None
        self.subscribed: bool | None = None
        self.stopped: Stopped | None = None
        self.failure: Failed | None = None
        self.ended = False
        self.progress = Progress({})
        self.heard_s = time.monotonic()
        self._closed = False
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=run_worker, args=(self._task, theirs), name=f"flex-{self.device}", daemon=True
        )
        with ignoring_interrupt():
            self._process.start()
        theirs.close()

    @property
    def alive(self) -> bool:
        """Whether the process is there; one that has failed may still be closing its files."""
        return not self._closed and self._process.is_alive()

    def restart(self) -> None:
        """End what is left of the worker and spawn a new one for the same device; it says ``Ready`` when it is open."""
        self.hang_up()
        self.end(time.monotonic())
        self._spawn()

    def give_up(self, sentence: str) -> None:
        """Take the worker for failed, though it has not said so; it is let go and ends by itself, if it still can."""
        if self.failure is None:
            self.failure = Failed(sentence)
            self.hang_up()

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
        try:
            while self._pipe.poll():
                self._take_in(self._pipe.recv())
        except (EOFError, OSError):
            if self.failure is None and self.stopped is None:
                code = self._process.exitcode
                self.failure = Failed(f"the process of device '{self.device}' died (exit code {code})")

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences about frames that could not be kept, so far or, once it has stopped, in all."""
        return self.progress.problems if self.stopped is None else self.stopped.problems

    def hang_up(self) -> None:
        """Close the pipe, upon which the worker ends by itself."""
        self._pipe.close()

    def end(self, deadline_s: float) -> None:
        """Wait for the worker's end until ``deadline_s`` (monotonic), then end it by force. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._process.join(max(0.0, deadline_s - time.monotonic()))
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_KILL_S)
        with contextlib.suppress(ValueError):  # one that its kernel does not let go of is left behind
            self._process.close()

    def _take_in(self, message: FromWorker) -> None:
        self.heard_s = time.monotonic()
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


def wait_until(
    processes: Sequence[DeviceProcess], answered: Callable[[DeviceProcess], bool], wait_s: float
) -> list[DeviceProcess]:
    """Poll until each worker has ``answered`` or failed; return those that did neither within ``wait_s``."""
    deadline_s = time.monotonic() + wait_s
    while True:
        for process in processes:
            process.poll()
        silent = [process for process in processes if process.failure is None and not answered(process)]
        if not silent or time.monotonic() > deadline_s:
            return silent
        time.sleep(_POLL_S)


def remarks_of(processes: Sequence[DeviceProcess]) -> list[str]:
    """Return what the drivers that are open have to say, with their devices' names."""
    return [
        f"device '{process.device}': {remark}"
        for process in processes
        for remark in (process.ready.remarks if process.ready is not None else ())
    ]


def close_all(processes: Sequence[DeviceProcess]) -> None:
    """Let all workers go at once: they close at the same time, within the grace of one. May be called again."""
    for process in processes:
        process.hang_up()
    deadline_s = time.monotonic() + _EXIT_GRACE_S
    for process in processes:
        process.end(deadline_s)


@contextlib.contextmanager
def ignoring_interrupt() -> Iterator[None]:
    """Let the new process inherit an ignored SIGINT, so that Ctrl-C cannot hit it while it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
