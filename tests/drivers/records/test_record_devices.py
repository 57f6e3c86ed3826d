"""The drivers with emulated devices at the other end of a real line, connection or port."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from drivers.driver import Driver
from drivers.emulators.emulator import find_emulator, serving
from drivers.emulators.records import RecordsEmulator
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.links.usb_port import UsbPort
from drivers.registry import find_driver
from lab.errors import DeviceError
from lab.streams import Chunk

LINKS = ["records.serial", "records.tcp", "records.udp"]
RATES = [
    {"label": "heart_rate", "unit": "1/min", "channel_type": "HeartRate"},
    {"label": "breath_rate", "unit": "1/min", "channel_type": "BreathRate", "scale": 0.1},
]


def emulator_of(driver: str, **config: Any) -> RecordsEmulator:
    kind = find_emulator(driver)
    stage = Stage(StageConfig(repetitions=3, begin_s=0), LslClock().now_s())
    made = kind(kind.Config.model_validate(config), stage)
    assert isinstance(made, RecordsEmulator)
    return made


def driver_of(name: str, options: dict[str, Any]) -> Driver:
    kind = find_driver(name)
    return kind(kind.Config.model_validate(options), LslClock())


@contextmanager
def opened(name: str, emulator: RecordsEmulator, **options: Any) -> Iterator[Driver]:
    with serving(emulator) as reached:
        driver = driver_of(name, {**reached, **options})
        try:
            driver.open()
            yield driver
        finally:
            driver.close()


def read_until(driver: Driver, enough: Callable[[list[Chunk]], bool], limit_s: float = 20.0) -> list[Chunk]:
    chunks: list[Chunk] = []
    deadline_s = time.monotonic() + limit_s
    while not enough(chunks):
        assert time.monotonic() < deadline_s, f"{len(chunks)} chunks, no more"
        chunk = driver.read()
        if isinstance(chunk, Chunk):
            chunks.append(chunk)
    return chunks


def samples(count: int) -> Callable[[list[Chunk]], bool]:
    return lambda chunks: sum(len(chunk.counters) for chunk in chunks) >= count


def joined(chunks: list[Chunk]) -> tuple[Any, Any]:
    return np.concatenate([chunk.counters for chunk in chunks]), np.concatenate([chunk.values for chunk in chunks])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "binary"])
@pytest.mark.parametrize("name", LINKS)
def test_values_are_those_that_were_sent(name: str, form: str) -> None:
    emulator = emulator_of(name, format=form, rate_hz=2000, together=20, first_count=65000)
    with opened(name, emulator) as driver:
        (spec,) = driver.streams()
        assert (spec.content_type, spec.counter_origin, spec.counter_modulus) == ("EMG", "device", 65536)
        assert [channel.label for channel in spec.channels] == ["emg_1", "emg_2", "emg_3", "emg_4"]
        assert {(channel.unit, channel.type) for channel in spec.channels} == {("microvolts", "EMG")}
        chunks = read_until(driver, samples(2000))
    counters, values = joined(chunks)
    assert (np.diff(counters) == 1).all()  # over the turn at 65536
    assert counters[0] >= 65000
    assert counters[-1] > 65536
    assert values.dtype == np.float32
    expected = np.array([emulator.sent[count] for count in counters.tolist()])
    np.testing.assert_allclose(values, expected, atol=0.251 if form == "binary" else 3e-4)
    assert all(np.isnan(chunk.device_time_s) for chunk in chunks)
    for chunk in chunks:
        assert chunk.arrival_s >= emulator.host_s(int(chunk.counters[-1]) - 65000) - 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", LINKS)
def test_rates_are_those_of_the_athlete(name: str) -> None:
    fields = [{**one, "type": "u16"} for one in RATES]
    emulator = emulator_of(
        name,
        format="binary",
        content_type="Physio",
        rate_hz=20,
        together=1,
        field=[*fields, {"type": "u32", "role": "device_time", "unit": "milliseconds"}],
        checksum="crc16_modbus",
    )
    with opened(name, emulator) as driver:
        (spec,) = driver.streams()
        assert [channel.type for channel in spec.channels] == ["HeartRate", "BreathRate"]
        assert spec.counter_origin == "host"
        chunks = read_until(driver, samples(20))
    counters, _ = joined(chunks)
    assert (np.diff(counters) == 1).all()
    for chunk in chunks:
        row = chunk.values[-1]
        heart, breath = emulator._stage.rates_bpm(emulator.host_s(round((chunk.device_time_s - 12.5) * 20)))
        assert abs(row[0] - heart[0]) <= 0.51
        assert abs(row[1] - breath[0]) <= 0.0501
    spans_s = np.diff([chunk.device_time_s for chunk in chunks])
    np.testing.assert_allclose(spans_s, 0.05 * np.diff([chunk.counters[-1] for chunk in chunks]), atol=1e-9)


@pytest.mark.skipif(sys.platform == "win32", reason="ptys are of Linux and macOS")
def test_a_real_line() -> None:
    emulator = emulator_of("records.serial", port=None)
    with opened("records.serial", emulator) as driver:
        counters, values = joined(read_until(driver, samples(1000)))
    assert (np.diff(counters) == 1).all()
    np.testing.assert_allclose(values, [emulator.sent[count] for count in counters.tolist()], atol=3e-4)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["csv", "binary"])
@pytest.mark.parametrize("name", LINKS)
def test_loss_is_found_exactly(name: str, form: str) -> None:
    emulator = emulator_of(name, format=form, lose_every=50)
    with opened(name, emulator) as driver:
        counters, _ = joined(read_until(driver, samples(980)))
    missing = sorted(set(range(counters[0], counters[-1] + 1)) - set(counters.tolist()))
    assert missing
    assert missing == [count for count in range(counters[0], counters[-1] + 1) if count % 50 == 49]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["spoil_every", "noise_every"])
@pytest.mark.parametrize("name", ["records.serial", "records.tcp"])
@pytest.mark.parametrize("form", ["csv", "binary"])
def test_what_is_garbled_is_no_sample(name: str, fault: str, form: str) -> None:
    more: dict[str, Any] = {"checksum": "crc16_ccitt"} if form == "binary" else {}
    emulator = emulator_of(name, format=form, **{fault: 40}, **more)
    with opened(name, emulator) as driver:
        counters, values = joined(read_until(driver, samples(980)))
        assert driver._reader.unusable.pieces >= 20  # type: ignore[attr-defined]
    missing = set(range(counters[0], counters[-1] + 1)) - set(counters.tolist())
    assert missing == (
        {count for count in range(counters[0], counters[-1] + 1) if count % 40 == 39}
        if fault == "spoil_every"
        else set()
    )
    expected = np.array([emulator.sent[count] for count in counters.tolist()])
    np.testing.assert_allclose(values, expected, atol=0.251)


def test_a_garbled_datagram_is_lost_as_a_whole() -> None:
    emulator = emulator_of("records.udp", format="binary", checksum="crc8", spoil_every=100, together=10)
    with opened("records.udp", emulator) as driver:
        counters, _ = joined(read_until(driver, samples(900)))
    missing = set(range(counters[0], counters[-1] + 1)) - set(counters.tolist())
    assert missing == {count for count in range(counters[0], counters[-1] + 1) if count % 100 >= 90}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("command", ["GO\r\n", [0x02, 0x00, 0xFF]])
def test_the_device_is_started_and_stopped(name: str, command: Any) -> None:
    emulator = emulator_of(name, start_command=command, stop_command="HALT")
    with serving(emulator) as reached:
        driver = driver_of(name, reached)
        for _ in range(2):
            assert not emulator._running
            driver.open()
            read_until(driver, samples(100))
            assert emulator._running
            driver.close()
            driver.close()
            deadline_s = time.monotonic() + 5
            while emulator._running and time.monotonic() < deadline_s:
                time.sleep(0.01)


def test_a_board_that_restarts_is_given_time() -> None:
    emulator = emulator_of("records.tcp", start_command="GO", start_delay_s=0.5)
    with serving(emulator) as reached:
        driver = driver_of("records.tcp", reached)
        began_s = time.monotonic()
        driver.open()
        assert time.monotonic() - began_s >= 0.5
        driver.close()


def test_a_device_that_counts_anew_begins_a_new_chunk() -> None:
    columns = [{"role": "counter"}, {"label": "a", "unit": "counts"}]
    emulator = emulator_of("records.tcp", column=columns, rate_hz=200, together=50, anew_after=125)
    with opened("records.tcp", emulator) as driver:
        chunks = read_until(driver, samples(200))
    assert all((np.diff(chunk.counters) == 1).all() for chunk in chunks)
    firsts = [int(chunk.counters[0]) for chunk in chunks]
    assert 0 in firsts[1:]


@pytest.mark.slow
@pytest.mark.parametrize("name", LINKS)
def test_silence_is_a_sentence(name: str) -> None:
    with opened(name, emulator_of(name, silent_after=500), stall_s=0.6) as driver:
        with pytest.raises(DeviceError, match=r"has sent no record for 0\.\d s; check") as caught:
            read_until(driver, samples(100_000))
        assert len(caught.value.problems) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("records.serial", "check its cable, its baud, and whether it needs a start_command"),
        ("records.tcp", "check that it measures, and whether it needs a start_command"),
        ("records.udp", "check that it sends to this computer, and that the firewall lets it"),
    ],
)
def test_nothing_at_all_is_a_sentence_at_once(name: str, said: str) -> None:
    with serving(emulator_of(name, silent_after=1, lose_every=1)) as reached:
        driver = driver_of(name, {**reached, "stall_s": 0.6})
        with pytest.raises(DeviceError, match=f"has sent nothing for .* s; {said}"):
            driver.open()
        driver.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", LINKS)
def test_a_wrong_description_is_a_sentence_at_once(name: str) -> None:
    with serving(emulator_of(name)) as reached:
        wrong = {**reached, "column": reached["column"][1:], "stall_s": 0.6, "model": "amplifier"}
        driver = driver_of(name, wrong)
        with pytest.raises(DeviceError, match="has 5 columns, but the rig describes 4; correct the description") as one:
            driver.open()
        assert str(one.value).startswith("the amplifier ")
    with serving(emulator_of(name, format="binary", checksum="xor")) as reached:
        driver = driver_of(name, {**reached, "checksum": "crc16_modbus", "stall_s": 0.6})
        with pytest.raises(DeviceError, match="has sent no record that fits"):
            driver.open()


@pytest.mark.parametrize("name", ["records.serial", "records.tcp"])
def test_unplugged_and_plugged_in_again(name: str) -> None:
    emulator = emulator_of(name, first_count=60_000, rate_hz=2000)
    with opened(name, emulator) as driver:
        before, _ = joined(read_until(driver, samples(100)))
        emulator.line.unplug()  # type: ignore[attr-defined]
        with pytest.raises(DeviceError):
            read_until(driver, samples(100_000))
        driver.close()
        emulator.line.open()  # type: ignore[attr-defined]
        driver.open()
        after, values = joined(read_until(driver, samples(100)))
    assert 0 < (after[0] - before[-1]) % 65536 < 10_000
    expected = [emulator.sent[60_000 + (count - 60_000) % 65536] for count in after.tolist()]
    np.testing.assert_allclose(values, expected, atol=3e-4)


def test_nobody_there_is_a_sentence() -> None:
    emulator = emulator_of("records.tcp")
    with serving(emulator) as reached:
        pass
    driver = driver_of("records.tcp", reached)
    with pytest.raises(DeviceError, match=r"the device at 127\.0\.0\.1:.* does not answer"):
        driver.open()
    with pytest.raises(DeviceError, match="open it first"):
        driver.read()


def test_a_port_by_its_usb_serial_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(emulator_of("records.serial", port=0)) as reached:
        there = (UsbPort(reached["port"], "A7", 0x2341, 0x43, "board"),)
        monkeypatch.setattr("drivers.links.usb_port.usb_ports", lambda: there)
        driver = driver_of("records.serial", {**reached, "port": "usb:A7"})
        driver.open()
        assert joined(read_until(driver, samples(10)))
        driver.close()
        another = driver_of("records.serial", {**reached, "port": "usb:B8"})
        with pytest.raises(DeviceError, match="no USB device with the serial number B8 is plugged in"):
            another.open()


def test_a_port_in_use_is_a_sentence() -> None:
    emulator = emulator_of("records.udp")
    with serving(emulator) as reached:
        first, second = (driver_of("records.udp", reached) for _ in range(2))
        first.open()
        with pytest.raises(DeviceError, match=r"UDP port .* cannot be used"):
            second.open()
        first.close()


def test_another_sender_is_not_listened_to() -> None:
    emulator = emulator_of("records.udp")
    with serving(emulator) as reached:
        elsewhere = driver_of("records.udp", {**reached, "device_host": "127.0.0.2", "stall_s": 0.6})
        with pytest.raises(DeviceError, match="has sent nothing"):
            elsewhere.open()
    with serving(emulator_of("records.udp", port=reached["port"])) as reached:
        driver = driver_of("records.udp", reached)
        driver.open()
        if sys.platform == "linux":  # where all of 127/8 is this computer
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind(("127.0.0.3", 0))
                stranger.sendto(b"7,1000,1000,1000,1000\n", ("127.0.0.1", reached["port"]))
        _, values = joined(read_until(driver, samples(300)))
        driver.close()
    assert (values != 1000).all()


def test_a_multicast_group_is_joined() -> None:
    emulator = emulator_of("records.udp")
    with serving(emulator) as reached:
        driver = driver_of("records.udp", {**reached, "group": "239.255.77.1"})
        try:
            driver.open()
        except DeviceError as error:
            pytest.skip(f"no multicast here: {error}")
        assert joined(read_until(driver, samples(100)))
        driver.close()


@contextmanager
def hostile(pour: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that pours over whoever connects."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)

        def serve() -> None:
            while not stop.is_set():
                try:
                    line, _ = server.accept()
                except TimeoutError:
                    continue
                with line:
                    line.settimeout(0.2)
                    try:
                        while not stop.is_set():
                            pour(line)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        stop.set()
        thread.join()


def _drip(line: socket.socket) -> None:
    time.sleep(0.02)
    line.sendall(b"\xa5")


@pytest.mark.slow
@pytest.mark.parametrize("pour", [lambda line: line.sendall(b"\xa5\x5a1," * 20_000), _drip])
@pytest.mark.parametrize("form", ["csv", "binary"])
def test_a_hostile_server_costs_bounded_memory_and_time(form: str, pour: Callable[[socket.socket], None]) -> None:
    with hostile(pour) as port:
        described = emulator_of("records.tcp", format=form, checksum="crc16_ccitt" if form == "binary" else "none")
        with serving(described) as reached:
            driver = driver_of("records.tcp", {**reached, "port": port, "stall_s": 1.0})
        with pytest.raises(DeviceError, match=r"has sent no record"):
            driver.open()
        held = driver._reader._rest if form == "csv" else driver._reader._held  # type: ignore[attr-defined]
        assert len(held) <= 8192
        driver.close()


@pytest.mark.parametrize("name", LINKS)
def test_an_emulator_serves_what_a_rig_describes(name: str) -> None:
    emulator = emulator_of(name, port=0, format="binary", checksum="crc8", start_command="GO", byte_order="big")
    with serving(emulator) as reached:
        pass
    kind = find_emulator(name)
    config = find_driver(name).Config.model_validate(reached)
    again = emulator_of(name, **kind.reached_by(config.model_dump(mode="json")))
    with serving(again) as reached_again:
        assert {key: value for key, value in reached_again.items() if key != "device_port"} == {
            key: value for key, value in reached.items() if key != "device_port"
        }


def test_wide_numbers_keep_their_digits() -> None:
    fields = [{"type": "u32", "role": "counter"}, {"type": "i32", "label": "position", "unit": "meters", "scale": 1e-7}]
    with opened("records.tcp", emulator_of("records.tcp", format="binary", field=fields)) as driver:
        (spec,) = driver.streams()
        assert spec.format == "double64"
        chunks = read_until(driver, samples(10))
    assert chunks[0].values.dtype == np.float64
