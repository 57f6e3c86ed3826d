"""``flex-capture sync``: the streams of an XDF file or a raw take on one clock, as a table and as a file."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import numpy.typing as npt

from capture.console import Console
from capture.output_folder import refuse_recorded_folder
from capture.recovery import recover_met
from capture.rig_file import load_rig
from capture.sync_source import SyncSource, open_source
from capture.sync_terms import StreamTerms
from lab.aligned import AlignedStream, AlignedView, StreamReport, SyncEvidence
from lab.errors import RequestError
from lab.recorded import RecordedStream, RecordedView
from storage.aligned_file import MARKERS, AlignedFile, StreamOrigin, aligned_file, group_names
from storage.checksums import file_digest
from storage.os_errors import reason
from storage.raw_view import frames_of_rows
from storage.recorded_streams import is_camera
from sync.align import align_stream, align_view
from sync.report import report_table
from sync.resampling import Grid, grid_over, kernel_for, resample, sample_period_s

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

#: Streams that lie further apart than this have no common clock: a grid over all of them would be nothing but gaps.
_LONGEST_GRID_S: Final = 7 * 86_400.0
_GRID_BLOCK: Final = 1 << 20
#: Control characters, and those that turn the direction of writing: a name may not steer a terminal.
_UNSHOWN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class SyncRequest:
    """What the operator asked for. ``counters`` and ``latencies`` are as they were typed."""

    place: Path
    output: Path | None
    force: bool
    as_json: bool
    resample_hz: float | None
    rig: Path | None
    counters: tuple[str, ...]
    latencies: tuple[str, ...]


@dataclass(frozen=True)
class _Gridded:
    """A stream that was written and can be put on a grid, with its first and last time."""

    group: str
    from_s: float
    to_s: float


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
            reports = [report for report, _ in _synchronised(source, None)]
            digest = None
        else:
            digest = _digest(source, findings)
            reports = _written(source, request, digest, findings)
    ok = not findings and all(report.in_sync for report in reports)
    if request.as_json:
        click.echo(_as_json(source, request, reports, digest, findings, ok=ok))
    else:
        _say(console, source, request, reports, findings)
    return 0 if ok else 1


def _check_output(request: SyncRequest) -> None:
    """Raise RequestError where the file may not be written; nothing was read yet."""
    output = request.output
    if output is None:
        if request.resample_hz is not None:
            raise RequestError("--resample writes into a file; name it with --output")
        return
    if not output.absolute().parent.is_dir():
        raise RequestError(f"{output.absolute().parent} does not exist; make it, or name another file with --output")
    if output.is_dir():
        raise RequestError(f"{output} is a folder; name a file with --output")
    refuse_recorded_folder(output, request.place)
    if output.exists() and request.place.exists() and output.samefile(request.place):
        raise RequestError(f"{output} is the file that is read; name another with --output")
    if output.exists() and not request.force:
        raise RequestError(f"{output} exists; name another file with --output, or use --force")


def _digest(source: SyncSource, findings: list[str]) -> str:
    try:
        digest = file_digest(source.path)
    except OSError as error:
        raise RequestError(f"{source.path} cannot be read ({reason(error)}); check it") from None
    if source.sha256 not in (None, digest):
        findings.append(f"{source.path.name} has changed since it was recorded.")
    return digest


def _written(source: SyncSource, request: SyncRequest, digest: str, findings: list[str]) -> list[StreamReport]:
    assert request.output is not None
    reports: list[StreamReport] = []
    gridded: list[_Gridded] = []
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
        for report, on_grid in _synchronised(source, file):
            reports.append(report)
            gridded += [on_grid] if on_grid is not None else []
        file.add_facts({"findings": tuple(findings), "notes": source.notes})
        if request.resample_hz is not None:
            _add_grid(file, gridded, request.resample_hz, request.output)
    return reports


def _synchronised(source: SyncSource, file: AlignedFile | None) -> Iterator[tuple[StreamReport, _Gridded | None]]:
    """Put one stream after the other on session time and into the file; each is let go of before the next."""
    named = [(stream.name, stream.stream_id) for stream in source.streams]
    named += [(view.view, view.stream.stream_id) for view in source.views]
    groups = group_names([*named, *([(MARKERS, 0)] if source.markers else [])])
    if file is not None and source.markers:
        file.add_markers(groups.pop(), source.markers)
    while source.streams:
        stream = source.streams.pop(0)
        yield _stream_done(stream, source.terms[stream.name], groups.pop(0), file)
        del stream
    while source.views:
        view = source.views.pop(0)
        yield _view_done(view, source.terms[view.view], groups.pop(0), file), None


def _stream_done(
    recorded: RecordedStream, terms: StreamTerms, group: str, file: AlignedFile | None
) -> tuple[StreamReport, _Gridded | None]:
    stream = terms.described(recorded)
    camera = is_camera(stream)
    if camera:
        aligned, report, evidence = _aligned_rows(stream, terms)
    else:
        aligned, report, evidence = align_stream(stream, *terms.limits)
    report = replace(report, stream=group)
    if file is not None:
        counted = stream.counter is not None or camera
        file.add_stream(
            group, aligned, evidence.sample, _origin(recorded), report, evidence.clock, evidence.gaps_s, counted=counted
        )
    regular = stream.rate_hz > 0 and aligned.values.dtype != object and aligned.values.shape[1] and not camera
    if not regular or aligned.time_s.size < 2:
        return report, None
    return report, _Gridded(group, float(aligned.time_s[0]), float(aligned.time_s[-1]))


def _view_done(view: RecordedView, terms: StreamTerms, group: str, file: AlignedFile | None) -> StreamReport:
    placed, report, evidence = align_view(replace(view, index=np.arange(view.index.size)), *terms.limits)
    report = replace(report, stream=group)
    if file is not None:
        sample = placed.index
        aligned = replace(placed, index=view.index[sample])
        file.add_view(
            group, aligned, sample, view.video_path.name, _origin(view.stream), report, evidence.clock, evidence.gaps_s
        )
    return report


def _aligned_rows(stream: RecordedStream, terms: StreamTerms) -> tuple[AlignedStream, StreamReport, SyncEvidence]:
    """Put the rows of a camera, whose files are not here, on session time as those of a view: by its own clock."""
    view: AlignedView
    view, report, evidence = align_view(frames_of_rows(stream), *terms.limits)
    aligned = AlignedStream(
        name=stream.name,
        device=stream.device,
        content_type=stream.content_type,
        channels=stream.channels,
        rate_hz=stream.rate_hz,
        time_s=view.time_s,
        values=stream.values[view.index],
        counter=view.frame_id,
        simulated=stream.simulated,
    )
    return aligned, report, evidence


def _origin(stream: RecordedStream) -> StreamOrigin:
    return StreamOrigin(stream.name, stream.stream_id, stream.source_id, stream.host, stream.format)


def _add_grid(file: AlignedFile, streams: list[_Gridded], rate_hz: float, output: Path) -> None:
    """Put all regular streams of numbers on one grid, from the first sample of any to the last of any."""
    if not streams:
        raise RequestError("--resample: there is no regular stream of numbers; leave it out")
    first, last = min(streams, key=lambda one: one.from_s), max(streams, key=lambda one: one.to_s)
    if not last.to_s - first.from_s <= _LONGEST_GRID_S:
        raise RequestError(
            f"--resample: {last.group} ends {last.to_s - first.from_s:.3g} s after {first.group} begins; their clocks"
            " were not put together, so there is no common grid"
        )
    grid = grid_over(first.from_s, last.to_s, rate_hz)
    needed = 8 * grid.count * (1 + sum(file.stored(one.group)[2].shape[1] for one in streams))
    free = shutil.disk_usage(output.absolute().parent).free
    if needed > free:
        raise RequestError(
            f"--resample {rate_hz:g} needs {needed / 1e9:.3g} GB beside {output}; {free / 1e9:.3g} GB are free"
        )
    file.begin_grid(rate_hz, grid.count, _grid_times(grid))
    for one in streams:
        time_s, counter, values = file.stored(one.group)
        count = np.arange(time_s.size, dtype=np.int64) if counter is None else counter
        period_s = sample_period_s(time_s, count)
        kernel = kernel_for(1 / period_s, rate_hz)
        facts = {
            "kernel": "linear" if kernel.linear else "windowed sinc",
            "half_width_s": kernel.half_width * period_s,
            "pass_hz": kernel.pass_hz,
            "stop_hz": kernel.stop_hz,
        }
        file.add_resampled(one.group, grid.count, resample(time_s, count, values, grid, kernel), facts)


def _grid_times(grid: Grid) -> Iterator[tuple[int, Float64]]:
    for start in range(0, grid.count, _GRID_BLOCK):
        yield start, grid.time_s(start, min(start + _GRID_BLOCK, grid.count))


def _say(
    console: Console, source: SyncSource, request: SyncRequest, reports: list[StreamReport], findings: list[str]
) -> None:
    if reports:
        for line in report_table(reports).splitlines():
            console.line(_shown(line))
    for note in source.notes:
        console.line(_shown(note))
    for finding in findings:
        console.warning(_shown(finding))
    out = [report.stream for report in reports if not report.in_sync]
    said = f"{len(reports) - len(out)} of {len(reports)} streams in sync" if out else f"{len(reports)} streams in sync"
    if not reports:
        said = "no streams"
    if request.output is not None:
        said += f" · saved to {request.output}"
    console.line(said, style="bold yellow" if findings or out else "bold green")


def _shown(text: str) -> str:
    return _UNSHOWN.sub("\ufffd", text)


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
