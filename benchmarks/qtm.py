"""What it costs to read QTM: our driver beside Qualisys' own Python client, both from one emulated QTM at a time.

``python benchmarks/qtm.py --seconds 30`` (after ``pip install qtm-rt``): 100 markers with residuals at 500 frames/s
over TCP, and ours over UDP too. Each reader is a process of its own; processor time counts from the first frame to
the last. qtm-rt decodes nothing until it is asked: once it is asked for the frame number alone, once for the markers as
an array, which is what our driver gives.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np


def serve(pipe: Connection, rate_hz: float, markers: int) -> None:
    """Be the emulated QTM until told to stop."""
    import threading

    from drivers.emulators.emulator import serving
    from drivers.emulators.qtm import QtmEmulator, QtmEmulatorConfig
    from drivers.emulators.stage import Stage, StageConfig
    from drivers.host_clock import LslClock

    config = QtmEmulatorConfig(
        rate_hz=rate_hz, extra_markers=markers - 21, skeleton=False, analog_hz=0, period=False, hidden=0.02
    )
    with serving(QtmEmulator(config, Stage(StageConfig(), LslClock().now_s()))) as reach:
        pipe.send(reach)
        began_s = time.process_time()
        pipe.recv()
        pipe.send((time.process_time() - began_s, threading.active_count()))


def measured(counts: list[int], began_s: float, spent_s: float, lateness_s: list[float]) -> dict[str, Any]:
    """Return frames, losses by frame number, the share of a core, and how late the latest hundredth came."""
    steps = np.diff(np.array(counts))
    return {
        "frames": len(counts),
        "lost": int((steps - 1).sum()),
        "cpu": spent_s / (time.monotonic() - began_s),
        "late_ms": 1e3 * float(np.percentile(np.array(lateness_s) - min(lateness_s), 99)),
    }


def ours(pipe: Connection, reach: dict[str, Any], seconds: float, rate_hz: float, udp: bool) -> None:
    """Read with our driver."""
    from drivers.driver import TakeStart
    from drivers.host_clock import LslClock
    from drivers.qualisys.qtm import Qtm

    clock = LslClock()
    driver = Qtm(Qtm.Config.model_validate({**reach, "udp": udp}), clock)
    driver.open()
    driver.start(TakeStart("mocap", clock.now_s()))
    counts: list[int] = []
    late_s: list[float] = []
    began_s, spent_s = time.monotonic(), time.process_time()
    while time.monotonic() - began_s < seconds:
        chunk = driver.read()
        if chunk is not None and chunk.stream == "markers":
            counts += chunk.counters.tolist()
            late_s.append(chunk.arrival_s - chunk.counters[-1] / rate_hz)
    pipe.send(measured(counts, began_s, time.process_time() - spent_s, late_s))
    driver.close()


def theirs(pipe: Connection, reach: dict[str, Any], seconds: float, rate_hz: float, decode: bool) -> None:
    """Read with Qualisys' client."""
    import qtm_rt
    from pylsl import local_clock

    counts: list[int] = []
    late_s: list[float] = []

    def keep(packet: Any) -> None:
        late_s.append(local_clock() - packet.framenumber / rate_hz)
        counts.append(packet.framenumber)
        if decode:
            _, markers = packet.get_3d_markers_residual()
            np.array(markers, dtype=np.float32)

    async def run() -> None:
        connection = await qtm_rt.connect(reach["host"], reach["base_port"] + 1, version="1.25")
        await connection.stream_frames(components=["3dres"], on_packet=keep)
        began_s, spent_s = time.monotonic(), time.process_time()
        counts.clear()
        late_s.clear()
        await asyncio.sleep(seconds)
        pipe.send(measured(counts, began_s, time.process_time() - spent_s, late_s))
        connection.disconnect()

    asyncio.run(run())


def main() -> None:
    """Run all readers at once and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--markers", type=int, default=100)
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe()
    server = context.Process(target=serve, args=(its, asked.rate, asked.markers))
    server.start()
    reach = mine.recv()
    print(f"{asked.markers} markers at {asked.rate:g} Hz for {asked.seconds:g} s, all readers at once")
    print("| reader | frames | lost | of a core | p99 later than the fastest |\n| --- | ---: | ---: | ---: | ---: |")
    readers: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "our driver, TCP": (ours, (False,)),
        "our driver, UDP": (ours, (True,)),
        "qtm-rt, frame numbers alone": (theirs, (False,)),
        "qtm-rt, markers as an array": (theirs, (True,)),
    }
    running = []
    for name, (reader, how) in readers.items():
        here, there = context.Pipe()
        process = context.Process(target=reader, args=(there, reach, asked.seconds, asked.rate, *how))
        process.start()
        running.append((name, here, process))
    for name, here, process in running:
        got = here.recv()
        process.join()
        print(f"| {name} | {got['frames']:,} | {got['lost']} | {got['cpu']:.3f} | {got['late_ms']:.1f} ms |")
    mine.send("stop")
    spent_s, _ = mine.recv()
    print(f"the emulated QTM itself: {spent_s / asked.seconds:.3f} of a core")
    server.join()


if __name__ == "__main__":
    main()
