"""How far a lab is: subjects by actions, from the raw takes, what was said of them, and what the dataset found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from capture.console import Console
from capture.dataset_rows import read_rows
from capture.recovery import recover_met
from capture.take_history import PastTake, by_action, read_history, that_counts
from capture.takes_below import raw_of
from lab.actions import ACTIONS
from lab.errors import LayoutError, RequestError
from storage.recording_lock import recording_under_way
from storage.subject_sheets import list_sheets
from storage.take_folder import is_being_written

State = Literal["done", "retaken", "marked", "bad", "missing"]

_STYLES: Final[dict[State, str]] = {
    "done": "green",
    "retaken": "cyan",
    "marked": "bold yellow",
    "bad": "bold red",
    "missing": "dim",
}
_LEGEND: Final[tuple[tuple[State, str, str], ...]] = (
    ("done", "1", "done"),
    ("retaken", "2", "done, with that many takes"),
    ("marked", "1!", "something was found, look at it"),
    ("bad", "x", "no usable take"),
    ("missing", ".", "missing"),
)


#: What a take that is not closed is, by whether its recorder lives.
_UNCLOSED: Final = {True: "it is being recorded", False: "it was never closed; recover it"}


@dataclass(frozen=True)
class ActionStatus:
    """How one subject stands with one action. ``take`` is the one that counts, ``found`` what is not in order."""

    action: str
    state: State
    takes: int
    take: PastTake | None
    repetitions: str
    found: tuple[str, ...]

    @property
    def cell(self) -> str:
        """What the matrix shows."""
        return {"missing": ".", "bad": "x", "marked": f"{self.takes}!"}.get(self.state, str(self.takes))


def show_status(out: Path, subject: str | None) -> int:
    """Show the matrix of all subjects, or the actions of one; return the exit code. Raises RequestError."""
    console = Console()
    recover_met([out / "raw"], console, wait_s=0.0)
    takes, problems = read_history(out / "raw")
    table, dataset_problems = _dataset_rows(out / "dataset")
    subjects = sorted({take.subject for take in takes} | set(list_sheets(out)))
    if subject is not None:
        if subject not in subjects:
            raise RequestError(f"nothing was recorded of {subject} in {out / 'raw'}, and there is no sheet of it")
        statuses = subject_status([take for take in takes if take.subject == subject], table)
        console.render(_subject_table(subject, statuses))
    elif subjects:
        rows = {name: subject_status([take for take in takes if take.subject == name], table) for name in subjects}
        console.render(_matrix(rows))
        console.render(_legend())
    else:
        console.line(f"nothing was recorded in {out / 'raw'} yet; begin with `flex-capture record --subject S01`")
    for problem in (*problems, *dataset_problems):
        console.warning(problem)
    return 1 if problems or dataset_problems else 0


def subject_status(takes: Sequence[PastTake], table: dict[str, dict[str, Any]] | None) -> list[ActionStatus]:
    """Return how one subject stands with each action; ``table`` are the dataset's takes by id, None without one."""
    groups = by_action(takes)
    return [_status(action, groups.get(action, []), table) for action in ACTIONS]


def _status(action: str, takes: list[PastTake], table: dict[str, dict[str, Any]] | None) -> ActionStatus:
    if not takes:
        return ActionStatus(action, "missing", 0, None, "", ())
    take = that_counts(takes)
    record, row = take.standing.record, (table or {}).get(take.take_id)
    repetitions = "" if row is None else f"{row['found']} of {row['expected'] or '?'}"
    found = list(record.faults)
    if record.state != "complete":
        found.append(_UNCLOSED[_is_recorded(take.folder)] if record.state == "recording" else f"it is {record.state}")
    if row is None:
        found.append("it is not in the dataset; resegment it")
    else:
        if row["expected"] is not None and row["found"] != row["expected"]:
            found.append(f"{row['found']} of {row['expected']} repetitions")
        if not row["in_sync"]:
            found.append("a stream is out of sync")
    if not take.usable:
        reasons = (take.standing.excluded_reason,) if take.standing.excluded_reason else ()
        return ActionStatus(action, "bad", len(takes), take, repetitions, (*reasons, *found))
    state: State = "marked" if found else "retaken" if len(takes) > 1 else "done"
    return ActionStatus(action, state, len(takes), take, repetitions, tuple(found))


def _is_recorded(folder: Path) -> bool:
    return is_being_written(folder) or recording_under_way(raw_of(folder))


def _dataset_rows(dataset: Path) -> tuple[dict[str, dict[str, Any]] | None, tuple[str, ...]]:
    if not dataset.is_dir():
        return None, ()
    try:
        return {row["take_id"]: row for row in read_rows(dataset).takes}, ()
    except LayoutError as error:
        return None, error.problems


def _matrix(rows: dict[str, list[ActionStatus]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("subject", no_wrap=True)
    for action in ACTIONS:
        table.add_column(action[1:], justify="right", no_wrap=True)
    table.add_column("done", justify="right", no_wrap=True)
    for subject, statuses in rows.items():
        done = sum(status.state in {"done", "retaken", "marked"} for status in statuses)
        cells = [Text(status.cell, style=_STYLES[status.state]) for status in statuses]
        table.add_row(Text(subject), *cells, f"{done}/{len(ACTIONS)}")
    return table


def _legend() -> Any:
    from rich.text import Text

    text = Text()
    for state, sample, meaning in _LEGEND:
        text.append(sample, style=_STYLES[state])
        text.append(f" {meaning}   ")
    return text


def _subject_table(subject: str, statuses: Sequence[ActionStatus]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=subject, title_style="bold", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("action", "state", "takes", "take that counts", "load kg", "repetitions", "what was found or said"):
        table.add_column(heading, overflow="fold")
    for status in statuses:
        take = status.take
        load_kg = None if take is None else take.standing.record.load_kg
        said = (*status.found, *(() if take is None else take.standing.notes))
        table.add_row(
            Text(ACTIONS[status.action].title),
            Text(status.state, style=_STYLES[status.state]),
            str(status.takes or ""),
            Text("" if take is None else f"{take.standing.record.session} {take.folder.name}"),
            "" if load_kg is None else f"{load_kg:g}",
            status.repetitions,
            Text("; ".join(said)),
        )
    return table
