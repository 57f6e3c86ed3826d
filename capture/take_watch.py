"""While a take runs: what the operator sees, and what ends it."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from capture.console import LiveStatus, StreamRow
from capture.device_start import POLL_S
from capture.keyboard import enter_pressed
from capture.running_take import RunningTake
from lab.streams import CLOCK_SUFFIX


def run_until_stopped(running: RunningTake) -> str:
    """Watch the take until something ends it; return what did."""
    plan, console = running.plan, running.console
    began_s = time.monotonic()
    title = f"{plan.subject} · {plan.action.title} · recording"
    hint = "Enter stops the take" if console.interactive else "Ctrl-C stops the take"
    if not console.interactive:
        console.line(f"recording {plan.subject} {plan.action.title}; {hint}")
    if console.interactive:
        enter_pressed()  # what was typed before the take began does not end it
    with console.live():
        while True:
            for process in running.processes:
                process.poll()
                if process.failure is not None:
                    running.fail("device_failed", process.failure.sentence)
                for problem in process.progress.problems:
                    running.fail("frames_not_kept", f"device '{process.device}': {problem}")
            elapsed_s = time.monotonic() - began_s
            reason = _reason_to_stop(running, elapsed_s)
            if reason:
                return reason
            console.show(_status(running, title, hint, elapsed_s))
            time.sleep(POLL_S)


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


def _status(running: RunningTake, title: str, hint: str, elapsed_s: float) -> LiveStatus:
    now_s = time.monotonic()
    silent = {device.entry.name: device.entry.silent_after_s for device in running.plan.rig.devices}
    by_name = {process.device: process for process in running.processes}
    rows, alarms = [], list(running.failures)
    for state in running.recorder.streams:
        name, device = state.expected.name, state.expected.device
        if name.endswith(CLOCK_SUFFIX):
            continue
        age_s = now_s - state.last_seen_s
        allowed_s = silent[device] + (2 / state.rate_hz if state.rate_hz else 0)
        word = "ok"
        if by_name[device].failure is not None:
            word = "FAILED"
        elif by_name[device].ended:
            word = "ended"
        elif age_s > allowed_s:
            word = "SILENT"
            alarms.append(f"device '{device}' has sent nothing for {age_s:.0f} s; check it")
            _note_silence(running, device, name, allowed_s)
        rows.append(StreamRow(name, word, state.rate_hz, state.rate_measured_hz(), state.samples, state.lost, age_s))
    return LiveStatus(
        title=title,
        elapsed_s=elapsed_s,
        rows=tuple(rows),
        disk_left_bytes=shutil.disk_usage(running.plan.raw).free,
        take_bytes=_bytes_in(running.folder),
        queue_fill=max((process.progress.queue_fill for process in running.processes), default=0.0),
        hint=hint,
        alarms=tuple(alarms),
    )


def _note_silence(running: RunningTake, device: str, stream: str, allowed_s: float) -> None:
    """Keep in the take that a stream fell silent, once."""
    text = f"stream '{stream}' of device '{device}' was silent for more than {allowed_s:.0f} s"
    if all(event.text != text for event in running.events):
        running.note("silent", text)


def _bytes_in(folder: Path) -> int:
    """Add up what the take has written so far; files are renamed while it ends."""
    total = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
