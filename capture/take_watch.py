"""While a take runs: what the operator sees, and what ends it."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from capture.console import LiveStatus, StreamRow
from capture.keyboard import enter_pressed
from capture.recorder import StreamState
from capture.running_take import RunningTake
from lab.streams import CLOCK_SUFFIX

_POLL_S: Final = 0.05
#: As often as the live table is drawn.
_SHOW_PERIOD_S: Final = 0.125
_SILENT_AFTER_S: Final = 3.0
#: liblsl probes the clock of a stream every two seconds.
_GONE_AFTER_S: Final = 10.0


def run_until_stopped(running: RunningTake) -> str:
    """Watch the take until something ends it; return what did."""
    plan, console = running.plan, running.console
    began_s = time.monotonic()
    title = f"{plan.subject} · {plan.action.title} · recording"
    if console.interactive:
        hint = "Enter stops the take"
        enter_pressed()  # what was typed before the take began does not end it
    else:
        hint = "Ctrl-C stops the take"
        console.line(f"recording {plan.subject} {plan.action.title}; {hint}")
    next_show_s = began_s
    with console.live():
        while True:
            running.hear_devices()
            now_s = time.monotonic()
            reason = _reason_to_stop(running, now_s - began_s)
            if reason:
                return reason
            if now_s >= next_show_s:
                _note_departed(running, now_s)
                next_show_s = now_s + _SHOW_PERIOD_S
                rows = _rows(running, now_s)
                _note_silence(running, rows)
                console.show(_status(running, rows, title, hint, now_s - began_s))
            time.sleep(_POLL_S)


def _reason_to_stop(running: RunningTake, elapsed_s: float) -> str:
    finite = [process for process in running.processes if not process.loops]
    if running.recorder.failure is not None:
        running.fail("recorder_failed", running.recorder.failure)
        return "the recorder failed"
    if running.interruption.requested.is_set():
        return "interrupted"
    if running.console.interactive and enter_pressed():
        return "operator"
    if running.plan.duration_s is not None and elapsed_s >= running.plan.duration_s:
        return "duration reached"
    if finite and all(process.ended or process.failure is not None for process in finite):
        return "all devices ended"
    of_others = any(stream.expected.of_others for stream in running.recorder.streams)
    if not of_others and all(process.failure is not None for process in running.processes):
        return "all devices failed"
    return ""


def _rows(running: RunningTake, now_s: float) -> tuple[StreamRow, ...]:
    """Say how each stream is at ``now_s`` (monotonic); ``.clock`` streams go with the ones they belong to."""
    rig = running.plan.rig.rig
    silent_after_s: dict[str, float | None] = {entry.name: entry.silent_after_s for entry in rig.device}
    silent_after_s |= {entry.name: entry.silent_after_s for entry in rig.stream}
    by_name = {process.device: process for process in running.processes}
    rows = []
    for stream in running.recorder.streams:
        name, device = stream.expected.name, stream.expected.device
        if name.endswith(CLOCK_SUFFIX):
            continue
        age_s = now_s - stream.last_seen_s
        allowed_s = _allowed_s(stream, silent_after_s[device])
        process = by_name.get(device)
        if process is None and _has_departed(stream, now_s):
            state = "GONE"
        elif process is not None and process.failure is not None:
            state = "FAILED"
        elif process is not None and process.ended:
            state = "ended"
        else:
            state = "SILENT" if age_s > allowed_s else "ok"
        rows.append(
            StreamRow(
                name=name,
                device=device,
                state=state,
                rate_asked_hz=stream.rate_hz,
                rate_measured_hz=stream.rate_measured_hz(),
                samples=stream.samples,
                lost=stream.lost,
                age_s=age_s,
                allowed_s=allowed_s,
            )
        )
    return tuple(rows)


def _allowed_s(stream: StreamState, silent_after_s: float | None) -> float:
    """Return how long a stream may send nothing: for ever where it is irregular, unless the rig says otherwise."""
    if stream.expected.spec is None or stream.expected.spec.rate_hz <= 0:
        return silent_after_s if stream.expected.of_others and silent_after_s is not None else math.inf
    return (_SILENT_AFTER_S if silent_after_s is None else silent_after_s) + 2 / stream.expected.spec.rate_hz


def _has_departed(stream: StreamState, now_s: float) -> bool:
    """Whether nobody answers for a stream of others: then no clock can be probed, even where it has nothing to send."""
    return stream.expected.of_others and (stream.gone or now_s - stream.last_probe_s > _GONE_AFTER_S)


def _note_departed(running: RunningTake, now_s: float) -> None:
    """Keep in the take that the publisher of a stream of others has gone; the other streams go on."""
    for stream in running.recorder.streams:
        name = stream.expected.name
        if not name.endswith(CLOCK_SUFFIX) and _has_departed(stream, now_s):
            running.fail("device_failed", f"stream '{name}' has gone: its publisher does not answer any more; check it")


def _note_silence(running: RunningTake, rows: Sequence[StreamRow]) -> None:
    """Keep in the take that a stream fell silent, once."""
    for row in rows:
        text = f"stream '{row.name}' of device '{row.device}' was silent for more than {row.allowed_s:.0f} s"
        if row.state == "SILENT" and all(event.text != text for event in running.events):
            running.note("silent", text)


def _status(running: RunningTake, rows: tuple[StreamRow, ...], title: str, hint: str, elapsed_s: float) -> LiveStatus:
    silent = [row for row in rows if row.state == "SILENT"]
    alarms = [f"device '{row.device}' has sent nothing for {row.age_s:.0f} s; check it" for row in silent]
    return LiveStatus(
        title=title,
        elapsed_s=elapsed_s,
        rows=rows,
        disk_left_bytes=shutil.disk_usage(running.plan.raw).free,
        take_bytes=_bytes_in(running.folder),
        queue_fill=max((process.progress.queue_fill for process in running.processes), default=0.0),
        hint=hint,
        alarms=(*running.failures, *alarms),
    )


def _bytes_in(folder: Path) -> int:
    """Add up what the take has written so far; files are renamed while it ends."""
    total = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
