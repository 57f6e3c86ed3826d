"""All panels of a take under each other on one time axis, with its repetitions, turns and events across them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from capture.page.markup import Markup, element, joined
from capture.page.panels import CLIP_ID, Panel
from capture.page.time_axis import TimeAxis, number_text, round_numbers, round_up
from lab.repetitions import Repetition

#: Width of the whole drawing in its own units; the page shows it about as many pixels wide.
WIDTH: Final = 1200.0
_LEFT, _RIGHT = 148.0, 100.0
_LANE: Final = 18.0
_TICKS: Final = 18.0
#: A repetition this wide has room for the names of its phases.
_NAMED: Final = 400.0
#: Numbers of repetitions or events that would stand closer than this to another are left out.
_APART: Final = 18.0


def axis_for(from_s: float, to_s: float, zero_s: float) -> TimeAxis:
    """Return the axis of a timeline."""
    return TimeAxis(from_s, max(to_s, from_s + 1e-3), zero_s, _LEFT, WIDTH - _LEFT - _RIGHT)


def timeline(
    axis: TimeAxis,
    panels: Sequence[Panel],
    repetitions: Sequence[tuple[int, Repetition]],
    phases: tuple[str, str],
    events: Sequence[tuple[int, float, bool]],
    about: str,
) -> Markup:
    """Compose the drawing.

    ``repetitions`` are those to shade with their numbers, ``events`` (number, session time, whether it is a fault),
    ``about`` says in a sentence what is to be seen.
    """
    events = [event for event in events if axis.shows(event[1], event[1])]
    head = _LANE * (2 if events else 1)
    body: list[Markup] = []
    y = head + _TICKS + 6
    for panel in panels:
        body.append(element("g", panel.body, transform=f"translate(0 {y:.1f})"))
        y += panel.height + 8
    bottom = y
    shown = [(number, one) for number, one in repetitions if axis.shows(one.start_s, one.end_s)]
    parts = [element("title", about), _clip(axis, bottom)]
    parts += [_shade(axis, number, one, bottom) for number, one in shown]
    parts += _numbers(axis, shown, phases, head - 5)
    parts += _ticks(axis, head, bottom)
    parts += body
    parts += _turns(axis, shown, bottom)
    if events:
        parts += _events(axis, events, bottom)
    return element(
        "svg",
        *parts,
        class_="timeline",
        role="img",
        viewBox=f"0 0 {WIDTH:g} {bottom + _TICKS:.0f}",
        xmlns="http://www.w3.org/2000/svg",
    )


def _clip(axis: TimeAxis, bottom: float) -> Markup:
    around = element("rect", x=axis.left, y=0, width=axis.width, height=f"{bottom:.0f}")
    return element("clipPath", around, id=CLIP_ID)


def _shade(axis: TimeAxis, number: int, one: Repetition, bottom: float) -> Markup:
    left, turn, right = (axis.at(when) for when in (one.start_s, one.turn_s, one.end_s))
    seconds = one.end_s - one.start_s
    title = (
        f"repetition {number}: {one.start_s - axis.zero_s:.2f} s to {one.end_s - axis.zero_s:.2f} s, {seconds:.2f} s"
    )
    parts = [element("title", title)]
    for from_x, to_x, style in ((left, turn, "first"), (turn, right, "second")):
        parts.append(
            element(
                "rect",
                class_=f"shade {style}",
                x=f"{from_x:.1f}",
                y=0,
                width=f"{max(to_x - from_x, 0):.1f}",
                height=f"{bottom:.0f}",
            )
        )
    return element("g", *parts)


def _numbers(
    axis: TimeAxis, shown: Sequence[tuple[int, Repetition]], phases: tuple[str, str], y: float
) -> list[Markup]:
    """Write the numbers of repetitions as far as there is room, and the names of the phases of wide ones."""
    parts, last_x = [], -_APART
    for number, one in shown:
        left, turn, right = (axis.at(when) for when in (one.start_s, one.turn_s, one.end_s))
        middle = (left + right) / 2
        if right - left >= _NAMED:
            for from_x, name in ((left, f"repetition {number}: {phases[0]}"), (turn, phases[1])):
                parts.append(element("text", name, class_="phase", x=f"{from_x + 6:.1f}", y=y))
            last_x = right
        elif middle - last_x >= _APART:
            parts.append(element("text", number, class_="repetition", x=f"{middle:.1f}", y=y))
            last_x = middle
    return parts


def _ticks(axis: TimeAxis, head: float, bottom: float) -> list[Markup]:
    numbers = round_numbers(axis.from_s - axis.zero_s, axis.to_s - axis.zero_s, 12)
    step = round_up((axis.to_s - axis.from_s) / 12)
    top = head + _TICKS
    rows = [f"{y:.0f}" for y in (top - 6, bottom + 13)]
    parts = [element("text", "seconds", class_="panel unit", x=0, y=y) for y in rows]
    for number in numbers:
        x = f"{axis.at(number + axis.zero_s):.1f}"
        parts.append(element("line", class_="grid", x1=x, x2=x, y1=f"{top - 3:.0f}", y2=f"{bottom:.0f}"))
        parts += [element("text", number_text(number, step), class_="tick", x=x, y=y) for y in rows]
    return parts


def _turns(axis: TimeAxis, shown: Sequence[tuple[int, Repetition]], bottom: float) -> list[Markup]:
    parts = []
    for number, one in shown:
        if axis.shows(one.turn_s, one.turn_s):
            x = f"{axis.at(one.turn_s):.1f}"
            title = element("title", f"turn of repetition {number}: {one.turn_s - axis.zero_s:.2f} s")
            parts.append(element("line", title, class_="turn", x1=x, x2=x, y1=0, y2=f"{bottom:.0f}"))
    return parts


def _events(axis: TimeAxis, events: Sequence[tuple[int, float, bool]], bottom: float) -> list[Markup]:
    parts = [element("text", "events", class_="channel", x=axis.left - 16, y=13)]
    labelled: list[float] = []
    # Faults first: where there is room for one number only it is theirs.
    for number, when_s, fault in sorted(events, key=lambda event: (not event[2], event[1])):
        x = axis.at(when_s)
        style = "event fault" if fault else "event"
        parts.append(element("line", class_=style, x1=f"{x:.1f}", x2=f"{x:.1f}", y1=14, y2=f"{bottom:.0f}"))
        if all(abs(x - other) >= _APART for other in labelled):
            parts.append(element("text", f"{number}{'!' if fault else ''}", class_=style, x=f"{x:.1f}", y=11))
            labelled.append(x)
    return [joined(parts)]
