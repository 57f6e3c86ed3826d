"""While a take runs: what the operator sees and types, and what ends it."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from capture.console import LiveStatus, StreamRow
from capture.disk_watch import DiskWatch
from capture.keyboard import single_keys, typed_keys
from capture.rate_watch import RateWatch
from capture.running_take import RunningTake
from capture.stream_state import StreamState
from capture.take_keys import TakeKeys
from lab.streams import CLOCK_SUFFIX
from storage.reserve import RESERVE_PREFIX

_POLL_S: Final = 0.1
#: As often as streams are looked at and the live table is drawn.
_SHOW_PERIOD_S: Final = 0.25
#: Where no table is drawn.
_LOOK_PERIOD_S: Final = 0.5
_SILENT_AFTER_S: Final = 3.0
#: liblsl probes the clock of a stream every two seconds.
_GONE_AFTER_S: Final = 10.0
#: A device that is away when all others have ended may have ended too; none is waited for longer than this.
_AWAY_AT_THE_END_S: Final = 5.0
#: A take of which nothing arrives any more is ended.
_ALL_AWAY_S: Final = 30.0
#: A watch that came so late knows nothing of what was silent meanwhile.
_LATE_S: Final = 1.0
#: The computer's clock is corrected by less than this at a time where it is kept by a time server.
_CLOCK_SET_S: Final = 0.5


def run_until_stopped(running: RunningTake) -> str:
    """Watch the take until something ends it; return what did."""
    plan, console = running.plan, running.console
    began_s = time.monotonic()
    title = f"{plan.subject} · {plan.action.title} · recording"
    keys = TakeKeys() if console.interactive else None
    if keys is None:
        console.line(f"recording {plan.subject} {plan.action.title}; Ctrl-C stops the take")
    next_show_s = looked_s = began_s
    disk, rates = DiskWatch(running.folder), RateWatch()
    utc_less_session_s = _utc_less_session_s()
    with _keys_of(keys), console.live():
        while True:
            running.look_after_devices()
            running.hear_recorder()
            utc_less_session_s = _note_clock_set(running, utc_less_session_s)
            now_s = time.monotonic()
            reason = _reason_to_stop(running, now_s - began_s) or _typed(running, keys) or _full(running, disk)
            reason = reason or ("remote control" if console.stop_asked() else "")
            if reason:
                break
            late, looked_s = now_s - looked_s > _LATE_S, now_s
            if now_s >= next_show_s and not late:
                _note_departed(running, now_s)
                next_show_s = now_s + (_SHOW_PERIOD_S if console.interactive else _LOOK_PERIOD_S)
                rows = _rows(running, now_s)
                _note_silence(running, rows)
                for sentence in rates.wrong(rows, now_s - began_s):
                    running.warn("rate", sentence)
                hint = "Ctrl-C stops the take" if keys is None else keys.hint
                console.show(_status(running, rows, title, hint, now_s - began_s, disk))
            time.sleep(_POLL_S)
    left = None if keys is None else keys.unfinished()
    if left is not None:
        running.note("note", left.text, left.begun_s)
    return reason


@contextlib.contextmanager
def _keys_of(keys: TakeKeys | None) -> Iterator[None]:
    """Let keys come one by one where somebody types; what was typed before the take does not end it."""
    if keys is None:
        yield
        return
    with single_keys():
        yield


def _typed(running: RunningTake, keys: TakeKeys | None) -> str:
    from pylsl import local_clock

    if keys is None:
        return ""
    try:
        typed = typed_keys()
    except KeyboardInterrupt:
        return "interrupted"
    except EOFError:
        return ""  # the terminal is gone: its end is told by a signal, and devices end by themselves
    for asked in keys.take_in(typed, local_clock()):
        if asked is None:
            return "operator"
        running.note("note", asked.text, asked.begun_s)
    return ""


def _full(running: RunningTake, disk: DiskWatch) -> str:
    """End the take while there is room to close it."""
    try:
        full = disk.is_full() or running.recorder.disk_full
    except OSError as error:
        running.fail("disk_full", f"the disk of {running.folder} is gone ({error.strerror or error}); check it")
        return "the disk is gone"
    if not full:
        return ""
    running.fail("disk_full", f"the disk is full: the take was stopped, and closed with what fitted; {disk.advice}")
    return "the disk is full"


def _utc_less_session_s() -> float:
    from pylsl import local_clock

    return time.time() - float(local_clock())


def _note_clock_set(running: RunningTake, before_s: float) -> float:
    """Say that somebody set this computer's clock; no stamp depends on it."""
    now_s = _utc_less_session_s()
    jump_s = now_s - before_s
    if abs(jump_s) > _CLOCK_SET_S:
        way = "forward" if jump_s > 0 else "back"
        running.warn(
            "clock_set",
            f"this computer's clock was set {way} by {abs(jump_s):.1f} s; the take's own time does not depend on it",
        )
    return now_s


def _reason_to_stop(running: RunningTake, elapsed_s: float) -> str:
    now_s = time.monotonic()
    finite = [device for device in running.devices if not device.process.loops]
    if running.recorder.failure is not None and not running.recorder.disk_full:
        running.fail("recorder_failed", running.recorder.failure)
        return "the recorder failed"
    if running.interruption.requested.is_set():
        return "interrupted"
    if running.plan.duration_s is not None and elapsed_s >= running.plan.duration_s:
        return "duration reached"
    if any(device.process.ended for device in finite) and all(
        device.process.ended or device.down_for_s(now_s) > _AWAY_AT_THE_END_S for device in finite
    ):
        return "all devices ended"
    of_others = any(stream.expected.of_others for stream in running.recorder.streams)
    if not of_others and all(device.down_for_s(now_s) > _ALL_AWAY_S for device in running.devices):
        return "all devices failed"
    return ""


def _rows(running: RunningTake, now_s: float) -> tuple[StreamRow, ...]:
    """Say how each stream is at ``now_s`` (monotonic); ``.clock`` streams go with the ones they belong to."""
    rig = running.plan.rig.rig
    silent_after_s: dict[str, float | None] = {entry.name: entry.silent_after_s for entry in rig.device}
    silent_after_s |= {entry.name: entry.silent_after_s for entry in rig.stream}
    by_name = {supervised.name: supervised for supervised in running.devices}
    rows = []
    for stream in running.recorder.streams:
        name, device = stream.expected.name, stream.expected.device
        if name.endswith(CLOCK_SUFFIX):
            continue
        age_s = now_s - stream.last_seen_s
        allowed_s = _allowed_s(stream, silent_after_s[device])
        supervised = by_name.get(device)
        if supervised is None and _has_departed(stream, now_s):
            state = "GONE"
        elif supervised is not None and supervised.process.ended:
            state = "ended"
        elif supervised is not None and supervised.state != "up":
            state = "FAILED" if supervised.state == "down" else "STARTING"
        else:
            up_s = math.inf if supervised is None else now_s - supervised.since_s
            state = "SILENT" if min(age_s, up_s) > allowed_s else "ok"
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
            if not stream.broken:
                running.recorder.source_died(stream.expected.device)
            running.fail("device_failed", f"stream '{name}' has gone: its publisher does not answer any more; check it")


def _note_silence(running: RunningTake, rows: Sequence[StreamRow]) -> None:
    """Keep in the take that a stream fell silent, once."""
    for row in rows:
        text = f"stream '{row.name}' of device '{row.device}' was silent for more than {row.allowed_s:.0f} s"
        if row.state == "SILENT" and all(event.text != text for event in running.events):
            running.note("silent", text)


def _status(
    running: RunningTake, rows: tuple[StreamRow, ...], title: str, hint: str, elapsed_s: float, disk: DiskWatch
) -> LiveStatus:
    silent = [row for row in rows if row.state == "SILENT"]
    alarms = [f"device '{row.device}' has sent nothing for {row.age_s:.0f} s; check it" for row in silent]
    take_bytes = _bytes_in(running.folder)
    alarms += disk.alarms(take_bytes, elapsed_s)
    return LiveStatus(
        title=title + _counted(running),
        elapsed_s=elapsed_s,
        rows=rows,
        disk_left_bytes=disk.free_bytes,
        take_bytes=take_bytes,
        queue_fill=max((process.progress.queue_fill for process in running.processes), default=0.0),
        hint=hint,
        alarms=(*running.alarms, *running.failures, *alarms),
    )


def _counted(running: RunningTake) -> str:
    count = None if running.counting is None else running.counting.count
    return "" if count is None else f" · {count} of {running.plan.expected_repetitions} repetitions"


def _bytes_in(folder: Path) -> int:
    """Add up what the take has written so far; files are renamed while it ends."""
    total = 0
    for path in folder.iterdir():
        if not path.name.startswith(RESERVE_PREFIX):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
    return total
