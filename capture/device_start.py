"""Before a take: workers come up, their streams are found, and everything missing is named at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from capture.device_process import DeviceProcess, wait_until
from capture.messages import Subscribe
from capture.stream_state import ExpectedStream
from lab.errors import DeviceError, RigError
from lab.streams import CLOCK_SUFFIX

_SUBSCRIBE_S: Final = 15.0


def wait_for_devices(processes: Sequence[DeviceProcess], wait_s: float) -> None:
    """Wait until every worker has opened its device.

    Raises DeviceError with a sentence a device that failed or did not come.
    """
    waiting = wait_until(processes, lambda process: process.ready is not None, wait_s)
    problems = [process.failure.sentence for process in processes if process.failure is not None]
    problems += [
        f"device '{process.device}' did not open within {wait_s:.0f} s; check that it is switched on and connected"
        for process in waiting
    ]
    if problems:
        raise DeviceError(*problems)


def expected_streams(processes: Sequence[DeviceProcess]) -> list[ExpectedStream]:
    """Return all streams that the ready workers publish. Raises RigError where two of them have one name."""
    expected: list[ExpectedStream] = []
    for process in processes:
        assert process.ready is not None
        specs = {spec.published_name(process.device): spec for spec in process.specs}
        for name, source_id in process.ready.sources.items():
            main = specs.get(name) or specs[name.removesuffix(CLOCK_SUFFIX)]
            silent = main.rate_hz <= 0  # events come when they come
            expected.append(ExpectedStream(name, process.device, source_id, specs.get(name), may_be_silent=silent))
    names = Counter(stream.name for stream in expected)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise RigError(*(f"two streams are called '{name}'; give the devices other names in the rig" for name in twice))
    return expected


def wait_for_subscriptions(processes: Sequence[DeviceProcess]) -> None:
    """Wait until every worker sees a consumer on each of its streams. Raises DeviceError."""
    for process in processes:
        process.send(Subscribe())
    wait_until(processes, lambda process: process.subscribed is not None, _SUBSCRIBE_S)
    problems = [
        f"the streams of device '{process.device}' could not be subscribed to; check the firewall"
        if process.failure is None
        else process.failure.sentence
        for process in processes
        if not process.subscribed
    ]
    if problems:
        raise DeviceError(*problems)
