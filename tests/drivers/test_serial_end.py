"""The device's end of a serial line: pulled and plugged in, and two emulators that want one name."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.emulators.serial_end import SerialEnd
from drivers.host_clock import LslClock
from drivers.links.serial_link import SerialLink
from lab.errors import DeviceError

posix = pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals need Linux or macOS")
DATA = bytes(range(256)) * 40


def read_to_the_end(receive: Callable[[], Any]) -> tuple[bytes, str]:
    """Return all that came, and the sentence that ended it."""
    got = b""
    deadline_s = time.monotonic() + 10
    while time.monotonic() < deadline_s:
        try:
            piece = receive()
        except DeviceError as error:
            (sentence,) = error.problems
            return got, sentence
        got += piece[0] if piece else b""
    raise AssertionError("it did not end")


LINES = [pytest.param(0, id="tcp"), pytest.param(None, id="pty", marks=posix)]


@pytest.mark.parametrize("where", LINES)
def test_a_line_that_is_pulled_gives_what_came_and_comes_back(where: int | None, tmp_path: Path) -> None:
    end = SerialEnd(tmp_path / "line" if where is None else where)
    end.open()
    link = SerialLink(end.url, 115_200, "the amplifier", LslClock())
    link.open()
    link.send(b"go")
    heard = b""
    while heard != b"go":
        heard += end.receive(1.0)
    end.send(DATA)
    got, deadline_s = b"", time.monotonic() + 5
    while len(got) < len(DATA) and time.monotonic() < deadline_s:
        piece = link.receive()
        got += piece[0] if piece else b""
    assert got == DATA[: len(DATA) - end.dropped]
    puller = threading.Timer(0.3, end.unplug)
    puller.start()
    rest, sentence = read_to_the_end(link.receive)
    puller.join()
    assert rest == b""
    assert "the amplifier" in sentence
    link.close()
    end.open()
    link.open()
    end.receive(0.2)
    end.send(b"again")
    assert link.receive()[0][:1] == b"a"
    link.close()
    end.close()
    assert list(tmp_path.iterdir()) == []


@posix
def test_a_name_that_another_emulator_has_taken_stays_its(tmp_path: Path) -> None:
    first, second = SerialEnd(tmp_path / "line"), SerialEnd(tmp_path / "line")
    first.open()
    second.open()
    first.close()
    link = SerialLink(str(tmp_path / "line"), 9600, "the amplifier", LslClock())
    link.open()
    second.send(b"here")
    assert link.receive() is not None
    link.close()
    second.close()
    assert list(tmp_path.iterdir()) == []
