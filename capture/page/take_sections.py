"""What a page shows of a take -> its sections."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from capture.page.contact_sheet import contact_sheet, large_pictures
from capture.page.document import whole_page
from capture.page.markup import Markup, element
from capture.page.pictures import load_pictures
from capture.page.repetition_table import repetition_table
from capture.page.shown_take import ShownTake
from capture.page.take_panels import panels_of
from capture.page.timeline import axis_for, timeline
from lab.errors import RequestError
from sync.report import HEADINGS, report_cells

#: Repetitions whose pictures are on one page, so that it stays a few megabytes.
_MOST_PICTURED: Final = 24
_SMALL_PX, _SMALL_QUALITY = 108, 72
_LARGE_PX, _LARGE_QUALITY = 420, 82
_AROUND_S: Final = 0.5
_MOST_EVENTS: Final = 300


def take_page(take: ShownTake, step: Callable[[int, int], None]) -> bytes:
    """Return the page of a whole take; ``step`` is told how many pictures are done, of how many."""
    numbers = range(1, len(take.repetitions) + 1)
    axis = axis_for(take.from_s, take.to_s, take.zero_s)
    events = [(number, event.session_s, event.fault) for number, event in enumerate(take.events, start=1)]
    drawing = timeline(
        axis,
        panels_of(axis, take, detail=False),
        list(zip(numbers, take.repetitions, strict=True)),
        take.phases,
        [event for event in events if math.isfinite(event[1])],
        f"All signals of take {take.take_id} on one time axis, with {len(take.repetitions)} repetitions",
    )
    wanted = [one for one in take.pictures if one.repetition <= _MOST_PICTURED]
    pictures = load_pictures(wanted, _SMALL_PX, _SMALL_QUALITY, step)
    return whole_page(
        f"{take.take_id} · flex-capture",
        _heading(take, ""),
        _section("Signals", element("p", _how_to_read(take), class_="note"), element("div", drawing, class_="scroll")),
        _section("Repetitions", repetition_table(take, numbers)),
        _section(_pictures_title(take), *contact_sheet(take, pictures, _SMALL_PX), _undrawn(take), long=True),
        _section("Streams", *_streams(take)),
        _section("Events and marks", *_events(take), long=True),
    )


def repetition_page(take: ShownTake, number: int, step: Callable[[int, int], None]) -> bytes:
    """Return the page of one repetition, large. Raises RequestError where the take has no such repetition."""
    count = len(take.repetitions)
    if not 1 <= number <= count:
        there = f"its repetitions are 1 to {count}" if count else "it has none"
        raise RequestError(f"take {take.take_id} has no repetition {number}; {there}")
    one = take.repetitions[number - 1]
    axis = axis_for(one.start_s - _AROUND_S, one.end_s + _AROUND_S, take.zero_s)
    events = [(index, event.session_s, event.fault) for index, event in enumerate(take.events, start=1)]
    shown = [event for event in events if axis.from_s <= event[1] <= axis.to_s]
    drawing = timeline(
        axis,
        panels_of(axis, take, detail=True),
        list(enumerate(take.repetitions, start=1)),
        take.phases,
        shown,
        f"All signals of repetition {number} of take {take.take_id}",
    )
    wanted = [request for request in take.pictures if request.repetition == number]
    pictures = load_pictures(wanted, _LARGE_PX, _LARGE_QUALITY, step)
    return whole_page(
        f"{take.take_id} repetition {number} · flex-capture",
        _heading(take, f" · repetition {number} of {count}"),
        _section("This repetition", repetition_table(take, [number])),
        _section("Signals", element("p", _how_to_read(take), class_="note"), element("div", drawing, class_="scroll")),
        _section(_pictures_title(take), *large_pictures(take, one, pictures), long=True),
        _section("Streams of the take", *_streams(take)),
        _section("Events and marks of the take", *_events(take), long=True),
    )


def _section(title: str, *content: object, long: bool = False) -> Markup:
    return element("section", element("h2", title), *content, class_="long" if long else None)


def _heading(take: ShownTake, more: str) -> Markup:
    parts = [element("h1", take.title + more), element("p", f"{take.take_id}; from {take.source}", class_="quiet")]
    if take.simulated_devices:
        names = ", ".join(take.simulated_devices)
        parts.append(element("p", f"SIMULATED DEVICES: {names}: no person, no sensor", class_="badge"))
    parts.append(element("p", take.verdict, class_="verdict"))
    if take.marks:
        items = [element("li", mark) for mark in take.marks]
        parts.append(element("ul", *items, class_="marks", aria_label="What is not in order"))
    if take.remarks:
        items = [element("li", remark) for remark in take.remarks]
        parts.append(element("ul", *items, class_="remarks", aria_label="What is worth a look"))
    facts = [element("div", element("dt", name), element("dd", value)) for name, value in take.facts]
    parts.append(element("dl", *facts, class_="facts"))
    return element("header", *parts)


def _how_to_read(take: ShownTake) -> str:
    first, second = take.phases
    said = [take.zero]
    if take.repetitions:
        said.append(
            f"Shaded: the repetitions, numbered, the {first} phase darker than the {second} one; dotted line: the turn."
        )
    said.append("Where a line is interrupted nothing was measured; red: samples were lost there.")
    if take.pose is not None:
        said.append("Dashed: joints of the left side.")
    if take.envelope is not None:
        said.append("Each sEMG row: the signal as recorded, and over it in colour its envelope.")
    return " ".join(said)


def _pictures_title(take: ShownTake) -> str:
    return "Views at start, turn and end" if take.repetitions else "Views at the beginning, in the middle, at the end"


def _undrawn(take: ShownTake) -> Markup:
    if len(take.repetitions) <= _MOST_PICTURED:
        return Markup()
    said = f"Pictures of the first {_MOST_PICTURED} repetitions only; `flex-capture show … --rep N` shows any one."
    return element("p", said, class_="note")


def _streams(take: ShownTake) -> list[Markup]:
    left = {0, 1, len(HEADINGS) - 1}
    head = []
    for index, (name, unit) in enumerate(HEADINGS):
        label = f"{name} {unit}" if name == "in" else name
        said = element("span", f" {unit}", class_="unit") if unit and name != "in" else ""
        head.append(element("th", label, said, class_="left" if index in left else None, scope="col"))
    rows = []
    for report in take.reports:
        cells = []
        for index, cell in enumerate(report_cells(report)):
            bad = (index == 1 and not report.in_sync) or (index in (5, 6) and (report.lost or report.lost_ambiguous))
            style = " ".join(word for word, there in (("left", index in left), ("bad", bad)) if there)
            cells.append(element("td", cell, class_=style or None, title=report.stream if index == 0 else None))
        rows.append(element("tr", *cells))
    table = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    notes = [element("li", f"{report.stream}: {report.note}") for report in take.reports if report.note]
    legend = (
        "error: standard error of the times. ~: more may be lost. -: could not be measured. ?: nothing bounds it. "
        "arrival: delay beyond the fastest. delay: the device's latency, subtracted."
    )
    return [
        element("div", table, class_="scroll"),
        element("ul", *notes, class_="remarks") if notes else Markup(),
        element("p", legend, class_="note"),
    ]


def _events(take: ShownTake) -> list[Markup]:
    if not take.events:
        return [element("p", "None.", class_="quiet")]
    head = ("", "time s", "kind", "text")
    rows = []
    for number, event in enumerate(take.events[:_MOST_EVENTS], start=1):
        since_s = event.session_s - take.zero_s
        when = "later" if not np.isfinite(since_s) else f"{since_s:.2f}" if abs(since_s) < 1e6 else f"{since_s:.3g}"
        rows.append(
            element(
                "tr",
                element("td", f"{number}{'!' if event.fault else ''}", class_="bad" if event.fault else None),
                element("td", when),
                element("td", event.kind, class_="left"),
                element("td", event.text, class_="left wrap"),
            )
        )
    table = _table(head, rows)
    more = len(take.events) - _MOST_EVENTS
    said = element("p", f"{more} more are not shown.", class_="note") if more > 0 else Markup()
    return [element("div", table, class_="scroll"), said]


def _table(head: Sequence[str], rows: Sequence[Markup]) -> Markup:
    cells = [element("th", name, class_="left" if name in ("kind", "text") else None, scope="col") for name in head]
    return element("table", element("thead", element("tr", *cells)), element("tbody", *rows))
