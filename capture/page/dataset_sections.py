"""A dataset's tables -> its page: what is there by subject and action, how long repetitions took, every take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from capture.dataset_rows import DatasetRows, reports_of
from capture.page.document import whole_page
from capture.page.markup import Markup, element
from capture.page.time_axis import number_text, round_numbers, round_up
from capture.page.utc import utc_text
from capture.verdict import stream_marks
from lab.actions import ACTIONS
from lab.errors import LayoutError
from storage.flex.entries import Row

#: More takes than this are counted, not listed.
_MOST_TAKES: Final = 3000
_MOST_DOTS: Final = 4000
_STRIP = (1000.0, 190.0, 22.0)  # width, left, height of a row
#: Beyond so many interquartile ranges from the quartiles a duration is odd (Tukey's outer fences).
_ODD: Final = 3.0


def dataset_page(dataset: Path, rows: DatasetRows) -> bytes:
    """Return the overview of a dataset. Raises LayoutError where its tables lack what it needs."""
    try:
        takes = list(rows.takes)
        flags = {str(take["take_id"]): _flags(take, rows) for take in takes}
        sections = (
            _heading(dataset, rows, flags),
            _section("Subjects and actions", *_matrix(takes, flags)),
            _section("Durations of repetitions", *_durations(takes, rows)),
            _section("Takes", *_takes(takes, rows, flags), long=True),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LayoutError(f"{dataset}: its tables cannot be used ({error}); run `flex-capture rebuild`.") from error
    return whole_page(f"{dataset.resolve().name} · flex-capture", *sections)


def _section(title: str, *content: object, long: bool = False) -> Markup:
    return element("section", element("h2", title), *content, class_="long" if long else None)


def _flags(take: Row, rows: DatasetRows) -> tuple[str, ...]:
    """Say in few words each what is not in order with a take."""
    flags = []
    if take.get("excluded_reason"):
        flags.append(f"excluded: {take['excluded_reason']}")
    if take["state"] != "complete":
        flags.append(str(take["state"]))
    if take["expected"] is not None and take["found"] != take["expected"]:
        flags.append(f"{take['found']} of {take['expected']} repetitions")
    if not take["in_sync"]:
        flags.append("out of sync")
    reports = reports_of(rows.entries[str(take["take_id"])])
    if any(report.lost or report.lost_ambiguous for report in reports):
        flags.append(f"{sum(report.lost for report in reports)} samples lost")
    said = set(stream_marks(reports))
    faults = sum(fault not in said for fault in take["faults"] or ())
    if faults:
        flags.append(f"{faults} fault{'s' if faults > 1 else ''}")
    return tuple(flags)


def _heading(dataset: Path, rows: DatasetRows, flags: dict[str, tuple[str, ...]]) -> Markup:
    takes = rows.takes
    current = [take for take in takes if take["current"]]
    usable = [take for take in current if not take.get("excluded_reason")]
    repetitions = sum(int(take["found"]) for take in usable)
    flagged = sum(bool(flags[str(take["take_id"])]) for take in usable)
    simulated = sum(bool(take["simulated"]) for take in usable)
    subjects = len({take["subject"] for take in usable})
    actions = len({take["action"] for take in usable})
    line = (
        f"{_count(repetitions, 'repetition')} · {_count(len(usable), 'take')} · {_count(subjects, 'subject')}"
        f" · {actions} of {len(ACTIONS)} actions"
    )
    parts = [
        element("h1", f"Dataset {Path(*dataset.resolve().parts[-2:])}"),
        element("p", "what counts: the current takes that are not excluded", class_="quiet"),
    ]
    if simulated:
        said = f"SIMULATED DEVICES in {simulated} of {len(usable)} takes: no person, no sensor"
        parts.append(element("p", said, class_="badge"))
    parts.append(element("p", line, class_="verdict"))
    findings = []
    if flagged:
        findings.append(f"{flagged} of {len(usable)} takes that count are flagged; the table of takes says why")
    if len(takes) - len(usable):
        findings.append(f"not counted, for they are retaken or excluded: {_count(len(takes) - len(usable), 'take')}")
    if findings:
        items = [element("li", finding) for finding in findings]
        parts.append(element("ul", *items, class_="marks" if flagged else "remarks"))
    return element("header", *parts)


def _matrix(takes: Sequence[Row], flags: dict[str, tuple[str, ...]]) -> list[Markup]:
    """Return the table of subjects by actions: repetitions that count, marked where a take of them is flagged."""
    if not takes:
        return [element("p", "There are no takes.", class_="quiet")]
    counted: dict[tuple[str, str], list[Row]] = {}
    for take in takes:
        if take["current"] and not take.get("excluded_reason"):
            counted.setdefault((str(take["subject"]), str(take["action"])), []).append(take)
    subjects = sorted({str(take["subject"]) for take in takes})
    actions = sorted({str(take["action"]) for take in takes})
    head = [element("th", "subject", class_="left", scope="col")]
    for action in actions:
        name = ACTIONS[action].name if action in ACTIONS else action
        head.append(element("th", action, title=name, class_="left", scope="col", style="text-align:center"))
    head.append(element("th", "all", scope="col"))
    body = []
    for subject in subjects:
        cells = [element("th", subject, class_="left", scope="row")]
        cells += [_cell(counted.get((subject, action), []), flags) for action in actions]
        total = sum(int(take["found"]) for action in actions for take in counted.get((subject, action), []))
        body.append(element("tr", *cells, element("td", total)))
    totals = [
        sum(int(take["found"]) for subject in subjects for take in counted.get((subject, action), []))
        for action in actions
    ]
    foot = element(
        "tr",
        element("th", "all", class_="left", scope="row"),
        *(element("td", total, class_="cell") for total in totals),
        element("td", sum(totals)),
    )
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body), element("tfoot", foot))
    named = ", ".join(f"{action} {ACTIONS[action].name}" for action in actions if action in ACTIONS)
    legend = f"Number of repetitions that count; ! : a take of them is flagged; \u2013 : nothing. {named}."
    return [element("div", table, class_="scroll"), element("p", legend, class_="note")]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _cell(takes: Sequence[Row], flags: dict[str, tuple[str, ...]]) -> Markup:
    if not takes:
        return element("td", "\u2013", class_="cell none")
    said = [
        f"{take['take_id']}: {', '.join(flags[str(take['take_id'])])}" for take in takes if flags[str(take["take_id"])]
    ]
    count = sum(int(take["found"]) for take in takes)
    return element(
        "td", f"{count}{' !' if said else ''}", class_="cell bad" if said else "cell", title="\n".join(said) or None
    )


def _durations(takes: Sequence[Row], rows: DatasetRows) -> list[Markup]:
    """Return a strip of dots per action, a dot a repetition that counts; odd ones are named."""
    by_action: dict[str, list[tuple[float, str]]] = {}
    for take in takes:
        if take["current"] and not take.get("excluded_reason"):
            for row in rows.entries[str(take["take_id"])].repetitions:
                seconds = float(row["end_s"]) - float(row["start_s"])
                if math.isfinite(seconds):
                    by_action.setdefault(str(take["action"]), []).append((seconds, str(row["repetition_id"])))
    if not by_action:
        return [element("p", "There are no repetitions.", class_="quiet")]
    width, left, height = _STRIP
    longest_s = max(seconds for dots in by_action.values() for seconds, _ in dots) * 1.02
    bottom = len(by_action) * height + 8
    parts = [element("title", "duration of each repetition, by action")]
    step = round_up(longest_s / 10)
    for number in round_numbers(0, longest_s, 10):
        x = f"{left + number / longest_s * (width - left - 20):.1f}"
        parts.append(element("line", class_="grid", x1=x, x2=x, y1=0, y2=f"{bottom:g}"))
        parts.append(element("text", number_text(number, step), class_="tick", x=x, y=f"{bottom + 13:g}"))
    parts.append(element("text", "seconds", class_="panel unit", x=0, y=f"{bottom + 13:g}"))
    odd: list[str] = []
    for index, (action, dots) in enumerate(sorted(by_action.items())):
        y = index * height + height / 2 + 4
        name = ACTIONS[action].title if action in ACTIONS else action
        parts.append(element("text", name, class_="channel", x=left - 10, y=f"{y + 3.5:g}"))
        low, high = np.percentile([seconds for seconds, _ in dots], (25, 75))
        margin = _ODD * max(high - low, 0.05 * high)
        for seconds, repetition in dots[:_MOST_DOTS]:
            is_odd = not low - margin <= seconds <= high + margin
            if is_odd:
                odd.append(f"{repetition} took {seconds:.1f} s")
            about = element("title", f"{repetition}: {seconds:.2f} s")
            place = left + seconds / longest_s * (width - left - 20)
            style = "dot odd" if is_odd else "dot"
            parts.append(element("circle", about, class_=style, cx=f"{place:.1f}", cy=f"{y:g}", r=5 if is_odd else 3))
    drawing = element("svg", *parts, role="img", viewBox=f"0 0 {width:g} {bottom + 20:g}", style=f"width:{width:g}px")
    said = element("ul", *(element("li", text) for text in odd[:20]), class_="remarks") if odd else Markup()
    legend = "A dot is a repetition; a large one is far from the others of its action and worth a look."
    return [element("div", drawing, class_="scroll"), said, element("p", legend, class_="note")]


_HEAD: Final = (
    ("take", "left"), ("started", "left"), ("skill", "left"), ("load kg", ""), ("repetitions", ""),
    ("least sure", ""), ("error p99 ms", ""), ("lost", ""), ("modalities", "left soft"), ("flags", "left"),
)  # fmt: skip


def _takes(takes: Sequence[Row], rows: DatasetRows, flags: dict[str, tuple[str, ...]]) -> list[Markup]:
    head = [element("th", name, class_=style or None, scope="col") for name, style in _HEAD]
    body = [_take_row(take, rows, flags[str(take["take_id"])]) for take in takes[:_MOST_TAKES]]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *body))
    more = len(takes) - _MOST_TAKES
    said = f" {more} more takes are not listed; takes.parquet has them." if more > 0 else ""
    example = str(takes[0]["take_id"]) if takes else "ID"
    command = element("code", f"flex-capture show DATASET --take {example}")
    legend = element("p", "Least sure: the lowest confidence of its repetitions. A take's page: ", command, f".{said}")
    return [element("div", table, class_="scroll"), element("div", legend, class_="note")]


def _take_row(take: Row, rows: DatasetRows, flags: tuple[str, ...]) -> Markup:
    entry = rows.entries[str(take["take_id"])]
    reports = reports_of(entry)
    worst_ms = max((report.uncertainty_p99_ms for report in reports), default=math.nan)
    confidence = min((float(row["confidence"]) for row in entry.repetitions), default=math.nan)
    said = flags if take["current"] else ("retaken", *flags)
    load = take.get("load_kg")
    values: tuple[Any, ...] = (
        take["take_id"],
        utc_text(take["started_utc"] or ""),
        take.get("skill") or "",
        "" if load is None else f"{load:g}",
        take["found"] if take["expected"] is None else f"{take['found']} of {take['expected']}",
        "" if math.isnan(confidence) else f"{confidence:.2f}",
        "" if math.isnan(worst_ms) else f"{worst_ms:.3g}",
        sum(report.lost for report in reports),
        _modalities(take),
        "; ".join(said),
    )
    cells = []
    for (name, style), value in zip(_HEAD, values, strict=True):
        classes = " ".join(word for word in (style, "bad wrap" if name == "flags" and flags else "") if word)
        cells.append(element("td", value, class_=classes or None))
    return element("tr", *cells, class_=None if take["current"] else "quiet")


def _modalities(take: Row) -> str:
    """Return what was recorded, the views as a count."""
    names = [str(name) for name in take["modalities"] or ()]
    views = [name for name in names if name.startswith("view")]
    rest = [
        {"emg": "sEMG", "heart_rate": "heart", "breath_rate": "breath"}.get(name, name)
        for name in names
        if name not in views
    ]
    return ", ".join([*rest, *([f"{len(views)} views"] if len(views) > 1 else views)])
