"""The end of a take: stop, drain, close, seal."""

from __future__ import annotations

from typing import Final

from capture.device_process import close_all, wait_until
from capture.messages import Failed, Stop
from capture.running_take import FinishedTake, RunningTake
from capture.take_json import closing_record, read_anchor
from lab.errors import TakeError
from lab.take import TakeRecord
from storage.checksums import write_sums
from storage.reserve import give_up_reserve, make_room
from storage.take_folder import finish_part, streams_path, write_record

_STOP_GRACE_S: Final = 10.0
_DRAIN_GRACE_S: Final = 3.0


def finish_take(running: RunningTake, record: TakeRecord, reason: str) -> FinishedTake:
    """Stop, drain, close and seal. Nothing that arrived is given up, whatever has failed."""
    folder, stopped = running.folder, read_anchor()
    running.note("stop", reason)
    if any(event.kind == "disk_full" for event in running.events):
        make_room(folder)  # what else fills the disk finds it full before the rest is given up
    give_up_reserve(folder)  # closing takes room
    for device in running.devices:
        if device.state != "up":
            # said instead of why it failed last, which was told when it did, or of what its next try may yet say
            device.process.hang_up()
            device.process.failure = Failed(f"device '{device.name}' was not back when the take ended; check it")
    for process in running.processes:
        process.send(Stop())
    for process in wait_until(running.processes, lambda process: process.stopped is not None, _STOP_GRACE_S):
        running.fail("device_failed", f"device '{process.device}' did not stop within {_STOP_GRACE_S:.0f} s")
    running.hear_devices()
    running.hear_recorder()
    published = running.published()
    if running.recorder.failure is None:
        for problem in running.recorder.drain(published, _DRAIN_GRACE_S, stopped.session_s):
            running.fail("tail_lost", problem)
    try:
        running.recorder.close()
    except TakeError as error:
        running.fail("recorder_failed", str(error))
    finish_part(streams_path(folder))
    close_all(running.processes)
    try:
        final = closing_record(running, record, stopped, reason)
        write_record(folder, final)
        write_sums(folder)
    except (OSError, TakeError) as error:
        raise TakeError(
            *running.failures,
            f"{folder} could not be closed ({error}); what was recorded is kept there: make room on the disk, then run"
            f" `flex-capture recover {folder}`",
        ) from error
    return FinishedTake(folder, final, tuple(running.failures))
