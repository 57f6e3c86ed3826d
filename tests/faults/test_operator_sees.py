"""What an operator sees, hears and types in a take in which a device dies."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pylsl import local_clock
from running_recorder import wait_for, workers_of
from terminal import Operator

from small_rigs import EMG, MOCAP
from storage.take_folder import list_takes, read_record

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

_RED = re.compile(r"\x1b\[1;31m *(FAILED|STARTING)")


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    rig = tmp_path / "rig.toml"
    rig.write_text('name = "two"\nwait_s = 60.0\n' + MOCAP + EMG, encoding="utf-8")
    sitting = Operator(
        tmp_path, "record", "--subject", "S12", "--action", "A16", "--reps", 9, "--rig", rig, "--out", tmp_path / "out"
    )
    yield sitting
    sitting.close()


def test_a_dead_device_is_red_and_rings_and_notes_have_the_time_at_which_they_were_begun(
    operator: Operator, tmp_path: Path
) -> None:
    operator.sees("Enter stops the take   n notes something")
    rang = operator.rang
    assert _RED.search(operator.drawn) is None
    worker = workers_of(operator.pid)[0]
    killed_s = local_clock()
    worker.send_signal(signal.SIGKILL)
    operator.sees("the process of device 'mocap' died (exit code -9); it is started again", 10.0)
    assert operator.rang == rang + 1
    wait_for("the state is red", lambda: operator.sees("mocap") is not None and _RED.search(operator.drawn), 5.0)

    operator.types("n")
    operator.sees("note: ▏")
    begun_s = local_clock()
    operator.types("knee hurts, größer\x7f!")
    operator.sees("note: knee hurts, größe!▏  Enter keeps it   Esc drops it")
    operator.types("\r")
    operator.sees("n notes something")
    operator.types("nwrong")
    operator.sees("note: wrong")
    operator.types("\x1b")
    operator.sees("n notes something")
    operator.types("\r")
    operator.sees("raw take")
    assert operator.leaves() == 3

    (take,) = list_takes(tmp_path / "out" / "raw")
    record = read_record(take)
    (note,) = [event for event in record.events if event.kind == "note"]
    assert note.text == "knee hurts, größe!"
    assert killed_s < note.session_s < begun_s
    assert record.stop_reason == "operator"
    failed = next(event for event in record.events if event.kind == "device_failed")
    assert failed.session_s - killed_s < 1.0


def test_a_note_that_is_unfinished_when_the_take_ends_is_kept(operator: Operator, tmp_path: Path) -> None:
    operator.sees("n notes something")
    operator.types("nhalf a sentence")
    operator.sees("note: half a sentence")
    operator.presses_ctrl_c()
    operator.sees("raw take")
    operator.leaves()
    (take,) = list_takes(tmp_path / "out" / "raw")
    record = read_record(take)
    assert [event.text for event in record.events if event.kind == "note"] == ["half a sentence"]
    assert record.stop_reason == "interrupted"
