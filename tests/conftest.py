"""Fixtures for all rooms: real recordings, LSL apart from the lab's, and a check for what a test leaves behind."""

from __future__ import annotations

import gc
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import psutil
import pytest

PROJECT = Path(__file__).resolve().parent.parent
LEAK_GRACE_S = 3.0

hypothesis.settings.register_profile("quick", max_examples=40, deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=400, deadline=None)
hypothesis.settings.load_profile("thorough" if os.environ.get("FLEX_TEST_THOROUGH") else "quick")


def _lsl_apart() -> Path:
    """Write an LSL configuration with a session of its own and name it to this process and all it starts.

    It must happen before the first use of LSL in the process, hence at import.
    """
    folder = Path(tempfile.mkdtemp(prefix="flex-capture-lsl-"))
    path = folder / "lsl_api.cfg"
    path.write_text(
        "[multicast]\nResolveScope = machine\n[ports]\nIPv6 = disable\nPortRange = 128\n"
        f"[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = test-{secrets.token_hex(8)}\n"
        "[tuning]\nMulticastMinRTT = 0.1\nUnicastMinRTT = 0.1\nMulticastMaxRTT = 0.5\nUnicastMaxRTT = 0.5\n"
        "[log]\nlevel = -3\n",
        encoding="utf-8",
    )
    os.environ["LSLAPICFG"] = str(path)
    return folder


_LSL_FOLDER = _lsl_apart()


def pytest_unconfigure() -> None:
    for path in _LSL_FOLDER.iterdir():
        path.unlink()
    _LSL_FOLDER.rmdir()


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root."""
    return PROJECT


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real recordings; the test is skipped where it is missing."""
    folder = Path(os.environ.get("FLEX_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not at {folder}; set FLEX_TEST_DATA")
    return folder


def _children() -> set[int]:
    own = psutil.Process()
    found = set()
    for child in own.children(recursive=True):
        try:
            # Python's own resource tracker lives as long as the process that needed it
            if "resource_tracker" not in " ".join(child.cmdline()):
                found.add(child.pid)
        except psutil.Error:
            continue
    return found


def _open_things() -> set[str]:
    own = psutil.Process()
    files = {f"file {entry.path}" for entry in own.open_files()}
    sockets = {f"listening socket {entry.laddr}" for entry in own.net_connections() if entry.status == "LISTEN"}
    return files | sockets


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, process, open file, listening socket or a file in the working folder."""
    threads, children, things = set(threading.enumerate()), _children(), _open_things()
    here = set(Path.cwd().iterdir())
    yield
    deadline_s = time.monotonic() + LEAK_GRACE_S
    while True:
        left = [thread.name for thread in set(threading.enumerate()) - threads if thread.is_alive()]
        left += [f"process {pid}" for pid in _children() - children]
        left += sorted(_open_things() - things)
        left += [str(path) for path in set(Path.cwd().iterdir()) - here if not path.name.startswith(".")]
        if not left:
            return
        if time.monotonic() > deadline_s:
            pytest.fail(f"left behind: {', '.join(left)}")
        gc.collect()  # only now: it takes longer than most tests
        time.sleep(0.05)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def flex_capture(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line as the console script does, in this process."""

    def run(*arguments: object) -> Outcome:
        from capture.cli import main

        monkeypatch.setattr(sys, "argv", ["flex-capture", *(str(argument) for argument in arguments)])
        on_ctrl_c = signal.getsignal(signal.SIGINT)  # the command line lets go of it at its end
        try:
            with pytest.raises(SystemExit) as left:
                main()
        finally:
            signal.signal(signal.SIGINT, on_ctrl_c)
        shown = capsys.readouterr()
        return Outcome(int(left.value.code or 0), shown.out, shown.err)

    return run
