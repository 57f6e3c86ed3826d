"""The driver with an emulated strap on a real line."""

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
from pydantic import ValidationError

from drivers.emulators.bioharness import BioHarnessEmulator, BioHarnessEmulatorConfig
from drivers.emulators.emulator import find_emulator, serving
from drivers.emulators.stage import Stage, StageConfig
from drivers.host_clock import LslClock
from drivers.zephyr.bioharness import BioHarness, BioHarnessConfig
from drivers.zephyr.bioharness_codec import ACCEL, ECG, RR, SUMMARY, encode
from lab.errors import DeviceError
from lab.streams import Chunk

LINES = [0] if sys.platform == "win32" else [0, None]


def strap(port: int | None = 0, **faults: Any) -> BioHarnessEmulator:
    stage = Stage(StageConfig(repetitions=3), LslClock().now_s())
    return BioHarnessEmulator(BioHarnessEmulatorConfig(port=port, **faults), stage)


def driver_of(port: str, **options: Any) -> BioHarness:
    return BioHarness(BioHarnessConfig(port=port, **options), LslClock())


@contextmanager
def opened(emulator: BioHarnessEmulator, **options: Any) -> Iterator[BioHarness]:
    with serving(emulator) as reached:
        driver = driver_of(**reached, **options)
        try:
            driver.open()
            yield driver
        finally:
            driver.close()


def read_until(driver: BioHarness, enough: Callable[[list[Chunk]], bool], limit_s: float = 20.0) -> list[Chunk]:
    chunks: list[Chunk] = []
    deadline_s = time.monotonic() + limit_s
    while not enough(chunks):
        assert time.monotonic() < deadline_s, f"{len(chunks)} chunks, no more"
        chunk = driver.read()
        if chunk is not None:
            chunks.append(chunk)
    return chunks


def of(chunks: list[Chunk], stream: str) -> list[Chunk]:
    return [chunk for chunk in chunks if chunk.stream == stream]


@pytest.mark.slow
@pytest.mark.parametrize("where", LINES)
@pytest.mark.parametrize("version", [2, 3])
def test_rates_are_those_of_the_athlete(where: int | None, version: int) -> None:
    emulator = strap(where, summary_version=version, first_count=254)
    with opened(emulator) as driver:
        (spec,) = driver.streams()
        assert (spec.name, spec.content_type, spec.rate_hz, spec.serial) == ("rates", "Physio", 1.0, "BHT012345")
        assert [(channel.label, channel.unit, channel.type) for channel in spec.channels[:2]] == [
            ("heart_rate", "1/min", "HeartRate"),
            ("breath_rate", "1/min", "BreathRate"),
        ]
        chunks = read_until(driver, lambda chunks: len(chunks) == 3)
    counters = np.concatenate([chunk.counters for chunk in chunks])
    assert np.diff(counters).tolist() == [1, 1]
    for chunk in chunks:
        packets = round(chunk.device_time_s - chunks[0].device_time_s) + (int(counters[0]) + 2) % 256
        done_s = emulator.host_s(SUMMARY, packets + 1)
        assert chunk.arrival_s >= done_s
        heart, breath = emulator._stage.rates_bpm(done_s)
        assert abs(chunk.values[0, 0] - heart[0]) <= 0.5
        assert abs(chunk.values[0, 1] - breath[0]) <= 0.0501


@pytest.mark.slow
def test_all_signals_with_their_counts_and_clock() -> None:
    emulator = strap()
    with opened(emulator, signals=("rates", "ecg", "breathing", "rr", "accel")) as driver:
        specs = {spec.name: spec for spec in driver.streams()}
        assert {name: round(spec.rate_hz, 3) for name, spec in specs.items()} == {
            "rates": 1.0,
            "ecg": 250.0,
            "breathing": 17.857,
            "rr": 17.857,
            "accel": 50.0,
        }
        chunks = read_until(driver, lambda chunks: len(of(chunks, "rr")) == 4)
    for name, spec in specs.items():
        own = of(chunks, name)
        counters = np.concatenate([chunk.counters for chunk in own])
        assert (np.diff(counters) == 1).all()
        assert all(chunk.values.shape == (len(chunk.counters), len(spec.channels)) for chunk in own)
        assert all(chunk.values.dtype == np.float32 for chunk in own)
        # the strap's clock counts the samples
        spans = [(chunk.counters[-1] - own[0].counters[-1]) / spec.rate_hz for chunk in own]
        np.testing.assert_allclose([chunk.device_time_s - own[0].device_time_s for chunk in own], spans, atol=2e-3)
        assert (np.diff([chunk.arrival_s for chunk in own]) > 0).all()
    # 2026-11-22 10:00 is what its calendar said when it was switched on
    began_s = (9822 * 24 + 10) * 3600.0
    assert all(began_s <= chunk.device_time_s < began_s + 30 for chunk in chunks)
    np.testing.assert_allclose(
        np.median(np.linalg.norm(np.concatenate([chunk.values for chunk in of(chunks, "accel")]), axis=1)), 1, atol=0.05
    )
    ecg_uv = np.concatenate([chunk.values for chunk in of(chunks, "ecg")])[:, 0]
    assert 1200 < ecg_uv.max() < 1600
    peaks = np.flatnonzero((ecg_uv[1:-1] > 1000) & (ecg_uv[1:-1] >= ecg_uv[:-2]) & (ecg_uv[1:-1] > ecg_uv[2:]))
    heart = float(of(chunks, "rates")[-1].values[0, 0])
    assert 60 / (np.median(np.diff(peaks)) / 250) == pytest.approx(heart, rel=0.1)
    rr_ms = np.concatenate([chunk.values for chunk in of(chunks, "rr")])[:, 0]
    assert 60_000 / np.median(np.abs(rr_ms)) == pytest.approx(heart, rel=0.1)
    assert {1.0, -1.0} == set(np.sign(rr_ms))


@pytest.mark.slow
def test_lost_packets_leave_their_gap_in_the_count() -> None:
    emulator = strap(lose_every=5)
    with opened(emulator, signals=("ecg",)) as driver:
        chunks = read_until(driver, lambda chunks: len(chunks) == 10)
    firsts = np.array([chunk.counters[0] for chunk in chunks])
    steps = np.diff(firsts)
    assert set(steps.tolist()) == {63, 126}
    assert 2 <= np.count_nonzero(steps == 126) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["spoil_every", "noise_every"])
def test_what_is_spoilt_is_no_sample(fault: str) -> None:
    with opened(strap(**{fault: 4}), signals=("ecg",)) as driver:
        chunks = read_until(driver, lambda chunks: len(chunks) == 9)
        assert driver._reader.skipped > 0
    steps = np.diff([chunk.counters[0] for chunk in chunks])
    assert (np.count_nonzero(steps == 126) >= 1) == (fault == "spoil_every")
    assert all(np.abs(chunk.values).max() < 2000 for chunk in chunks)


@pytest.mark.slow
def test_a_gap_of_more_than_256_packets_is_counted_exactly() -> None:
    lost = 700
    with opened(strap(away_after=3, away_s=lost * 0.252), signals=("ecg",)) as driver:
        chunks = read_until(driver, lambda chunks: len(chunks) == 7)
    steps = np.diff([chunk.counters[0] for chunk in chunks])
    assert sorted(steps.tolist()) == [63] * 5 + [63 * (lost + 1)]


@pytest.mark.slow
@pytest.mark.parametrize("dated", [True, False])
def test_midnight_is_no_gap(dated: bool) -> None:
    with opened(strap(calendar="2026-12-31 23:59:58.5", dated=dated), signals=("ecg",)) as driver:
        chunks = read_until(driver, lambda chunks: len(chunks) == 12)
    device_s = np.array([chunk.device_time_s for chunk in chunks])
    np.testing.assert_allclose(np.diff(device_s), 0.252, atol=2e-3)
    assert (np.diff([chunk.counters[0] for chunk in chunks]) == 63).all()
    midnight_s = 9862 * 86400.0 if dated else 86400.0  # 2027-01-01
    assert device_s[0] < midnight_s < device_s[-1]


def test_without_a_rate_it_is_nan() -> None:
    with opened(strap(no_rates=True)) as driver:
        (chunk,) = read_until(driver, lambda chunks: len(chunks) == 1)
    assert np.isnan(chunk.values[0, :2]).all()


@pytest.mark.slow
def test_the_strap_stays_as_long_as_it_is_told_that_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(strap(link_timeout_s=2.5), signals=("ecg",)) as driver:
        chunks = read_until(driver, lambda chunks: len(chunks) == 16)  # 4 s
        assert (np.diff([chunk.counters[0] for chunk in chunks]) == 63).all()
    monkeypatch.setattr("drivers.zephyr.bioharness._LIFE_SIGN_S", 1e9)
    with (
        opened(strap(link_timeout_s=0.5), signals=("ecg",), stall_s=2.5) as driver,  # a check that can fail
        pytest.raises(DeviceError, match=r"has sent no ecg for \d"),
    ):
        read_until(driver, lambda chunks: len(chunks) == 50)


@pytest.mark.slow
def test_silence_is_a_sentence() -> None:
    with (
        opened(strap(silent_after=3), signals=("ecg",), stall_s=2.5) as driver,
        pytest.raises(DeviceError, match=r"has sent no ecg for .* s; check that it is worn, charged"),
    ):
        read_until(driver, lambda chunks: len(chunks) == 5)


@pytest.mark.slow
def test_one_silent_signal_among_others_is_noticed() -> None:
    emulator = strap()
    with opened(emulator, signals=("ecg", "rr"), stall_s=2.5) as driver:
        read_until(driver, lambda chunks: bool(of(chunks, "rr")))
        emulator._on.discard(RR)
        with pytest.raises(DeviceError, match="has sent no rr"):
            read_until(driver, lambda chunks: len(of(chunks, "ecg")) > 40)


@pytest.mark.slow
def test_only_what_is_spoilt_is_said_to_be_noise() -> None:
    with (
        opened(strap(spoil_every=1), signals=("ecg",), stall_s=2.5) as driver,
        pytest.raises(DeviceError, match=r"has sent no ecg but \d+ bytes of noise for"),
    ):
        read_until(driver, bool)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "said"), [("refuse", "refuses"), ("deaf", "does not answer")])
def test_a_strap_that_does_not_obey_is_a_sentence(fault: str, said: str) -> None:
    with serving(strap(**{fault: True})) as reached:
        driver = driver_of(**reached)
        with pytest.raises(DeviceError, match=f"{said} when it is told to send rates; check") as caught:
            driver.open()
        assert len(caught.value.problems) == 1
        driver.close()


@pytest.mark.slow
@pytest.mark.parametrize("where", LINES)
def test_unplugged_and_plugged_in_again_it_goes_on_counting(where: int | None) -> None:
    emulator = strap(where)
    with opened(emulator, signals=("accel",)) as driver:
        before = read_until(driver, lambda chunks: len(chunks) == 3)
        emulator.line.unplug()
        with pytest.raises(DeviceError):
            read_until(driver, lambda chunks: len(chunks) == 30)
        driver.close()
        emulator.line.open()
        again = driver_of(emulator.line.url, signals=("accel",))
        again.open()
        after = read_until(again, lambda chunks: len(chunks) == 3)
        again.close()
    gap = int(after[0].counters[0] - before[-1].counters[-1])
    assert (gap - 1) % 20 == 0
    # what the clock says went by is what the count says was missed
    assert gap / 50 == pytest.approx(after[0].device_time_s - before[-1].device_time_s - 19 * 0.02, abs=3e-3)
    assert after[0].arrival_s - before[-1].arrival_s == pytest.approx(gap / 50 + 0.38, abs=0.3)


def test_open_works_while_the_old_connection_is_half_dead() -> None:
    emulator = strap()
    with serving(emulator) as reached:
        first = driver_of(**reached)
        first.open()
        first._link._tcp._socket.shutdown(socket.SHUT_WR)  # type: ignore[union-attr]
        second = driver_of(**reached)
        second.open()
        assert read_until(second, lambda chunks: len(chunks) == 1)
        first.close()
        second.close()


def test_no_port_is_a_sentence() -> None:
    driver = driver_of("/dev/there-is-none")
    with pytest.raises(DeviceError, match=r"no serial port /dev/there-is-none|cannot be opened"):
        driver.open()
    with pytest.raises(DeviceError, match="open it first"):
        driver.read()
    driver.close()


@contextmanager
def hostile(answer: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that is no strap; what it does to whoever connects is ``answer``."""
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
                        answer(line, stop)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"socket://127.0.0.1:{server.getsockname()[1]}"
        stop.set()
        thread.join()


def _flood(line: socket.socket, stop: threading.Event) -> None:
    while not stop.is_set():
        line.sendall(b"\x02\x22\x58\x02" * 10_000)


def _drip(line: socket.socket, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        line.sendall(b"\x02")


def _acknowledge_and_flood(line: socket.socket, stop: threading.Event) -> None:
    line.sendall(encode(0x0B, bytes(range(128)), 6) + encode(0xBD, b"", 6))
    _flood(line, stop)


def _open_and_read(driver: BioHarness) -> None:
    driver.open()
    for _ in range(100_000):
        assert driver.read() is None


@pytest.mark.slow
@pytest.mark.parametrize("answer", [_flood, _drip, _acknowledge_and_flood])
def test_a_hostile_server_costs_bounded_memory_and_time(answer: Callable[..., None]) -> None:
    with hostile(answer) as port:
        driver = driver_of(port, stall_s=2.5)
        with pytest.raises(DeviceError):
            _open_and_read(driver)
        assert len(driver._reader._held) < 133
        driver.close()


def test_signals_are_each_listed_once() -> None:
    with pytest.raises(ValidationError, match="'ecg' is listed twice"):
        BioHarnessConfig(port="COM5", signals=("ecg", "rates", "ecg"))


def test_the_emulator_is_found_by_the_drivers_name() -> None:
    assert find_emulator("zephyr.bioharness") is BioHarnessEmulator
    assert {ECG, ACCEL, RR, SUMMARY} <= set(strap().sent)
