"""Repetitions as a table: their bounds, how long each phase took, as numbers and as bars, and what is in doubt."""

from __future__ import annotations

from collections.abc import Iterable

from capture.page.markup import Markup, element
from capture.page.shown_take import ShownTake
from lab.repetitions import Repetition

_BAR_WIDTH = 280.0
_BAR_HEIGHT = 14.0


def repetition_table(take: ShownTake, numbers: Iterable[int]) -> Markup:
    """Return the table of the repetitions of these numbers; bars are to the scale of the longest of the take."""
    if not take.repetitions:
        return element("p", "No repetition was found.", class_="quiet")
    longest_s = max(one.end_s - one.start_s for one in take.repetitions)
    first, second = take.phases
    head = [
        element("th", "", scope="col"),
        *(_heading(name, "s") for name in ("start", "turn", "end", first, second, "whole")),
        element(
            "th",
            "duration",
            element("span", f" filled: {first}, open: {second}", class_="unit"),
            class_="left",
            scope="col",
        ),
        _heading("confidence", ""),
        element("th", "doubts", class_="left", scope="col"),
    ]
    rows = [_row(take, number, take.repetitions[number - 1], longest_s) for number in numbers]
    table = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    return element("div", table, class_="scroll")


def _heading(name: str, unit: str) -> Markup:
    return element("th", name, element("span", f" {unit}", class_="unit") if unit else "", scope="col")


def _row(take: ShownTake, number: int, one: Repetition, longest_s: float) -> Markup:
    times = (one.start_s, one.turn_s, one.end_s)
    lengths = (one.turn_s - one.start_s, one.end_s - one.turn_s, one.end_s - one.start_s)
    return element(
        "tr",
        element("th", number, scope="row"),
        *(element("td", f"{when - take.zero_s:.2f}", title=f"session time {when:.4f} s") for when in times),
        *(element("td", f"{length:.2f}") for length in lengths),
        element("td", _bar(number, lengths[0], lengths[1], longest_s), class_="left"),
        element("td", f"{one.confidence:.2f}", class_="bad" if one.doubts else None),
        element("td", "; ".join(one.doubts), class_="left wrap"),
    )


def _bar(number: int, first_s: float, second_s: float, longest_s: float) -> Markup:
    first, second = (max(part / longest_s, 0) * (_BAR_WIDTH - 2) for part in (first_s, second_s))
    about = f"repetition {number}: {first_s:.2f} s, then {second_s:.2f} s"
    bars = [
        element("rect", class_=style, x=f"{x:.1f}", y=1, width=f"{width:.1f}", height=_BAR_HEIGHT - 2)
        for style, x, width in (("bar1", 1.0, first), ("bar2", 1.0 + first, second))
    ]
    return element(
        "svg",
        element("title", about),
        *bars,
        role="img",
        width=f"{_BAR_WIDTH:g}",
        height=f"{_BAR_HEIGHT:g}",
        viewBox=f"0 0 {_BAR_WIDTH:g} {_BAR_HEIGHT:g}",
    )
