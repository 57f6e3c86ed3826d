"""How well the streams of a recording came onto one clock, as one SVG picture that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from capture.page.markup import Markup, element, joined
from capture.page.sync_panel import is_time, sync_panel
from capture.page.time_axis import TimeAxis, number_text, round_numbers, round_up
from lab.aligned import StreamReport, SyncEvidence

_WIDTH: Final = 1200.0
_LEFT, _RIGHT = 158.0, 100.0
_TOP: Final = 76.0
_TICKS: Final = 20.0
#: A stream that lies this part of the common axis beside it has one of its own.
_BESIDE: Final = 0.5
_MOST_PANELS: Final = 80

#: Colours after Okabe & Ito (2008, Color Universal Design); no variables, so that every viewer of SVG knows them.
_STYLE: Final = """
text { font: 11px system-ui, "Segoe UI", Roboto, "DejaVu Sans", Arial, sans-serif; fill: #1b1d20; }
path, line { fill: none; }
.page { fill: #fff; } .title { font-size: 17px; font-weight: 600; } .panel { font-size: 13px; font-weight: 700; }
.facts, .quiet, .legend, .tick, .number { fill: #5b6068; } .number, .channel { text-anchor: end; font-size: 10.5px; }
.start { text-anchor: start; } .small { font-size: 10px; } .tick { text-anchor: middle; } .good { fill: #007a59; }
.bad { fill: #b3261e; }
.ground { fill: #f7f8fa; } .grid { stroke: #dfe2e7; } .ticks { stroke: #c3c8cf; stroke-dasharray: 1 4; }
.out { fill: #b3261e; } .wash { fill: #fdeeed; } .gap { fill: #b3261e; opacity: .3; }
.all { fill: #b8d4e8; } .most { fill: #5fa3d0; } .median { stroke: #00416b; stroke-width: 1.3; }
.dots { stroke: #0072b2; stroke-width: 2.4; stroke-linecap: round; opacity: .75; }
.beyond { fill: #b3261e; } .band { fill: #f0c9a8; opacity: .8; } .fit { stroke: #d55e00; stroke-width: 1.2; }
.bars { stroke-width: 1; } .bars.used { stroke: #6aa9d4; } .bars.unused { stroke: #b3261e; stroke-dasharray: 2 2; }
.probe { stroke-linecap: round; } .probe.used { stroke: #00416b; stroke-width: 3.4; }
.probe.unused { stroke: #b3261e; stroke-width: 4.4; stroke-linecap: square; }
""".strip()

_LEGEND: Final = """
Arrivals: light, all of a column; dark, the middle 80 %; line, the median; or dots. Red band: a gap. Triangle: beyond.
Clock probes: bar, half the round trip each side: the truth is there. Orange: the fit, its error. Red: not believed.
""".strip().splitlines()


def sync_picture(title: str, streams: Sequence[tuple[SyncEvidence, StreamReport]]) -> bytes:
    """Return the picture as an SVG document in UTF-8; the same evidence gives the same bytes.

    Streams share one axis of time, over those in sync; one whose times lie elsewhere has its own, and says so.
    """
    shown = streams[:_MOST_PANELS]
    common = _common_span(shown)
    axis = _axis(*common) if common else None
    body: list[Markup] = []
    y = _TOP + _TICKS
    for evidence, report in shown:
        span = _span(evidence)
        own = axis is None or (span is not None and common is not None and not _fits(span, common))
        its_axis = _axis(*(span or (0.0, 1.0))) if own or axis is None else axis
        panel = sync_panel(its_axis, evidence, report)
        drawn = [_ticks(its_axis, 28.0, panel.height - 6, numbers=own)]
        body.append(element("g", panel.body, *drawn, transform=f"translate(0 {y:.1f})"))
        if own and axis is not None:
            for row, words in enumerate(("its times lie elsewhere:", "seconds from its start")):
                body.append(element("text", words, class_="bad small", x=10, y=f"{y + 76 + 13 * row:.0f}"))
        y += panel.height + 10
    if len(streams) > len(shown):
        body.append(element("text", f"{len(streams) - len(shown)} more streams are not drawn", x=10, y=f"{y + 12:.0f}"))
        y += 20
    head = [
        element("rect", class_="page", width="100%", height="100%"),
        element("text", title, class_="title", x=10, y=24),
        *(element("text", line, class_="legend", x=10, y=44 + 15 * row) for row, line in enumerate(_LEGEND)),
    ]
    if axis is not None:
        head.append(_numbers(axis, _TOP + 12, "seconds"))
        body.append(_numbers(axis, y + 8, "seconds"))
    svg = element(
        "svg",
        element("title", f"How the times of {title} were found"),
        element("style", Markup(_STYLE)),
        *head,
        *body,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_WIDTH:g} {y + _TICKS:.0f}",
        width=f"{_WIDTH:g}",
        height=f"{y + _TICKS:.0f}",
        role="img",
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{svg}\n'.encode()


def _span(evidence: SyncEvidence) -> tuple[float, float] | None:
    """Return the first and last time of the arrivals, or of the probes where there are none."""
    for time_s in (evidence.arrival_s, evidence.probe_s):
        finite = time_s[is_time(time_s)]
        if finite.size:
            return float(finite.min()), float(finite.max())
    return None


def _common_span(streams: Sequence[tuple[SyncEvidence, StreamReport]]) -> tuple[float, float] | None:
    spans = [(_span(evidence), report.in_sync and evidence.arrival_s.size > 0) for evidence, report in streams]
    chosen = [span for span, good in spans if span and good] or [span for span, _ in spans if span]
    if not chosen:
        return None
    return min(span[0] for span in chosen), max(span[1] for span in chosen)


def _fits(span: tuple[float, float], common: tuple[float, float]) -> bool:
    room = _BESIDE * (common[1] - common[0]) + 1.0
    return span[0] >= common[0] - room and span[1] <= common[1] + room


def _axis(from_s: float, to_s: float) -> TimeAxis:
    return TimeAxis(from_s, max(to_s, from_s + 1e-3), from_s, _LEFT, _WIDTH - _LEFT - _RIGHT)


def _marks(axis: TimeAxis) -> tuple[list[float], float]:
    span_s = axis.to_s - axis.from_s
    return round_numbers(0.0, span_s, 12), round_up(span_s / 12)


def _ticks(axis: TimeAxis, top: float, bottom: float, *, numbers: bool) -> Markup:
    parts = []
    for number in _marks(axis)[0]:
        x = f"{axis.at(axis.from_s + number):.1f}"
        parts.append(element("line", class_="ticks", x1=x, x2=x, y1=f"{top:.0f}", y2=f"{bottom:.0f}"))
    if numbers:
        parts.append(_numbers(axis, top, ""))
    return joined(parts)


def _numbers(axis: TimeAxis, y: float, unit: str) -> Markup:
    places, step = _marks(axis)
    parts = [element("text", unit, class_="legend", x=10, y=f"{y:.0f}")] if unit else []
    for number in places:
        x = f"{axis.at(axis.from_s + number):.1f}"
        parts.append(element("text", number_text(number, step), class_="tick", x=x, y=f"{y:.0f}"))
    return joined(parts)
