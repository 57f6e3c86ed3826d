"""What is said of a take after it was recorded, and what the take counts as then. Nothing raw changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lab.actions import ACTIONS, Skill
from lab.take import TakeRecord, subject_problem

MarkKind = Literal["amend", "bad", "good", "retake", "note", "repetition"]
RepetitionAct = Literal["set", "insert", "delete", "exclude", "include", "undo", "discard"]
Second = Annotated[float, Field(ge=-1e11, le=1e11, allow_inf_nan=False)]
Clearable = Literal["skill", "load_kg", "expected_repetitions"]

#: The facts of a take that can be set right, and what an operator calls them.
FACTS: Final = {
    "subject": "subject",
    "action": "action",
    "skill": "skill level",
    "load_kg": "load in kg",
    "expected_repetitions": "repetitions asked for",
}


class Mark(BaseModel):
    """One line of ``marks.jsonl``: who said what of a take, and when (UTC, ISO 8601).

    ``amend`` sets facts right, ``clear`` names those that are not known after all. ``bad`` excludes the take from use,
    ``retake`` does so because it is to be done again, and ``good`` takes either back. ``text`` is the reason or a note.
    ``repetition`` corrects one repetition, see ``lab.corrections``: its ``act`` says how, ``was_s`` which one, by the
    start, turn and end that the person saw.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    utc: str = Field(max_length=40, description="When it was said, in UTC, ISO 8601.")
    who: str = Field(max_length=100, description="Who said it: the user of the computer.")
    kind: MarkKind = Field(description="What kind of thing is said.")
    text: str = Field("", max_length=2000, description="The reason, or a note.")
    subject: str | None = Field(None, description="The subject it was.")
    action: str | None = Field(None, description="The action it was, A01 to A20.")
    skill: Skill | None = Field(None, description="The skill level it was.")
    load_kg: float | None = Field(None, ge=0, le=500, allow_inf_nan=False, description="The load it was, in kg.")
    expected_repetitions: int | None = Field(None, ge=1, le=200, description="The repetitions that were asked for.")
    clear: tuple[Clearable, ...] = Field((), description="Facts that are not known after all.")
    act: RepetitionAct | None = Field(None, description="What is said of a repetition; undo and discard take back.")
    was_s: tuple[Second, Second, Second] | None = Field(
        None, description="Start, turn and end of the repetition that is spoken of, in session time, as it was seen."
    )
    start_s: Second | None = Field(None, description="Where it starts, in session time.")
    turn_s: Second | None = Field(None, description="Where it turns, in session time.")
    end_s: Second | None = Field(None, description="Where it ends, in session time.")

    @model_validator(mode="after")
    def _possible(self) -> Mark:
        problem = None if self.subject is None else subject_problem(self.subject)
        if problem:
            raise ValueError(problem)
        if self.action is not None and self.action not in ACTIONS:
            raise ValueError(f"there is no action '{self.action}'; the actions are A01 to A20")
        if (self.facts or self.clear) and self.kind != "amend":
            raise ValueError(f"a mark of kind {self.kind} sets nothing right")
        self._repetition_is_possible()
        return self

    def _repetition_is_possible(self) -> None:
        bounds_s = (self.start_s, self.turn_s, self.end_s)
        if (self.kind == "repetition") != (self.act is not None):
            raise ValueError("a mark of a repetition says what is to be done, and no other does")
        if self.act not in {"set", "insert"} and bounds_s != (None, None, None):
            raise ValueError(f"a mark of kind {self.act or self.kind} sets no bounds")
        if self.act in {"set", "delete", "exclude", "include"} and self.was_s is None:
            raise ValueError("a mark of a repetition says which one it was")
        if self.act == "set" and bounds_s == (None, None, None):
            raise ValueError("give a start, a turn or an end")
        if self.act == "insert" and None in bounds_s:
            raise ValueError("a repetition that is put in needs a start, a turn and an end")
        was_s = self.was_s or (None, None, None)
        corrected_s = tuple(was if new is None else new for new, was in zip(bounds_s, was_s, strict=True))
        for whole in (was_s, corrected_s):
            known = [one for one in whole if one is not None]
            if any(one >= other for one, other in pairwise(known)):
                raise ValueError("a repetition starts before it turns, and turns before it ends")

    @property
    def facts(self) -> dict[str, str | float | int]:
        """The facts it sets right, by their names in ``take.json``."""
        return {name: value for name in FACTS if (value := getattr(self, name)) is not None}


class AmendedRecord(TakeRecord):
    """A take's record with the facts that were set right; the take keeps the id under which it was recorded.

    A new id would change the name under which others know the take, and could be the one of another take.
    """

    recorded_id: str

    @property
    def id(self) -> str:
        """Unique id of the take in a dataset: subject, session and take as they were recorded."""
        return self.recorded_id


@dataclass(frozen=True)
class Standing:
    """What a take counts as now. ``notes`` are sentences: what was set right, then what was noted, each in order."""

    record: TakeRecord
    excluded_reason: str | None
    notes: tuple[str, ...]


def set_right(record: TakeRecord, marks: Sequence[Mark]) -> Standing:
    """Apply marks, in the order they were made, to what a take's record says; the last word on a fact counts."""
    facts: dict[str, str | float | int | None] = {}
    excluded: str | None = None
    notes: list[str] = []
    for mark in marks:
        facts |= mark.facts | dict.fromkeys(mark.clear)
        if mark.kind in {"bad", "retake"}:
            word = "bad" if mark.kind == "bad" else "to be done again"
            excluded = f"{word}: {mark.text}" if mark.text else word
        elif mark.kind == "good":
            excluded = None
        if mark.text and mark.kind not in {"bad", "retake", "repetition"}:
            notes.append(mark.text)
    changed = {name: value for name, value in facts.items() if value != getattr(record, name)}
    if not changed:
        return Standing(record, excluded, tuple(notes))
    amended = AmendedRecord.model_validate(record.model_dump() | changed | {"recorded_id": record.id})
    said = [
        f"the {FACTS[name]} was set right from {_said(getattr(record, name))} to {_said(changed[name])}"
        for name in FACTS
        if name in changed
    ]
    return Standing(amended, excluded, (*said, *notes))


def _said(value: object) -> str:
    return "not given" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
