"""What is said of a subject goes into the sheet, and the dataset follows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capture.console import Console
from capture.output_folder import subject_problems
from capture.take_history import read_history
from lab.errors import LayoutError, RequestError
from lab.subject import SubjectSheet
from lab.take import subject_problem
from storage.flex import write_subject
from storage.subject_sheets import read_sheet, sheet_path, write_sheet
from storage.toml_file import validation_sentences


def write_and_show(out: Path, subject: str, said: dict[str, Any]) -> int:
    """Write what is not None into a subject's sheet and show it; return the exit code. Raises RequestError."""
    impossible = subject_problem(subject)
    if impossible:
        raise RequestError(impossible)
    problems = subject_problems(out / "raw", subject)
    if problems:
        raise RequestError(*problems)
    before = read_sheet(out, subject)
    new = {name: value.date() if isinstance(value, datetime) else value for name, value in said.items()}
    new = {name: value for name, value in new.items() if value is not None}
    console = Console()
    if not new:
        if before is None:
            raise RequestError(f"{subject} has no sheet yet; write one with --skill and what else is known")
        _show(out, subject, before, console)
        return 0
    try:
        sheet = SubjectSheet.model_validate(({} if before is None else before.model_dump()) | new)
    except ValidationError as error:
        raise RequestError(*validation_sentences(sheet_path(out, subject), error)) from None
    write_sheet(out, subject, sheet)
    _show(out, subject, sheet, console)
    _say_differing_takes(out, subject, sheet, console)
    return _into_dataset(out / "dataset", subject, sheet, console)


def _show(out: Path, subject: str, sheet: SubjectSheet, console: Console) -> None:
    console.line(f"{sheet_path(out, subject)}:")
    for name, value in sheet.model_dump(mode="json", exclude_none=True).items():
        console.line(f"  {name}: {value}")


def _say_differing_takes(out: Path, subject: str, sheet: SubjectSheet, console: Console) -> None:
    takes, _ = read_history(out / "raw", subject)
    for take in takes:
        skill = take.standing.record.skill
        if skill not in {None, sheet.skill}:
            console.warning(
                f"{take.take_id} was recorded as {skill}; if that was wrong, type\n"
                f"  flex-capture amend {take.folder} --skill {sheet.skill}"
            )


def _into_dataset(dataset: Path, subject: str, sheet: SubjectSheet, console: Console) -> int:
    if not dataset.is_dir():
        return 0
    try:
        if write_subject(dataset, subject, sheet):
            console.line(f"{dataset}: subjects.parquet says so too")
    except LayoutError as error:
        console.problems(error)
        console.warning("the sheet is written; the dataset takes it in with the next take or `flex-capture rebuild`")
        return 3
    return 0
