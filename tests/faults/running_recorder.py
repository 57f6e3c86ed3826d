"""``flex-capture record`` in a process of its own, as an operator starts it, and its workers seen from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil

from storage.take_folder import list_takes

COMMAND = (sys.executable, "-c", "from capture.cli import main; main()")


def wait_for(what: str, true: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Look twenty times a second until something is true."""
    deadline_s = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline_s, f"this did not happen within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended may still be listed until somebody asks how."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def workers_of(recorder: int) -> list[psutil.Process]:
    """Return the workers of the recorder with this process id, in the order in which they were started."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(recorder).children():
            with contextlib.suppress(psutil.Error):
                if "spawn_main" in " ".join(child.cmdline()) and lives(child):
                    found.append(child)
    return sorted(found, key=lambda child: (child.create_time(), child.pid))


class RunningRecorder:
    """A recorder under way; ``out`` is its output folder, its console is a file."""

    def __init__(self, rig: Path, out: Path, environment: Mapping[str, str], *more: object) -> None:
        self.out = out
        self._console = out.with_name(out.name + "-console.txt")
        command = [*COMMAND, "record", "--subject", "S12", "--yes", "--truth", "--rig", rig, "--out", out, *more]
        with self._console.open("w") as console:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def shown(self) -> str:
        """All that the console shows so far."""
        return self._console.read_text(encoding="utf-8", errors="replace")

    def shows(self, text: str, timeout_s: float = 90.0) -> None:
        """Wait until the console shows a text."""

        def there() -> bool:
            assert text in self.shown or self.process.poll() is None, f"it ended before '{text}':\n{self.shown}"
            return text in self.shown

        try:
            wait_for(f"'{text}' on the console", there, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.shown}") from None

    def workers(self) -> list[psutil.Process]:
        """Return the workers that are there; at first their order is that of the rig."""
        return workers_of(self.process.pid)

    def stop(self, timeout_s: float = 90.0) -> int:
        """Press Ctrl-C and wait for the end; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.ends(timeout_s)

    def ends(self, timeout_s: float = 90.0) -> int:
        """Wait for the end; return the exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end:\n{self.shown}") from None

    def take(self) -> Path:
        """Return the folder of the newest take."""
        return list_takes(self.out / "raw")[-1]

    def close(self) -> None:
        """Let nothing of it remain, whatever state it is in."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def recording(rig: Path, out: Path, environment: Mapping[str, str], *more: object) -> Iterator[RunningRecorder]:
    """Start a recorder and wait until it records."""
    recorder = RunningRecorder(rig, out, environment, *more)
    try:
        recorder.shows("Ctrl-C stops the take")
        yield recorder
    finally:
        recorder.close()
