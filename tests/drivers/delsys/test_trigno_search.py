"""A Trigno Control Utility on this computer is found by its greeting, and nothing else is taken for one."""

from __future__ import annotations

import socket
import threading

import pytest
from trigno_bench import base, opened, read_for

from drivers.delsys.search import find_trigno
from drivers.discovery import SEARCHES


def test_the_server_is_found_while_another_program_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with base() as (served, options), opened(options) as driver:
        monkeypatch.setattr("drivers.delsys.search.PORT", options["command_port"])
        asked = len(served.commands)
        (found,) = find_trigno(1.0)
        assert (found.driver, found.options) == ("delsys.trigno", {"host": "127.0.0.1"})
        assert found.what == "Delsys Trigno System Digital Protocol Version 3.6.0 on this computer"
        assert len(served.commands) == asked
        assert read_for(driver, 0.2)["emg"]


def test_nobody_and_others_are_no_trigno(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setattr("drivers.delsys.search.PORT", other.getsockname()[1])
        assert find_trigno(0.2) == ()  # connected, and nothing is said

        def greet() -> None:
            for _ in range(2):  # the first is the one that waited
                line, _ = other.accept()
                with line:
                    line.sendall(b"220 mail.example.org ESMTP\r\n\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        assert find_trigno(1.0) == ()
        thread.join()
    assert find_trigno(0.2) == ()


def test_it_is_looked_for() -> None:
    assert SEARCHES["Trigno servers"] == "drivers.delsys.search:find_trigno"
