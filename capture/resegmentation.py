"""Raw takes into the dataset again: several at a time, each once, those that are as they should be left alone."""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from capture.amendment import mark_take, new_mark
from capture.cluster import DaskCluster, dask_cluster
from capture.console import Console
from capture.interruption import Interruption
from capture.made_from import made_from
from capture.recovery import recover_met
from capture.resegment_job import TakeJob, TakeResult, run_job
from capture.resegment_plan import PlannedTake, ResegmentPlan, plan_resegmentation
from capture.take_commits import TakeCommits
from capture.take_workers import Running, work_in_processes
from capture.takes_below import takes_below
from capture.verdict import judge_entry, say_judged
from lab.corrections import standing_corrections
from lab.errors import FlexCaptureError, RequestError
from storage.flex import dataset_staging
from storage.marks_file import read_marks

_INTERRUPTED = 130


@dataclass(frozen=True)
class ResegmentRequest:
    """What was asked for.

    ``dataset`` is None for the one beside the raw folder, ``workers`` for one process a core but one; ``force`` makes
    all takes afresh; ``dry_run`` writes nothing and says what would change, ``as_json`` in a form for programs.
    ``cluster`` is the address of a Dask scheduler whose workers process the takes. ``discard_corrections`` takes back
    what people said of single repetitions.
    """

    paths: Sequence[Path]
    dataset: Path | None = None
    workers: int | None = None
    force: bool = False
    dry_run: bool = False
    as_json: bool = False
    cluster: str | None = None
    discard_corrections: bool = False


@dataclass
class _Tally:
    """What became of the takes so far; ``code`` is the exit code it comes to."""

    written: int = 0
    failed: int = 0
    code: int = 0
    compared: list[TakeResult] = field(default_factory=list)


def resegment_takes(request: ResegmentRequest) -> int:
    """Process every take at or below the paths; return the exit code. One bad take does not stop the others."""
    if request.as_json and not request.dry_run:
        raise RequestError("--json says what would change; give it together with --dry-run")
    if request.cluster is not None and request.workers is not None:
        raise RequestError("--workers are processes of this computer; with --cluster, its workers do the work")
    if request.cluster is not None:  # whose workers have another working folder
        paths, dataset = [path.absolute() for path in request.paths], request.dataset and request.dataset.absolute()
        request = replace(request, paths=paths, dataset=dataset)
    takes = takes_below(request.paths)
    console = Console()
    if not request.dry_run:
        recover_met(takes, console)
    discarded = frozenset(take for take in takes if request.discard_corrections and _is_corrected(take))
    plan = _plan(takes, request, discarded, console)
    tally = _Tally()
    interrupted = False
    if not request.as_json:
        _say_plan(plan, console, tally, dry_run=request.dry_run)
    interruption = Interruption()
    with interruption.installed(), contextlib.ExitStack() as held:
        try:
            cluster = None
            if request.cluster is not None and plan.to_make:
                cluster = held.enter_context(dask_cluster(request.cluster))
            jobs = _jobs(plan.to_make, request, held, discarded)
            if cluster is not None:
                cluster.must_see(jobs)
            _make(jobs, request, cluster, console, interruption, tally)
        except KeyboardInterrupt:
            interrupted = True
    if request.as_json:
        console.line(json.dumps(_as_json(plan, tally), indent=1))
    elif len(takes) > 1:
        _say_sum(len(takes), plan, tally, console, request)
    if interrupted:
        if not request.as_json:
            console.warning("interrupted; what is written stays, and the same command goes on from there")
        return _INTERRUPTED
    return max(tally.code, 3 if plan.refused else 0, 1 if plan.unbegun else 0)


def _plan(
    takes: Sequence[Path], request: ResegmentRequest, discarded: Collection[Path], console: Console
) -> ResegmentPlan:
    if not request.dry_run:
        _discard(discarded, console)
    plan = plan_resegmentation(takes, request.dataset, force=request.force)
    if request.dry_run:  # what is up to date would not be
        plan.to_make += [planned for planned in plan.up_to_date if planned.folder in discarded]
        plan.up_to_date = [planned for planned in plan.up_to_date if planned.folder not in discarded]
    return plan


def _is_corrected(take: Path) -> bool:
    try:
        return bool(standing_corrections(read_marks(take)[0]))
    except FlexCaptureError:
        return False  # whoever makes the take says why its marks cannot be read


def _discard(takes: Iterable[Path], console: Console) -> None:
    """Take back the corrections of repetitions; that is a mark as well, and nothing is erased. Raises TakeError."""
    for take in sorted(takes):
        mark_take(take, [new_mark("repetition", act="discard")])
        console.line(f"{take}: what was said of its repetitions is taken back")


def _jobs(
    to_make: Sequence[PlannedTake], request: ResegmentRequest, held: contextlib.ExitStack, discarded: Collection[Path]
) -> deque[TakeJob]:
    """Return the jobs; each dataset gets a folder for their files until ``held`` ends."""
    staging: dict[Path, Path | None] = {}
    for dataset in dict.fromkeys(planned.dataset for planned in to_make):
        staging[dataset] = None if request.dry_run else held.enter_context(dataset_staging(dataset))
    return deque(
        TakeJob(
            planned.folder,
            planned.dataset,
            staging[planned.dataset],
            planned.before,
            afresh=request.force,
            uncorrected=planned.folder in discarded,
        )
        for planned in to_make
    )


def _make(
    jobs: deque[TakeJob],
    request: ResegmentRequest,
    cluster: DaskCluster | None,
    console: Console,
    interruption: Interruption,
    tally: _Tally,
) -> None:
    """Work on all jobs and give what was made to the datasets, also when interrupted."""
    commits = TakeCommits()
    total = len(jobs)

    def commit() -> None:
        with interruption.deferred():
            for result, problems in commits.commit():
                _say_committed(result, problems, console, tally)
                if not problems:
                    jobs.extend(_said_meanwhile(result, console, tally))

    def take(result: TakeResult) -> None:
        if result.outcome == "staged":
            commits.add(result)
        else:
            _say_result(result, console, tally, quiet=request.as_json)

    while jobs:
        try:
            if total == 1 and cluster is None:
                shown = console.progress() if not request.as_json else contextlib.nullcontext(lambda *_: None)
                with shown as progress:
                    result = run_job(jobs.popleft(), progress)
                take(result)
                continue
            with (
                console.takes_progress(total) as report,
                contextlib.closing(_results(jobs, request, cluster)) as results,
            ):
                running: dict[Path, str] = {}
                done = 0
                for step in results:
                    if isinstance(step, TakeResult):
                        done += 1
                        running.pop(step.job.folder, None)
                        take(step)
                    elif isinstance(step, Running):
                        running[step.job.folder] = step.stage
                    report(done, [f"{_short(folder)} {stage}" for folder, stage in running.items()])
                    if commits.due:
                        commit()
        finally:
            commit()


def _results(
    jobs: deque[TakeJob], request: ResegmentRequest, cluster: DaskCluster | None
) -> Generator[TakeResult | Running | None, None, None]:
    if cluster is not None:
        return cluster.work(jobs)
    workers = request.workers or max(1, (os.cpu_count() or 1) - 1)
    return work_in_processes(jobs, min(workers, len(jobs)))


def _said_meanwhile(result: TakeResult, console: Console, tally: _Tally) -> list[TakeJob]:
    """Return a take again of which somebody said something while it was made."""
    try:
        if result.staged is None or made_from(result.job.folder) == result.inputs:
            return []
    except FlexCaptureError as error:
        console.problems(error, indent="  ")
        tally.code = 3
        return []
    console.warning("  something was said of it meanwhile; it is made again")
    return [replace(result.job, before=result.staged.entry)]


def _short(folder: Path) -> str:
    return "/".join(folder.parts[-3:])


def _say_plan(plan: ResegmentPlan, console: Console, tally: _Tally, *, dry_run: bool) -> None:
    for folder, problems in plan.refused.items():
        console.line(f"{folder}:")
        console.problems(FlexCaptureError(*problems), indent="  ")
    for folders, why in (
        (plan.nothing, "cut off before anything was recorded, passed over"),
        (plan.unbegun, "cut off before it began, has no take.json, passed over; remove it if you like"),
    ):
        if folders:
            console.warning(f"{why}: {', '.join(map(str, folders))}")
    for planned in plan.up_to_date:
        if planned.before is None:
            continue
        console.line(f"{planned.folder}: already up to date")
        if not dry_run and not say_judged(judge_entry(planned.before, planned.dataset), console, indent="  "):
            tally.code = max(tally.code, 1)


def _say_committed(result: TakeResult, problems: tuple[str, ...], console: Console, tally: _Tally) -> None:
    if problems or result.verdict is None:
        _say_failed(result, problems, console, tally)
        return
    console.line(f"{result.job.folder}:")
    tally.written += 1
    if not say_judged(result.verdict, console, indent="  "):
        tally.code = max(tally.code, 1)


def _say_result(result: TakeResult, console: Console, tally: _Tally, *, quiet: bool) -> None:
    if result.change is not None:
        tally.compared.append(result)
        if not quiet:
            console.line(f"{result.job.folder}:")
            for line in result.change.lines():
                console.line(f"  {line}")
        return
    if quiet:
        tally.compared.append(result)
        tally.code = 3
    else:
        _say_failed(result, result.problems, console, tally)


def _say_failed(result: TakeResult, problems: tuple[str, ...], console: Console, tally: _Tally) -> None:
    console.line(f"{result.job.folder}:")
    console.problems(FlexCaptureError(*problems), indent="  ")
    tally.failed += 1
    tally.code = 3


def _say_sum(count: int, plan: ResegmentPlan, tally: _Tally, console: Console, request: ResegmentRequest) -> None:
    compared = f"{len(tally.compared)} would be written" if request.dry_run else f"{tally.written} written"
    said = (
        (True, compared),
        (plan.up_to_date, f"{len(plan.up_to_date)} already up to date"),
        (plan.nothing or plan.unbegun, f"{len(plan.nothing) + len(plan.unbegun)} hold nothing"),
        (tally.failed or plan.refused, f"{tally.failed + len(plan.refused)} could not be processed"),
    )
    console.line(f"{count} takes: {', '.join(text for there, text in said if there)}")


def _as_json(plan: ResegmentPlan, tally: _Tally) -> dict[str, object]:
    """Return what a dry run found: every take once, in order of its folder."""
    takes: dict[Path, dict[str, object]] = {}
    for planned in plan.up_to_date:
        takes[planned.folder] = {"state": "up_to_date", "dataset": str(planned.dataset)}
    for folder in (*plan.nothing, *plan.unbegun):
        takes[folder] = {"state": "nothing"}
    for folder, problems in plan.refused.items():
        takes[folder] = {"state": "failed", "problems": list(problems)}
    for result in tally.compared:
        if result.change is None:
            takes[result.job.folder] = {"state": "failed", "problems": list(result.problems)}
        else:
            state = {"state": "new" if result.change.is_new else "changed", "dataset": str(result.job.dataset)}
            takes[result.job.folder] = {**state, **result.change.plain()}
    return {"takes": [{"folder": str(folder), **takes[folder]} for folder in sorted(takes)]}
