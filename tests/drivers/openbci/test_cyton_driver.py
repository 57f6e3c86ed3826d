"""The Cyton's driver against an emulated board, over a real line."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emulated_cyton import LINES, Bench, bench, read_until
from pydantic import ValidationError

from drivers.emulators.stage import Stage
from drivers.host_clock import LslClock
from drivers.openbci.cyton import Cyton, CytonConfig
from drivers.openbci.cyton_samples import microvolts_per_count
from drivers.openbci.search import find_dongles
from lab.errors import DeviceError

RESOLUTION_UV = microvolts_per_count(24)


def enough(samples: int) -> Any:
    return lambda have: have["emg"] >= samples


def assert_stopped(made: Bench) -> None:
    """Wait until the board has been told to stop."""
    deadline_s = time.monotonic() + 5
    while made.emulator.board.streaming and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not made.emulator.board.streaming


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("channels", [8, 16])
def test_values_counts_and_arrivals_are_those_of_the_board(line: str, channels: int) -> None:
    with bench(line, channels=channels) as made:
        driver = made.driver()
        driver.open()
        emg_spec, accel_spec = driver.streams()
        assert (emg_spec.content_type, len(emg_spec.channels), emg_spec.counter_origin) == ("EMG", channels, "device")
        assert emg_spec.rate_hz == 2000 / channels
        assert emg_spec.counter_modulus == 2048 // channels
        assert emg_spec.model == ("Cyton" if channels == 8 else "Cyton + Daisy")
        assert emg_spec.details["firmware"] == "v3.1.2"
        assert {channel.unit for channel in emg_spec.channels} == {"microvolts"}
        assert (accel_spec.rate_hz, accel_spec.counter_modulus) == (250.0, 256)
        read = read_until(driver, enough(300))
        driver.close()
        sent = made.sent()
    emg, accel = read["emg"], read["accel"]
    assert np.diff(emg.counters).tolist() == [1] * (len(emg.counters) - 1)
    for count, values in zip(emg.counters.tolist(), emg.values, strict=True):
        true = sent[count][1] if channels == 8 else np.concatenate((sent[2 * count + 1][1], sent[2 * count][1]))
        assert values == pytest.approx(true, abs=RESOLUTION_UV / 100)
    assert float(np.std(emg.values)) > 1.0
    for count, arrival_s, device_s in emg.chunks:
        taken_s = sent[count if channels == 8 else 2 * count + 1][0]
        assert taken_s < arrival_s < taken_s + 1.0
        assert math.isnan(device_s)
    assert np.diff(accel.counters).tolist() == [1] * (len(accel.counters) - 1)
    fresh = ~np.isnan(accel.values).any(axis=1)
    assert 300 / emg_spec.rate_hz * 25 - 4 <= np.count_nonzero(fresh) <= len(fresh) / 9
    assert np.isnan(accel.values[~fresh]).all()
    for count, values in zip(accel.counters[fresh].tolist(), accel.values[fresh], strict=True):
        counts = made.emulator.board.acceleration_counts(sent[count][0])
        assert values == pytest.approx(counts * 0.002 / 16, abs=1e-6)
    assert driver.splitter.skipped == 0


def test_the_athlete_is_who_the_amplifier_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stage, "activation", lambda _self, host_s: np.eye(16)[[3] * len(host_s)])
    with bench() as made:
        driver = made.driver()
        driver.open()
        emg = read_until(driver, enough(250))["emg"]
        driver.close()
    spread_uv = np.std(emg.values, axis=0)
    assert int(np.argmax(spread_uv)) == 3
    assert spread_uv[3] > 10 * np.max(np.delete(spread_uv, 3))


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["lose_every", "cut_every", "flip_every"])
@pytest.mark.parametrize("channels", [8, 16])
def test_what_is_lost_is_missing_and_nothing_else(fault: str, channels: int) -> None:
    with bench(channels=channels, **{fault: 23}) as made:
        driver = made.driver()
        driver.open()
        emg = read_until(driver, enough(250))["emg"]
        driver.close()
        sent = made.sent()
    whole = [
        count
        for count in range(int(emg.counters[0]), int(emg.counters[-1]) + 1)
        if (sent[count][2] if channels == 8 else {sent[2 * count][2], sent[2 * count + 1][2]}) in ("sent", {"sent"})
    ]
    assert emg.counters.tolist() == whole
    assert len(whole) < emg.counters[-1] - emg.counters[0]
    assert (driver.splitter.skipped > 0) == (fault != "lose_every")


@pytest.mark.slow
def test_the_boards_time_comes_with_the_packets() -> None:
    with bench(drift_ppm=2000.0, on_for_s=4294967.0) as made:  # its milliseconds wrap 0.3 s later
        driver = made.driver(board_time=True)
        driver.open()
        read = read_until(driver, enough(500))
        driver.close()
        sent = made.sent()
    emg, accel = read["emg"], read["accel"]
    taken_s = np.array([sent[count][0] for count, _, _ in emg.chunks])
    device_s = np.array([device for _, _, device in emg.chunks])
    # a clock that is fast by 2000 ppm, read in whole milliseconds
    assert device_s - device_s[0] == pytest.approx((taken_s - taken_s[0]) * 1.002, abs=0.0011)
    there = [np.flatnonzero(~np.isnan(axis)) for axis in accel.values.T]
    assert [set((accel.counters[rows] % 256 % 10).tolist()) for rows in there] == [{7}, {8}, {9}]
    assert all(len(rows) > 40 for rows in there)
    assert accel.values[there[2], 2] == pytest.approx(0.97, abs=0.04)
    assert not any(math.isnan(device) for _, _, device in accel.chunks)


def test_old_firmware_sends_no_acceleration_with_its_time() -> None:
    with bench(firmware="v3.1.1") as made:
        driver = made.driver(board_time=True)
        driver.open()
        assert [spec.name for spec in driver.streams()] == ["emg"]
        assert "no whole acceleration" in driver.remarks[0]
        driver.close()
        plain = made.driver()
        plain.open()
        assert [spec.name for spec in plain.streams()] == ["emg", "accel"]
        assert plain.remarks == ()
        plain.close()


def test_a_board_is_wired_as_the_rig_says() -> None:
    with bench() as made:
        driver = made.driver(use=[3, 1], labels=["left", "right"], gain=[8, 1], bias=[False, True], srb2=True)
        driver.open()
        spec = driver.streams()[0]
        assert [channel.label for channel in spec.channels] == ["left", "right"]
        assert (spec.details["inputs"], spec.details["gain"]) == ("3 1", "8 1")
        emg = read_until(driver, enough(100))["emg"]
        driver.close()
        assert_stopped(made)
        commands, sent = made.emulator.board.commands, made.sent()
    assert b"x1000110X" in commands
    assert b"x3040010X" in commands
    assert b"x2160000X" in commands
    assert [command for command in commands if command[:1] != b"x"][-6:] == [b"v", b"/0", b"d", b">", b"b", b"s"]
    count = int(emg.counters[50])
    assert emg.values[50] == pytest.approx(sent[count][1][[2, 0]], abs=RESOLUTION_UV / 100)


def test_eight_channels_of_a_board_with_a_daisy() -> None:
    with bench(channels=16) as made:
        driver = made.driver(channels=8)
        driver.open()
        assert driver.streams()[0].rate_hz == 250.0
        read_until(driver, enough(50))
        driver.close()


@pytest.mark.parametrize(
    ("board", "options", "said"),
    [
        ({"no_board": True}, {}, "the dongle does not hear the board; switch the board on"),
        ({}, {"channels": 16}, "has no Daisy that works"),
        ({"firmware": "v1.0.0"}, {}, "firmware of version 1; update it"),
        ({}, {"use": [9]}, "has 8 channels, but the rig uses channel 9"),
        ({}, {"labels": ["a", "b"]}, "uses 8 channels, but the rig's 'labels' has 2"),
        ({}, {"gain": [1, 2]}, "uses 8 channels, but the rig's 'gain' has 2"),
    ],
)
def test_what_is_wrong_is_one_sentence(board: dict[str, Any], options: dict[str, Any], said: str) -> None:
    with bench(**board) as made:
        driver = made.driver(**options)
        with pytest.raises(DeviceError, match=said) as caught:
            driver.open()
        assert len(caught.value.problems) == 1
        assert "the Cyton on socket://" in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"gain": 3}, {"use": [1, 1]}, {"use": [9], "channels": 8}, {"labels": ["a", "a"]}, {"labels": [""]}, {"port": ""}],
)
def test_what_a_rig_may_not_say(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CytonConfig.model_validate({"port": "COM3", **options})


def test_a_board_out_of_reach_is_a_sentence_and_in_reach_again_goes_on() -> None:
    with bench() as made:
        driver = made.driver(stall_s=0.6)
        driver.open()
        read_until(driver, enough(20))
        made.emulator.radio.clear()
        with pytest.raises(DeviceError, match=r"has sent no packet for \d s; check that the board is on"):
            read_until(driver, enough(10**6))
        with pytest.raises(DeviceError, match="the dongle does not hear the board"):
            driver.open()
        made.emulator.radio.set()
        driver.open()
        read_until(driver, enough(20))
        driver.close()


@pytest.mark.slow
@pytest.mark.parametrize(("away_s", "board_time"), [(0.4, False), (0.4, True), (2.6, True)])
def test_a_way_out_of_reach_is_a_gap_of_the_count(away_s: float, board_time: bool) -> None:
    with bench() as made:
        driver = made.driver(board_time=board_time)
        driver.open()
        assert driver.streams()[0].counter_modulus == (2**24 if board_time else 256)
        before = read_until(driver, enough(20))["emg"]
        made.emulator.radio.clear()
        time.sleep(away_s)
        made.emulator.radio.set()
        after = read_until(driver, enough(60))["emg"]
        driver.close()
        sent = made.sent()
    counters = [*before.counters.tolist(), *after.counters.tolist()]
    assert max(np.diff(counters)) > 125 * away_s
    whole = [n for n in range(counters[0], counters[-1] + 1) if sent[n][2] == "sent"]
    assert counters == whole


@pytest.mark.parametrize("line", LINES)
def test_unplugged_it_is_a_sentence_and_plugged_in_again_it_opens(line: str) -> None:
    with bench(line) as made:
        driver = made.driver()
        driver.open()
        read_until(driver, enough(20))
        made.emulator.unplug()
        with pytest.raises(DeviceError, match=r"broke off|closed the connection") as caught:
            read_until(driver, enough(10**6))
        assert len(caught.value.problems) == 1
        driver.close()
        made.emulator.plug_in()
        again = Cyton(CytonConfig.model_validate(made.emulator.rig_options()), LslClock())
        again.open()
        assert read_until(again, enough(20))["emg"].counters[0] < 256  # it begins anew
        again.close()


def test_a_board_that_streams_from_before_is_set_up_all_the_same() -> None:
    with bench() as made:
        made.emulator.board.hear(b"b", LslClock().now_s())
        for _ in range(2):
            driver = made.driver()
            driver.open()
            read_until(driver, enough(10))
            link = driver._link
            assert link is not None
            link.close()  # as after a crash: nobody has stopped the board
            driver._link = None


def test_the_port_by_its_usb_serial_number(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[SimpleNamespace] = []
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: ports)

    def plug(device: str, serial: str | None, vid: int | None = 0x0403, pid: int | None = 0x6015) -> None:
        ports.append(
            SimpleNamespace(
                device=device, serial_number=serial, vid=vid, pid=pid, product="FT231X", description="FT231X USB UART"
            )
        )

    plug("/dev/ttyS0", None, None, None)
    with bench() as made:
        driver = Cyton(CytonConfig(port="usb:DM00Q0QN"), LslClock())
        with pytest.raises(DeviceError, match="no USB device with the serial number DM00Q0QN is plugged in") as caught:
            driver.open()
        assert "is it one of" not in str(caught.value)
        plug("/dev/ttyUSB9", "DM00ZZZZ")
        with pytest.raises(DeviceError, match=r"is it one of DM00ZZZZ \(/dev/ttyUSB9\)\?"):
            driver.open()
        plug(made.options["port"], "DM00Q0QN")
        driver.open()
        assert driver.streams()[0].serial == "DM00Q0QN"
        driver.close()
        plug("/dev/ttyUSB7", "DM00Q0QN")
        with pytest.raises(DeviceError, match="all have the USB serial number DM00Q0QN; name the port"):
            driver.open()


@pytest.mark.parametrize(
    ("board", "remark"), [({}, "it hears a board"), ({"no_board": True}, "does not hear a board; switch")]
)
def test_dongles_are_found_and_the_board_is_left_alone(
    board: dict[str, Any], remark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench(**board) as made:
        dongle = SimpleNamespace(
            device=made.options["port"], serial_number="DM00Q0QN", vid=0x0403, pid=0x6015, product="", description=""
        )
        other = SimpleNamespace(
            device="/dev/ttyACM0", serial_number="75", vid=0x2341, pid=0x43, product="", description=""
        )
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [dongle, other])
        found = find_dongles(3.0)
        assert made.emulator.board.commands == []
        assert [(each.driver, each.options) for each in found] == [("openbci.cyton", {"port": "usb:DM00Q0QN"})]
        assert remark in found[0].remark
        assert "not asked" in find_dongles(0.0)[0].remark
    assert "does not answer" in find_dongles(1.0)[0].remark


def test_bytes_that_are_no_packets_are_a_stall() -> None:
    with bench() as made:
        driver = made.driver(stall_s=0.5)
        driver.open()
        made.emulator.radio.clear()
        made.emulator._end.send(b"\xa0" * 500)
        with pytest.raises(DeviceError, match=r"bytes were no packets"):
            read_until(driver, enough(10**6))
        driver.close()


def test_closed_at_any_time() -> None:
    with bench() as made:
        driver = made.driver()
        driver.close()
        with pytest.raises(DeviceError, match="is not open"):
            driver.read()
        driver.open()
        driver.close()
        driver.close()
        with pytest.raises(DeviceError, match="is not open"):
            driver.read()
        assert_stopped(made)
