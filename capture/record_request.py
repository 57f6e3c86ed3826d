"""What ``record`` was asked for, checked before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

from capture.output_folder import folder_problems
from capture.rig_file import BoundRig, load_rig
from capture.running_take import TakePlan
from lab.actions import ACTIONS, SKILLS, Action, Skill
from lab.errors import RequestError
from lab.subject import SubjectSheet
from lab.take import SESSION, subject_problem
from storage.subject_sheets import read_sheet, sheet_path

#: What is recorded where neither an action nor a list of them is asked for and nobody is there to be led.
PRACTICE_ACTION = "A16"


@dataclass(frozen=True)
class RecordRequest:
    """The options of ``record`` as they were typed; None where they were not."""

    subject: str
    action: str | None
    skill: str | None
    load_kg: float | None
    reps: int | None
    rig: Path | None
    out: Path
    session: str | None
    seed: int | None
    duration: float | None
    yes: bool
    truth: bool
    protocol: Path | None = None
    playlist: Path | None = None
    shuffle: int | None = None
    remote: str | None = None

    @property
    def raw(self) -> Path:
        """The folder of raw takes."""
        return self.out / "raw"

    @property
    def dataset(self) -> Path:
        """The dataset's folder."""
        return self.out / "dataset"


@dataclass(frozen=True)
class AskedSet:
    """One take to be recorded."""

    action: Action
    repetitions: int
    load_kg: float | None


@dataclass(frozen=True)
class CheckedRequest:
    """A request that can be carried out: session and skill are settled.

    ``action`` is the one that was asked for, None without; ``simulated`` are the rig's simulated devices.
    """

    request: RecordRequest
    session: str
    skill: Skill | None
    action: Action | None
    simulated: tuple[str, ...]

    def plan(self, asked: AskedSet) -> TakePlan:
        """Return the plan of a take. Raises RigError, for the rig is read anew each time."""
        return TakePlan(
            subject=self.request.subject,
            session=self.session,
            action=asked.action,
            skill=self.skill,
            load_kg=asked.load_kg,
            expected_repetitions=asked.repetitions,
            raw=self.request.raw,
            rig=_rig(self.request, self.skill, asked.action, asked.repetitions),
            duration_s=self.request.duration,
            truth=self.request.truth,
        )


def check_request(request: RecordRequest) -> CheckedRequest:
    """Check everything that can be known beforehand. Raises RequestError with a sentence for every mistake."""
    problems: list[str] = []
    impossible = subject_problem(request.subject)
    if impossible:
        problems.append(impossible)
    action = None if request.action is None else find_action(request.action)
    if request.action is not None and action is None:
        problems.append(unknown_action(request.action))
    if request.skill is not None and request.skill not in SKILLS:
        problems.append(f"there is no skill level '{request.skill}'; the levels are {', '.join(get_args(Skill))}")
    if request.session is not None and not SESSION.fullmatch(request.session):
        problems.append(f"session '{request.session}' is not possible; use letters, digits, - and _")
    sheet: SubjectSheet | None = None
    try:
        sheet = None if impossible else require_consent(request.out, request.subject)
    except RequestError as error:
        problems += error.problems
    of_sheet = None if sheet is None else sheet.skill
    skill = next((skill for skill in SKILLS if skill == request.skill), of_sheet)
    simulated: tuple[str, ...] = ()
    try:
        rig = _rig(request, skill, action, request.reps)
        simulated = tuple(device.entry.name for device in rig.devices if device.simulated)
    except RequestError as error:
        problems += error.problems
    problems += folder_problems(request.out, request.subject)
    if problems:
        raise RequestError(*problems)
    session = request.session or _session_of_today(request.raw / request.subject)
    return CheckedRequest(request, session, skill, action, simulated)


def require_consent(out: Path, subject: str) -> SubjectSheet | None:
    """Return the subject's sheet. Raises RequestError where it says that the subject may not be recorded today."""
    sheet = read_sheet(out, subject)
    refusal = None if sheet is None else sheet.refusal(date.today())  # noqa: DTZ011 - the lab's own day
    if refusal is not None:
        path = sheet_path(out, subject)
        raise RequestError(f"subject {subject} {refusal} ({path}); nothing is recorded without consent")
    return sheet


def find_action(text: str) -> Action | None:
    """Return the action of this id or name, in any case; None if there is none."""
    wanted = text.strip().lower()
    for action in ACTIONS.values():
        if wanted and wanted in {action.id.lower(), action.name}:
            return action
    return None


def unknown_action(text: str) -> str:
    """Return the sentence about an action that there is not."""
    known = ", ".join(known.title for known in ACTIONS.values() if known.name_confirmed)
    return f"there is no action '{text}'; the actions are A01 to A20 ({known})"


def _rig(request: RecordRequest, skill: Skill | None, action: Action | None, repetitions: int | None) -> BoundRig:
    """Read the rig; simulated devices perform what was asked for."""
    asked: dict[str, Any] = {
        "repetitions": repetitions,
        "seed": request.seed,
        "skill": skill,
        "action": None if action is None else action.id,
    }
    return load_rig(request.rig, {name: value for name, value in asked.items() if value is not None})


def _session_of_today(subject_folder: Path) -> str:
    """Return the subject's latest session of today, or a new one named by the time of day."""
    now = datetime.now().astimezone()
    folders = [entry for entry in subject_folder.iterdir() if entry.is_dir()] if subject_folder.is_dir() else []
    today = [folder.name for folder in folders if folder.name.startswith(f"{now:%Y%m%d}-")]
    return max(today, default=f"{now:%Y%m%d-%H%M}")
