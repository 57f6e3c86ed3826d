"""Reading XDF: time and peak memory of ``storage.xdf_reader`` beside pyxdf.

Run from the project's root: ``python benchmarks/reader.py [TAKE/streams.xdf ...] [--seconds 60 600 3600]``. Two
synthetic files of eight streams are read for each length: one as our recorder writes it (a chunk a stream every 30 ms,
all samples stamped), one as LabRecorder does (a chunk a stream every half second, a stamp only where a new packet of
the device begins); the files named are read as well. Each reading has a process of its own, so that its peak memory is
its own; the best time of several counts, by the clock and by the processor, and all methods take turns. pyxdf is asked
for the bare content first, as ours gives it, then, of files up to ten minutes, for its defaults, which also synchronise
clocks and remove jitter.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from lab.streams import Channel
from storage.xdf_header import build_header, footer_xml
from storage.xdf_reader import read_xdf, stream_xdf
from storage.xdf_writer import BOUNDARY, BOUNDARY_MARK, MAGIC, SAMPLES, STREAM_HEADER, XdfWriter, variable_length

OURS, BLOCKS, BARE, DEFAULTS = "flex-capture", "in blocks", "pyxdf, bare", "pyxdf, defaults"
PULL_S: Final = 0.03
LABRECORDER_PULL_S: Final = 0.5
LONGEST_FOR_DEFAULTS_S: Final = 600.0
#: Name: (rate in Hz, channels): a pose, sEMG, a vest and five cameras' rows.
LAYOUT: Final = {
    "mocap": (100.0, 64),
    "emg": (2000.0, 17),
    "vest": (1.0, 3),
    **{f"view{view}": (30.0, 5) for view in range(1, 6)},
}


def write_synthetic(path: Path, duration_s: float = 60.0) -> None:
    """Write eight streams of random values as a recorder does: small chunks, a boundary and a probe each second."""
    rng = np.random.default_rng(0)
    writer = XdfWriter(path)
    for number, (name, (rate_hz, count)) in enumerate(LAYOUT.items(), start=1):
        channels = [Channel(f"c{index}") for index in range(count)]
        writer.stream_header(number, build_header(name, "Test", channels, rate_hz, "float32"))
    counts = [0] * len(LAYOUT)
    for pull in range(1, round(duration_s / PULL_S) + 1):
        for index, (rate_hz, channels) in enumerate(LAYOUT.values()):
            until = int(pull * PULL_S * rate_hz)
            stamps = np.arange(counts[index], until) / rate_hz
            writer.samples(index + 1, stamps, rng.standard_normal((len(stamps), channels), dtype=np.float32))
            counts[index] = until
            if pull % round(1 / PULL_S) == 0:
                writer.clock_offset(index + 1, pull * PULL_S, 0.0)
        if pull % round(1 / PULL_S) == 0:
            writer.boundary()
    for index, count in enumerate(counts):
        writer.stream_footer(index + 1, footer_xml(0.0, duration_s, count))
    writer.close()


def write_partly_stamped(path: Path, duration_s: float = 60.0) -> None:
    """Write eight streams of random values as LabRecorder does: large chunks, few stamps, a boundary each ten."""
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        file.write(MAGIC)
        for number, (name, (rate_hz, count)) in enumerate(LAYOUT.items(), start=1):
            xml = build_header(name, "Test", [Channel(f"c{index}") for index in range(count)], rate_hz, "float32")
            _append_chunk(file, STREAM_HEADER, struct.pack("<I", number) + xml.encode())
        for pull in range(round(duration_s / LABRECORDER_PULL_S)):
            for number, (rate_hz, channels) in enumerate(LAYOUT.values(), start=1):
                first, behind = (int(edge * LABRECORDER_PULL_S * rate_hz) for edge in (pull, pull + 1))
                values = rng.standard_normal((behind - first, channels), dtype=np.float32)
                packet = max(1, round(PULL_S * rate_hz))
                rows = b"".join(
                    (b"\x00" if sample % packet else b"\x08" + struct.pack("<d", sample / rate_hz)) + row.tobytes()
                    for sample, row in enumerate(values, start=first)
                )
                if rows:
                    content = struct.pack("<I", number) + variable_length(len(values)) + rows
                    _append_chunk(file, SAMPLES, content)
            if pull % 20 == 0:
                _append_chunk(file, BOUNDARY, BOUNDARY_MARK)


def _append_chunk(file: BinaryIO, tag: int, content: bytes) -> None:
    file.write(variable_length(len(content) + 2) + struct.pack("<H", tag) + content)


def _ours(path: Path) -> dict[int, Any]:
    return {stream.stream_id: stream.values for stream in read_xdf(path).streams}


def _in_blocks(path: Path) -> dict[int, Any]:
    """Read block by block and keep nothing but the number of samples."""
    counts: dict[int, int] = {}
    for block in stream_xdf(path):
        for part in block.parts:
            counts[part.number] = part.first + len(part.added.stamps)
    return {number: range(count) for number, count in counts.items()}


def _pyxdf(path: Path, **options: bool) -> dict[int, Any]:
    import pyxdf

    return {stream["info"]["stream_id"]: stream["time_series"] for stream in pyxdf.load_xdf(str(path), **options)[0]}


READERS: Final[dict[str, Callable[[Path], dict[int, Any]]]] = {
    OURS: _ours,
    BLOCKS: _in_blocks,
    BARE: lambda path: _pyxdf(path, synchronize_clocks=False, dejitter_timestamps=False),
    DEFAULTS: _pyxdf,
}


def read_here(method: str, path: Path) -> dict[str, float]:
    """Read the file in this process; return seconds, growth of the peak memory and size of the result in MB.

    ``cpu_seconds`` are those of the processor, which other work on the machine lengthens less.
    """
    import psutil
    import pyxdf  # noqa: F401 - both start with everything imported

    peak = _Peak(psutil.Process())
    before = peak.now()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    content = READERS[method](path)
    took_s, took_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    grown = peak.highest() - before
    samples = sum(map(len, content.values()))
    # A stamp a sample, and the values; texts are counted as references.
    result = 8 * samples + sum(values.nbytes for values in content.values() if isinstance(values, np.ndarray))
    return {
        "seconds": took_s,
        "cpu_seconds": took_cpu_s,
        "peak_mb": grown,
        "samples": samples,
        "result_mb": result / 1e6,
    }


class _Peak:
    """Resident memory in MB; the highest is the operating system's own figure."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def now(self) -> float:
        return float(self._process.memory_info().rss) / 1e6

    def highest(self) -> float:
        if sys.platform == "win32":
            return float(self._process.memory_info().peak_wset) / 1e6
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def compare(path: Path, rounds: int = 5, methods: Sequence[str] = tuple(READERS)) -> dict[str, dict[str, float]]:
    """Read the file with every method in turns; return the best times, the median peak and the result's size of each.

    Raises AssertionError where the methods disagree about the number of samples.
    """
    rows: dict[str, list[dict[str, float]]] = {method: [] for method in methods}
    for _ in range(rounds):
        for method, found in rows.items():
            command = [sys.executable, __file__, "--method", method, str(path)]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert len({row["samples"] for found in rows.values() for row in found}) == 1
    return {
        method: {
            "seconds": min(row["seconds"] for row in found),
            "cpu_seconds": min(row["cpu_seconds"] for row in found),
            "peak_mb": float(np.median([row["peak_mb"] for row in found])),
            "result_mb": found[0]["result_mb"],
        }
        for method, found in rows.items()
    }


def _print(title: str, path: Path, rounds: int, methods: Sequence[str] = tuple(READERS)) -> None:
    print(f"{title}, {path.stat().st_size / 1e6:.1f} MB")
    print(f"{'':18}{'ms':>8}{'ratio':>8}{'cpu ms':>8}{'ratio':>8}{'peak MB':>10}{'to result':>11}{'ratio':>8}")
    rows = compare(path, rounds, methods)
    own = rows[OURS]
    for method, row in rows.items():
        times = "".join(f"{row[of] * 1e3:>8.0f}{row[of] / own[of]:>8.1f}" for of in ("seconds", "cpu_seconds"))
        memory = (
            f"{row['peak_mb']:>10.1f}{row['peak_mb'] / own['result_mb']:>11.2f}{row['peak_mb'] / own['peak_mb']:>8.1f}"
        )
        print(f"{method:18}{times}{memory}", flush=True)


def main() -> None:
    """Print a table a file."""
    parser = argparse.ArgumentParser(description="Read XDF files with ours and with pyxdf.")
    parser.add_argument("file", type=Path, nargs="*", help="XDF files, such as streams.xdf of a recorded take")
    parser.add_argument("--rounds", type=int, default=5, help="readings of files up to ten minutes; longer ones: 2")
    parser.add_argument("--seconds", type=float, nargs="*", default=[60.0], help="lengths of the synthetic files")
    parser.add_argument("--method", choices=list(READERS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.method:
        print(json.dumps(read_here(asked.method, asked.file[0])))
        return
    for seconds in asked.seconds:
        short = seconds <= LONGEST_FOR_DEFAULTS_S
        methods = [method for method in READERS if short or method != DEFAULTS]
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "synthetic.xdf"
            for kind, write in {"our recorder": write_synthetic, "LabRecorder": write_partly_stamped}.items():
                write(path, seconds)
                _print(f"as {kind} writes, {seconds:g} s", path, asked.rounds if short else 2, methods)
                path.unlink()
    for file in asked.file:
        _print(f"{file.parent.name}/{file.name}", file, asked.rounds)


if __name__ == "__main__":
    main()
