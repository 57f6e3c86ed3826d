"""The repetitions of a take as they count now, and what a person says of one of them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from capture.amendment import mark_and_follow, new_mark
from capture.console import Console
from capture.process_take import ProcessedTake, process_in_memory, zero_s
from capture.recovery import recover_met
from capture.repetition_chart import repetition_chart
from capture.resegment_plan import dataset_beside
from capture.take_history import find_take
from capture.verdict import say_verdict
from lab.corrections import standing_corrections, with_corrections
from lab.errors import RequestError
from lab.marks import Mark

Act = Literal["set", "insert", "delete", "exclude", "include", "undo"]


@dataclass(frozen=True)
class RepetitionRequest:
    """What is said: ``number`` is the repetition's as it is listed; bounds are seconds from the take's zero."""

    act: Act
    number: int | None = None
    start_s: float | None = None
    turn_s: float | None = None
    end_s: float | None = None
    reason: str = ""


def repetitions_of_take(
    named: str, request: RepetitionRequest | None, *, out: Path, dataset: Path | None, as_json: bool
) -> int:
    """List the repetitions of a take, or say something of one of them; return the exit code.

    Raises RequestError before anything is marked, TakeError where the take cannot be read or written.
    """
    take = find_take(named, out / "raw")
    console = Console()
    recover_met([take], console)
    with console.progress() as progress:
        processed = process_in_memory(take, (lambda *_: None) if as_json else progress, verify=False)
    if request is not None:
        target = dataset or dataset_beside(take)
        processed = mark_and_follow(take, [_mark_of(request, processed)], target, console)
    if as_json:
        click.echo(json.dumps(_plain(processed), indent=2))
        return 0
    segmentation, record = processed.segmentation, processed.aligned.record
    console.line(f"{record.id}: times in seconds from {_zero(processed)}", style="bold")
    console.render(repetition_chart(segmentation.repetitions, zero_s(record), said=True))
    if request is None:
        for doubt in (*segmentation.doubts, *processed.remarks):
            console.warning(f"  {doubt}")
        return 0
    return 0 if say_verdict(processed, target, console, report=False) else 1


def _zero(processed: ProcessedTake) -> str:
    record = processed.aligned.record
    what = "the start of the recording" if record.recording_s is None else '"recording"'
    return f"{what}, session time {zero_s(record):.3f} s"


def _mark_of(request: RepetitionRequest, processed: ProcessedTake) -> Mark:
    """Return the mark, checked against what the take holds. Raises RequestError."""
    if request.act == "undo":
        if not standing_corrections(processed.marks):
            raise RequestError("there is no correction of this take's repetitions to take back")
        return new_mark("repetition", act="undo")
    zero = zero_s(processed.aligned.record)
    repetitions = processed.segmentation.repetitions
    said: dict[str, Any] = {"act": request.act}
    if request.number is not None:
        if not 1 <= request.number <= len(repetitions):
            raise RequestError(f"there is no repetition {request.number}; the take has {len(repetitions)}")
        one = repetitions[request.number - 1]
        said["was_s"] = (one.start_s, one.turn_s, one.end_s)
    bounds = {"start_s": request.start_s, "turn_s": request.turn_s, "end_s": request.end_s}
    said |= {name: zero + value for name, value in bounds.items() if value is not None}
    if request.act in {"set", "insert"}:
        _require_inside(request, processed)
    if request.act == "set":
        _require_order(request, said["was_s"], zero)
    mark = new_mark("repetition", request.reason, **said)
    gone = with_corrections(processed.segmentation, [mark]).swallowed
    if gone:
        numbers = [str(repetitions.index(one) + 1) for one in gone]
        raise RequestError(
            f"that would swallow repetition {' and '.join(numbers)}; first correct that, or take it out with --delete"
        )
    return mark


def _require_inside(request: RepetitionRequest, processed: ProcessedTake) -> None:
    """Raise RequestError where a bound lies outside the take."""
    zero = zero_s(processed.aligned.record)
    whole_s = _span(processed)
    for name in ("start", "turn", "end"):
        value = getattr(request, f"{name}_s")
        if value is not None and whole_s is not None and not whole_s[0] <= value + zero <= whole_s[1]:
            first, last = (f"{round(edge - zero, 2) + 0.0:.2f}" for edge in whole_s)  # no "-0.00"
            raise RequestError(f"--{name} {value:g} lies outside the recording, which goes from {first} to {last} s")


def _require_order(request: RepetitionRequest, was_s: tuple[float, float, float], zero: float) -> None:
    """Raise RequestError where the bounds that are given do not go with those that are not."""
    asked = (request.start_s, request.turn_s, request.end_s)
    start, turn, end = (old - zero if new is None else new for new, old in zip(asked, was_s, strict=True))
    if not start < turn < end:
        raise RequestError(
            f"repetition {request.number} would start at {start:.2f} s, turn at {turn:.2f} s and end at {end:.2f} s,"
            f" which is out of order{'' if None not in asked else '; give the other bounds too'}"
        )


def _span(processed: ProcessedTake) -> tuple[float, float] | None:
    """Return session times of the first and last sample or frame of the take; None where there are none."""
    aligned = processed.aligned
    times = [view.time_s for view in aligned.views]
    times += [stream.time_s for stream in (aligned.emg, aligned.pose) if stream is not None]
    ends = [(float(time_s[0]), float(time_s[-1])) for time_s in times if len(time_s)]
    return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None


def _plain(processed: ProcessedTake) -> dict[str, Any]:
    record, segmentation = processed.aligned.record, processed.segmentation
    zero = zero_s(record)
    return {
        "take_id": record.id,
        "zero_s": zero,
        "expected": segmentation.expected,
        "found": segmentation.found,
        "doubts": list(segmentation.doubts),
        "remarks": list(processed.remarks),
        "repetitions": [
            dataclasses.asdict(one)
            | {"start_s": one.start_s - zero, "turn_s": one.turn_s - zero, "end_s": one.end_s - zero}
            for one in segmentation.repetitions
        ],
    }
