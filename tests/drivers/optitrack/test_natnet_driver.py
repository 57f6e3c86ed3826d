"""The driver against an emulated Motive over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import numpy as np
import pytest
from natnet_bench import CLOCK, column, counters, emulated, frames, motive, opened, read_until, values
from pydantic import ValidationError

from calibration.markers import joints_from_markers
from drivers.driver import TakeStart
from drivers.emulators import natnet as emulator_module
from drivers.emulators.emulator import serving
from drivers.emulators.natnet import NatNetEmulatorConfig
from drivers.optitrack import natnet as driver_module
from drivers.optitrack import natnet_session
from drivers.optitrack.natnet_search import find_servers
from drivers.optitrack.natnet_session import NatNetConfig
from lab.errors import DeviceError
from lab.joints import JOINTS
from lab.marker_map import MarkerMap
from lab.streams import Chunk, StreamSpec

FIRST = 1000  # NatNetEmulatorConfig.first_frame
WAYS = [
    ("2.1", "unicast"),
    ("2.10", "unicast"),
    ("3.1", "multicast"),
    ("3.1", "unicast"),
    ("4.1", "unicast"),
    ("4.2", "multicast"),
]


def joints_of(specs: tuple[StreamSpec, ...], chunks: list[Chunk], marker_map: MarkerMap) -> np.ndarray:
    (spec,) = [spec for spec in specs if spec.name == "markers"]
    found = values(chunks)
    markers = [channel.marker for channel in spec.channels if channel.type == "PositionX"]
    positions = found[:, : 3 * len(markers)].reshape(len(found), -1, 3)
    return joints_from_markers(markers, positions, "meters", marker_map)


@pytest.mark.slow
@pytest.mark.parametrize(("version", "transport"), WAYS)
def test_values_counters_and_times_of_every_version(version: str, transport: str) -> None:
    emulator = emulated(version=version, transport=transport)
    with motive(emulator) as driver:
        specs = driver.streams()
        found = read_until(driver, lambda came: len(came["markers"]) >= 60 and len(came.get("echo", "xxx")) >= 3)
        along = column(driver, "rigid_bodies", "Barbell_A")
    numbers = counters(found["markers"])
    assert (np.diff(numbers) == 1).all()
    index = numbers - FIRST
    exposure_s = emulator.exposure_s(index)
    joints_m = joints_of(specs, found["markers"], MarkerMap.identity())
    np.testing.assert_allclose(joints_m, emulator._stage.joints_m(exposure_s), atol=1e-6)
    device_s = np.array([chunk.device_time_s for chunk in found["markers"]])
    arrival_s = np.array([chunk.arrival_s for chunk in found["markers"]])
    assert (arrival_s > exposure_s).all()
    assert (np.diff(arrival_s) >= 0).all()
    poses = values(found["rigid_bodies"])
    np.testing.assert_allclose(np.linalg.norm(poses[:, along : along + 4], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(counters(found["rigid_bodies"])[:50], numbers[:50])
    if version.startswith("2."):
        assert "echo" not in found
        if version == "2.1":  # its time is a float of 32 bits, too coarse to be one
            assert np.isnan(device_s).all()
            assert specs[0].details["device_time"] == "none"
        else:
            np.testing.assert_allclose(device_s, index / 120, atol=1e-9)
            assert specs[0].details["device_time"] == "software time"
        return
    assert specs[0].details["device_time"] == "mid-exposure"
    np.testing.assert_allclose(device_s, emulator.server_s(exposure_s), atol=2e-7)
    echoes = values(found["echo"])
    truth_s = echoes[:, 0] - emulator.server_s(echoes[:, 1])
    assert (np.abs(truth_s) <= echoes[:, 3] / 2 + 1e-6).all()  # an echo is certain to half its round trip
    best = echoes[np.argmin(echoes[:, 3])]
    # what a later stage does: mid-exposure in host time, through the best echo
    doubt_s = best[3] / 2 + 14e-6 * 5  # the clock drifts on meanwhile
    np.testing.assert_allclose(device_s + best[2], exposure_s, atol=doubt_s + 1e-6)


def test_metadata() -> None:
    with motive(emulated(version="3.1", clock_hz=3_312_787)) as driver:
        markers, skeletons, bodies, echo = driver.streams()
        (remark,) = driver.remarks
    assert (markers.content_type, skeletons.content_type, bodies.content_type) == ("MoCap", "Skeleton", "RigidBody")
    assert {channel.unit for channel in markers.channels} == {"meters"}
    assert markers.channels[0].marker == "Barbell:End1"
    assert [channel.type for channel in bodies.channels] == [
        *("PositionX", "PositionY", "PositionZ", "OrientationA", "OrientationB", "OrientationC", "OrientationD"),
        "MeanError",
    ]
    assert (markers.manufacturer, markers.model, markers.rate_hz) == ("OptiTrack", "Motive", 120.0)
    assert markers.counter_origin == "device"
    latency_s = float(markers.details["latency_by_echo_s"])
    assert 0.006 <= latency_s + 1e-4 < 0.05  # NatNetEmulatorConfig.latency_s, and what this computer takes
    assert f"{latency_s * 1e3:.1f} ms after mid-exposure" in remark
    assert markers.details == {
        "latency_by_echo_s": markers.details["latency_by_echo_s"],
        "natnet_version": "3.1",
        "server": "Motive 3.1.0.1",
        "transport": "unicast",
        "axis_up": "z",
        "device_time": "mid-exposure",
        "server_clock_hz": "3312787",
        "cameras": "2",
    }
    assert (echo.rate_hz, echo.counted, echo.format) == (0.0, False, "double64")


def test_y_up_in_millimetres_is_said_and_comes_right_through_a_map() -> None:
    emulator = emulated(up_axis="y", unit_mm=1.0)
    with motive(emulator) as driver:
        assert driver.streams()[0].details["axis_up"] == "y"
        specs = driver.streams()
        found = read_until(driver, frames(30))
    marker_map = MarkerMap(name="y", up_axis="y", joints={joint: {joint: 1.0} for joint in JOINTS})
    exposure_s = emulator.exposure_s(counters(found["markers"]) - FIRST)
    joints_m = joints_of(specs, found["markers"], marker_map)
    np.testing.assert_allclose(joints_m, emulator._stage.joints_m(exposure_s), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["unicast", "multicast"])
def test_losses_are_found_exactly_whatever_overtakes_or_comes_twice(transport: str) -> None:
    emulator = emulated(transport=transport, rate_hz=240.0, loss=0.05, reorder=0.05, duplicate=0.05)
    with motive(emulator) as driver:
        found = read_until(driver, frames(400))
    numbers = counters(found["markers"])
    assert (np.diff(numbers) > 0).all()
    missing = sorted(set(range(int(numbers[0]), int(numbers[-1]))) - set(numbers.tolist()))
    assert missing == [number for number in emulator.lost if numbers[0] <= number <= numbers[-1]]
    assert len(missing) > 3
    assert [number for number in emulator.reordered if numbers[0] <= number <= numbers[-1]]
    for name in ("skeletons", "rigid_bodies"):
        same = counters(found[name])
        np.testing.assert_array_equal(same[:300], numbers[: len(same)][:300])


def test_hidden_markers_are_missing_though_motive_makes_them_up() -> None:
    emulator = emulated(occlusion=0.2)
    with motive(emulator) as driver:
        specs = driver.streams()
        found = read_until(driver, frames(60))
    joints_m = joints_of(specs, found["markers"], MarkerMap.identity())
    truth_m = emulator._stage.joints_m(emulator.exposure_s(counters(found["markers"]) - FIRST))
    hidden = np.isnan(joints_m).any(axis=2)
    assert 0.1 < hidden.mean() < 0.3
    np.testing.assert_allclose(joints_m[~hidden], truth_m[~hidden], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "moment"), [({"mid_exposure": False}, "camera data received"), ({"clock_hz": 0}, "software time")]
)
def test_device_time_is_what_the_server_knows(options: dict[str, Any], moment: str) -> None:
    with motive(emulated(**options)) as driver:
        assert driver.streams()[0].details["device_time"] == moment
        found = read_until(driver, frames(10))
    assert all(np.isfinite(chunk.device_time_s) for chunk in found["markers"])


def test_other_names_in_a_take_are_an_error_before_a_row_is_mislabelled() -> None:
    emulator = emulated(rename_after_s=0.7)
    with serving(emulator) as reach:
        with opened(reach) as driver:
            seen: list[Chunk] = []
            with pytest.raises(DeviceError, match="'Athlete:head' is 'Athlete:neck' now") as caught:
                read_until(driver, lambda came: bool(seen.extend(came["markers"][len(seen) :])))
            assert len(caught.value.problems) == 1
            specs = driver.streams()
        # what had come is right to the last row
        joints_m = joints_of(specs, seen, MarkerMap.identity())
        truth_m = emulator._stage.joints_m(emulator.exposure_s(counters(seen) - FIRST))
        np.testing.assert_allclose(joints_m, truth_m, atol=1e-6)
        with opened(reach) as driver:  # and opened anew it has the new names, and counts on
            again = read_until(driver, frames(3))
            assert counters(again["markers"])[0] > counters(seen)[-1]
            names = [channel.marker for channel in driver.streams()[0].channels]
            assert names.index("Athlete:neck") < names.index("Athlete:head")


def test_other_names_are_noticed_even_if_the_frame_that_says_so_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_module, "_MODELS_S", 0.3)
    with (
        motive(emulated(rename_after_s=0.3, flag_rename=False)) as driver,
        pytest.raises(DeviceError, match="tracks something else"),
    ):
        read_until(driver, frames(10_000))


@pytest.mark.slow
def test_silence_is_one_sentence_and_opening_anew_goes_on_with_the_count() -> None:
    emulator = emulated(silent_after_s=0.8)
    with serving(emulator) as reach, opened(reach, stall_s=0.6) as driver:
        seen: list[Chunk] = []
        with pytest.raises(DeviceError, match=r"no frame came within 0\.6 s.*check that it is live") as caught:
            read_until(driver, lambda came: bool(seen.extend(came["markers"][len(seen) :])))
        assert len(caught.value.problems) == 1
        assert seen
        with pytest.raises(DeviceError, match="answers, but no frame came"):
            driver.open()


def test_motive_started_again_counts_anew_and_is_opened_anew() -> None:
    emulator = emulated(first_frame=50_000)
    with serving(emulator) as reach:
        with opened(reach, stall_s=3.0) as driver:
            read_until(driver, frames(5))
            emulator._settings = emulator._settings.model_copy(update={"first_frame": 0})
            with pytest.raises(DeviceError, match="began to count its frames anew"):
                read_until(driver, frames(10_000))
        with opened(reach) as driver:
            assert counters(read_until(driver, frames(3))["markers"])[0] < 50_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("emulation", "options", "sentence"),
    [
        ({"transport": "multicast"}, {"transport": "unicast"}, "sends by multicast, but the rig says unicast"),
        ({"transport": "unicast"}, {"transport": "multicast"}, "sends by unicast, but the rig says multicast"),
        ({"unit_mm": 7.0}, {}, "its unit is 7 mm; set its units to metres"),
        ({"answers_models": False}, {}, "does not say what it tracks"),
        ({"silent_after_s": 0.0}, {"stall_s": 0.6}, "answers, but no frame came within"),
        ({"transport": "multicast"}, {"stall_s": 0.6, "group": "239.255.42.98"}, "'interface' in the rig"),
    ],
)
def test_what_is_set_up_wrongly_is_one_sentence(
    emulation: dict[str, Any], options: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(natnet_session, "_CONNECT_S", 1.0)
    threads = threading.active_count()
    with serving(emulated(**emulation)) as reach:
        driver = driver_module.OptitrackNatNet(NatNetConfig.model_validate({**reach, **options}), CLOCK)
        with pytest.raises(DeviceError, match=sentence) as caught:
            driver.open()
        assert len(caught.value.problems) == 1
        assert "\n" not in str(caught.value)
        driver.close()
        driver.close()
    assert threading.active_count() == threads


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-computer.invalid"])
def test_nobody_there(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(natnet_session, "_CONNECT_S", 0.6)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        config = NatNetConfig(host=host, command_port=silent.getsockname()[1])
        driver = driver_module.OptitrackNatNet(config, CLOCK)
        with pytest.raises(DeviceError, match=r"does not answer on UDP port|there is no computer called"):
            driver.open()
    with pytest.raises(DeviceError, match="is not open"):
        driver.read()


@pytest.mark.slow
def test_rubbish_and_strangers_do_no_harm() -> None:
    emulator = emulated(rate_hz=240.0)
    rng = np.random.default_rng(3)
    with motive(emulator) as driver:
        assert driver._session is not None
        assert driver._session._command is not None
        ours = ("127.0.0.1", driver._session._command.local_address[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:

            def throw(came: dict[str, list[Chunk]]) -> bool:
                for _ in range(3):
                    other.sendto(rng.bytes(int(rng.integers(0, 200))), emulator.command_address)
                    other.sendto(b"\x07\x00" + rng.bytes(100), ours)
                    other.sendto(b"\x07\x00\x08\x00" + rng.bytes(8), ours)
                return len(came["markers"]) >= 100

            found = read_until(driver, throw)
        assert sum(driver._session.codec.skipped.values()) > 50
    assert (np.diff(counters(found["markers"])) >= 1).all()
    joints = values(found["markers"])
    assert np.isfinite(joints).any()


def test_a_server_that_changes_its_version_is_opened_anew() -> None:
    emulator = emulated(version="3.1")
    with motive(emulator) as driver:
        assert driver._session is not None
        read_until(driver, frames(3))
        emulator._settings = emulator._settings.model_copy(update={"clock_hz": 5})
        driver._session.send(natnet_session.hello())
        with pytest.raises(DeviceError, match="is another server than before"):
            read_until(driver, frames(10_000))


@pytest.mark.slow
def test_other_names_that_nobody_tells_are_an_error_too() -> None:
    emulator = emulated(rename_after_s=1.0)
    with motive(emulator) as driver:
        emulator._settings = emulator._settings.model_copy(update={"answers_models": False})
        with pytest.raises(DeviceError, match="changed what it tracks and does not say to what"):
            read_until(driver, frames(10_000))


def test_time_code_is_recorded_where_there_is_any() -> None:
    with motive(emulated(time_code=True)) as driver:
        (spec,) = [spec for spec in driver.streams() if spec.name == "timecode"]
        assert [channel.label for channel in spec.channels] == ["hours", "minutes", "seconds", "frames", "subframes"]
        found = read_until(driver, frames(20, "timecode"))["timecode"]
    since_s = (counters(found) - FIRST) / 120
    said = values(found)
    np.testing.assert_array_equal(said[:, 0], 10)
    np.testing.assert_allclose(said[:, 1:] @ [60, 1, 1 / 30, 1 / 120], since_s, atol=1.01 / 120)


@pytest.mark.slow
def test_what_waited_since_before_the_take_is_dropped() -> None:
    emulator = emulated(rate_hz=240.0)
    with motive(emulator) as driver:
        time.sleep(1.2)  # nobody reads, as while a recorder subscribes
        began_s = CLOCK.now_s()
        driver.start(TakeStart("mocap", began_s))
        found = read_until(driver, frames(20))
    numbers = counters(found["markers"])
    # what was sent before is gone; the emulator sends nothing that is older than half a second
    assert emulator.exposure_s(numbers[0] - FIRST) > began_s - 0.6
    assert (np.diff(numbers) >= 1).all()


def test_a_card_that_is_not_there_is_one_sentence() -> None:
    driver = driver_module.OptitrackNatNet(NatNetConfig(host="127.0.0.1", interface="203.0.113.9"), CLOCK)
    with pytest.raises(DeviceError, match=r"has no network card with the address 203\.0\.113\.9"):
        driver.open()


@pytest.mark.slow
def test_a_unicast_client_keeps_itself_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator_module, "_FORGET_AFTER_S", 0.8)
    monkeypatch.setattr(natnet_session, "_KEEP_ALIVE_S", 0.2)
    with motive(emulated(clock_hz=0), stall_s=1.0, echo_s=60) as driver:
        read_until(driver, frames(250))  # two seconds


def test_the_search_finds_each_server_once() -> None:
    with serving(emulated(version="3.1", transport="multicast")) as reach:
        (found,) = find_servers(0.7, reach["command_port"], "127.0.0.1")
        assert found.driver == "optitrack.natnet"
        assert found.what == "Motive 3.1.0.1 at 127.0.0.1, NatNet 3.1, sends by multicast"
        assert found.options["host"] == "127.0.0.1"
        with opened({**reach, **found.options}) as driver:
            read_until(driver, frames(2))
    assert find_servers(0.2, reach["command_port"], "127.0.0.1") == []


def test_an_emulator_is_put_where_a_rig_looks() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        rig = {"host": "127.0.0.1", "command_port": probe.getsockname()[1], "transport": "auto"}
    with motive(emulated(**emulator_module.NatNetEmulator.reached_by(rig))):
        with opened(rig) as driver:
            read_until(driver, frames(2))
        multicast = {**rig, "transport": "multicast", "interface": "127.0.0.1", "group": "239.255.42.97"}
        assert emulator_module.NatNetEmulator.reached_by(multicast)["group"] == "239.255.42.97"


def test_configs_say_what_is_wrong() -> None:
    for wrong in ({"interface": "eth0"}, {"group": "10.0.0.1"}, {"transport": "carrier pigeon"}, {"host": ""}):
        with pytest.raises(ValidationError):
            NatNetConfig.model_validate({"host": "motive", **wrong})
    for version in ("5.0", "1.9", "four"):
        with pytest.raises(ValidationError, match="version"):
            NatNetEmulatorConfig(version=version)
