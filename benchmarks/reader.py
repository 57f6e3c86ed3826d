"""Reading XDF: time and peak memory of ``storage.xdf_reader`` beside pyxdf.

Run from the project's root: ``python benchmarks/reader.py [TAKE/streams.xdf ...]``. A synthetic file of 60 s and eight
streams is always read; the files named are read as well. Each reading has a process of its own, so that its peak memory
is its own; the best time of several counts. pyxdf is asked for the bare content first, as ours gives it, then for its
defaults, which also synchronise clocks and remove jitter.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from lab.streams import Channel
from storage.xdf_header import build_header, footer_xml
from storage.xdf_reader import read_xdf
from storage.xdf_writer import XdfWriter

OURS, BARE, DEFAULTS = "flex-capture", "pyxdf, bare", "pyxdf, defaults"
PULL_S: Final = 0.03
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


def _ours(path: Path) -> dict[int, Any]:
    return {stream.stream_id: stream.values for stream in read_xdf(path).streams}


def _pyxdf(path: Path, **options: bool) -> dict[int, Any]:
    import pyxdf

    return {stream["info"]["stream_id"]: stream["time_series"] for stream in pyxdf.load_xdf(str(path), **options)[0]}


READERS: Final[dict[str, Callable[[Path], dict[int, Any]]]] = {
    OURS: _ours,
    BARE: lambda path: _pyxdf(path, synchronize_clocks=False, dejitter_timestamps=False),
    DEFAULTS: _pyxdf,
}


def read_here(method: str, path: Path) -> dict[str, float]:
    """Read the file in this process; return seconds and growth of the peak memory in MB."""
    import psutil
    import pyxdf  # noqa: F401 - both start with everything imported

    peak = _Peak(psutil.Process())
    before = peak.now()
    began_s = time.perf_counter()
    content = READERS[method](path)
    took_s = time.perf_counter() - began_s
    return {"seconds": took_s, "peak_mb": peak.highest() - before, "samples": sum(map(len, content.values()))}


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


def compare(path: Path, rounds: int = 5) -> dict[str, dict[str, float]]:
    """Read the file with every method in turns; return the best time and the median peak of each.

    Raises AssertionError where the methods disagree about the number of samples.
    """
    rows: dict[str, list[dict[str, float]]] = {method: [] for method in READERS}
    for _ in range(rounds):
        for method, found in rows.items():
            command = [sys.executable, __file__, "--method", method, str(path)]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert len({row["samples"] for found in rows.values() for row in found}) == 1
    return {
        method: {
            "seconds": min(row["seconds"] for row in found),
            "peak_mb": float(np.median([row["peak_mb"] for row in found])),
        }
        for method, found in rows.items()
    }


def _print(title: str, path: Path, rounds: int) -> None:
    print(f"{title}, {path.stat().st_size / 1e6:.1f} MB")
    print(f"{'':18}{'ms':>8}{'ratio':>8}{'peak MB':>10}{'ratio':>8}")
    rows = compare(path, rounds)
    for method, row in rows.items():
        own = rows[OURS]
        times = f"{row['seconds'] * 1e3:>8.0f}{row['seconds'] / own['seconds']:>8.1f}"
        print(f"{method:18}{times}{row['peak_mb']:>10.0f}{row['peak_mb'] / own['peak_mb']:>8.1f}")


def main() -> None:
    """Print a table a file."""
    parser = argparse.ArgumentParser(description="Read XDF files with ours and with pyxdf.")
    parser.add_argument("file", type=Path, nargs="*", help="XDF files, such as streams.xdf of a recorded take")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the synthetic file")
    parser.add_argument("--method", choices=list(READERS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.method:
        print(json.dumps(read_here(asked.method, asked.file[0])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "synthetic.xdf"
        write_synthetic(path, asked.seconds)
        _print(f"synthetic, {asked.seconds:g} s, {len(LAYOUT)} streams", path, asked.rounds)
    for file in asked.file:
        _print(f"{file.parent.name}/{file.name}", file, asked.rounds)


if __name__ == "__main__":
    main()
