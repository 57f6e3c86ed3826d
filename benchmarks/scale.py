"""A dataset as large as FLEX's: how fast it is written, described, validated, read and asked, and in how much memory.

Run from the project's root: ``python benchmarks/scale.py [--subjects 38] [--actions 20] [--repetitions 10]``. Signals
are synthetic (sEMG of 16 channels at 2,000 Hz, 21 joints at 100 Hz, a vest), repetitions of 2 s, clips tiny, of one
view or of ``--views``. Each subject is written into a dataset of its own, take by take; then all are moved into one,
half of them first, whose tables are made by ``rebuild_tables``. So the time to write a take does not hold the table
writes of a large dataset, which stand in a line of their own. Each figure has a process of its own, so that its peak
memory is its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.actions import ACTIONS
from lab.aligned import AlignedStream, AlignedTake, AlignedView, Pose, StreamReport
from lab.joints import JOINTS
from lab.repetitions import Repetition, Segmentation
from lab.streams import Channel
from lab.take import ClockAnchor, TakeRecord

REPETITION_S: Final = 2.0
FPS: Final = 30
EMG_HZ, EMG_CHANNELS, POSE_HZ = 2000.0, 16, 100.0
T0_S: Final = 1000.0
READS: Final = 200
_SHOWN: Final = ("s", "processor s", "MB", "MB before")
ROOMS: Final = ("frames", "signals", "sync", "video")


def write_video(path: Path, seconds: float) -> None:
    """Write an MJPEG of tiny frames."""
    import av
    import simplejpeg

    images = [np.full((32, 32, 3), level, dtype=np.uint8) for level in range(0, 250, 25)]
    jpegs = [simplejpeg.encode_jpeg(image, quality=50, colorspace="RGB") for image in images]
    with av.open(str(path), "w", format="mov", options={"video_track_timescale": "1000000"}) as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        stream.time_base = Fraction(1, 1_000_000)
        for number in range(round(seconds * FPS)):
            packet = av.Packet(jpegs[number % len(jpegs)])
            packet.pts = packet.dts = round(number * 1_000_000 / FPS)
            packet.time_base = Fraction(1, 1_000_000)
            packet.is_keyframe = True
            packet.stream = stream
            container.mux(packet)


def make_take(subject: str, action: str, repetitions: int, views: int) -> tuple[AlignedTake, Segmentation]:
    """Return a take whose numbers depend on its subject and action alone."""
    seed = int.from_bytes(hashlib.sha256(f"{subject}{action}".encode()).digest()[:4], "big")
    generator = np.random.default_rng(seed)
    seconds = 1.0 + repetitions * REPETITION_S
    record = TakeRecord(
        subject=subject,
        session="20261122-0930",
        take=f"{action}-01",
        action=action,
        skill="expert",
        load_kg=60.0,
        expected_repetitions=repetitions,
        state="complete",
        simulated=True,
        simulated_devices=("emg", "mocap", "vest"),
        rig={"name": "scale"},
        software={"flex-capture": "0.1.0"},
        started=ClockAnchor(session_s=T0_S, utc="2026-11-22T09:30:00+00:00", width_s=0.001),
    )

    def stream(name: str, labels: tuple[str, ...], rate_hz: float, mean: float, spread: float) -> AlignedStream:
        time_s = T0_S + np.arange(int(seconds * rate_hz)) / rate_hz
        values = generator.normal(mean, spread, (len(time_s), len(labels))).astype(np.float32)
        channels = tuple(Channel(label) for label in labels)
        counter = np.arange(len(time_s))
        return AlignedStream(name, name, name, channels, rate_hz, time_s, values, counter, simulated=True)

    emg = stream("emg", tuple(f"muscle {n}" for n in range(1, EMG_CHANNELS + 1)), EMG_HZ, 0.0, 50.0)
    pose_s = T0_S + np.arange(int(seconds * POSE_HZ)) / POSE_HZ
    positions_m = np.zeros((len(pose_s), len(JOINTS), 3))
    positions_m[:, :, 0] = np.linspace(-0.5, 0.5, len(JOINTS))
    positions_m[:, :, 2] = (1.6 + 0.25 * np.cos(2 * np.pi * (pose_s - T0_S - 0.5) / REPETITION_S))[:, None]
    positions_m += generator.normal(0.0, 0.001, positions_m.shape)
    frames = np.arange(round(seconds * FPS))
    names = tuple(f"view{number}" for number in range(1, views + 1))
    take = AlignedTake(
        record=record,
        raw_digest=hashlib.sha256(record.id.encode()).hexdigest(),
        pose=Pose("mocap", POSE_HZ, pose_s, positions_m, simulated=True),
        emg=emg,
        emg_envelope=np.abs(emg.values).astype(np.float64),
        heart_rate=stream("vest.heart", ("hr",), 1.0, 90.0, 2.0),
        breath_rate=stream("vest.breath", ("br",), 1.0, 20.0, 1.0),
        views=tuple(
            AlignedView(
                name,
                "mjpeg",
                32,
                32,
                float(FPS),
                frames,
                T0_S + 0.001 * place + frames / FPS,
                frames,
                np.round(frames * 1e6 / FPS).astype(np.int64),
                simulated=True,
            )
            for place, name in enumerate(names)
        ),
        reports=tuple(_report(name) for name in ("emg", "mocap", "vest.heart", "vest.breath", *names)),
        reference_view=names[0] if names else None,
    )
    starts_s = T0_S + 0.5 + REPETITION_S * np.arange(repetitions)
    found = tuple(Repetition(float(s), float(s + 1.0), float(s + REPETITION_S), 0.9) for s in starts_s)
    return take, Segmentation(found, repetitions, "scale", {"prior": 0.5})


def _report(name: str) -> StreamReport:
    nothing = float("nan")
    return StreamReport(name, 30.0, 30.0, 600, 0, False, 0, 0.0, nothing, 0.1, 0.3, 0.0, "counter", True)  # noqa: FBT003


def write_subject(work: Path, subject: str, actions: int, repetitions: int, views: int) -> list[float]:
    """Write all takes of a subject into a dataset of its own; return the seconds each one took to write."""
    from storage.flex import write_take

    raw = work / "raw"
    seconds = []
    for action in list(ACTIONS)[:actions]:
        take, segmentation = make_take(subject, action, repetitions, views)
        begin_s = time.perf_counter()
        write_take(work / "subjects" / subject, raw, take, segmentation)
        seconds.append(time.perf_counter() - begin_s)
    return seconds


def move_in(work: Path, dataset: Path, subjects: list[str]) -> None:
    """Move the takes' files of some subjects into the dataset; without an index ``rebuild_tables`` takes in all."""
    (dataset / "repetitions.parquet").unlink(missing_ok=True)
    for subject in subjects:
        for room in ROOMS:
            for folder in sorted((work / "subjects" / subject / room).glob("action=*/subject=*")):
                target = dataset / folder.relative_to(work / "subjects" / subject)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(folder, target)


# -- what is measured, each in a process of its own --------------------------------------------------------------


def measure_rebuild(dataset: Path) -> dict[str, float]:
    """Make the tables from the takes' files."""
    from storage.flex import rebuild_tables

    return {"takes": float(rebuild_tables(dataset))}


def measure_open(dataset: Path) -> dict[str, float]:
    """Open the dataset and go through the rows of all repetitions."""
    from storage.flex import open_dataset

    opened = open_dataset(dataset)
    return {"repetitions": float(sum(1 for _ in opened.repetitions()))}


def measure_info(dataset: Path) -> dict[str, float]:
    """Do what ``flex-capture info`` does, but for the drawing."""
    from capture.dataset_info import dataset_info
    from capture.dataset_rows import read_rows

    return {"repetitions": float(dataset_info(dataset, read_rows(dataset)).repetitions)}


def measure_validate(dataset: Path) -> dict[str, float]:
    """Do what ``flex-capture validate`` does."""
    from storage.flex import validate

    return {"findings": float(len(validate(dataset)))}


def measure_release_plan(dataset: Path) -> dict[str, float]:
    """Choose and number the samples of a release; no picture is written."""
    from capture.release_plan import ReleaseRequest, plan_release
    from storage.flex import open_dataset

    plan = plan_release(
        open_dataset(dataset), ReleaseRequest(dataset, dataset / "x", partial=True, split="repetition", test_share=0.5)
    )
    return {"samples": float(len(plan.samples))}


def _spent_ms(do: Callable[[], Any]) -> tuple[float, float]:
    """Return the milliseconds of a call, by the clock and by the processor."""
    begin_s, begin_processor_s = time.perf_counter(), time.process_time()
    do()
    return (time.perf_counter() - begin_s) * 1e3, (time.process_time() - begin_processor_s) * 1e3


def measure_reads(dataset: Path) -> dict[str, float]:
    """Read single repetitions from all over the dataset: all signals, then all columns of frames."""
    from storage.flex import open_dataset

    chosen = list(open_dataset(dataset).repetitions())
    picked = iter(np.random.default_rng(0).permutation(len(chosen) * 4) % len(chosen))
    chosen[0].signals(), chosen[0].frames()  # the libraries are imported
    count = min(READS, len(chosen))
    figures = {}
    for what in ("signals", "frames"):
        spent_ms = np.array([_spent_ms(getattr(chosen[next(picked)], what)) for _ in range(count)])
        wall_ms, processor_ms = np.median(spent_ms, axis=0)
        figures |= {f"{what} median ms": float(wall_ms), f"{what} p95 ms": float(np.percentile(spent_ms[:, 0], 95))}
        figures |= {f"{what} processor ms": float(processor_ms)}
    return figures


def measure_duckdb(dataset: Path) -> dict[str, float]:
    """Join all rows of frames with the index, in DuckDB."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""select f.action, r.skill, count(*), avg(f.emg_muscle_1), min(f.pose_head_z)
                from read_parquet('{dataset.as_posix()}/frames/**/*.parquet', hive_partitioning = true) f
                join '{dataset.as_posix()}/repetitions.parquet' r
                  on f.take_id = r.take_id and f.repetition = r.repetition
                where r.excluded_reason is null group by 1, 2 order by 1, 2"""
        ).fetchall()
    return {"rows of frames": float(sum(row[2] for row in rows))}


def measure_one_more(dataset: Path) -> dict[str, float]:
    """Write one take into the dataset as it is, which replaces all tables at its top."""
    from storage.flex import write_take

    take, segmentation = make_take("S99", "A16", 10, 0)
    write_take(dataset, dataset, take, segmentation)
    return {}


MEASURES: Final[dict[str, Callable[[Path], dict[str, float]]]] = {
    "rebuild": measure_rebuild,
    "open, all rows": measure_open,
    "info": measure_info,
    "validate": measure_validate,
    "release plan": measure_release_plan,
    "one repetition": measure_reads,
    "DuckDB, all frames": measure_duckdb,
    "one more take": measure_one_more,
}


def measured_here(name: str, dataset: Path) -> dict[str, float]:
    """Measure in this process; ``s`` are the seconds, ``MB`` the peak of the resident memory, ``MB before`` before."""
    import psutil
    from peak_memory import Peak

    import storage.flex.read_dataset
    import storage.flex.validate  # noqa: F401 - what is imported anyway is not the dataset's memory

    peak = Peak(psutil.Process())
    before_mb = peak.now()
    begin_s, begin_processor_s = time.perf_counter(), time.process_time()
    figures = MEASURES[name](dataset)
    spent_s, processor_s = time.perf_counter() - begin_s, time.process_time() - begin_processor_s
    return {"s": spent_s, "processor s": processor_s, "MB": peak.highest(), "MB before": before_mb, **figures}


def measured_apart(name: str, dataset: Path) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--measure", name, "--dataset", str(dataset)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    return dict(json.loads(done.stdout))


def run(work: Path, subjects: int, actions: int, repetitions: int, views: int, workers: int) -> None:
    """Make the dataset and print the figures."""
    (work / "raw").mkdir(parents=True)
    for number in range(1, views + 1):
        write_video(work / "raw" / f"view{number}.mov", 1.0 + repetitions * REPETITION_S)
    names = [f"S{number:02d}" for number in range(1, subjects + 1)]
    begin_s = time.perf_counter()
    seconds: list[float] = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(write_subject, work, name, actions, repetitions, views) for name in names]
        for job in jobs:
            seconds += job.result()
    spent_s = time.perf_counter() - begin_s
    print(
        f"{len(seconds)} takes of {repetitions} repetitions, {views} views, {workers} workers, {spent_s:.0f} s:"
        f" {1000 * statistics.median(seconds):.0f} ms a take (median), {len(seconds) / spent_s:.1f} takes/s"
    )
    dataset = work / "dataset"
    dataset.mkdir()
    half = names[: max(1, len(names) // 2)]
    print("| | takes | s | processor s | peak MB | growth MB | |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for part, there in ((half, len(half)), (names[len(half) :], len(names))):
        if not part:
            continue
        move_in(work, dataset, part)
        for name in MEASURES:
            if name == "one more take" and there < len(names):
                continue
            figures = measured_apart(name, dataset)
            rest = {key: value for key, value in figures.items() if key not in _SHOWN}
            said = ", ".join(f"{key} {value:,.1f}".removesuffix(".0") for key, value in rest.items())
            growth_mb = figures["MB"] - figures["MB before"]
            print(
                f"| {name} | {there * actions} | {figures['s']:.2f} | {figures['processor s']:.2f}"
                f" | {figures['MB']:.0f} | {growth_mb:.0f} | {said} |",
                flush=True,
            )
    size = sum(path.stat().st_size for path in dataset.rglob("*") if path.is_file())
    print(f"{size / 1e9:.2f} GB, {sum(1 for path in dataset.rglob('*') if path.is_file())} files")


def main() -> None:
    """Take the options and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=38)
    parser.add_argument("--actions", type=int, default=20)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=None, help="keep everything in this new folder")
    parser.add_argument("--measure", choices=list(MEASURES), default=None, help=argparse.SUPPRESS)
    parser.add_argument("--dataset", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measured_here(options.measure, options.dataset)))
        return
    sizes = (options.subjects, options.actions, options.repetitions, options.views, options.workers)
    if options.out is not None:
        run(options.out, *sizes)
        return
    with tempfile.TemporaryDirectory(prefix="flex-scale-") as folder:
        run(Path(folder) / "work", *sizes)


if __name__ == "__main__":
    main()
