"""A writer that dies leaves the old dataset or the new one, and the next writer clears up."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import flex_takes
import pytest

from lab.aligned import AlignedTake
from lab.errors import LayoutError
from lab.take import TakeRecord
from storage import file_lock
from storage.flex import lock, rebuild_tables, remove_subject, validate, write_take


class KilledError(BaseException):
    """Stands for a power cut: nothing after it runs, not even what clears up."""


def _watch_replace(monkeypatch: pytest.MonkeyPatch, before: Callable[[object], None]) -> None:
    """Call ``before`` with the target of every replacement, whichever way it is asked for."""
    replace = os.replace

    def watched(source: object, target: object) -> None:
        before(target)
        replace(source, target)  # type: ignore[type-var]

    monkeypatch.setattr(os, "replace", watched)
    monkeypatch.setattr(Path, "replace", watched)


def _die_at(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], int]:
    """Let the process 'die' before the ``number``-th file gets its name; return how many got that far."""
    calls = 0

    def before_replace(target: object) -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            for owner, name in ((Path, "unlink"), (os, "unlink"), (os, "remove")):
                monkeypatch.setattr(owner, name, lambda *_, **__: None)
            raise KilledError

    _watch_replace(monkeypatch, before_replace)
    return lambda: calls


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    flex_takes.write_numbered_video(folder / "view1.mov")
    return folder


def _take(record: TakeRecord | None = None) -> AlignedTake:
    take = flex_takes.make_take(record)
    return replace(take, views=take.views[:1])


def _first(dataset: Path, raw: Path) -> None:
    write_take(dataset, raw, _take(), flex_takes.make_segmentation(1), sync_picture=flex_takes.PICTURE)


def _second(dataset: Path, raw: Path) -> None:
    """The same take, segmented better."""
    write_take(dataset, raw, _take(), flex_takes.make_segmentation(2), sync_picture=flex_takes.PICTURE)


def _retake(dataset: Path, raw: Path) -> None:
    take = _take(flex_takes.make_record(take="A16-02"))
    write_take(dataset, raw, take, flex_takes.make_segmentation(1), sync_picture=flex_takes.PICTURE)


@pytest.mark.parametrize(("write", "steps"), [(_second, 12), (_retake, 10)])
def test_killed_anywhere_the_index_is_the_old_one_or_the_new_one(
    write: Callable[[Path, Path], None], steps: int, raw: Path, tmp_path: Path
) -> None:
    import pandas as pd

    before, after = tmp_path / "before", tmp_path / "after"
    _first(before, raw)
    _first(after, raw)
    write(after, raw)
    old, new = (pd.read_parquet(folder / "repetitions.parquet") for folder in (before, after))
    died = 0
    for number in range(1, 100):
        dataset = tmp_path / f"killed{number}"
        shutil.copytree(before, dataset)
        with pytest.MonkeyPatch.context() as patch:
            calls = _die_at(patch, number)
            try:
                write(dataset, raw)
            except KilledError:
                died += 1
            if calls() < number:
                break
        assert pd.read_parquet(dataset / "repetitions.parquet").equals(old)
        findings = validate(dataset)
        assert [finding for finding in findings if "interrupted write" not in finding] == []
        assert findings
        rebuilt = tmp_path / f"rebuilt{number}"
        shutil.copytree(dataset, rebuilt)
        rebuild_tables(rebuilt)
        assert flex_takes.tree_hashes(rebuilt) == flex_takes.tree_hashes(before)
        write(dataset, raw)
        assert flex_takes.tree_hashes(dataset) == flex_takes.tree_hashes(after)
    assert died == steps
    assert new.equals(pd.read_parquet(dataset / "repetitions.parquet"))


def test_killed_while_a_subject_is_taken_out_it_is_out_or_in(raw: Path, tmp_path: Path) -> None:
    for number in range(1, 6):
        dataset = tmp_path / f"d{number}"
        _first(dataset, raw)
        with pytest.MonkeyPatch.context() as patch:
            _die_at(patch, number)
            with pytest.raises(KilledError):
                remove_subject(dataset, flex_takes.make_record().subject)
        assert [finding for finding in validate(dataset) if "interrupted write" not in finding] == []
        assert rebuild_tables(dataset) == (1 if number == 1 else 0)
        assert validate(dataset) == []


def test_killed_while_a_dataset_is_begun_there_is_none_yet(raw: Path, tmp_path: Path) -> None:
    for number in range(1, 8):
        dataset = tmp_path / f"d{number}"
        with pytest.MonkeyPatch.context() as patch:
            _die_at(patch, number)
            with pytest.raises(KilledError):
                _first(dataset, raw)
        with pytest.raises(LayoutError, match="is not a dataset"):
            validate(dataset)
        _first(dataset, raw)
        assert validate(dataset) == []
        assert not list(dataset.glob("*tmp*"))


def _die_for_real(dataset: Path, raw: Path) -> None:
    def before(target: object) -> None:
        if Path(str(target)).name == "repetitions.parquet":
            os._exit(9)

    with pytest.MonkeyPatch.context() as patch:
        _watch_replace(patch, before)
        _second(dataset, raw)


def test_a_dead_writer_holds_no_lock(raw: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    _first(dataset, raw)
    process = multiprocessing.get_context("spawn").Process(target=_die_for_real, args=(dataset, raw))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    process.close()
    assert (dataset / ".lock").read_text(encoding="utf-8").startswith("process ")
    assert any("interrupted write" in finding for finding in validate(dataset))
    _second(dataset, raw)
    assert validate(dataset) == []
    assert (dataset / ".lock").read_bytes() == b""
    assert not list(dataset.glob("*tmp*"))


def test_a_second_writer_waits_and_then_names_the_first(raw: Path, tmp_path: Path, monkeypatch) -> None:
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    now = [0.0]
    monkeypatch.setattr(file_lock.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(file_lock.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with lock.writer_lock(dataset), pytest.raises(LayoutError, match=rf"by process {os.getpid()} on .*\.lock"):
        _first(dataset, raw)
    assert now[0] >= 30
    _first(dataset, raw)
    assert validate(dataset) == []


def test_an_error_gives_the_disk_its_space_back(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tmp_path / "dataset"
    _first(dataset, raw)
    before = flex_takes.tree_hashes(dataset)

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.flex.staged_take.write_bytes_durably", full)
    with pytest.raises(LayoutError, match="No space left on device"):
        _second(dataset, raw)
    assert flex_takes.tree_hashes(dataset) == before


def test_ctrl_c_leaves_no_leftovers(raw: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    _first(dataset, raw)
    before = flex_takes.tree_hashes(dataset)

    def interrupt(what: str, done: int, total: int) -> None:
        if what == "frames":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_take(dataset, raw, _take(), flex_takes.make_segmentation(2), interrupt)
    assert flex_takes.tree_hashes(dataset) == before


def test_the_sweep_removes_only_its_own(raw: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    _first(dataset, raw)
    (folder,) = (dataset / "frames").glob("*/*")
    notes, leftover = folder / "notes.txt", folder / "S12_x_A16-01.0123456789ab.parquet"
    torn = folder / "S12_x_A16-01.0123456789ab.parquet.tmp-77"
    for path in (notes, leftover, torn):
        path.write_bytes(b"x")
    findings = validate(dataset)
    assert len(findings) == 3
    assert sum("interrupted write" in finding for finding in findings) == 2
    _first(dataset, raw)
    assert notes.exists()
    assert not leftover.exists()
    assert not torn.exists()
    assert [finding.split(":")[0].rsplit("/", 1)[-1] for finding in validate(dataset)] == ["notes.txt"]


@pytest.mark.parametrize("newest", [0, 1])
def test_without_an_index_the_newest_revision_counts(raw: Path, tmp_path: Path, newest: int) -> None:
    dataset, other = tmp_path / "dataset", tmp_path / "other"
    _first(dataset, raw)
    _second(other, raw)
    folders = (dataset, other)
    for room in ("frames", "signals", "sync", "video"):
        shutil.copytree(other / room, dataset / room, dirs_exist_ok=True)
    for place, folder in enumerate(folders):
        for path in (folder / "frames").rglob("*.parquet"):
            stamp = 2_000_000_000 if place == newest else 1_000_000_000
            own = dataset / path.relative_to(folder)
            if place == 1 or not (other / path.relative_to(folder)).exists():
                os.utime(own, (stamp, stamp))
    (dataset / "repetitions.parquet").unlink()
    rebuild_tables(dataset)
    assert validate(dataset) == []
    import pyarrow.parquet as pq

    assert pq.read_metadata(dataset / "repetitions.parquet").num_rows == newest + 1


def test_rebuild_changes_nothing_where_a_take_is_damaged(raw: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    _first(dataset, raw)
    (path,) = (dataset / "frames").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    before = flex_takes.tree_hashes(dataset)
    with pytest.raises(LayoutError, match=path.name):
        rebuild_tables(dataset)
    assert flex_takes.tree_hashes(dataset) == before


def test_rebuild_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="is not a dataset"):
        rebuild_tables(tmp_path)
    assert list(tmp_path.iterdir()) == []
