"""``resegment`` over a tree with several processes: the same bytes, and whatever dies costs the takes it had."""

from __future__ import annotations

import random
import shutil
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from capture.resegment_job import TakeJob
from capture.take_workers import work_in_processes
from resegmenting import RIG, SMALL, content, run, start, workers_of
from storage.flex import validate
from storage.marks_file import append_mark

TAKES = 5


@pytest.fixture(scope="module")
def raw(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five takes of two subjects, one of which cannot be read."""
    out = tmp_path_factory.mktemp("tree")
    (out / "rig.toml").write_text(RIG, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project / "benchmarks"))
        from offline_take import record_offline

        for seed in range(1, TAKES + 1):
            subject = f"S{seed % 2:02d}"
            record_offline(
                out, seed=seed, repetitions=1, cameras=True, rig_path=out / "rig.toml", options=SMALL, subject=subject
            )
    bad = out / "raw" / "S00" / "offline" / "A16-09"
    shutil.copytree(out / "raw" / "S00" / "offline" / "A16-01", bad)
    text = (bad / "take.json").read_text(encoding="utf-8").replace('"A16-01"', '"A16-09"')
    (bad / "take.json").write_text(text, encoding="utf-8")
    (bad / "streams.xdf").write_bytes(b"no XDF")
    return out / "raw"


@pytest.fixture(scope="module")
def made(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of one process."""
    dataset = tmp_path_factory.mktemp("made") / "dataset"
    code, said = run(raw, "--dataset", dataset, "--workers", 1)
    assert code == 3, said
    assert "A16-09:\n" in said
    assert f"{TAKES + 1} takes: {TAKES} written, 1 could not be processed" in said
    assert validate(dataset) == []
    return dataset


@pytest.mark.slow
def test_two_processes_and_another_seed_make_the_same_bytes(raw: Path, made: Path, tmp_path: Path) -> None:
    code, said = run(raw, "--dataset", tmp_path / "two", "--workers", 2, PYTHONHASHSEED="17")
    assert code == 3, said
    assert content(tmp_path / "two") == content(made)


@pytest.mark.slow
def test_take_by_take_in_any_order_makes_the_same_bytes(raw: Path, made: Path, tmp_path: Path, flex_capture) -> None:
    takes = [take for take in raw.glob("*/*/A16-*") if take.name != "A16-09"]
    random.Random(3).shuffle(takes)
    for take in takes:
        assert flex_capture("resegment", take, "--dataset", tmp_path / "grown").code == 0
    assert content(tmp_path / "grown") == content(made)


@pytest.mark.slow
def test_a_process_that_dies_costs_its_take_alone(raw: Path, made: Path, tmp_path: Path) -> None:
    with start(raw, "--dataset", tmp_path / "dataset", "--workers", 1) as process:
        deadline_s = time.monotonic() + 60
        while not (found := workers_of(process)) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        found[0].kill()
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 3, said
    assert "its process was killed by signal 9" in said or sys.platform == "win32"
    assert f"{TAKES - 1} written" in said or f"{TAKES} written" in said  # it may have had the one that is bad
    assert validate(tmp_path / "dataset") == []
    code, said = run(raw, "--dataset", tmp_path / "dataset")
    assert code == 3
    assert content(tmp_path / "dataset") == content(made)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(raw: Path, made: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset"
    with start(raw, "--dataset", dataset, "--workers", 2) as process:
        deadline_s = time.monotonic() + 60
        while not list(dataset.glob(".staging-*/*/frames/**/*.parquet")) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert not list(dataset.glob(".staging-*"))
    assert not (dataset / "repetitions.parquet").exists() or validate(dataset) == []
    assert run(raw, "--dataset", dataset, "--workers", 2)[0] == 3
    assert content(dataset) == content(made)


@pytest.mark.slow
def test_killed_at_any_moment_the_dataset_is_the_old_or_the_new_one_of_each_take(
    raw: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, chance = tmp_path / "dataset", random.Random(11)
    for _ in range(6):
        with start(raw, "--dataset", dataset, "--workers", 2, "--force") as process:
            deadline_s = time.monotonic() + 60
            while not list(dataset.glob(".staging-*/*/frames")) and time.monotonic() < deadline_s:
                if process.poll() is not None:
                    break
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 3))
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.kill()
            process.communicate(timeout=60)
        assert psutil.wait_procs(children, timeout=30)[1] == []
        if (dataset / "repetitions.parquet").exists():
            assert [one for one in validate(dataset) if "interrupted write" not in one] == []
    assert run(raw, "--dataset", dataset, "--force")[0] == 3
    assert content(dataset) == content(made)
    assert validate(dataset) == []


@pytest.mark.slow
def test_what_is_said_of_a_take_while_others_are_made_is_in_the_dataset(
    raw: Path, tmp_path: Path, flex_capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from capture import take_commits
    from capture.amendment import new_mark
    from storage.flex import commit_takes

    shutil.copytree(raw, tmp_path / "out" / "raw")
    said_of = tmp_path / "out" / "raw" / "S01" / "offline" / "A16-02"
    commits: list[int] = []

    def commit(dataset: Path, staged: list[object], **options: object) -> object:
        if not commits:
            append_mark(said_of, new_mark("bad", "wrong bar"))
        commits.append(len(staged))
        return commit_takes(dataset, staged, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(take_commits, "commit_takes", commit)
    monkeypatch.setattr(take_commits, "_PERIOD_S", 1000.0)
    outcome = flex_capture("resegment", tmp_path / "out" / "raw", "--workers", 2)
    assert outcome.code == 3  # the bad one
    assert "it is made again" in outcome.out
    assert commits == [TAKES, 1]
    import pandas as pd

    takes = pd.read_parquet(tmp_path / "out" / "dataset" / "takes.parquet").set_index("take_id")
    assert takes.excluded_reason["S01_offline_A16-02"] == "bad: wrong bar"
    assert len(takes) == TAKES


@pytest.mark.slow
def test_processes_end_when_nobody_wants_their_takes(raw: Path, tmp_path: Path) -> None:
    from collections import deque

    jobs = deque(TakeJob(take, tmp_path / "d", None, None) for take in sorted(raw.glob("*/*/A16-*")))
    steps = work_in_processes(jobs, 2)
    next(steps)
    assert len(psutil.Process().children()) >= 2
    steps.close()
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
