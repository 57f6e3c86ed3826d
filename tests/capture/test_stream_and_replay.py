"""``stream`` and ``replay`` in processes of their own, recorded by ``record`` or received by plain pylsl."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import pylsl
import pytest

from small_rigs import CAMERA, EMG, MOCAP
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes, read_record
from storage.xdf_reader import read_xdf

COMMAND = [sys.executable, "-c", "from capture.cli import main; main()"]
TOP = 'name = "elsewhere"\nwait_s = 20.0\n'


@dataclass
class Publishing:
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def rig_lines(self) -> str:
        """Return what it says a rig elsewhere should hold."""
        return "\n".join(line for line in self.lines if line.startswith(("[[", "name =", "source_id =")))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)


@contextlib.contextmanager
def publishing(*arguments: object) -> Iterator[Publishing]:
    command = [*COMMAND, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        shown = Publishing(process)
        published = threading.Event()

        def read(output: IO[str]) -> None:
            for line in output:
                shown.lines.append(line.rstrip("\n"))
                if " streams · " in line:
                    published.set()
            published.set()

        assert process.stdout is not None
        reader = threading.Thread(target=read, args=(process.stdout,))
        reader.start()
        assert published.wait(60)
        try:
            yield shown
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(20)
            reader.join()


def rig_elsewhere(tmp_path: Path, shown: Publishing, *more: str) -> Path:
    lines = shown.rig_lines().replace("source_id", "max_uncertainty_ms = 1000.0\nsource_id")
    path = tmp_path / "elsewhere.toml"
    path.write_text(TOP + "".join(more) + lines + "\n", encoding="utf-8")
    return path


@pytest.mark.slow
def test_stream_here_and_record_there_twice(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    with publishing("stream", "--rig", write_rig(EMG, CAMERA, MOCAP), "emg") as shown:
        rig, out = rig_elsewhere(tmp_path, shown, MOCAP), tmp_path / "out"
        for _ in range(2):
            outcome = flex_capture("record", "--subject", "S12", "--rig", rig, "--out", out, "--yes", "--reps", 1)
            assert outcome.code == 0, outcome.out + outcome.err
            assert "SIMULATED DEVICES: emg" in outcome.out
            assert "2 streams in sync" in outcome.out
            time.sleep(3.0)  # who is back within a second has not left
        assert shown.stop() == 0, shown.lines
    assert shown.lines[-1] == "stopped"
    starts = []
    for take in list_takes(out / "raw"):
        assert read_record(take).simulated_devices == ("mocap", "emg")
        recorded = {stream.name: stream for stream in read_raw_take(take).streams}
        emg = recorded["emg"]
        assert emg.clock_rows is not None
        assert emg.counter is not None
        assert (np.diff(emg.counter) == 1).all()
        assert emg.clock_rows[-1, 0] == emg.counter[-1]
        starts.append(int(emg.counter[0]))
    assert starts[0] == starts[1]  # somebody came again: the performance began anew


def test_what_cannot_be_streamed_is_one_sentence(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    rig = write_rig(EMG, CAMERA)
    outcome = flex_capture("stream", "--rig", rig)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert "device 'view1' is a camera" in outcome.err
    assert f"flex-capture stream --rig {rig} emg" in outcome.err
    outcome = flex_capture("stream", "--rig", rig, "emgg")
    assert outcome.code == 2
    assert "has no device 'emgg'; its devices are emg, view1" in outcome.err
    others = tmp_path / "others.toml"
    others.write_text('name = "x"\n[[stream]]\nname = "a"\nsource_id = "b"\n')
    outcome = flex_capture("stream", "--rig", others)
    assert outcome.code == 2
    assert "no device of its own" in outcome.err
    assert flex_capture("stream", "--rig", rig, "emg", "--duration", "nan").code == 2
    missing = write_rig('[[device]]\nname = "mocap"\ndriver = "replay.trc"\nfile = "nowhere.trc"\n')
    outcome = flex_capture("stream", "--rig", missing)
    assert outcome.code == 3
    assert "nowhere.trc" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.slow
def test_a_stream_that_is_published_already(
    write_rig: Callable[..., Path], flex_capture: Callable[..., object]
) -> None:
    rig = write_rig(EMG)
    with publishing("stream", "--rig", rig) as shown:
        outcome = flex_capture("stream", "--rig", rig)
        assert outcome.code == 3
        assert "stream 'emg' is published already" in outcome.err
        assert len(outcome.err.strip().splitlines()) == 1
        assert shown.stop() == 0


@pytest.mark.slow
def test_a_device_that_dies_while_it_is_published_is_started_again(write_rig: Callable[..., Path]) -> None:
    import psutil

    def workers(shown: Publishing) -> list[psutil.Process]:
        children = psutil.Process(shown.process.pid).children()
        alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return [child for child in alive if "resource_tracker" not in " ".join(child.cmdline())]

    with publishing("stream", "--rig", write_rig(EMG)) as shown:
        (worker,) = workers(shown)
        worker.kill()
        deadline_s = time.monotonic() + 20
        while not (again := [child for child in workers(shown) if child.pid != worker.pid]):
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        assert len(again) == 1
        assert shown.stop() == 3
    assert any("the process of device 'emg' died" in line for line in shown.lines)


@pytest.mark.slow
def test_a_take_is_played_back_and_recorded_again(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    first = tmp_path / "first"
    outcome = flex_capture(
        "record", "--subject", "S12", "--rig", write_rig(MOCAP, EMG, CAMERA), "--out", first, "--yes", "--reps", 1
    )
    assert outcome.code == 0, outcome
    (take,) = list_takes(first / "raw")
    with publishing("replay", take) as shown:
        assert any("SIMULATED DEVICES: mocap, emg, view1" in line for line in shown.lines)
        assert any("of camera 'view1' the rows are played as numbers" in line for line in shown.lines)
        rig = rig_elsewhere(tmp_path, shown)
        outcome = flex_capture(
            "record",
            *("--subject", "S13", "--rig", rig, "--out", tmp_path / "second"),
            *("--yes", "--reps", 1, "--duration", 16),
        )
        assert outcome.code in {0, 1}, outcome  # it falls silent at its end, before the duration is over
        assert shown.stop() == 0
    assert "1 of 1 repetitions" in outcome.out
    (again,) = list_takes(tmp_path / "second" / "raw")
    before = {stream.name: stream for stream in read_xdf(take / "streams.xdf").streams}
    after = {stream.name: stream for stream in read_xdf(again / "streams.xdf").streams}
    assert set(before) == set(after)  # under their own names
    for name in ("mocap", "emg", "view1"):
        np.testing.assert_array_equal(after[name].values, before[name].values)
        assert after[name].header.channels == before[name].header.channels
    for name in ("mocap.clock", "emg.clock"):
        rows, rows_again = before[name].values, after[name].values
        np.testing.assert_array_equal(rows_again[:, [0, 2]], rows[:, [0, 2]])
        late_s = (rows_again[:, 1] - rows_again[0, 1]) - (rows[:, 1] - rows[0, 1])
        assert np.median(late_s - late_s.min()) < 0.05
    recorded = read_raw_take(again)
    assert recorded.views == ()
    assert {stream.name for stream in recorded.streams} == {"mocap", "emg", "view1_rows"}


@pytest.mark.slow
def test_a_file_of_another_recorder_for_another_program(data_folder: Path) -> None:
    with publishing("replay", data_folder / "xdf" / "minimal.xdf", "--loop") as shown:
        found: dict[str, pylsl.StreamInlet] = {}
        deadline_s = time.monotonic() + 20
        while set(found) != {"SendDataC", "SendDataString"} and time.monotonic() < deadline_s:
            for info in pylsl.resolve_streams(0.5):
                if info.name() in {"SendDataC", "SendDataString"} and info.name() not in found:
                    found[info.name()] = pylsl.StreamInlet(info, max_buflen=60, recover=False)
        for inlet in found.values():
            inlet.open_stream(10.0)
        texts = [found["SendDataString"].pull_sample(20.0)[0] for _ in range(12)]
        numbers = [found["SendDataC"].pull_sample(20.0)[0] for _ in range(12)]
        for inlet in found.values():
            inlet.close_stream()
        found.clear()
        assert shown.stop() == 0
    file = {stream.name: stream for stream in read_xdf(data_folder / "xdf" / "minimal.xdf").streams}
    assert texts == (file["SendDataString"].values.tolist() * 2)[:12]
    assert [row[:3] for row in numbers] == (file["SendDataC"].values.tolist() * 2)[:12]
    assert [row[3] for row in numbers[:9]] == list(range(9))


def test_what_cannot_be_played_back_is_one_sentence(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    outcome = flex_capture("replay", tmp_path / "nothing")
    assert outcome.code == 2
    assert "neither a raw take nor an XDF file" in outcome.err
    (tmp_path / "bad.xdf").write_bytes(b"XDF:" + b"\xff" * 50)
    outcome = flex_capture("replay", tmp_path / "bad.xdf")
    assert outcome.code == 3
    assert "holds no samples" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_now_plays_once_and_ends(data_folder: Path, flex_capture: Callable[..., object]) -> None:
    outcome = flex_capture("replay", data_folder / "xdf" / "minimal.xdf", "--now")
    assert outcome.code == 0, outcome
    assert outcome.out.rstrip().endswith("all is played")
