"""What answers on the port may be anything but a Cyton."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from drivers.host_clock import LslClock
from drivers.openbci.cyton import Cyton, CytonConfig
from lab.errors import DeviceError


@contextmanager
def server(answer: Any) -> Iterator[str]:
    """Serve one connection after the other with ``answer(connection)``, which may be anything but a Cyton."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def run() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(0.1)
                    while not stop.is_set():
                        try:
                            answer(connection)
                        except TimeoutError:
                            continue
                        except OSError:
                            break

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop.set()
            thread.join()


def _silent(connection: socket.socket) -> None:
    if not connection.recv(100):
        raise OSError


def _flood(connection: socket.socket) -> None:
    connection.sendall(bytes(range(256)) * 64)


def _drip(connection: socket.socket) -> None:
    connection.sendall(b"$")
    connection.sendall(b"x")
    time.sleep(0.01)


def _other_device(connection: socket.socket) -> None:
    if connection.recv(100) == b"v":
        connection.sendall(b"OpenBCI Ganglion v2.0.1\n$$$")


def _no_samples(connection: socket.socket) -> None:
    for letter in connection.recv(100):
        if letter in b"v":
            connection.sendall(b"On Board ADS1299 Device ID: 0x3E\nFirmware: v3.1.2\n$$$")
        elif letter in b"0dX>":
            connection.sendall(b"Success: yes$$$")


def _endless_ends(connection: socket.socket) -> None:
    connection.sendall(b"$$$" * 1000)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_silent, "does not answer; check that this is its port"),
        (_flood, "does not answer|is no Cyton"),
        (_drip, "does not answer"),
        (_other_device, "is no Cyton; check the port"),
        (_endless_ends, "is no Cyton"),
        (_no_samples, "answers but sends no samples; switch the board off and on"),
    ],
)
def test_what_is_no_cyton_is_one_sentence_within_bounded_time(answer: Any, said: str) -> None:
    clock = LslClock()
    with server(answer) as port:
        driver = Cyton(CytonConfig(port=port), clock)
        began_s = clock.now_s()
        with pytest.raises(DeviceError, match=said) as caught:
            driver.open()
        assert clock.now_s() - began_s < 20
        assert len(caught.value.problems) == 1
        driver.close()
