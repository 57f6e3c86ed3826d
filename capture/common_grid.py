"""All regular streams of an aligned file on one grid of time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from capture.synchronised_stream import Gridded
from lab.errors import RequestError
from storage.aligned_file import AlignedFile
from sync.resampling import Grid, grid_over, kernel_for, resample, sample_period_s

Float64 = npt.NDArray[np.float64]

#: Streams that lie further apart than this have no common clock: a grid over all of them would be nothing but gaps.
_LONGEST_GRID_S: Final = 7 * 86_400.0
_GRID_BLOCK: Final = 1 << 20


def add_grid(file: AlignedFile, streams: Sequence[Gridded], rate_hz: float, output: Path) -> None:
    """Put all regular streams of numbers on one grid, from the first sample of any to the last of any.

    Raises RequestError where there is none, where they lie too far apart, and where the disk of ``output`` is too full.
    """
    if not streams:
        raise RequestError("--resample: there is no regular stream of numbers; leave it out")
    first, last = min(streams, key=lambda one: one.from_s), max(streams, key=lambda one: one.to_s)
    if not last.to_s - first.from_s <= _LONGEST_GRID_S:
        raise RequestError(
            f"--resample: {last.group} ends {last.to_s - first.from_s:.3g} s after {first.group} begins; their clocks"
            " were not put together, so there is no common grid"
        )
    grid = grid_over(first.from_s, last.to_s, rate_hz)
    needed = 8 * grid.count * (1 + sum(file.stored(one.group)[2].shape[1] for one in streams))
    free = shutil.disk_usage(output.absolute().parent).free
    if needed > free:
        raise RequestError(
            f"--resample {rate_hz:g} needs {needed / 1e9:.3g} GB beside {output}; {free / 1e9:.3g} GB are free"
        )
    file.begin_grid(rate_hz, grid.count, _grid_times(grid))
    for one in streams:
        time_s, counter, values = file.stored(one.group)
        count = np.arange(time_s.size, dtype=np.int64) if counter is None else counter
        period_s = sample_period_s(time_s, count)
        kernel = kernel_for(1 / period_s, rate_hz)
        facts = {
            "kernel": "linear" if kernel.linear else "windowed sinc",
            "half_width_s": kernel.half_width * period_s,
            "pass_hz": kernel.pass_hz,
            "stop_hz": kernel.stop_hz,
        }
        file.add_resampled(one.group, grid.count, resample(time_s, count, values, grid, kernel), facts)


def _grid_times(grid: Grid) -> Iterator[tuple[int, Float64]]:
    for start in range(0, grid.count, _GRID_BLOCK):
        yield start, grid.time_s(start, min(start + _GRID_BLOCK, grid.count))
