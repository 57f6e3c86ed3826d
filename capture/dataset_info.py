"""What a dataset holds: subjects by actions, what is missing, hours, flags."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from capture.console import Console
from capture.dataset_rows import DatasetRows, read_rows
from lab.actions import ACTIONS
from storage.flex.folder import must_be_begun

Flag = Literal["excluded", "fewer", "more", "out of sync", "marked", "simulated"]

#: The flag that a cell shows, the first that holds, with its sign and style.
_SIGNS: Final[tuple[tuple[Flag, str, str], ...]] = (
    ("excluded", "x", "bold red"),
    ("marked", "!", "bold yellow"),
    ("out of sync", "~", "bold yellow"),
    ("fewer", "-", "yellow"),
    ("more", "+", "yellow"),
)
_LEGEND: Final = (
    ("10", " repetitions to be used"),
    ("9-", " fewer than expected"),
    ("11+", " more"),
    ("10~", " out of sync"),
    ("10!", " something failed"),
    ("0x", " some or all excluded"),
    (".", " no take"),
)
_SUBJECT_COLUMNS: Final = 12
_LARGEST_CELL: Final = 99
#: A list is cut after so many lines; --json has all of it.
_MOST_LINES: Final = 20


@dataclass(frozen=True)
class Cell:
    """What there is of one subject and action. ``takes`` are the current ones, ``retaken`` how many they replaced.

    ``found`` and ``expected`` (None where no count was asked for) are of the current takes, ``used`` those repetitions
    that are not excluded.
    """

    subject: str
    action: str
    takes: tuple[str, ...]
    retaken: int
    found: int
    expected: int | None
    used: int
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class ShortTake:
    """A current take in which another number of repetitions was found than asked for."""

    take_id: str
    found: int
    expected: int


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset holds. ``missing`` are subjects without an action that somebody else has."""

    dataset: str
    subjects: tuple[str, ...]
    actions: tuple[str, ...]
    takes: int
    retaken_takes: int
    excluded_takes: int
    out_of_sync_takes: int
    marked_takes: int
    simulated_takes: int
    repetitions: int
    expected_repetitions: int
    used_repetitions: int
    used_hours: float
    cells: tuple[Cell, ...]
    missing: tuple[tuple[str, str], ...]
    short: tuple[ShortTake, ...]


def show_info(dataset: Path, *, as_json: bool) -> int:
    """Show what a dataset holds; return the exit code. Raises LayoutError where it cannot be read."""
    must_be_begun(dataset)
    info = dataset_info(dataset, read_rows(dataset))
    console = Console()
    if as_json:
        console.line(json.dumps(asdict(info), indent=2, ensure_ascii=False))
        return 0
    if not info.takes:
        console.line(f"{dataset}: no takes yet")
        return 0
    for line in _matrix(info):
        console.render(line)
    console.render(_legend())
    console.line("")
    for text in _summary(info):
        console.line(text, wrap=True)
    for heading, lines in (("missing", _missing_lines(info)), ("other counts than expected", _short_lines(info))):
        if lines:
            console.line(f"{heading}:", "bold")
        for text in lines[:_MOST_LINES]:
            console.line(f"  {text}", wrap=True)
        if len(lines) > _MOST_LINES:
            console.line(f"  and {len(lines) - _MOST_LINES} more; --json has all")
    return 0


def dataset_info(dataset: Path, rows: DatasetRows) -> DatasetInfo:
    """Count what the tables of a dataset say."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows.takes:
        groups.setdefault((row["subject"], row["action"]), []).append(row)
    current = [row for row in rows.takes if row["current"]]
    used = [row for row in rows.repetitions if row["excluded_reason"] is None]
    used_of = Counter(row["take_id"] for row in used)
    subjects = tuple(sorted({row["subject"] for row in rows.takes}))
    actions = tuple(action for action in ACTIONS if any(action == its for _, its in groups))
    return DatasetInfo(
        dataset=str(dataset),
        subjects=subjects,
        actions=actions,
        takes=len(rows.takes),
        retaken_takes=len(rows.takes) - len(current),
        excluded_takes=sum(row.get("excluded_reason") is not None for row in current),
        out_of_sync_takes=sum(not row["in_sync"] for row in current),
        marked_takes=sum(bool(_failed(row)) for row in current),
        simulated_takes=sum(bool(row["simulated"]) for row in current),
        repetitions=sum(row["found"] for row in current),
        expected_repetitions=sum(row.get("expected") or 0 for row in current),
        used_repetitions=len(used),
        used_hours=math.fsum(row["end_s"] - row["start_s"] for row in used) / 3600,
        cells=tuple(_cell(subject, action, takes, used_of) for (subject, action), takes in sorted(groups.items())),
        missing=tuple((s, action) for s in subjects for action in actions if (s, action) not in groups),
        short=tuple(
            ShortTake(row["take_id"], row["found"], row["expected"])
            for row in current
            if row.get("expected") is not None and row["found"] != row["expected"]
        ),
    )


def _failed(row: dict[str, Any]) -> bool:
    return bool(row.get("faults")) or row["state"] != "complete"


def _cell(subject: str, action: str, takes: Sequence[dict[str, Any]], used_of: Mapping[str, int]) -> Cell:
    current = [row for row in takes if row["current"]]
    used = sum(used_of.get(row["take_id"], 0) for row in current)
    asked = [row["expected"] for row in current if row.get("expected") is not None]
    said: dict[Flag, bool] = {
        "excluded": used < sum(row["found"] for row in current),
        "marked": any(_failed(row) for row in current),
        "out of sync": any(not row["in_sync"] for row in current),
        "fewer": any(row.get("expected") is not None and row["found"] < row["expected"] for row in current),
        "more": any(row.get("expected") is not None and row["found"] > row["expected"] for row in current),
        "simulated": any(row["simulated"] for row in current),
    }
    return Cell(
        subject=subject,
        action=action,
        takes=tuple(row["take_id"] for row in current),
        retaken=len(takes) - len(current),
        found=sum(row["found"] for row in current),
        expected=sum(asked) if asked else None,
        used=used,
        flags=tuple(flag for flag, holds in said.items() if holds),
    )


def _matrix(info: DatasetInfo) -> Iterable[Any]:
    """Yield the lines of the matrix, at most 80 columns wide: three for each action."""
    from rich.text import Text

    width = min(max(len("subject"), *(len(subject) for subject in info.subjects)), _SUBJECT_COLUMNS)
    heading = "".join(f"{action[1:]:>2} " for action in ACTIONS)
    yield Text(f"{'subject':<{width}} {heading} all", style="bold")
    cells = {(cell.subject, cell.action): cell for cell in info.cells}
    for subject in info.subjects:
        shown = subject if len(subject) <= width else f"{subject[: width - 1]}…"
        line = Text(f"{shown:<{width}} ")
        total = 0
        for action in ACTIONS:
            cell = cells.get((subject, action))
            if cell is None:
                line.append(" . ", style="dim")
                continue
            sign, style = next(((sign, style) for flag, sign, style in _SIGNS if flag in cell.flags), (" ", "green"))
            line.append(f"{min(cell.used, _LARGEST_CELL):>2}{sign}", style=style)
            total += cell.used
        line.append(f"{total:>4}")
        yield line


def _legend() -> Any:
    from rich.text import Text

    styles = {sign: style for _, sign, style in _SIGNS}
    text = Text()
    for sample, meaning in _LEGEND:
        text.append(sample, style=styles.get(sample[-1], "dim" if sample == "." else "green"))
        text.append(f"{meaning}   ")
    return text


def _summary(info: DatasetInfo) -> Iterable[str]:
    current = info.takes - info.retaken_takes
    expected = f" of {info.expected_repetitions:,} expected" if info.expected_repetitions else ""
    yield (
        f"{len(info.subjects)} subjects, {len(info.actions)} of {len(ACTIONS)} actions, {current:,} takes,"
        f" {info.repetitions:,} repetitions found{expected}; {info.used_repetitions:,} to be used,"
        f" {info.used_hours:.2f} hours of them"
    )
    flags = (
        (info.retaken_takes, "replaced by a retake"),
        (info.excluded_takes, "excluded"),
        (info.out_of_sync_takes, "out of sync"),
        (info.marked_takes, "marked, since something failed"),
        (info.simulated_takes, "simulated"),
    )
    said = [f"{count:,} {what}" for count, what in flags if count]
    if said:
        yield f"takes: {'; '.join(said)}"


def _missing_lines(info: DatasetInfo) -> list[str]:
    by_subject: dict[str, list[str]] = {}
    for subject, action in info.missing:
        by_subject.setdefault(subject, []).append(action)
    return [f"{subject}: {' '.join(actions)}" for subject, actions in by_subject.items()]


def _short_lines(info: DatasetInfo) -> list[str]:
    return [f"{take.take_id}: {take.found} of {take.expected}" for take in info.short]
