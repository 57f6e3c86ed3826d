"""Something said of a take later: a mark beside the raw take, and the dataset follows."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from capture.console import Console
from capture.output_folder import subject_problems
from capture.process_take import ProcessedTake, out_of, process_take
from capture.record_request import find_action, unknown_action
from capture.recovery import recover_met
from capture.resegment_plan import dataset_beside
from capture.take_history import find_take
from capture.verdict import say_verdict
from lab.errors import FlexCaptureError, RequestError, TakeError
from lab.marks import FACTS, Mark
from storage.marks_file import append_mark, marks_path
from storage.take_folder import read_record

_LONGEST_NAME: Final = 100
_CLEARABLE: Final = {"load-kg": "load_kg", "skill": "skill", "reps": "expected_repetitions"}


def amend_take(
    named: str,
    *,
    out: Path,
    dataset: Path | None,
    action: str | None,
    reps: int | None,
    clear: Sequence[str],
    note: str | None,
    bad: str | None,
    good: bool,
    **facts: Any,
) -> int:
    """Do what ``amend`` was asked for and return the exit code. Raises RequestError before anything is marked."""
    take = find_take(named, out / "raw")
    target = dataset or dataset_beside(take)
    if bad is not None and good:
        raise RequestError("a take is either --bad or --good")
    if action is not None:
        known = find_action(action)
        if known is None:
            raise RequestError(unknown_action(action))
        facts["action"] = known.id
    subject = facts.get("subject")
    if subject is not None:
        home = out_of(take)
        problems = [] if home is None else subject_problems(home / "raw", subject)
        if problems:
            raise RequestError(*problems)
    facts = {name: value for name, value in (facts | {"expected_repetitions": reps}).items() if value is not None}
    cleared = [_CLEARABLE[name] for name in dict.fromkeys(clear)]
    both = [name for name in cleared if name in facts]
    if both:
        raise RequestError(f"{FACTS[both[0]]} is either given or cleared")
    marks = [new_mark("amend", clear=cleared, **facts)] if facts or cleared else []
    marks += [new_mark(kind, text) for kind, text in (("bad", bad), ("note", note or None)) if text is not None]
    marks += [new_mark("good")] if good else []
    if not marks:
        raise RequestError(
            "nothing was said of the take; give --subject, --action, --load-kg, --note or another option"
        )
    console = Console()
    recover_met([take], console)
    processed = mark_and_follow(take, marks, target, console)
    console.line(f"{take}:")
    return 0 if say_verdict(processed, target, console, report=False, indent="  ") else 1


def new_mark(kind: str, text: str = "", **said: Any) -> Mark:
    """Return a mark of now by the user of this computer. Raises RequestError for what is not possible."""
    try:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return Mark.model_validate({"utc": now, "who": _who(), "kind": kind, "text": _clean(text)} | said)
    except ValidationError as error:
        problems = [str(details["msg"]).removeprefix("Value error, ") for details in error.errors()]
        raise RequestError(*problems) from None


def mark_take(take: Path, marks: list[Mark]) -> None:
    """Append marks to a take. Raises RequestError, and nothing is marked, where it was not closed; TakeError."""
    if read_record(take).state == "recording":
        raise RequestError(f"{take} was not closed; run `flex-capture recover {take}`, then mark it")
    for mark in marks:
        append_mark(take, mark)


def mark_and_follow(take: Path, marks: list[Mark], dataset: Path, console: Console) -> ProcessedTake:
    """Append marks to a take and write it into the dataset as it counts then. Raises as ``mark_take``, or TakeError."""
    mark_take(take, marks)
    try:
        return let_dataset_follow(take, dataset, console, verify=True)
    except FlexCaptureError as error:
        sentence = f"what was said is kept in {marks_path(take)}; later type `flex-capture resegment {take}`"
        raise TakeError(*error.problems, sentence) from None


def let_dataset_follow(take: Path, dataset: Path, console: Console, *, verify: bool) -> ProcessedTake:
    """Write a marked take into the dataset as it counts now. Raises TakeError or LayoutError; the marks are kept."""
    with console.progress() as progress:
        return process_take(take, dataset, progress, verify=verify)


def _who() -> str:
    try:
        return _clean(getpass.getuser())[:_LONGEST_NAME]
    except Exception:  # noqa: BLE001 - a computer without user names: then nobody's name is written
        return ""


def _clean(text: str) -> str:
    """Return what was typed in a form that every file can hold: no lone surrogates, no control characters."""
    whole = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(letter if letter.isprintable() else " " for letter in whole).strip()
