"""What reading a Delsys Trigno costs, how fast it could go, and what TCP does to a reader that keeps no rest.

    python benchmarks/trigno.py [--seconds 20] [--rows 200000]

The base is emulated, in a process of its own: 16 sensors with sEMG at 2,000 Hz and an accelerometer at 148 Hz.
Processor time is that of the reader while it reads. In the third part rows whose every value tells its place come in
frames of 27, cut into segments as TCP cuts them, each sent when the one before has been taken, over a loopback socket.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_FRAME_ROWS = 27
_ROW_BYTES = 64
_BETWEEN_SEGMENTS_S = 0.00002


def serve(pipe: Connection, fast: bool) -> None:
    """Be the base until the pipe closes; ``fast``: as fast as rows are taken, the same thousand again and again."""
    from drivers.emulators.stage import Stage, StageConfig
    from drivers.emulators.trigno import TrignoEmulator
    from drivers.emulators.trigno_commands import TrignoEmulatorConfig
    from drivers.host_clock import LslClock

    class FastBase(TrignoEmulator):
        rows_of: dict[str, bytes] = {}  # noqa: RUF012 - made once

        def _measure(self) -> None:
            if self._signals is None:
                return
            if not self.rows_of:
                rows = self._signals.make(40)
                # both ports are kept full: the ratio of their rates is as in a real base
                self.rows_of = {role: rows[role].tobytes() for role in ("emg", "aux")}
            data = [client for client in self._clients if client.role in self.rows_of]
            if all(len(client.waiting) < 2**20 for client in data):
                for client in data:
                    client.waiting += self.rows_of[client.role]

    kind = FastBase if fast else TrignoEmulator
    base = kind(TrignoEmulatorConfig(first_data_s=0.2), Stage(StageConfig(), LslClock().now_s()))
    base.open()
    pipe.send(base.rig_options())
    stop = threading.Event()
    threading.Thread(target=lambda: (pipe.poll(None), stop.set()), daemon=True).start()
    base.serve(stop)
    base.close()


def read_driver(options: dict[str, Any], seconds: float) -> tuple[dict[str, int], float, float]:
    """Return samples by stream, wall and processor seconds of the driver."""
    from drivers.delsys.trigno import Trigno
    from drivers.host_clock import LslClock

    driver = Trigno(Trigno.Config.model_validate(options), LslClock())
    driver.open()
    counts = {spec.name: 0 for spec in driver.streams()}
    first: dict[str, int] = {}
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall_s < seconds:
        piece = driver.read()
        if piece is not None:
            first.setdefault(piece.stream, int(piece.counters[0]))
            counts[piece.stream] += len(piece.counters)
            assert int(piece.counters[-1]) - first[piece.stream] + 1 == counts[piece.stream]
    cost = counts, time.perf_counter() - wall_s, time.process_time() - cpu_s
    driver.close()
    return cost


def with_base(*, fast: bool, seconds: float) -> tuple[dict[str, int], float, float]:
    """Serve a base in another process and read it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, fast))
    process.start()
    theirs.close()
    try:
        return read_driver(ours.recv(), seconds)
    finally:
        ours.close()
        process.join()


def send_cut(listening: socket.socket, rows: int, least: int, most: int) -> None:
    """Send numbered rows in frames, cut into segments of ``least`` to ``most`` bytes."""
    line, _ = listening.accept()
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    rng = np.random.default_rng(most)
    data = (np.arange(rows * 16, dtype=np.float64) % 2**24).astype("<f4").tobytes()
    with line:
        for begin in range(0, len(data), _FRAME_ROWS * _ROW_BYTES):
            frame = data[begin : begin + _FRAME_ROWS * _ROW_BYTES]
            at = 0
            while at < len(frame):
                size = most if least == most else int(rng.integers(least, most + 1))
                line.sendall(frame[at : at + size])
                at += size
                time.sleep(_BETWEEN_SEGMENTS_S)


def ours() -> Callable[[bytes], np.ndarray[Any, Any]]:
    """Return the driver's reader of rows."""
    from drivers.delsys.trigno_codec import RowReader

    return RowReader(16).feed


def naive() -> Callable[[bytes], np.ndarray[Any, Any]]:
    """Return a reader that takes each piece for whole rows and forgets the rest, as clients of others do."""
    return lambda data: np.frombuffer(data, "<f4", len(data) // _ROW_BYTES * 16).reshape(-1, 16)


def rotated(read: Callable[[bytes], np.ndarray[Any, Any]], rows: int, least: int, most: int) -> tuple[int, int]:
    """Return how many rows a reader read, and how many of them are not rows that were sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    sender = threading.Thread(target=send_cut, args=(listening, rows, least, most))
    sender.start()
    count = wrong = 0
    with socket.create_connection(listening.getsockname()) as line, np.errstate(invalid="ignore"):
        while data := line.recv(65536):
            got = read(data).astype(np.float64)
            count += len(got)
            steps = (got == got[:, :1] + np.arange(16)).all(axis=1)
            wrong += int((~(steps & (got[:, 0] % 16 == 0))).sum())
    sender.join()
    listening.close()
    return count, wrong


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rows", type=int, default=200_000)
    chosen = parser.parse_args()
    counts, wall_s, cpu_s = with_base(fast=False, seconds=chosen.seconds)
    print(f"real time, {wall_s:.0f} s: {counts}, {100 * cpu_s / wall_s:.2f} % of a core")
    counts, wall_s, cpu_s = with_base(fast=True, seconds=5.0)
    sent, possible = counts["emg"] / wall_s, counts["emg"] / cpu_s
    print(f"as fast as the emulator sends: {sent:,.0f} rows of sEMG/s, {possible:,.0f} for each processor second")
    print("segments of bytes | rows | rotated by the driver's reader | by one that keeps no rest")
    for least, most in ((400, 400), (1460, 1460), (8948, 8948), (1, 400), (40, 1460)):
        count, wrong = rotated(ours(), chosen.rows, least, most)
        others, others_wrong = rotated(naive(), chosen.rows, least, most)
        said = str(most) if least == most else f"{least} … {most}"
        print(f"{said} | {count:,} | {wrong} | {100 * others_wrong / max(1, others):.1f} %")


if __name__ == "__main__":
    main()
