"""Ctrl-C at any point leaves a valid raw take or nothing; no worker outlives its recorder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from capture.interruption import Interruption
from small_rigs import CAMERA, EMG, MOCAP
from storage.checksums import verify_sums
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes

COMMAND = [sys.executable, "-c", "from capture.cli import main; main()", "record", "--subject", "S12", "--yes"]


@contextlib.contextmanager
def recording(rig: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "--rig", str(rig), "--out", str(out), "--reps", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.2, 0.6, 1.2, 1.8, 2.4, 3.0, 3.6, 5.0, 8.0, 14.0, 15.5, 16.5, 17.5])
def test_ctrl_c_leaves_a_valid_take_or_nothing(write_rig: Callable[..., Path], tmp_path: Path, after_s: float) -> None:
    rig, out = write_rig(MOCAP, EMG, CAMERA), tmp_path / "out"
    with recording(rig, out) as process:
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers as well
        shown, _ = process.communicate(timeout=60)
    assert "Traceback" not in shown
    takes = list_takes(out / "raw") if (out / "raw").exists() else []
    if not takes:
        assert process.returncode in {130, -signal.SIGINT}, shown  # the latter before Python itself is up
        assert not (out / "raw").exists()
        return
    (take,) = takes
    assert process.returncode in {0, 1, 130}, shown
    assert verify_sums(take) == []
    recorded = read_raw_take(take)
    assert recorded.record.state == "complete"
    assert len(recorded.streams) == 2
    assert len(recorded.views) == 1
    assert not list(take.rglob("*.part"))


def test_ctrl_c_while_python_ends_does_not_change_what_was_said() -> None:
    late = "import atexit, os, signal; atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT));"
    ended = subprocess.run(
        [sys.executable, "-c", f"{late} from capture.cli import main; main()", "--version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [1.0, 2.5, 6.0])
def test_no_worker_survives_a_killed_recorder(write_rig: Callable[..., Path], tmp_path: Path, after_s: float) -> None:
    rig, out = write_rig(MOCAP, EMG, CAMERA), tmp_path / "out"
    with recording(rig, out) as process:
        time.sleep(after_s)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=4.0)
        assert alive == []


def test_an_interruption_raises_unless_deferred() -> None:
    interruption = Interruption()
    with interruption.installed():
        interruption.defer()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    with Interruption().installed(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_an_interruption_in_a_destructor_is_not_lost_and_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    interruption = Interruption()
    with interruption.installed():
        interruption.check()
        dying = Dying()
        del dying
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
    assert capsys.readouterr().err == ""


def test_what_is_deferred_is_finished_and_then_ends() -> None:
    interruption, done = Interruption(), []
    with interruption.installed():
        with contextlib.ExitStack() as held:
            held.enter_context(pytest.raises(KeyboardInterrupt))
            held.enter_context(interruption.deferred())
            signal.raise_signal(signal.SIGINT)
            done.append("the tables are written")
        assert interruption.requested.is_set()
        with interruption.deferred():  # what is given to the dataset at the end
            done.append("and what was made")
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert len(done) == 2
