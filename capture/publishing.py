"""Devices published for others, without a take: until Ctrl-C they play while somebody listens."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from capture.console import Console, LiveStatus, StreamRow
from capture.device_process import DeviceProcess, close_all, remarks_of, wait_until
from capture.device_start import expected_streams, wait_for_devices
from capture.interruption import Interruption
from capture.messages import Start, Stop
from capture.supervision import Restart, SupervisedDevice, supervise
from capture.visible_streams import visible_streams
from capture.worker import WorkerTask
from lab.device_names import device_name
from lab.errors import DeviceError
from lab.streams import StreamSpec
from storage.toml_text import toml_value

#: A recorder subscribes to one stream after the other; this long after the first, playing begins.
_LEAD_S: Final = 1.0
#: Nobody listens any more; a recorder that lost its connection is back sooner.
_LEFT_S: Final = 1.0
_POLL_S: Final = 0.05
_SHOW_PERIOD_S: Final = 0.125
_STOP_GRACE_S: Final = 5.0
_LOOK_S: Final = 0.5
_SILENT_AFTER_S: Final = 3.0
#: Publishing of which nothing is left any more is ended.
_ALL_AWAY_S: Final = 30.0


@dataclass(frozen=True)
class PublishPlan:
    """What is to be published and for how long.

    With ``at_once`` devices begin to play now instead of when somebody subscribes, and all is over when they have
    played. ``duration_s`` None: until Ctrl-C.
    """

    title: str
    tasks: tuple[WorkerTask, ...]
    wait_s: float
    at_once: bool
    duration_s: float | None


@dataclass
class _Counted:
    """What is known of a stream from the worker's counts."""

    device: SupervisedDevice
    name: str
    spec: StreamSpec
    samples: int = 0
    first_s: float = math.nan
    first_samples: int = 0
    changed_s: float = math.nan


@dataclass
class _Publishing:
    plan: PublishPlan
    console: Console
    devices: list[SupervisedDevice]
    streams: list[_Counted]
    began_s: float
    start: Start | None = None
    heard_s: float = math.nan
    failures: list[str] = field(default_factory=list)

    @property
    def playing(self) -> bool:
        """Whether the devices play."""
        return self.start is not None


def publish(plan: PublishPlan, console: Console, interruption: Interruption) -> int:
    """Publish the devices of a plan; return 0, or 3 where one of them failed while the others went on.

    Raises DeviceError where a device does not come, is a camera, or is published by somebody already.
    """
    processes: list[DeviceProcess] = []
    try:
        with console.waiting(f"starting {len(plan.tasks)} devices"):
            processes.extend(DeviceProcess(task) for task in plan.tasks)
            wait_for_devices(processes, plan.wait_s)
            _refuse_cameras(processes)
            _refuse_twins(processes)
        for remark in remarks_of(processes):
            console.warning(remark)
        devices = [SupervisedDevice(process, specs=process.specs) for process in processes]
        streams = [
            _Counted(device, spec.published_name(device.name), spec) for device in devices for spec in device.specs
        ]
        for line in _rig_lines(streams):
            console.line(line)
        interruption.defer()
        publishing = _Publishing(plan, console, devices, streams, time.monotonic())
        with console.live():
            reason = _run(publishing, interruption)
        console.line(reason)
        for failure in publishing.failures:
            console.error(failure)
        return 3 if publishing.failures else 0
    finally:
        close_all(processes)


def _refuse_cameras(processes: Sequence[DeviceProcess]) -> None:
    cameras = [process.device for process in processes if any(spec.video is not None for spec in process.specs)]
    if cameras:
        raise DeviceError(*(camera_sentence(name) for name in cameras))


def camera_sentence(name: str) -> str:
    """Say why a camera is not published."""
    return f"device '{name}' is a camera, and video cannot go through LSL; record it where it is plugged in"


def _refuse_twins(processes: Sequence[DeviceProcess]) -> None:
    own = {stream.source_id: stream for stream in expected_streams(processes)}
    seen = [stream for stream in visible_streams(_LOOK_S) if stream.source_id in own]
    sources = [stream.source_id for stream in seen]
    twins = sorted({source for source in sources if sources.count(source) > 1 and own[source].spec is not None})
    if twins:
        raise DeviceError(
            *(f"stream '{own[source].name}' is published already (source_id '{source}'); end that first"
              for source in twins)
        )  # fmt: skip


def _rig_lines(streams: Sequence[_Counted]) -> list[str]:
    """Return what a rig elsewhere says to record these streams."""
    lines = ["to record them elsewhere, put into the rig there:", ""]
    for stream in streams:
        ready = stream.device.process.ready
        assert ready is not None
        source_id = toml_value(ready.sources[stream.name])
        lines += ["[[stream]]", f'name = "{device_name(stream.name)}"', f"source_id = {source_id}", ""]
    return lines


def _run(publishing: _Publishing, interruption: Interruption) -> str:
    """Play while somebody listens; return why it ended."""
    plan, next_show_s = publishing.plan, 0.0
    while True:
        now_s = time.monotonic()
        _hear(publishing, now_s)
        alive = [device.process for device in publishing.devices if device.state == "up"]
        if interruption.requested.is_set():
            return "stopped"
        if plan.duration_s is not None and now_s - publishing.began_s >= plan.duration_s:
            return "duration reached"
        if all(device.down_for_s(now_s) > _ALL_AWAY_S for device in publishing.devices):
            return "all devices failed"
        if plan.at_once and publishing.playing and alive and all(process.ended for process in alive):
            return "all is played"
        _play_or_rest(publishing, alive, now_s)
        if now_s >= next_show_s:
            next_show_s = now_s + _SHOW_PERIOD_S
            publishing.console.show(_status(publishing, now_s))
        time.sleep(_POLL_S)


def _hear(publishing: _Publishing, now_s: float) -> None:
    restart = Restart(publishing.start, publishing.plan.wait_s, subscribed=False)
    for device in publishing.devices:
        counted = {stream.name: stream.samples for stream in publishing.streams if stream.device is device}
        for change in supervise(device, restart, counted):
            if change.kind == "device_failed" and change.text not in publishing.failures:
                publishing.failures.append(change.text)
    for stream in publishing.streams:
        device = stream.device
        samples = device.counted_before.get(stream.name, 0) + device.process.progress.published.get(stream.name, 0)
        if samples != stream.samples:
            stream.samples, stream.changed_s = samples, now_s
            if math.isnan(stream.first_s):
                stream.first_s, stream.first_samples = now_s, samples
    if any(device.process.progress.consumers for device in publishing.devices if device.state == "up"):
        publishing.heard_s = now_s


def _play_or_rest(publishing: _Publishing, alive: Sequence[DeviceProcess], now_s: float) -> None:
    from pylsl import local_clock

    listening = now_s - publishing.heard_s < _LEFT_S  # False while nobody ever did
    if not publishing.playing and (listening or publishing.plan.at_once):
        publishing.start = Start(local_clock() + _LEAD_S, None, None)
        for process in alive:
            process.ended, process.stopped = False, None
            process.send(publishing.start)
        for device in publishing.devices:
            device.counted_before = {}
        for stream in publishing.streams:
            stream.samples, stream.first_s = 0, math.nan
            stream.changed_s = now_s + _LEAD_S
    elif publishing.playing and not listening and not publishing.plan.at_once:
        for process in alive:
            process.send(Stop())
        wait_until(alive, lambda process: process.stopped is not None, _STOP_GRACE_S)
        publishing.start = None


def _status(publishing: _Publishing, now_s: float) -> LiveStatus:
    rows = tuple(_row(publishing, stream, now_s) for stream in publishing.streams)
    silent = [row for row in rows if row.state == "SILENT"]
    if not publishing.playing:
        foot = "waiting for somebody to subscribe"
    elif all(row.state == "ended" for row in rows):
        foot = "all is played; it begins anew when somebody subscribes again"
    else:
        foot = "somebody listens" if now_s - publishing.heard_s < _LEFT_S else "nobody listens"
    return LiveStatus(
        title=publishing.plan.title,
        elapsed_s=now_s - publishing.began_s,
        rows=rows,
        disk_left_bytes=0,
        take_bytes=0,
        queue_fill=0.0,
        hint="Ctrl-C stops",
        alarms=(
            *publishing.failures,
            *(f"device '{row.device}' has sent nothing for {row.age_s:.0f} s; check it" for row in silent),
        ),
        foot=foot,
    )


def _row(publishing: _Publishing, stream: _Counted, now_s: float) -> StreamRow:
    regular = stream.spec.rate_hz > 0
    age_s = now_s - stream.changed_s if stream.samples and publishing.playing else math.nan
    allowed_s = _SILENT_AFTER_S + 2 / stream.spec.rate_hz if regular else math.inf
    if stream.device.state != "up":
        state = "FAILED" if stream.device.state == "down" else "STARTING"
    elif not publishing.playing:
        state = "waiting"
    elif stream.device.process.ended:
        state = "ended"
    else:
        state = "SILENT" if now_s - stream.changed_s > allowed_s else "ok"
    since_s = stream.changed_s - stream.first_s
    return StreamRow(
        name=stream.name,
        device=stream.device.name,
        state=state,
        rate_asked_hz=stream.spec.rate_hz,
        rate_measured_hz=(stream.samples - stream.first_samples) / since_s if since_s > 1 else math.nan,
        samples=stream.samples,
        lost=0,
        age_s=math.nan if math.isnan(age_s) else max(0.0, age_s),
        allowed_s=allowed_s,
    )
