"""``resegment --cluster``: a real Dask scheduler and two workers in processes of their own, over a shared folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from resegmenting import RIG, SMALL, content, run, start
from storage.flex import validate

pytest.importorskip("distributed")

WAIT_S = 60.0
SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
WORKER = [sys.executable, "-m", "distributed.cli.dask_worker"]


@dataclass
class Cluster:
    address: str
    file: Path
    workers: list[subprocess.Popen[bytes]]


def _start(command: list[str], log: Path, **options: object) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler and two workers, whose working folder is another one than ours."""
    file = tmp_path / "scheduler.json"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file)]
    scheduler = _start([*SCHEDULER, *local, "--port", "0"], tmp_path / "scheduler.log", cwd=elsewhere)
    workers: list[subprocess.Popen[bytes]] = []
    try:
        deadline_s = time.monotonic() + WAIT_S
        while not file.exists() or not file.read_bytes().strip().endswith(b"}"):
            assert scheduler.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        words = [*WORKER, *local, "--nthreads", "1", "--no-nanny", "--local-directory", str(elsewhere)]
        words += ["--death-timeout", "60"]
        workers += [_start(words, tmp_path / f"worker{number}.log", cwd=elsewhere) for number in (1, 2)]
        for number in (1, 2):
            while b"Registered to" not in (tmp_path / f"worker{number}.log").read_bytes():
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
        yield Cluster(json.loads(file.read_text(encoding="utf-8"))["address"], file, workers)
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait(WAIT_S)


@pytest.fixture(scope="module")
def raw(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tree")
    (out / "rig.toml").write_text(RIG, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project / "benchmarks"))
        from offline_take import record_offline

        for seed in range(1, 5):
            subject = f"S{seed % 2:02d}"
            record_offline(
                out, seed=seed, repetitions=1, cameras=True, rig_path=out / "rig.toml", options=SMALL, subject=subject
            )
    return out / "raw"


@pytest.mark.slow
def test_a_cluster_makes_the_bytes_of_this_computer(raw: Path, tmp_path: Path, cluster: Cluster) -> None:
    assert run(raw, "--dataset", tmp_path / "here", "--workers", 1)[0] in {0, 1}
    here = Path.cwd()
    try:
        os.chdir(tmp_path)  # a name that the workers, elsewhere, could not find
        code, said = run(raw, "--dataset", "there", "--cluster", cluster.address)
    finally:
        os.chdir(here)
    assert code in {0, 1}, said
    assert "4 takes: 4 written" in said
    assert content(tmp_path / "there") == content(tmp_path / "here")
    assert validate(tmp_path / "there") == []
    code, said = run(raw, "--dataset", tmp_path / "there", "--cluster", cluster.address, "--dry-run", "--force")
    assert "the same bounds" in said


@pytest.mark.slow
def test_a_worker_that_dies_leaves_its_takes_to_the_other(raw: Path, tmp_path: Path, cluster: Cluster) -> None:
    dataset = tmp_path / "dataset"
    with start(raw, "--dataset", dataset, "--cluster", cluster.address) as process:
        deadline_s = time.monotonic() + WAIT_S
        while not list(dataset.glob(".staging-*/*/video")) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        cluster.workers[0].kill()
        said, _ = process.communicate(timeout=240)
    assert process.returncode in {0, 1}, said
    assert "4 takes: 4 written" in said
    assert validate(dataset) == []
    assert not list(dataset.glob(".staging-*"))


@pytest.mark.slow
def test_what_keeps_a_cluster_from_working_is_one_sentence(raw: Path, tmp_path: Path, cluster: Cluster) -> None:
    dataset = tmp_path / "dataset"
    for worker in cluster.workers:
        worker.kill()
        worker.wait(WAIT_S)
    code, said = run(raw, "--dataset", dataset, "--cluster", cluster.address)
    assert (code, said.count("\n")) == (2, 1), said
    assert "has no workers" in said
    code, said = run(raw, "--dataset", dataset, "--cluster", "tcp://127.0.0.1:1")
    assert (code, said.count("\n")) == (2, 1), said
    assert "no Dask scheduler answers at tcp://127.0.0.1:1" in said
    assert not dataset.exists()


def test_folders_that_workers_do_not_see_are_named(raw: Path, tmp_path: Path) -> None:
    from capture.cluster import DaskCluster
    from capture.made_from import programs
    from capture.resegment_job import TakeJob
    from lab.errors import RequestError

    class Blind:
        """A client whose workers see nothing, run something else, or are no ours."""

        def run(self, *_: object, **__: object) -> dict[str, object]:
            older = programs() | {"numpy": "1.0"}
            return {
                "tcp://a": {"sees": [], "programs": programs()},
                "tcp://b": {"sees": [str(staging), str(take)], "programs": older},
                "tcp://c": ModuleNotFoundError("No module named 'capture'"),
            }

    (take,) = raw.glob("S00/*/A16-01")
    staging = tmp_path / "staging"
    staging.mkdir()
    with pytest.raises(RequestError) as caught:
        DaskCluster(Blind(), "tcp://x").must_see([TakeJob(take, tmp_path, staging, None)])
    assert [problem.split(";")[0] for problem in caught.value.problems] == [
        f"the worker tcp://a does not see {staging}",
        f"the worker tcp://a does not see {take}",
        f"the worker tcp://b has numpy 1.0, this computer has {programs()['numpy']}",
        "the worker tcp://c has no flex-capture that answers (No module named 'capture')",
    ]
    assert list(staging.iterdir()) == []


def test_without_the_package_it_says_what_to_install(raw: Path, tmp_path: Path, monkeypatch, flex_capture) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    refused = flex_capture("resegment", raw, "--dataset", tmp_path / "d", "--cluster", "tcp://127.0.0.1:1")
    assert refused.code == 2
    assert "pip install 'flex-capture[cluster]'" in refused.err
    assert not (tmp_path / "d").exists()
    refused = flex_capture("resegment", raw, "--cluster", "tcp://127.0.0.1:1", "--workers", 2)
    assert refused.code == 2
