"""Several takes become part of a dataset in one act: all of them or none, and clips that stay are carried over."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import flex_takes
import pytest

from lab.aligned import AlignedTake
from lab.errors import LayoutError
from storage.flex import (
    StagedTake,
    TakeContent,
    commit_takes,
    committed_takes,
    dataset_staging,
    plan_clips,
    rebuild_tables,
    stage_take,
    validate,
)

MADE_FROM = "0123456789abcdef"
SUBJECTS = ("S01", "S02")


class KilledError(BaseException):
    """Stands for a power cut."""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    flex_takes.write_numbered_video(folder / "view1.mov")
    return folder


def _take(subject: str) -> AlignedTake:
    take = flex_takes.make_take(flex_takes.make_record(subject=subject))
    return replace(take, views=take.views[:1])


def stage(dataset: Path, staging: Path, raw: Path, subject: str, repetitions: int) -> StagedTake:
    take, segmentation = _take(subject), flex_takes.make_segmentation(repetitions)
    before = committed_takes(dataset).get(take.record.id)
    clips = plan_clips(dataset, take, segmentation, before)
    content = TakeContent(raw, take, segmentation, sync_picture=flex_takes.PICTURE, made_from=MADE_FROM)
    place = staging / f"{subject}-{repetitions}"
    place.mkdir()
    return stage_take(dataset, place, content, clips, lambda *_: None)


def write(dataset: Path, raw: Path, repetitions: int, *, sweep_all: bool = False) -> list[StagedTake]:
    """Write all takes at once."""
    with dataset_staging(dataset) as staging:
        staged = [stage(dataset, staging, raw, subject, repetitions) for subject in SUBJECTS]
        assert commit_takes(dataset, staged, sweep_all=sweep_all) == {}
    return staged


def _die_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], int]:
    """Let the process 'die' before the ``number``-th change of a name, with all that it would still clear up."""
    calls = 0

    def dying(act: Callable[..., object]) -> Callable[..., object]:
        def watched(*arguments: object, **options: object) -> object:
            nonlocal calls
            if Path(str(arguments[0])).name == ".lock":  # the system frees the lock of a process that dies
                return act(*arguments, **options)
            calls += 1
            if calls == number:
                raise KilledError
            return None if calls > number else act(*arguments, **options)

        return watched

    for owner, name in ((os, "replace"), (Path, "unlink")):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # the folder made aside stays
    return lambda: calls


@pytest.mark.slow
def test_killed_anywhere_all_takes_are_the_old_ones_or_the_new_ones(raw: Path, tmp_path: Path) -> None:
    import pandas as pd

    before, after = tmp_path / "before", tmp_path / "after"
    write(before, raw, 1)
    shutil.copytree(before, after)
    write(after, raw, 2)
    old, new = (pd.read_parquet(folder / "repetitions.parquet") for folder in (before, after))
    assert (len(old), len(new)) == (2, 4)
    seen = set()
    for number in range(1, 200):
        dataset = tmp_path / f"killed{number}"
        shutil.copytree(before, dataset)
        with pytest.MonkeyPatch.context() as patch:
            calls = _die_at(patch, number)
            with contextlib.suppress(KilledError):
                write(dataset, raw, 2)
            if calls() < number:
                break
        now = pd.read_parquet(dataset / "repetitions.parquet")
        assert now.equals(old) or now.equals(new)
        seen.add(len(now))
        assert [finding for finding in validate(dataset) if "interrupted write" not in finding] == []
        rebuilt = tmp_path / "rebuilt"
        shutil.copytree(dataset, rebuilt)
        rebuild_tables(rebuilt)
        expected = before if now.equals(old) else after
        assert flex_takes.tree_hashes(rebuilt) == flex_takes.tree_hashes(expected)
        write(dataset, raw, 2, sweep_all=True)
        assert flex_takes.tree_hashes(dataset) == flex_takes.tree_hashes(after)
        shutil.rmtree(dataset)
        shutil.rmtree(rebuilt)
    assert seen == {2, 4}
    assert number > 20


def test_clips_of_the_same_frames_are_the_same_file(raw: Path, tmp_path: Path) -> None:
    dataset, scratch = tmp_path / "dataset", tmp_path / "scratch"
    write(dataset, raw, 1)
    inodes = {path.stat().st_ino for path in dataset.rglob("rep_01_view1.mov")}
    staged = write(dataset, raw, 2)
    assert [(one.clips, one.carried) for one in staged] == [(2, 1)] * 2
    assert {path.stat().st_ino for path in dataset.rglob("rep_01_view1.mov")} == inodes
    assert all(path.stat().st_nlink == 1 for path in dataset.rglob("*.mov"))
    write(scratch, raw, 2)
    assert flex_takes.tree_hashes(dataset) == flex_takes.tree_hashes(scratch)
    assert validate(dataset) == []


def test_a_take_that_finds_no_room_keeps_no_other_out(raw: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    write(dataset, raw, 1)
    old = committed_takes(dataset)
    with dataset_staging(dataset) as staging:
        staged = [stage(dataset, staging, raw, subject, 2) for subject in SUBJECTS]
        (staging / "S02-2" / staged[1].files[-1]).unlink()
        failed = commit_takes(dataset, staged, sweep_all=False)
    assert list(failed) == [staged[1].entry.take_id]
    assert "could not be written" in str(failed[staged[1].entry.take_id])
    now = committed_takes(dataset)
    assert [now[name].revision == old[name].revision for name in sorted(now)] == [False, True]
    assert validate(dataset) == []


def test_a_folder_of_a_living_writer_is_left_alone(raw: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    with dataset_staging(dataset) as staging:
        staged = stage(dataset, staging, raw, "S01", 1)
        write(dataset, raw, 2, sweep_all=True)
        assert validate(dataset) == []
        assert commit_takes(dataset, [staged]) == {}
    assert validate(dataset) == []
    assert [entry.take["found"] for _, entry in sorted(committed_takes(dataset).items())] == [1, 2]
    assert not list(dataset.glob(".staging-*"))


def test_a_writer_that_fails_leaves_no_folder(raw: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    with pytest.raises(LayoutError, match="x"), dataset_staging(dataset):
        raise LayoutError("x")
    assert not dataset.exists()
