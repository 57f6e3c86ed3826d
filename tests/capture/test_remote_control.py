"""Commands from afar: what they mean, what bytes may come, and a session led by them alone."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from terminal import Operator

from capture import remote_control as server
from capture.remote_commands import RemoteCommands
from capture.remote_control import LOOPBACK, RemoteControl, parse_address
from lab.errors import RequestError
from small_rigs import MOCAP
from storage.checksums import verify_sums

ACTIONS = {"a16": "A16", "squat": "A16", "a17": "A17"}


@pytest.fixture
def commands() -> RemoteCommands:
    return RemoteCommands("S12", lambda text: ACTIONS.get(text.strip().lower()))


def test_a_take_from_start_to_stop(commands: RemoteCommands) -> None:
    def say(line: str) -> str:
        return commands.answer(line, "lab")

    assert say("stop") == "ERROR no take is being recorded"
    assert not commands.begin(only_if_asked=True)
    assert say("select all") == say("select none") == say("update") == "OK"
    assert say(r"filename {root:C:\Data\} {template:%p_%b.xdf} {run:2} {participant:S12} {task:Squat}") == "OK"
    assert (commands.wanted_action(), commands.wanted_action()) == ("A16", None)
    assert say("START") == "OK"
    assert commands.start_waits()
    assert commands.begin(only_if_asked=True)
    assert commands.begin()  # the same take
    assert say("start") == "ERROR a take is being recorded; stop it first"
    assert not commands.stop_asked()
    assert say("stop") == "OK"
    assert commands.stop_asked()
    assert say("start") == "OK"  # it waits until this take is saved
    commands.end()
    assert not commands.stop_asked()
    assert commands.begin(only_if_asked=True)
    assert not commands.stop_asked()
    commands.end()
    assert say("start") == say("stop") == "OK"  # taken back before it began
    assert not commands.begin(only_if_asked=True)


def test_who_is_not_the_subject_is_not_recorded(commands: RemoteCommands) -> None:
    assert commands.answer("filename {participant:S13}{task:A17}", "lab").startswith("ERROR participant 'S13' is not")
    assert commands.wanted_action() is None
    assert commands.answer("start", "lab").startswith("ERROR the last filename was refused (participant 'S13'")
    assert not commands.start_waits()
    assert commands.answer("filename {task:flying}", "lab").startswith("ERROR task 'flying' is no action")
    assert commands.answer("filename {participant:S12}", "lab") == "OK"
    assert commands.answer("start", "lab") == "OK"
    notices = commands.notices()
    assert "is refused: participant 'S13' is not S12" in notices[0]
    assert notices[-1] == "remote control, lab: start"
    assert commands.notices() == []


@given(st.lists(st.text(max_size=60) | st.sampled_from(["start", "stop", "filename {task:A17}", "filename {{{:"])))
def test_any_text_gets_one_line_and_shows_no_control_sequence(lines: list[str]) -> None:
    commands = RemoteCommands("S12", lambda text: ACTIONS.get(text.lower()))
    for line in lines:
        answer = commands.answer(line, "lab")
        assert answer == "OK" or answer.startswith("ERROR ")
        assert "\n" not in answer
    assert commands.answer("sart", "lab").startswith("ERROR there is no such command")
    notices = commands.notices()
    assert "refused: there is no such command" in notices[-1]
    assert all(notice.isprintable() and len(notice) < 400 for notice in notices)


def test_addresses() -> None:
    assert parse_address("22345") == (LOOPBACK, 22345)
    assert parse_address("0.0.0.0:22345") == ("0.0.0.0", 22345)
    assert parse_address("[::1]:1") == ("::1", 1)
    for text in ("", ":", "lab", "lab:", ":22345", "65536", "-1", "1e3", "²", "lab:port"):
        with pytest.raises(RequestError, match="is no port"):
            parse_address(text)
    with pytest.raises(RequestError, match="check --remote"):
        RemoteControl("a" * 70, 0, lambda line, who: "OK")


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def control(heard: list[str]) -> Iterator[RemoteControl]:
    def answer(line: str, who: str) -> str:
        heard.append(line)
        return "OK"

    control = RemoteControl(LOOPBACK, 0, answer)
    yield control
    control.close()  # any number of times


@contextlib.contextmanager
def client(control: RemoteControl) -> Iterator[Callable[..., bytes]]:
    """Connect; what is yielded sends bytes and returns one line, nothing where the connection was closed."""
    with socket.create_connection((control.host, control.port), timeout=20) as connection:
        file = connection.makefile("rb")

        def say(data: bytes, *, answered: bool = True) -> bytes:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            try:
                return file.readline() if answered else b""
            except ConnectionError:
                return b""

        with file:
            yield say


def test_lines_come_in_pieces_and_in_one(control: RemoteControl, heard: list[str]) -> None:
    with client(control) as say, client(control) as other:
        say(b"sta", answered=False)
        assert other(b"update\r\n") == b"OK\n"
        assert say(b"rt\n\nstop\nselect all") == b"OK\n"
        assert say(b"") == b"OK\n"
        assert say(b"\n") == b"OK\n"
    assert heard == ["update", "start", "stop", "select all"]
    assert not control.beyond_this_computer


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"x" * 1_000_000, b"ERROR the line is too long\n"),
        (b"x" * 5000 + b"\nstart\n", b"ERROR the line is too long\n"),
        (b"POST /start HTTP/1.1\r\nHost: localhost\r\n\r\nstart\r\n", b"ERROR this is no web server\n"),
    ],
)
def test_hostile_bytes_end_the_connection(
    control: RemoteControl, heard: list[str], data: bytes, refusal: bytes
) -> None:
    with client(control) as say:
        assert say(data) in {refusal, b""}  # nothing: the connection was reset under what was still being sent
        assert say(b"start\n") == b""
    with client(control) as say:
        assert say(b"stop\n") == b"OK\n"
    assert heard == ["stop"]


def test_any_bytes_leave_it_working(control: RemoteControl) -> None:
    with client(control) as say:
        assert say(b"\xff\x00\x1b[2J\n") == b"OK\n"
        answers = [say(b"update\n") for _ in range(60)]
    assert answers.count(b"ERROR too many commands at once\n") <= 1
    with client(control) as say:
        say(b"update\n" * 60, answered=False)
        lines = [say(b"") for _ in range(60)]
        assert b"ERROR too many commands at once\n" in lines
    with client(control) as say:
        assert say(b"update\n") == b"OK\n"


def test_connections_are_few_and_the_silent_make_room(control: RemoteControl, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.ExitStack() as stack:
        first, *_ = [stack.enter_context(client(control)) for _ in range(8)]
        assert first(b"update\n") == b"OK\n"
        with client(control) as ninth:
            assert ninth(b"") == b"ERROR too many connections; close one\n"
        monkeypatch.setattr(server, "_SILENT_S", 0.0)
        with client(control) as ninth:
            assert ninth(b"update\n") == b"OK\n"
        assert first(b"update\n") == b"OK\n"  # it spoke last of the eight


def test_a_line_must_end(control: RemoteControl, heard: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LINE_S", 0.1)
    with client(control) as say:
        assert say(b"sta") == b"ERROR the line did not end in time\n"
        assert say(b"rt\n") == b""
    assert heard == []


def test_a_port_in_use_is_said(control: RemoteControl) -> None:
    with pytest.raises(RequestError, match=f"port {control.port} of 127.0.0.1 cannot be opened"):
        RemoteControl(LOOPBACK, control.port, lambda line, who: "OK")


def test_a_port_can_be_had_again_at_once(control: RemoteControl) -> None:
    with client(control) as say:
        assert say(b"update\n") == b"OK\n"
        control.close()  # its end of the connection is closed first, and the system remembers that for a while
        assert say(b"update\n") == b""
    RemoteControl(LOOPBACK, control.port, lambda line, who: "OK").close()


def test_what_does_not_go_together(flex_capture: Callable[..., Any], tmp_path: Path) -> None:
    for options in (["--action", "squat"], ["--yes"]):
        refused = flex_capture("record", "--subject", "S12", "--out", tmp_path, "--remote", 0, *options)
        assert refused.code == 2
        assert "leave out --action and --yes" in refused.err
    refused = flex_capture("record", "--subject", "S12", "--out", tmp_path, "--remote", "lab")
    assert refused.code == 2
    assert "is no port" in refused.err
    assert list(tmp_path.iterdir()) == []


class _Session:
    """A session without a terminal; ``shown`` is what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.shown = ""
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                with self._grown:
                    self.shown += line
                    self._grown.notify_all()

    def sees(self, text: str, count: int = 1) -> None:
        with self._grown:
            assert self._grown.wait_for(lambda: self.shown.count(text) >= count, timeout=60), self.shown

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        self._reader.join()
        return code


@pytest.mark.slow
def test_a_session_is_led_from_afar(write_rig: Callable[..., Path], tmp_path: Path) -> None:
    rig, out = write_rig(MOCAP), tmp_path / "out"
    command = [sys.executable, "-c", "from capture.cli import main; main()", "record", "--subject", "S12"]
    process = subprocess.Popen(
        [*command, "--rig", str(rig), "--out", str(out), "--reps", "2", "--remote", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    session = _Session(process)
    try:
        session.sees("remote control on 127.0.0.1, port ")
        port = int(session.shown.partition("127.0.0.1, port ")[2].partition(":")[0])
        session.sees("next: A01")
        with socket.create_connection((LOOPBACK, port), timeout=20) as connection, connection.makefile("rb") as file:

            def say(line: str) -> str:
                connection.sendall(line.encode() + b"\n")
                return file.readline().decode().strip()

            assert say("filename {participant:S13} {task:A16}").startswith("ERROR participant 'S13'")
            assert say("start").startswith("ERROR the last filename was refused")
            session.sees("is refused: participant 'S13' is not S12")
            assert say("filename {participant:S12} {task:A16}") == "OK"
            assert say("start") == "OK"
            session.sees("recording S12 A16")
            assert say("start").startswith("ERROR a take is being recorded")
            time.sleep(1.0)  # something to keep
            assert say("stop") == "OK"
            assert say("filename {task:A17}") == "OK"
            assert say("start") == "OK"  # at once: it begins when the first is saved
            session.sees("recording S12 A17")
            time.sleep(1.0)
            assert say("stop") == "OK"
            session.sees("next: A01", 3)  # at first, before A17, and after it
            assert say("start") == "OK"
            session.sees("recording S12 A01")
        assert session.end() == 130  # it stops the take, and then the session: nobody is there for a second Ctrl-C
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "Traceback" not in session.shown
    takes = sorted((out / "raw").glob("S12/*/*"))
    assert [take.name for take in takes] == ["A01-01", "A16-01", "A17-01"]
    for take, reason in zip(takes, ("interrupted", "remote control", "remote control"), strict=True):
        assert verify_sums(take) == []
        record = json.loads((take / "take.json").read_text(encoding="utf-8"))
        assert (record["state"], record["stop_reason"]) == ("complete", reason)


@pytest.mark.slow
def test_an_operator_and_somebody_afar_lead_together(write_rig: Callable[..., Path], tmp_path: Path) -> None:
    rig = write_rig(MOCAP)
    operator = Operator(tmp_path, "record", "--subject", "S12", "--rig", rig, "--reps", "2", "--remote", "0")
    try:
        operator.sees("remote control on 127.0.0.1, port ")
        port = int(operator.sees(":"))
        operator.sees("next: A01")
        with socket.create_connection((LOOPBACK, port), timeout=20) as connection, connection.makefile("rb") as file:

            def say(line: str) -> str:
                connection.sendall(line.encode() + b"\n")
                return file.readline().decode().strip()

            operator.sees("skip")
            operator.types("\r")
            operator.sees("Enter stops the take")
            time.sleep(1.0)  # something to keep
            assert say("stop") == "OK"  # begun by a key, stopped from afar
            operator.sees("retake")
            assert say("start") == "OK"  # keeps the take, and begins the next
            operator.sees("next: A02")
            operator.sees("Enter stops the take")
            time.sleep(1.0)
            operator.types("\r")
            operator.sees("retake")
            operator.types("q")
            assert operator.leaves() in {0, 1}
    finally:
        operator.close()
    assert sorted(take.name for take in (tmp_path / "flex-data" / "raw").glob("S12/*/*")) == ["A01-01", "A02-01"]
