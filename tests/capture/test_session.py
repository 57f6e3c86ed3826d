"""An operator's evening: a session at a real terminal, in two calls, with all that goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from small_rigs import EMG, MOCAP
from storage.checksums import verify_sums
from storage.marks_file import read_marks
from storage.take_folder import list_takes, read_record

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX's", allow_module_level=True)

from terminal import Operator

PLAYLIST = """
name = "three"
[[set]]
action = "A16"
repetitions = 1
rest_s = 30
[[set]]
action = "A09"
repetitions = 1
load_kg = 20
rest_s = 0
[[set]]
action = "A01"
repetitions = 1
rest_s = 0
"""


@contextmanager
def operator(folder: Path, *arguments: object) -> Iterator[Operator]:
    person = Operator(folder, *arguments)
    try:
        yield person
    finally:
        person.close()


@pytest.fixture
def lab(write_rig: Callable[..., Path], tmp_path: Path) -> tuple[object, ...]:
    """What the operator types to record."""
    playlist = tmp_path / "three.toml"
    playlist.write_text(PLAYLIST, encoding="utf-8")
    return ("record", "--subject", "S12", "--rig", write_rig(MOCAP, EMG), "--playlist", playlist)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_evening(lab: tuple[object, ...], tmp_path: Path, flex_capture: Callable[..., object]) -> None:
    dataset, raw = tmp_path / "flex-data" / "dataset", tmp_path / "flex-data" / "raw"

    def in_order(*expected: tuple[str, str]) -> None:
        """The dataset is valid and has exactly these takes, with why they are not to be used."""
        assert flex_capture("validate", dataset).code == 0
        takes = pq.read_table(dataset / "takes.parquet").to_pylist()
        assert sorted((row["take"], row["excluded_reason"] or "") for row in takes) == sorted(expected)
        for take in list_takes(raw):
            assert verify_sums(take) == []
            assert read_record(take).state == "complete"

    with operator(tmp_path, *lab) as person:
        assert "SIMULATED DEVICES" in person.sees("0 of 3 done")
        person.sees("next: A16 squat · barbell · load not given · 1 repetition")
        person.sees("[q] quit")
        person.types("x\x1b[A")  # a wrong key, and an arrow
        person.types("l")
        person.sees("load of A16 squat in kg:")
        person.types("heavy\r")
        person.sees("'heavy' is no load")
        person.sees("[q] quit")
        person.types("l")
        person.sees("in kg:")
        person.types("42,5\r")
        person.sees("load 42.5 kg")
        person.sees("[q] quit")
        bells = person.rang
        person.types(" ")
        person.sees("Enter stops the take")
        assert person.rang >= bells + 3  # the ticks of the countdown
        person.sees("saved to flex-data/dataset")
        person.sees("[b] bad")
        in_order(("A16-01", ""))
        person.types("r")
        person.sees("why once more?")
        person.types("shoelace\r")
        person.sees("A16-01 is marked: to be done again, shoelace")
        in_order(("A16-01", "to be done again: shoelace"))

        person.sees("this is a retake")
        person.sees("rest 0:")
        person.types("\r")
        person.sees("Enter stops the take")
        person.sees("· recording")
        person.types("\r")  # Enter stops it: short of its repetition, but kept
        person.sees("saved to flex-data/dataset")
        person.sees("[b] bad")
        person.types("n")
        person.sees("note:")
        person.types("belt on, [bold]ärmel[/]\r")
        person.sees("A16-02 is marked: note, belt on, [bold]ärmel[/]")
        person.sees("[b] bad")
        person.types("\r")
        in_order(("A16-01", "to be done again: shoelace"), ("A16-02", ""))

        person.sees("next: A09 barbell curl · barbell · load 20 kg")
        person.sees("[q] quit")
        person.types("\r")
        person.sees("Enter stops the take")
        person.sees("· recording")
        person.presses_ctrl_c()  # stops the take as Enter does
        person.sees("saved to flex-data/dataset")
        person.sees("[b] bad")
        person.types("b")
        person.sees("what is bad about it?")
        person.types("\r")
        person.sees("A09-01 is marked: bad")
        in_order(("A16-01", "to be done again: shoelace"), ("A16-02", ""), ("A09-01", "bad"))

        person.sees("next: A01 overhead press")
        person.sees("[q] quit")
        person.types("s")
        person.sees("still without a usable take: A09 barbell curl, A01 overhead press")
        person.sees("[q] quit")
        person.types("q")
        person.sees("2 of 3 sets are left; the same command goes on with A09 barbell curl")
        assert person.leaves() in {0, 1}  # the takes that were cut short have fewer repetitions than asked for
    assert read_record(list_takes(raw)[1]).load_kg == 42.5
    assert [mark.text for mark in read_marks(list_takes(raw)[2])[0]] == ["belt on, [bold]ärmel[/]"]

    # it was not S12 who did the curls' first try, but S13
    curls = next(take for take in list_takes(raw) if take.name == "A09-01")
    assert flex_capture("amend", curls, "--subject", "S13", "--good").code in {0, 1}
    in_order(("A16-01", "to be done again: shoelace"), ("A16-02", ""), ("A09-01", ""))
    takes = pd.read_parquet(dataset / "takes.parquet").set_index("take")
    assert takes.subject.to_dict() == {"A16-01": "S12", "A16-02": "S12", "A09-01": "S13"}

    with operator(tmp_path, *lab) as person:  # the second call goes on in the same session
        person.sees("1 of 3 done")
        for name in ("next: A09 barbell curl", "next: A01 overhead press"):
            person.sees(name)
            person.sees("[q] quit")
            person.types("\r")
            person.sees("1 of 1 repetitions · 2 streams in sync", 120)
            person.sees("[b] bad")
            person.types("k")
        person.sees("three: all 3 sets have a usable take")
        assert person.leaves() in {0, 1}
    in_order(("A16-01", "to be done again: shoelace"), ("A16-02", ""), ("A09-01", ""), ("A09-02", ""), ("A01-01", ""))
    assert len({take.parent for take in list_takes(raw)}) == 1
    status = flex_capture("status", "--out", tmp_path / "flex-data", "--subject", "S12").out
    assert "belt on" in status


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_quitting_at_a_question_loses_nothing(lab: tuple[object, ...], tmp_path: Path) -> None:
    with operator(tmp_path, *lab) as person:
        person.sees("[q] quit")
        person.presses_ctrl_c()
        person.sees("3 of 3 sets are left")
        assert person.leaves() == 130
        assert "Traceback" not in person.shown
    assert not (tmp_path / "flex-data" / "raw").exists()
    with operator(tmp_path, *lab) as person:
        person.sees("[q] quit")
        person.types("o")
        person.sees("action (id or name):")
        person.types("A20\r")
        person.sees("A20 dumbbell squat is not in three")
        person.sees("[q] quit")
        person.types("o")
        person.sees("action (id or name):")
        person.types("overhead PRESS\r")
        person.sees("next: A01 overhead press")
        person.sees("[q] quit")
        person.types("\x04")  # Ctrl-D
        assert person.leaves() == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_device_that_does_not_come_is_told_and_the_set_offered_again(
    write_rig: Callable[..., Path], tmp_path: Path
) -> None:
    rig = write_rig(MOCAP, '\n[[device]]\nname = "squat"\ndriver = "replay.c3d"\nfile = "gone.c3d"\n')
    with operator(tmp_path, "record", "--subject", "S12", "--rig", rig) as person:
        person.sees("[q] quit")
        person.types("\r")
        person.sees("gone.c3d")
        person.sees("nothing was recorded; set that right, then start again")
        person.sees("next: A01 overhead press")
        person.sees("[q] quit")
        person.types("q")
        assert person.leaves() == 0
        assert "Traceback" not in person.shown
    assert not (tmp_path / "flex-data" / "raw").exists()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_session_that_is_asked_to_end_in_a_take_closes_the_take_and_ends(
    lab: tuple[object, ...], tmp_path: Path
) -> None:
    with operator(tmp_path, *lab) as person:
        person.sees("[q] quit")
        person.types(" ")
        person.sees("Enter stops the take")
        person.is_asked_to_end()
        person.sees("the same command goes on with")
        assert person.leaves() in {0, 1}
    (take,) = list_takes(tmp_path / "flex-data" / "raw")
    assert verify_sums(take) == []
    assert read_record(take).stop_reason == "interrupted"
