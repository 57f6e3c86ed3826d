"""What goes wrong with a QTM: each is one sentence, or is lived through, and nothing is mislabelled."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import qtm_bytes as wire
from emulated_qtm import CLOCK, counters, emulated, read_until, reading, samples, texts, values

from drivers.driver import TakeStart
from drivers.emulators.emulator import serving
from drivers.emulators.qtm import QtmEmulator
from drivers.emulators.qtm_packets import data_packet, points, text_packet
from drivers.qualisys.frame_count import FrameCount
from drivers.qualisys.qtm import Qtm
from lab.errors import DeviceError
from lab.joints import JOINTS


def some(number: int) -> Callable[[Any], bool]:
    return lambda came: samples(came, "markers") >= number


def fails_to_open(emulator: QtmEmulator, **options: Any) -> str:
    with serving(emulator) as reach:
        driver = Qtm(Qtm.Config.model_validate({**reach, **options}), CLOCK)
        with pytest.raises(DeviceError) as caught:
            driver.open()
        driver.close()
    (sentence,) = caught.value.problems
    assert "QTM" in sentence
    return sentence


def fails_to_read(driver: Qtm, most_s: float = 10.0, pieces: list[Any] | None = None) -> str:
    end_s = time.monotonic() + most_s
    while time.monotonic() < end_s:
        try:
            piece = driver.read()
        except DeviceError as error:
            (sentence,) = error.problems
            return sentence
        if piece is not None and pieces is not None:
            pieces.append(piece)
    pytest.fail("it did not fail")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.qualisys.rt_session._REPLY_S", 0.5)
    monkeypatch.setattr("drivers.qualisys.qtm._WATCH_S", 0.5)


# --- coming to terms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", [False, True])
@pytest.mark.parametrize("newest", [28, 25, 20])
def test_versions_are_agreed_on_downwards_and_no_reply_is_shifted(newest: int, period: bool) -> None:
    with reading(emulated(newest_version=newest, period=period)) as driver:
        details = driver.streams()[0].details
    assert details["protocol_version"] == f"1.{newest}"
    assert details["qtm_version"] == "QTM Version is 2026.1 (build 1)"


def test_a_qtm_too_old_or_too_new() -> None:
    assert "update QTM" in fails_to_open(emulated(newest_version=19))
    assert "1.20 to 1.28" in fails_to_open(emulated(newest_version=40, oldest_version=30))


@pytest.mark.usefixtures("impatient")
def test_a_server_that_says_nothing() -> None:
    assert "does not greet" in fails_to_open(emulated(greets=False))


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DeviceError, match="check that it runs"):
        Qtm(Qtm.Config(base_port=port - 1), CLOCK).open()


def test_ten_clients_are_all() -> None:
    with serving(emulated()) as reach, contextlib.ExitStack() as others:
        for _ in range(10):
            line = others.enter_context(socket.create_connection(("127.0.0.1", reach["base_port"] + 1)))
            assert line.recv(100)
        with pytest.raises(DeviceError, match="Max number of clients"):
            Qtm(Qtm.Config.model_validate(reach), CLOCK).open()


def test_no_measurement_is_waited_for_and_said() -> None:
    assert "does not measure" in fails_to_open(emulated(measuring=False), wait_s=0.6)


def test_a_measurement_that_begins_meanwhile() -> None:
    emulator = emulated(measuring=False)
    timer = threading.Timer(1.0, emulator.do, (emulator.measure,))
    timer.start()
    with reading(emulator) as driver:
        came = read_until(driver, some(5))
    timer.join()
    assert (np.diff(counters(came["markers"])) == 1).all()


def test_control_is_taken_where_the_rig_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QTM_PASSWORD", "x364k6Gt")
    options: dict[str, Any] = {"password": "$QTM_PASSWORD", "if_idle": "preview"}
    with reading(emulated(measuring=False, password="x364k6Gt"), **options) as driver:
        assert samples(read_until(driver, some(3)), "markers") >= 3
    assert "gives no control (Wrong or missing password)" in fails_to_open(
        emulated(measuring=False, password="other"), **options
    )
    monkeypatch.delenv("QTM_PASSWORD")
    with serving(emulated(measuring=False)) as reach, pytest.raises(DeviceError, match="QTM_PASSWORD is not set"):
        Qtm(Qtm.Config.model_validate({**reach, **options}), CLOCK).open()


@pytest.mark.parametrize(
    ("options", "part", "said"),
    [
        ({"skeleton": False}, "skeleton", "no skeleton"),
        ({"analog_hz": 0}, "analog", "no analogue device"),
        ({}, "force", "no force plate"),
    ],
)
def test_what_is_asked_for_and_not_there(options: dict[str, Any], part: str, said: str) -> None:
    assert said in fails_to_open(emulated(**options), components=(part,), wait_s=0)


@pytest.mark.slow
def test_udp_that_does_not_arrive() -> None:
    emulator = emulated()
    emulator.send_frame = lambda *_: None  # type: ignore[method-assign]
    assert "open the firewall" in fails_to_open(emulator, udp=True)


# --- lists that change -------------------------------------------------------------------------------------------

SWAPPED = ("neck", "head", *JOINTS[2:])
RENAMED = ("hat", *JOINTS[1:])


@pytest.mark.parametrize(
    ("labels", "event", "options", "said"),
    [
        (SWAPPED, 11, {"check_labels_s": 0}, "in another order"),
        (SWAPPED, 3, {"check_labels_s": 0, "udp": True}, "in another order"),
        (SWAPPED, None, {"check_labels_s": 0.2}, "in another order"),
        (RENAMED, 8, {"check_labels_s": 0}, "no marker 'head' and a new marker 'hat'"),
    ],
)
def test_other_labels_end_it_and_after_that_all_is_called_right(
    labels: tuple[str, ...], event: int | None, options: dict[str, Any], said: str
) -> None:
    emulator = emulated()
    with reading(emulator, **options) as driver:
        before = driver.streams()[0].channels
        read_until(driver, some(5))
        changed_s: list[float] = []
        emulator.do(lambda: (emulator.relabel(labels, event), changed_s.append(CLOCK.now_s()))[0])
        pieces: list[Any] = []
        assert said in fails_to_read(driver, pieces=pieces)
        if event is not None:  # not one frame of the new order under the old names
            late = [piece for piece in pieces if piece.stream == "markers"]
            assert all(piece.arrival_s <= changed_s[0] + 0.02 for piece in late)
            for piece in late:
                truth = emulator.scene.markers(int(piece.counters[-1]) - 1)[np.argsort(JOINTS), :3] / 1000
                np.testing.assert_allclose(piece.values[-1, :63].reshape(21, 3), truth, atol=1e-6)
        driver.open()
        driver.start(TakeStart("mocap", CLOCK.now_s()))
        spec = driver.streams()[0]
        assert (spec.channels == before) == (labels is SWAPPED)
        came = read_until(driver, some(5))
    names = [channel.marker for channel in spec.channels[:63:3]]
    places = [JOINTS.index("head" if name == "hat" else name) for name in names]
    truth = np.array([emulator.scene.markers(int(count) - 1)[places, :3] / 1000 for count in counters(came["markers"])])
    np.testing.assert_allclose(values(came["markers"])[:, :63].reshape(-1, 21, 3), truth, atol=1e-6)


def test_settings_of_a_camera_change_and_nothing_is_lost() -> None:
    emulator = emulated(rate_hz=200.0)
    with reading(emulator, components=("markers", "skeleton", "analog")) as driver:
        for _ in range(5):
            emulator.do(lambda: [emulator.say(11), emulator.say(1)][0])
            came = read_until(driver, some(40))
            assert "camera settings changed" in texts(came["events"])
            for name in ("markers", "skeleton", "analog"):
                assert (np.diff(counters(came[name])) == 1).all()


def test_more_markers_than_names() -> None:
    emulator = emulated()
    with reading(emulator) as driver:
        packet = data_packet(10**9, 10**6, [points(np.zeros((22, 4), np.float32), residuals=True)])
        emulator.do(lambda: emulator.raw(packet))
        assert "22 markers instead of 21" in fails_to_read(driver)


@pytest.mark.slow
@pytest.mark.parametrize("udp", [False, True])
def test_another_measurement_counts_anew(udp: bool) -> None:
    emulator = emulated()
    with reading(emulator, udp=udp, check_labels_s=0) as driver:
        read_until(driver, some(80))
        emulator.do(lambda: emulator._reset(measuring=True))
        assert "counts anew" in fails_to_read(driver)
        driver.open()
        assert counters(read_until(driver, some(5))["markers"])[0] < 60


# --- gone, silent, damaged ---------------------------------------------------------------------------------------


def test_a_connection_that_breaks_and_comes_back() -> None:
    emulator = emulated()
    with reading(emulator) as driver:
        last = counters(read_until(driver, some(5))["markers"])[-1]
        emulator.do(emulator.hang_up)
        assert "closed the connection" in fails_to_read(driver)
        driver.open()
        assert counters(read_until(driver, some(5))["markers"])[0] > last


@pytest.mark.parametrize("udp", [False, True])
def test_silence_is_a_fault(udp: bool) -> None:
    emulator = emulated()
    with reading(emulator, stall_s=0.5, udp=udp) as driver:
        read_until(driver, some(5))
        emulator.do(emulator.fall_silent)
        assert "has sent no frame for 0.5 s" in fails_to_read(driver)


@pytest.mark.slow
def test_a_measurement_that_ends_is_said_and_waited_for() -> None:
    emulator = emulated()
    with reading(emulator, stall_s=0.5, check_labels_s=0.3) as driver:
        read_until(driver, some(5))
        emulator.do(emulator.stop_measuring)
        came = read_until(driver, lambda came: len(texts(came["events"])) >= 2)
        assert set(texts(came["events"])) >= {"no more data", "capture stopped"}
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:
            piece = driver.read()
            assert piece is None or piece.stream == "events"
        emulator.do(emulator.fall_silent)
        assert "has answered nothing" in fails_to_read(driver)


def test_garbage_between_packets_costs_no_frame_and_is_said() -> None:
    emulator = emulated()
    with reading(emulator) as driver:
        read_until(driver, some(5))
        for garbage in (b"\xff" * 1000, bytes(3000), wire.DATA[:100], text_packet(0, "Parse error")):
            emulator.do(lambda garbage=garbage: emulator.raw(garbage))  # type: ignore[misc]
        came = read_until(driver, lambda came: samples(came, "markers") >= 150)
    assert (np.diff(counters(came["markers"])) == 1).all()
    assert any("damaged packets passed over" in text for text in texts(came["events"]))


def test_datagrams_of_others_are_no_frames() -> None:
    emulator = emulated()
    with reading(emulator, udp=True) as driver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        try:
            other.bind(("127.0.0.2", 0))
        except OSError:
            pytest.skip("this system has no second loopback address")
        assert driver._udp is not None
        there = ("127.0.0.1", driver._udp.local_address[1])
        false = data_packet(10**9, 10**6, [points(np.zeros((21, 4), np.float32), residuals=True)])
        for data in (false, b"", b"\x08\0\0\0\x04\0\0\0", bytes(500)):
            other.sendto(data, there)
        came = read_until(driver, lambda came: samples(came, "markers") >= 130)
    assert (np.diff(counters(came["markers"])) == 1).all()
    assert any("damaged" in text for text in texts(came["events"]))


# --- hostile servers ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def hostile(play: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does ``play`` with each client in a thread; its port."""
    done = threading.Event()

    def serve() -> None:
        server.settimeout(0.1)
        while not done.is_set():
            try:
                line, _ = server.accept()
            except OSError:
                continue
            with line, contextlib.suppress(OSError):
                line.settimeout(5)
                while not done.is_set():
                    play(line)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            done.set()
            thread.join()


def dribble(line: socket.socket) -> None:
    line.sendall(b"\x24")
    time.sleep(0.02)


def endless_greeting(line: socket.socket) -> None:
    line.sendall(struct.pack("<II", 0xFFFFFFFF, 1) + b"x" * 60_000)


def endless_frames(line: socket.socket) -> None:
    line.sendall(wire.DATA * 100)


def endless_refusals(line: socket.socket) -> None:
    line.sendall(wire.NOT_SUPPORTED)
    time.sleep(0.01)


def another_greeting(line: socket.socket) -> None:
    line.sendall(text_packet(1, "220 ftp ready"))
    time.sleep(0.05)


def half_closed(line: socket.socket) -> None:
    line.shutdown(socket.SHUT_RDWR)
    raise OSError


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "play", [dribble, endless_greeting, endless_frames, endless_refusals, another_greeting, half_closed]
)
def test_a_hostile_server_is_one_sentence_in_bounded_time(play: Callable[[socket.socket], None]) -> None:
    with hostile(play) as port:
        driver = Qtm(Qtm.Config(base_port=port - 1), CLOCK)
        with pytest.raises(DeviceError) as caught:
            driver.open()
        assert len(caught.value.problems) == 1
        assert len(driver._session._codec._buffer) < 2**23
        driver.close()


def test_a_frame_count_tells_late_from_anew() -> None:
    tcp = FrameCount(late_allowed=False)
    assert [tcp.next(number, 1) for number in (5, 6, 9)] == [5, 6, 9]
    assert tcp.next(9, 1) is None
    assert tcp.began_anew

    udp = FrameCount(late_allowed=True)
    assert [udp.next(number, 1) for number in (100, 102, 101, 102, 103)] == [100, 102, None, None, 103]
    assert (udp.late, udp.began_anew) == (2, False)
    assert udp.next(1, 1) is None
    assert udp.began_anew

    slow = FrameCount(late_allowed=True)
    assert [slow.next(number, 1) for number in (40, 1, 2)] == [40, None, None]
    assert not slow.began_anew
    for number in range(3, 80):
        slow.next(number % 40, 1)
    assert slow.began_anew
