"""One take from the plan to the dataset, and what the operator is told of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from capture.console import Console
from capture.interruption import Interruption
from capture.process_take import process_take
from capture.running_take import FinishedTake, TakePlan
from capture.take_run import record_take
from capture.verdict import say_verdict
from lab.errors import FlexCaptureError

INTERRUPTED = 130


@dataclass(frozen=True)
class TakeOutcome:
    """How a take went: ``folder`` is None where nothing was recorded, ``code`` the exit code it asks for.

    ``stopped_s`` is when it had stopped, on the monotonic clock; ``interrupted`` whether there was a Ctrl-C until then;
    ``ending`` says that no other take is wanted, as the program was asked to end.
    """

    folder: Path | None
    code: int
    stopped_s: float
    ending: bool = False
    interrupted: bool = False


def record_into_dataset(plan: TakePlan, dataset: Path, console: Console, *, countdown_s: int) -> TakeOutcome:
    """Record one take and write it into the dataset. Raises FlexCaptureError before anything was recorded."""
    interruption = Interruption()
    with interruption.installed():
        try:
            finished = record_take(plan, console, interruption, countdown_s=countdown_s)
        except KeyboardInterrupt:
            console.warning("interrupted before the take began; nothing was recorded")
            return TakeOutcome(None, INTERRUPTED, time.monotonic())
        stopped_s, interrupted = time.monotonic(), interruption.requested.is_set()
        code = take_into_dataset(finished, dataset, console, interruption)
        return TakeOutcome(finished.folder, code, stopped_s, interruption.ending, interrupted)


def take_into_dataset(finished: FinishedTake, dataset: Path, console: Console, interruption: Interruption) -> int:
    """Write a sealed raw take into the dataset, say how it stands, and return the exit code.

    Whatever fails, and where it is interrupted, the raw take is kept, and that is said.
    """
    again = f"flex-capture resegment {finished.folder}"
    for failure in finished.failures:
        console.error(failure)  # at once, not only with the verdict
    if any(event.kind == "disk_full" for event in finished.record.events):
        console.warning(f"the raw take is safe in {finished.folder}; when there is room on the disk, type\n  {again}")
        return 3
    try:
        interruption.requested.clear()  # what stopped the take
        with console.progress() as report:

            def progress(stage: str, done: int, total: int) -> None:
                if done < total:  # what is done is done
                    interruption.check()
                report(stage, done, total)

            processed = process_take(finished.folder, dataset, progress, verify=False)
    except KeyboardInterrupt:
        console.warning(f"interrupted; the raw take is safe in {finished.folder}; later type\n  {again}")
        return INTERRUPTED
    except FlexCaptureError as error:
        console.problems(error)
        console.warning(f"the raw take is safe in {finished.folder}; when that is set right, type\n  {again}")
        return 3
    except Exception:
        console.warning(
            f"the raw take is safe in {finished.folder}; the dataset was not written; later type\n  {again}"
        )
        raise
    in_order = say_verdict(processed, dataset, console, report=True, failed=bool(finished.failures))
    console.line(f"raw take: {finished.folder}")
    if finished.failures:
        return 3
    return 0 if in_order else 1
