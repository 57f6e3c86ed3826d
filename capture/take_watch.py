"""While a take runs: what the operator sees, and what ends it."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from capture.console import LiveStatus, StreamRow
from capture.keyboard import enter_pressed
from capture.running_take import RunningTake
from lab.streams import CLOCK_SUFFIX

_POLL_S: Final = 0.05
#: As often as the live table is drawn.
_SHOW_PERIOD_S: Final = 0.125


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
    if all(process.failure is not None for process in running.processes):
        return "all devices failed"
    return ""


def _rows(running: RunningTake, now_s: float) -> tuple[StreamRow, ...]:
    """Say how each stream is at ``now_s`` (monotonic); ``.clock`` streams go with the ones they belong to."""
    silent_after_s = {device.entry.name: device.entry.silent_after_s for device in running.plan.rig.devices}
    by_name = {process.device: process for process in running.processes}
    rows = []
    for stream in running.recorder.streams:
        name, device = stream.expected.name, stream.expected.device
        if name.endswith(CLOCK_SUFFIX):
            continue
        age_s = now_s - stream.last_seen_s
        allowed_s = silent_after_s[device] + (2 / stream.rate_hz if stream.rate_hz else 0)
        if by_name[device].failure is not None:
            state = "FAILED"
        elif by_name[device].ended:
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
