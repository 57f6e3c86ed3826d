"""What was recorded of whom so far, as the raw takes and what was said of them later tell it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.actions import ACTIONS
from lab.errors import FlexCaptureError, RequestError, TakeError
from lab.marks import Standing, set_right
from lab.take import SESSION, SUBJECT, TAKE, Candidate, current_take
from storage.marks_file import marks_path, read_marks
from storage.take_folder import list_takes, read_record, record_path


@dataclass(frozen=True)
class PastTake:
    """A raw take and what it counts as now."""

    folder: Path
    standing: Standing

    @property
    def take_id(self) -> str:
        """Id of the take."""
        return self.standing.record.id

    @property
    def subject(self) -> str:
        """The subject it counts for."""
        return self.standing.record.subject

    @property
    def action(self) -> str:
        """The action it counts for."""
        return self.standing.record.action

    @property
    def usable(self) -> bool:
        """Whether it was closed with something in it, and nobody said that it is not to be used."""
        record = self.standing.record
        empty = record.state == "failed" and not any(stream.samples for stream in record.streams)
        return self.standing.excluded_reason is None and record.state != "recording" and not empty

    @property
    def whole(self) -> bool:
        """Whether it is usable and was not cut off."""
        return self.usable and self.standing.record.state != "recovered"

    @property
    def candidate(self) -> Candidate:
        """What decides whether it is the one that counts."""
        record = self.standing.record
        return Candidate(
            take_id=record.id,
            usable=self.standing.excluded_reason is None,
            complete=record.state == "complete",
            started_utc=record.started.utc,
        )


def past_take(folder: Path) -> tuple[PastTake, list[str]]:
    """Read what one take counts as, and what of its marks is not understood. Raises TakeError."""
    record = read_record(folder)
    if not TAKE.fullmatch(record.take) or record.action not in ACTIONS:
        raise TakeError(f"{folder}: take.json says take '{record.take}' of action '{record.action}', which cannot be")
    marks, notes = read_marks(folder)
    return PastTake(folder, set_right(record, marks)), [f"{folder}: {note}" for note in notes]


def read_history(raw: Path, subject: str | None = None) -> tuple[list[PastTake], list[str]]:
    """Read all takes of ``raw``, of one subject if named; and a sentence for each that cannot be read.

    Takes lie under the subject they were recorded as and are found under the one they count for; those of others
    without marks are not opened, for a lab has hundreds.
    """
    takes: list[PastTake] = []
    problems: list[str] = []
    for folder in list_takes(raw) if raw.is_dir() else []:
        elsewhere = subject is not None and folder.parent.parent.name != subject
        if elsewhere and not marks_path(folder).exists():
            continue
        try:
            take, notes = past_take(folder)
            takes.append(take)
            problems += notes
        except FlexCaptureError as error:
            problems += error.problems
    return [take for take in takes if subject in {None, take.subject}], problems


def that_counts(takes: Sequence[PastTake]) -> PastTake:
    """Return, of several takes of one subject and action, the one that counts; of several sessions the last one's."""
    last = max(takes, key=lambda take: (take.usable, take.standing.record.started.utc or ""))
    last_session = last.standing.record.session
    of_session = {take.take_id: take for take in takes if take.standing.record.session == last_session}
    return of_session[current_take(take.candidate for take in of_session.values())]


def by_action(takes: Iterable[PastTake]) -> dict[str, list[PastTake]]:
    """Return takes by the action they count for, in the order they were given."""
    groups: dict[str, list[PastTake]] = {}
    for take in takes:
        groups.setdefault(take.action, []).append(take)
    return groups


def find_take(named: str, raw: Path) -> Path:
    """Return the folder of a take that was named by its path or by its id in the dataset.

    Raises RequestError where there is none.
    """
    path = Path(named)
    if record_path(path).exists():
        return path
    subject, _, rest = named.partition("_")
    session, _, take = rest.rpartition("_")
    if os.sep not in named and SUBJECT.fullmatch(subject) and SESSION.fullmatch(session) and TAKE.fullmatch(take):
        folder = raw / subject / session / take
        if record_path(folder).exists():
            return folder
        raise RequestError(f"there is no take '{named}' in {raw}; `flex-capture status` lists what there is")
    raise RequestError(f"{named} is no raw take; give its folder, or its id such as S12_20261122-0930_A16-01")
