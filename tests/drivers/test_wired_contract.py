"""The contract every driver of a device on a wire keeps, against its emulator, over real sockets and lines."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from drivers.driver import Driver, TakeStart
from drivers.emulators.emulator import EMULATORS, Emulator, find_emulator
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.registry import BUILT_IN, driver_names, find_driver
from lab.errors import DeviceError
from lab.streams import COUNTER_LABEL, FRAME_LABELS, Chunk, Frame

#: test_contract.py has these.
PLAYED = {name for name in BUILT_IN if name.startswith(("simulated.", "replay."))}
#: Cameras that no protocol of ours serves: tests/drivers/cameras has what their kernel or vendor would give.
BELOW_A_VENDOR = {"camera.v4l2", "camera.opencv", "camera.basler"}
DTYPES = {"float32": np.float32, "double64": np.float64, "int32": np.int32, "string": object}
MOST_WAIT_S = 30.0


@dataclass(frozen=True)
class Wire:
    """What a rig says beside the emulator's address, and what the emulator is told."""

    rig: dict[str, Any] = field(default_factory=dict)
    emulator: dict[str, Any] = field(default_factory=dict)


WIRES = {
    "camera.network": Wire(emulator={"width": 320, "height": 240}),
    "delsys.trigno": Wire(emulator={"first_data_s": 0.1}),
    "openbci.cyton": Wire(emulator={"port": 0}),
    "optitrack.natnet": Wire(),
    "qualisys.qtm": Wire({"components": ["markers", "skeleton", "analog"]}),
    "records.serial": Wire(),
    "records.tcp": Wire(),
    "records.udp": Wire(),
    "zephyr.bioharness": Wire({"signals": ["rates", "ecg"]}, {"port": 0}),
}


class Bench:
    """An emulated device and what a rig says to reach it; unplugged and plugged in at will."""

    def __init__(self, name: str) -> None:
        self.kind, emulated = find_driver(name), find_emulator(name)
        config = emulated.Config.model_validate(WIRES[name].emulator)
        self._emulator: Emulator = emulated(config, Stage(StageConfig(repetitions=1), LslClock().now_s()))
        self._stop = threading.Event()
        self._emulator.open()
        self.options = {**self._emulator.rig_options(), **WIRES[name].rig}
        self._thread = threading.Thread(target=self._emulator.serve, args=(self._stop,))
        self._thread.start()

    def driver(self) -> Driver:
        return self.kind(self.kind.Config.model_validate(self.options), LslClock())

    def switch_off(self) -> None:
        self._stop.set()
        self._thread.join()
        self._emulator.close()


@pytest.fixture(params=sorted(WIRES))
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(request.param)
    yield made
    made.switch_off()


@pytest.fixture
def driver(bench: Bench) -> Iterator[Driver]:
    made = bench.driver()
    yield made
    made.close()


def pieces(driver: Driver, enough: int) -> Iterator[Chunk | Frame]:
    """Give what is read until there are ``enough`` and every stream of regular samples has sent something."""
    regular = {spec.name for spec in driver.streams() if spec.rate_hz > 0}
    deadline_s, came, seen = time.monotonic() + MOST_WAIT_S, 0, set()
    while came < enough or not regular <= seen:
        assert time.monotonic() < deadline_s, f"only {came} pieces, of {sorted(seen)}, came in {MOST_WAIT_S:g} s"
        piece = driver.read()
        if piece is not None:
            came += 1
            seen.add(piece.stream)
            yield piece


def test_every_registered_driver_is_tried_somewhere() -> None:
    assert set(WIRES) | BELOW_A_VENDOR | PLAYED == set(BUILT_IN) == set(driver_names())
    assert set(EMULATORS) == set(WIRES)


def test_configs_are_frozen_closed_and_described(bench: Bench) -> None:
    kind = bench.kind
    assert all(field.description for field in kind.Config.model_fields.values())
    config = kind.Config.model_validate(bench.options)
    with pytest.raises(ValidationError):
        kind.Config.model_validate({**bench.options, "no_such_option": 1})
    with pytest.raises(ValidationError):
        setattr(config, next(iter(kind.Config.model_fields)), None)
    assert kind.Config.model_validate(config.model_dump(mode="json")) == config


def test_metadata_is_complete(driver: Driver) -> None:
    driver.open()
    specs = driver.streams()
    assert specs == driver.streams()
    assert len({spec.name for spec in specs}) == len(specs)
    for spec in specs:
        labels = [channel.label for channel in spec.channels]
        assert spec.content_type
        assert spec.manufacturer or spec.model or "records" in type(driver).__module__
        assert len(set(labels)) == len(labels) > 0
        assert COUNTER_LABEL not in labels
        assert spec.format in DTYPES
        if spec.video is not None:
            assert tuple(labels) == FRAME_LABELS
        else:
            assert all(channel.label.isprintable() for channel in spec.channels)
            assert all(channel.type for channel in spec.channels)


def test_pieces_fit_what_was_announced_and_counters_advance(driver: Driver) -> None:
    threads = set(threading.enumerate())
    driver.close()
    driver.open()
    specs = {spec.name: spec for spec in driver.streams()}
    last: dict[str, int] = {}
    last_arrival_s = -np.inf
    for _ in range(2):  # a device that runs by itself does not begin anew for a take
        driver.start(TakeStart("device", LslClock().now_s()))
        for piece in pieces(driver, 8):
            spec = specs[piece.stream]
            assert last_arrival_s <= piece.arrival_s <= LslClock().now_s()
            last_arrival_s = piece.arrival_s
            if isinstance(piece, Frame):
                assert spec.video is not None
                assert piece.data[:2] == b"\xff\xd8"
                counters = np.array([piece.frame_id])
            else:
                assert piece.values.shape == (len(piece.counters), len(spec.channels))
                assert piece.values.dtype == DTYPES[spec.format]
                assert piece.counters.dtype == np.int64
                counters = piece.counters
            if spec.counted or spec.video is not None:
                assert len(counters) > 0
                assert (np.diff(counters) > 0).all()
                assert counters[0] > last.get(piece.stream, -1)
                last[piece.stream] = int(counters[-1])
    driver.close()
    driver.close()
    left = {thread.name for thread in set(threading.enumerate()) - threads}
    assert left <= {"camera-client"}  # the emulator's own


@pytest.mark.slow
def test_it_is_opened_again_while_the_device_believes_in_the_old_connection(bench: Bench) -> None:
    first, second = bench.driver(), bench.driver()
    try:
        first.open()
        layout = [(spec.name, spec.channels) for spec in first.streams()]
        for _ in pieces(first, 3):
            pass
        if not bench.options.get("port"):  # a line has one reader
            second.open()
            assert [(spec.name, spec.channels) for spec in second.streams()] == layout
        first.close()
        first.open()
        for _ in pieces(first, 3):
            pass
    finally:
        first.close()
        second.close()


def test_a_device_that_is_not_there_is_one_sentence(bench: Bench) -> None:
    made = bench.driver()
    bench.switch_off()
    if isinstance(bench.options.get("bind_port"), int):
        return  # a port on which others send is there
    with pytest.raises(DeviceError) as caught:
        made.open()
    assert len(caught.value.problems) == 1
    assert "\n" not in caught.value.problems[0]
    made.close()


@pytest.mark.slow
def test_a_device_that_goes_is_one_sentence_and_its_driver_can_be_closed(bench: Bench) -> None:
    bench.options |= {"stall_s": max(1.0, least_stall_s(bench))}
    made = bench.driver()
    made.open()
    for _ in pieces(made, 3):
        pass
    bench.switch_off()
    deadline_s = time.monotonic() + MOST_WAIT_S
    with pytest.raises(DeviceError) as caught:
        list(itertools.takewhile(lambda _: time.monotonic() < deadline_s, iter(made.read, object())))
    assert len(caught.value.problems) == 1
    made.close()
    made.close()


def least_stall_s(bench: Bench) -> float:
    bounds = bench.kind.Config.model_fields["stall_s"].metadata
    return max((getattr(rule, "ge", 0.0) or 0.0 for rule in bounds), default=0.0)
