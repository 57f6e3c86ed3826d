"""Five cameras at once, each in a process of its own as the recorder starts them: frames lost, and CPU.

    python benchmarks/cameras.py --seconds 30

Basler cameras are pylon's own emulation (PYLON_CAMEMU), whose pictures are made in the same process: what the driver
itself takes (fetching, demosaicking, compressing) is the CPU time of its thread, stated apart. Network cameras are the
emulator, in a process of its own; the same pictures are then read by PyAV (FFmpeg), without recording them, for
comparison. Frames go through the recorder's own files: `.mov` and `.frames`.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True)
class Share:
    """What one process did: frames kept, lost (missing ids, and gaps in device time), CPU seconds and in its thread."""

    frames: int
    lost: int
    gaps: int
    cpu_s: float
    thread_s: float
    wall_s: float
    bytes: int


def record(
    driver_name: str, options: dict[str, Any], folder: Path, view: str, seconds: float, pipe: Connection
) -> None:
    """Be a device worker without the recorder."""
    from capture.camera_files import CameraFiles
    from drivers.driver import TakeStart
    from drivers.host_clock import LslClock
    from drivers.registry import find_driver
    from lab.errors import DeviceError

    kind = find_driver(driver_name)
    driver = kind(kind.Config.model_validate(options), LslClock())
    for attempt in range(3):
        try:
            driver.open()
            break
        except DeviceError:  # five processes that start at once on two cores: the recorder would try again as well
            if attempt == 2:
                raise
    (spec,) = driver.streams()
    pipe.send("open")
    pipe.recv()
    files = CameraFiles(folder, view, spec, lambda *_, **__: None)
    driver.start(TakeStart(view, 0.0))
    began_s, cpu_s, thread_s = time.monotonic(), time.process_time(), time.thread_time()
    ids, times, size = [], [], 0
    while time.monotonic() - began_s < seconds:
        frame = driver.read()
        if frame is not None:
            files.put(frame)
            ids.append(frame.frame_id)
            times.append(frame.device_time_s)
            size += len(frame.data)
    thread_s = time.thread_time() - thread_s
    files.close()
    driver.close()
    steps = [round((b - a) * spec.rate_hz) for a, b in itertools.pairwise(times) if b == b and a == a]
    gaps = sum(step - 1 for step in steps if step > 1)
    lost = ids[-1] - ids[0] + 1 - len(ids) + len(files.problems)
    cpu_s = time.process_time() - cpu_s
    pipe.send(Share(len(ids), lost, gaps, cpu_s, thread_s, time.monotonic() - began_s, size))


def by_pyav(url: str, seconds: float, pipe: Connection) -> None:
    """Read the same pictures by FFmpeg, and keep none."""
    import av

    with av.open(url, timeout=10.0) as container:
        packets = container.demux(video=0)
        next(packets)
        pipe.send("open")
        pipe.recv()
        began_s, cpu_s, thread_s = time.monotonic(), time.process_time(), time.thread_time()
        frames = size = 0
        for packet in packets:
            frames += 1
            size += packet.size
            if time.monotonic() - began_s > seconds:
                break
        used = time.process_time() - cpu_s, time.thread_time() - thread_s
    pipe.send(Share(frames, 0, 0, *used, time.monotonic() - began_s, size))


def emulate(views: tuple[str, ...], width: int, height: int, pipe: Connection) -> None:
    """Serve the views until told to stop."""
    from drivers.emulators.emulator import serving
    from drivers.emulators.network_camera import EmulatedNetworkCamera, EmulatedNetworkCameraConfig
    from drivers.emulators.stage import Stage, StageConfig
    from drivers.host_clock import LslClock

    config = EmulatedNetworkCameraConfig(views=views, width=width, height=height)
    emulator = EmulatedNetworkCamera(config, Stage(StageConfig(), LslClock().now_s()))
    with serving(emulator):
        pipe.send([emulator.url(view) for view in views])
        while pipe.recv() == "skipped":
            pipe.send(emulator.skipped)
            emulator.skipped = 0


def together(jobs: list[tuple[Any, tuple[Any, ...]]]) -> list[Share]:
    """Start a process a job, let them begin together, and return what each did."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for target, arguments in jobs:
        ours, theirs = context.Pipe()
        process = context.Process(target=target, args=(*arguments, theirs))
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        assert pipe.recv() == "open"
    for pipe in pipes:
        pipe.send("go")
    shares = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    return shares


def report(what: str, shares: list[Share]) -> None:
    """Print one line."""
    wall_s = max(share.wall_s for share in shares)
    frames, lost, gaps = (sum(getattr(share, name) for share in shares) for name in ("frames", "lost", "gaps"))
    cpu, own = (sum(getattr(share, name) for share in shares) / wall_s for name in ("cpu_s", "thread_s"))
    megabytes = sum(share.bytes for share in shares) / wall_s / 1e6
    print(
        f"{what}: {frames} frames, {frames / wall_s / len(shares):.2f} a second each, {lost} lost, {gaps} missing in "
        f"device time, {cpu:.2f} cores ({own:.2f} in the drivers' threads: "
        f"{own * wall_s / frames * 1e3:.2f} ms a frame), {megabytes:.1f} MB/s"
    )


def main() -> None:
    """Run both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--cameras", type=int, default=5)
    parser.add_argument("--basler", default="1920x1080", help="size of Basler pictures, or 'no'")
    parser.add_argument("--network", default="1280x720", help="size of network pictures, or 'no'")
    asked = parser.parse_args()
    print(f"load of the machine before: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    os.environ["PYLON_CAMEMU"] = str(asked.cameras)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.basler != "no":
            width, height = map(int, asked.basler.split("x"))
            jobs = []
            for number in range(asked.cameras):
                options = {"serial": f"0815-{number:04d}", "width": width, "height": height}
                jobs.append((record, ("camera.basler", options, folder, f"view{number + 1}", asked.seconds)))
            report(f"{asked.cameras} Basler cameras, BayerRG8 {asked.basler}", together(jobs))
        if asked.network != "no":
            width, height = map(int, asked.network.split("x"))
            views = tuple(f"view{number + 1}" for number in range(asked.cameras))
            context = multiprocessing.get_context("spawn")
            ours, theirs = context.Pipe()
            server = context.Process(target=emulate, args=(views, width, height, theirs))
            server.start()
            urls = ours.recv()
            process = psutil.Process(server.pid)
            for what, target in (("network cameras", record), ("the same, read by PyAV and not kept", by_pyav)):
                jobs = []
                for view, url in zip(views, urls, strict=True):
                    ours_only = ("camera.network", {"url": url, "rate_hz": 30.0}, folder, f"{view}-net")
                    jobs.append((target, (*(ours_only if target is record else (url,)), asked.seconds)))
                ours.send("skipped")
                ours.recv()
                before = process.cpu_times()
                began_s = time.monotonic()
                shares = together(jobs)
                used = process.cpu_times()
                report(f"{asked.cameras} {what}, {asked.network}", shares)
                spent = used.user + used.system - before.user - before.system
                ours.send("skipped")
                cores = spent / (time.monotonic() - began_s)
                print(f"  the emulator itself: {cores:.2f} cores; {ours.recv()} pictures it never sent")
            ours.send("stop")
            server.join()
    print(f"load of the machine after: {psutil.getloadavg()[0]:.1f}; threads left: {threading.active_count() - 1}")


if __name__ == "__main__":
    main()
