"""What was just written is read back before any table names it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.errors import LayoutError
from storage.flex.description import SIGNALS
from storage.flex.entries import TakeEntry
from storage.flex.read_signals import read_signals
from storage.flex.tables import first_line, read_entry

_ADVICE: Final = "see to the disk and write the take again."


def check_written(dataset: Path, entry: TakeEntry) -> None:
    """Read a take's frames table and signals, all of them, and compare them with the take's rows.

    Clips are counted where they are cut. Raises LayoutError where a file does not read back as it was written.
    """
    import pyarrow as pa

    for column, check in (("frames_file", _check_frames), ("signals_file", _check_signals)):
        path = dataset / entry.take[column]
        try:
            check(dataset, entry)
        except (LayoutError, OSError, ValueError, pa.ArrowException, MemoryError) as error:
            what = error.__cause__ if isinstance(error, LayoutError) and error.__cause__ else error
            raise LayoutError(f"{path} does not read back as it was written ({first_line(what)}); {_ADVICE}") from error


def _check_frames(dataset: Path, entry: TakeEntry) -> None:
    import numpy as np
    import pyarrow.parquet as pq

    if read_entry(dataset, entry.take["frames_file"]) != entry:
        raise ValueError("it holds other rows of its take")
    with pq.ParquetFile(dataset / entry.take["frames_file"]) as frames:
        numbers = frames.read().column("repetition").to_numpy()
    counts = [int(np.count_nonzero(numbers == row["repetition"])) for row in entry.repetitions]
    if counts != [row["frame_rows"] for row in entry.repetitions] or len(numbers) != sum(counts):
        raise ValueError(f"it has {counts} rows of its repetitions")


def _check_signals(dataset: Path, entry: TakeEntry) -> None:
    expected = set(SIGNALS) & set(entry.take["modalities"])
    for number, signals in enumerate(read_signals(dataset, entry), start=1):
        missing = sorted(expected - set(signals))
        if missing:
            raise ValueError(f"it has no {missing[0]} of repetition {number}")
