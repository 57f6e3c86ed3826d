"""Repetitions in the terminal: a line each, how long it took as a bar, odd ones in colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from lab.repetitions import Repetition

if TYPE_CHECKING:
    from rich.table import Table

_BAR: Final = 24
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
#: Lengths that differ from the median by more than this share of it are odd.
_ODD: Final = 0.35


def repetition_chart(repetitions: Sequence[Repetition], zero_s: float, *, said: bool = False) -> Table:
    """Return a table of repetitions: bounds in seconds from ``zero_s``, length, its bar; with ``said`` what is said.

    A repetition of odd length or in doubt is yellow, one that is not to be used is dim.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "start", "turn", "end", "length"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    if said:
        table.add_column("", overflow="fold")
    lengths_s = [one.end_s - one.start_s for one in repetitions]
    longest_s, median_s = max(lengths_s, default=1.0), float(np.median(lengths_s)) if lengths_s else 1.0
    for number, (one, length_s) in enumerate(zip(repetitions, lengths_s, strict=True), start=1):
        odd = bool(one.doubts) or abs(length_s - median_s) > _ODD * median_s
        style = "dim" if one.excluded_reason is not None else "yellow" if odd else ""
        times = (f"{when - zero_s:.2f}" for when in (one.start_s, one.turn_s, one.end_s))
        cells = [str(number), *times, f"{length_s:.2f} s", _bar(length_s / longest_s)]
        table.add_row(*(Text(cell, style) for cell in (*cells, *((_said(one),) if said else ()))))
    return table


def _bar(share: float) -> str:
    eighths = max(1, round(share * _BAR * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _said(one: Repetition) -> str:
    excluded = () if one.excluded_reason is None else (f"not to be used: {one.excluded_reason}",)
    corrected = ("corrected",) if one.provenance == "corrected" else ()
    return "; ".join((*excluded, *corrected, *one.doubts))
