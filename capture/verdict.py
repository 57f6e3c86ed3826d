"""What the operator is told while the subject is still on the floor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capture.console import Console
from capture.process_take import ProcessedTake, zero_s
from capture.repetition_chart import repetition_chart
from lab.aligned import StreamReport
from lab.take import TakeRecord
from storage.flex import TakeEntry
from sync.report import report_table


@dataclass(frozen=True)
class Verdict:
    """One line; ``marks`` say what is not in order, ``remarks`` what a person may want to look at."""

    line: str
    marks: tuple[str, ...]
    remarks: tuple[str, ...]


def judge(processed: ProcessedTake, dataset: Path | None) -> Verdict:
    """Sum up a take: repetitions found and expected, streams in sync, the worst uncertainty, the dataset it is in.

    A take is marked if the count is not the expected one, samples were lost, a stream is out of sync, something
    failed while it was recorded, or its raw bytes are damaged.
    """
    segmentation, reports = processed.segmentation, processed.aligned.reports
    saved = "" if dataset is None else f" · saved to {dataset}"
    line = verdict_line(segmentation.found, segmentation.expected, reports) + saved
    wrong_count = segmentation.expected is not None and segmentation.found != segmentation.expected
    marks = [*segmentation.doubts] if wrong_count else []
    doubts = [] if wrong_count else [*segmentation.doubts]
    for number, repetition in enumerate(segmentation.repetitions, start=1):
        doubts += [f"repetition {number}: {doubt}" for doubt in repetition.doubts]
    said = dict.fromkeys((*_record_marks(processed.aligned.record), *processed.damage, *marks, *stream_marks(reports)))
    remarks = (text for text in dict.fromkeys((*doubts, *processed.remarks)) if text not in said)
    return Verdict(line, tuple(said), tuple(remarks))


def verdict_line(found: int, expected: int | None, reports: Sequence[StreamReport]) -> str:
    """Return the one line: repetitions found and expected, streams in sync, the worst uncertainty."""
    asked = "" if expected is None else f" of {expected}"
    in_sync = [report for report in reports if report.in_sync]
    worst_ms = max((report.uncertainty_p99_ms for report in reports), default=0.0)
    sync = (
        f"{len(in_sync)} streams in sync"
        if len(in_sync) == len(reports)
        else f"{len(in_sync)} of {len(reports)} in sync"
    )
    return f"{found}{asked} repetitions · {sync}, worst uncertainty {worst_ms:.2g} ms"


def judge_entry(entry: TakeEntry, dataset: Path) -> Verdict:
    """Sum up a take as a dataset has it; the words are those of ``judge``."""
    take = entry.take
    reports = [_report(row) for row in entry.streams]
    line = f"{verdict_line(take['found'], take['expected'], reports)} · in {dataset}"
    wrong_count = take["expected"] is not None and take["found"] != take["expected"]
    doubts = [f"repetition {row['repetition']}: {doubt}" for row in entry.repetitions for doubt in row["doubts"]]
    marks = dict.fromkeys(
        (
            *_failures(take["faults"], take["state"]),
            *(take["doubts"] if wrong_count else ()),
            *stream_marks(reports),
        )
    )
    excluded = () if take["excluded_reason"] is None else (f"not to be used: {take['excluded_reason']}",)
    remarks = dict.fromkeys((*(() if wrong_count else take["doubts"]), *doubts, *excluded, *take["notes"]))
    return Verdict(line, tuple(marks), tuple(remark for remark in remarks if remark not in marks))


def _report(row: Mapping[str, Any]) -> StreamReport:
    known: dict[str, Any] = {name: row[name] for name in StreamReport.__dataclass_fields__}
    return StreamReport(**(known | {name: math.nan for name, value in known.items() if value is None}))


def say_verdict(
    processed: ProcessedTake, dataset: Path, console: Console, *, report: bool, failed: bool = False, indent: str = ""
) -> bool:
    """Tell how a take stands, with its streams and repetitions if ``report``; return whether it is in order."""
    if report:
        console.line(report_table(processed.aligned.reports))
        if processed.segmentation.repetitions:
            console.render(repetition_chart(processed.segmentation.repetitions, zero_s(processed.aligned.record)))
    return say_judged(judge(processed, dataset), console, failed=failed, indent=indent)


def say_judged(verdict: Verdict, console: Console, *, failed: bool = False, indent: str = "") -> bool:
    """Tell how a take stands; return whether it is in order."""
    console.line(indent + verdict.line, style="bold green" if not verdict.marks and not failed else "bold yellow")
    for mark in (*verdict.marks, *verdict.remarks):
        console.warning(f"{indent}  {mark}")
    return not verdict.marks


def _record_marks(record: TakeRecord) -> list[str]:
    return _failures(record.faults, record.state)


def _failures(faults: Sequence[str], state: str) -> list[str]:
    marks = [*faults]
    if state != "complete":
        marks.append(f"the take is {state}: it was cut off or could not be written to its end")
    return marks


def stream_marks(reports: Sequence[StreamReport]) -> list[str]:
    """Say of each stream that lost samples or is out of sync that it did, or is."""
    marks = []
    for report in reports:
        if report.lost_ambiguous and not report.lost:
            marks.append(f"stream '{report.stream}' may have lost samples: its counter began anew, or does not tell")
        elif report.lost:
            word = "about " if report.lost_ambiguous else ""
            marks.append(f"stream '{report.stream}' lost {word}{report.lost} samples in {report.gaps} gaps")
        if not report.in_sync:
            marks.append(f"stream '{report.stream}' is out of sync ({report.note or 'uncertain'})")
    return marks
