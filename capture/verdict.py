"""What the operator is told while the subject is still on the floor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.aligned import StreamReport
from lab.repetitions import Segmentation


@dataclass(frozen=True)
class Verdict:
    """One line, and the sentences on what is not in order. No sentences: all is well."""

    line: str
    marks: tuple[str, ...]


def judge(segmentation: Segmentation, reports: Sequence[StreamReport], dataset: Path) -> Verdict:
    """Sum up a take: repetitions found and expected, streams in sync, the worst uncertainty, where it is."""
    expected = "" if segmentation.expected is None else f" of {segmentation.expected}"
    in_sync = [report for report in reports if report.in_sync]
    worst_ms = max((report.uncertainty_p99_ms for report in reports), default=math.nan)
    sync = (
        f"{len(in_sync)} streams in sync"
        if len(in_sync) == len(reports)
        else f"{len(in_sync)} of {len(reports)} in sync"
    )
    line = (
        f"{segmentation.found}{expected} repetitions · {sync}, worst uncertainty {worst_ms:.2g} ms · saved to {dataset}"
    )
    return Verdict(line, tuple(_marks(segmentation, reports)))


def _marks(segmentation: Segmentation, reports: Sequence[StreamReport]) -> list[str]:
    marks = list(segmentation.doubts)
    for number, repetition in enumerate(segmentation.repetitions, start=1):
        marks += [f"repetition {number}: {doubt}" for doubt in repetition.doubts]
    for report in reports:
        if report.lost:
            word = "about " if report.lost_ambiguous else ""
            marks.append(f"stream '{report.stream}' lost {word}{report.lost} samples in {report.gaps} gaps")
        if not report.in_sync:
            marks.append(f"stream '{report.stream}' is out of sync ({report.note or 'uncertain'})")
    return marks
