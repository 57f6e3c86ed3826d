"""The table that ends each take, as plain text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Final

from lab.aligned import StreamReport

_WIDTH: Final = 110
#: What each cell of a line is, and its unit.
HEADINGS: Final = (
    ("stream", ""),
    ("in", "sync"),
    ("rate", "Hz"),
    ("measured", "Hz"),
    ("samples", ""),
    ("lost", ""),
    ("gaps", ""),
    ("drift", "ppm"),
    ("arrival", "p99 ms"),
    ("error", "p50 ms"),
    ("error", "p99 ms"),
    ("delay", "ms"),
    ("time from", ""),
)
_LEFT_ALIGNED: Final = (0, 1, 12)
_LONGEST_NAME: Final = 20


def report_table(reports: Sequence[StreamReport]) -> str:
    """Return the table of all streams, notes below it; no line is longer than 110 characters.

    ``error`` is the standard error of the times. A ``~`` before a number of lost samples says that more may be
    missing; ``-`` stands for what could not be measured and ``?`` for an error that nothing bounds. ``delay`` is the
    device's latency that was subtracted.
    """
    rows = [report_cells(report) for report in reports]
    widths = [
        max(len(cell) for cell in column)
        for column in zip(*(tuple(line[row] for line in HEADINGS) for row in (0, 1)), *rows, strict=True)
    ]
    lines = [_line(tuple(heading[part] for heading in HEADINGS), widths) for part in (0, 1)]
    lines += [_line(row, widths) for row in rows]
    for report in reports:
        if report.note:
            lines += textwrap.wrap(f"{report.stream}: {report.note}", _WIDTH, subsequent_indent="  ")
    return "\n".join(line[:_WIDTH].rstrip() for line in lines)


def report_cells(report: StreamReport) -> tuple[str, ...]:
    """Return the cells of a stream's line, as text, in the order of ``HEADINGS``."""
    name = report.stream
    return (
        name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…",
        "yes" if report.in_sync else "NO",
        f"{report.rate_asked_hz:g}" if report.rate_asked_hz > 0 else "-",
        _number(report.rate_measured_hz, 3),
        str(report.samples),
        ("~" if report.lost_ambiguous else "") + str(report.lost),
        str(report.gaps),
        _number(report.drift_ppm, 0, sign=True),
        _number(report.arrival_spread_ms, 2),
        _number(report.uncertainty_p50_ms, 3),
        _number(report.uncertainty_p99_ms, 3),
        _number(report.latency_s * 1e3, 1),
        report.method,
    )


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "?"
    plus = "+" if sign else ""
    return f"{value:{plus}.{digits}f}" if abs(value) < 1e6 else f"{value:{plus}.1e}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(
        cell.ljust(width) if index in _LEFT_ALIGNED else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
