"""Takes worked on by several processes at once; one that dies costs the take it had, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import Any, Final

from capture.resegment_job import TakeJob, TakeResult, run_job

#: So often control comes back to the caller, who may have something to do meanwhile.
_TICK_S: Final = 0.5
_PATIENCE_S: Final = 10.0


@dataclass(frozen=True)
class Running:
    """A take that is being worked on, and the stage it is in."""

    job: TakeJob
    stage: str


@dataclass
class _Worker:
    process: Any
    pipe: Any
    job: TakeJob | None = None


def work_in_processes(jobs: deque[TakeJob], workers: int) -> Generator[TakeResult | Running | None, None, None]:
    """Take jobs from ``jobs``, which may grow meanwhile, until none is left; yield each result in order of completion.

    Between them each stage that a take enters is yielded, and None at least twice a second. When the caller lets go,
    such as after Ctrl-C, the processes are ended.
    """
    team: list[_Worker] = []
    try:
        while jobs or any(worker.job is not None for worker in team):
            while jobs and (idle := _idle(team, workers)) is not None:
                idle.job = jobs.popleft()
                with suppress(OSError):  # it died while it had nothing to do: found below
                    idle.pipe.send(idle.job)
            ready = connection.wait([worker.pipe for worker in team], timeout=_TICK_S)
            for worker in [worker for worker in team if worker.pipe in ready]:
                try:
                    said = worker.pipe.recv()
                except (EOFError, OSError):
                    team.remove(worker)
                    result = _died(worker)
                    if result is not None:
                        yield result
                    continue
                if isinstance(said, TakeResult):
                    worker.job = None
                    yield said
                elif worker.job is not None:
                    yield Running(worker.job, str(said))
            yield None
    finally:
        for worker in team:
            worker.pipe.close()
            if worker.job is not None:
                worker.process.terminate()
        for worker in team:
            _end(worker.process)


def _idle(team: list[_Worker], workers: int) -> _Worker | None:
    """Return a worker without a job, a new one if there may be more; None where all are busy."""
    for worker in team:
        if worker.job is None:
            return worker
    if len(team) >= workers:
        return None
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True, name="flex-capture resegment")
    process.start()
    theirs.close()  # so that its end is seen here
    team.append(_Worker(process, ours))
    return team[-1]


def _died(worker: _Worker) -> TakeResult | None:
    """Return the result of the take that a dead process had, None if it had none."""
    worker.pipe.close()
    _end(worker.process)
    code = worker.process.exitcode
    worker.process.close()
    if worker.job is None:
        return None
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
    why = "; perhaps the memory did not suffice, try again with fewer --workers" if code in {-9, -6} else ""
    return TakeResult(worker.job, "failed", (f"its process {how}{why}; the dataset is as it was",))


def _end(process: Any) -> None:
    process.join(_PATIENCE_S)
    if process.is_alive():
        process.kill()
        process.join()


def _serve(pipe: Any) -> None:
    """Work on what comes through the pipe until it is closed, or whoever is at its other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes of a terminal; ours is told by the pipe
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job = pipe.recv()
            pipe.send(run_job(job, _Stages(pipe)))
        except (EOFError, OSError):
            return


class _Stages:
    """Sends each stage once when it begins."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._stage = ""

    def __call__(self, stage: str, _done: int, _total: int) -> None:
        if stage != self._stage:
            self._stage = stage
            self._pipe.send(stage)


def _end_with_parent() -> None:
    """End when the parent is killed: what would still be made here nobody would take."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
