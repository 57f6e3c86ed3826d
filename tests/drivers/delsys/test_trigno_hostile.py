"""Servers that are none, or mean no good: each costs a sentence, bounded time and bounded memory."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trigno_bench import base, opened, read_for, refused

from drivers.delsys import command_port
from drivers.delsys.base import describe_base
from drivers.delsys.command_port import CommandPort
from drivers.host_clock import LslClock
from drivers.links.tcp_link import TcpLink
from lab.errors import DeviceError

GREETING = b"Delsys Trigno System Digital Protocol Version 3.6.0\r\n\r\n"
Act = Callable[[socket.socket, threading.Event], None]


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_port, "_REPLY_S", 0.5)
    monkeypatch.setattr(command_port, "_QUIET_S", 0.1)
    monkeypatch.setattr(command_port, "_QUESTIONS_S", 2.0)


@contextmanager
def server(act: Act) -> Iterator[int]:
    """Listen on a port and do something with each client, one after the other."""
    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)

    def run() -> None:
        while not stop.is_set():
            with suppress(OSError):
                line, _ = listening.accept()
                line.settimeout(0.05)
                with line, suppress(OSError):
                    act(line, stop)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        stop.set()
        thread.join()
        listening.close()


def _says_nothing(line: socket.socket, stop: threading.Event) -> None:
    while not stop.wait(0.02):
        pass


def _closes(line: socket.socket, stop: threading.Event) -> None:
    pass


def _says(text: bytes, pause_s: float = 0.0) -> Act:
    def act(line: socket.socket, stop: threading.Event) -> None:
        while not stop.is_set():
            with suppress(TimeoutError):
                line.sendall(text)
            stop.wait(pause_s)

    return act


def _slow_loris(line: socket.socket, stop: threading.Event) -> None:
    for letter in GREETING * 100:
        line.sendall(bytes([letter]))
        if stop.wait(0.05):
            return


def _greets_only(line: socket.socket, stop: threading.Event) -> None:
    line.sendall(GREETING)
    _says_nothing(line, stop)


def _answers(reply: Callable[[bytes], bytes], greeting: bytes = GREETING) -> Act:
    """Answer each command by a function."""

    def act(line: socket.socket, stop: threading.Event) -> None:
        line.sendall(greeting)
        heard = b""
        while not stop.is_set():
            try:
                data = line.recv(4096)
            except TimeoutError:
                continue
            if not data:
                return
            *commands, heard = (heard + data).split(b"\r\n\r\n")
            for command in commands:
                line.sendall(reply(command))

    return act


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "sentence"),
    [
        (_says_nothing, "does not answer its greeting; restart the Trigno Control Utility"),
        (_closes, r"closed the connection|broke off"),
        (_says(b"SSH-2.0-OpenSSH_9.6\r\n", 5.0), "is no Trigno server, it says 'SSH-2.0-OpenSSH_9.6'"),
        (_says(b"\xff" * 65536), "a text that does not end|does not answer its greeting"),
        (_says(b"A" * 65536), "a text that does not end"),
        (_says(b"\r\n" * 30000), "does not answer its greeting"),
        (_slow_loris, "does not answer its greeting"),
        (_greets_only, r"does not answer 'MASTER\?'"),
        (_answers(lambda command: b"x" * 20000), "a text that does not end"),
        (_answers(lambda command: b"\x1b[2J\r\n\r\n"), "byte order is '.2J'"),
        (_answers(lambda command: b"CANNOT COMPLETE\r\n\r\n"), "does not answer .connection refused"),
    ],
)
def test_a_server_that_is_none_is_one_sentence(act: Act, sentence: str) -> None:
    with server(act) as port, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = unused.getsockname()[1]
        began_s = time.monotonic()
        refused(sentence, {"command_port": port, "emg_port": nobody, "legacy_emg_port": nobody, "aux_port": nobody})
        assert time.monotonic() - began_s < 10.0


def _asked(reply: Callable[[bytes], bytes], greeting: bytes = GREETING) -> Any:
    """Ask a base that answers by a function for all it has."""
    with server(_answers(reply, greeting)) as port:
        asking = CommandPort("127.0.0.1", port, LslClock())
        try:
            asking.open()
            return describe_base(asking, "little", legacy=False)
        finally:
            asking.close()


GOOD = {
    b"PAIRED?": b"YES",
    b"ACTIVE?": b"YES",
    b"TYPE?": b"O",
    b"EMGCHANNELCOUNT?": b"1",
    b"AUXCHANNELCOUNT?": b"0",
    b"UNITS?": b"Volts",
    b"FRAME INTERVAL?": b"0.0135",
    b"MAX SAMPLES EMG?": b"27",
    b"MAX SAMPLES AUX?": b"2",
}


def _good(command: bytes) -> bytes:
    """Answer as a base with 16 sensors of one channel."""
    if command.endswith(b"STARTINDEX?"):
        return str(int(command.split()[1]) - 1).encode() + b"\r\n\r\n"
    for ending, reply in GOOD.items():
        if command.endswith(ending):
            return reply + b"\r\n\r\n"
    return b"INVALID COMMAND\r\n\r\n"


def _but(ending: bytes, reply: bytes) -> Callable[[bytes], bytes]:
    return lambda command: reply + b"\r\n\r\n" if command.endswith(ending) else _good(command)


def test_a_base_that_answers_well() -> None:
    described = _asked(_good)
    assert [sensor.first for sensor in described.sensors] == list(range(16))
    assert described.rates_hz == (2000.0,)


@pytest.mark.parametrize(
    ("ending", "reply", "sentence"),
    [
        (b"STARTINDEX?", b"5", "is at place"),
        (b"STARTINDEX?", b"4000000000", "makes no sense"),
        (b"STARTINDEX?", b"-3", "makes no sense"),
        (b"EMGCHANNELCOUNT?", b"4294967295", "makes no sense"),
        (b"EMGCHANNELCOUNT?", b"16", "is at place"),
        (b"AUXCHANNELCOUNT?", b"144", "is at place"),
        (b"AUXCHANNELCOUNT?", b"1e300", "makes no sense"),
        (b"PAIRED?", b"PERHAPS", "no sensor of the Trigno base"),
    ],
)
def test_answers_that_make_no_sense_are_one_sentence(ending: bytes, reply: bytes, sentence: str) -> None:
    with pytest.raises(DeviceError, match=sentence):
        _asked(_but(ending, reply))


@pytest.mark.parametrize("reply", [b"0", b"-1", b"nan", b"1e400", b"", b"27 samples"])
@pytest.mark.parametrize("ending", [b"FRAME INTERVAL?", b"MAX SAMPLES EMG?"])
def test_rates_that_make_no_sense_are_those_of_the_guide(ending: bytes, reply: bytes) -> None:
    if reply:
        assert _asked(_but(ending, reply)).rates_hz == (2000.0,)
    else:
        with pytest.raises(DeviceError, match="does not answer"):
            _asked(_but(ending, reply))


def test_a_server_that_ends_replies_with_one_line_end() -> None:
    described = _asked(lambda command: _good(command)[:-2], GREETING[:-2])
    assert len(described.sensors) == 16


def test_a_server_that_writes_a_decimal_comma() -> None:
    assert _asked(_but(b"FRAME INTERVAL?", b"0,0135")).rates_hz == (2000.0,)


def test_stopped_said_unasked_is_no_reply() -> None:
    described = _asked(lambda command: b"STOPPED\r\n\r\n" + _good(command))
    assert len(described.sensors) == 16


@pytest.mark.slow
def test_questions_have_an_end() -> None:
    def slowly(command: bytes) -> bytes:
        time.sleep(0.1)
        return _good(command)

    began_s = time.monotonic()
    with pytest.raises(DeviceError, match="answers too slowly"):
        _asked(slowly)
    assert time.monotonic() - began_s < 5.0


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=60).filter(lambda data: b"\r\n" not in data), min_size=1, max_size=8))
def test_any_answers_give_a_base_or_a_sentence(replies: list[bytes]) -> None:
    at = iter(range(10**9))

    def reply(command: bytes) -> bytes:
        turn = next(at)
        good = _good(command)
        return good if turn % 3 else replies[turn // 3 % len(replies)] + b"\r\n\r\n"

    with suppress(DeviceError):
        described = _asked(reply)
        assert 1 <= len(described.sensors) <= 16
        assert all(1 <= rate <= 1e7 for rate in described.rates_hz)


def test_the_stop_trigger_is_one_sentence() -> None:
    with base() as (served, options), opened(options) as driver:
        read_for(driver, 0.2)
        for client in list(served._clients):
            if client.role == "command":
                client.waiting += b"STOPPED\r\n\r\n"
        with pytest.raises(DeviceError, match="stopped by its stop trigger"):
            read_for(driver, 5.0)


def test_a_command_port_that_talks_for_ever_ends_it() -> None:
    with base() as (served, options), opened(options) as driver:
        read_for(driver, 0.2)
        for client in list(served._clients):
            if client.role == "command":
                client.waiting += b"Z" * 100_000
        with pytest.raises(DeviceError, match="a text that does not end"):
            read_for(driver, 5.0)


def test_one_byte_now_and_then_is_silence() -> None:
    with base() as (served, options), opened(options, stall_s=0.6) as driver:
        read_for(driver, 0.2)
        served._signals = None  # nothing more is measured
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.1):
                for client in list(served._clients):
                    if client.role in {"emg", "aux"}:
                        client.waiting += b"\x00"

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(DeviceError, match="has sent nothing on its"):
                read_for(driver, 10.0)
        finally:
            stop.set()
            thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_garbage_on_the_data_ports_is_no_sample_or_one_sentence(seed: int) -> None:
    garbage = random.Random(seed).randbytes(640_000)
    with base() as (served, options), opened(options) as driver:
        read_for(driver, 0.2)
        served._signals = None
        for client in list(served._clients):
            if client.role in {"emg", "aux"}:
                client.waiting += garbage
        with pytest.raises(DeviceError, match="make no sense"):
            read_for(driver, 5.0)
        assert not driver._pieces


def test_a_flood_costs_no_more_memory_than_a_read() -> None:
    """Whoever sends faster than we read fills buffers of the system's, not ours."""
    with server(_says(np.zeros(16, "<f4").tobytes() * 1000)) as port:
        link = TcpLink("127.0.0.1", port, "the flood", LslClock())
        link.open()
        for _ in range(200):
            piece = link.receive()
            assert piece is not None
            assert len(piece[0]) <= 65536
        link.close()
