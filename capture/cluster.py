"""Takes worked on by a running Dask cluster: its workers read raw takes and make files aside, the tables are ours.

Nothing but jobs and results goes over the network: raw takes and dataset lie in folders that all computers see under
the same names.
"""

from __future__ import annotations

import logging
import secrets
from collections import deque
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from capture.made_from import programs
from capture.resegment_job import TakeJob, TakeResult, run_job
from capture.take_workers import Running
from lab.errors import RequestError

_CONNECT_S: Final = 15.0
_TICK_S: Final = 0.5
_LONGEST_TOKEN: Final = 100
#: So many takes a worker's thread: one that it works on and one that waits for it.
_AHEAD: Final = 2


@contextmanager
def dask_cluster(address: str) -> Iterator[DaskCluster]:
    """Connect to the scheduler at ``address``, such as ``tcp://bench:8786``.

    Raises RequestError where the package is missing, nobody answers, or there are no workers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise RequestError(
            "--cluster needs the package distributed; install it with `pip install 'flex-capture[cluster]'`"
        ) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said in our words
    try:
        client = Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError, TypeError) as error:
        said = str(error).strip().splitlines()
        raise RequestError(
            f"no Dask scheduler answers at {address} ({said[0] if said else type(error).__name__}); start one with"
            " `dask scheduler` and give the address that it prints"
        ) from None
    try:
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=_CONNECT_S)
        if not client.nthreads():
            raise RequestError(
                f"the Dask scheduler at {address} has no workers; start some with `dask worker {address}`"
            )
        yield DaskCluster(client, address)
    finally:
        client.close()


class DaskCluster:
    """A cluster that answers."""

    def __init__(self, client: Any, address: str) -> None:
        """Use a client that is connected."""
        self._client = client
        self._address = address

    def must_see(self, jobs: Collection[TakeJob]) -> None:
        """Check that every worker sees the takes and the folder for their files, and runs the same programs.

        Raises RequestError with a sentence for each worker and folder.
        """
        token = secrets.token_hex(8)
        probes = [staging / f"probe-{token}" for staging in dict.fromkeys(job.staging for job in jobs) if staging]
        takes = list({job.folder.parent: job.folder for job in jobs}.values())  # one of each session
        try:
            for probe in probes:
                probe.write_text(token, encoding="ascii")
            found = self._client.run(_look, probes, takes, on_error="return")
        finally:
            for probe in probes:
                probe.unlink(missing_ok=True)
        problems = []
        for worker, seen in sorted(found.items()):
            if not isinstance(seen, dict):
                problems.append(f"the worker {worker} has no flex-capture that answers ({_first_line(seen)})")
                continue
            problems += [
                f"the worker {worker} does not see {folder}; both need it under the same name"
                for folder in (*(probe.parent for probe in probes), *takes)
                if str(folder) not in seen["sees"]
            ]
            problems += [
                f"the worker {worker} has {name} {seen['programs'].get(name, 'not at all')}, this computer has {ours};"
                " install the same versions"
                for name, ours in programs().items()
                if seen["programs"].get(name) != ours
            ]
        if problems:
            raise RequestError(*problems)

    def work(self, jobs: deque[TakeJob]) -> Generator[TakeResult | Running | None, None, None]:
        """Take jobs until none is left, as ``work_in_processes`` does."""
        from distributed import wait

        ahead = _AHEAD * max(1, sum(self._client.nthreads().values()))
        working: dict[Any, TakeJob] = {}
        try:
            while jobs or working:
                while jobs and len(working) < ahead:
                    job = jobs.popleft()
                    working[self._client.submit(_run, job, pure=False)] = job
                    yield Running(job, "on the cluster")
                with suppress(TimeoutError):
                    wait(list(working), timeout=_TICK_S, return_when="FIRST_COMPLETED")
                for future in [future for future in working if future.status != "pending"]:
                    yield self._result(future, working.pop(future))
                yield None
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self._client.cancel(list(working), force=True)

    def _result(self, future: Any, job: TakeJob) -> TakeResult:
        if future.status == "finished":
            try:
                result = future.result(timeout=_CONNECT_S)
            except Exception as error:  # noqa: BLE001 - the worker that has the result may be gone by now
                return _failed(job, f"its result did not arrive ({_first_line(error)})")
            if isinstance(result, TakeResult):
                return result
            return _failed(job, "its worker answered something else; install the same flex-capture on all computers")
        if future.status == "error":
            raised = future.exception(timeout=_CONNECT_S)
            if type(raised).__name__ == "KilledWorker":
                return _failed(job, "the workers that had it died; perhaps their memory does not suffice")
            return _failed(job, f"its worker failed ({_first_line(raised)})")
        return _failed(job, f"the scheduler at {self._address} gave it up or is gone; start it again and resegment")


def _failed(job: TakeJob, sentence: str) -> TakeResult:
    return TakeResult(job, "failed", (f"{sentence}; the dataset is as it was",))


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _run(job: TakeJob) -> TakeResult:
    """Work on one take, on a worker."""
    return run_job(job, lambda _stage, _done, _total: None)


def _look(probes: list[Path], takes: list[Path]) -> dict[str, Any]:
    """Say which folders a worker sees, and what it runs."""
    sees = [str(take) for take in takes if take.is_dir()]
    for probe in probes:
        with suppress(OSError):
            if probe.read_bytes()[:_LONGEST_TOKEN].decode("ascii", "replace") == probe.name.removeprefix("probe-"):
                sees.append(str(probe.parent))
    return {"sees": sees, "programs": programs()}
