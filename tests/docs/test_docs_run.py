"""Every complete command in the documents is typed, in a folder where what it names is there."""

from __future__ import annotations

import io
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from foreign_recording import AMP, BEGIN_S, write_video, write_xdf
from test_docs_commands import FENCE, INLINE, commands, documents, fences, globbed, problem_of

from lab_recording import write_recording
from storage.marks_file import marks_path

RIG = """
name = "our lab"

[[device]]
name = "mocap"
driver = "simulated.mocap"

[[device]]
name = "emg"
driver = "simulated.emg"

[[device]]
name = "vest"
driver = "simulated.vest"
max_uncertainty_ms = 500.0
"""
CAMERAS = "".join(
    f'[[device]]\nname = "view{number}"\ndriver = "simulated.camera"\nrate_hz = 10.0\n' for number in (1, 2)
)
TARGETS = """
[targets]
A16 = ["L vastus_lateralis", "L gluteus_maximus", "R vastus_lateralis", "R gluteus_maximus"]
"""
#: A release needs cameras and two subjects: where its commands name the dataset, that of another lab is meant.
FILMED = "filmed/dataset"
PLAYLIST = 'name = "legs first"\norder = ["A16", "A17"]\n'
TAKE = "flex-data/raw/S12/20261123-0930/A16-01"
#: Commands that go on until they are stopped, and what stops them.
ENDLESS = dict.fromkeys(("record", "stream", "replay", "emulate"), ("--duration", "2"))
INTERRUPTED = 130
#: Where the documents plug in a disk, and where it is for the test.
USB = "/media/usb/flex-backup", "E:flex-backup"
PLUGGED_IN = "usb"
#: Where the documents have a folder that all computers of a cluster see.
ON_THE_CLUSTER = "/shared/flex-data"
#: Pages whose commands are placeholders of their own kind, made from the code.
NOT_TYPED = {"reference"}


def record_with_labrecorder(lab: Path) -> None:
    """Leave what somebody else recorded in the lab: a session, two videos, and a rig that says what the streams are."""
    markers = ((BEGIN_S + 95.0, "A17 start"), (BEGIN_S + 150.0, "A17 end"))
    numbers = range(60)
    write_xdf(lab / "session3.xdf", seconds=160.0, numbers=numbers, markers=markers, phone=True)
    write_video(lab / "front.mp4", len(numbers))
    write_video(lab / "side.mkv", len(numbers), "mjpeg")
    entry = f'[[stream]]\nname = "amp"\nsource_id = "{AMP}"\ncounter = "count"\ncounter_modulus = 256\n'
    (lab / "theirs.toml").write_text(f'name = "their lab"\n{entry}', encoding="utf-8")


def copy_motions(lab: Path, data_folder: Path) -> None:
    """Leave recordings of motions in which repetitions are looked for: three real ones, and a watch."""
    shutil.copy(data_folder / "reps" / "squats1.trc", lab / "squats.trc")
    shutil.copy(data_folder / "emg" / "elbow_flexion_1000hz.csv", lab / "goniometer.csv")
    shutil.copy(data_folder / "c3d" / "pc_real.c3d", lab / "gait.c3d")
    time_s = np.arange(0.0, 40.0, 0.02)
    turned = (1 - np.cos(2 * np.pi * np.clip(time_s - 2, 0, 36) / 3)) / 2
    g = 9.81 * np.column_stack((np.cos(turned), np.sin(turned), np.zeros_like(turned)))
    rows = "".join(f"{when:.2f},{x:.3f},{y:.3f},{z:.3f}\n" for when, (x, y, z) in zip(time_s, g, strict=True))
    (lab / "watch.csv").write_text("time,acc_x,acc_y,acc_z\n" + rows, encoding="utf-8")


def record_filmed(lab: Path) -> None:
    """Leave a dataset of two subjects with two views each."""
    from offline_take import record_offline

    from capture.process_take import process_take

    (lab / "filmed.toml").write_text(RIG + CAMERAS, encoding="utf-8")
    (lab / "emg-targets.toml").write_text(TARGETS, encoding="utf-8")
    small = {"width": 320, "height": 240, "focal_px": 260.0, "quality": 30}
    for seed, subject in enumerate(("S12", "S13"), start=1):
        rig = lab / "filmed.toml"
        take = record_offline(
            lab / "filmed", seed=seed, repetitions=2, cameras=True, rig_path=rig, options=small, subject=subject
        )
        process_take(take, lab / FILMED, lambda *_: None, verify=False)


def complete_commands(project: Path) -> list[tuple[str, ...]]:
    found: dict[tuple[str, ...], None] = {}
    for document in documents(project):
        if document.parent.name in NOT_TYPED:
            continue
        text = document.read_text(encoding="utf-8")
        for fence in fences(text):
            if fence.language in {"bash", "sh", "console"}:
                found |= dict.fromkeys(tuple(words) for words in commands(fence.text))
        for mention in INLINE.findall(FENCE.sub("", text)):
            words = shlex.split(mention)[1:]
            if "…" not in mention and problem_of(words) is None:
                found[tuple(words)] = None
    return list(found)


@pytest.fixture
def lab(project: Path, tmp_path: Path, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the documents name: rig, playlist, protocol, examples, one take in a dataset, a sheet."""
    from capture.backup import back_up
    from capture.process_take import process_take

    monkeypatch.syspath_prepend(str(project / "benchmarks"))
    from offline_take import record_offline

    lab = tmp_path / "lab"
    lab.mkdir()
    for name in ("lab.toml", "amplifier.toml"):
        (lab / name).write_text(RIG, encoding="utf-8")
    (lab / "legs.toml").write_text(PLAYLIST, encoding="utf-8")
    shutil.copy(project / "capture" / "protocols" / "flex20.toml", lab / "our-lab.toml")
    shutil.copytree(project / "examples", lab / "examples")
    out = lab / "flex-data"
    take = record_offline(out, rig_path=lab / "lab.toml", repetitions=3, session="20261123-0930")
    assert take == lab / TAKE
    record_filmed(lab)
    (lab / "recordings").mkdir()
    shutil.copy(take / "streams.xdf", lab / "recordings" / "session3.xdf")
    write_recording(lab / "recordings" / "lab2.xdf")
    record_with_labrecorder(lab)
    copy_motions(lab, data_folder)
    process_take(take, out / "dataset", lambda *_: None, verify=False)
    (out / "subjects").mkdir()
    (out / "subjects" / "S12.toml").write_text('skill = "novice"\n', encoding="utf-8")
    (lab / PLUGGED_IN).mkdir()
    assert back_up([out], lab / PLUGGED_IN, quick=False) == 0
    return lab


def interrupt_when_reached(address: tuple[str, int], ended: threading.Event) -> None:
    """Press Ctrl-C when somebody listens at ``address``."""
    while not ended.wait(0.2):
        try:
            socket.create_connection(address, timeout=5.0).close()
        except OSError:
            continue
        time.sleep(0.5)
        signal.raise_signal(signal.SIGINT)
        return


def listened_to(flex_capture: Callable[..., object], words: list[str]) -> object:
    """Run a session that takes commands from afar on this computer until it can be reached."""
    at = words.index("--remote") + 1
    port = words[at].rpartition(":")[2]
    ended = threading.Event()
    operator = threading.Thread(target=interrupt_when_reached, args=(("127.0.0.1", int(port)), ended))
    operator.start()
    try:
        return flex_capture(*words[:at], port, *words[at + 1 :])
    finally:
        ended.set()
        operator.join()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_in_the_documents_does_what_it_says(
    project: Path,
    lab: Path,
    tmp_path: Path,
    data_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    flex_capture: Callable[..., object],
) -> None:
    monkeypatch.setenv("FLEX_TEST_DATA", str(data_folder))
    typed, problems = 0, []
    for words in complete_commands(project):
        if "rerun" in words and find_spec("rerun") is None:
            continue  # an extra that is not installed
        if words[0] == "record" and any(word.endswith("emulated-lab.toml") for word in words):
            continue  # test_emulated_lab.py serves it as well
        folder = tmp_path / "now"
        shutil.copytree(lab, folder)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "stdin", io.StringIO("S12\n"))
        named = globbed(list(words), folder)
        command = next((word for word in words if not word.startswith("-")), "")
        if "release" in words:
            named = [FILMED if word == "flex-data/dataset" else word for word in named]
        for disk in USB:
            named = [word.replace(disk, str(folder / PLUGGED_IN)) for word in named]
        named = [word.replace(ON_THE_CLUSTER, "flex-data") for word in named]
        if words[:2] == ("rig", "new"):
            (folder / words[2]).unlink(missing_ok=True)
            named.append("--yes")
        if "--undo" in words:
            assert flex_capture("reps", TAKE, "--exclude", 1).code == 0
        if "--cluster" in words:  # tests/capture has a real one; here nobody answers
            command_line = [sys.executable, "-c", "from capture.cli import main; main()", *named]
            alone = subprocess.run(command_line, capture_output=True, text=True, timeout=120, check=False)
            assert alone.returncode == 2
            assert "no Dask scheduler answers at tcp://bench:8786" in alone.stderr
            monkeypatch.chdir(tmp_path)
            shutil.rmtree(folder)
            typed += 1
            continue
        if "--remote" in words:
            done, allowed = listened_to(flex_capture, named), {INTERRUPTED}
        else:
            done, allowed = flex_capture(*named, *ENDLESS.get(command, ())), {0, 1}
        if words[:2] == ("rig", "new"):
            allowed = {0, 2}  # nothing is plugged in
        if done.code not in allowed or "Traceback" in done.err:
            problems.append(f"flex-capture {shlex.join(words)}: exit code {done.code}\n{done.out}{done.err}")
        if command == "amend":
            assert marks_path(folder / TAKE).exists(), words
        if command == "withdraw":
            assert not list((folder / "flex-data").rglob("*S12*")), done.out
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)
        typed += 1
    assert not problems, "\n".join(problems)
    assert typed >= 30
