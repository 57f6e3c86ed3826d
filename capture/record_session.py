"""What ``record`` does: check what was asked, record a take, make the dataset from it, say how it went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from capture.console import Console
from capture.interruption import Interruption
from capture.output_folder import folder_problems
from capture.process_take import process_take
from capture.rig_file import BoundRig, load_rig
from capture.running_take import FinishedTake, TakePlan
from capture.take_run import record_take
from capture.verdict import judge
from lab.actions import ACTIONS, SKILLS, Action, Skill
from lab.errors import FlexCaptureError, RequestError
from lab.take import SESSION, SUBJECT
from storage.take_folder import next_take_name, read_record
from sync.report import report_table

_COUNTDOWN_S = 3


@dataclass(frozen=True)
class RecordRequest:
    """The options of ``record`` as they were typed."""

    subject: str
    action: str
    skill: str | None
    load_kg: float | None
    reps: int
    rig: Path | None
    out: Path
    session: str | None
    seed: int | None
    duration: float | None
    yes: bool
    truth: bool


def record_one_take(request: RecordRequest) -> int:
    """Record a take and return the exit code. Raises FlexCaptureError before anything was recorded."""
    console = Console()
    plan = _plan(request)
    simulated = [device.entry.name for device in plan.rig.devices if device.simulated]
    if simulated:
        console.simulated(simulated)
    _notice_unfinished(plan.raw, plan.subject, console)
    if not _retake_is_meant(plan, console, ask=console.interactive and not request.yes):
        console.line("nothing was recorded")
        return 0
    interruption = Interruption()
    with interruption.installed():
        try:
            countdown_s = _COUNTDOWN_S if console.interactive and not request.yes else 0
            finished = record_take(plan, console, interruption, countdown_s=countdown_s)
        except KeyboardInterrupt:
            console.warning("interrupted before the take began; nothing was recorded")
            return 130
        return _into_dataset(finished, request.out / "dataset", console, interruption)


def _into_dataset(finished: FinishedTake, dataset: Path, console: Console, interruption: Interruption) -> int:
    again = f"flex-capture resegment {finished.folder}"
    for failure in finished.failures:
        console.error(failure)  # at once, not only with the verdict
    try:
        interruption.resume()
        with console.progress() as progress:
            processed = process_take(finished.folder, dataset, progress, verify=False)
    except KeyboardInterrupt:
        console.warning(f"interrupted; the raw take is safe in {finished.folder}; later type\n  {again}")
        return 130
    except FlexCaptureError as error:
        for problem in error.problems:
            console.error(problem)
        console.warning(f"the raw take is safe in {finished.folder}; when that is set right, type\n  {again}")
        return 3
    except Exception:
        console.warning(
            f"the raw take is safe in {finished.folder}; the dataset was not written; later type\n  {again}"
        )
        raise
    verdict = judge(processed, dataset)
    console.line(report_table(processed.aligned.reports))
    console.line(verdict.line, style="bold green" if not verdict.marks and not finished.failures else "bold yellow")
    for mark in (*verdict.marks, *verdict.remarks):
        console.warning(f"  {mark}")
    console.line(f"raw take: {finished.folder}")
    console.line(f"next: flex-capture validate {dataset}   or record the next take")
    if finished.failures:
        return 3
    return 1 if verdict.marks else 0


def _plan(request: RecordRequest) -> TakePlan:
    """Check everything that can be known beforehand; all mistakes at once."""
    problems: list[str] = []
    if not SUBJECT.fullmatch(request.subject):
        problems.append(f"subject '{request.subject}' is not possible; use 1 to 32 letters and digits, such as S12")
    action = find_action(request.action)
    if action is None:
        known = ", ".join(known.title for known in ACTIONS.values() if known.name_confirmed)
        problems.append(f"there is no action '{request.action}'; the actions are A01 to A20 ({known})")
    if request.skill is not None and request.skill not in SKILLS:
        problems.append(f"there is no skill level '{request.skill}'; the levels are {', '.join(get_args(Skill))}")
    if request.session is not None and not SESSION.fullmatch(request.session):
        problems.append(f"session '{request.session}' is not possible; use letters, digits, - and _")
    rig: BoundRig | None = None
    try:
        rig = _rig(request, action)
    except RequestError as error:
        problems += error.problems
    raw = request.out / "raw"
    problems += folder_problems(request.out, request.subject)
    if problems or action is None or rig is None:
        raise RequestError(*problems)
    return TakePlan(
        subject=request.subject,
        session=request.session or _session_of_today(raw / request.subject),
        action=action,
        skill=_skill(request.skill),
        load_kg=request.load_kg,
        expected_repetitions=request.reps,
        raw=raw,
        rig=rig,
        duration_s=request.duration,
        truth=request.truth,
    )


def _rig(request: RecordRequest, action: Action | None) -> BoundRig:
    """Read the rig; simulated devices perform what was asked for."""
    overrides: dict[str, Any] = {"repetitions": request.reps}
    if request.seed is not None:
        overrides["seed"] = request.seed
    if request.skill in SKILLS:
        overrides["skill"] = request.skill
    if action is not None:
        overrides["action"] = action.id
    return load_rig(request.rig, overrides)


def find_action(text: str) -> Action | None:
    """Return the action of this id or public name, in any case; None if there is none."""
    wanted = text.strip().lower()
    for action in ACTIONS.values():
        if wanted and wanted in {action.id.lower(), action.name}:
            return action
    return None


def _skill(text: str | None) -> Skill | None:
    return next((skill for skill in SKILLS if skill == text), None)


def _session_of_today(subject_folder: Path) -> str:
    """Return the subject's latest session of today, or a new one named by the time of day."""
    now = datetime.now().astimezone()
    today = [folder.name for folder in _folders(subject_folder) if folder.name.startswith(f"{now:%Y%m%d}-")]
    return max(today, default=f"{now:%Y%m%d-%H%M}")


def _folders(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []


def _notice_unfinished(raw: Path, subject: str, console: Console) -> None:
    """Tell of takes of this subject that were cut off: their bytes are kept, nothing touches them."""
    for session in _folders(raw / subject):
        for take in _folders(session):
            try:
                unfinished = read_record(take).state == "recording"
            except FlexCaptureError:
                continue
            if unfinished:
                console.warning(f"{take} was cut off, its files are kept; type\n  flex-capture recover {take}")


def _retake_is_meant(plan: TakePlan, console: Console, *, ask: bool) -> bool:
    name = next_take_name(plan.raw / plan.subject / plan.session, plan.action.id)
    if name.endswith("-01"):
        return True
    sentence = f"{plan.subject} already has {plan.action.title} in session {plan.session}; this is retake {name}"
    if not ask:
        console.line(sentence)
        return True
    return console.ask(f"{sentence}. Go on?")
