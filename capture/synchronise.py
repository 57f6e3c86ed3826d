"""``flex-capture sync``: the streams of an XDF file or a raw take on one clock, as a table and as a file."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from capture.common_grid import add_grid
from capture.console import Console
from capture.output_folder import refuse_recorded_folder
from capture.page.sync_picture import sync_picture
from capture.recovery import recover_met
from capture.rig_file import load_rig
from capture.shown_text import shown
from capture.sync_source import SyncSource, open_source
from capture.synchronised_stream import SynchronisedStream, synchronised_streams
from lab.aligned import StreamReport
from lab.errors import RequestError, TakeError
from storage.aligned_file import aligned_file
from storage.atomic import write_bytes_atomically
from storage.checksums import file_digest
from storage.os_errors import reason
from sync.report import report_table


@dataclass(frozen=True)
class SyncRequest:
    """What the operator asked for. ``counters`` and ``latencies`` are as they were typed."""

    place: Path
    output: Path | None
    force: bool
    as_json: bool
    picture: Path | None
    resample_hz: float | None
    rig: Path | None
    counters: tuple[str, ...]
    latencies: tuple[str, ...]


def synchronise(request: SyncRequest) -> int:
    """Put streams on one clock, write the file that was asked for, print the table; return the exit code.

    0 where all is in order, 1 where a stream is out of sync or something of the file could not be used. Raises
    RequestError for wrong input, TakeError where the take cannot be read or the file cannot be written.
    """
    # JSON has standard output for itself
    with contextlib.redirect_stdout(sys.stderr) if request.as_json else contextlib.nullcontext():
        console = Console()
        _check_output(request)
        rig = None if request.rig is None else load_rig(request.rig).as_recorded()
        if request.place.is_dir():
            recover_met([request.place], console)
        source = open_source(request.place, rig, request.counters, request.latencies)
        findings = [*source.findings]
        if source.bytes_discarded and source.facts is None:  # of a take it is among the findings
            findings.append(f"{source.path.name}: {source.bytes_discarded} bytes could not be used.")
        if request.output is None:
            done = list(synchronised_streams(source, None))
            digest = None
        else:
            digest = _digest(source, findings)
            done = _written(source, request, digest, findings)
        reports = [one.report for one in done]
        if request.picture is not None:
            _draw(source, done, request.picture)
    ok = not findings and all(report.in_sync for report in reports)
    if request.as_json:
        click.echo(_as_json(source, request, reports, digest, findings, ok=ok))
    else:
        _say(console, source, request, reports, findings)
    return 0 if ok else 1


def _check_output(request: SyncRequest) -> None:
    """Raise RequestError where a file may not be written; nothing was read yet."""
    output, picture = request.output, request.picture
    if output is None and request.resample_hz is not None:
        raise RequestError("--resample writes into a file; name it with --output")
    if output is not None:
        _check_file(output, "--output", request)
    if picture is not None:
        if picture.suffix.lower() != ".svg":
            raise RequestError(f"{picture} would hold an SVG picture; give it a name that ends in .svg")
        _check_file(picture, "--picture", request)
    if output is not None and picture is not None and output.resolve() == picture.resolve():
        raise RequestError(f"{picture} is named by --output too; name another file with --picture")


def _check_file(path: Path, option: str, request: SyncRequest) -> None:
    if not path.absolute().parent.is_dir():
        raise RequestError(f"{path.absolute().parent} does not exist; make it, or name another file with {option}")
    if path.is_dir():
        raise RequestError(f"{path} is a folder; name a file with {option}")
    refuse_recorded_folder(path, request.place)
    if path.exists() and request.place.exists() and path.samefile(request.place):
        raise RequestError(f"{path} is the file that is read; name another with {option}")
    if path.exists() and not request.force:
        raise RequestError(f"{path} exists; name another file with {option}, or use --force")


def _draw(source: SyncSource, done: Sequence[SynchronisedStream], path: Path) -> None:
    title = str((source.facts or {}).get("take_id", source.path.name))
    try:
        write_bytes_atomically(path, sync_picture(title, [(one.evidence, one.report) for one in done]))
    except OSError as error:
        raise TakeError(f"{path} cannot be written ({reason(error)}); name another file with --picture") from None


def _digest(source: SyncSource, findings: list[str]) -> str:
    try:
        digest = file_digest(source.path)
    except OSError as error:
        raise RequestError(f"{source.path} cannot be read ({reason(error)}); check it") from None
    if source.sha256 not in (None, digest):
        findings.append(f"{source.path.name} has changed since it was recorded.")
    return digest


def _written(source: SyncSource, request: SyncRequest, digest: str, findings: list[str]) -> list[SynchronisedStream]:
    assert request.output is not None
    with aligned_file(request.output) as file:
        file.add_facts(
            {
                "flex_capture_version": version("flex-capture"),
                "source": source.path.name,
                "source_sha256": digest,
                "bytes_discarded": source.bytes_discarded,
                **(source.facts or {}),
            }
        )
        done = list(synchronised_streams(source, file))
        file.add_facts({"findings": tuple(findings), "notes": source.notes})
        if request.resample_hz is not None:
            gridded = [one.on_grid for one in done if one.on_grid is not None]
            add_grid(file, gridded, request.resample_hz, request.output)
    return done


def _say(
    console: Console, source: SyncSource, request: SyncRequest, reports: list[StreamReport], findings: list[str]
) -> None:
    if reports:
        for line in report_table(reports).splitlines():
            console.line(shown(line))
    for note in source.notes:
        console.line(shown(note))
    for finding in findings:
        console.warning(shown(finding))
    out = [report.stream for report in reports if not report.in_sync]
    said = f"{len(reports) - len(out)} of {len(reports)} streams in sync" if out else f"{len(reports)} streams in sync"
    if not reports:
        said = "no streams"
    saved = " and ".join(str(path) for path in (request.output, request.picture) if path is not None)
    said += f" · saved to {saved}" if saved else ""
    console.line(said, style="bold yellow" if findings or out else "bold green")


def _as_json(
    source: SyncSource,
    request: SyncRequest,
    reports: list[StreamReport],
    digest: str | None,
    findings: list[str],
    *,
    ok: bool,
) -> str:
    content = {
        "source": source.path.name,
        "source_sha256": digest,
        "output": None if request.output is None else str(request.output),
        "picture": None if request.picture is None else str(request.picture),
        "in_order": ok,
        "bytes_discarded": source.bytes_discarded,
        "findings": findings,
        "notes": list(source.notes),
        "streams": [asdict(report) for report in reports],
    }
    return json.dumps(_without_nan(content), indent=2, allow_nan=False)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inside) for key, inside in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
