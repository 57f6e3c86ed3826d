"""``flex-capture segment``: the repetitions in any recording, as a table, as JSON and as a picture."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click

from capture.console import Console
from capture.output_folder import refuse_recorded_folder
from capture.segment_picture import segment_picture
from capture.segment_source import SegmentRequest, SegmentSource, read_signals
from capture.shown_text import shown
from lab.errors import RequestError, TakeError
from lab.repetitions import Segmentation
from storage.atomic import write_bytes_atomically
from storage.os_errors import reason
from storage.take_folder import record_path
from sync.signal_repetitions import find_in_signals, shown_signal


@dataclass(frozen=True)
class SegmentOutput:
    """How the answer is to be given: ``expected`` repetitions, as JSON or not, with a picture or none."""

    expected: int | None
    as_json: bool
    picture: Path | None
    force: bool


def segment_file(request: SegmentRequest, output: SegmentOutput) -> int:
    """Find the repetitions in a file or take and say them; return the exit code.

    0 where as many were found as were expected, or any where no count was asked for, and nothing is in doubt; else 1.
    Raises RequestError for wrong input, TakeError where the take cannot be read or the picture cannot be written.
    """
    _check_picture(request, output)
    # JSON has standard output for itself
    with contextlib.redirect_stdout(sys.stderr) if output.as_json else contextlib.nullcontext():
        console = Console()
        source, found = _found(request, output.expected, console)
        if output.picture is not None:
            _draw(source, found, request.place.name, output.picture)
    doubts = all_doubts(found)
    if output.as_json:
        click.echo(as_json(found))
        for note in source.notes:
            click.echo(shown(note), err=True)
    else:
        _say(console, source, found, output.picture)
    return 1 if doubts or not found.repetitions or found.expected not in (None, found.found) else 0


def _found(request: SegmentRequest, expected: int | None, console: Console) -> tuple[SegmentSource, Segmentation]:
    if request.place.is_dir():
        return _of_take(request, expected, console)
    if not request.place.exists():
        raise RequestError(f"{request.place} does not exist; check the path")
    source = read_signals(request)
    if not source.signals:
        raise RequestError(
            f"{request.place} holds no signal in which anything moves: its columns are empty, constant, text or"
            " counters; choose another file or other columns"
        )
    if max(one.time_s.size for one in source.signals) < 10:
        raise RequestError(f"{request.place} holds fewer than 10 samples; choose a longer recording")
    try:
        return source, find_in_signals(source.signals, expected)
    except TakeError as error:
        raise RequestError(f"{request.place}: {error}") from None


def _of_take(request: SegmentRequest, expected: int | None, console: Console) -> tuple[SegmentSource, Segmentation]:
    from capture.process_take import process_in_memory, segment, signals_of_take
    from capture.recovery import recover_met
    from capture.segment_source import signals_of_streams

    if not record_path(request.place).is_file():
        raise RequestError(f"{request.place} is no raw take; give the folder of one, or a file")
    if request.rate_hz is not None:
        raise RequestError("--rate is for tables without times; a take says its own, leave it out")
    recover_met([request.place], console)
    processed = process_in_memory(request.place, lambda _stage, _done, _total: None, verify=False)
    aligned = processed.aligned
    if request.stream is None and not request.columns:
        signals = SegmentSource(signals_of_take(aligned), "session time, LSL's clock of the recording host")
        return signals, processed.segmentation if expected is None else segment(aligned, expected)
    named = [stream for stream in aligned.others if request.stream in (None, stream.name)]
    if aligned.emg is not None and request.stream in (None, aligned.emg.name):
        named.append(aligned.emg)
    if not named:
        names = [stream.name for stream in (*aligned.others, *([aligned.emg] if aligned.emg else []))]
        raise RequestError(
            f"{request.place} has no stream '{request.stream}' to choose; it has {', '.join(names) or 'none'}"
            " (its pose is taken without --stream and --columns)"
        )
    source = signals_of_streams(named, request)
    wanted = aligned.record.expected_repetitions if expected is None else expected
    return source, find_in_signals(source.signals, wanted)


def all_doubts(found: Segmentation) -> list[str]:
    """Return what is doubted about the set, and about each repetition with its number from 1."""
    doubts = list(found.doubts)
    for number, one in enumerate(found.repetitions, start=1):
        doubts += [f"repetition {number}: {doubt}" for doubt in one.doubts]
    return doubts


def as_json(found: Segmentation) -> str:
    """Return the answer as JSON: times in seconds to the tenth of a millisecond, confidence to three places."""
    content = {
        "repetitions": [
            {
                "start_s": round(one.start_s, 4),
                "turn_s": round(one.turn_s, 4),
                "end_s": round(one.end_s, 4),
                "confidence": round(one.confidence, 3),
            }
            for one in found.repetitions
        ],
        "found": found.found,
        "expected": found.expected,
        "doubts": all_doubts(found),
    }
    return json.dumps(content, indent=2, allow_nan=False)


def _say(console: Console, source: SegmentSource, found: Segmentation, picture: Path | None) -> None:
    if found.repetitions:
        console.line(f"{'':>4}{'start s':>12}{'turn s':>12}{'end s':>12}{'confidence':>12}")
    for number, one in enumerate(found.repetitions, start=1):
        console.line(f"{number:>4}{one.start_s:>12.3f}{one.turn_s:>12.3f}{one.end_s:>12.3f}{one.confidence:>12.2f}")
    if found.repetitions:
        console.line(f"Times are of {shown(source.clock)}.")
    for note in source.notes:
        console.line(shown(note))
    for doubt in all_doubts(found):
        console.warning(shown(doubt))
    asked = "" if found.expected is None else f" of {found.expected}"
    saved = "" if picture is None else f" · saved to {picture}"
    ok = bool(found.repetitions) and found.expected in (None, found.found)
    plural = "" if found.found == 1 and found.expected in (None, 1) else "s"
    console.line(f"{found.found}{asked} repetition{plural}{saved}", style="bold green" if ok else "bold yellow")


def _check_picture(request: SegmentRequest, output: SegmentOutput) -> None:
    """Raise RequestError where the picture may not be written; nothing was read yet."""
    path = output.picture
    if path is None:
        return
    if path.suffix.lower() != ".png":
        raise RequestError(f"{path} would hold a PNG picture; give it a name that ends in .png")
    if not path.absolute().parent.is_dir():
        raise RequestError(f"{path.absolute().parent} does not exist; make it, or name another file with --plot")
    if path.is_dir():
        raise RequestError(f"{path} is a folder; name a file with --plot")
    refuse_recorded_folder(path, request.place)
    if path.exists() and not output.force:
        raise RequestError(f"{path} exists; name another file with --plot, or use --force")


def _draw(source: SegmentSource, found: Segmentation, title: str, path: Path) -> None:
    signal = shown_signal(source.signals, found)
    if signal is None:
        raise RequestError(f"{title} has nothing that could be drawn; leave --plot out")
    try:
        write_bytes_atomically(path, segment_picture(title, *signal, replace(found, doubts=tuple(all_doubts(found)))))
    except OSError as error:
        raise TakeError(f"{path} cannot be written ({reason(error)}); name another file with --plot") from None
