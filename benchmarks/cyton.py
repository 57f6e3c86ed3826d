"""What reading a Cyton costs: our driver and brainflow on the same emulated board, at 250 Hz and as fast as it goes.

    python benchmarks/cyton.py [--seconds 20]

``pip install brainflow`` for its figures. Each reader is a process of its own on a pseudo-terminal; processor time is
that of the process from the stream's start to its end. In the second part the board sends as fast as the line takes it.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_BLOCK = 4096


@dataclass(frozen=True)
class Cost:
    """What a reader did: samples that it handed on, numbers that it missed among them, wall and processor seconds."""

    samples: int
    missing: int
    wall_s: float
    cpu_s: float


def serve(path: Path, fast: bool, ready: Event, stop: Event) -> None:
    """Be the board, in a process of its own."""
    from drivers.emulators.cyton import CytonEmulator, CytonEmulatorConfig
    from drivers.emulators.stage import Stage, StageConfig
    from drivers.host_clock import LslClock

    stage = Stage(StageConfig(), LslClock().now_s())
    if fast:
        _serve_fast(path, stage, ready, stop)
        return
    emulator = CytonEmulator(CytonEmulatorConfig(port=str(path)), stage)
    emulator.open()
    ending = threading.Event()
    threading.Thread(target=lambda: (stop.wait(), ending.set()), daemon=True).start()
    ready.set()
    emulator.serve(ending)
    emulator.close()


def _serve_fast(path: Path, stage: Any, ready: Event, stop: Event) -> None:
    import select
    import tty

    from drivers.emulators.cyton_board import Board

    board = Board(stage, 8, "v3.1.2", 1.0, 0.0, 250.0)
    device, computer = os.openpty()
    tty.setraw(computer)
    path.symlink_to(os.ttyname(computer))
    ready.set()
    block = b""
    while not stop.is_set():
        readable, writable, _ = select.select([device], [device] if block else [], [], 0.05)
        if readable:
            answer = board.hear(os.read(device, 4096), time.monotonic())
            if answer:
                os.write(device, answer)
            if board.streaming and not block:
                block = b"".join(board.next_packet()[0] for _ in range(_BLOCK))
                rest = block
            elif not board.streaming:
                block = b""
        if writable and block:
            os.set_blocking(device, False)
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(device, rest[:16384]) :] or block
            os.set_blocking(device, True)
    path.unlink()
    os.close(device)
    os.close(computer)


def ours(port: str, seconds: float, told: Connection) -> None:
    """Read with our driver."""
    import numpy as np

    from drivers.driver import TakeStart
    from drivers.host_clock import LslClock
    from drivers.openbci.cyton import Cyton, CytonConfig

    driver = Cyton(CytonConfig(port=port), LslClock())
    driver.open()
    driver.start(TakeStart("emg", 0.0))
    samples, first, last = 0, -1, 0
    began_s, cpu_s = time.perf_counter(), time.process_time()
    while time.perf_counter() - began_s < seconds:
        piece = driver.read()
        if piece is not None and piece.stream == "emg":
            samples += len(piece.counters)
            first = int(piece.counters[0]) if first < 0 else first
            last = int(np.asarray(piece.counters)[-1])
    cost = Cost(samples, last - first + 1 - samples, time.perf_counter() - began_s, time.process_time() - cpu_s)
    driver.close()
    told.send(cost)


def brainflow(port: str, seconds: float, told: Connection) -> None:
    """Read with brainflow, and take what it has ten times a second."""
    import numpy as np
    from brainflow import board_shim as shim

    shim.files = lambda _name: Path(shim.__file__).parent  # see tests/drivers/openbci/test_cyton_brainflow.py
    shim.BoardShim.disable_board_logger()
    asked = shim.BrainFlowInputParams()
    asked.serial_port = port
    board = shim.BoardShim(shim.BoardIds.CYTON_BOARD, asked)
    board.prepare_session()
    began_s, cpu_s = time.perf_counter(), time.process_time()
    board.start_stream(450_000)
    numbers = []
    while time.perf_counter() - began_s < seconds:
        time.sleep(0.1)
        numbers.append(board.get_board_data()[0])
    wall_s, spent_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    board.stop_stream()
    board.release_session()
    number = np.concatenate(numbers).astype(np.int64)
    told.send(Cost(len(number), int(np.sum((np.diff(number) - 1) % 256)), wall_s, spent_s))


def measured(reader: Any, fast: bool, seconds: float) -> Cost:
    """Return what a reader does with a board of its own."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    with tempfile.TemporaryDirectory() as folder:
        port = Path(folder) / "cyton"
        board = context.Process(target=serve, args=(port, fast, ready, stop))
        board.start()
        ready.wait()
        here, there = context.Pipe()
        process = context.Process(target=reader, args=(str(port), seconds, there))
        process.start()
        there.close()
        try:
            cost: Cost = here.recv()
        finally:
            process.join()
            stop.set()
            board.join()
    return cost


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    readers = {"flex-capture": ours, "brainflow": brainflow}
    try:
        import brainflow as _  # noqa: F401
    except ImportError:
        del readers["brainflow"]
        print("brainflow is not installed: no figures of it")
    for fast in (False, True):
        print("as fast as the line takes it" if fast else "8 channels at 250 Hz")
        for name, reader in readers.items():
            cost = measured(reader, fast, seconds)
            rate_hz = cost.samples / cost.wall_s
            print(
                f"  {name:13s} {cost.samples:9,d} samples, {cost.missing} missing, {rate_hz:9,.0f} a second, "
                f"{cost.cpu_s / cost.wall_s:.3f} of a core, {cost.cpu_s / cost.samples * 1e6:.1f} us a sample",
                flush=True,
            )


if __name__ == "__main__":
    main()
